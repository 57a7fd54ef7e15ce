//! Who woke it: a webhook, a poll, a person; and whether webhooks still come.

use crate::dashboard::panel::{Look, Panel};
use crate::dashboard::promql::{counted, share};
use crate::dashboard::target::Target;
use crate::dashboard::variable::RANGE;
use crate::dashboard::view::{Colour, Steps, Unit, View};
use crate::export::Metric;

/// Of a share that should be zero where there is a webhook.
const RATHER_NOT: Steps = &[(0.0, Colour::Good), (0.1, Colour::Odd), (0.5, Colour::Worst)];

/// Hops that are woken from outside, not by what feeds them.
const FROM_OUTSIDE: &str = r#"via!="upstream""#;

/// How many changes had to wait for a poll.
pub(super) fn polled() -> Panel {
    let wakes = |via: &str| counted(Metric::HopWakes, via, "", RANGE);
    Panel::new(
        View::Numbers,
        Unit::Share,
        "Found by a poll",
        "Share of the fetches and scans that began because an interval was over, and not because a \
         webhook or a person asked. Where a webhook is set up this should be zero; without one it is \
         all of them, and the interval is what a change waits for.",
    )
    .coloured(&[(0.0, Colour::Good), (0.1, Colour::Odd), (0.5, Colour::Bad)])
    .sized(4, 5)
    .asks(Target::now("polled", share(&wakes(r#"via="interval""#), &wakes(FROM_OUTSIDE))))
}

/// Whether a webhook is dead.
pub(super) fn lost() -> Panel {
    let webhooks = |whose: &str| counted(Metric::Webhooks, whose, "", RANGE);
    let none = webhooks(r#"webhook="none""#);
    let all = webhooks(r#"webhook!="unready""#);
    Panel::new(
        View::Numbers,
        Unit::Share,
        "Webhooks that never came",
        "Share of the changes whose webhook never came, where a scenario names one and its Receiver was \
         ready. All of them: the webhook is dead, and everything fell back to polling. Its secret was \
         rotated on one side, its address has changed, or the host cannot reach it.",
    )
    .coloured(RATHER_NOT)
    .sized(4, 5)
    .asks(Target::now("lost", share(&none, &all)))
}

/// Who woke the hops, over time.
pub(super) fn wakes(width: u32) -> Panel {
    Panel::new(
        View::Bars,
        Unit::Count,
        "Who woke it",
        "How often each hop began because of a webhook, its own interval (a poll), a person or another \
         program (manual), or what feeds it (upstream). From webhooks to intervals: a webhook died.",
    )
    .sized(width, 8)
    .every("30m")
    .asks(Target::curve("{{hop}} by {{via}}", counted(Metric::HopWakes, "", "hop, via", "$__rate_interval")))
}

/// Whose webhooks came, over time.
pub(super) fn webhooks(width: u32) -> Panel {
    Panel::new(
        View::Bars,
        Unit::Count,
        "Webhooks",
        "Webhooks of our change (ours), or of somebody who calls the same Receiver (shared); changes \
         whose webhook never came (none), and those of which none could come because the Receiver was \
         suspended or not ready (unready).",
    )
    .sized(width, 8)
    .every("30m")
    .asks(Target::curve(
        "{{webhook}}",
        counted(Metric::Webhooks, "", "webhook", "$__rate_interval"),
    ))
    .field("ours", Look::In(Colour::Good))
    .field("shared", Look::In(Colour::Plain))
    .field("none", Look::In(Colour::Worst))
    .field("unready", Look::In(Colour::Odd))
}
