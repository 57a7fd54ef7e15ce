//! Whether we may push here at all (rule S0): somebody said so, or nobody else has anything here.

use crate::model::{Holding, ReceiverLanding, Subject, Survey};
use crate::path::delivery::Refusal;
use serde_json::Value;

/// The annotation by which an object consents to an instance's canaries.
pub const CONSENT: &str = "hopclock.dev/canary";

/// What the objects say; what the branch holds may make up for what they do not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consent {
    instance: String,
    place: String,
    given: bool,
    source: Option<Subject>,
    /// To what stands around it, where it is only a part of what is written.
    around: Option<Box<Self>>,
}

// === impl Consent ===

impl Consent {
    /// Reads the consent of the sources that follow the branch. `place` names the branch.
    ///
    /// # Errors
    /// When a source consents to another instance.
    pub fn of(
        instance: &str,
        place: String,
        sources: &[(&Subject, &Value)],
    ) -> Result<Self, Refusal> {
        let says =
            |object: &Value| object["metadata"]["annotations"][CONSENT].as_str().map(str::to_owned);
        let given = sources.iter().any(|it| says(it.1).as_deref() == Some(instance));
        let others = sources.iter().find_map(|it| Some((it.0, says(it.1)?)));
        if let Some((subject, other)) = others.filter(|_| !given) {
            return Err(Refusal::new(
                "foreign_consent",
                format_args!(
                    "{subject} consents to the canaries of instance `{other}`, and this is `{instance}`: \
                     give each instance a source and a branch of its own, or run it as `--instance \
                     {other}`"
                ),
            ));
        }
        let source = sources.first().map(|it| it.0.clone());
        Ok(Self { instance: instance.to_owned(), place, given, source, around: None })
    }

    /// Reads the consent to a chart. What takes it speaks for it alone; its source, which is one of
    /// many charts, speaks for none of them, and can only refuse.
    ///
    /// # Errors
    /// When one of them consents to another instance.
    pub fn of_chart(
        instance: &str,
        place: &str,
        takers: &[(&Subject, &Value)],
        sources: &[(&Subject, &Value)],
    ) -> Result<Self, Refusal> {
        let consent = Self::of(instance, place.to_owned(), takers)?;
        if !consent.given {
            Self::of(instance, place.to_owned(), sources)?;
        }
        Ok(consent)
    }

    /// The same, where what stands around it has to be consented to as well.
    #[must_use]
    pub fn within(self, around: Self) -> Self {
        Self { around: Some(Box::new(around)), ..self }
    }

    /// Refuses to call a Receiver that consents to another instance, or to nobody while the scenario
    /// does not say that it is shared.
    ///
    /// # Errors
    /// Those of a source.
    pub fn of_receiver(
        instance: &str,
        landing: &ReceiverLanding,
        object: &Value,
    ) -> Result<(), Refusal> {
        let subject = &landing.receiver;
        let place = subject.to_string();
        let consent = Self::of(instance, place, &[(subject, object)])?;
        if consent.given || landing.shared {
            return Ok(());
        }
        Err(Refusal::new(
            "no_consent",
            format_args!(
                "a call of {subject} wakes everything that it lists, and it does not consent: if \
                 canaries may do that, say so with `{}`, or with `shared: true` in the scenario",
                command(subject, instance)
            ),
        ))
    }

    /// Refuses a branch that nobody has given us. `survey` is what its tip holds, if it has a tree.
    ///
    /// # Errors
    /// When no source consents, and the branch holds something else than our canaries.
    pub fn judge(&self, survey: Option<&Survey>) -> Result<(), Refusal> {
        self.judge_holding(survey.map(|it| &it.holding))?;
        let Some(around) = &self.around else { return Ok(()) };
        around.judge_holding(survey.and_then(|it| it.around.as_ref()))
    }

    fn judge_holding(&self, holding: Option<&Holding>) -> Result<(), Refusal> {
        let Self { instance, place, .. } = self;
        let what = match holding {
            _ if self.given => return Ok(()),
            Some(Holding::Canaries(all)) => match all.iter().find(|it| *it != instance) {
                None => return Ok(()),
                Some(other) => {
                    return Err(Refusal::new(
                        "foreign_canary",
                        format_args!(
                            "{place} holds the canaries of instance `{other}`: give each instance a \
                             branch of its own"
                        ),
                    ));
                }
            },
            Some(Holding::Others(file)) => format!("{place} holds `{file}`, which is no canary"),
            None => format!("what else is in {place} is not known"),
        };
        let cure = match &self.source {
            Some(source) => format!(
                "{source} does not consent: if canaries may be pushed there, say so with `{}`",
                command(source, instance)
            ),
            None => format!(
                "no source of the scenario's hops follows it that could consent: name one, \
                 annotated with `{CONSENT}: {instance}`, as `source`, or push where there are only \
                 canaries"
            ),
        };
        Err(Refusal::new("no_consent", format_args!("{what}, and {cure}")))
    }
}

