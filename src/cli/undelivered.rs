//! What the exit code says of a change that was not delivered in time.
//!
//! A person and a pipeline want to hear of it. A `CronJob` does not: Kubernetes takes every code but
//! 0 for a broken Job, and whoever is paged for those would be paged a second time for what the
//! alerts on objectives tell already.

use crate::cli::Exit;
use clap::{Args, ValueEnum};

/// What to make of a change that was not delivered in time.
#[derive(Debug, Args)]
pub(super) struct UndeliveredArguments {
    /// What to make of a change that was not delivered in time: `fail` is exit code 1, `ok` is 0,
    /// for jobs whose failure means a broken hopclock, where metrics tell of late changes.
    #[arg(long, env = "HOPCLOCK_UNDELIVERED", value_name = "MEANING", value_enum, default_value_t)]
    undelivered: Undelivered,
}

/// What a change that was not delivered in time means to whoever waits for the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Undelivered {
    /// The process fails.
    #[default]
    Fail,
    /// The process has done its work: it has measured.
    Ok,
}

// === impl UndeliveredArguments ===

impl UndeliveredArguments {
    /// The same end of the process, unless it is only that a change was not delivered.
    pub(super) fn weigh(&self, exit: Exit) -> Exit {
        match (self.undelivered, exit) {
            (Undelivered::Ok, Exit::Undelivered) => Exit::Delivered,
            (_, exit) => exit,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_change_that_was_not_delivered_is_forgiven() {
        let all = [Exit::Delivered, Exit::Undelivered, Exit::Usage, Exit::Unmeasured];
        let weighed = |undelivered| all.map(|it| UndeliveredArguments { undelivered }.weigh(it));
        assert_eq!(weighed(Undelivered::Fail), all);
        let forgiven = [Exit::Delivered, Exit::Delivered, Exit::Usage, Exit::Unmeasured];
        assert_eq!(weighed(Undelivered::Ok), forgiven);
    }
}
