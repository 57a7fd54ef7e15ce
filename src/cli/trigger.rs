//! `hopclock trigger`: asks a hopclock that runs as a service for a run now.
//!
//! For pipelines and cron jobs: they need no kubeconfig and no right to push, only a token.

use crate::cli::args::{Output, TriggerArguments};
use crate::cli::printed::show;
use crate::cli::run::exit_of;
use crate::cli::{Exit, complain, print};
use crate::model::Outcome;
use crate::remote::server::{Accepted, Server, ServerOptions};
use secrecy::SecretString;
use std::path::Path;
use std::time::Duration;

/// Where Kubernetes puts a pod's token.
const POD_TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/// How long is waited for an answer, and for the end of a run, unless something else is said.
const ANSWER: Duration = Duration::from_secs(30);
const END: Duration = Duration::from_secs(60 * 60);

/// Asks for the run, and shows what the service says of it.
pub(super) async fn trigger(arguments: &TriggerArguments) -> anyhow::Result<Exit> {
    let server = match prepare(arguments) {
        Ok(server) => server,
        Err(why) => {
            complain(&why);
            return Ok(Exit::Usage);
        }
    };
    match server.request(&arguments.scenario, arguments.wait).await {
        Ok(accepted) => report(arguments, &accepted),
        Err(error) => {
            complain(&error);
            Ok(if error.is_usage() { Exit::Usage } else { Exit::Unmeasured })
        }
    }
}

/// Gathers the token and the authorities.
fn prepare(arguments: &TriggerArguments) -> Result<Server, String> {
    let ca =
        arguments.ca_file.as_deref().map(|it| read(it, "certificate authority")).transpose()?;
    let usual = if arguments.wait { END } else { ANSWER };
    let options = ServerOptions {
        url: arguments.server.clone(),
        token: token(arguments)?,
        ca,
        timeout: arguments.timeout.map_or(usual, |it| it.0),
    };
    Server::new(options).map_err(|error| error.to_string())
}

/// The token from where the arguments say it is, else that of the pod, if this is one.
fn token(arguments: &TriggerArguments) -> Result<Option<SecretString>, String> {
    let pod = Path::new(POD_TOKEN);
    let (text, place) = if let Some(name) = &arguments.token_env {
        let text = std::env::var(name).unwrap_or_default();
        (text, format!("the environment variable `{name}` is not set or empty"))
    } else if let Some(file) = arguments.token_file.as_deref().or(pod.is_file().then_some(pod)) {
        let file_name = file.display();
        let text = String::from_utf8(read(file, "token")?);
        let text =
            text.map_err(|_| format!("the token in `{file_name}` is no text: store it as UTF-8"))?;
        (text, format!("the file `{file_name}` is empty"))
    } else {
        return Ok(None);
    };
    match text.trim() {
        "" => Err(format!("{place}: it should hold the token")),
        token => Ok(Some(SecretString::from(token.to_owned()))),
    }
}

fn read(file: &Path, what: &str) -> Result<Vec<u8>, String> {
    std::fs::read(file).map_err(|why| {
        format!("cannot read the {what} in `{}` ({why}): name a readable file", file.display())
    })
}

fn report(arguments: &TriggerArguments, accepted: &Accepted) -> anyhow::Result<Exit> {
    let (scenario, run) = (&arguments.scenario, &accepted.run);
    match &accepted.record {
        Some(record) => {
            print(&show(record, arguments.output)?)?;
            if let Outcome::ProbeError(error) = &record.outcome {
                complain(&format!("scenario `{scenario}`: {}", error.message));
            }
            Ok(arguments.undelivered.weigh(exit_of(&record.outcome)))
        }
        None if arguments.wait => {
            complain(&format!(
                "the server has accepted run {run} of scenario `{scenario}` and does not say what \
                 came of it: see its log or its metrics"
            ));
            Ok(Exit::Unmeasured)
        }
        None => {
            print(&match arguments.output {
                Output::Text => format!("{scenario}  accepted as run {run}\n"),
                Output::Json => {
                    serde_json::json!({ "scenario": scenario, "run": run }).to_string() + "\n"
                }
            })?;
            Ok(Exit::Delivered)
        }
    }
}
