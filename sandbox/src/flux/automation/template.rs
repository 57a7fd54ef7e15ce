//! Commit messages from templates: the part of Go's language that such templates use.
//!
//! Known are fields, `$variables`, `range` with or without variables, `if` with `else`, and the
//! dashes that swallow white space. Anything else is refused with its text.

use std::collections::BTreeMap;

use serde_json::Value;

/// What is written where nothing is wished for.
pub(super) const DEFAULT: &str = "Update from image update automation";

#[derive(Debug)]
enum Node {
    Text(String),
    Field(String),
    Range { over: String, variables: Vec<String>, body: Vec<Node> },
    If { when: String, yes: Vec<Node>, no: Vec<Node> },
}

/// Where names are looked up.
struct Scope<'v> {
    dot: &'v Value,
    /// What `$` stands for.
    root: &'v Value,
    variables: BTreeMap<String, &'v Value>,
}

/// A piece of a template: text, or what stands between braces.
enum Piece<'t> {
    Text(String),
    Action(&'t str),
}

/// Renders a template; the error says what cannot be rendered.
pub(super) fn render(template: &str, data: &Value) -> Result<String, String> {
    let pieces = pieces(template)?;
    let mut pieces = pieces.into_iter();
    let (nodes, end) = block(&mut pieces)?;
    if end != Stop::Template {
        return Err(
            "unable to create commit message template from spec: unexpected {{end}}".to_owned()
        );
    }
    let mut text = String::new();
    let scope = Scope { dot: data, root: data, variables: BTreeMap::new() };
    write(&nodes, &scope, &mut text)?;
    Ok(text)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    Template,
    End,
    Else,
}

fn pieces(template: &str) -> Result<Vec<Piece<'_>>, String> {
    let (mut pieces, mut rest, mut swallow) = (Vec::new(), template, false);
    while let Some((text, tail)) = rest.split_once("{{") {
        let Some((action, tail)) = tail.split_once("}}") else {
            return Err(unable("unclosed action"));
        };
        let text = if swallow { text.trim_start() } else { text };
        let (action, text) = match action.strip_prefix("- ") {
            Some(action) => (action, text.trim_end()),
            None => (action, text),
        };
        let stripped = action.strip_suffix(" -");
        swallow = stripped.is_some();
        pieces.push(Piece::Text(text.to_owned()));
        pieces.push(Piece::Action(stripped.unwrap_or(action).trim()));
        rest = tail;
    }
    let rest = if swallow { rest.trim_start() } else { rest };
    pieces.push(Piece::Text(rest.to_owned()));
    Ok(pieces)
}

fn block<'t>(pieces: &mut impl Iterator<Item = Piece<'t>>) -> Result<(Vec<Node>, Stop), String> {
    let mut nodes = Vec::new();
    while let Some(piece) = pieces.next() {
        let action = match piece {
            Piece::Text(text) => {
                nodes.push(Node::Text(text));
                continue;
            }
            Piece::Action(action) => action,
        };
        let (word, rest) = action.split_once(' ').unwrap_or((action, ""));
        match word {
            "end" => return Ok((nodes, Stop::End)),
            "else" if rest.is_empty() => return Ok((nodes, Stop::Else)),
            "range" => {
                let (names, over) = rest.split_once(":=").unwrap_or(("", rest));
                let names = names.split(',').map(str::trim).filter(|name| !name.is_empty());
                let variables = names.map(str::to_owned).collect();
                let (body, _) = block(pieces)?;
                nodes.push(Node::Range { over: name(over)?, variables, body });
            }
            "if" => {
                let (yes, end) = block(pieces)?;
                let no = if end == Stop::Else { block(pieces)?.0 } else { Vec::new() };
                nodes.push(Node::If { when: name(rest)?, yes, no });
            }
            _ if action.starts_with("/*") => {}
            _ => nodes.push(Node::Field(name(action)?)),
        }
    }
    Ok((nodes, Stop::Template))
}

/// A field or variable, as the only thing in an action.
fn name(text: &str) -> Result<String, String> {
    let text = text.trim();
    let plain = text.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '$' | '_'));
    if plain && text.starts_with(['.', '$']) {
        return Ok(text.to_owned());
    }
    Err(unable(&format!("`{text}` is not known to the sandbox: use fields, range and if")))
}

