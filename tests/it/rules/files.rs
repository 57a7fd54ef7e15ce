//! The files that come out: those that are committed, what their tools say of them, and that every
//! alert can be understood by whoever is woken by it.

use crate::prometheus_kit::found;
use crate::rules::kit::objectives_of;
use hopclock::export::reference;
use hopclock::rules::{
    Alert, Arrival, Group, Metadata, Objective, Plan, Rule, Selector, Settings, installation,
    of_objectives, plan, prometheus, prometheus_rule, pyrra, sloth,
};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn objectives() -> Vec<Objective> {
    let all = [
        objectives_of("often", "{ every: 5m }", "{ within: 2m, objective: 99.5% }"),
        objectives_of("too", "{ every: 5m }", "{ within: 2m, objective: 99.5% }"),
        objectives_of("hourly", "{ every: 1h }", "{ within: 2m, objective: 99%, window: 28d }"),
        objectives_of("minutely", "{ every: 1m }", "{ within: 20s, objective: 95%, window: 4w }"),
        objectives_of("weekly-budget", "{ every: 5m }", "{ within: 2m, window: 7d }"),
    ];
    all.concat()
}

fn planned() -> Vec<(Objective, Plan)> {
    let with_plan = |it: Objective| (it.clone(), plan(&it).unwrap());
    objectives().into_iter().map(with_plan).collect()
}

fn everything(settings: &Settings) -> Vec<Group> {
    let mut groups = installation(settings);
    groups.extend(of_objectives(settings, &objectives()).unwrap());
    groups
}

fn alerts(groups: &[Group]) -> Vec<&Alert> {
    let rules = groups.iter().flat_map(|it| &it.rules);
    rules.filter_map(|it| if let Rule::Alert(it) = it { Some(it) } else { None }).collect()
}

/// Compares a committed file, or writes it where `UPDATE` is set.
fn committed(path: &str, text: &str) {
    let path = root().join(path);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, text).unwrap();
        return;
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        there == text,
        "{}: run `UPDATE=1 cargo test --test it rules::files` and commit",
        path.display()
    );
}

/// What promtool has to say against a rule file; nothing without promtool.
fn check(text: &str) {
    if !found("promtool") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rules.yaml");
    std::fs::write(&file, text).unwrap();
    let output = Command::new("promtool")
        .args(["check", "rules", "--lint=all", "--lint-fatal"])
        .arg(&file)
        .output()
        .unwrap();
    let told = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(output.status.success() && told.contains("SUCCESS"), "{told}");
}

#[test]
fn the_committed_files_are_what_the_command_writes() {
    let settings = Settings::default();
    let groups = installation(&settings);
    committed("deploy/rules/hopclock.yaml", &prometheus(&settings, &groups));
    let by = ["cluster", "namespace", "job"].map(str::to_owned);
    let pushed = Settings::new(&by, None, Arrival::Pushed).unwrap();
    let text = prometheus(&pushed, &installation(&pushed));
    committed("deploy/rules/hopclock-pushed.yaml", &text);
    let metadata = Metadata { name: "hopclock".to_owned(), ..Metadata::default() };
    committed("deploy/rules/prometheusrule.yaml", &prometheus_rule(&settings, &groups, &metadata));
}

#[test]
fn every_example_with_a_schedule_can_be_alerted_on() {
    let scenarios = hopclock::config::load_dir(&root().join("scenarios")).unwrap();
    let with_both = scenarios.iter().filter(|it| it.schedule.is_some() && it.slo.is_some());
    let mut count = 0;
    for it in with_both.flat_map(|it| hopclock::rules::objectives(it).unwrap()) {
        plan(&it).unwrap_or_else(|it| panic!("{it}"));
        count += 1;
    }
    assert!(count > 3, "{count}");
}

#[test]
fn promtool_has_nothing_to_say_against_any_form() {
    let selector: Selector = r#"job=~"hop.*", region!="eu""#.parse().unwrap();
    let by = ["job", "tenant"].map(str::to_owned);
    let narrow = Settings::new(&by, Some(selector), Arrival::Scraped).unwrap();
    let pushed = Settings::new(&by, None, Arrival::Pushed).unwrap();
    for settings in [Settings::default(), narrow, pushed] {
        check(&prometheus(&settings, &everything(&settings)));
    }
}

#[test]
fn no_scenario_takes_the_name_of_a_group_of_ours() {
    let settings = Settings::default();
    let names = ["budget", "totals", "recent", "alive", "upkeep", "slo", "slo-budget"];
    let of = |name: &str| objectives_of(name, "{ every: 5m }", "{ within: 2m }");
    let objectives: Vec<_> = names.into_iter().flat_map(of).collect();
    let mut groups = installation(&settings);
    groups.extend(of_objectives(&settings, &objectives).unwrap());
    let unique: BTreeSet<_> = groups.iter().map(|it| &it.name).collect();
    assert_eq!(unique.len(), groups.len(), "{unique:?}");
    check(&prometheus(&settings, &groups));
}

#[test]
fn an_object_of_the_operator_holds_the_same_groups() {
    let settings = Settings::default();
    let groups = installation(&settings);
    let metadata = Metadata {
        name: "rules".to_owned(),
        namespace: Some("monitoring".to_owned()),
        labels: [("release".to_owned(), "prometheus".to_owned())].into(),
    };
    let read = |text: &str| hopclock::config::to_json("rules.yaml", text).unwrap();
    let object = read(&prometheus_rule(&settings, &groups, &metadata));
    assert_eq!(object["apiVersion"], "monitoring.coreos.com/v1");
    assert_eq!(object["kind"], "PrometheusRule");
    assert_eq!(object["metadata"]["namespace"], "monitoring");
    assert_eq!(object["metadata"]["labels"]["release"], "prometheus");
    assert_eq!(object["spec"], read(&prometheus(&settings, &groups)));
}

