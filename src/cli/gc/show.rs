//! How what was taken away is printed: a table for people, an object for programs.

use crate::cli::args::Output;
use crate::cli::gc::Swept;
use crate::model::{Stays, Tidied};
use serde_json::{Value, json};

// === impl Swept ===

impl Swept {
    /// What is printed.
    pub(super) fn show(&self, output: Output) -> String {
        match output {
            Output::Text => self.to_table(),
            Output::Json => format!("{}\n", self.to_json()),
        }
    }

    fn to_table(&self) -> String {
        let lane = self.lane.as_deref().unwrap_or("its lane is not known");
        let mut text = match &self.scenario {
            Some(scenario) => format!("{scenario}  {lane}\n"),
            None => "locks of lanes that nobody uses\n".to_owned(),
        };
        for (word, name, why) in self.rows() {
            let line = format!("  {word:<8}  {name}  {why}");
            text += line.trim_end();
            text += "\n";
        }
        text
    }

    /// A word, a name and a reason for each line.
    fn rows(&self) -> Vec<(&'static str, &str, &str)> {
        let Ok(tidied) = &self.result else {
            return vec![("unknown", "", "what is there could not be looked at, or is in use")];
        };
        let Tidied { removed, used, left, later } = tidied;
        let done = if self.is_dry { "would go" } else { "removed" };
        let removed = removed.iter().map(|it| (done, it.as_str(), ""));
        let stays = |word| move |it| row(word, it);
        let used = used.iter().map(stays("in use"));
        let left = left.iter().map(stays("left"));
        let later = later.iter().map(|it| ("left", it.as_str(), "a later run takes it away"));
        let rows: Vec<_> = removed.chain(used).chain(left).chain(later).collect();
        if rows.is_empty() { vec![("nothing", "", "there is nothing to take away")] } else { rows }
    }

    fn to_json(&self) -> Value {
        let mut all = json!({
            "scenario": self.scenario, "lane": self.lane, "dry_run": self.is_dry,
        });
        let stays = |all: &[Stays]| -> Vec<Value> {
            all.iter().map(|it| json!({"name": it.name, "why": it.why})).collect()
        };
        match &self.result {
            Ok(tidied) => {
                all["removed"] = json!(tidied.removed);
                all["used"] = stays(&tidied.used).into();
                all["left"] = stays(&tidied.left).into();
            }
            Err(error) => {
                all["error"] = json!({"reason": error.reason, "message": error.message});
            }
        }
        all
    }
}

fn row<'a>(word: &'static str, it: &'a Stays) -> (&'static str, &'a str, &'a str) {
    (word, &it.name, &it.why)
}
