//! Whether objectives can be met at all, and what on a path is not as it should be.

use crate::model::{GroupKind, Subject};
use crate::path::graph::{Graph, Link, Request};
use crate::path::plan::stage::{By, is_applier, shown};
use crate::path::plan::{Course, PlannedHop, Sum};
use std::collections::BTreeSet;
use std::time::Duration;

/// What is taken for granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    /// No webhook is on the path.
    Plain,
    /// All webhooks arrive.
    Webhooks,
    /// None does.
    Lost,
}

/// What becomes of an objective.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// Which objective: `total`, or a hop.
    pub slo: String,
    /// The objective.
    pub within: Duration,
    /// Share of the changes that should hold it.
    pub objective: f64,
    /// What becomes of it in each case.
    pub cases: Vec<Prospect>,
}

/// What becomes of an objective in one case.
#[derive(Clone, Debug, PartialEq)]
pub struct Prospect {
    /// The case.
    pub case: Case,
    /// Whether it can be met.
    pub met: Met,
    /// Share of the changes whose waits alone are within it; none if that cannot be planned.
    pub share: Option<f64>,
    /// How long all work together may take for the objective to be met.
    pub room: Option<Duration>,
    /// The same as a sentence.
    pub sentence: String,
}

/// Whether an objective can be met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Met {
    /// Even after the longest wait there is room for work.
    Always,
    /// Often enough, though some changes wait longer.
    OftenEnough,
    /// The waits alone miss it too often.
    Not,
    /// Not to be planned.
    Unknown,
}

// === impl Case ===

impl Case {
    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Webhooks => "webhooks",
            Self::Lost => "webhooks_lost",
        }
    }

    /// What is taken for granted, as the begin of a sentence.
    fn given(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Webhooks => "with its webhooks ",
            Self::Lost => "without its webhooks ",
        }
    }
}

// === impl Met ===

impl Met {
    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::OftenEnough => "often_enough",
            Self::Not => "not",
            Self::Unknown => "unknown",
        }
    }
}

// === impl Verdict ===

impl Verdict {
    pub(super) fn of(
        slo: &str,
        within: Duration,
        objective: f64,
        cases: &[(Case, Option<Sum>)],
        spared: Option<&str>,
    ) -> Self {
        let prospect = |(case, sum): &(Case, Option<Sum>)| {
            let fix = spared.filter(|_| *case != Case::Lost);
            prospect(*case, sum.as_ref(), within, objective, fix)
        };
        let cases = cases.iter().map(prospect).collect();
        Self { slo: slo.to_owned(), within, objective, cases }
    }
}

fn prospect(
    case: Case,
    sum: Option<&Sum>,
    within: Duration,
    objective: f64,
    fix: Option<&str>,
) -> Prospect {
    let given = case.given();
    let Some(sum) = sum else {
        let sentence = format!("{given}it cannot be planned: see above");
        return Prospect { case, met: Met::Unknown, share: None, room: None, sentence };
    };
    let (share, worst) = (sum.share(within), sum.worst());
    let late = percent(1.0 - share);
    let room = within.saturating_sub(sum.quantile(objective));
    let (met, sentence) = if worst < within {
        let left = shown(within.saturating_sub(worst));
        let longest = shown(worst);
        let sentence = if worst.is_zero() {
            format!("{given}it can be met: there is no wait, and {left} for the work")
        } else {
            format!(
                "{given}it can be met: the longest wait is {longest}, which leaves {left} for the \
                 work"
            )
        };
        (Met::Always, sentence)
    } else if share >= objective && !room.is_zero() {
        let sentence = format!(
            "{given}it can be met if the work takes no longer than {}: even if that took no time, \
             {late} of the changes would miss it",
            shown(room)
        );
        (Met::OftenEnough, sentence)
    } else {
        let (least, worst, most) = (shown(sum.least()), shown(worst), shown(within));
        let fix = fix.map(|it| format!("; {it}")).unwrap_or_default();
        let sentence = format!(
            "{given}it cannot be met: waits are {least} to {worst}, and {late} of the changes wait \
             longer than {most}{fix}"
        );
        (Met::Not, sentence)
    };
    Prospect { case, met, share: Some(share), room: Some(room), sentence }
}

/// The cases that there are.
pub(super) fn cases(sums: &[Option<Sum>; 2], woken: bool) -> Vec<(Case, Option<Sum>)> {
    let [with, lost] = sums.clone();
    if woken { vec![(Case::Webhooks, with), (Case::Lost, lost)] } else { vec![(Case::Plain, with)] }
}

