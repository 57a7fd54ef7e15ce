//! Pushes that the server refuses, the three ways in which people meet it.
//!
//! Plain git hosts refuse by hooks, and their text has to reach the client through git itself; so
//! the hooks are real. They lie once in the host's folder and are switched on by a repository's
//! configuration, since a script that was just written may still be "busy" when it is run.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::{fs, io};

use super::Error;

/// Who refuses a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusedBy {
    /// An `update` hook: "hook declined".
    UpdateHook,
    /// A `pre-receive` hook: "pre-receive hook declined".
    PreReceiveHook,
    /// The host's own rules: "protected branch hook declined", without a hook being run.
    ProtectedBranch,
}

/// A ref that cannot be pushed to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Who refuses.
    pub by: RefusedBy,
    /// The full name of the ref.
    pub reference: String,
    /// What the person who pushes is told.
    pub message: String,
}

const UPDATE: &str = r#"#!/bin/sh
if [ "$1" = "$(cat "$GIT_DIR/refused-by-update")" ]; then
    cat "$GIT_DIR/refusal" >&2
    exit 1
fi
"#;

const PRE_RECEIVE: &str = r#"#!/bin/sh
while read -r old new ref; do
    if [ "$ref" = "$(cat "$GIT_DIR/refused-by-pre-receive")" ]; then
        cat "$GIT_DIR/refusal" >&2
        exit 1
    fi
done
"#;

/// Writes the hooks of all repositories, once, into the host's folder.
pub(super) fn write_hooks(root: &Path) -> io::Result<()> {
    let folder = root.join("hooks");
    fs::create_dir(&folder)?;
    for (name, script) in [("update", UPDATE), ("pre-receive", PRE_RECEIVE)] {
        let path = folder.join(name);
        fs::write(&path, script)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}

/// Switches a repository's refusal by hook on or off.
pub(super) fn install(root: &Path, path: &Path, refusal: Option<&Refusal>) -> Result<(), Error> {
    let by_hook = refusal.filter(|refusal| refusal.by != RefusedBy::ProtectedBranch);
    let hooks = if by_hook.is_some() { root.join("hooks") } else { "/dev/null".into() };
    for (name, by) in [
        ("refused-by-update", RefusedBy::UpdateHook),
        ("refused-by-pre-receive", RefusedBy::PreReceiveHook),
    ] {
        let refused = by_hook.filter(|refusal| refusal.by == by);
        fs::write(path.join(name), refused.map_or("", |refusal| refusal.reference.as_str()))?;
    }
    fs::write(path.join("refusal"), by_hook.map_or("", |refusal| refusal.message.as_str()))?;
    let hooks = hooks.to_string_lossy().into_owned();
    let set = || git2::Repository::open_bare(path)?.config()?.set_str("core.hooksPath", &hooks);
    set().map_err(|source| Error::Git { what: "switch its hooks", source })
}
