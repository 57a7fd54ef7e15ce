//! `hopclock dashboards`: writes the Grafana dashboards of this version, so that nobody needs a clone
//! to have those that fit its metrics.

mod arguments;

use crate::cli::{Exit, complain, print};
use crate::dashboard;
use std::io;

pub(super) use arguments::DashboardsArguments;

/// Writes each dashboard into a file of its name.
pub(super) fn dashboards(arguments: &DashboardsArguments) -> anyhow::Result<Exit> {
    let folder = &arguments.output;
    let made = std::fs::create_dir_all(folder);
    if let Err(error) = made {
        complain(&format!("cannot make the folder `{}`: {error}", folder.display()));
        return Ok(Exit::Usage);
    }
    for board in dashboard::dashboards() {
        let file = folder.join(format!("{}.json", board.name()));
        let written: io::Result<()> = std::fs::write(&file, board.text());
        if let Err(error) = written {
            complain(&format!("cannot write `{}`: {error}", file.display()));
            return Ok(Exit::Usage);
        }
        print(&format!("{}  {}\n", file.display(), board.description()))?;
    }
    Ok(Exit::Delivered)
}
