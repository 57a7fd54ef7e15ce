//! `hopclock rules` as it is called: its files, and what it says against bad ones.

use crate::cli::kit::{HOPS, Page, SOURCE, check, hopclock, scenario, told};
use insta::assert_snapshot;
use std::path::Path;

#[tokio::test]
async fn without_a_file_it_writes_what_is_committed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (format, file) in [("prometheus", "hopclock"), ("prometheus-rule", "prometheusrule")] {
        let told = told(hopclock(root, &["rules", "--format", format])).await;
        let there = std::fs::read_to_string(root.join(format!("deploy/rules/{file}.yaml")));
        assert_eq!((told.code, told.err.as_str()), (Some(0), ""));
        assert_eq!(told.out, there.unwrap());
    }
}

#[tokio::test]
async fn with_files_it_adds_the_alerts_of_their_objectives_and_says_who_has_none() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    let text = bare();
    write("without.yaml", &text.replace("name: canary", "name: without"));
    write("with.yaml", &(text + "schedule: { every: 15m }\nslo: { within: 10s }\n"));
    let call = ["rules", ".", "--only-objectives", "--dashboard", "https://grafana.example/d/1"];
    let told = told(hopclock(folder.path(), &call)).await;
    assert_eq!(told.code, Some(0), "{told:?}");
    assert_eq!(told.err, "note: scenario `without` has no objective (`slo`)\n");
    check(|| assert_snapshot!("rules_of_one_objective", told.out));
}

#[tokio::test]
async fn what_cannot_be_alerted_on_is_refused_and_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    let text = bare();
    write("none.yaml", &text);
    write("on-demand.yaml", &format!("{text}slo: {{ within: 10s }}\n"));
    let slo = |objective| {
        format!(
            "{text}schedule: {{ every: 15m }}\nslo: {{ within: 10s, objective: {objective} }}\n"
        )
    };
    write("high.yaml", &slo("99.9%"));
    write("all.yaml", &slo("100%"));
    let mut page = Page::default();
    for arguments in [
        ["none.yaml"].as_slice(),
        &["on-demand.yaml"],
        &["high.yaml"],
        &["all.yaml"],
        &["missing.yaml"],
        &["--format", "sloth"],
        &["--format", "pyrra", "none.yaml"],
        &["--only-objectives"],
        &["--by", "cluster,1st"],
        &["--selector", "job=hopclock"],
    ] {
        let call = [&["rules"], arguments].concat();
        let told = told(hopclock(folder.path(), &call)).await;
        assert_eq!((told.code, told.out.as_str()), (Some(2), ""), "{told:?}");
        page.add(&arguments.join(" "), told.err.trim_end());
    }
    check(|| assert_snapshot!("rules_refused", page.text()));
}

/// A scenario without objective and schedule.
fn bare() -> String {
    let text = scenario("canary", SOURCE, HOPS);
    let (head, _) = text.split_once("slo:").unwrap();
    head.to_owned()
}