/// What would spare the longest wait for an interval on the way to a hop.
pub(super) fn spared(hops: &[PlannedHop], course: &Course, at: usize) -> Option<String> {
    let mut before = BTreeSet::from([at]);
    super::gather(course, at, &mut before);
    let stages = before.iter().flat_map(|it| &hops[*it].stages);
    let polls = stages.filter(|it| it.by == By::Interval);
    let longest = polls.max_by_key(|it| it.interval)?;
    Some(if is_applier(&longest.subject) {
        format!("label the values of {} to be watched", longest.subject)
    } else {
        format!("a Receiver for {} would spare its interval", longest.subject)
    })
}

/// What whoever runs the scenario has to know.
pub(super) fn warnings(
    graph: &Graph,
    course: &Course,
    hops: &[PlannedHop],
    total: &[(Case, Option<Sum>)],
) -> Vec<String> {
    let mut warnings: Vec<String> =
        total.iter().filter_map(|it| deadline(it.0, it.1.as_ref()?, course.deadline)).collect();
    let stages = || hops.iter().flat_map(|it| &it.stages);
    let longest = stages().filter(|it| it.interval.is_some()).max_by_key(|it| it.interval);
    if let (Some(jitter), Some(longest)) = (course.jitter, longest)
        && let Some(interval) = longest.interval.filter(|it| jitter < *it)
    {
        warnings.push(format!(
            "the jitter of {} is less than the longest interval on the path, the {} of {}: runs \
             may keep in step with it, and measure one phase of it for ever",
            shown(jitter),
            shown(interval),
            longest.subject
        ));
    }
    let mut subjects: Vec<&Subject> = stages().map(|it| &it.subject).collect();
    subjects.extend(&course.entry);
    subjects.sort();
    subjects.dedup();
    for subject in subjects {
        about(graph, subject, &mut warnings);
    }
    warnings
}

fn deadline(case: Case, sum: &Sum, deadline: Duration) -> Option<String> {
    let late = 1.0 - sum.share(deadline);
    let what = format!(
        "{}{} of the changes wait longer than the deadline of {}: such runs end as `timeout`",
        case.given(),
        percent(late),
        shown(deadline)
    );
    (sum.worst() >= deadline && late > 0.0).then_some(what)
}

/// What is not as it should be at an object.
fn about(graph: &Graph, subject: &Subject, warnings: &mut Vec<String>) {
    let facts = graph.facts(subject);
    if facts.suspended {
        warnings.push(format!("{subject} is suspended: runs are `skipped` until it is resumed"));
    }
    for edge in graph.into(subject) {
        let from = &edge.from;
        let warning = match edge.link {
            Link::Wakes(Request::Vain) => format!(
                "{from} points at {subject}, which Flux never reconciles: point it at the HelmChart, \
                 or use an OCIRepository"
            ),
            Link::Wakes(Request::Failing) => format!(
                "{from} answers 500, for it does not say the `apiVersion` of {subject}: add it to \
                 its `spec.resources`"
            ),
            Link::Wakes(Request::Obeyed) if graph.facts(from).suspended => {
                format!("{from} is suspended: no webhook arrives")
            }
            Link::Configures if graph.node(from).is_some() && !graph.facts(from).watched => {
                let after = facts.interval.map(|it| format!(" of {}", shown(it)));
                format!(
                    "{from} gives values to {subject} and does not wake it: a change of it alone \
                     waits for that one's interval{}, unless it has the label \
                     `reconcile.fluxcd.io/watch: Enabled`",
                    after.unwrap_or_default()
                )
            }
            Link::Precedes if subject.kind == GroupKind::kustomization() => {
                let fed: BTreeSet<_> = graph.fed_by(subject).collect();
                if !graph.facts(from).waits || !graph.fed_by(from).any(|it| fed.contains(it)) {
                    continue;
                }
                format!(
                    "{subject} waits for the health of what {from} applies, too: 30s more for each \
                     30s that it takes"
                )
            }
            _ => continue,
        };
        warnings.push(warning);
    }
}

/// A share as people read it.
pub(super) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    match percent {
        it if it <= 0.0 => "none".to_owned(),
        it if it < 0.1 => "less than 0.1%".to_owned(),
        it if it < 9.95 => format!("{it:.1}%"),
        it => format!("{it:.0}%"),
    }
}
