//! hopclock against the sandbox, over real sockets: one binary, a module per subject.

mod git;
mod git_errors;
mod git_kit;