/// The one command that gives consent.
#[must_use]
pub fn command(source: &Subject, instance: &str) -> String {
    let kind = source.kind.kind.to_lowercase();
    format!("kubectl annotate {kind} -n {} {} {CONSENT}={instance}", source.namespace, source.name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::GroupKind;
    use serde_json::json;
    use std::collections::BTreeMap;

    fn subject() -> Subject {
        Subject::local(GroupKind::git_repository(), "flux-system", "canary")
    }

    fn ask(annotation: Option<&str>, holding: Option<Holding>) -> Result<(), Refusal> {
        let object = json!({"metadata": {"annotations": {CONSENT: annotation}}});
        let survey = holding.map(|holding| Survey {
            commit: "c".to_owned(),
            files: BTreeMap::new(),
            holding,
            around: None,
        });
        let place = "branch `main` of `https://h/a`".to_owned();
        Consent::of("team-a", place, &[(&subject(), &object)])?.judge(survey.as_ref())
    }

    fn canaries(instances: &[&str]) -> Holding {
        Holding::Canaries(instances.iter().map(|it| (*it).to_owned()).collect())
    }

    #[test]
    fn s0_an_annotated_source_consents_to_its_instance_and_to_no_other() {
        let others = Some(Holding::Others("README.md".to_owned()));
        assert_eq!(ask(Some("team-a"), others.clone()), Ok(()));
        let refusal = ask(Some("team-b"), Some(canaries(&["team-a"]))).unwrap_err();
        assert_eq!(refusal.reason, "foreign_consent");
        assert!(refusal.message.contains("`team-b`"), "{}", refusal.message);
        let refusal = ask(None, others).unwrap_err();
        assert_eq!(refusal.reason, "no_consent");
        assert!(refusal.message.contains("`README.md`"), "{}", refusal.message);
        let command =
            "`kubectl annotate gitrepository -n flux-system canary hopclock.dev/canary=team-a`";
        assert!(refusal.message.ends_with(command), "{}", refusal.message);
    }

    #[test]
    fn s0_a_branch_that_holds_nothing_but_our_canaries_needs_no_annotation() {
        assert_eq!(ask(None, Some(canaries(&["team-a"]))), Ok(()));
        assert_eq!(ask(None, Some(canaries(&[]))), Ok(()), "an empty branch is nobody's");
        assert_eq!(ask(None, None).unwrap_err().reason, "no_consent");
        let refusal = ask(None, Some(canaries(&["team-a", "team-b"]))).unwrap_err();
        assert_eq!(refusal.reason, "foreign_canary");
        assert!(refusal.message.contains("`team-b`"), "{}", refusal.message);
    }

    #[test]
    fn s0_a_chart_repository_consents_to_its_place_and_the_release_to_the_chart() {
        let release = Subject::local(GroupKind::helm_release(), "apps", "web");
        let charts = Subject::local(GroupKind::source("HelmRepository"), "flux-system", "charts");
        let says = |it: Option<&str>| json!({"metadata": {"annotations": {CONSENT: it}}});
        let theirs = || Holding::Others("web-1.0.0".to_owned());
        let ask = |of_release: Option<&str>, of_charts: Option<&str>, holding: Holding| {
            let (one, all) = (says(of_release), says(of_charts));
            let (one, all) = ([(&release, &one)], [(&charts, &all)]);
            let consent = Consent::of_chart("team-a", "the chart `web`", &one, &all)?;
            let place = Consent::of("team-a", "branch `pages`".to_owned(), &all)?;
            consent.within(place).judge(Some(&Survey {
                commit: String::new(),
                files: BTreeMap::new(),
                holding,
                around: Some(theirs()),
            }))
        };
        let (ours, other) = (Some("team-a"), Some("team-b"));
        assert_eq!(ask(ours, ours, theirs()), Ok(()));
        assert_eq!(ask(None, ours, canaries(&["team-a"])), Ok(()));
        let refusal = ask(None, ours, theirs()).unwrap_err();
        assert!(refusal.message.contains("HelmRelease apps/web does not"), "{refusal:?}");
        let refusal = ask(ours, None, theirs()).unwrap_err();
        assert!(refusal.message.starts_with("branch `pages` holds `web-1.0.0`"), "{refusal:?}");
        assert!(refusal.message.contains("annotate helmrepository"), "{refusal:?}");
        assert_eq!(ask(None, other, canaries(&[])).unwrap_err().reason, "foreign_consent");
    }

    #[test]
    fn s0_where_no_source_could_consent_it_says_what_could() {
        let consent = Consent::of("team-a", "branch `main` of `u`".to_owned(), &[]).unwrap();
        let refusal = consent.judge(None).unwrap_err();
        assert!(refusal.message.contains("`hopclock.dev/canary: team-a`"), "{}", refusal.message);
    }
}
