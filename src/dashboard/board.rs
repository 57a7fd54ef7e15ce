//! A whole dashboard: rows of panels on a grid of 24 columns, variables, and ways to the others.

use crate::dashboard::panel::Panel;
use crate::dashboard::promql;
use crate::dashboard::target::source;
use crate::dashboard::variable::Variable;
use crate::export::Metric;
use serde_json::{Value, json};

/// A Grafana dashboard.
#[derive(Clone, Debug)]
pub struct Dashboard {
    name: &'static str,
    title: &'static str,
    description: &'static str,
    /// What it shows when it is opened.
    from: &'static str,
    variables: Vec<Variable>,
    rows: Vec<Row>,
}

/// Panels under a heading.
#[derive(Clone, Debug)]
pub(super) struct Row {
    title: &'static str,
    panels: Vec<Panel>,
}

/// What all of them are tagged with, and find each other by.
const TAG: &str = "hopclock";

/// Version of the JSON model; Grafana 10 reads it, and later ones migrate it.
const SCHEMA_VERSION: u32 = 39;

/// Columns of the grid.
const COLUMNS: u32 = 24;

// === impl Dashboard ===

impl Dashboard {
    /// One that opens with the last `from`.
    pub(super) fn new(
        (name, title): (&'static str, &'static str),
        description: &'static str,
        from: &'static str,
    ) -> Self {
        Self { name, title, description, from, variables: Vec::new(), rows: Vec::new() }
    }

    /// The same with these variables.
    pub(super) fn variables(mut self, variables: Vec<Variable>) -> Self {
        self.variables = variables;
        self
    }

    /// The same with a row more.
    pub(super) fn row(mut self, title: &'static str, panels: Vec<Panel>) -> Self {
        self.rows.push(Row { title, panels });
        self
    }

    /// Name of its file, without `.json`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// What stands above it.
    #[must_use]
    pub fn title(&self) -> &'static str {
        self.title
    }

    /// What it shows, in a sentence.
    #[must_use]
    pub fn description(&self) -> &'static str {
        self.description
    }

    /// Stays the same for ever, so that links and bookmarks do.
    #[must_use]
    pub fn uid(&self) -> String {
        uid(self.name)
    }

    /// The JSON model, as it is imported and provisioned.
    #[must_use]
    pub fn json(&self) -> Value {
        let variables: Vec<_> = self.variables.iter().map(Variable::json).collect();
        json!({
            "annotations": {"list": [versions()]},
            "description": self.description,
            "editable": false,
            "fiscalYearStartMonth": 0,
            // A crosshair in all panels at once.
            "graphTooltip": 1,
            "id": null,
            "links": [others()],
            "liveNow": false,
            "panels": self.panels(),
            "refresh": "1m",
            "schemaVersion": SCHEMA_VERSION,
            "tags": [TAG, "flux", "gitops"],
            "templating": {"list": variables},
            "time": {"from": self.from, "to": "now"},
            "timepicker": {},
            "timezone": "",
            "title": self.title,
            "uid": self.uid(),
            "version": 1,
            "weekStart": "",
        })
    }

    /// The text of its file.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{:#}\n", self.json())
    }

    /// The panels, row by row, each as far to the left as there is room.
    fn panels(&self) -> Vec<Value> {
        let mut panels = Vec::new();
        let mut top = 0;
        for row in &self.rows {
            panels.push(heading(row.title, panels.len() + 1, top));
            top += 1;
            let (mut left, mut height) = (0, 0);
            for panel in &row.panels {
                let (width, tall) = panel.size();
                if left + width > COLUMNS {
                    (top, left, height) = (top + height, 0, 0);
                }
                let place = json!({"h": tall, "w": width, "x": left, "y": top});
                panels.push(panel.json(panels.len() + 1, &place));
                (left, height) = (left + width, height.max(tall));
            }
            top += height;
        }
        panels
    }
}

/// The uid of the dashboard in a file of that name.
pub(super) fn uid(name: &str) -> String {
    format!("hopclock-{name}")
}

fn heading(title: &str, id: usize, top: u32) -> Value {
    json!({
        "collapsed": false,
        "gridPos": {"h": 1, "w": COLUMNS, "x": 0, "y": top},
        "id": id,
        "panels": [],
        "title": title,
        "type": "row",
    })
}

/// The way to the other dashboards, with what is chosen here.
fn others() -> Value {
    json!({
        "asDropdown": false,
        "icon": "external link",
        "includeVars": true,
        "keepTime": true,
        "tags": [TAG],
        "targetBlank": false,
        "title": "hopclock",
        "tooltip": "",
        "type": "dashboards",
        "url": "",
    })
}

/// Marks where another version of hopclock has begun to measure: what changes there may be ours.
fn versions() -> Value {
    let version = promql::sum("version", &promql::of(Metric::BuildInfo, ""));
    let before =
        promql::sum("version", &format!("{} offset 10m", promql::of(Metric::BuildInfo, "")));
    json!({
        "datasource": source(),
        "enable": true,
        "expr": format!("{version} unless {before}"),
        "hide": false,
        "iconColor": "blue",
        "name": "Versions of hopclock",
        "step": "60s",
        "tagKeys": "version",
        "textFormat": "hopclock {{version}}",
        "titleFormat": "hopclock began to run in another version",
        "useValueForTime": false,
    })
}
