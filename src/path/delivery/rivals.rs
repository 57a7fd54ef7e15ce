//! Who else chooses among the tags that a canary's is pushed beside (rule S3): what another policy
//! chooses, an automation writes to people's workloads, whatever our own policy is used for.

use crate::model::image_policy::ImagePolicy;
use crate::model::{GroupKind, ImageLanding, Subject};
use crate::path::delivery::{CONSENT, Neighbours, Refusal, consent_command};
use serde_json::Value;

/// The other policies of the image that a canary's tag is pushed to.
#[derive(Clone, Debug, Default)]
pub struct Rivals {
    image: String,
    instance: String,
    all: Vec<Rival>,
}

/// Another policy of the same image.
#[derive(Clone, Debug)]
struct Rival {
    subject: Subject,
    consents: bool,
    /// What it chooses by, or why that cannot be told.
    policy: Result<ImagePolicy, String>,
}

// === impl Rivals ===

impl Rivals {
    /// None as yet, of the image that is pushed to for an instance.
    #[must_use]
    pub fn new(image: &str, instance: &str) -> Self {
        Self { image: image.to_owned(), instance: instance.to_owned(), all: Vec::new() }
    }

    /// Adds those of some clusters. `name_of` gives the one name of an image's repository, told by
    /// how the object writes it and whether it is asked without TLS.
    pub fn add(
        &mut self,
        neighbours: &Neighbours,
        landing: &ImageLanding,
        name_of: impl Fn(&str, bool) -> Option<String>,
    ) {
        let of = |kind: &str| {
            let kind = GroupKind::image(kind);
            neighbours.objects.iter().filter(move |it| it.0.kind == kind)
        };
        for (subject, object) in of("ImagePolicy").filter(|it| it.0 != landing.policy) {
            let reference = &object["spec"]["imageRepositoryRef"];
            let namespace = reference["namespace"].as_str().unwrap_or(&subject.namespace);
            let is_scanner = |it: &&(Subject, Value)| {
                it.0.cluster == subject.cluster
                    && it.0.namespace == namespace
                    && reference["name"] == it.0.name.as_str()
            };
            let Some((_, scanner)) = of("ImageRepository").find(is_scanner) else { continue };
            let scanner = &scanner["spec"];
            let image = scanner["image"].as_str().unwrap_or_default();
            if name_of(image, scanner["insecure"] == true).as_ref() != Some(&self.image) {
                continue;
            }
            let policy = ImagePolicy::read(&object["spec"], scanner);
            self.all.push(Rival {
                subject: subject.clone(),
                consents: object["metadata"]["annotations"][CONSENT] == self.instance.as_str(),
                policy: policy.map_err(|it| it.to_string()),
            });
        }
    }

    /// All of them: what they name is in use.
    pub fn subjects(&self) -> impl Iterator<Item = &Subject> {
        self.all.iter().map(|it| &it.subject)
    }

    /// Refuses a tag that one of them would choose among all that are there, without consent.
    ///
    /// # Errors
    /// With the first that would, or of which that cannot be told.
    pub fn check(&self, tags: &[String], tag: &str) -> Result<(), Refusal> {
        let mut all = tags.to_vec();
        if !tags.iter().any(|it| it == tag) {
            all.push(tag.to_owned());
        }
        for Rival { subject, policy, .. } in self.all.iter().filter(|it| !it.consents) {
            let chosen = policy.as_ref().map_err(Clone::clone);
            let chosen = chosen.and_then(|it| it.chosen(&all).map_err(|it| it.to_string()));
            let what = match chosen {
                Ok(chosen) if chosen != Some(tag) => continue,
                Ok(_) => format!("{subject} would choose the tag `{tag}` of `{}` too", self.image),
                Err(error) => format!(
                    "whether {subject} would choose the tag `{tag}` of `{}` too cannot be told \
                     ({error})",
                    self.image
                ),
            };
            return Err(Refusal::new(
                "policy_used_elsewhere",
                format_args!(
                    "{what}, and what its choice is written to is not what the scenario waits for: \
                     give canaries an image repository of their own, or say that it may choose them \
                     with `{}`",
                    consent_command(subject, &self.instance)
                ),
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ClusterName;
    use serde_json::json;

    fn named(name: &str, spec: &Value) -> Value {
        json!({"metadata": {"name": name, "namespace": "flux-system"}, "spec": spec})
    }

    fn ask(image: &str, policy: &Value, consent: Option<&str>) -> Result<(), Refusal> {
        let landing = ImageLanding {
            policy: Subject::local(GroupKind::image("ImagePolicy"), "flux-system", "app"),
            repository: "h.test/app".to_owned(),
            is_empty: true,
        };
        let spec =
            |policy: &Value| json!({"imageRepositoryRef": {"name": "app"}, "policy": policy});
        let own = named("app", &spec(&json!({"semver": {"range": "0.x"}})));
        let mut other = named("prod", &spec(policy));
        other["metadata"]["annotations"] = json!({CONSENT: consent});
        let scanner = named("app", &json!({"image": image}));
        let (home, mut neighbours) = (ClusterName::default(), Neighbours::default());
        neighbours.add(&home, &GroupKind::image("ImagePolicy"), vec![own, other]);
        neighbours.add(&home, &GroupKind::image("ImageRepository"), vec![scanner]);
        let mut rivals = Rivals::new(&landing.repository, "team-a");
        rivals.add(&neighbours, &landing, |it, _| Some(it.to_ascii_lowercase()));
        rivals.check(&["0.1.0".to_owned(), "1.0.0".to_owned()], "0.1.1")
    }

    #[test]
    fn s3_a_tag_that_another_policy_of_the_image_would_choose_is_refused() {
        let below_one = json!({"semver": {"range": "0.x"}});
        let refusal = ask("H.test/app", &below_one, None).unwrap_err();
        assert_eq!(refusal.reason, "policy_used_elsewhere");
        let says = "ImagePolicy flux-system/prod would choose the tag `0.1.1` of `h.test/app` too";
        assert!(refusal.message.starts_with(says), "{}", refusal.message);
        assert!(ask("h.test/app", &below_one, Some("team-b")).is_err());
        assert_eq!(ask("h.test/app", &below_one, Some("team-a")), Ok(()));
        assert_eq!(ask("h.test/other", &below_one, None), Ok(()), "it is another image");
        let any = json!({"semver": {"range": "*"}});
        assert_eq!(ask("h.test/app", &any, None), Ok(()), "it prefers `1.0.0`");
    }

    #[test]
    fn s3_a_policy_whose_choice_cannot_be_told_is_refused_as_well() {
        for policy in [json!({"numerical": {"order": "asc"}}), json!({"semver": {"range": "??"}})] {
            let refusal = ask("h.test/app", &policy, None).unwrap_err();
            assert!(refusal.message.contains("cannot be told ("), "{}", refusal.message);
        }
    }
}
