//! Deadlines and objectives that do not fit together (rule O2).

use super::{Findings, schedule};
use crate::config::file::ScenarioFile;
use crate::config::mistake::Mistake;
use crate::config::node::Step::{self, Item, Key};
use crate::model::Duration;

/// Looks at every length of time.
pub(super) fn check(file: &ScenarioFile, findings: &mut Findings<'_>) {
    if file.deadline.0.is_zero() {
        findings.value(&[Key("deadline")], Mistake::NoTime { key: "deadline" });
    }
    if let Some(slo) = &file.slo {
        let way = [Key("slo"), Key("within")];
        objective(&way, "the objective", slo.within, file.deadline, findings);
    }
    for (index, hop) in file.hops.iter().enumerate() {
        if let Some(within) = hop.shared.within {
            let way = [Key("hops"), Item(index), Key("within")];
            let what = format!("the objective of `{}`", hop.name());
            objective(&way, &what, within, file.deadline, findings);
        }
    }
    if let Some(schedule) = &file.schedule {
        schedule::check(file, schedule, findings);
    }
}

fn objective(
    way: &[Step<'_>],
    what: &str,
    within: Duration,
    deadline: Duration,
    findings: &mut Findings<'_>,
) {
    if within.0.is_zero() {
        findings.value(way, Mistake::NoTime { key: "within" });
    } else if within > deadline && !deadline.0.is_zero() {
        let what = what.to_owned();
        findings.value(way, Mistake::AboveDeadline { what, within, deadline });
    }
}
