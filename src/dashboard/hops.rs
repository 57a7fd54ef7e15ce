//! Which hop takes the time?

use crate::dashboard::panel::{Look, Panel};
use crate::dashboard::promql::{Measured, average, counted, grown, share, stands};
use crate::dashboard::target::Target;
use crate::dashboard::variable::{RANGE, WINDOW};
use crate::dashboard::view::{Colour, PLAIN, Steps, Unit, View};
use crate::export::Metric;

/// The quantiles that are shown. With the few runs there are, higher ones are the slowest run.
const QUANTILES: [(f64, &str); 2] = [(0.5, "half"), (0.9, "nine of ten")];

/// Of what should not happen.
const NEVER: Steps = &[(0.0, Colour::Plain), (0.5, Colour::Odd)];

/// Of a share of polls.
const POLLED: Steps = &[(0.0, Colour::Plain), (0.1, Colour::Odd), (0.5, Colour::Bad)];

/// What tells hops from each other.
pub(super) const HOP: &str = "scenario, target_cluster, hop";

/// A length that says how much can be read from a quantile that few runs made.
pub(super) const DAY: &str = "1d";

/// The hop with the longest mean.
pub(super) fn slowest() -> Panel {
    Panel::new(
        View::NamedNumbers,
        Unit::Seconds,
        "Slowest hop",
        "The hop that takes longest on the mean, counted from the hops before it, over the time range \
         of the dashboard. Hops that nothing waits for are left out.",
    )
    .sized(4, 5)
    .asks(Target::now(
        "{{hop}} of {{scenario}}",
        format!("topk(1, {})", means("scenario, hop", RANGE)),
    ))
}

