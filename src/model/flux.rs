//! How to read what Flux writes into its objects: conditions, requests, suspension.
//!
//! Sources: Flux's `apis/meta` (conditions, annotations), notification-controller's receiver
//! handlers (format of its requests), kustomize- and source-controller's status types.

use crate::model::State;
use regex_automata::meta::Regex;
use serde_json::Value;

/// Annotation that asks a Flux object to reconcile now.
pub const REQUESTED_AT: &str = "reconcile.fluxcd.io/requestedAt";

/// One entry of `status.conditions`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Condition<'a> {
    /// `True`, `False` or `Unknown`.
    pub status: &'a str,
    /// Machine-readable reason.
    pub reason: &'a str,
    /// Text for people.
    pub message: &'a str,
    /// The generation that it speaks of.
    pub observed_generation: Option<i64>,
}

/// The condition of a type, if the object has one.
#[must_use]
pub fn condition<'a>(object: &'a Value, kind: &str) -> Option<Condition<'a>> {
    let all = object["status"]["conditions"].as_array()?;
    let one = all.iter().find(|it| it["type"] == kind)?;
    Some(Condition {
        status: one["status"].as_str().unwrap_or("Unknown"),
        reason: one["reason"].as_str().unwrap_or(""),
        message: one["message"].as_str().unwrap_or(""),
        observed_generation: one["observedGeneration"].as_i64(),
    })
}

/// Whether the object is told to do nothing.
#[must_use]
pub fn is_suspended(object: &Value) -> bool {
    object["spec"]["suspend"] == true
}

/// Whether an Alert passes on a message, by its `inclusionList` and `exclusionList`. Patterns that
/// cannot be read count for nothing, as they do for notification-controller.
#[must_use]
pub fn passes_on(alert: &Value, message: &str) -> bool {
    let fits = |it: &Value| {
        let pattern = it.as_str().and_then(|it| Regex::new(it).ok());
        pattern.is_some_and(|it| it.is_match(message))
    };
    let list = |field: &str| alert["spec"][field].as_array().map_or(&[][..], Vec::as_slice);
    let (included, excluded) = (list("inclusionList"), list("exclusionList"));
    (included.is_empty() || included.iter().any(fits)) && !excluded.iter().any(fits)
}

/// Whether a label selector selects an object; a missing one selects all.
#[must_use]
pub fn selects(selector: &Value, labels: &Value) -> bool {
    let equal = selector["matchLabels"].as_object().into_iter().flatten();
    let expressions = selector["matchExpressions"].as_array().into_iter().flatten();
    let holds = |it: &Value| {
        let label = &labels[it["key"].as_str().unwrap_or_default()];
        let listed = it["values"].as_array().is_some_and(|all| all.contains(label));
        match it["operator"].as_str() {
            Some("In") => listed,
            Some("NotIn") => !listed,
            Some("Exists") => !label.is_null(),
            Some("DoesNotExist") => label.is_null(),
            _ => true,
        }
    };
    equal.into_iter().all(|(key, value)| labels[key] == *value)
        && expressions.into_iter().all(holds)
}

/// The request that stands in the object's annotations.
#[must_use]
pub fn requested(object: &Value) -> Option<&str> {
    object["metadata"]["annotations"][REQUESTED_AT].as_str().filter(|it| !it.is_empty())
}

/// The request that the object says it has handled.
#[must_use]
pub fn handled(object: &Value) -> Option<&str> {
    object["status"]["lastHandledReconcileAt"].as_str().filter(|it| !it.is_empty())
}

/// Whether the request that stands in the object's annotations came from a Receiver: it has a
/// Receiver's format and, where the object shows who wrote it, was written by
/// notification-controller (rule T11).
#[must_use]
pub fn is_from_receiver(object: &Value) -> bool {
    let Some(request) = requested(object) else { return false };
    let written_by = writer_of_request(object);
    is_receiver_format(request)
        && written_by.is_none_or(|it| it.contains("notification-controller"))
}

/// Whether the object works on something since it shows Reconciling with this reason.
#[must_use]
pub fn is_progressing(object: &Value) -> bool {
    condition(object, "Reconciling")
        .is_some_and(|it| it.status == "True" && it.reason == "Progressing")
}

