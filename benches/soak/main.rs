//! What only shows after a long time: a simulated day, and real minutes with `kill -9`.
//!
//! `cargo bench --bench soak` does both, `-- day` and `-- kills` one of them. Each prints a table,
//! and ends with an error if a rule is broken.

#![allow(clippy::cast_precision_loss, reason = "numbers for people have few digits")]

mod day;
mod kills;

#[path = "../../tests/it/cli/killed_kit.rs"]
#[allow(dead_code, clippy::unwrap_used, reason = "others use more of it")]
mod killed_kit;

#[path = "../../tests/it/cli/kit.rs"]
#[allow(dead_code, clippy::unwrap_used, reason = "the tests of the program use more of it")]
mod kit;

#[path = "../../tests/it/service_kit.rs"]
#[allow(dead_code, clippy::unwrap_used, reason = "the tests of the service use more of it")]
mod service_kit;

fn main() {
    let parts: Vec<String> = std::env::args().skip(1).filter(|it| it != "--bench").collect();
    let wanted = |part: &str| parts.is_empty() || parts.iter().any(|it| it == part);
    if wanted("day") {
        day::soak();
    }
    if wanted("kills") {
        kills::soak();
    }
}
