//! Regular expressions as Go reads them, over the bytes of tags.
//!
//! Go's syntax and that of our library agree but for a few signs, which are rewritten. Tags are
//! ASCII, so that classes of Unicode need not be told apart from those of bytes.

use regex_automata::dfa::dense;
use regex_automata::meta::Regex;
use regex_automata::nfa::thompson;
use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Capture, Hir, HirKind};

/// What an automaton may take: far more than people's patterns do.
const MOST_MEMORY: usize = 4 << 20;

/// A regular expression.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    hir: Hir,
    regex: Regex,
}

// === impl Pattern ===

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// With what is wrong with it, in one line.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let rewritten = in_our_syntax(text);
        let parse = |unicode| {
            let mut parser = ParserBuilder::new().unicode(unicode).utf8(false).build();
            parser.parse(&rewritten).map_err(|why| last_line(&why))
        };
        let hir = parse(false).or_else(|_| parse(true))?;
        let regex = Regex::builder().build_from_hir(&hir).map_err(|why| last_line(&why))?;
        Ok(Self { hir, regex })
    }

    /// The names of the groups; that of the whole match and of nameless ones are none.
    pub(super) fn groups(&self) -> Vec<Option<String>> {
        let names = self.regex.group_info().pattern_names(regex_automata::PatternID::ZERO);
        names.map(|it| it.map(str::to_owned)).collect()
    }

    pub(super) fn matches(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }

    /// What each group has matched, the whole match first; none if the text does not match.
    pub(super) fn captures<'a>(&self, text: &'a str) -> Option<Vec<&'a str>> {
        let mut found = self.regex.create_captures();
        self.regex.captures(text, &mut found);
        let matched = found.is_match();
        let group = |it| found.get_group(it).map_or("", |it| &text[it.range()]);
        matched.then(|| (0..found.group_len()).map(group).collect())
    }

    pub(super) fn hir(&self) -> &Hir {
        &self.hir
    }

    /// The expression inside a group, without groups of its own.
    pub(super) fn group(&self, index: usize) -> Option<Hir> {
        if index == 0 {
            return Some(replaced(&self.hir, &|_| None));
        }
        let group = find(&self.hir, index)?;
        Some(replaced(&group.sub, &|_| None))
    }

    /// The expression with these texts in the place of groups, each of which has to take part
    /// unless its text is empty.
    pub(super) fn with_groups(&self, texts: &[(usize, &str)]) -> Hir {
        let wanted: Vec<_> =
            texts.iter().filter(|(_, text)| !text.is_empty()).map(|(index, _)| *index).collect();
        replaced(&taking_part(&self.hir, &wanted), &|capture| {
            let text = texts.iter().find(|(index, _)| *index == index_of(capture))?.1;
            Some(Hir::literal(text.as_bytes()))
        })
    }
}

/// The automaton of an expression; none if it would be too large.
pub(super) fn automaton(hir: &Hir) -> Option<dense::DFA<Vec<u32>>> {
    let config = thompson::Config::new().utf8(false).nfa_size_limit(Some(MOST_MEMORY));
    let nfa = thompson::Compiler::new().configure(config).build_from_hir(hir).ok()?;
    let config = dense::Config::new()
        .dfa_size_limit(Some(MOST_MEMORY))
        .determinize_size_limit(Some(MOST_MEMORY));
    dense::Builder::new().configure(config).build_from_nfa(&nfa).ok()
}

fn index_of(capture: &Capture) -> usize {
    usize::try_from(capture.index).unwrap_or(usize::MAX)
}

fn find(hir: &Hir, index: usize) -> Option<&Capture> {
    match hir.kind() {
        HirKind::Capture(it) if index_of(it) == index => Some(it),
        HirKind::Capture(it) => find(&it.sub, index),
        HirKind::Repetition(it) => find(&it.sub, index),
        HirKind::Concat(all) | HirKind::Alternation(all) => {
            all.iter().find_map(|it| find(it, index))
        }
        HirKind::Empty | HirKind::Literal(_) | HirKind::Class(_) | HirKind::Look(_) => None,
    }
}

/// The expression without the ways that pass these groups by.
fn taking_part(hir: &Hir, groups: &[usize]) -> Hir {
    let held = |it: &Hir| groups.iter().any(|index| find(it, *index).is_some());
    if !held(hir) {
        return hir.clone();
    }
    match hir.kind() {
        HirKind::Repetition(it) => {
            let mut once = it.with(taking_part(&it.sub, groups));
            once.min = once.min.max(1);
            Hir::repetition(once)
        }
        HirKind::Capture(it) => {
            let sub = Box::new(taking_part(&it.sub, groups));
            Hir::capture(Capture { sub, ..it.clone() })
        }
        HirKind::Concat(all) => Hir::concat(all.iter().map(|it| taking_part(it, groups)).collect()),
        HirKind::Alternation(all) => {
            let all = all.iter().filter(|it| held(it));
            Hir::alternation(all.map(|it| taking_part(it, groups)).collect())
        }
        HirKind::Empty | HirKind::Literal(_) | HirKind::Class(_) | HirKind::Look(_) => hir.clone(),
    }
}

