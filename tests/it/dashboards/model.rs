//! A dashboard as tests look at it: its JSON, panel by panel and query by query.

use hopclock::dashboard::{Dashboard, dashboards};
use serde_json::Value;

/// A dashboard.
pub(crate) struct Board {
    pub(crate) name: &'static str,
    pub(crate) title: String,
    pub(crate) json: Value,
}

/// A query, and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Query {
    pub(crate) board: String,
    /// Nothing for the query of an annotation.
    pub(crate) panel: String,
    pub(crate) target: usize,
    pub(crate) expr: String,
    pub(crate) instant: bool,
    /// The smallest step of its panel, in seconds.
    pub(crate) least_step: u32,
}

// === impl Board ===

impl Board {
    /// Every dashboard.
    pub(crate) fn all() -> Vec<Self> {
        dashboards().iter().map(Self::of).collect()
    }

    fn of(it: &Dashboard) -> Self {
        Self { name: it.name(), title: it.title().to_owned(), json: it.json() }
    }

    /// Its panels, without the headings of rows.
    pub(crate) fn panels(&self) -> impl Iterator<Item = &Value> {
        let panels = self.json["panels"].as_array().unwrap().iter();
        panels.filter(|it| it["type"] != "row")
    }

    /// The panel of that title.
    pub(crate) fn panel(&self, title: &str) -> &Value {
        self.panels().find(|it| it["title"] == title).unwrap_or_else(|| panic!("`{title}`"))
    }

    /// Its variables.
    pub(crate) fn variables(&self) -> &[Value] {
        self.json["templating"]["list"].as_array().unwrap()
    }

    /// The variable of that name.
    pub(crate) fn variable(&self, name: &str) -> Option<&Value> {
        self.variables().iter().find(|it| it["name"] == name)
    }

    /// Every query of its panels and annotations.
    pub(crate) fn queries(&self) -> Vec<Query> {
        let of_panels = self.panels().flat_map(|panel| self.queries_of(panel));
        let annotations = self.json["annotations"]["list"].as_array().unwrap().iter();
        let of_annotations = annotations.map(|it| Query {
            board: self.title.clone(),
            panel: String::new(),
            target: 0,
            expr: it["expr"].as_str().unwrap().to_owned(),
            instant: false,
            least_step: 60,
        });
        of_panels.chain(of_annotations).collect()
    }

    /// The queries of a panel.
    pub(crate) fn queries_of(&self, panel: &Value) -> Vec<Query> {
        let targets = panel["targets"].as_array().unwrap().iter().enumerate();
        let query = targets.map(|(target, it)| Query {
            board: self.title.clone(),
            panel: panel["title"].as_str().unwrap().to_owned(),
            target,
            expr: it["expr"].as_str().unwrap().to_owned(),
            instant: it["instant"].as_bool().unwrap(),
            least_step: panel["interval"].as_str().map_or(0, seconds),
        });
        query.collect()
    }
}

/// A length such as `30m`, in seconds.
fn seconds(length: &str) -> u32 {
    let (number, unit) = length.split_at(length.len() - 1);
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        other => panic!("`{other}` is no unit"),
    };
    number.parse::<u32>().unwrap() * unit
}
