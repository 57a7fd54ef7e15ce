//! Whether one of a scenario's appliers takes the file in (rule P7).
//!
//! Several may stand on the path, and one of them delivers the canary; the others are timed by
//! its revision alone. So it is enough that one does.

use crate::model::{GroupKind, Subject};
use crate::path::delivery::kustomization::{Files, Lead, lead};
use crate::path::delivery::{Refusal, place};
use serde_json::Value;

/// An applier of the scenario, and the file as its source holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Applier {
    subject: Subject,
    folders: Vec<String>,
    file: String,
    holds_live: bool,
}

/// The source that a Kustomization applies, if it is one of git.
pub(super) fn source_of(subject: &Subject, object: &Value) -> Option<Subject> {
    source_of_kind(subject, object, &GroupKind::git_repository())
}

/// The source that a Kustomization applies, if it is of this kind.
pub(super) fn source_of_kind(
    subject: &Subject,
    object: &Value,
    kind: &GroupKind,
) -> Option<Subject> {
    let reference = &object["spec"]["sourceRef"];
    (reference["kind"] == kind.kind.as_str()).then_some(())?;
    let namespace = reference["namespace"].as_str().unwrap_or(&subject.namespace);
    let name = reference["name"].as_str()?;
    Some(Subject {
        kind: kind.clone(),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        ..subject.clone()
    })
}

/// The refusal of an applier that applies something else.
pub(super) fn another_source(subject: &Subject, object: &Value) -> Refusal {
    let reference = &object["spec"]["sourceRef"];
    let text = |field: &str| reference[field].as_str().unwrap_or_default().to_owned();
    Refusal::new(
        "applier_of_another_source",
        format_args!(
            "{subject} applies {} `{}`, which never holds what the trigger pushes: name the \
             Kustomization that applies the trigger's source",
            text("kind"),
            text("name")
        ),
    )
}

impl Applier {
    /// An applier whose source holds the file under this name.
    pub(super) fn new(subject: &Subject, object: &Value, file: &str, live: &[Subject]) -> Self {
        let spec = &object["spec"];
        let folder = spec["path"].as_str().and_then(place::clean).unwrap_or_default();
        let components = spec["components"].as_array().into_iter().flatten();
        let components = components.filter_map(|it| place::join(&folder, it.as_str()?));
        let mut folders: Vec<String> = components.collect();
        folders.insert(0, folder);
        let holds_live = live.iter().any(|it| is_in_inventory(object, it));
        Self { subject: subject.clone(), folders, file: file.to_owned(), holds_live }
    }
}

/// Says whether one of them takes the file in; what has to be read first, if that cannot be told
/// yet. Without any applier nothing can be told.
pub(super) fn judge(appliers: &[Applier], read: &Files) -> Result<Vec<String>, Refusal> {
    if appliers.is_empty() || appliers.iter().any(|it| it.holds_live) {
        return Ok(Vec::new());
    }
    let (mut needs, mut vain) = (Vec::new(), Vec::new());
    for applier in appliers {
        for folder in &applier.folders {
            match lead(folder, &applier.file, read) {
                Lead::Reached => return Ok(Vec::new()),
                Lead::Needs(names) => needs.extend(names),
                Lead::Lost(names) => vain.extend(names),
            }
        }
    }
    if needs.is_empty() { Err(refusal(appliers, &vain)) } else { Ok(needs) }
}

/// The same by the names of folders alone, where nothing of the repository can be read.
pub(super) fn judge_blind(appliers: &[Applier]) -> Result<(), Refusal> {
    let takes = |it: &Applier| {
        it.holds_live || it.folders.iter().any(|folder| place::below(&it.file, folder).is_some())
    };
    if appliers.is_empty() || appliers.iter().any(takes) {
        Ok(())
    } else {
        Err(refusal(appliers, &[]))
    }
}

fn refusal(appliers: &[Applier], vain: &[String]) -> Refusal {
    let lies_below = |it: &&Applier| place::below(&it.file, &it.folders[0]).is_some();
    let below = appliers.iter().find(lies_below);
    if let Some(applier) = below {
        let (subject, file) = (&applier.subject, &applier.file);
        let last = vain.last();
        let message = match last {
            Some(last) => format!(
                "`{file}` is not applied by {subject}: no `kustomization.yaml` that it builds \
                 names it; list it in `{last}`, or choose another `path`"
            ),
            None => format!(
                "`{file}` is not applied by {subject}, which takes only `*.yaml` and `*.yml` where \
                 there is no `kustomization.yaml`: give the file such a name"
            ),
        };
        return Refusal::new("not_in_kustomization", message);
    }
    let each = appliers.iter();
    let each = each.map(|it| format!("{} applies `{}`", it.subject, place::shown(&it.folders[0])));
    Refusal::new(
        "outside_applier",
        format_args!(
            "nothing applies `{}`: {}; choose a `path` that lies there",
            appliers[0].file,
            each.collect::<Vec<_>>().join(", ")
        ),
    )
}

