//! One panel: its questions, and how the answers are shown.

use crate::dashboard::board::uid;
use crate::dashboard::promql::named;
use crate::dashboard::target::{Target, ref_id, source};
use crate::dashboard::view::{Colour, PLAIN, Steps, Unit, View, thresholds};
use serde_json::{Value, json};

/// A panel.
#[derive(Clone, Debug)]
pub(super) struct Panel {
    view: View,
    title: &'static str,
    description: &'static str,
    unit: Unit,
    steps: Steps,
    size: (u32, u32),
    step: Option<&'static str>,
    targets: Vec<Target>,
    /// Of a table: what stands above each target, and what it is.
    columns: Vec<(&'static str, Unit, Steps)>,
    /// Of a table: labels, and what stands above them.
    labels: Vec<(&'static str, &'static str)>,
    /// Of a table: the column by which it is sorted, the greatest number first.
    sorted: Option<&'static str>,
    /// What fields of these names look like.
    fields: Vec<(&'static str, Look)>,
    /// What the answers to the query of that place look like.
    answers: Vec<(usize, Look)>,
    values: &'static [(u32, &'static str, Colour)],
    /// Whether a number can stand for a time since something that never was.
    may_be_never: bool,
}

/// What one field looks like, other than the rest.
#[derive(Clone, Copy, Debug)]
pub(super) enum Look {
    /// In this colour.
    In(Colour),
    /// A number of this unit, with a scale of its own where there are scales.
    Of(Unit),
    /// A dashed line across, not stacked on anything.
    Line(Colour),
}

/// More seconds than anything measured has: since 1970, which is where no instant is known.
const LONG_AGO: u32 = 1_000_000_000;

// === impl Panel ===

impl Panel {
    /// A panel that says what it shows, and what to make of it.
    pub(super) fn new(
        view: View,
        unit: Unit,
        title: &'static str,
        description: &'static str,
    ) -> Self {
        Self {
            view,
            title,
            description,
            unit,
            steps: PLAIN,
            size: (12, 8),
            step: None,
            targets: Vec::new(),
            columns: Vec::new(),
            labels: Vec::new(),
            sorted: None,
            fields: Vec::new(),
            answers: Vec::new(),
            values: &[],
            may_be_never: false,
        }
    }

    /// The same, this wide and high.
    pub(super) fn sized(self, width: u32, height: u32) -> Self {
        Self { size: (width, height), ..self }
    }

    /// The same in these colours.
    pub(super) fn coloured(self, steps: Steps) -> Self {
        Self { steps, ..self }
    }

    /// The same with points, bars or boxes that are at least so far apart.
    pub(super) fn every(self, step: &'static str) -> Self {
        Self { step: Some(step), ..self }
    }

    /// The same with a query more.
    pub(super) fn asks(mut self, target: Target) -> Self {
        self.targets.push(target);
        self
    }

    /// The same with a column more, a table whose labels have been said.
    pub(super) fn column(
        mut self,
        title: &'static str,
        unit: Unit,
        steps: Steps,
        expr: impl Into<String>,
    ) -> Self {
        self.columns.push((title, unit, steps));
        let by_cluster = self.labels.iter().any(|it| it.0 == "target_cluster");
        let expr = expr.into();
        self.asks(Target::rows(if by_cluster { named(&expr) } else { expr }))
    }

    /// The same with the value of a label as a column, before the others. A label that all series
    /// have, or Grafana could not tell which rows belong together.
    pub(super) fn label(mut self, label: &'static str, title: &'static str) -> Self {
        self.labels.push((label, title));
        self
    }

    /// The same sorted by a column, the greatest number first.
    pub(super) fn sorted(self, column: &'static str) -> Self {
        Self { sorted: Some(column), ..self }
    }

    /// The same with another look of the field of that name.
    pub(super) fn field(mut self, name: &'static str, look: Look) -> Self {
        self.fields.push((name, look));
        self
    }

    /// The same with another look of the answers to the last query, whatever their names.
    pub(super) fn answers(mut self, look: Look) -> Self {
        self.answers.push((self.targets.len() - 1, look));
        self
    }

    /// The same where seconds since 1970 are never.
    pub(super) fn may_be_never(self) -> Self {
        Self { may_be_never: true, ..self }
    }

