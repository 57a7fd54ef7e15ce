//! Go templates, as far as canary charts go: fields, text, numbers, pipes and four functions.
//!
//! Everything else fails with the words that Helm has for a function it does not know, since a
//! chart that silently renders to something else would be worse.

use serde_json::Value;

/// Names of the functions that are known.
const FUNCTIONS: [&str; 5] = ["quote", "squote", "default", "fail", "required"];

/// A template being rendered.
pub(super) struct Template<'a> {
    /// The file as Helm names it: the chart's folder first.
    pub(super) path: &'a str,
    pub(super) text: &'a str,
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Field(String),
    Literal(Value),
    Word(String),
    Pipe,
}

/// An action, and where it stands: its line, and the column of its first token.
struct Place {
    line: usize,
    column: usize,
}

impl Template<'_> {
    /// The text with every action replaced; the error is Helm's whole message.
    pub(super) fn render(&self, scope: &Value) -> Result<String, String> {
        let (mut out, mut rest) = (String::new(), self.text);
        let mut trim = false;
        while let Some(start) = rest.find("{{") {
            let at = self.text.len() - rest.len() + start;
            let (before, mut action) = (&rest[..start], &rest[start + 2..]);
            let cut = action.starts_with("- ") || action.starts_with("-\n");
            let before = if trim { before.trim_start() } else { before };
            out.push_str(if cut { before.trim_end() } else { before });
            let Some(end) = action.find("}}") else {
                return Err(self.parse_error(at, "unclosed action"));
            };
            rest = &action[end + 2..];
            action = &action[usize::from(cut)..end];
            trim = action.ends_with(" -") || action.ends_with("\n-");
            action = if trim { &action[..action.len() - 1] } else { action };
            if action.trim().starts_with("/*") {
                continue;
            }
            let inside = action.len() - action.trim_start().len();
            let place = self.place(at + 2 + usize::from(cut) + inside);
            let tokens = tokens(action.trim()).map_err(|why| self.parse_error(at, &why))?;
            out.push_str(&text(&self.value(&tokens, scope, &place, at)?));
        }
        out.push_str(if trim { rest.trim_start() } else { rest });
        Ok(out)
    }

    fn value(
        &self,
        tokens: &[Token],
        scope: &Value,
        place: &Place,
        at: usize,
    ) -> Result<Value, String> {
        let mut piped: Option<Value> = None;
        for command in tokens.split(|it| *it == Token::Pipe) {
            let mut operands = Vec::new();
            let mut function = None;
            for (number, token) in command.iter().enumerate() {
                match token {
                    Token::Literal(value) => operands.push(value.clone()),
                    Token::Field(path) => operands.push(self.look_up(path, scope, place)?),
                    Token::Word(name) if number == 0 && FUNCTIONS.contains(&name.as_str()) => {
                        function = Some(name.as_str());
                    }
                    Token::Word(name) => {
                        return Err(self.parse_error(at, &format!("function {name:?} not defined")));
                    }
                    Token::Pipe => {}
                }
            }
            operands.extend(piped.take());
            piped = Some(match function {
                Some(name) => self.call(name, &operands, place)?,
                None if operands.len() == 1 => operands.remove(0),
                None if operands.is_empty() => {
                    return Err(self.parse_error(at, "missing value for command"));
                }
                None => {
                    let why = "can't give argument to non-function";
                    return Err(self.execution_error(place, why));
                }
            });
        }
        Ok(piped.unwrap_or_default())
    }

    fn look_up(&self, path: &str, scope: &Value, place: &Place) -> Result<Value, String> {
        let mut value = scope;
        for name in path.split('.').filter(|name| !name.is_empty()) {
            if value.is_null() {
                let (Place { line, column }, file) = (place, self.path);
                return Err(format!(
                    "template: {file}:{line}:{column}: executing \"{file}\" at <{path}>: nil \
                     pointer evaluating interface {{}}.{name}"
                ));
            }
            value = &value[name];
        }
        Ok(value.clone())
    }

    fn call(&self, name: &str, all: &[Value], place: &Place) -> Result<Value, String> {
        let wrong = |count: &str| {
            let got = all.len();
            let why = format!("wrong number of args for {name}: want {count} got {got}");
            self.execution_error(place, &why)
        };
        match (name, all) {
            ("quote", all) => {
                let quoted = all.iter().filter(|it| !it.is_null());
                let quoted: Vec<String> =
                    quoted.map(|it| Value::from(text(it)).to_string()).collect();
                Ok(quoted.join(" ").into())
            }
            ("squote", all) => {
                let quoted = all.iter().filter(|it| !it.is_null());
                let quoted: Vec<String> = quoted.map(|it| format!("'{}'", text(it))).collect();
                Ok(quoted.join(" ").into())
            }
            ("default", [default]) => Ok(default.clone()),
            ("default", [default, value]) => {
                Ok(if is_empty(value) { default.clone() } else { value.clone() })
            }
            ("fail", [why]) => Err(self.execution_error(place, &text(why))),
            ("required", [why, value]) if is_empty(value) => {
                Err(self.execution_error(place, &text(why)))
            }
            ("required", [_, value]) => Ok(value.clone()),
            ("fail", _) => Err(wrong("1")),
            _ => Err(wrong("at least 1")),
        }
    }

    fn place(&self, at: usize) -> Place {
        let before = &self.text[..at];
        let line = before.matches('\n').count() + 1;
        let column = before.rfind('\n').map_or(before.len(), |end| before.len() - end - 1);
        Place { line, column }
    }

    fn parse_error(&self, at: usize, why: &str) -> String {
        format!("parse error at ({}:{}): {why}", self.path, self.place(at).line)
    }

    fn execution_error(&self, place: &Place, why: &str) -> String {
        format!("execution error at ({}:{}:{}): {why}", self.path, place.line, place.column)
    }
}