/// The mean of each hop, on top of each other: where the time goes.
pub(super) fn stack(width: u32) -> Panel {
    let whole = Measured::new(Metric::PushToApply, "", WINDOW).only(r#"outcome=~"ok|slow""#);
    Panel::new(
        View::Stack,
        Unit::Seconds,
        "Mean time per hop",
        "Where the time goes from push to live: the mean time of each hop since the hops before it, \
         over the window of each point. Hops that run beside others (a webhook beside the fetch, \
         `applied` beside `live`) are left out. The dashed line is the mean of delivered changes from \
         push to live. For one scenario with one cluster the stack is as high as that while every change \
         is delivered; changes that get stuck count for the hops that they reached, and in no line.",
    )
    .sized(width, 10)
    .every("5m")
    .asks(Target::curve("{{hop}}", means("hop", WINDOW)))
    .asks(Target::curve("push to live", whole.mean()))
    .field("push to live", Look::Line(Colour::Plain))
}

/// Every hop with its numbers, in the order of their length.
pub(super) fn table(width: u32) -> Panel {
    let by = HOP;
    let stages = Measured::new(Metric::StageDuration, by, RANGE);
    let wakes = |via: &str| counted(Metric::HopWakes, via, by, RANGE);
    let waited = counted(Metric::StageWait, "", by, RANGE);
    let polled = share(&wakes(r#"via="interval""#), &wakes(r#"via!="upstream""#));
    Panel::new(
        View::Table,
        Unit::Count,
        "Hop by hop",
        "Each hop over the time range of the dashboard. A fetch that takes long and was found by a \
         poll, while the webhook never came, waited for the next poll: look at the Receiver and at \
         the secret of its webhook.",
    )
    .sized(width, 10)
    .label("scenario", "Scenario")
    .label("target_cluster", "Cluster")
    .label("hop", "Hop")
    .sorted("Mean")
    .column("Mean", Unit::Seconds, PLAIN, stages.mean())
    .column(
        "Of it seen waiting",
        Unit::Seconds,
        PLAIN,
        share(&waited, &format!("({})", stages.count())),
    )
    .column("Found by a poll", Unit::Share, POLLED, polled)
    .column("Webhook never came", Unit::Count, NEVER, never_came(by))
    .column("Passed unseen", Unit::Count, PLAIN, counted(Metric::HopBypassed, "", by, RANGE))
    .column("Samples", Unit::Count, PLAIN, stages.count())
}

/// Quantiles of each hop, with how many samples they are made of.
pub(super) fn quantiles() -> Panel {
    let stages = Measured::new(Metric::StageDuration, "hop", DAY);
    let panel = Panel::new(
        View::Curves,
        Unit::Seconds,
        "Quantiles of each hop",
        "How long half and nine of ten changes took at each hop, looking back a whole day from each \
         point: in an hour there are too few. How many samples of each hop that \
         are stands on the right.",
    )
    .sized(16, 9)
    .every("10m");
    let panel = QUANTILES.into_iter().fold(panel, |panel, (q, word)| {
        panel.asks(Target::curve(&format!("{{{{hop}}}}, {word}"), stages.quantile(q)))
    });
    panel.asks(Target::curve("{{hop}}, samples", stages.count())).answers(Look::Of(Unit::Count))
}

/// How many samples of each hop the histograms hold, and what stayed out of them.
pub(super) fn samples() -> Panel {
    let by = "hop";
    let of = |metric| counted(metric, "", by, RANGE);
    Panel::new(
        View::Table,
        Unit::Count,
        "Samples of each hop",
        "What the numbers of each hop are made of, over the time range of the dashboard, and what \
         stayed out of them: changes that passed unseen, came in another order, were lost again, \
         never got there, or were timed too vaguely.",
    )
    .sized(8, 9)
    .label("hop", "Hop")
    .column("Samples", Unit::Count, PLAIN, Measured::new(Metric::StageDuration, by, RANGE).count())
    .column("Unseen", Unit::Count, PLAIN, of(Metric::HopBypassed))
    .column("Reordered", Unit::Count, PLAIN, of(Metric::HopReordered))
    .column("Lost again", Unit::Count, NEVER, of(Metric::HopReverted))
    .column("Unreached", Unit::Count, NEVER, of(Metric::StageUnreached))
    .column("Vague", Unit::Count, PLAIN, of(Metric::UncertainHops))
}

/// Where changes got stuck.
pub(super) fn unreached() -> Panel {
    Panel::new(
        View::Bars,
        Unit::Count,
        "Changes that did not get there",
        "Hops that a change did not reach, by how its run ended. The first hop of a bar is where it \
         got stuck, those behind it follow.",
    )
    .sized(12, 8)
    .every("30m")
    .asks(Target::curve(
        "{{hop}} ({{outcome}})",
        counted(Metric::StageUnreached, "", "hop, outcome", "$__rate_interval"),
    ))
}

/// The push itself, which is not part of the delivery.
pub(super) fn push() -> Panel {
    let push = Measured::new(Metric::StageDuration, "", WINDOW).only(r#"hop="push""#);
    Panel::new(
        View::Curves,
        Unit::Seconds,
        "The push itself",
        "From sending the change to its acknowledgement, which is where the delivery begins to be \
         timed. A slow push is the git host's or the registry's.",
    )
    .sized(12, 8)
    .every("5m")
    .asks(Target::curve("mean", push.mean()))
}

/// Hops that the runs under way wait for.
pub(super) fn waited_for() -> Panel {
    Panel::new(
        View::States,
        Unit::Name,
        "Waiting for",
        "Hops that a run under way has not seen yet. A long bar is where it is stuck.",
    )
    .coloured(&[(0.0, Colour::Nothing), (1.0, Colour::Odd)])
    .says(&[(0, "no", Colour::Nothing), (1, "waiting", Colour::Odd)])
    .sized(12, 8)
    .every("1m")
    .asks(Target::curve("{{hop}}", stands(Metric::HopWaiting, "", "hop")))
}

/// The mean times of the hops that follow each other from push to live, by labels: of all but the push,
/// which comes before, and those beside the way. Scenarios and clusters count alike, however many runs
/// they have.
pub(super) fn means(by: &str, range: &str) -> String {
    average(by, &format!("({}) unless {}", stages(range).mean(), beside(range)))
}

/// How long hops took, but the push.
pub(super) fn stages(range: &str) -> Measured {
    Measured::new(Metric::StageDuration, HOP, range).only(r#"hop!="push""#)
}

/// Hops that run beside others: webhooks and notifications, which nothing waits for, and `applied` where
/// something shows that the change is live, which is before Flux says that it was applied. Of the last
/// no metric but the hop's name tells, which is its kind unless somebody chose another one.
pub(super) fn beside(range: &str) -> String {
    let of = |metric, more| grown(metric, more, range);
    let webhooks = of(Metric::Webhooks, r#"webhook="none""#);
    let notices = of(Metric::HopNotifications, r#"notification="lost""#);
    let applied = of(Metric::HopBypassed, r#"hop=~"applied.*""#);
    let live = of(Metric::HopBypassed, r#"hop=~"(live|rolled_out).*""#);
    format!(
        "on ({HOP}) ({webhooks} or {notices} or ({applied} and on (scenario, \
         target_cluster) {live}))"
    )
}

fn never_came(by: &str) -> String {
    counted(Metric::Webhooks, r#"webhook="none""#, by, RANGE)
}
