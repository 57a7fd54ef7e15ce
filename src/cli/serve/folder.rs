//! The scenarios of a folder, looked at again and again (hot reload).
//!
//! The folder is read rather than listened to: a ConfigMap's mount swaps a symbolic link, editors
//! rename files over each other, and network file systems tell nothing. What is read is small.
//! A file that is broken now keeps the last form in which it was right.

use crate::config::{Found, Problems, Scenario, Texts};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The scenarios of a folder.
pub(super) struct Folder {
    path: PathBuf,
    /// The last good form of each file.
    good: BTreeMap<String, Good>,
    /// Digest of the texts of the last look.
    texts: Vec<u8>,
    /// What was said of the folder at the last look.
    said: Option<Said>,
}

/// A scenario that can run.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Good {
    /// The scenario.
    pub(super) scenario: Scenario,
    /// What the file says without comments and layout.
    pub(super) fingerprint: String,
}

/// What a look at the folder says.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Look {
    /// The scenarios that run, by name.
    pub(super) scenarios: BTreeMap<String, Good>,
    /// Files that are broken now, whose last good form runs on.
    pub(super) stale: Vec<String>,
    /// Files that are broken, and of which nothing runs.
    pub(super) broken: Vec<String>,
    /// Everything that is wrong, as people read it; empty if nothing is.
    pub(super) problems: String,
    /// The folder itself cannot be read: nothing is known of what has changed.
    pub(super) is_unreadable: bool,
}

/// What decides whether anything has changed.
type Said = Vec<(String, String, String)>;

// === impl Folder ===

impl Folder {
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), good: BTreeMap::new(), texts: Vec::new(), said: None }
    }

    /// Looks at the folder; none if nothing has changed since the last look.
    pub(super) fn look(&mut self) -> Option<Look> {
        let found = match Texts::read(&self.path) {
            Ok(texts) => {
                let digest = texts.digest();
                if self.texts == digest {
                    return None;
                }
                self.texts = digest;
                Ok(texts.survey())
            }
            Err(problems) => {
                self.texts.clear();
                Err(problems)
            }
        };
        let said = said(&found);
        if self.said.as_ref() == Some(&said) {
            return None;
        }
        self.said = Some(said);
        Some(match found {
            Ok(found) => self.take(found),
            Err(problems) => {
                let (stale, scenarios) = (self.good.keys().cloned().collect(), self.running());
                let problems = problems.to_string();
                Look { scenarios, stale, problems, is_unreadable: true, ..Look::default() }
            }
        })
    }

    fn take(&mut self, found: Vec<Found>) -> Look {
        self.good.retain(|file, _| found.iter().any(|it| it.file == *file));
        let mut look = Look::default();
        let mut problems = Vec::new();
        for Found { file, fingerprint, scenario } in found {
            match scenario {
                Ok(scenario) => {
                    self.good.insert(file, Good { scenario: *scenario, fingerprint });
                }
                Err(problem) => {
                    let of = if self.good.contains_key(&file) {
                        &mut look.stale
                    } else {
                        &mut look.broken
                    };
                    of.push(file);
                    problems.push(problem.to_string());
                }
            }
        }
        look.problems = problems.join("\n");
        self.give_way(&mut look.stale);
        look.scenarios = self.running();
        look
    }

    /// A last good form gives way to another file that bears its name now: it was renamed.
    fn give_way(&mut self, stale: &mut Vec<String>) {
        let name = |file: &String| self.good.get(file).map(|it| it.scenario.name.clone());
        let fresh: Vec<String> =
            self.good.keys().filter(|it| !stale.contains(it)).filter_map(name).collect();
        let gone: Vec<String> = stale
            .iter()
            .filter(|it| name(it).is_some_and(|it| fresh.contains(&it)))
            .cloned()
            .collect();
        stale.retain(|it| !gone.contains(it));
        self.good.retain(|file, _| !gone.contains(file));
    }

    fn running(&self) -> BTreeMap<String, Good> {
        self.good.values().map(|it| (it.scenario.name.clone(), it.clone())).collect()
    }
}

