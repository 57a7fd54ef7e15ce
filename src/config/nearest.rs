//! What somebody probably meant: the known word that takes the fewest slips to mistype.

/// The one of `known` that is nearest to `word`, if it is near enough to be a slip.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = (word.chars().count() / 3).clamp(1, 3);
    let scored = known.into_iter().map(|it| (slips(&word.to_lowercase(), &it.to_lowercase()), it));
    scored.filter(|it| it.0 <= allowed).min_by_key(|it| it.0).map(|it| it.1)
}

/// "`a`", "`a` or `b`", "`a`, `b` or `c`".
pub(crate) fn any_of<'a>(known: impl IntoIterator<Item = &'a str>) -> String {
    let mut quoted: Vec<_> = known.into_iter().map(|it| format!("`{it}`")).collect();
    match (quoted.pop(), quoted.is_empty()) {
        (None, _) => String::new(),
        (Some(last), true) => last,
        (Some(last), false) => format!("{} or {last}", quoted.join(", ")),
    }
}

/// Fewest insertions, deletions, replacements and swaps of neighbours that turn one word into the
/// other (optimal string alignment).
fn slips(one: &str, other: &str) -> usize {
    let (one, other): (Vec<_>, Vec<_>) = (one.chars().collect(), other.chars().collect());
    let mut rows = vec![(0..=other.len()).collect::<Vec<_>>()];
    for (i, a) in one.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in other.iter().enumerate() {
            let mut best =
                (rows[i][j] + usize::from(a != b)).min(rows[i][j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *a == other[j - 1] && one[i - 1] == *b {
                best = best.min(rows[i - 1][j - 1] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[one.len()][other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_counted_once_each() {
        assert_eq!(slips("", "abc"), 3);
        assert_eq!(slips("withn", "within"), 1);
        assert_eq!(slips("wihtin", "within"), 1);
        assert_eq!(slips("kitten", "sitting"), 3);
    }

    #[test]
    fn only_a_near_word_is_suggested() {
        let known = ["within", "name", "after"];
        assert_eq!(nearest("Withn", known), Some("within"));
        assert_eq!(nearest("afetr", known), Some("after"));
        assert_eq!(nearest("colour", known), None);
        assert_eq!(nearest("", known), None);
    }

    #[test]
    fn a_list_of_words_ends_in_or() {
        assert_eq!(any_of([]), "");
        assert_eq!(any_of(["a"]), "`a`");
        assert_eq!(any_of(["a", "b", "c"]), "`a`, `b` or `c`");
    }
}