fn tokens(action: &str) -> Result<Vec<Token>, String> {
    let (mut tokens, mut rest) = (Vec::new(), action.trim_start());
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '|' => {
                tokens.push(Token::Pipe);
                1
            }
            '"' | '`' => {
                let length = quoted(rest, first).ok_or("unterminated quoted string")?;
                let literal = match first {
                    '`' => Ok(Value::from(&rest[1..length - 1])),
                    _ => serde_json::from_str(&rest[..length]),
                };
                tokens.push(Token::Literal(literal.map_err(|_| "invalid syntax".to_owned())?));
                length
            }
            _ => {
                let ends = |c: char| c.is_whitespace() || "|\"`".contains(c);
                let length = rest.find(ends).unwrap_or(rest.len());
                tokens.push(word(&rest[..length])?);
                length
            }
        };
        rest = rest[length..].trim_start();
    }
    Ok(tokens)
}

fn word(text: &str) -> Result<Token, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_.".contains(c);
    if text.starts_with('.') && text.chars().all(plain) {
        return Ok(Token::Field(text.to_owned()));
    }
    match serde_json::from_str::<Value>(text) {
        Ok(literal @ (Value::Bool(_) | Value::Number(_))) => Ok(Token::Literal(literal)),
        _ if text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') => {
            Ok(Token::Word(text.to_owned()))
        }
        _ => Err(format!("unexpected {text:?} in operand")),
    }
}

/// The length of a quoted text, quotes included.
fn quoted(text: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' if quote == '"' => escaped = true,
            c if c == quote => return Some(at + 1),
            _ => {}
        }
    }
    None
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::Array(all) => all.is_empty(),
        Value::Object(all) => all.is_empty(),
        Value::Bool(true) => false,
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn render(text: &str) -> Result<String, String> {
        let scope = json!({"Values": {"run": "a\"b", "n": 3, "none": null, "map": {"x": true}},
            "Release": {"Name": "demo"}});
        Template { path: "demo/templates/cm.yaml", text }.render(&scope)
    }

    #[test]
    fn fields_texts_and_pipes_are_rendered() {
        for (text, rendered) in [
            ("plain", "plain"),
            ("a: {{ .Values.run | quote }}", r#"a: "a\"b""#),
            ("{{ .Values.n }} {{ .Values.map.x }}", "3 true"),
            ("[{{ .Values.none }}]", "[]"),
            ("{{ .Values.none | default \"x y\" }}", "x y"),
            ("{{ default 7 .Values.n }}", "3"),
            ("{{ .Release.Name | squote }}", "'demo'"),
            ("a\n  {{- /* gone */ -}}\n b {{- \"c\" }}", "abc"),
            ("{{ required \"say n\" .Values.n }}", "3"),
        ] {
            assert_eq!(render(text).as_deref(), Ok(rendered), "{text}");
        }
    }

    #[test]
    fn failures_are_told_in_the_words_of_helm() {
        for (text, message) in [
            (
                "{{ fail \"broken on purpose\" }}",
                "execution error at (demo/templates/cm.yaml:1:3): broken on purpose",
            ),
            (
                "a\nb: {{ include \"x\" . }}",
                "parse error at (demo/templates/cm.yaml:2): function \"include\" not defined",
            ),
            ("{{ .Values.n", "parse error at (demo/templates/cm.yaml:1): unclosed action"),
            (
                "{{ .Values.a.b }}",
                "template: demo/templates/cm.yaml:1:3: executing \"demo/templates/cm.yaml\" at \
                 <.Values.a.b>: nil pointer evaluating interface {}.b",
            ),
            (
                "{{ required \"say a\" .Values.a }}",
                "execution error at (demo/templates/cm.yaml:1:3): say a",
            ),
        ] {
            assert_eq!(render(text).unwrap_err(), message);
        }
    }
}
