//! `filterTags.extract`: what of a tag is ordered, in the syntax of Go's templates.
//!
//! `$name` is the longest name that can be read, `${name}` ends where it says, `$1` is a group by
//! its number, `$$` is a dollar sign. What cannot be read so stands for itself.

/// A template, in parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Template(pub(super) Vec<Part>);

/// A part of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Text that stands for itself.
    Text(String),
    /// What a group of the pattern has matched.
    Group(usize),
}

// === impl Template ===

impl Template {
    /// Reads a template; names of groups are looked up. A group that is not there is empty.
    pub(super) fn parse(text: &str, groups: &[Option<String>]) -> Self {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            push_text(&mut parts, before);
            rest = after;
            if let Some(tail) = after.strip_prefix('$') {
                push_text(&mut parts, "$");
                rest = tail;
            } else if let Some((name, tail)) = name(after) {
                parts.extend(group(name, groups).map(Part::Group));
                rest = tail;
            } else {
                push_text(&mut parts, "$");
            }
        }
        push_text(&mut parts, rest);
        Self(parts)
    }

    /// The text that comes of it when the groups have matched this.
    pub(super) fn expand<'a>(&self, group: impl Fn(usize) -> &'a str) -> String {
        let text = self.0.iter().map(|it| match it {
            Part::Text(text) => text.as_str(),
            Part::Group(index) => group(*index),
        });
        text.collect()
    }
}

fn push_text(parts: &mut Vec<Part>, more: &str) {
    match parts.last_mut() {
        _ if more.is_empty() => {}
        Some(Part::Text(text)) => text.push_str(more),
        _ => parts.push(Part::Text(more.to_owned())),
    }
}

/// The name after a `$`, and what follows it.
fn name(text: &str) -> Option<(&str, &str)> {
    let (braced, text) = match text.strip_prefix('{') {
        Some(text) => (true, text),
        None => (false, text),
    };
    let part = |it: char| it.is_alphanumeric() || it == '_';
    let end = text.find(|it| !part(it)).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let rest = if braced { rest.strip_prefix('}')? } else { rest };
    (!name.is_empty()).then_some((name, rest))
}

fn group(name: &str, groups: &[Option<String>]) -> Option<usize> {
    let is_number = name.bytes().all(|it| it.is_ascii_digit());
    if is_number && (name.len() == 1 || !name.starts_with('0')) {
        return name.parse().ok().filter(|it| *it < groups.len());
    }
    groups.iter().position(|it| it.as_deref() == Some(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_read_as_go_reads_them() {
        let groups = [None, Some("ts".to_owned()), Some("n".to_owned())];
        let expand =
            |text: &str| Template::parse(text, &groups).expand(|it| ["all", "1700", "7"][it]);
        for (template, text) in [
            ("$ts", "1700"),
            ("${ts}x", "1700x"),
            ("$tsx", ""),
            ("$1.$2", "1700.7"),
            ("$0", "all"),
            ("$01", ""),
            ("$9-", "-"),
            ("a$$b", "a$b"),
            ("$", "$"),
            ("${", "${"),
            ("${ts", "${ts"),
            ("$-$n", "$-7"),
            ("v", "v"),
        ] {
            assert_eq!(expand(template), text, "{template}");
        }
    }
}
