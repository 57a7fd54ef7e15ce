//! A draft as YAML that people read, and as the hops that a run takes. One value stands behind both.

use crate::config::HopFile;
use crate::model::Duration;
use crate::path::{Consented, Draft, Field, Step};
use serde_json::{Map, Value};
use std::fmt::Write;
use std::time;

/// Longest line of a comment.
const WIDE: usize = 100;

/// The hops of a draft as a scenario would name them. Objectives are left out: whoever lets the path
/// be discovered says what is good enough himself.
///
/// # Errors
///
/// One sentence, if this version has no such hop.
pub(in crate::cli) fn hops(draft: &Draft) -> Result<Vec<HopFile>, String> {
    let bare = |it: &Step| Step { within: None, ..it.clone() };
    let all = draft.hops.iter().map(|it| serde_json::from_value(value(&bare(it))));
    all.collect::<Result<_, _>>().map_err(|it: serde_json::Error| it.to_string())
}

/// The text of a scenario.
pub(super) fn render(draft: &Draft) -> String {
    let mut text = String::new();
    comment(&mut text, "", &format!("The path to {}, as it was found.", draft.target));
    comment(&mut text, "", "");
    match &draft.consent {
        Consented::Missing(command) => {
            let lane = &draft.lane;
            let what = format!("{lane} has not consented to canaries yet. This command says so:");
            comment(&mut text, "", &what);
            // A command is copied: it is never wrapped.
            let _ = writeln!(text, "#   {command}");
        }
        Consented::Given => {
            comment(&mut text, "", &format!("{} has said that it wants canaries.", draft.lane));
        }
        Consented::Other(instance) => {
            let what = format!("{} wants canaries, but those of `{instance}`.", draft.lane);
            comment(&mut text, "", &what);
        }
    }
    for note in &draft.notes {
        comment(&mut text, "", &format!("- {note}"));
    }
    let times = draft.times;
    let mut line = |key: &str, value: String| {
        let _ = writeln!(text, "{key}: {value}");
    };
    line("name", scalar(&draft.name));
    line("description", scalar(&draft.description));
    let why =
        "A run outlives the pollers on the path; the jitter keeps runs out of step with them.";
    comment(&mut text, "", why);
    let (every, jitter) = (shown(times.period), shown(times.jitter));
    let _ = writeln!(text, "schedule: {{ every: {every}, jitter: {jitter} }}");
    let _ = writeln!(text, "deadline: {}", shown(times.deadline));
    let _ = writeln!(text, "trigger:\n  {}:", draft.trigger);
    draft.fields.iter().for_each(|it| field(&mut text, it));
    let _ = writeln!(text, "hops:");
    draft.hops.iter().for_each(|it| step(&mut text, it));
    comment(&mut text, "", "From the acknowledged push, with what each hop above may take.");
    let until = draft.until.as_ref().map(|it| format!(", until: {it}")).unwrap_or_default();
    let within = shown(times.within);
    let _ = writeln!(text, "slo: {{ within: {within}, objective: 99%, window: 30d{until} }}");
    text
}

fn field(text: &mut String, field: &Field) {
    comment(text, "    ", &field.why);
    let _ = match &field.value {
        Value::String(it) if it.contains('\n') => {
            let lines: Vec<_> = it.lines().map(|it| format!("      {it}")).collect();
            writeln!(text, "    {}: |\n{}", field.key, lines.join("\n"))
        }
        it => writeln!(text, "    {}: {}", field.key, flow(it)),
    };
}

