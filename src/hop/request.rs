//! Finds the request or generation behind a fetch, and the first sign that it was taken up.

use crate::model::{Arrival, State, Via, When, flux};

/// What made a source look, as the event that moved its revision tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// A request, by the value that the event echoes.
    Request(String),
    /// A new generation of the object.
    Generation(i64),
    /// The object's own interval.
    Interval,
    /// The event was missed, or what came before it.
    Missed,
}

/// Reads from the event that moved the revision what made the source look (rule T11).
pub(super) fn cause(past: &[State], now: &State) -> Cause {
    let Some(before) = past.last().filter(|_| now.arrival == Arrival::Next) else {
        return Cause::Missed;
    };
    if let Some(request) = echo(before, now) {
        return Cause::Request(request.to_owned());
    }
    let observed = |it: &State| it.value["status"]["observedGeneration"].as_i64();
    match observed(now) {
        Some(generation) if observed(before) != Some(generation) => Cause::Generation(generation),
        _ => Cause::Interval,
    }
}

/// Who woke the source (rule T11).
pub(super) fn via(past: &[State], now: &State) -> Via {
    match cause(past, now) {
        Cause::Request(request) => match state_of_request(past, now, &request) {
            Some(state) if flux::is_from_receiver(&state.value) => Via::Webhook,
            None if flux::is_receiver_format(&request) => Via::Webhook,
            _ => Via::Manual,
        },
        Cause::Generation(_) => Via::Manual,
        Cause::Interval => Via::Interval,
        Cause::Missed => Via::Unknown,
    }
}

/// When somebody started on the request or generation behind the fetch (rule T10): the first
/// state since it stood there that turned to progressing. None for an interval fetch.
pub(super) fn started(past: &[State], now: &State) -> Option<When> {
    let stands: Box<dyn Fn(&State) -> bool> = match cause(past, now) {
        Cause::Request(request) => {
            Box::new(move |it| flux::requested(&it.value) == Some(request.as_str()))
        }
        Cause::Generation(generation) => {
            Box::new(move |it| it.value["metadata"]["generation"].as_i64() == Some(generation))
        }
        Cause::Interval | Cause::Missed => return None,
    };
    let states = || past.iter().chain([now]);
    let turned = |(before, it): (Option<&State>, &State)| {
        let began = flux::is_progressing(&it.value);
        began && !before.is_some_and(|before| flux::is_progressing(&before.value))
    };
    let before = std::iter::once(None).chain(states().map(Some));
    let mut pairs = before.zip(states()).skip_while(|(_, it)| !stands(it));
    pairs.find(|pair| turned(*pair)).map(|(_, it)| it.when)
}

/// The first state in whose annotations a request stood.
pub(super) fn state_of_request<'a>(
    past: &'a [State],
    now: &'a State,
    request: &str,
) -> Option<&'a State> {
    past.iter().chain([now]).find(|it| flux::requested(&it.value) == Some(request))
}

/// The request that a state says is handled and the state before it did not.
pub(super) fn echo<'a>(before: &State, now: &'a State) -> Option<&'a str> {
    let handled = flux::handled(&now.value)?;
    (flux::handled(&before.value) != Some(handled)).then_some(handled)
}
