//! Text to nodes: what YAML itself refuses, in our words.

use super::mistake::Mistake;
use super::node::{Node, Place, Value};
use serde_saphyr::Error;
use serde_saphyr::options::AliasLimits;

/// A scenario has some fifty nodes; aliases count as often as they are used.
const MOST_NODES: usize = 20_000;
/// A scenario has six levels. Reading recurses, and a level costs tens of KiB of an unoptimised stack.
const MOST_LEVELS: usize = 20;

/// Reads the one document of `text`.
pub(crate) fn parse(text: &str) -> Result<Node, (Place, Mistake)> {
    let options = serde_saphyr::options! {
        with_snippet: false,
        strict_booleans: true,
        budget: serde_saphyr::budget! {
            max_nodes: MOST_NODES,
            max_events: 4 * MOST_NODES,
            max_depth: MOST_LEVELS,
        },
        alias_limits: limits(),
    };
    let node: Node = serde_saphyr::from_str_with_options(text, options).map_err(explain)?;
    if node.value == Value::Nothing {
        return Err((node.place, Mistake::Empty));
    }
    Ok(node)
}

fn limits() -> AliasLimits {
    serde_saphyr::alias_limits! {
        max_total_replayed_events: 4 * MOST_NODES,
        max_replay_stack_depth: MOST_LEVELS,
    }
}

fn explain(error: Error) -> (Place, Mistake) {
    let start = Place { line: 1, column: 1 };
    let place = error.location().map_or(start, Place::from);
    let mistake = match error {
        Error::AliasError { error, .. } | Error::WithSnippet { error, .. } => {
            return explain(*error);
        }
        Error::Eof { .. } => Mistake::Empty,
        Error::MultipleDocuments { .. } => Mistake::SecondDocument,
        Error::DuplicateMappingKey { key, .. } => {
            Mistake::SameKeyTwice { key: key.unwrap_or_default() }
        }
        Error::UnknownAnchor { .. } => Mistake::UnknownAnchor,
        Error::MergeValueNotMapOrSeqOfMaps { .. } => Mistake::MergeOfNoMap,
        Error::Unexpected { expected: "string scalar", .. } => Mistake::KeyIsNoText,
        Error::Budget { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. }
        | Error::AliasReplayCounterOverflow { .. }
        | Error::RecursiveReferencesRequireWeakTypes { .. } => Mistake::TooMuch,
        Error::NonFiniteFloat { .. } => {
            Mistake::WrongType { expected: "a value", found: "an infinite or undefined number" }
        }
        Error::ExternalMessage { msg, .. } | Error::Message { msg, .. } => Mistake::NotYaml(msg),
        other => Mistake::NotYaml(other.to_string()),
    };
    (place, mistake)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alias_bomb_is_stopped_early() {
        let uses = |of: char| vec![format!("*{of}"); 10].join(", ");
        let line = |(from, to)| format!("{to}: &{to} [{}]\n", uses(from));
        let lines: Vec<_> = ('a'..'i').zip('b'..).map(line).collect();
        let bomb = format!("a: &a [x, x, x, x, x, x, x, x, x, x]\n{}", lines.concat());
        assert_eq!(parse(&bomb).unwrap_err().1, Mistake::TooMuch);
    }

    #[test]
    fn deep_nesting_is_stopped_before_the_stack_is() {
        let deep = format!("a: {}{}", "[".repeat(10_000), "]".repeat(10_000));
        assert!(parse(&deep).is_err());
        let deep: Vec<_> = (0..1_000).map(|it| " ".repeat(it) + "a:\n").collect();
        assert_eq!(parse(&deep.concat()).unwrap_err().1, Mistake::TooMuch);
    }

    #[test]
    fn aliases_of_aliases_are_stopped_before_the_stack_is() {
        let line =
            |(from, to)| format!("{to}: &{to} {}*{from}{}\n", "[".repeat(15), "]".repeat(15));
        let lines: Vec<_> = ('a'..'y').zip('b'..).map(line).collect();
        let tower = format!("a: &a [x]\n{}", lines.concat());
        assert_eq!(parse(&tower).unwrap_err().1, Mistake::TooMuch);
    }

    #[test]
    fn an_alias_of_itself_is_refused() {
        assert!(parse("a: &a [*a]\n").is_err());
    }

    #[test]
    fn no_text_makes_the_reader_panic() {
        for text in ["\0", "\u{feff}", "%YAML", "- -", "? ?", "&a", "*", "!!", "|", "a: |9\n x"] {
            let _ = parse(text);
        }
    }
}
