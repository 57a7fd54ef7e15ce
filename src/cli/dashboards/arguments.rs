//! The arguments of `hopclock dashboards`; their doc comments are its `--help`.

use clap::Args;
use std::path::PathBuf;

/// Write Grafana dashboards.
#[derive(Debug, Args)]
pub(in crate::cli) struct DashboardsArguments {
    /// Folder for the files, which is made if it is not there. Files of the same names are replaced.
    #[arg(long, value_name = "FOLDER")]
    pub(in crate::cli) output: PathBuf,
}