/// Whether the applier's inventory names the object: `namespace_name_group_kind`.
fn is_in_inventory(applier: &Value, object: &Subject) -> bool {
    let Subject { namespace, name, kind, .. } = object;
    let id = format!("{namespace}_{name}_{}_{}", kind.group, kind.kind);
    let entries = applier["status"]["inventory"]["entries"].as_array().into_iter().flatten();
    entries.into_iter().any(|it| it["id"] == id.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn kustomization(name: &str, path: &str) -> (Subject, Value) {
        let subject = Subject::local(GroupKind::kustomization(), "flux-system", name);
        (subject, json!({"spec": {"path": path}}))
    }

    fn applier(path: &str, file: &str) -> Applier {
        let (subject, object) = kustomization("canary", path);
        Applier::new(&subject, &object, file, &[])
    }

    #[test]
    fn p7_the_file_lies_under_one_appliers_path() {
        let file = "canary/a.yaml";
        for path in ["./canary", "canary/", "./", ""] {
            assert_eq!(judge_blind(&[applier(path, file)]), Ok(()), "{path}");
        }
        assert_eq!(judge_blind(&[applier("infra", file), applier("canary", file)]), Ok(()));
        let refusal = judge_blind(&[applier("./infra", file)]).unwrap_err();
        assert_eq!(refusal.reason, "outside_applier");
        let says = "Kustomization flux-system/canary applies `infra`";
        assert!(refusal.message.contains(says), "{}", refusal.message);
    }

    #[test]
    fn p7_or_the_object_that_becomes_live_is_in_its_inventory() {
        let (subject, mut object) = kustomization("apps", "clusters/prod");
        let live = Subject::local(GroupKind::new("", "ConfigMap"), "hopclock", "canary");
        let of = |object: &Value| {
            Applier::new(&subject, object, "canary/a.yaml", std::slice::from_ref(&live))
        };
        assert!(judge_blind(&[of(&object)]).is_err());
        object["status"]["inventory"]["entries"] =
            json!([{"id": "hopclock_canary__ConfigMap", "v": "v1"}]);
        assert_eq!(judge_blind(&[of(&object)]), Ok(()));
        assert_eq!(judge(&[of(&object)], &Files::new()), Ok(Vec::new()), "nothing is read");
    }

    #[test]
    fn p7_a_kustomization_that_does_not_lead_to_the_file_is_named() {
        let applier = [applier("canary", "canary/a.yaml")];
        let mut read = Files::new();
        let names = judge(&applier, &read).unwrap();
        assert!(names.contains(&"canary/kustomization.yaml".to_owned()), "{names:?}");
        read.extend(names.into_iter().map(|it| (it, None)));
        assert_eq!(judge(&applier, &read), Ok(Vec::new()));
        let text = Some("resources: [b.yaml]\n".to_owned());
        read.insert("canary/kustomization.yaml".to_owned(), text);
        let refusal = judge(&applier, &read).unwrap_err();
        assert_eq!(refusal.reason, "not_in_kustomization");
        assert!(refusal.message.contains("list it in `canary/kustomization.yaml`"));
    }

    #[test]
    fn p7_an_applier_names_its_source() {
        let (subject, mut object) = kustomization("apps", "");
        object["spec"]["sourceRef"] = json!({"kind": "GitRepository", "name": "fleet"});
        let fleet = |namespace| Subject::local(GroupKind::git_repository(), namespace, "fleet");
        assert_eq!(source_of(&subject, &object), Some(fleet("flux-system")));
        object["spec"]["sourceRef"]["namespace"] = "base".into();
        assert_eq!(source_of(&subject, &object), Some(fleet("base")));
        object["spec"]["sourceRef"]["kind"] = "OCIRepository".into();
        assert_eq!(source_of(&subject, &object), None);
        assert!(another_source(&subject, &object).message.contains("OCIRepository `fleet`"));
    }
}