fn step(text: &mut String, step: &Step) {
    comment(text, "  ", &step.why);
    let kind = format!("{}: {}", step.kind, flow(&step.config));
    let _ = if step.name == step.kind {
        writeln!(text, "  - {kind}")
    } else {
        writeln!(text, "  - name: {}\n    {kind}", scalar(&step.name))
    };
    if let Some(after) = &step.after {
        let all: Vec<_> = after.iter().map(|it| scalar(it)).collect();
        let _ = match all.as_slice() {
            [one] => writeln!(text, "    after: {one}"),
            _ => writeln!(text, "    after: [{}]", all.join(", ")),
        };
    }
    if let Some(within) = step.within {
        let _ = writeln!(text, "    within: {}", shown(within));
    }
    if let Some(required) = step.required {
        let _ = writeln!(text, "    required: {required}");
    }
    let cluster = &step.subject.cluster.0;
    if !cluster.is_empty() {
        let _ = writeln!(text, "    cluster: {}", scalar(cluster));
    }
}

/// A hop as a value, with the same keys as in the text.
fn value(step: &Step) -> Value {
    let mut hop = Map::new();
    hop.insert(step.kind.to_owned(), step.config.clone());
    if step.name != step.kind {
        hop.insert("name".to_owned(), step.name.clone().into());
    }
    if let Some(after) = &step.after {
        hop.insert("after".to_owned(), after.clone().into());
    }
    if let Some(within) = step.within {
        hop.insert("within".to_owned(), shown(within).into());
    }
    if let Some(required) = step.required {
        hop.insert("required".to_owned(), required.into());
    }
    let cluster = &step.subject.cluster.0;
    if !cluster.is_empty() {
        hop.insert("cluster".to_owned(), cluster.as_str().into());
    }
    Value::Object(hop)
}

fn comment(text: &mut String, indent: &str, what: &str) {
    let mut line = format!("{indent}#");
    let further = if what.starts_with("- ") { "   " } else { " " };
    let bare = line.len();
    let mut gap = " ";
    for word in what.split_whitespace() {
        if line.len() > bare && line.len() + word.len() + 1 > WIDE {
            let _ = writeln!(text, "{line}");
            line.truncate(bare);
            gap = further;
        }
        line.push_str(gap);
        line.push_str(word);
        gap = " ";
    }
    let _ = writeln!(text, "{line}");
}

/// A value on one line.
fn flow(value: &Value) -> String {
    match value {
        Value::String(it) => scalar(it),
        Value::Array(all) => {
            let all: Vec<_> = all.iter().map(flow).collect();
            format!("[{}]", all.join(", "))
        }
        Value::Object(all) => {
            let all: Vec<_> = all.iter().map(|(key, it)| format!("{key}: {}", flow(it))).collect();
            format!("{{ {} }}", all.join(", "))
        }
        other => other.to_string(),
    }
}

/// A text, in quotes where YAML could take it for something else.
fn scalar(text: &str) -> String {
    let plain = |it: char| it.is_ascii_alphanumeric() || " ./_-".contains(it);
    let is_word = text.starts_with(|it: char| it.is_ascii_alphabetic())
        && text.chars().all(plain)
        && !text.ends_with(' ');
    let reserved = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    let is_path = text.contains('/') && text.chars().all(plain) && !text.starts_with([' ', '-']);
    if (is_word || is_path) && !reserved.contains(&text.to_ascii_lowercase().as_str()) {
        text.to_owned()
    } else {
        Value::from(text).to_string()
    }
}

fn shown(time: time::Duration) -> String {
    Duration(time).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_yaml_could_misread_stands_in_quotes() {
        for plain in ["fleet", "flux-system/apps", "1/2", "A commit becomes live."] {
            assert_eq!(scalar(plain), plain);
        }
        for quoted in ["123", "true", "No", "", "a: b", "1e3", "a #b", "-x/y", "x "] {
            assert_eq!(scalar(quoted), Value::from(quoted).to_string());
        }
    }

    #[test]
    fn a_long_comment_is_wrapped_between_words() {
        let mut text = String::new();
        comment(&mut text, "  ", &format!("- {}", "word ".repeat(40)));
        assert!(text.lines().all(|it| it.len() <= WIDE), "{text}");
        assert_eq!(text.lines().count(), 3);
        assert!(text.lines().skip(1).all(|it| it.starts_with("  #   word")), "{text}");
    }
}
