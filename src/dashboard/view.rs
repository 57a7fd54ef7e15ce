//! How a panel shows its numbers: the kinds of panels that are used, their options, units, colours.

use serde_json::{Value, json};

/// A kind of panel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum View {
    /// Curves.
    Curves,
    /// Curves on top of each other.
    Stack,
    /// Bars on top of each other.
    Bars,
    /// Large numbers.
    Numbers,
    /// Large numbers with the names of what they are of.
    NamedNumbers,
    /// One row for each series, a column for each query.
    Table,
    /// How many, by length and time.
    Heatmap,
    /// A coloured box for each series and stretch of time.
    History,
    /// A coloured bar for each series, as long as it stays the same.
    States,
}

/// What a number is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// A length of time.
    Seconds,
    /// A share, of one.
    Share,
    /// A share close to all, such as that of an objective.
    FineShare,
    /// How many.
    Count,
    /// A name; its value is only for colours.
    Name,
    /// 1 for yes.
    YesNo,
}

/// A colour, by what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Colour {
    /// All is well.
    Good,
    /// Look at it some time.
    Odd,
    /// Look at it.
    Bad,
    /// Broken.
    Worst,
    /// Ours, not theirs.
    Ours,
    /// Neither good nor bad.
    Plain,
    /// Nothing there.
    Nothing,
}

/// From which number on which colour; the first one also for all that is less.
pub(super) type Steps = &'static [(f64, Colour)];

/// One colour for all.
pub(super) const PLAIN: Steps = &[(0.0, Colour::Plain)];

// === impl View ===

impl View {
    /// What Grafana calls it.
    pub(super) fn kind(self) -> &'static str {
        match self {
            Self::Curves | Self::Stack | Self::Bars => "timeseries",
            Self::Numbers | Self::NamedNumbers => "stat",
            Self::Table => "table",
            Self::Heatmap => "heatmap",
            Self::History => "status-history",
            Self::States => "state-timeline",
        }
    }

    /// The panel's options.
    pub(super) fn options(self) -> Value {
        let legend = json!({
            "calcs": [], "displayMode": "list", "placement": "bottom", "showLegend": true,
        });
        let tooltip = json!({"mode": "multi", "sort": "desc"});
        match self {
            Self::Curves | Self::Stack | Self::Bars => {
                json!({"legend": legend, "tooltip": tooltip})
            }
            Self::Numbers | Self::NamedNumbers => json!({
                "colorMode": "value",
                "graphMode": "none",
                "justifyMode": "auto",
                "orientation": "auto",
                "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": false},
                "showPercentChange": false,
                "textMode": if self == Self::Numbers { "value" } else { "value_and_name" },
                "wideLayout": true,
            }),
            Self::Table => json!({
                "cellHeight": "sm",
                "footer": {"countRows": false, "fields": "", "reducer": ["sum"], "show": false},
                "showHeader": true,
            }),
            Self::Heatmap => json!({
                "calculate": false,
                "cellGap": 1,
                "cellValues": {"unit": "short", "decimals": 0},
                "color": {
                    "exponent": 0.5, "fill": "dark-orange", "mode": "scheme", "reverse": false,
                    "scale": "exponential", "scheme": "Oranges", "steps": 64,
                },
                "exemplars": {"color": "rgba(31, 96, 196, 0.9)"},
                "filterValues": {"le": 1e-9},
                "legend": {"show": true},
                "rowsFrame": {"layout": "auto"},
                "tooltip": {"mode": "single", "showColorScale": false, "yHistogram": false},
                "yAxis": {"axisPlacement": "left", "reverse": false, "unit": "s"},
            }),
            Self::History => json!({
                "colWidth": 0.9, "legend": legend, "rowHeight": 0.9, "showValue": "never",
                "tooltip": {"mode": "single", "sort": "none"},
            }),
            Self::States => json!({
                "alignValue": "left", "legend": legend, "mergeValues": true, "rowHeight": 0.9,
                "showValue": "never", "tooltip": {"mode": "single", "sort": "none"},
            }),
        }
    }

    /// How each field is drawn.
    pub(super) fn custom(self) -> Value {
        match self {
            Self::Curves | Self::Stack | Self::Bars => self.drawn(),
            Self::Numbers | Self::NamedNumbers => json!({}),
            Self::Table => json!({
                "align": "auto", "cellOptions": {"type": "auto"}, "inspect": false,
            }),
            Self::Heatmap => json!({
                "hideFrom": {"legend": false, "tooltip": false, "viz": false},
                "scaleDistribution": {"type": "linear"},
            }),
            Self::History | Self::States => json!({
                "fillOpacity": 80,
                "hideFrom": {"legend": false, "tooltip": false, "viz": false},
                "lineWidth": 1,
            }),
        }
    }

    /// Whether the colour of a field comes from its value.
    pub(super) fn is_coloured_by_value(self) -> bool {
        !matches!(self, Self::Curves | Self::Stack | Self::Bars | Self::Heatmap)
    }

    fn drawn(self) -> Value {
        let bars = self == Self::Bars;
        let stacked = self != Self::Curves;
        json!({
            "axisBorderShow": false,
            "axisCenteredZero": false,
            "axisLabel": "",
            "axisPlacement": "auto",
            "barAlignment": 0,
            "drawStyle": if bars { "bars" } else { "line" },
            "fillOpacity": if bars { 80 } else if stacked { 40 } else { 0 },
            "gradientMode": "none",
            "hideFrom": {"legend": false, "tooltip": false, "viz": false},
            "lineInterpolation": "linear",
            "lineWidth": u8::from(!bars),
            "pointSize": 4,
            "scaleDistribution": {"type": "linear"},
            "showPoints": "never",
            "spanNulls": false,
            "stacking": {"group": "A", "mode": if stacked { "normal" } else { "none" }},
            "thresholdsStyle": {"mode": "off"},
        })
    }
}

// === impl Unit ===

impl Unit {
    /// What Grafana calls it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Seconds => "s",
            Self::Share | Self::FineShare => "percentunit",
            Self::Count => "short",
            Self::Name => "none",
            Self::YesNo => "bool_yes_no",
        }
    }

    /// How many digits behind the point; none for as many as fit.
    pub(super) fn decimals(self) -> Option<u32> {
        match self {
            // Increases are estimates of whole numbers.
            Self::Count => Some(0),
            Self::Share => Some(1),
            Self::FineShare => Some(3),
            Self::Seconds | Self::Name | Self::YesNo => None,
        }
    }
}

// === impl Colour ===

impl Colour {
    /// What Grafana calls it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Good => "green",
            Self::Odd => "yellow",
            Self::Bad => "orange",
            Self::Worst => "red",
            Self::Ours => "purple",
            Self::Plain => "text",
            Self::Nothing => "transparent",
        }
    }
}

/// Colours from which numbers on.
pub(super) fn thresholds(steps: Steps) -> Value {
    let step = |(place, (from, colour)): (usize, &(f64, Colour))| {
        let from = (place > 0).then_some(*from);
        json!({"color": colour.as_str(), "value": from})
    };
    let steps: Vec<_> = steps.iter().enumerate().map(step).collect();
    json!({"mode": "absolute", "steps": steps})
}
