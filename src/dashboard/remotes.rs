//! What hopclock does to others: requests, what it leaves behind; and what comes in.

use crate::dashboard::panel::{Look, Panel};
use crate::dashboard::promql::{counted, since, stands};
use crate::dashboard::target::Target;
use crate::dashboard::view::{Colour, Unit, View};
use crate::export::Metric;

/// What was asked of remotes.
pub(super) fn requests(width: u32) -> Panel {
    Panel::new(
        View::Bars,
        Unit::Count,
        "Requests to remotes",
        "Requests that runs sent to the remotes that they push to, tokens and tidying up included, and \
         how often these asked for patience. If they do, make the period longer.",
    )
    .sized(width, 8)
    .every("30m")
    .asks(Target::curve(
        "{{scenario}}",
        counted(Metric::RemoteRequests, "", "scenario", "$__rate_interval"),
    ))
    .asks(Target::curve(
        "asked for patience",
        counted(Metric::RemoteThrottled, "", "", "$__rate_interval"),
    ))
    .field("asked for patience", Look::In(Colour::Worst))
}

/// What runs have left behind.
pub(super) fn leftovers(width: u32) -> Panel {
    Panel::new(
        View::Curves,
        Unit::Count,
        "Left behind",
        "Canaries beyond those that stay, such as tags, that were still there after the last run. \
         `hopclock gc` says which, and takes them away.",
    )
    .sized(width, 8)
    .asks(Target::curve("{{scenario}}", stands(Metric::Leftovers, "", "scenario")))
}

/// What came to the listener.
pub(super) fn notifications() -> Panel {
    Panel::new(
        View::Bars,
        Unit::Count,
        "Notifications of Flux",
        "What became of the notifications that reached the listener: heard, a run waited for it; \
         unawaited, of other changes; all others were refused. Of scenarios with a hop `notified`, some \
         should be heard.",
    )
    .sized(12, 8)
    .every("30m")
    .asks(Target::curve(
        "{{result}}",
        counted(Metric::Notifications, "", "result", "$__rate_interval"),
    ))
}

/// Whether Flux's notifications of our changes came.
pub(super) fn notified(width: u32) -> Panel {
    Panel::new(
        View::Bars,
        Unit::Count,
        "Notifications of our changes",
        "Delivered changes whose notification came (heard), and those of which Flux told nobody, though \
         they were delivered (lost). Lost ones: look at the Alert, its Provider, and who may reach the \
         listener. Nothing is shown for scenarios without a hop `notified`.",
    )
    .sized(width, 8)
    .every("30m")
    .asks(Target::curve(
        "{{notification}}",
        counted(Metric::HopNotifications, "", "notification", "$__rate_interval"),
    ))
    .field("heard", Look::In(Colour::Good))
    .field("lost", Look::In(Colour::Worst))
}

/// What became of what was sent out.
pub(super) fn exports() -> Panel {
    Panel::new(
        View::Bars,
        Unit::Count,
        "Exports",
        "What became of the metrics, runs and events that hopclock sends out itself, way by way: sent; \
         failed, the other end did not take them; dropped, they were never sent. Of metrics, a later \
         export makes up for both.",
    )
    .sized(12, 8)
    .every("30m")
    .asks(Target::curve(
        "{{way}} {{result}}",
        counted(Metric::Exports, "", "way, result", "$__rate_interval"),
    ))
}

/// How long nothing was sent out.
pub(super) fn last_exports() -> Panel {
    Panel::new(
        View::Curves,
        Unit::Seconds,
        "Since the last export",
        "How long ago something was last sent out, way by way. It grows while the other end is away; \
         ways that send runs also while there are none.",
    )
    .sized(12, 8)
    .asks(Target::curve("{{way}}", since(&stands(Metric::ExportSuccess, "", "way"))))
}
