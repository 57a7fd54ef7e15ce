//! The JUnit report of runs that ended in every way.

use super::{exactly, failed, hop, reached, run};
use crate::export::junit;
use crate::model::{Outcome, Passage, ProbeError, RunRecord, Skip, SloRecord, SloVerdict};
use quick_xml::Reader;
use quick_xml::events::Event;

fn of(outcome: Outcome, verdict: SloVerdict) -> RunRecord {
    let hops = vec![
        hop("webhook_received", Passage::Bypassed),
        hop("source_fetched", reached(exactly(2.5))),
        hop("live", Passage::Unreached),
    ];
    let took = outcome.is_measurement().then(|| exactly(3.25));
    let slo = vec![SloRecord { slo: "total".to_owned(), verdict }];
    RunRecord { slo, ..run(outcome, took, hops) }
}

#[test]
fn a_report_has_a_suite_for_each_run_and_a_case_for_each_thing() {
    let fast = of(Outcome::Ok, SloVerdict::Good);
    let slow = of(Outcome::Slow, SloVerdict::Bad);
    insta::assert_snapshot!(junit(&[fast, slow]), @r#"
    <?xml version="1.0" encoding="UTF-8"?>
    <testsuites name="hopclock" tests="10" failures="2" errors="0" skipped="4">
      <testsuite name="fleet" tests="5" failures="0" errors="0" skipped="2" time="3.250" timestamp="1970-01-01T00:00:00">
        <properties>
          <property name="canary" value="hopclock-1a1fbe67da8"/>
          <property name="outcome" value="ok"/>
        </properties>
        <testcase classname="fleet" name="delivery" time="3.250"/>
        <testcase classname="fleet" name="objective total" time="0.000"/>
        <testcase classname="fleet" name="hop webhook_received in prod" time="0.000">
          <skipped message="not seen, though the change went on"/>
        </testcase>
        <testcase classname="fleet" name="hop source_fetched in prod" time="2.500"/>
        <testcase classname="fleet" name="hop live in prod" time="0.000">
          <skipped message="not reached"/>
        </testcase>
      </testsuite>
      <testsuite name="fleet" tests="5" failures="2" errors="0" skipped="2" time="3.250" timestamp="1970-01-01T00:00:00">
        <properties>
          <property name="canary" value="hopclock-1a1fbe67da8"/>
          <property name="outcome" value="slow"/>
        </properties>
        <testcase classname="fleet" name="delivery" time="3.250">
          <failure message="slow" type="slow">slow</failure>
        </testcase>
        <testcase classname="fleet" name="objective total" time="0.000">
          <failure message="objective `total` missed" type="slow">objective `total` missed</failure>
        </testcase>
        <testcase classname="fleet" name="hop webhook_received in prod" time="0.000">
          <skipped message="not seen, though the change went on"/>
        </testcase>
        <testcase classname="fleet" name="hop source_fetched in prod" time="2.500"/>
        <testcase classname="fleet" name="hop live in prod" time="0.000">
          <skipped message="not reached"/>
        </testcase>
      </testsuite>
    </testsuites>
    "#);
}

#[test]
fn only_what_was_not_delivered_fails_and_only_a_broken_prober_is_an_error() {
    let error = |message: &str| {
        let (reason, message) = ("push_refused".to_owned(), message.to_owned());
        Outcome::ProbeError(ProbeError { reason, message })
    };
    let suspended = Skip::SuspendedDuring { subject: String::new() };
    for (outcome, head) in [
        (Outcome::Ok, r#"failures="0" errors="0" skipped="2""#),
        (Outcome::Timeout, r#"failures="1" errors="0" skipped="2""#),
        (failed(), r#"failures="1" errors="0" skipped="2""#),
        (Outcome::Superseded { by: "abc".to_owned() }, r#"failures="0" errors="0" skipped="3""#),
        (Outcome::Skipped(suspended), r#"failures="0" errors="0" skipped="3""#),
        (error("no"), r#"failures="0" errors="1" skipped="2""#),
    ] {
        let record = RunRecord { slo: vec![], ..of(outcome, SloVerdict::Good) };
        let text = junit(&[record]);
        assert!(text.contains(&format!(r#"<testsuite name="fleet" tests="4" {head}"#)), "{text}");
    }
    assert!(junit(&[]).contains(r#"tests="0""#));
}

/// Whatever a server says: the report stays one document, and says it.
#[test]
fn what_others_say_cannot_break_the_report() {
    let message = "]]> <a href=\"x\">&amp;\u{0}\u{1b}[31m 'quoted' \u{ffff} zwölf".to_owned();
    let error = ProbeError { reason: "push_refused".to_owned(), message };
    let text = junit(&[of(Outcome::ProbeError(error), SloVerdict::Unknown)]);
    let mut reader = Reader::from_str(&text);
    let mut said = Vec::new();
    loop {
        match reader.read_event().unwrap() {
            Event::Eof => break,
            Event::Start(it) if it.name().as_ref() == b"error" => {
                let message = it.try_get_attribute("message").unwrap().unwrap();
                let value = String::from_utf8(message.value.into_owned()).unwrap();
                said.push(quick_xml::escape::unescape(&value).unwrap().into_owned());
            }
            _ => (),
        }
    }
    assert_eq!(said, ["]]> <a href=\"x\">&amp;[31m 'quoted'  zwölf"]);
}
