//! `hopclock schema`: prints the JSON Schema of scenario files.

use crate::cli::{Exit, print};
use crate::config;

/// Prints the schema, as it is committed in `scenarios/scenario.schema.json`.
pub(super) fn schema() -> anyhow::Result<Exit> {
    print(&format!("{}\n", serde_json::to_string_pretty(&config::schema())?))?;
    Ok(Exit::Delivered)
}
