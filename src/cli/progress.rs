//! Shows runs while they are under way: moving lines on a terminal, plain ones elsewhere.

use crate::cli::say;
use crate::cli::waterfall::length;
use crate::config::Scenario;
use crate::model::{Event, Observer, Passage};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::collections::HashMap;
use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::Duration;

/// Lines on standard error that follow the runs.
pub(super) struct Progress {
    terminal: Option<MultiProgress>,
    hops: HashMap<String, Vec<String>>,
    bars: Mutex<HashMap<(String, String), ProgressBar>>,
}

// === impl Progress ===

impl Progress {
    /// Follows scenarios.
    pub(super) fn new(scenarios: &[Scenario]) -> Self {
        let names = |it: &Scenario| it.hops.iter().map(|it| it.name.clone()).collect();
        let hops = scenarios.iter().map(|it| (it.name.clone(), names(it))).collect();
        let terminal = std::io::stderr().is_terminal().then(MultiProgress::new);
        Self { terminal, hops, bars: Mutex::default() }
    }

    fn start(&self, scenario: &str) {
        let Some(terminal) = &self.terminal else {
            return say(&format!("{scenario}: opening watches"));
        };
        let Ok(mut bars) = self.bars.lock() else { return };
        let hops = self.hops.get(scenario).into_iter().flatten();
        for hop in std::iter::once("push").chain(hops.map(String::as_str)) {
            bars.insert((scenario.to_owned(), hop.to_owned()), bar(terminal, hop));
        }
    }

    fn update(&self, scenario: &str, hop: &str, text: String, done: bool) {
        let Some(terminal) = &self.terminal else {
            return say(&format!("{scenario}: {hop} {text}"));
        };
        let Ok(mut bars) = self.bars.lock() else { return };
        // A hop that was discovered has no line before it is reached.
        let key = (scenario.to_owned(), hop.to_owned());
        let bar = bars.entry(key).or_insert_with(|| bar(terminal, hop));
        if done {
            bar.finish_with_message(text);
        } else {
            bar.set_message(text);
        }
    }

    fn finish(&self, scenario: &str) {
        let Ok(mut bars) = self.bars.lock() else { return };
        for bar in bars.extract_if(|it, _| it.0 == scenario) {
            bar.1.finish_and_clear();
        }
        if let (Some(terminal), true) = (&self.terminal, bars.is_empty()) {
            // What cannot be cleared stays on the screen; nothing is lost.
            let _ = terminal.clear();
        }
    }
}

impl Observer for Progress {
    fn observe(&self, event: &Event) {
        match event {
            Event::Started { scenario, .. } => self.start(scenario),
            Event::Publishing { scenario, canary } => {
                self.update(scenario, "push", format!("sending {canary}"), false);
            }
            Event::Published { scenario, revisions, .. } => {
                let revision = revisions.first().map(ToString::to_string).unwrap_or_default();
                let said = format!("acknowledged {revision}");
                self.update(scenario, "push", said.trim_end().to_owned(), true);
            }
            Event::Reached { scenario, hop, passage } => {
                self.update(scenario, hop, describe(passage), true);
            }
            Event::Failing { scenario, hop, reason: Some(reason) } => {
                self.update(scenario, hop, format!("failing: {reason}"), false);
            }
            Event::Failing { scenario, hop, reason: None } => {
                if self.terminal.is_some() {
                    self.update(scenario, hop, "waiting".to_owned(), false);
                }
            }
            Event::Finished(record) => self.finish(&record.scenario),
            Event::Scheduled { .. }
            | Event::Missed { .. }
            | Event::Positioned { .. }
            | Event::Witnessed { .. }
            | Event::Tidied { .. }
            | Event::Decided { .. }
            | Event::Ended { .. } => (),
        }
    }
}

fn bar(terminal: &MultiProgress, hop: &str) -> ProgressBar {
    let bar = terminal.add(ProgressBar::new_spinner());
    if let Ok(style) = ProgressStyle::with_template("  {spinner} {prefix:18} {msg}") {
        bar.set_style(style);
    }
    bar.set_prefix(hop.to_owned());
    bar.set_message("waiting");
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

fn describe(passage: &Passage) -> String {
    match passage {
        Passage::Reached { at, via: Some(via), .. } => {
            format!("after {}, woken by {}", length(*at), via.as_str())
        }
        Passage::Reached { at, .. } => format!("after {}", length(*at)),
        Passage::Bypassed => "not seen".to_owned(),
        Passage::Unreached => "not reached".to_owned(),
    }
}
