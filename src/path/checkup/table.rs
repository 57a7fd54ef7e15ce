//! Every finding that there is: its name, how grave it is, and when it is said. The README's table
//! is made of this one.

use serde::Serialize;

/// How grave a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Something does not work, or no run can.
    Error,
    /// Something is slower or less certain than its owner may think.
    Warning,
    /// Worth knowing.
    Note,
}

/// What is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Check {
    /// Its name, which stays the same from version to version.
    pub id: &'static str,
    /// How grave it is.
    pub severity: Severity,
    /// When it is said.
    pub when: &'static str,
}

// === impl Severity ===

impl Severity {
    /// As it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

macro_rules! checks {
    ($($name:ident $severity:ident $id:literal $when:literal;)*) => {
        $(
            #[doc = $when]
            pub const $name: Check = Check { id: $id, severity: Severity::$severity, when: $when };
        )*
        /// All of them, in the order of the README.
        pub const CHECKS: &[Check] = &[$($name),*];
    };
}

checks! {
    RECEIVER_DEAD_END Error "receiver_dead_end"
        "a Receiver names an object that is not there: every call is answered 500";
    RECEIVER_API_VERSION Error "receiver_api_version"
        "a Receiver does not say the `apiVersion` of a kind that needs one: every call is answered 500";
    RECEIVER_BARE_WILDCARD Error "receiver_bare_wildcard"
        "a Receiver names `*` without `matchLabels`: every call is answered 500";
    RECEIVER_FORBIDDEN Error "receiver_forbidden"
        "a Receiver names an object of another namespace, and notification-controller forbids that";
    RECEIVER_NOT_READY Error "receiver_not_ready"
        "a Receiver is not ready: every call is answered 503";
    RECEIVER_PATH Error "receiver_path"
        "the address that a Receiver shows is not the one that its token makes: webhooks go astray";
    RECEIVER_UNREACHABLE Error "receiver_unreachable"
        "nobody answers for a Receiver at the address given with `--webhooks`";
    RECEIVER_CROSS_NAMESPACE Warning "receiver_cross_namespace"
        "a Receiver names an object of another namespace, and whether that is allowed cannot be seen";
    RECEIVER_SELECTS_NOTHING Warning "receiver_selects_nothing"
        "no object has the labels that a Receiver asks for: calls are answered 200 and do nothing";
    RECEIVER_IN_VAIN Warning "receiver_in_vain"
        "a Receiver asks a HelmRepository of type `oci` to look, which Flux never reconciles";
    SOURCE_UNWOKEN Note "source_unwoken"
        "no Receiver asks a source or an ImageRepository to look: it looks at its interval only";
    MISSING_UPSTREAM Error "missing_upstream"
        "an object needs another one that is not there";
    SUSPENDED Warning "suspended"
        "an object on a path is suspended";
    NOT_READY Warning "not_ready"
        "an object on a path says that it is not ready";
    SHARD_UNSERVED Error "shard_unserved"
        "no controller's `--watch-label-selector` takes an object: nobody reconciles it";
    SHARD_UNKNOWN Warning "shard_unknown"
        "an object is left to a shard, and the controllers cannot be seen";
    CONTROLLER_DOWN Error "controller_down"
        "a controller of Flux has no replica that is available";
    OLD_API Warning "old_api"
        "the image kinds are served in a version before `v1`";
    OBJECTIVE_OUT_OF_REACH Error "objective_out_of_reach"
        "what polls on a scenario's path takes longer than its objective allows";
    OBJECTIVE_NEEDS_WEBHOOK Note "objective_needs_webhook"
        "a scenario holds its objective only while no webhook is lost";
    DEPENDS_ON_LOOP Error "depends_on_loop"
        "an applier depends on itself in the end, so nothing of it is ever applied";
    DEPENDS_ON_CHAIN Warning "depends_on_chain"
        "an applier depends on others, and asks for them again after a fixed time at each level";
    VALUES_UNWATCHED Warning "values_unwatched"
        "values come from an object without the label by which it wakes who takes them";
    WAITS_FOR_HEALTH Note "waits_for_health"
        "a Kustomization waits for health, which is asked for every 5 s: times of `applied` are so coarse";
    AUTOMATION_WITHOUT_POLICY Warning "automation_without_policy"
        "an ImageUpdateAutomation selects no ImagePolicy";
    POLICY_UNUSED Note "policy_unused"
        "no ImageUpdateAutomation selects an ImagePolicy";
    AUTOMATION_ELSEWHERE Note "automation_elsewhere"
        "an automation pushes to another branch than the one that is fetched: somebody has to merge";
    ALERT_WITHOUT_PROVIDER Error "alert_without_provider"
        "an Alert names a Provider that is not there";
    ALERT_DEAD_END Warning "alert_dead_end"
        "an Alert names an object that is not there, or labels that none has";
    NO_CONSENT Note "no_consent"
        "no source and no policy consents to the canaries of this instance";
    UNSEEN Note "unseen"
        "something could not be looked at, so nothing is said of it";
    RIGHT_MISSING Error "right_missing"
        "a run of a scenario needs a right that is not given";
    RIGHT_ADVISED Warning "right_advised"
        "a run does without a right, and knows or keeps less";
    APPLIER_RIGHT_MISSING Error "applier_right_missing"
        "the service account of an applier may not apply the canary";
    APPLIER_RIGHT_UNKNOWN Note "applier_right_unknown"
        "whether the service account of an applier may apply the canary, we may not ask";
    WOULD_NOT_RUN Error "would_not_run"
        "a run of a scenario would end before it pushes: the sentence is the run's own";
    CLOCK_SKEW Warning "clock_skew"
        "our clock and that of the API server are more than 5 s apart";
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_name_is_given_once_and_fit_for_a_label() {
        let names: BTreeSet<_> = CHECKS.iter().map(|it| it.id).collect();
        assert_eq!(names.len(), CHECKS.len());
        let fits = |it: char| it.is_ascii_lowercase() || it == '_';
        assert!(names.iter().all(|it| it.chars().all(fits)), "{names:?}");
    }
}
