//! Is it waiting or work?
//!
//! Until when nobody had begun is measured where Flux shows it, and a fetch that a poll began is not
//! split: nothing shows how much of it was waiting. But that a poll ended it is known, and where a
//! webhook should have, nearly all of it was waiting. So here the time of such a hop has a name of its
//! own, by how often a poll was what began the work.

use crate::dashboard::hops::{HOP, beside, means, stages};
use crate::dashboard::panel::{Look, Panel};
use crate::dashboard::promql::{counted, number, share, sum};
use crate::dashboard::target::Target;
use crate::dashboard::variable::{RANGE, WINDOW};
use crate::dashboard::view::{Colour, Unit, View};
use crate::export::Metric;

const POLL: &str = "until a poll";

const SEEN: &str = "seen waiting";

const WORK: &str = "working, or not told apart";

const WHOLE: &str = "of";

/// How much of the time went by until a poll, or was seen waiting.
pub(super) fn waiting() -> Panel {
    Panel::new(
        View::NamedNumbers,
        Unit::Seconds,
        "Waiting",
        "Seconds of a change, on the mean, that went by in fetches and scans that a poll began, the \
         fetch itself included (until a poll), and in which nobody had begun to work as far as Flux \
         shows it (seen waiting), of those that all hops took. Where polls began only some, they get \
         their share of the mean: as they wait longer than the others, that is too little.",
    )
    .sized(4, 5)
    .asks(Target::now(POLL, until_a_poll(RANGE)))
    .asks(Target::now(SEEN, seen(RANGE)))
    .asks(Target::now(WHOLE, whole(RANGE)))
}

/// Waiting and work, on top of each other.
pub(super) fn wait_against_work(width: u32) -> Panel {
    let work = format!(
        "{} - ({} or vector(0)) - ({} or vector(0))",
        whole(WINDOW),
        until_a_poll(WINDOW),
        seen(WINDOW)
    );
    Panel::new(
        View::Stack,
        Unit::Seconds,
        "Waiting and working",
        "The mean time of all hops, as high as the stack of `Mean time per hop`: fetches and scans that \
         a poll began, the fetch itself included (until a poll); seconds in which nobody had begun to \
         work, as far as Flux shows it (seen waiting); and all others. Where polls began only some in \
         the window of a point, they get their share of the mean: as they wait longer than the others, \
         that is too little.",
    )
    .sized(width, 8)
    .every("5m")
    .asks(Target::curve(POLL, until_a_poll(WINDOW)))
    .asks(Target::curve(SEEN, seen(WINDOW)))
    .asks(Target::curve(WORK, work))
    .field(POLL, Look::In(Colour::Bad))
    .field(SEEN, Look::In(Colour::Odd))
    .field(WORK, Look::In(Colour::Good))
}

/// The mean times of all hops, added up.
fn whole(range: &str) -> String {
    sum("", &means("hop", range))
}

/// The part of these in which nobody had begun to work, as far as Flux shows it.
fn seen(range: &str) -> String {
    added_up(&seen_by_hop(range), range)
}

/// The part of the others that polls began: Flux shows no wait of these.
fn until_a_poll(range: &str) -> String {
    let wakes = |via: &str| counted(Metric::HopWakes, via, HOP, range);
    let polled = share(&wakes(r#"via="interval""#), &wakes(r#"via!="upstream""#));
    let others = format!("(({}) - {})", stages(range).mean(), seen_by_hop(range));
    added_up(&format!("{others} * ({polled})"), range)
}

fn seen_by_hop(range: &str) -> String {
    let waited = counted(Metric::StageWait, "", HOP, range);
    format!("({})", share(&waited, &format!("({})", stages(range).count())))
}

/// A part of the mean time of each hop, added up as the whole is: a hop without it counts as one with
/// none.
fn added_up(part: &str, range: &str) -> String {
    let beside = beside(range);
    let hops = number("hop", &format!("({}) > 0 unless {beside}", stages(range).count()));
    sum("", &format!("{} / {hops}", sum("hop", &format!("{part} unless {beside}"))))
}
