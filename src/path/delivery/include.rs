//! A GitRepository that includes ours: where the file comes to stand in it (rule P8).

use crate::model::{GroupKind, Subject};
use crate::path::delivery::{Refusal, place};
use serde_json::Value;

/// The entries of `spec.include` that name `ours`: an include is of the same namespace.
pub(super) fn entries<'a>(
    subject: &'a Subject,
    source: &'a Value,
    ours: &'a Subject,
) -> impl Iterator<Item = &'a Value> {
    let all = source["spec"]["include"].as_array().into_iter().flatten();
    all.filter(move |it| {
        ours.kind == GroupKind::git_repository()
            && subject.namespace == ours.namespace
            && it["repository"]["name"] == ours.name.as_str()
    })
}

/// Where the file stands in the including source; refused if it is not brought along.
pub(super) fn landing(subject: &Subject, entry: &Value, path: &str) -> Result<String, Refusal> {
    let name = entry["repository"]["name"].as_str().unwrap_or_default();
    let from = place::clean(entry["fromPath"].as_str().unwrap_or_default()).unwrap_or_default();
    let to = entry["toPath"].as_str().filter(|it| !it.is_empty()).unwrap_or(name);
    match place::below(path, &from) {
        Some(rest) => Ok(place::join(to, rest).unwrap_or_else(|| rest.to_owned())),
        None => Err(Refusal::new(
            "outside_include",
            format_args!(
                "{subject} includes only the folder `{}` of `{name}`, and `{path}` does not lie \
                 there: choose another `path`, or change `fromPath`",
                place::shown(&from)
            ),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn repository(name: &str) -> Subject {
        Subject::local(GroupKind::git_repository(), "flux-system", name)
    }

    #[test]
    fn p8_an_included_file_stands_where_the_include_puts_it() {
        let put = |entry: &Value| landing(&repository("fleet"), entry, "canary/a.yaml");
        let lib = json!({"name": "lib"});
        assert_eq!(put(&json!({"repository": lib})).unwrap(), "lib/canary/a.yaml");
        let entry = json!({"repository": lib, "fromPath": "./canary", "toPath": "apps/x/"});
        assert_eq!(put(&entry).unwrap(), "apps/x/a.yaml");
        let refusal = put(&json!({"repository": lib, "fromPath": "other"})).unwrap_err();
        assert_eq!(refusal.reason, "outside_include");
    }

    #[test]
    fn p8_an_include_names_a_source_of_its_own_namespace() {
        let object = json!({"spec": {"include": [{"repository": {"name": "lib"}}]}});
        let fleet = repository("fleet");
        assert_eq!(entries(&fleet, &object, &repository("lib")).count(), 1);
        assert_eq!(entries(&fleet, &object, &repository("other")).count(), 0);
        let far = Subject::local(GroupKind::git_repository(), "apps", "lib");
        assert_eq!(entries(&fleet, &object, &far).count(), 0);
    }
}