/// The expression without groups: each is replaced by what `of` gives for it, or its own inside.
fn replaced(hir: &Hir, of: &dyn Fn(&Capture) -> Option<Hir>) -> Hir {
    match hir.kind() {
        HirKind::Capture(it) => of(it).unwrap_or_else(|| replaced(&it.sub, of)),
        HirKind::Repetition(it) => Hir::repetition(it.with(replaced(&it.sub, of))),
        HirKind::Concat(all) => Hir::concat(all.iter().map(|it| replaced(it, of)).collect()),
        HirKind::Alternation(all) => {
            Hir::alternation(all.iter().map(|it| replaced(it, of)).collect())
        }
        HirKind::Empty | HirKind::Literal(_) | HirKind::Class(_) | HirKind::Look(_) => hir.clone(),
    }
}

/// Rewrites what Go reads otherwise: `\Q…\E`, and signs that only our library takes for more than
/// themselves.
fn in_our_syntax(text: &str) -> String {
    let mut written = String::new();
    let (mut rest, mut class_begins, mut in_class) = (text, false, false);
    while let Some(next) = rest.chars().next() {
        let tail = &rest[next.len_utf8()..];
        let begins = std::mem::take(&mut class_begins);
        if let Some(quoted) = rest.strip_prefix(r"\Q").filter(|_| !in_class) {
            let (quoted, after) = quoted.split_once(r"\E").unwrap_or((quoted, ""));
            written += &regex_syntax::escape(quoted);
            rest = after;
            continue;
        }
        rest = tail;
        match next {
            '\\' => {
                let escaped = rest.chars().next();
                rest = &rest[escaped.map_or(0, char::len_utf8)..];
                match escaped {
                    Some(sign @ ('<' | '>')) => written.push(sign),
                    Some(sign) => written.extend(['\\', sign]),
                    None => written.push('\\'),
                }
            }
            '[' if !in_class => {
                (in_class, class_begins) = (true, true);
                written.push('[');
                if let Some(after) = rest.strip_prefix('^') {
                    written.push('^');
                    rest = after;
                }
            }
            '[' if rest.starts_with(':') && rest.contains(":]") => {
                let (name, after) = rest.split_once(":]").unwrap_or((rest, ""));
                written.extend(["[", name, ":]"]);
                rest = after;
            }
            '[' => written += r"\[",
            ']' if in_class && !begins => {
                in_class = false;
                written.push(']');
            }
            ']' if in_class => written += r"\]",
            '&' | '~' if in_class => written.extend(['\\', next]),
            '-' if in_class && written.ends_with('-') => written += r"\-",
            '{' if !in_class && !is_count(rest) => written += r"\{",
            _ => written.push(next),
        }
    }
    written
}

/// Whether what follows a `{` says how often something may stand.
fn is_count(text: &str) -> bool {
    let Some((count, _)) = text.split_once('}') else { return false };
    let (least, most) = count.split_once(',').unwrap_or((count, ""));
    let digits = |it: &str| it.bytes().all(|it| it.is_ascii_digit());
    !least.is_empty() && digits(least) && digits(most)
}

/// What is wrong, without the drawing above it.
fn last_line(why: &dyn std::fmt::Display) -> String {
    let text = why.to_string();
    let line = text.lines().last().unwrap_or_default();
    line.trim_start_matches("error: ").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_go_reads_otherwise_is_rewritten() {
        for (pattern, inside, outside) in [
            (r"^\Qa.b\E$", "a.b", "axb"),
            (r"^[a[]$", "[", "]"),
            (r"^[]a]$", "]", "b"),
            (r"^[^]a]$", "b", "]"),
            (r"^[a&&b]$", "&", "c"),
            (r"^[[:alpha:]]+$", "abc", "a1"),
            (r"^a{,2}$", "a{,2}", "aa"),
            (r"^a{1,2}$", "aa", "aaa"),
            (r"^[+--]$", ",", "a"),
            (r"^(?i)MAIN-(?P<n>\d+)$", "main-7", "main-x"),
        ] {
            let read = Pattern::parse(pattern).unwrap();
            assert!(read.matches(inside), "{pattern} {inside}");
            assert!(!read.matches(outside), "{pattern} {outside}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_pattern_is_said_in_one_line() {
        assert_eq!(Pattern::parse("(a").unwrap_err(), "unclosed group");
    }

    #[test]
    fn groups_that_took_no_part_are_empty() {
        let pattern = Pattern::parse(r"^(?P<a>x)?(y)?").unwrap();
        assert_eq!(pattern.captures("y").unwrap(), ["y", "", "y"]);
        assert_eq!(pattern.groups(), [None, Some("a".to_owned()), None]);
    }
}
