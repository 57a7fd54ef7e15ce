//! How a command prints what runs have measured.

use crate::cli::args::Output;
use crate::cli::run::paint;
use crate::cli::{print, waterfall};
use crate::export::junit;
use crate::model::RunRecord;
use clap::ValueEnum;

/// How to print what was measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum RunOutput {
    /// A waterfall for people.
    #[default]
    Text,
    /// A JSON object for each run, on a line of its own.
    Json,
    /// One JUnit report of all runs, at the end.
    Junit,
}

/// Prints runs as they end, or together.
#[derive(Default)]
pub(super) struct Printed {
    output: RunOutput,
    runs: Vec<RunRecord>,
}

// === impl Printed ===

impl Printed {
    /// Prints in this way.
    pub(super) fn new(output: RunOutput) -> Self {
        Self { output, runs: Vec::new() }
    }

    /// Prints a run, or keeps it for the end.
    pub(super) fn add(&mut self, run: RunRecord) -> anyhow::Result<()> {
        match self.output {
            RunOutput::Text => print(&show(&run, Output::Text)?),
            RunOutput::Json => print(&show(&run, Output::Json)?),
            RunOutput::Junit => {
                self.runs.push(run);
                Ok(())
            }
        }
    }

    /// Prints what is printed at the end.
    pub(super) fn finish(self) -> anyhow::Result<()> {
        if self.output == RunOutput::Junit {
            print(&junit(&self.runs))?;
        }
        Ok(())
    }
}

/// What a run is printed as.
pub(super) fn show(record: &RunRecord, output: Output) -> anyhow::Result<String> {
    Ok(match output {
        Output::Text => waterfall::draw(record, paint()) + "\n",
        Output::Json => serde_json::to_string(record)? + "\n",
    })
}