/// Whether Flux gave up for good at the object's own generation.
#[must_use]
pub fn is_stalled(object: &Value) -> bool {
    condition(object, "Stalled").is_some_and(|it| {
        it.status == "True" && it.observed_generation == object["metadata"]["generation"].as_i64()
    })
}

/// Whether Flux gave up in `now`, and turned to that after publish began: a state that stood then
/// or came since had not given up.
#[must_use]
pub fn has_stalled(past: &[State], now: &State, began: Option<crate::model::Moment>) -> bool {
    let Some(began) = began else { return false };
    let stood = past.iter().rposition(|it| it.when.latest < began);
    is_stalled(&now.value)
        && stood.is_none_or(|stood| past[stood..].iter().any(|it| !is_stalled(&it.value)))
}

/// Whether a text has the format in which a Receiver writes requests, Go's `time.Time.String()`:
/// `2006-01-02 15:04:05.999999999 -0700 MST m=+12.345`.
#[must_use]
pub fn is_receiver_format(request: &str) -> bool {
    let parts: Vec<&str> = request.split(' ').collect();
    let [date, time, offset, zone, monotonic] = parts[..] else { return false };
    let digits = |text: &str| !text.is_empty() && text.chars().all(|it| it.is_ascii_digit());
    let shaped = |text: &str, separator: char, lengths: [usize; 3]| {
        let fields: Vec<&str> = text.split(separator).collect();
        fields.len() == 3 && fields.iter().zip(lengths).all(|(it, n)| it.len() == n && digits(it))
    };
    let (clock, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let seconds = monotonic.strip_prefix("m=").and_then(|it| it.strip_prefix(['+', '-']));
    shaped(date, '-', [4, 2, 2])
        && shaped(clock, ':', [2, 2, 2])
        && digits(fraction)
        && offset.strip_prefix(['+', '-']).is_some_and(|it| it.len() == 4 && digits(it))
        && !zone.is_empty()
        && seconds.is_some_and(|it| it.split('.').all(digits))
}

/// The field manager that last wrote the request, where the object shows field managers. The
/// cluster layer leaves of them only those who own the request.
fn writer_of_request(object: &Value) -> Option<&str> {
    object["metadata"]["managedFields"].as_array()?.last()?["manager"].as_str()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn t11_a_receivers_request_is_told_from_everybody_elses_by_its_format() {
        for ours in [
            "2026-08-07 13:04:19.123456789 +0000 UTC m=+86400.000000001",
            "2026-11-21 02:19:09.1941574 +0000 UTC m=+116.907177509",
            "2026-11-21 02:19:09 +0100 CET m=+3",
        ] {
            assert!(is_receiver_format(ours), "{ours}");
        }
        for other in [
            "2026-08-07T13:04:19.123456789Z",
            "1795228090.400463961",
            "2026-08-07 13:04:19.123456789 +0000 UTC",
            "now",
            "",
        ] {
            assert!(!is_receiver_format(other), "{other}");
        }
    }

    #[test]
    fn t11_a_request_in_the_receivers_format_written_by_somebody_else_is_no_webhook() {
        let request = "2026-11-21 02:19:09.1941574 +0000 UTC m=+116.907177509";
        let written_by = |manager: &str| {
            json!({"metadata": {
                "annotations": {REQUESTED_AT: request},
                "managedFields": [{"manager": manager}],
            }})
        };
        assert!(is_from_receiver(&written_by("notification-controller")));
        assert!(!is_from_receiver(&written_by("kubectl-annotate")));
        assert!(is_from_receiver(&json!({"metadata": {"annotations": {REQUESTED_AT: request}}})));
    }

    #[test]
    fn an_object_is_stalled_only_at_its_own_generation() {
        let at = |observed: i64| {
            json!({"metadata": {"generation": 2}, "status": {"conditions": [
                {"type": "Stalled", "status": "True", "reason": "URLInvalid", "observedGeneration": observed}
            ]}})
        };
        assert!(is_stalled(&at(2)));
        assert!(!is_stalled(&at(1)));
    }
}
