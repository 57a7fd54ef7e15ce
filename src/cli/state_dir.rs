//! Where a service keeps what outlives it, unless it is told: the user's state folder.
//!
//! See <https://specifications.freedesktop.org/basedir-spec/latest/>.

use std::path::PathBuf;

/// The file of the history: the one that was named, or the default.
pub(super) fn history(named: Option<PathBuf>) -> PathBuf {
    named.unwrap_or_else(|| folder().join("history.sqlite"))
}

/// `$XDG_STATE_HOME/hopclock`, else `~/.local/state/hopclock`.
pub(super) fn folder() -> PathBuf {
    let variable = |name: &str| std::env::var_os(name).filter(|it| !it.is_empty());
    let home = || Some(PathBuf::from(variable("HOME")?).join(".local/state"));
    // A relative path is to be ignored.
    let named = variable("XDG_STATE_HOME").map(PathBuf::from).filter(|it| it.is_absolute());
    named.or_else(home).unwrap_or_default().join("hopclock")
}
