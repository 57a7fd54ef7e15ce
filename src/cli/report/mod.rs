//! `hopclock report`: how long each hop takes, and whether that has changed.

mod html;
mod markdown;
mod text;
mod words;

use crate::cli::args::{ReportArguments, ReportOutput};
use crate::cli::history::refuse;
use crate::cli::{Exit, complain, print, state_dir};
use crate::engine::SystemClock;
use crate::history::History;
use crate::history::report::{Question, Window};
use crate::model::Clock;
use jiff::SignedDuration;

/// How far a comparison looks to both sides of an instant, unless told.
const AROUND: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Prints a report.
pub(super) fn report(arguments: &ReportArguments) -> anyhow::Result<Exit> {
    let clock = SystemClock::new();
    let question = match question(arguments, &clock) {
        Ok(question) => question,
        Err(wrong) => {
            complain(&wrong);
            return Ok(Exit::Usage);
        }
    };
    let path = state_dir::history(arguments.database.db.clone());
    let report = History::open_read_only(&path).and_then(|it| it.report(&question));
    let report = match report {
        Ok(report) => report,
        Err(error) => return Ok(refuse(&error)),
    };
    let text = match arguments.output {
        ReportOutput::Text => text::draw(&report),
        ReportOutput::Json => serde_json::to_string_pretty(&report)? + "\n",
        ReportOutput::Markdown => markdown::draw(&report),
        ReportOutput::Html => html::draw(&report),
    };
    print(&text).map(|()| Exit::Delivered)
}

/// What the arguments ask.
fn question(arguments: &ReportArguments, clock: &dyn Clock) -> Result<Question, String> {
    let instant = |it: Option<crate::cli::since::Since>| it.map(|it| it.instant(clock));
    let (since, until) = (instant(arguments.since), instant(arguments.until));
    let compare = (instant(arguments.compare_since), instant(arguments.compare_until));
    let (period, before) = match (instant(arguments.around), compare) {
        (Some(turn), _) => {
            let begin = since.or_else(|| turn.checked_sub(AROUND).ok());
            let end = until.or_else(|| turn.checked_add(AROUND).ok());
            let earlier = Window { since: begin, until: Some(turn) };
            (Window { since: Some(turn), until: end }, Some(earlier))
        }
        (None, (None, None)) => (Window { since, until }, None),
        (None, (begin, end)) => {
            let end = end
                .or(since)
                .ok_or("say where the periods part, with `--since` or `--compare-until`")?;
            (
                Window { since: since.or(Some(end)), until },
                Some(Window { since: begin, until: Some(end) }),
            )
        }
    };
    for it in [Some(period), before].into_iter().flatten() {
        if let (Some(since), Some(until)) = (it.since, it.until)
            && since >= until
        {
            return Err(format!(
                "a period from {since} to {until} has no runs: its end must be later"
            ));
        }
    }
    if let Some(before) = before
        && before.until > period.since
    {
        return Err(
            "the periods overlap: the one to compare with must end before the other begins"
                .to_owned(),
        );
    }
    Ok(Question { scenario: arguments.scenario.clone(), period, before })
}