#[test]
fn every_alert_says_what_is_wrong_and_has_a_runbook_and_every_runbook_an_alert() {
    let groups = everything(&Settings::default());
    let mut named = BTreeSet::new();
    for alert in alerts(&groups) {
        let name = alert.name;
        named.insert(format!("{name}.md"));
        assert!(name.starts_with("Hopclock"), "{name}");
        assert!(alert.summary.ends_with('.') && !alert.summary.contains("{{"), "{name}");
        assert!(alert.description.ends_with('.'), "{name}: {}", alert.description);
        assert!(alert.description.contains("{{"), "{name} says of every case the same");
        let runbook = root().join("docs/runbooks").join(format!("{name}.md"));
        let text =
            std::fs::read_to_string(&runbook).unwrap_or_else(|it| panic!("{runbook:?}: {it}"));
        for part in ["## Meaning", "## Impact", "## Find out", "## Mend"] {
            assert!(text.contains(part), "{runbook:?} lacks `{part}`");
        }
        assert!(text.starts_with(&format!("# {name}\n")), "{runbook:?}");
    }
    let files = root().join("docs/runbooks").read_dir().unwrap();
    let there: BTreeSet<_> =
        files.map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(there, named);
    let page = std::fs::read_to_string(root().join("docs/slo.md")).unwrap();
    for name in named {
        assert!(page.contains(&format!("(runbooks/{name})")), "docs/slo.md does not list {name}");
    }
}

#[test]
fn every_query_asks_for_what_there_is() {
    for arrival in [Arrival::Scraped, Arrival::Pushed] {
        let by = ["cluster", "namespace", "job"].map(str::to_owned);
        let groups = everything(&Settings::new(&by, None, arrival).unwrap());
        let rules = || groups.iter().flat_map(|it| &it.rules);
        let recorded: BTreeSet<&str> = rules()
            .filter_map(|it| if let Rule::Record(it) = it { Some(it.name.as_str()) } else { None })
            .collect();
        let page = std::fs::read_to_string(root().join("docs/slo.md")).unwrap();
        for name in recorded.iter().filter(|it| !it.contains(|it: char| it.is_ascii_digit())) {
            assert!(page.contains(&format!("`{name}`")), "docs/slo.md does not list `{name}`");
        }
        for rule in rules() {
            let mut known: BTreeSet<&str> = by.iter().map(String::as_str).collect();
            for (name, _) in asked(rule.expr()) {
                if let Some(labels) = labels_of(name) {
                    known.extend(labels);
                } else {
                    assert!(recorded.contains(name), "nobody records `{name}`");
                    // Their labels are those of the rules that record them.
                    known.extend(["scenario", "slo", "outcome", "target_cluster", "hop"]);
                    known.extend(["webhook", "notification"]);
                }
            }
            for (name, labels) in asked(rule.expr()) {
                let own = labels_of(name);
                for label in labels {
                    let is_its_own = own.is_none_or(|it| it.contains(&label));
                    assert!(known.contains(label) && is_its_own, "`{name}` has no label `{label}`");
                }
            }
            for label in grouped(rule.expr()) {
                assert!(known.contains(label), "nothing in `{}` has `{label}`", rule.expr());
            }
        }
    }
}

#[test]
fn a_spec_for_sloth_asks_for_windows_that_hold_enough_runs() {
    insta::assert_snapshot!(sloth(&Settings::default(), &planned()));
}

#[test]
fn objects_for_pyrra_alert_only_where_its_windows_hold_enough_runs() {
    let metadata = Metadata { name: "hopclock".to_owned(), ..Metadata::default() };
    insta::assert_snapshot!(pyrra(&Settings::default(), &planned(), &metadata));
}

/// The labels of a metric; none if it is recorded.
fn labels_of(name: &str) -> Option<&'static [&'static str]> {
    reference().into_iter().find(|it| it.name == name).map(|it| it.labels)
}

/// The series that a query asks for, with the labels that stand in their braces.
fn asked(query: &str) -> Vec<(&str, Vec<&str>)> {
    let is_name = |it: char| it.is_ascii_alphanumeric() || it == '_' || it == ':';
    let mut found = Vec::new();
    let mut rest = query;
    while let Some(at) = rest.find("hopclock") {
        rest = &rest[at..];
        let end = rest.find(|it| !is_name(it)).unwrap_or(rest.len());
        let (name, behind) = rest.split_at(end);
        let braces = behind.strip_prefix('{').and_then(|it| it.split_once('}'));
        let matchers = braces.map_or("", |it| it.0);
        let labels = matchers.split(", ").filter_map(|it| it.split(['=', '!']).next());
        found.push((name, labels.filter(|it| !it.is_empty()).collect()));
        rest = braces.map_or(behind, |it| it.1);
    }
    found
}

/// The labels in each `by (…)` and `on (…)` of a query.
fn grouped(query: &str) -> Vec<&str> {
    let lists = query.split("by (").chain(query.split("on (")).skip(1);
    let inner = lists.filter_map(|it| it.split_once(')')).map(|it| it.0);
    let labels = inner.flat_map(|it| it.split(", ")).map(str::trim);
    let is_label = |it: &str| it.chars().all(|it| it.is_ascii_lowercase() || it == '_');
    labels.filter(|it| !it.is_empty() && is_label(it)).collect()
}
