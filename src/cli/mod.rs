//! The command line: wires everything together, and turns what comes of it into an exit code.
//!
//! The only layer that may use all others, read the environment, or print.

mod args;
mod assemble;
mod assembly;
mod check;
mod dashboards;
#[cfg(feature = "sandbox")]
mod demo;
mod discover;
mod doctor;
mod gc;
mod history;
mod kept;
mod lanes;
mod memory;
mod merging;
mod metrics;
mod notify;
mod plan;
mod printed;
mod progress;
mod proof;
mod reader;
mod report;
mod rules;
mod run;
mod schema;
mod serve;
mod signing;
mod since;
mod site;
mod state;
mod state_dir;
mod stop;
mod traced;
mod trigger;
mod turn;
mod undelivered;
mod waterfall;
mod ways_out;
mod whereabouts;

use crate::cli::args::{Arguments, Command};
use clap::{CommandFactory, Parser};
use std::fmt::Display;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

/// Longest time that work which nobody waits for any more may still take.
const PARTING: Duration = Duration::from_secs(1);

/// How the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Exit {
    /// All was delivered in time.
    Delivered,
    /// A change was not delivered in time.
    Undelivered,
    /// Bad usage or scenario.
    Usage,
    /// Something could not be measured.
    Unmeasured,
}

/// Runs the command that the arguments name.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // Whoever runs a service reads its log; whoever types a command reads what it prints.
    log(if matches!(arguments.command, Command::Serve(_)) { "info" } else { "warn" });
    memory::keep_small();
    let exit = match arguments.command {
        Command::Run(arguments) => block_on(run::run(&arguments)),
        Command::Serve(arguments) => block_on(serve::serve(&arguments)),
        Command::Trigger(arguments) => block_on(trigger::trigger(&arguments)),
        #[cfg(feature = "sandbox")]
        Command::Demo(arguments) => block_on(demo::demo(&arguments)),
        Command::Check(arguments) => Ok(check::check(&arguments)),
        Command::Discover(arguments) => block_on(discover::discover(&arguments)),
        Command::Gc(arguments) => block_on(gc::gc(&arguments)),
        Command::Doctor(arguments) => block_on(doctor::doctor(&arguments)),
        Command::Plan(arguments) => block_on(plan::plan(&arguments)),
        Command::History(arguments) => history::history(&arguments),
        Command::Report(arguments) => report::report(&arguments),
        Command::Rules(arguments) => rules::rules(&arguments),
        Command::Dashboards(arguments) => dashboards::dashboards(&arguments),
        Command::Schema => schema::schema(),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "hopclock", &mut script);
            print(&String::from_utf8_lossy(&script)).map(|()| Exit::Delivered)
        }
    };
    match exit {
        Ok(exit) => exit.into(),
        Err(error) => {
            complain(&format!("{error:#}"));
            Exit::Unmeasured.into()
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Delivered => Self::SUCCESS,
            Exit::Undelivered => Self::from(1),
            Exit::Usage => Self::from(2),
            Exit::Unmeasured => Self::from(3),
        }
    }
}

fn block_on(work: impl Future<Output = anyhow::Result<Exit>>) -> anyhow::Result<Exit> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let exit = runtime.block_on(work);
    // Ends all tasks, so that temporary folders go with them; a git request that nobody waits for
    // any more must not keep the process alive.
    runtime.shutdown_timeout(PARTING);
    exit
}

/// Writes to standard output; a reader that went away (`| head`) ends the program quietly.
fn print(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        result => Ok(result?),
    }
}

/// Says what went wrong.
fn complain(what: &dyn Display) {
    say(&format!("error: {what}"));
}

/// A line for people, beside what is printed for programs. If standard error is closed, nobody
/// reads it.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Logs go to standard error. Libraries that log every failed connection are silenced: we report
/// our errors ourselves, once.
fn log(level: &str) {
    let default = format!(
        "warn,hopclock={level},kube_client=off,hyper_util=off,rustls_platform_verifier=off"
    );
    let filter = tracing_subscriber::EnvFilter::try_from_env("HOPCLOCK_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(default));
    let to_terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(to_terminal)
        .with_target(false)
        .init();
}
