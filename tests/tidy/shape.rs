//! The shape of files and folders.

use super::tree::{Complaints, rust, texts};

const EVERYWHERE: [&str; 4] = ["src/", "sandbox/", "tests/", "benches/"];

#[test]
fn every_file_says_first_what_it_is() {
    let mut complaints = Complaints::default();
    for file in rust(&EVERYWHERE) {
        if !file.text.starts_with("//! ") {
            complaints.at(&file, 1, "does not open with `//!`");
        }
    }
    complaints.none();
}

#[test]
fn no_file_is_longer_than_500_lines() {
    let mut complaints = Complaints::default();
    for file in rust(&EVERYWHERE) {
        let lines = file.text.lines().count();
        if lines > 500 {
            complaints.at(&file, lines, "more than 500 lines");
        }
    }
    complaints.none();
}

#[test]
fn main_has_at_most_30_lines() {
    let main = rust(&["src/main.rs"]).pop().unwrap();
    assert!(main.text.lines().count() <= 30, "src/main.rs has more than 30 lines");
}

#[test]
fn no_name_says_nothing() {
    let mut complaints = Complaints::default();
    for file in rust(&EVERYWHERE) {
        let mut parts = file.path.trim_end_matches(".rs").split('/');
        if parts.any(|it| ["util", "utils", "common", "helper", "helpers", "types"].contains(&it)) {
            complaints.at(&file, 1, "a name that could stand for anything");
        }
    }
    complaints.none();
}

/// Everything in the tree has to mean the same on every machine.
#[test]
fn no_file_names_a_folder_of_one_machine() {
    let homes = ["root", "home", "Users", "work"].map(|it| format!("/{it}/"));
    let mut complaints = Complaints::default();
    for file in texts() {
        for (at, line) in file.text.lines().enumerate() {
            let begins = |at: usize| {
                !line[..at].ends_with(|c: char| c.is_alphanumeric() || "._-}])/:".contains(c))
            };
            let named =
                homes.iter().find(|it| line.match_indices(it.as_str()).any(|(at, _)| begins(at)));
            if let Some(home) = named {
                complaints.at(&file, at + 1, &format!("`{home}` is a folder of one machine"));
            }
        }
    }
    complaints.none();
}
