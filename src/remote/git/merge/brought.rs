//! What a merge would change beside the choices of image policies.
//!
//! One automation commits the choices of everybody's policies, by one author. So the lines are
//! looked at: Flux writes a choice to where the value of a line with the policy's marker stands, and
//! to nothing else.

use crate::model::Marker;
use git2::{Delta, Oid, Repository, Tree};

/// The first thing that differs between two trees and is no choice of these policies, as markers
/// name them: a file, or a line of one; none if nothing else differs.
pub(super) fn beyond(
    repository: &Repository,
    before: &Tree<'_>,
    after: &Tree<'_>,
    policies: &[String],
) -> Result<Option<String>, git2::Error> {
    let text = |id: Oid| {
        let blob = repository.find_blob(id).ok()?;
        String::from_utf8(blob.content().to_vec()).ok()
    };
    for delta in repository.diff_tree_to_tree(Some(before), Some(after), None)?.deltas() {
        let (old, new) = (delta.old_file(), delta.new_file());
        let path = new.path_bytes().or(old.path_bytes()).unwrap_or_default();
        let path = String::from_utf8_lossy(path);
        let is_edited = delta.status() == Delta::Modified && old.mode() == new.mode();
        let texts = if is_edited { text(old.id()).zip(text(new.id())) } else { None };
        match texts.and_then(|(old, new)| lines_beyond(&old, &new, policies)) {
            None => return Ok(Some(format!("`{path}`"))),
            Some(lines) => {
                if let Some(line) = lines.first() {
                    return Ok(Some(format!("line {line} of `{path}`")));
                }
            }
        }
    }
    Ok(None)
}

/// The lines, from 1, that differ by more than a choice; none if there are more or fewer lines.
fn lines_beyond(old: &str, new: &str, policies: &[String]) -> Option<Vec<usize>> {
    let (old, new): (Vec<_>, Vec<_>) = (old.split('\n').collect(), new.split('\n').collect());
    let pairs = old.iter().zip(&new).enumerate();
    let is_choice = |old, new| {
        let around = around_choice(old, policies);
        around.is_some() && around == around_choice(new, policies)
    };
    let beyond = pairs.filter(|(_, (old, new))| old != new && !is_choice(old, new));
    (old.len() == new.len()).then(|| beyond.map(|it| it.0 + 1).collect())
}

/// What stands before and after the value of a line with such a marker.
fn around_choice<'a>(line: &'a str, policies: &[String]) -> Option<(&'a str, &'a str)> {
    let marker = Marker::find_in("", line).pop().filter(|it| policies.contains(&it.policy))?;
    let comment = line[..line.find(Marker::KEY)?].rfind('#')?;
    let value = line[..comment].rfind(&marker.value)?;
    let quotes = |it: char| it.is_whitespace() || it == '"' || it == '\'';
    let before = line[..value].trim_end_matches(['"', '\'']);
    Some((before, line[value + marker.value.len()..].trim_start_matches(quotes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARK: &str = r#"# {"$imagepolicy": "flux-system:app"}"#;

    fn beyond(old: &str, new: &str) -> Option<Vec<usize>> {
        lines_beyond(old, new, &["flux-system:app".to_owned()])
    }

    #[test]
    fn s1_a_choice_is_the_value_of_a_line_with_the_policys_marker() {
        for (old, new) in [
            (format!("image: app:1 {MARK}"), format!("image: app:2 {MARK}")),
            (format!("a: 1\n- 'app:1'  {MARK}\n"), format!("a: 1\n- app:2 {MARK}\n")),
            (format!("app: app {MARK}"), format!("app: other {MARK}")),
        ] {
            assert_eq!(beyond(&old, &new), Some(Vec::new()), "{old}");
        }
    }

    #[test]
    fn s1_all_else_is_of_others() {
        let own = format!("image: app:1 {MARK}\n");
        let shop = own.replace(":app", ":shop");
        for (old, new, lines) in [
            (shop.clone(), shop.replace("app:1", "app:2"), Some(vec![1])),
            (format!("{own}{shop}"), format!("{own}{shop}").replace("p:1", "p:2"), Some(vec![2])),
            (own.clone(), shop.clone(), Some(vec![1])),
            (own.clone(), own.replace("image", "sidecar"), Some(vec![1])),
            (own.clone(), format!("    {own}"), Some(vec![1])),
            (format!("a: 1\n{own}"), format!("a: 2\n{own}"), Some(vec![1])),
            (own.clone(), format!("{own}{own}"), None),
        ] {
            assert_eq!(beyond(&old, &new), lines, "{old} {new}");
        }
    }
}
