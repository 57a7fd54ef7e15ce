//! Says in a sentence what happened: the lines of a run's own log.

use crate::model::{Event, Origin, Outcome, Passage, Span, Underway};

/// What is said before a push.
const SENDING: &str = "the change is about to be sent";

/// The line of an event of a run, of which so much is known; none for what is no news of it.
pub(super) fn describe(event: &Event, run: &Underway) -> Option<String> {
    Some(match event {
        Event::Scheduled { due, origin: Origin::Schedule, .. } => {
            format!("the schedule asked for a run, due at {due}")
        }
        Event::Scheduled { origin: Origin::Request, .. } => "somebody asked for a run".to_owned(),
        Event::Started { canary, .. } if run.started.is_some() => {
            format!("hopclock is back, and goes on with run `{canary}`")
        }
        Event::Started { canary, .. } => format!("run `{canary}` opens its watches"),
        // One that goes on says so of a push that is behind it.
        Event::Publishing { .. } if run.log.iter().any(|it| it.text == SENDING) => return None,
        Event::Publishing { .. } => SENDING.to_owned(),
        Event::Published { revisions, attempts, .. } => {
            let revisions: Vec<String> = revisions.iter().map(|it| it.id().to_owned()).collect();
            let again = if *attempts > 1 { format!(", attempt {attempts}") } else { String::new() };
            format!("the push of {} was acknowledged{again}", revisions.join(", "))
        }
        Event::Reached { hop, passage, .. } => reached(hop, passage),
        Event::Failing { hop, reason: Some(reason), .. } => {
            format!("hop `{hop}` shows a failure: {reason}")
        }
        Event::Failing { hop, reason: None, .. } => {
            format!("hop `{hop}` shows no failure any more")
        }
        Event::Decided { slo, verdict, .. } => {
            format!("objective `{slo}` is counted as {}", verdict.as_str())
        }
        Event::Ended { outcome, .. } => format!("the outcome is fixed: {}", ended(outcome)),
        Event::Finished(record) => format!("the run is over: {}", ended(&record.outcome)),
        Event::Missed { .. }
        | Event::Positioned { .. }
        | Event::Witnessed { .. }
        | Event::Tidied { .. } => return None,
    })
}

fn reached(hop: &str, passage: &Passage) -> String {
    let Passage::Reached { at, via, carried_by, .. } = passage else {
        return format!("hop `{hop}` was passed");
    };
    let woken = via.map(|it| format!(", woken by {}", it.as_str())).unwrap_or_default();
    let carried = carried_by.as_ref().map(|it| format!(", carried by {it}")).unwrap_or_default();
    format!("hop `{hop}` was reached {} after the push{woken}{carried}", length(*at))
}

fn length(span: Span) -> String {
    let (least, most) = (span.least.as_secs_f64(), span.most.as_secs_f64());
    if span.is_exact() { format!("{most:.3} s") } else { format!("{least:.3} s to {most:.3} s") }
}

fn ended(outcome: &Outcome) -> String {
    match outcome {
        Outcome::ProbeError(error) => format!("{}: {}", outcome.as_str(), error.message),
        Outcome::Failed { reason, subject } => {
            format!("{}: {subject} says {reason}", outcome.as_str())
        }
        Outcome::Superseded { by } => format!("{} by {by}", outcome.as_str()),
        Outcome::Ok | Outcome::Slow | Outcome::Timeout | Outcome::Skipped(_) => {
            outcome.as_str().to_owned()
        }
    }
}
