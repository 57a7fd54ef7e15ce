//! Label and field selectors of lists and watches.

use serde_json::Value;

/// What an object has to be like to be listed or watched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Selector {
    labels: Vec<Term>,
    fields: Vec<Term>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Term {
    key: String,
    test: Test,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Test {
    In(Vec<String>),
    NotIn(Vec<String>),
    Exists,
    Missing,
}

impl Selector {
    /// Reads both selectors of a request for objects of `kind`.
    pub(super) fn parse(
        kind: &str,
        labels: Option<&str>,
        fields: Option<&str>,
    ) -> Result<Self, String> {
        let labels = split(labels.unwrap_or_default())
            .into_iter()
            .map(label_term)
            .collect::<Result<_, _>>()?;
        let fields = split(fields.unwrap_or_default())
            .into_iter()
            .map(|text| field_term(kind, text))
            .collect::<Result<_, _>>()?;
        Ok(Self { labels, fields })
    }

    /// Whether every object is selected.
    pub(super) fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    /// The one name that the field selector asks for, if it asks for one.
    pub(super) fn name(&self) -> Option<&str> {
        self.fields.iter().find_map(|term| match &term.test {
            Test::In(names) if term.key == "metadata.name" => names.first().map(String::as_str),
            _ => None,
        })
    }

    pub(super) fn matches(&self, object: &Value) -> bool {
        let labels = &object["metadata"]["labels"];
        self.labels.iter().all(|term| term.test.accepts(labels[term.key.as_str()].as_str()))
            && self.fields.iter().all(|term| {
                let value = term.key.split('.').fold(object, |value, part| &value[part]);
                term.test.accepts(Some(value.as_str().unwrap_or_default()))
            })
    }
}

impl Test {
    fn accepts(&self, value: Option<&str>) -> bool {
        let among = |all: &[String]| value.is_some_and(|value| all.iter().any(|one| one == value));
        match self {
            Self::In(values) => among(values),
            Self::NotIn(values) => !among(values),
            Self::Exists => value.is_some(),
            Self::Missing => value.is_none(),
        }
    }
}

/// Splits at the commas that are not within parentheses.
fn split(text: &str) -> Vec<&str> {
    let (mut parts, mut start, mut depth) = (Vec::new(), 0, 0_i32);
    for (place, letter) in text.char_indices() {
        match letter {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&text[start..place]);
                start = place + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts.into_iter().map(str::trim).filter(|part| !part.is_empty()).collect()
}

fn equality(text: &str) -> Option<Term> {
    let term = |key: &str, test| Term { key: key.trim().to_owned(), test };
    let one = |value: &str| vec![value.trim().to_owned()];
    if let Some((key, value)) = text.split_once("!=") {
        return Some(term(key, Test::NotIn(one(value))));
    }
    let (key, value) = text.split_once("==").or_else(|| text.split_once('='))?;
    Some(term(key, Test::In(one(value))))
}

fn label_term(text: &str) -> Result<Term, String> {
    if let Some(key) = text.strip_prefix('!').filter(|key| !key.contains('=')) {
        return Ok(Term { key: key.trim().to_owned(), test: Test::Missing });
    }
    if let Some((before, rest)) = text.split_once('(') {
        let values = rest
            .strip_suffix(')')
            .ok_or_else(|| format!("unable to parse requirement: `{text}` lacks its `)`"))?;
        let values = values.split(',').map(|value| value.trim().to_owned()).collect();
        let words: Vec<_> = before.split_whitespace().collect();
        let condition = match words.get(1) {
            Some(&"in") => Test::In(values),
            Some(&"notin") => Test::NotIn(values),
            _ => return Err(format!("unable to parse requirement: `{text}` needs in or notin")),
        };
        return Ok(Term { key: words[0].to_owned(), test: condition });
    }
    if let Some(term) = equality(text) {
        return Ok(term);
    }
    if text.contains(char::is_whitespace) {
        return Err(format!("unable to parse requirement: `{text}`"));
    }
    Ok(Term { key: text.to_owned(), test: Test::Exists })
}

fn field_term(kind: &str, text: &str) -> Result<Term, String> {
    let term = equality(text)
        .ok_or_else(|| format!("invalid field selector: `{text}`; can't understand `{text}`"))?;
    let of_events = ["involvedObject.", "reason", "type", "reportingComponent"];
    let known = matches!(term.key.as_str(), "metadata.name" | "metadata.namespace")
        || (kind == "Event" && of_events.iter().any(|field| term.key.starts_with(field)))
        || (kind == "Secret" && term.key == "type")
        || (kind == "Pod" && matches!(term.key.as_str(), "spec.nodeName" | "status.phase"));
    if known { Ok(term) } else { Err(format!("field label not supported: {}", term.key)) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn selects(labels: &str, fields: &str) -> bool {
        let object = json!({
            "metadata": { "name": "a", "namespace": "b", "labels": { "app": "web", "tier": "" } },
        });
        Selector::parse("Widget", Some(labels), Some(fields)).unwrap().matches(&object)
    }

    #[test]
    fn labels_are_compared_as_kubernetes_does() {
        for yes in ["", "app=web", "app==web", "app", "!db", "app!=db", "x!=y", "app in (db, web)"]
        {
            assert!(selects(yes, ""), "{yes}");
        }
        for no in ["app=db", "db", "!app", "app!=web", "app notin (web)", "tier=x", "app=web,db"] {
            assert!(!selects(no, ""), "{no}");
        }
        assert!(selects("db notin (x),tier=,app in (web)", ""));
    }

    #[test]
    fn fields_are_names_and_namespaces_only() {
        assert!(selects("", "metadata.name=a,metadata.namespace!=c"));
        assert!(!selects("", "metadata.name!=a"));
        let refused = Selector::parse("Widget", None, Some("spec.size=1")).unwrap_err();
        assert_eq!(refused, "field label not supported: spec.size");
        assert!(Selector::parse("Event", None, Some("involvedObject.name=x")).is_ok());
    }

    #[test]
    fn a_selector_of_one_name_knows_it() {
        let selector = Selector::parse("Widget", None, Some("metadata.name=a")).unwrap();
        assert_eq!(selector.name(), Some("a"));
    }
}