fn said(found: &Result<Vec<Found>, Problems>) -> Said {
    match found {
        Ok(found) => found
            .iter()
            .map(|it| {
                let problems = it.scenario.as_ref().err().map(ToString::to_string);
                (it.file.clone(), it.fingerprint.clone(), problems.unwrap_or_default())
            })
            .collect(),
        Err(problems) => vec![(String::new(), String::new(), problems.to_string())],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    struct Place(tempfile::TempDir);

    impl Place {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn write(&self, file: &str, text: &str) {
            fs::write(self.0.path().join(file), text).unwrap();
        }

        fn remove(&self, file: &str) {
            fs::remove_file(self.0.path().join(file)).unwrap();
        }
    }

    fn text(name: &str, deadline: &str) -> String {
        format!(
            "name: {name}\ndeadline: {deadline}\ntrigger:\n  git_commit: {{ url: https://h/x, \
             branch: main, path: a, template: '${{canary}}' }}\nhops:\n  - live: {{ config_map: \
             a/b }}\n"
        )
    }

    fn names(look: &Look) -> Vec<&str> {
        look.scenarios.keys().map(String::as_str).collect()
    }

    #[test]
    fn nothing_new_is_said_of_a_folder_that_has_not_changed() {
        let place = Place::new();
        place.write("a.yaml", &text("a", "5m"));
        let mut folder = Folder::new(place.0.path());
        assert_eq!(names(&folder.look().unwrap()), ["a"]);
        assert_eq!(folder.look(), None);
        place.write("a.yaml", &format!("# a remark\n{}", text("a", "5m")));
        assert_eq!(folder.look(), None, "a remark changes nothing");
        place.write("a.yaml", &text("a", "6m"));
        assert_ne!(folder.look().unwrap().scenarios["a"].scenario.deadline.as_secs(), 300);
    }

    #[test]
    fn a_file_that_breaks_keeps_its_last_good_form_and_disturbs_no_other() {
        let place = Place::new();
        place.write("a.yaml", &text("a", "5m"));
        place.write("b.yaml", &text("b", "5m"));
        let mut folder = Folder::new(place.0.path());
        let before = folder.look().unwrap();
        place.write("b.yaml", "name: b\ndeadlin: 5m\n");
        place.write("c.yaml", "nonsense");
        let after = folder.look().unwrap();
        assert_eq!(after.scenarios, before.scenarios);
        assert!(after.stale[0].ends_with("b.yaml") && after.broken[0].ends_with("c.yaml"));
        assert!(after.problems.contains("deadlin") && after.problems.contains("c.yaml"));
        place.write("b.yaml", &text("b", "7m"));
        place.remove("c.yaml");
        let mended = folder.look().unwrap();
        assert_eq!((mended.stale.len(), mended.broken.len()), (0, 0));
        assert_eq!(mended.scenarios["b"].scenario.deadline.as_secs(), 420);
    }

    #[test]
    fn a_file_that_goes_takes_its_scenario_along_even_if_it_was_broken() {
        let place = Place::new();
        place.write("a.yaml", &text("a", "5m"));
        place.write("b.yaml", &text("b", "5m"));
        let mut folder = Folder::new(place.0.path());
        folder.look().unwrap();
        place.write("b.yaml", "nonsense");
        folder.look().unwrap();
        place.remove("b.yaml");
        assert_eq!(names(&folder.look().unwrap()), ["a"]);
    }

    #[test]
    fn of_two_files_with_one_name_the_first_runs_and_a_renamed_one_goes_on() {
        let place = Place::new();
        place.write("a.yaml", &text("a", "5m"));
        place.write("b.yaml", &text("a", "6m"));
        let mut folder = Folder::new(place.0.path());
        let look = folder.look().unwrap();
        assert_eq!(look.scenarios["a"].scenario.deadline.as_secs(), 300);
        assert!(look.broken[0].ends_with("b.yaml"), "{look:?}");
        place.remove("a.yaml");
        let look = folder.look().unwrap();
        assert_eq!(look.scenarios["a"].scenario.deadline.as_secs(), 360);
    }

    #[test]
    fn a_folder_that_cannot_be_read_keeps_everything() {
        let place = Place::new();
        let inner = place.0.path().join("inner");
        fs::create_dir(&inner).unwrap();
        fs::write(inner.join("a.yaml"), text("a", "5m")).unwrap();
        let mut folder = Folder::new(&inner);
        folder.look().unwrap();
        fs::rename(&inner, place.0.path().join("away")).unwrap();
        let look = folder.look().unwrap();
        assert!(look.is_unreadable && names(&look) == ["a"], "{look:?}");
        fs::rename(place.0.path().join("away"), &inner).unwrap();
        assert_eq!(names(&folder.look().unwrap()), ["a"]);
    }

    #[cfg(unix)]
    #[test]
    fn a_config_map_mount_is_followed_through_its_links() {
        let place = Place::new();
        let root = place.0.path();
        let version = |name: &str, text: &str| {
            fs::create_dir(root.join(name)).unwrap();
            fs::write(root.join(name).join("a.yaml"), text).unwrap();
        };
        version("..1", &text("a", "5m"));
        std::os::unix::fs::symlink("..1", root.join("..data")).unwrap();
        std::os::unix::fs::symlink("..data/a.yaml", root.join("a.yaml")).unwrap();
        let mut folder = Folder::new(root);
        assert_eq!(names(&folder.look().unwrap()), ["a"]);
        version("..2", &text("a", "6m"));
        std::os::unix::fs::symlink("..2", root.join("..next")).unwrap();
        fs::rename(root.join("..next"), root.join("..data")).unwrap();
        fs::remove_dir_all(root.join("..1")).unwrap();
        let look = folder.look().unwrap();
        assert_eq!(look.scenarios["a"].scenario.deadline.as_secs(), 360);
    }
}
