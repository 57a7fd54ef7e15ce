//! Runs as a `JUnit` report, which every CI system shows as tests: a suite for each run, with a case for
//! the delivery, for each objective and for each hop.
//!
//! There is no standard. What is written is what the schemas of Jenkins and GitLab have in common
//! (<https://github.com/testmoapp/junitxml>). An undelivered change is a `failure`, a run that could
//! not measure an `error`, and what says nothing of the delivery is `skipped`.

use crate::model::{HopRecord, Outcome, Passage, Revision, RunRecord, SloVerdict};
use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};
use std::io::{self, Write};

/// What a case comes to, beside that it was there.
enum Verdict {
    /// It is as it should be.
    Passed,
    /// It was measured, and is not.
    Failed(String),
    /// It could not be measured.
    Broken(String),
    /// It says nothing.
    Skipped(String),
}

struct Case {
    name: String,
    seconds: f64,
    verdict: Verdict,
}

/// The report of runs, the whole XML document.
#[must_use]
pub fn junit(runs: &[RunRecord]) -> String {
    let mut xml = Writer::new_with_indent(Vec::new(), b' ', 2);
    // Nothing keeps a list of bytes from growing, and only text is written.
    let _ = write(&mut xml, runs);
    let mut bytes = xml.into_inner();
    bytes.push(b'\n');
    String::from_utf8_lossy(&bytes).into_owned()
}

fn write(xml: &mut Writer<Vec<u8>>, runs: &[RunRecord]) -> io::Result<()> {
    xml.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let suites: Vec<(&RunRecord, Vec<Case>)> = runs.iter().map(|it| (it, cases(it))).collect();
    let all: Vec<&Case> = suites.iter().flat_map(|it| &it.1).collect();
    let mut head = xml.create_element("testsuites").with_attribute(("name", "hopclock"));
    for (name, value) in counts(&all) {
        head = head.with_attribute((name, value.as_str()));
    }
    head.write_inner_content(|xml| {
        for (run, cases) in &suites {
            write_suite(xml, run, cases)?;
        }
        Ok(())
    })?;
    Ok(())
}

fn write_suite<W: Write>(xml: &mut Writer<W>, run: &RunRecord, cases: &[Case]) -> io::Result<()> {
    let mut suite = xml.create_element("testsuite").with_attribute(("name", &*run.scenario));
    for (name, value) in counts(&cases.iter().collect::<Vec<_>>()) {
        suite = suite.with_attribute((name, value.as_str()));
    }
    let started = run.started.strftime("%Y-%m-%dT%H:%M:%S").to_string();
    let seconds = seconds(cases[0].seconds);
    suite = suite.with_attribute(("time", &*seconds)).with_attribute(("timestamp", &*started));
    suite.write_inner_content(|xml| {
        xml.create_element("properties").write_inner_content(|xml| {
            let revisions = run.push.iter().flat_map(|it| &it.revisions).map(Revision::id);
            let canary = run.canary.to_string();
            let named = [("canary", canary.as_str()), ("outcome", run.outcome.as_str())];
            for it in named.into_iter().chain(revisions.map(|it| ("revision", it))) {
                let property = xml.create_element("property").with_attribute(("name", it.0));
                property.with_attribute(("value", it.1)).write_empty()?;
            }
            Ok(())
        })?;
        cases.iter().try_for_each(|it| write_case(xml, run, it))
    })?;
    Ok(())
}

fn write_case<W: Write>(xml: &mut Writer<W>, run: &RunRecord, case: &Case) -> io::Result<()> {
    let seconds = seconds(case.seconds);
    let named = [("classname", &*run.scenario), ("name", &*case.name), ("time", &*seconds)];
    let element = xml.create_element("testcase").with_attributes(named);
    let (kind, message) = match &case.verdict {
        Verdict::Passed => return element.write_empty().map(drop),
        Verdict::Failed(message) => ("failure", message),
        Verdict::Broken(message) => ("error", message),
        Verdict::Skipped(message) => ("skipped", message),
    };
    let message = legal(message);
    element.write_inner_content(|xml| {
        let why = xml.create_element(kind).with_attribute(("message", &*message));
        if kind == "skipped" {
            return why.write_empty().map(drop);
        }
        let why = why.with_attribute(("type", run.outcome.as_str()));
        why.write_text_content(BytesText::new(&message)).map(drop)
    })?;
    Ok(())
}

/// The counts of a suite, as attributes.
fn counts(cases: &[&Case]) -> [(&'static str, String); 4] {
    let of = |fits: fn(&Verdict) -> bool| {
        cases.iter().filter(|it| fits(&it.verdict)).count().to_string()
    };
    [
        ("tests", cases.len().to_string()),
        ("failures", of(|it| matches!(it, Verdict::Failed(_)))),
        ("errors", of(|it| matches!(it, Verdict::Broken(_)))),
        ("skipped", of(|it| matches!(it, Verdict::Skipped(_)))),
    ]
}

/// The cases of a run: the delivery first.
fn cases(run: &RunRecord) -> Vec<Case> {
    let took = run.push_to_apply.map_or(0.0, |it| it.most.as_secs_f64());
    let delivery = Case {
        name: "delivery".to_owned(),
        seconds: took,
        verdict: match &run.outcome {
            Outcome::Ok => Verdict::Passed,
            Outcome::Slow | Outcome::Failed { .. } | Outcome::Timeout => {
                Verdict::Failed(run.outcome.to_string())
            }
            Outcome::Superseded { .. } | Outcome::Skipped(_) => {
                Verdict::Skipped(run.outcome.to_string())
            }
            Outcome::ProbeError(error) => Verdict::Broken(error.message.clone()),
        },
    };
    let objectives = run.slo.iter().map(|it| Case {
        name: format!("objective {}", it.slo),
        seconds: 0.0,
        verdict: match it.verdict {
            SloVerdict::Good => Verdict::Passed,
            SloVerdict::Bad => Verdict::Failed(format!("objective `{}` missed", it.slo)),
            SloVerdict::Unknown => Verdict::Skipped("could not be decided".to_owned()),
        },
    });
    let hops = run.hops.iter().map(|it| hop(run, it));
    [delivery].into_iter().chain(objectives).chain(hops).collect()
}

/// The case of a hop: only the delivery says whether that was bad.
fn hop(run: &RunRecord, hop: &HopRecord) -> Case {
    let verdict = match &hop.passage {
        Passage::Reached { .. } => Verdict::Passed,
        Passage::Bypassed => Verdict::Skipped("not seen, though the change went on".to_owned()),
        Passage::Unreached if run.outcome.is_measurement() => {
            Verdict::Skipped("not reached".to_owned())
        }
        Passage::Unreached => Verdict::Skipped("the run ended before it".to_owned()),
    };
    let seconds = hop.passage.stage().map_or(0.0, |it| it.most.as_secs_f64());
    let cluster = &hop.target_cluster;
    let name = if cluster.is_empty() {
        format!("hop {}", hop.hop)
    } else {
        format!("hop {} in {cluster}", hop.hop)
    };
    Case { name, seconds, verdict }
}

fn seconds(length: f64) -> String {
    format!("{length:.3}")
}

/// The text without what XML 1.0 has no way to write.
fn legal(text: &str) -> String {
    let fits = |it: &char| !it.is_control() || matches!(it, '\t' | '\n' | '\r');
    text.chars().filter(fits).filter(|it| !matches!(it, '\u{fffe}' | '\u{ffff}')).collect()
}
