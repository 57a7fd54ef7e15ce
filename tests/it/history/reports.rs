//! What a report counts, what it leaves out, and where it begins.

use crate::history::kit::{
    batch, delivered, hop, minutes_ago, noon, open, reached, run, seconds, timed_out, write,
};
use hopclock::engine::Store;
use hopclock::history::History;
use hopclock::history::report::{Question, Report, Row};
use hopclock::model::statistics::Time;
use hopclock::model::{Outcome, Passage, Span, Via};
use std::path::Path;

fn report(path: &Path) -> Report {
    History::open_read_only(path).unwrap().report(&Question::default()).unwrap()
}

fn row<'r>(report: &'r Report, hop: &str) -> &'r Row {
    report.scenarios[0].rows.iter().find(|it| it.hop == hop).unwrap()
}

#[tokio::test]
async fn t6_a_time_that_is_too_vague_is_counted_and_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.sqlite");
    let runs = [(1, 1.0), (2, 1.5), (3, 30.0)].map(|(minutes, most)| {
        let mut passage = reached(2.0, 1.0, None, None);
        if let Passage::Reached { stage, uncertain, .. } = &mut passage {
            *uncertain = minutes > 1;
            *stage = Some(Span { least: seconds(1.0).least, most: seconds(most).most });
        }
        run("fleet", minutes_ago(minutes), vec![hop("applied", passage)], Outcome::Ok, 2.0)
    });
    write(&path, runs.to_vec()).await;
    let report = report(&path);
    let measured = &row(&report, "applied").measured;
    assert_eq!((measured.count, measured.vague, measured.uncertain), (2, 1, 2));
    assert_eq!(measured.max, Some(Time::Measured(1.5)), "the upper bound counts");
}

#[tokio::test]
async fn a_failure_stands_behind_all_that_was_measured_and_skipped_runs_say_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.sqlite");
    let mut runs: Vec<_> =
        (1..=3).map(|it| delivered("fleet", minutes_ago(it), 5.0, 5.0, Via::Webhook)).collect();
    let mut failed = timed_out("fleet", minutes_ago(4));
    failed.record.outcome =
        Outcome::Failed { reason: "BuildFailed".to_owned(), subject: "a".to_owned() };
    failed.record.push_to_apply = Some(seconds(0.5));
    runs.push(failed);
    let mut superseded = timed_out("fleet", minutes_ago(5));
    superseded.record.outcome = Outcome::Superseded { by: "b".to_owned() };
    runs.push(superseded);
    write(&path, runs).await;
    let report = report(&path);
    let total = &row(&report, "total").measured;
    assert_eq!((total.count, total.beyond), (4, 1));
    assert_eq!(total.p50, Some(Time::Measured(10.0)));
    assert_eq!(total.max, Some(Time::Beyond(10.0)));
    // It stood at the fetch; the apply never began.
    let (fetch, apply) = (row(&report, "source_fetched"), row(&report, "applied"));
    assert_eq!((fetch.measured.count, fetch.measured.beyond), (4, 1));
    assert_eq!((apply.measured.count, apply.measured.unreached), (3, 1));
}

#[tokio::test]
async fn a_report_begins_where_runs_are_still_all_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.sqlite");
    let days = |it: i64| minutes_ago(it * 24 * 60);
    let runs = [
        delivered("fleet", days(40), 1.0, 1.0, Via::Webhook),
        timed_out("fleet", days(60)),
        timed_out("fleet", days(39)),
        delivered("fleet", days(2), 1.0, 1.0, Via::Webhook),
    ];
    open(&path).await.save(&batch(noon(), runs)).await.unwrap();
    let history = History::open_read_only(&path).unwrap();
    assert_eq!(history.runs(&hopclock::history::Filter::default()).unwrap().len(), 3);
    let report = report(&path);
    assert!(report.period.cut && report.period.since > Some(days(40)));
    assert_eq!(report.period.runs, 2, "the failure from before is left out");
}
