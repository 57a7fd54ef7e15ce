//! Whether a file becomes part of a source's artifact, by its ignore rules (rule P7).
//!
//! Flux puts its own exclusions first, then every `.sourceignore` from the root down, then
//! `spec.ignore`; of all patterns that fit the file or a folder it lies in, the last one decides.
//! That is not quite what git does (which never takes back a file of an excluded folder), so each
//! pattern is matched alone, and the order is ours.

use crate::model::Subject;
use crate::path::delivery::{Refusal, place};
use ignore::Match;
use ignore::gitignore::GitignoreBuilder;
use std::collections::BTreeMap;

/// What Flux leaves out unless a later pattern takes it back in (its package `sourceignore`).
const BUILT_IN: &str = ".git/\n.gitignore\n.gitmodules\n.gitattributes\n\
    *.jpg\n*.jpeg\n*.gif\n*.png\n*.wmv\n*.flv\n*.tar.gz\n*.zip\n\
    .github/\n.circleci/\n.travis.yml\n.gitlab-ci.yml\nappveyor.yml\n.drone.yml\ncloudbuild.yaml\n\
    codeship-services.yml\ncodeship-steps.yml\n**/.goreleaser.yml\n**/.sops.yaml\n**/.flux.yaml";
/// The name of ignore files.
const FILE: &str = ".sourceignore";

/// Where a pattern stands.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Origin<'a> {
    BuiltIn,
    File(String),
    Spec(&'a Subject),
}

/// The ignore files whose patterns can speak of a file: those of the folders that it lies in.
pub(super) fn files_for(path: &str) -> Vec<String> {
    place::folders_of(path).filter_map(|folder| place::join(folder, FILE)).collect()
}

/// Refuses a file that the artifact would not hold. `files` are the ignore files that there are.
pub(super) fn check(
    source: &Subject,
    spec_ignore: Option<&str>,
    files: &BTreeMap<String, String>,
    path: &str,
) -> Result<(), Refusal> {
    let built_in = (Origin::BuiltIn, String::new(), BUILT_IN);
    judge(source, spec_ignore, files, path, vec![built_in], files_for(path))
}

/// The same for a bucket: only the ignore file at its root counts, and Flux's list does not (its
/// package `bucket`, where the index is fetched).
pub(super) fn check_bucket(
    source: &Subject,
    spec_ignore: Option<&str>,
    files: &BTreeMap<String, String>,
    path: &str,
) -> Result<(), Refusal> {
    judge(source, spec_ignore, files, path, Vec::new(), files_for(""))
}

fn judge<'a>(
    source: &'a Subject,
    spec_ignore: Option<&'a str>,
    files: &'a BTreeMap<String, String>,
    path: &str,
    mut all: Vec<(Origin<'a>, String, &'a str)>,
    ignore_files: Vec<String>,
) -> Result<(), Refusal> {
    for file in ignore_files {
        if let Some(text) = files.get(&file) {
            let folder = file.strip_suffix(FILE).unwrap_or_default().trim_matches('/').to_owned();
            all.push((Origin::File(file), folder, text));
        }
    }
    all.push((Origin::Spec(source), String::new(), spec_ignore.unwrap_or_default()));
    let mut last = None;
    for (origin, folder, text) in &all {
        let Some(inner) = place::below(path, folder) else { continue };
        for line in text.lines() {
            match fit(line, inner) {
                Some(true) => last = Some((origin, line)),
                Some(false) => last = None,
                None => {}
            }
        }
    }
    let Some((origin, line)) = last else { return Ok(()) };
    let (whose, cure) = match origin {
        Origin::BuiltIn => (
            "Flux's own exclusions".to_owned(),
            format!("or take it back in with `!/{path}` in `spec.ignore`"),
        ),
        Origin::File(file) => (format!("`{file}`"), "or change that file".to_owned()),
        Origin::Spec(_) => ("its `spec.ignore`".to_owned(), "or change it".to_owned()),
    };
    Err(Refusal::new(
        "ignored",
        format_args!(
            "`{path}` never becomes part of the artifact of {source}: the pattern `{}` of {whose} \
             leaves it out; choose another `path`, {cure}",
            line.trim()
        ),
    ))
}

/// Whether one line leaves a file out (true) or takes it back in (false); none if it does not fit
/// the file and no folder that it lies in.
fn fit(line: &str, path: &str) -> Option<bool> {
    let mut builder = GitignoreBuilder::new("");
    // What is no pattern fits nothing; Flux passes over it too.
    builder.add_line(None, line).ok()?;
    match builder.build().ok()?.matched_path_or_any_parents(path, false) {
        Match::None => None,
        Match::Ignore(_) => Some(true),
        Match::Whitelist(_) => Some(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::GroupKind;

    fn ask(path: &str, spec: &str, files: &[(&str, &str)]) -> Result<(), Refusal> {
        let subject = Subject::local(GroupKind::git_repository(), "flux-system", "canary");
        let files = files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
        check(&subject, Some(spec), &files.collect(), path)
    }

    #[test]
    fn p7_pictures_and_pipelines_are_no_part_of_an_artifact_unless_they_are_taken_back() {
        for path in ["canary.png", ".github/canary.yaml", "a/.sops.yaml", "x/cloudbuild.yaml"] {
            let refusal = ask(path, "", &[]).unwrap_err();
            assert_eq!(refusal.reason, "ignored", "{path}");
            assert!(refusal.message.contains("Flux's own exclusions"), "{}", refusal.message);
        }
        assert_eq!(ask("canary/a.yaml", "", &[]), Ok(()));
        assert_eq!(ask("a/canary.png", "!/a/canary.png", &[]), Ok(()));
    }

    #[test]
    fn p7_the_last_pattern_that_fits_decides() {
        assert_eq!(ask("apps/a.yaml", "/*\n!/apps/", &[]), Ok(()));
        assert!(ask("infra/a.yaml", "/*\n!/apps/", &[]).is_err());
        assert!(ask("apps/a.yaml", "!/apps/\n/*", &[]).is_err());
        assert!(ask("apps/x/notes.md", "/*\n!/apps\n/apps/**/*.md", &[]).is_err());
        assert_eq!(ask("docs/keep.yaml", "docs/\n!docs/keep.yaml", &[]), Ok(()));
        assert_eq!(ask("b/x.yaml", "*.yaml\n!b/", &[]), Ok(()), "a folder taken back brings all");
        assert_eq!(ask("a.yaml", "# a.yaml\n\n", &[]), Ok(()), "comments and empty lines");
    }

    #[test]
    fn p7_an_ignore_file_speaks_for_its_own_folder_and_the_spec_after_it() {
        let files = [(".sourceignore", "/canary/"), ("apps/.sourceignore", "*.yaml\n")];
        let refusal = ask("canary/a.yaml", "", &files).unwrap_err();
        assert!(refusal.message.contains("`/canary/` of `.sourceignore`"), "{}", refusal.message);
        assert!(ask("apps/a.yaml", "", &files).is_err());
        assert_eq!(ask("other/a.yaml", "", &files), Ok(()));
        assert_eq!(ask("canary/a.yaml", "!/canary/", &files), Ok(()));
        let taken_back = [(".sourceignore", "*.yaml"), ("apps/.sourceignore", "!/a.yaml\n")];
        assert_eq!(ask("apps/a.yaml", "", &taken_back), Ok(()));
        assert!(ask("apps/b.yaml", "", &taken_back).is_err());
        assert_eq!(
            files_for("a/b/c.yaml"),
            [".sourceignore", "a/.sourceignore", "a/b/.sourceignore"]
        );
    }
}
