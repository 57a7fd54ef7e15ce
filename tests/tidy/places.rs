//! What may be said only in one place: clocks, clients, the environment, the terminal.

use super::scrub::find_token;
use super::tree::{Complaints, File, rust};

/// Whether a rule holds for code that only exists for tests.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tests {
    Bound,
    Exempt,
}

#[test]
fn only_the_engines_clock_reads_the_time() {
    let words = [
        "Instant::now",
        "SystemTime::now",
        "Timestamp::now",
        "Zoned::now",
        "Utc::now",
        ".elapsed(",
    ];
    only_in(&["src/engine/clock.rs"], &words, Tests::Exempt);
}

/// The system's time zones differ from machine to machine, and an image may have none.
#[test]
fn only_the_bundled_time_zones_are_used() {
    only_in(&["src/model/timetable/zone.rs"], &["TimeZoneDatabase"], Tests::Exempt);
    let words = ["TimeZone::get", "TimeZone::system", "tz::db", ".in_tz("];
    nowhere(&["src/"], &words, Tests::Exempt);
}

#[test]
fn only_cluster_talks_to_kubernetes() {
    only_in(&["src/cluster/"], &["kube::", "k8s_openapi::"], Tests::Exempt);
}

#[test]
fn only_remote_talks_to_anything_else() {
    only_in(&["src/remote/"], &["reqwest::", "git2::"], Tests::Exempt);
}

#[test]
fn only_cli_knows_the_environment_and_the_terminal() {
    let words = ["std::env", "env::var", "env::args", "println!", "eprintln!", "print!", "eprint!"];
    only_in(&["src/cli/"], &words, Tests::Exempt);
}

#[test]
fn only_cli_and_main_use_anyhow() {
    only_in(&["src/cli/", "src/main.rs"], &["anyhow::", "anyhow!"], Tests::Bound);
}

#[test]
fn pure_layers_do_not_wait_log_or_touch_files() {
    let words = ["async", ".await", "tokio::", "tracing::", "std::fs", "std::net", "std::thread"];
    nowhere(&["src/model/", "src/path/", "src/hop/", "src/dashboard/"], &words, Tests::Exempt);
}

#[test]
fn sandbox_knows_nothing_of_hopclock() {
    nowhere(&["sandbox/"], &["hopclock::"], Tests::Bound);
    let manifest =
        super::tree::texts().into_iter().find(|it| it.path == "sandbox/Cargo.toml").unwrap();
    let mut complaints = Complaints::default();
    for (at, line) in manifest.text.lines().enumerate() {
        if line.starts_with("hopclock")
            || line.contains("\"hopclock\"")
            || line.contains("path = \"..")
        {
            complaints.at(&manifest, at + 1, "the sandbox must depend on nothing of hopclock");
        }
    }
    complaints.none();
}

#[test]
fn nothing_is_left_undone_or_left_out() {
    nowhere(
        &["src/", "sandbox/", "tests/", "benches/"],
        &["#[ignore", "todo!", "unimplemented!", "dbg!"],
        Tests::Bound,
    );
}

/// With paused time a sleep costs nothing and is exact; with real time it is a guess, unless it is
/// the pause of a loop that ends when its condition holds and fails when it never does.
#[test]
fn no_test_sleeps_for_luck() {
    let mut complaints = Complaints::default();
    for file in rust(&["src/", "sandbox/", "tests/"]) {
        let paused =
            ["start_paused = true", "start_paused(true)"].iter().any(|it| file.text.contains(it));
        let mut polling = false;
        for (line, code, test) in file.code() {
            if let Some(at) = find_token(code, "fn") {
                let name = code[at + 2..].trim_start();
                polling = ["eventually", "until_", "wait_until", "poll_"]
                    .iter()
                    .any(|it| name.starts_with(it));
            }
            let blocks = find_token(code, "thread::sleep").is_some();
            let sleeps = blocks || (!paused && find_token(code, "sleep(").is_some());
            if test && sleeps && !polling {
                complaints.at(
                    &file,
                    line,
                    "sleeps for luck; poll in a function named `eventually…` or pause the clock",
                );
            }
        }
    }
    complaints.none();
}

fn only_in(places: &[&str], words: &[&str], tests: Tests) {
    let mut complaints = Complaints::default();
    for file in rust(&["src/"]) {
        if !places.iter().any(|it| file.path.starts_with(it)) {
            look_for(words, &file, tests, &mut complaints);
        }
    }
    complaints.none();
}

fn nowhere(places: &[&str], words: &[&str], tests: Tests) {
    let mut complaints = Complaints::default();
    for file in rust(places) {
        look_for(words, &file, tests, &mut complaints);
    }
    complaints.none();
}

fn look_for(words: &[&str], file: &File, tests: Tests, complaints: &mut Complaints) {
    for (line, code, test) in file.code() {
        if test && tests == Tests::Exempt {
            continue;
        }
        for word in words.iter().filter(|it| find_token(code, it).is_some()) {
            complaints.at(file, line, &format!("`{word}` does not belong here"));
        }
    }
}
