//! YAML that belongs to somebody else: read as Helm reads it, and changed line by line.
//!
//! Writing a file anew from what was read of it would lose comments, order and quotes. So only the
//! lines are touched that have to be, and the result is read again: it must say what was meant.
//! Where the lines do not allow that, the whole is written anew, as JSON, which is YAML too.

use serde_json::Value;

/// An index of a large repository has some hundred thousand nodes.
const MOST_NODES: usize = 4_000_000;

/// Reads the one document of a text.
pub(super) fn read(text: &str) -> Result<Value, String> {
    let options = serde_saphyr::options! {
        with_snippet: false,
        strict_booleans: true,
        budget: serde_saphyr::budget! {
            max_nodes: MOST_NODES,
            max_events: 4 * MOST_NODES,
        },
    };
    let read = serde_saphyr::from_str_with_options(text, options);
    // Only the first line: the rest draws the place.
    read.map_err(|it| it.to_string().lines().next().unwrap_or_default().to_owned())
}

/// The text with `edit`, if it then says `meant`; else `meant` itself.
pub(super) fn edited(edit: Option<String>, meant: &Value) -> String {
    let right = edit.filter(|it| read(it).as_ref() == Ok(meant));
    right.unwrap_or_else(|| format!("{meant:#}\n"))
}

/// Gives a key of the root another text.
pub(super) fn with_text(text: &str, key: &str, value: &str) -> Option<String> {
    let (start, end) = line_of(text, &format!("{key}:"))?;
    let value = Value::from(value);
    Some(format!("{}{key}: {value}\n{}", &text[..start], &text[end..]))
}

/// Gives an entry of a map of the root another text; the map may be missing.
pub(super) fn with_entry(text: &str, map: &str, key: &str, value: &str) -> Option<String> {
    let value = Value::from(value);
    let Some((_, end)) = line_of(text, &format!("{map}:")) else {
        let ends = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
        return Some(format!("{text}{ends}{map}:\n  {key}: {value}\n"));
    };
    let (mut written, mut left) = (text[..end].to_owned(), &text[end..]);
    let next = left.lines().find(|it| !it.trim().is_empty())?;
    let indent = &next[..next.len() - next.trim_start().len()];
    if indent.is_empty() {
        return None;
    }
    written.extend([indent, key, ": ", &value.to_string(), "\n"]);
    while let Some(line) = left.split_inclusive('\n').next() {
        left = &left[line.len()..];
        if !line.starts_with(&format!("{indent}{key}:")) {
            written += line;
        }
        if !line.trim().is_empty() && !line.starts_with(indent) {
            break;
        }
    }
    Some(written + left)
}

/// Where the line that begins with `start` begins and ends, its line end included.
pub(super) fn line_of(text: &str, start: &str) -> Option<(usize, usize)> {
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if line.starts_with(start) {
            return Some((at, at + line.len()));
        }
        at += line.len();
    }
    None
}

/// A value in block style. Every text is quoted, so that it stays a text.
pub(super) fn write(value: &Value, indent: usize) -> String {
    let margin = " ".repeat(indent);
    match value {
        Value::Object(map) if !map.is_empty() => {
            let pairs = map.iter().map(|(key, it)| [margin.clone(), pair(key, it, indent)]);
            pairs.flatten().collect()
        }
        Value::Array(all) if !all.is_empty() => {
            let items = all.iter().map(|it| [margin.clone(), "- ".to_owned(), item(it, indent)]);
            items.flatten().collect()
        }
        other => format!("{margin}{other}\n"),
    }
}

fn pair(key: &str, value: &Value, indent: usize) -> String {
    let plain = |it: char| it.is_ascii_alphanumeric();
    let key = if key.chars().all(plain) { key.to_owned() } else { Value::from(key).to_string() };
    if is_nested(value) {
        format!("{key}:\n{}", write(value, indent + 2))
    } else {
        format!("{key}: {value}\n")
    }
}

/// What stands behind a dash: its first line there, the others below.
fn item(value: &Value, indent: usize) -> String {
    write(value, indent + 2).trim_start().to_owned()
}

fn is_nested(value: &Value) -> bool {
    value.as_object().is_some_and(|it| !it.is_empty())
        || value.as_array().is_some_and(|it| !it.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_value_in_block_style_reads_back() {
        let value = json!({
            "annotations": {"hopclock.dev/canary": "x-1", "yes": "no"},
            "urls": ["a.tgz", "b: c"], "empty": {}, "version": "1.10",
            "maintainers": [{"name": "Ann \"A\"", "email": "a@example.com"}, {"name": "B"}],
        });
        for indent in [0, 4] {
            assert_eq!(read(&write(&value, indent)).as_ref(), Ok(&value), "{indent}");
        }
        let nested = json!([value.clone(), [1, [2]]]);
        assert_eq!(read(&write(&nested, 2)), Ok(nested));
    }

    #[test]
    fn a_text_of_the_root_changes_and_nothing_else_does() {
        let text = "# mine\nversion: 0.1.0 # old\nname: 'c'\n";
        assert_eq!(
            with_text(text, "version", "0.2.0").unwrap(),
            "# mine\nversion: \"0.2.0\"\nname: 'c'\n"
        );
    }

    #[test]
    fn an_entry_is_added_or_replaced_where_its_map_stands() {
        let text = "name: c\nannotations:\n    a: b\n    k: old\nversion: 1.0.0\n";
        let changed = with_entry(text, "annotations", "k", "new").unwrap();
        assert_eq!(changed, "name: c\nannotations:\n    k: \"new\"\n    a: b\nversion: 1.0.0\n");
        let added = with_entry("name: c", "annotations", "k", "new").unwrap();
        assert_eq!(added, "name: c\nannotations:\n  k: \"new\"\n");
    }

    #[test]
    fn what_cannot_be_changed_by_lines_is_written_anew() {
        let meant = json!({"name": "c", "version": "0.2.0"});
        let edit = with_text("{name: c, version: 0.1.0}", "version", "0.2.0");
        assert_eq!(read(&edited(edit, &meant)), Ok(meant));
    }
}
