//! What the tests of rules share: stories that promtool plays against them.

use crate::prometheus_kit::found;
use crate::rules::world::World;
use hopclock::config::{self, Scenario};
use hopclock::model::Timetable;
use hopclock::rules::{Objective, Settings, installation, objectives, of_objectives, prometheus};
use std::fmt::Write;
use std::process::Command;

/// Series, and which alerts fire when.
pub(crate) struct Story {
    name: String,
    step: u32,
    series: Vec<(String, String)>,
    /// Queries with the minute at which they are made, and what they yield.
    checks: Vec<(String, u32, String)>,
}

/// Rules for every scenario and for the objectives of one.
pub(crate) struct Rulebook {
    text: String,
}

// === impl Story ===

impl Story {
    /// Of series that come every so many minutes.
    pub(crate) fn new(name: &str, step: u32) -> Self {
        Self { name: name.to_owned(), step, series: Vec::new(), checks: Vec::new() }
    }

    /// Of a simulated scenario.
    pub(crate) fn of(name: &str, world: World) -> Self {
        let mut story = Self::new(name, world.step);
        story.series = world.series();
        story
    }

    /// With another series.
    pub(crate) fn with(mut self, series: &str, values: &str) -> Self {
        self.series.retain(|it| it.0 != series);
        self.series.push((series.to_owned(), values.to_owned()));
        self
    }

    /// At this minute exactly these alerts fire.
    pub(crate) fn fire(mut self, minute: u32, alerts: &[&str]) -> Self {
        let query = r#"group by (alertname) (ALERTS{alertstate="firing"})"#.to_owned();
        self.checks.push((query, minute, names(alerts)));
        self
    }

    /// Until this minute no others have fired than these, and these have.
    pub(crate) fn have_fired(self, minute: u32, alerts: &[&str]) -> Self {
        self.have_fired_of("alertstate=\"firing\"", minute, alerts)
    }

    /// The same of alerts that page.
    pub(crate) fn have_paged(self, minute: u32, alerts: &[&str]) -> Self {
        self.have_fired_of("alertstate=\"firing\", severity=\"critical\"", minute, alerts)
    }

    /// At this minute a query yields one value, or nothing.
    pub(crate) fn yields(mut self, minute: u32, query: &str, value: Option<f64>) -> Self {
        let samples =
            value.map_or("[]".to_owned(), |it| format!("[{{labels: '{{}}', value: {it}}}]"));
        self.checks.push((query.to_owned(), minute, samples));
        self
    }

    fn have_fired_of(mut self, matchers: &str, minute: u32, alerts: &[&str]) -> Self {
        let query = format!(
            "group by (alertname) (last_over_time(ALERTS{{{matchers}}}[{}m]))",
            minute.max(1)
        );
        self.checks.push((query, minute, names(alerts)));
        self
    }
}

// === impl Rulebook ===

impl Rulebook {
    /// The rules of no scenario.
    pub(crate) fn general() -> Self {
        Self::of(&[])
    }

    /// The rules with those of these objectives.
    pub(crate) fn of(objectives: &[Objective]) -> Self {
        Self::without(&[], objectives)
    }

    /// All alerts. What is left of a month's budget is only shown to people, and takes promtool longer
    /// than all else.
    pub(crate) fn of_alerts(objectives: &[Objective]) -> Self {
        Self::without(&["hopclock-slo-budget"], objectives)
    }

    /// Only what can page: promtool loads 10,000 samples at the most, whatever a Prometheus would, and
    /// what is recent, or left of a month's budget, takes more.
    pub(crate) fn of_pages(objectives: &[Objective]) -> Self {
        Self::without(&["hopclock-recent", "hopclock-slo-budget"], objectives)
    }

    /// Any other rules.
    pub(crate) fn text(text: String) -> Self {
        Self { text }
    }

    fn without(groups_left_out: &[&str], objectives: &[Objective]) -> Self {
        let settings = Settings::default();
        let mut groups = installation(&settings);
        groups.retain(|it| !groups_left_out.contains(&it.name.as_str()));
        groups.extend(of_objectives(&settings, objectives).unwrap_or_else(|it| panic!("{it}")));
        Self { text: prometheus(&settings, &groups) }
    }

    /// Has promtool play the stories, evaluating every so many minutes.
    pub(crate) fn play(&self, every: u32, stories: &[Story]) {
        if !found("promtool") {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("rules.yaml"), &self.text).unwrap();
        let mut text = format!("rule_files: [rules.yaml]\nevaluation_interval: {every}m\ntests:\n");
        for story in stories {
            writeln!(text, "- name: '{}'\n  interval: {}m", story.name, story.step).unwrap();
            text += "  input_series:\n";
            for (series, values) in &story.series {
                writeln!(text, "  - {{series: '{series}', values: '{values}'}}").unwrap();
            }
            text += "  promql_expr_test:\n";
            for (query, minute, samples) in &story.checks {
                writeln!(
                    text,
                    "  - {{expr: '{query}', eval_time: {minute}m, exp_samples: {samples}}}"
                )
                .unwrap();
            }
        }
        std::fs::write(folder.path().join("stories.yaml"), text).unwrap();
        let output = Command::new("promtool")
            .args(["test", "rules", "stories.yaml"])
            .current_dir(folder.path())
            .output()
            .unwrap();
        let told = [output.stdout, output.stderr].concat();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&told));
    }
}

/// The objectives of a scenario with this schedule and `slo`.
pub(crate) fn objectives_of(name: &str, schedule: &str, slo: &str) -> Vec<Objective> {
    let deadline = if slo.contains("20s") { "30s" } else { "4m" };
    let scenario = scenario(name, deadline, &format!("schedule: {schedule}\nslo: {slo}\n"));
    objectives(&scenario).unwrap_or_else(|it| panic!("{it}"))
}

/// When a scenario with this schedule runs.
pub(crate) fn timetable_of(schedule: &str) -> Timetable {
    scenario("a", "4m", &format!("schedule: {schedule}\n")).schedule.unwrap()
}

fn scenario(name: &str, deadline: &str, more: &str) -> Scenario {
    let text = format!(
        "name: {name}\ndeadline: {deadline}\n{more}\
         trigger: {{ git_commit: {{ source: a/b, path: c }} }}\n\
         hops: [{{ live: {{ config_map: a/b }} }}]\n"
    );
    config::load_text("a.yaml", &text).unwrap_or_else(|it| panic!("{it}"))
}

fn names(alerts: &[&str]) -> String {
    let each = alerts.iter().map(|it| format!("{{labels: '{{alertname=\"{it}\"}}', value: 1}}"));
    format!("[{}]", each.collect::<Vec<_>>().join(", "))
}