fn write(nodes: &[Node], scope: &Scope<'_>, text: &mut String) -> Result<(), String> {
    for node in nodes {
        match node {
            Node::Text(plain) => text.push_str(plain),
            Node::Field(name) => text.push_str(&printed(scope.get(name)?)),
            Node::If { when, yes, no } => {
                write(if is_true(scope.get(when)?) { yes } else { no }, scope, text)?;
            }
            Node::Range { over, variables, body } => {
                for (key, value) in entries(scope.get(over)?) {
                    let key = Value::from(key);
                    let values: Vec<&Value> = match variables.len() {
                        2 => vec![&key, value],
                        _ => vec![value],
                    };
                    let mut inner = scope.variables.clone();
                    inner.extend(variables.iter().cloned().zip(values));
                    let inner = Scope { dot: value, root: scope.root, variables: inner };
                    write(body, &inner, text)?;
                }
            }
        }
    }
    Ok(())
}

impl<'v> Scope<'v> {
    fn get(&self, name: &str) -> Result<&'v Value, String> {
        let mut parts = name.split('.');
        let first = parts.next().unwrap_or_default();
        let start = match first {
            "" => self.dot,
            "$" => self.root,
            variable => {
                let found = self.variables.get(variable).copied();
                found.ok_or_else(|| unable(&format!("undefined variable \"{variable}\"")))?
            }
        };
        let mut value = start;
        for part in parts.filter(|part| !part.is_empty()) {
            value = value.get(part).ok_or_else(|| {
                format!("failed to run template from spec: can't evaluate field {part} in `{name}`")
            })?;
        }
        Ok(value)
    }
}

fn entries(value: &Value) -> Vec<(String, &Value)> {
    match value {
        Value::Array(all) => all.iter().enumerate().map(|(at, it)| (at.to_string(), it)).collect(),
        Value::Object(all) => all.iter().map(|(key, it)| (key.clone(), it)).collect(),
        _ => Vec::new(),
    }
}

fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(yes) => *yes,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(all) => !all.is_empty(),
        Value::Object(all) => !all.is_empty(),
    }
}

/// A value as Go prints it; a name with its namespace has a form of its own.
fn printed(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Object(all) => match (all.get("Namespace"), all.get("Name")) {
            (Some(Value::String(namespace)), Some(Value::String(name))) => {
                format!("{namespace}/{name}")
            }
            _ => value.to_string(),
        },
        other => other.to_string(),
    }
}

fn unable(why: &str) -> String {
    format!("unable to create commit message template from spec: {why}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn data() -> Value {
        let change = |old: &str, new: &str| json!({"OldValue": old, "NewValue": new, "Setter": "flux-system:app"});
        json!({"AutomationObject": {"Name": "fleet", "Namespace": "flux-system"},
            "Values": {"team": "blue"}, "Changed": {
                "Changes": [change("a:1", "a:2"), change("1", "2")],
                "Objects": {"ConfigMap/default/app": [change("1", "2")]}}})
    }

    #[test]
    fn templates_of_flux_are_rendered() {
        for (template, text) in [
            (DEFAULT, DEFAULT),
            (
                "{{range .Changed.Changes}}{{.OldValue}} -> {{.NewValue}}\n{{end}}",
                "a:1 -> a:2\n1 -> 2\n",
            ),
            ("by {{ .AutomationObject }} of {{ .Values.team }}", "by flux-system/fleet of blue"),
            (
                "{{ range $resource, $changes := .Changed.Objects -}}\n- {{ $resource }}\n\
                 {{- range $_, $change := $changes }}\n    {{ $change.NewValue }}\n{{- end }}\n\
                 {{- end }}",
                "- ConfigMap/default/app\n    2",
            ),
            ("{{ if .Values.team }}yes{{ else }}no{{ end }}{{/* x */}}", "yes"),
            ("{{ range .Changed.Changes }}{{ $.AutomationObject.Name }} {{ end }}", "fleet fleet "),
        ] {
            assert_eq!(render(template, &data()).as_deref(), Ok(text), "{template}");
        }
    }

    #[test]
    fn what_is_not_known_is_refused_by_name() {
        let problem = |template: &str| render(template, &data()).unwrap_err();
        assert!(problem("{{ .Updated.Images }}").contains("can't evaluate field Updated"));
        assert!(problem("{{ printf \"x\" }}").contains("`printf \"x\"` is not known"));
        assert!(problem("{{ $x }}").contains("undefined variable \"$x\""));
        assert!(problem("{{ .Values").contains("unclosed action"));
        assert!(problem("a {{ end }}").contains("unexpected {{end}}"));
    }
}