    /// The same with words for numbers.
    pub(super) fn says(self, values: &'static [(u32, &'static str, Colour)]) -> Self {
        Self { values, ..self }
    }

    /// Columns and lines of the grid.
    pub(super) fn size(&self) -> (u32, u32) {
        self.size
    }

    /// Its JSON, as panel of this number at that place.
    pub(super) fn json(&self, id: usize, place: &Value) -> Value {
        let targets: Vec<_> =
            self.targets.iter().enumerate().map(|(place, it)| it.json(place)).collect();
        let mut panel = json!({
            "datasource": source(),
            "description": self.description,
            "fieldConfig": {"defaults": self.defaults(), "overrides": self.overrides()},
            "gridPos": place,
            "id": id,
            "options": self.options(),
            "targets": targets,
            "title": self.title,
            "type": self.view.kind(),
        });
        if let Some(step) = self.step {
            panel["interval"] = json!(step);
        }
        if self.view == View::Table {
            panel["transformations"] = self.transformations();
        }
        panel
    }

    fn options(&self) -> Value {
        let mut options = self.view.options();
        if let Some(column) = self.sorted {
            options["sortBy"] = json!([{"desc": true, "displayName": column}]);
        }
        options
    }

    fn defaults(&self) -> Value {
        let colour =
            if self.view.is_coloured_by_value() { "thresholds" } else { "palette-classic" };
        let mut defaults = json!({
            "color": {"mode": colour},
            "custom": self.view.custom(),
            "mappings": self.mappings(),
            "thresholds": thresholds(self.steps),
            "unit": self.unit.as_str(),
        });
        if let Some(decimals) = self.unit.decimals() {
            defaults["decimals"] = json!(decimals);
        }
        if self.unit == Unit::Share && matches!(self.view, View::Curves | View::Stack) {
            defaults["max"] = json!(1);
        }
        defaults
    }

    fn mappings(&self) -> Value {
        let word = |(place, (value, text, colour)): (usize, &(u32, &str, Colour))| {
            let shown = json!({"color": colour.as_str(), "index": place, "text": text});
            (value.to_string(), shown)
        };
        let options: serde_json::Map<_, _> = self.values.iter().enumerate().map(word).collect();
        let mut mappings = Vec::new();
        if !options.is_empty() {
            mappings.push(json!({"options": options, "type": "value"}));
        }
        if self.may_be_never {
            let never = json!({"color": Colour::Worst.as_str(), "index": 0, "text": "never"});
            let options = json!({"from": LONG_AGO, "result": never, "to": null});
            mappings.push(json!({"options": options, "type": "range"}));
        }
        json!(mappings)
    }

    fn overrides(&self) -> Vec<Value> {
        let columns = self.columns.iter().map(|(name, unit, steps)| {
            let mut properties = vec![property("unit", &json!(unit.as_str()))];
            if let Some(decimals) = unit.decimals() {
                properties.push(property("decimals", &json!(decimals)));
            }
            if *steps != PLAIN {
                properties.push(property("thresholds", &thresholds(steps)));
                properties.push(property("custom.cellOptions", &json!({"type": "color-text"})));
            }
            by_name(name, &properties)
        });
        let labels = self.labels.iter().map(|(label, name)| {
            let mut properties = Vec::new();
            if *label == "scenario" {
                properties.push(property("links", &json!([to_scenario(name)])));
            }
            by_name(name, &properties)
        });
        let fields =
            self.fields.iter().map(|(name, look)| by_name(name, &look.properties(self.view)));
        let answers = self.answers.iter().map(|(place, look)| {
            override_of("byFrameRefID", ref_id(*place), &look.properties(self.view))
        });
        let all = columns.chain(labels).chain(fields).chain(answers);
        all.filter(|it| it["properties"].as_array().is_some_and(|it| !it.is_empty())).collect()
    }

    /// Makes one table of the answers to all targets, with words above its columns.
    fn transformations(&self) -> Value {
        let mut names = serde_json::Map::new();
        let mut order = serde_json::Map::new();
        for (label, title) in &self.labels {
            order.insert((*label).to_owned(), json!(order.len()));
            names.insert((*label).to_owned(), json!(title));
        }
        for (place, (title, ..)) in self.columns.iter().enumerate() {
            // So Grafana calls the value of a table, and those of several.
            let field = match self.columns.len() {
                1 => "Value".to_owned(),
                _ => format!("Value #{}", ref_id(place)),
            };
            order.insert(field.clone(), json!(order.len()));
            names.insert(field, json!(title));
        }
        let organised = json!({
            "excludeByName": {"Time": true}, "includeByName": {}, "indexByName": order,
            "renameByName": names,
        });
        json!([{"id": "merge", "options": {}}, {"id": "organize", "options": organised}])
    }
}

// === impl Look ===

impl Look {
    fn properties(self, view: View) -> Vec<Value> {
        match self {
            Self::In(colour) => vec![property("color", &fixed(colour))],
            Self::Of(unit) => {
                let mut properties = vec![
                    property("unit", &json!(unit.as_str())),
                    property("decimals", &json!(unit.decimals())),
                ];
                if view == View::Curves {
                    properties.push(property("custom.axisPlacement", &json!("right")));
                    let line = json!({"dash": [2, 4], "fill": "dash"});
                    properties.push(property("custom.lineStyle", &line));
                }
                properties
            }
            Self::Line(colour) => vec![
                property("color", &fixed(colour)),
                property("custom.stacking", &json!({"group": "B", "mode": "none"})),
                property("custom.fillOpacity", &json!(0)),
                property("custom.lineStyle", &json!({"dash": [8, 6], "fill": "dash"})),
            ],
        }
    }
}

fn by_name(name: &str, properties: &[Value]) -> Value {
    override_of("byName", name, properties)
}

fn override_of(matcher: &str, what: &str, properties: &[Value]) -> Value {
    json!({"matcher": {"id": matcher, "options": what}, "properties": properties})
}

fn property(id: &str, value: &Value) -> Value {
    json!({"id": id, "value": value})
}

fn fixed(colour: Colour) -> Value {
    json!({"fixedColor": colour.as_str(), "mode": "fixed"})
}

/// The way from a scenario's name to its details.
fn to_scenario(column: &str) -> Value {
    let query = format!(
        "var-scenario=${{__data.fields[\"{column}\"]}}&${{datasource:queryparam}}\
         &${{job:queryparam}}&${{instance:queryparam}}&${{__url_time_range}}"
    );
    json!({
        "targetBlank": false,
        "title": "Show this scenario",
        "url": format!("/d/{}?{query}", uid("scenario")),
    })
}
