//! What an answer to a call says: one sentence for each, with what would mend it.
//!
//! A Receiver's own answers are known, and have no body. Whatever else answers stands in front of it,
//! or is another server of notification-controller's.

use crate::remote::webhook::{Answer, Voice};
use crate::trigger::Error;

/// What a call was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// It was to have its effect: 200 is good.
    Effect,
    /// It was to be answered with this status and to have no effect.
    Preflight(u16),
}

/// Says whether an answer is the good one. `receiver` is its kind and name, `host` where it was
/// called.
pub(super) fn judge(
    answer: Answer,
    purpose: Purpose,
    receiver: &str,
    host: &str,
) -> Result<(), Error> {
    let good = match purpose {
        Purpose::Effect => answer == Answer { status: 200, voice: Voice::Silent },
        Purpose::Preflight(status) => answer == Answer { status, voice: Voice::Silent },
    };
    if good {
        return Ok(());
    }
    let known = of_flux(answer, purpose, receiver, host);
    let (reason, message) = known.unwrap_or_else(|| of_front(answer, host));
    Err(Error { reason, message })
}

/// What the servers of notification-controller say; none if it is not one of them that spoke.
fn of_flux(
    answer: Answer,
    purpose: Purpose,
    receiver: &str,
    host: &str,
) -> Option<(&'static str, String)> {
    Some(match (answer.status, answer.voice) {
        (200, Voice::Silent) => (
            "preflight_accepted",
            format!(
                "`{host}` answered 200 to a call that {receiver} has to refuse: something else \
                 answers there, or the Receiver's type was changed just now"
            ),
        ),
        (202, _) => (
            "event_server",
            format!(
                "`{host}` answered 202, which no Receiver does: the event server of \
                 notification-controller got the call, so events vanish there; point the ingress to \
                 the Service `webhook-receiver`, not `notification-controller`"
            ),
        ),
        // Nothing was signed, and nobody is at that path who could refuse it.
        (400, Voice::Silent) if purpose == Purpose::Preflight(404) => (
            "event_server",
            format!(
                "`{host}` answered 400 where no Receiver is: the event server of \
                 notification-controller got the call, so events vanish there; point the ingress to \
                 the Service `webhook-receiver`, not `notification-controller`"
            ),
        ),
        (400, Voice::Silent) => (
            "webhook_refused",
            format!(
                "{receiver} refused a call that was signed with the token of its Secret (400): see \
                 that its Secret is there and was not exchanged just now, that `spec.events` allows \
                 the event, and that no proxy changes the body"
            ),
        ),
        (404, Voice::Silent) => (
            "receiver_not_found",
            format!(
                "`{host}` knows no Receiver at the path of {receiver} (404 without a body): another \
                 cluster's Flux answers there, something adds a query, or the Receiver was made anew"
            ),
        ),
        (500, Voice::Silent) => (
            "receiver_failed",
            format!(
                "{receiver} let the call in and could not annotate all that it lists (500): a \
                 resource is missing, lies in another namespace that is not allowed, or needs an \
                 `apiVersion`; what stands before it in `spec.resources` was woken"
            ),
        ),
        (503, Voice::Silent) => (
            "receiver_not_ready",
            format!(
                "{receiver} is suspended or not ready (503): see its condition Ready, and whether its \
                 Secret is there"
            ),
        ),
        _ => return None,
    })
}

/// What stands in front of it says.
fn of_front(answer: Answer, host: &str) -> (&'static str, String) {
    let Answer { status, voice } = answer;
    match (status, voice) {
        (200, _) => (
            "page_in_front",
            format!(
                "`{host}` answered 200 with a page, and a Receiver's answers have none: an ingress or \
                 something else took the call, and woke nothing; let it lead `/hook/` to the Service \
                 `webhook-receiver`"
            ),
        ),
        (404, Voice::GoRouter) => (
            "hook_path_lost",
            format!(
                "a server in Go answered at `{host}`, and the call was not below `/hook/` when it got \
                 there (404): let the ingress pass the path on as it is, to the Service \
                 `webhook-receiver`"
            ),
        ),
        (404, _) => (
            "not_routed",
            format!(
                "a page of something else answered at `{host}` (404): no rule of the ingress leads \
                 `/hook/` of this host to the Service `webhook-receiver`"
            ),
        ),
        (413, _) => (
            "body_too_large",
            format!(
                "`{host}` takes no body of a few hundred bytes (413), and Flux takes 3 MiB: raise the \
                 limit of the proxy in front of it"
            ),
        ),
        (429, _) => (
            "rate_limited",
            format!(
                "`{host}` answered 429, which no Receiver does: a proxy limits the rate, or the event \
                 server of notification-controller got the call; see where the ingress leads"
            ),
        ),
        (502 | 504, _) => (
            "bad_gateway",
            format!(
                "the proxy at `{host}` does not reach the Receivers ({status}): see whether \
                 notification-controller runs, and whether a NetworkPolicy lets the ingress reach its \
                 port 9292"
            ),
        ),
        (503, _) => (
            "no_endpoints",
            format!(
                "the proxy at `{host}` has nobody to pass the call to (503 with a page): see whether \
                 notification-controller runs, and whether the Service `webhook-receiver` selects it"
            ),
        ),
        (300..=399, _) => (
            "redirected",
            format!(
                "`{host}` sends callers elsewhere ({status}), and git hosts do not follow: give the \
                 final address, most often with `https://`"
            ),
        ),
        (401 | 403, _) => (
            "login_in_front",
            format!(
                "something in front of the Receivers at `{host}` wants a login ({status}), which no \
                 git host has: let `/hook/` through without one"
            ),
        ),
        _ => (
            "unexpected_answer",
            format!(
                "`{host}` answered {status}, which no Receiver does: see what stands in front of it"
            ),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Voice::{GoRouter, Other, Silent};

    fn reason(status: u16, voice: Voice, purpose: Purpose) -> &'static str {
        let judged = judge(Answer { status, voice }, purpose, "Receiver a/b", "h");
        judged.map_or_else(
            |it| {
                assert!(it.message.contains("`h`") || it.message.contains("Receiver a/b"));
                it.reason
            },
            |()| "good",
        )
    }

    #[test]
    fn each_answer_is_told_apart() {
        let (signed, any) = (Purpose::Preflight(400), Purpose::Preflight(404));
        for (status, voice, expected) in [
            (200, Silent, ["good", "preflight_accepted", "preflight_accepted"]),
            (200, Other, ["page_in_front"; 3]),
            (202, Silent, ["event_server"; 3]),
            (301, Silent, ["redirected"; 3]),
            (400, Silent, ["webhook_refused", "good", "event_server"]),
            (400, Other, ["unexpected_answer"; 3]),
            (401, Other, ["login_in_front"; 3]),
            (404, Silent, ["receiver_not_found", "receiver_not_found", "good"]),
            (404, GoRouter, ["hook_path_lost"; 3]),
            (404, Other, ["not_routed"; 3]),
            (413, Silent, ["body_too_large"; 3]),
            (429, Silent, ["rate_limited"; 3]),
            (500, Silent, ["receiver_failed"; 3]),
            (500, Other, ["unexpected_answer"; 3]),
            (502, Other, ["bad_gateway"; 3]),
            (503, Silent, ["receiver_not_ready"; 3]),
            (503, Other, ["no_endpoints"; 3]),
            (418, Other, ["unexpected_answer"; 3]),
        ] {
            let found = [Purpose::Effect, signed, any].map(|it| reason(status, voice, it));
            assert_eq!(found, expected, "{status} {voice:?}");
        }
    }
}
