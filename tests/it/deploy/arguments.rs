//! The arguments of every container are those of the program.

use crate::chart_kit::has_helm;
use crate::cli::kit::program;
use crate::deploy::{chart::all_rendered, pods, texts};
use std::process::Command;

#[test]
fn the_program_knows_the_arguments_of_every_container() {
    if !has_helm() {
        return;
    }
    for (name, objects) in all_rendered() {
        for pod in pods(&objects) {
            let arguments = texts(&pod["containers"][0]["args"]);
            // What is before `--help` is read first, and refused if it is not known.
            let output = Command::new(program()).args(&arguments).arg("--help").output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success(), "{name}: {arguments:?}: {said}");
        }
    }
}
