//! What is wrong, and where: the message that somebody sees who wrote a bad scenario.

use super::mistake::Mistake;
use super::node::Place;
use super::secrets::Secrets;
use std::fmt;

/// Longest part of a source line that is shown.
const SHOWN: usize = 120;

/// One thing that is wrong with one file. Holds no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    file: String,
    spot: Option<Spot>,
    message: String,
}

/// Everything that is wrong with the files of one load. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

/// A place of a file, and what stands on its line.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Spot {
    line: usize,
    column: usize,
    source: String,
    /// Characters before the caret.
    caret: usize,
}

// === impl Problem ===

impl Problem {
    /// A file that could not be looked into.
    pub(crate) fn of_file(file: &str, mistake: &Mistake) -> Self {
        Self { file: file.to_owned(), spot: None, message: mistake.to_string() }
    }

    /// A mistake at `place` of the `text` of a file.
    pub(crate) fn at(
        file: &str,
        text: &str,
        place: Place,
        mistake: &Mistake,
        secrets: &Secrets,
    ) -> Self {
        let message = printable(&secrets.mask(&mistake.to_string()));
        Self { file: file.to_owned(), spot: Some(Spot::new(text, place, secrets)), message }
    }

    /// The file, as it was named.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Line and column, both from 1, if it is a matter of a place.
    #[must_use]
    pub fn position(&self) -> Option<(usize, usize)> {
        self.spot.as_ref().map(|it| (it.line, it.column))
    }

    /// What is wrong and what would be right, in one sentence.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Problem {
    /// `file:line:column: sentence`, the source line and a caret below it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, spot, message } = self;
        let Some(Spot { line, column, source, caret }) = spot else {
            return write!(f, "{file}: {message}");
        };
        let margin = line.to_string().len();
        writeln!(f, "{file}:{line}:{column}: {message}")?;
        writeln!(f, "{}", format_args!("  {line} | {source}").to_string().trim_end())?;
        write!(f, "  {:margin$} | {:caret$}^", "", "")
    }
}

// === impl Problems ===

impl Problems {
    /// Collects problems, of which there must be some.
    pub(crate) fn of(all: Vec<Problem>) -> Self {
        Self(all)
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Each of them, by file as given and then by place.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.0.iter()
    }
}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.iter().enumerate() {
            write!(f, "{}{problem}", if index == 0 { "" } else { "\n" })?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

// === impl Spot ===

impl Spot {
    fn new(text: &str, place: Place, secrets: &Secrets) -> Self {
        let source = text.lines().nth(place.line - 1).unwrap_or_default();
        let before: String = source.chars().take(place.column - 1).collect();
        let caret = secrets.mask(&before).chars().count();
        let source = printable(&secrets.mask(source));
        let Place { line, column } = place;
        let length = source.chars().count();
        if length <= SHOWN {
            return Self { line, column, source: source.trim_end().to_owned(), caret };
        }
        let skipped = caret.saturating_sub(SHOWN / 2).min(length - SHOWN);
        let source = source.chars().skip(skipped).take(SHOWN).collect();
        Self { line, column, source, caret: caret - skipped }
    }
}

/// The text without tabs and other characters that would move the caret or the terminal.
fn printable(text: &str) -> String {
    text.chars().map(|it| if it.is_control() { ' ' } else { it }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, line: usize, column: usize) -> String {
        let secrets = Secrets::of(text, None);
        Problem::at("a.yaml", text, Place { line, column }, &Mistake::NoHops, &secrets).to_string()
    }

    #[test]
    fn the_caret_stands_below_the_place_even_behind_a_mask() {
        let text = "x: { password: hunter2-and-more, b: 1 }\n";
        let column = text.find("b:").unwrap() + 1;
        let shown = shown(text, 1, column);
        let lines: Vec<_> = shown.lines().collect();
        assert_eq!(lines[1], "  1 | x: { password: ***, b: 1 }");
        assert_eq!(lines[2].find('^'), lines[1].find("b:"));
        assert!(!shown.contains("hunter2"));
    }

    #[test]
    fn of_a_long_line_the_part_around_the_place_is_shown() {
        let text = format!("{}here{}\n", "a".repeat(500), "b".repeat(500));
        let shown = shown(&text, 1, 501);
        let lines: Vec<_> = shown.lines().collect();
        assert_eq!(lines[2].find('^'), lines[1].find("here"));
        assert!(lines[1].len() < 140, "{shown}");
    }

    #[test]
    fn a_place_behind_the_last_line_shows_an_empty_line() {
        assert!(shown("a: 1\n", 2, 1).ends_with("\n  2 |\n    | ^"));
    }

    #[test]
    fn nothing_of_a_file_reaches_the_terminal_as_a_command() {
        assert!(!shown("a: \u{1b}[2J\n", 1, 1).contains('\u{1b}'));
    }
}
