//! A scenario as it is written. Its doc comments are the reference: the schema is made of them.

use super::hop_file::HopFile;
use super::schedule_file::ScheduleFile;
use super::target::TargetConfig;
use crate::model::Duration;
use crate::trigger::TriggerConfig;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use std::borrow::Cow;
use std::str::FromStr;

/// When to run, what to change, which hops to time, and what is good enough.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Scenario", extend("oneOf" = [{"required": ["hops"]}, {"required": ["target"]}]))]
pub struct ScenarioFile {
    /// Name of the scenario in results and metrics: lower-case letters, digits and `-`.
    #[schemars(regex(pattern = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"))]
    pub name: String,

    /// What it shows, in a sentence.
    #[serde(default)]
    pub description: Option<String>,

    /// When to run, for `hopclock serve`; `hopclock run` runs at once. Exactly one of `every` and
    /// `cron`.
    #[serde(default)]
    pub schedule: Option<ScheduleFile>,

    /// How long a run looks for the change. With the jitter it must be shorter than the period.
    pub deadline: Duration,

    /// What makes the change.
    pub trigger: TriggerConfig,

    /// The steps that the change has to take: at least one, and none for `receiver_get`. Exactly one of
    /// `hops` and `target`.
    #[serde(default)]
    pub hops: Vec<HopFile>,

    /// What the change is to arrive at, instead of `hops`: the path there is discovered at the
    /// start of each run.
    #[serde(default)]
    pub target: Option<TargetConfig>,

    /// What is good enough, from the acknowledged push until the change is live.
    #[serde(default)]
    pub slo: Option<SloFile>,
}

/// What is good enough.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Slo")]
pub struct SloFile {
    /// A change should take no longer than this from push to live.
    pub within: Duration,

    /// Share of the changes that should hold it, such as `99%`.
    #[serde(default)]
    pub objective: Percent,

    /// Time over which the share is taken, such as `30d`.
    #[serde(default)]
    pub window: Window,

    /// The hop at which it ends. Default: the latest required `live`, else the last `applied`.
    #[serde(default)]
    pub until: Option<String>,
}

/// A share, written as a percentage: above 0 % and below 100 %.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Deserialize)]
#[serde(try_from = "String")]
pub struct Percent(f64);

/// A length of time in days, hours or weeks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Window(std::time::Duration);

/// A text that is no share.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no share: write a percentage above 0% and below 100%, such as `99%` or `99.9%`")]
pub struct NotAPercent(String);

/// A text that is no window.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no window: write a number and one of `h`, `d` and `w`, such as `30d`")]
pub struct NotAWindow(String);

// === impl Percent ===

impl Percent {
    /// As a number between 0 and 1.
    #[must_use]
    pub fn share(self) -> f64 {
        self.0
    }
}

impl Default for Percent {
    fn default() -> Self {
        Self(0.99)
    }
}

impl FromStr for Percent {
    type Err = NotAPercent;

    fn from_str(text: &str) -> Result<Self, NotAPercent> {
        let wrong = || NotAPercent(text.to_owned());
        let number = text.strip_suffix('%').ok_or_else(wrong)?;
        let plain = number.chars().all(|it| it.is_ascii_digit() || it == '.')
            && number.starts_with(|it: char| it.is_ascii_digit())
            && number.ends_with(|it: char| it.is_ascii_digit())
            && number.split('.').next().is_some_and(|it| it.len() <= 2);
        let percent: f64 = number.parse().map_err(|_| wrong())?;
        if plain && percent > 0.0 && percent < 100.0 {
            Ok(Self(percent / 100.0))
        } else {
            Err(wrong())
        }
    }
}

impl TryFrom<String> for Percent {
    type Error = NotAPercent;

    fn try_from(text: String) -> Result<Self, NotAPercent> {
        text.parse()
    }
}

impl JsonSchema for Percent {
    fn schema_name() -> Cow<'static, str> {
        "Percent".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A share: `99%`, `99.9%`.",
            "type": "string",
            "pattern": r"^(?!0+(\.0+)?%)[0-9]{1,2}(\.[0-9]+)?%$"
        })
    }
}

// === impl Window ===

impl Window {
    /// Its length.
    #[must_use]
    pub fn length(self) -> std::time::Duration {
        self.0
    }
}

impl Default for Window {
    fn default() -> Self {
        Self(std::time::Duration::from_secs(30 * 86_400))
    }
}

impl FromStr for Window {
    type Err = NotAWindow;

    fn from_str(text: &str) -> Result<Self, NotAWindow> {
        let wrong = || NotAWindow(text.to_owned());
        let (number, unit) =
            text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(wrong)?;
        let unit = match unit {
            "h" => 3_600,
            "d" => 86_400,
            "w" => 7 * 86_400,
            _ => return Err(wrong()),
        };
        if number.starts_with(['0', '+']) {
            return Err(wrong());
        }
        let number: u32 = number.parse().map_err(|_| wrong())?;
        Ok(Self(std::time::Duration::from_secs(u64::from(number) * unit)))
    }
}

impl TryFrom<String> for Window {
    type Error = NotAWindow;

    fn try_from(text: String) -> Result<Self, NotAWindow> {
        text.parse()
    }
}

impl JsonSchema for Window {
    fn schema_name() -> Cow<'static, str> {
        "Window".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A length of time: `30d`, `12h`, `4w`.",
            "type": "string",
            "pattern": "^[1-9][0-9]{0,8}[hdw]$"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_lies_between_none_and_all() {
        assert_eq!("99.5%".parse(), Ok(Percent(0.995)));
        for wrong in ["", "%", "99", "0%", "0.0%", "100%", "-1%", "1e1%", "99 %", ".5%", "NaN%"] {
            assert!(wrong.parse::<Percent>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_window_is_a_number_and_a_unit() {
        assert_eq!("2w".parse::<Window>().unwrap().length().as_secs(), 1_209_600);
        assert_eq!("30d".parse(), Ok(Window::default()));
        for wrong in ["", "d", "0d", "+1d", "30", "30m", "1.5d", "3é"] {
            assert!(wrong.parse::<Window>().is_err(), "{wrong}");
        }
    }
}
