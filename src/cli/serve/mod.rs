//! `hopclock serve`: runs the scenarios of a folder on their schedules, for years.
//!
//! Its page is up before anything else, so that what keeps it from working can be read there. The
//! cluster and the store are waited for; whatever the folder says is taken up as it changes.

mod absent;
mod echoes;
mod ends;
mod folder;
mod gate;
mod place;
mod requests;
mod standing;
mod work;

use crate::cli::args::ServeArguments;
use crate::cli::metrics::Page;
use crate::cli::serve::folder::Folder;
use crate::cli::serve::gate::ReviewGate;
use crate::cli::serve::place::Place;
use crate::cli::serve::requests::Requests;
use crate::cli::serve::standing::Standing;
use crate::cli::serve::work::Work;
use crate::cli::state::StatePlace;
use crate::cli::stop::Stop;
use crate::cli::ways_out::{Output, WaysOut};
use crate::cli::{Exit, complain, metrics, notify, say, stop};
use crate::cluster::Clusters;
use crate::engine::SystemClock;
use crate::model::Clock;
use crate::web::{self, Gate, Limits, Pages, Runs, TokenFile};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

pub(super) use echoes::ECHO;
pub(super) use place::STATE;

/// How long to wait before what failed at the start is tried again.
const AGAIN: Duration = Duration::from_secs(2);

/// Runs the scenarios of a folder until it is stopped.
pub(super) async fn serve(arguments: &ServeArguments) -> anyhow::Result<Exit> {
    let mut folder = Folder::new(&arguments.folder);
    let first = folder.look().unwrap_or_default();
    if first.is_unreadable {
        complain(&first.problems);
        return Ok(Exit::Usage);
    }
    let listener = match web::listen(arguments.listen).await {
        Ok(listener) => listener,
        Err(error) => {
            complain(&error);
            return Ok(Exit::Usage);
        }
    };
    let (own, name) = (&arguments.ways_out, &arguments.instance.instance);
    let mut ways = match WaysOut::of(own, name, Output::Free) {
        Ok(ways) => ways,
        Err(error) => {
            complain(&error);
            return Ok(Exit::Usage);
        }
    };
    let port = match notify::take_port(&arguments.notify, true).await {
        Ok(port) => port,
        Err(error) => {
            complain(&error);
            return Ok(Exit::Usage);
        }
    };
    let stop = Stop::listen();
    stop::survive_hangups();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let place = Place::of(arguments);
    let clusters: Arc<OnceLock<Clusters>> = Arc::default();
    let metrics = metrics::later(clusters.clone(), clock.clone());
    let standing = Standing::new(&arguments.folder, &place.state, clusters.clone());
    let requests = Arc::new(Requests::default());
    let gate: Option<Arc<dyn Gate>> = match &arguments.token_file {
        Some(file) => Some(Arc::new(TokenFile::new(file.clone()))),
        None if arguments.token_review => Some(Arc::new(ReviewGate::new(clusters.clone()))),
        None => None,
    };
    let runs = gate.map(|gate| -> (Arc<dyn Runs>, _) { (requests.clone(), gate) });
    let pages = Pages { metrics: metrics.clone(), ready: standing.clone(), runs };
    let page = Page::serve(listener, pages, Limits::default())?;
    let state = match &place.state {
        StatePlace::Nowhere => "no state is kept".to_owned(),
        place => format!("state is kept in {place}"),
    };
    say(&format!("hopclock is at http://{}, {state}", page.address()));
    if let Some(loss) = place.state.loss() {
        say(loss);
    }
    let (mut notices, mut ears) = (None, None);
    if let Some(port) = port {
        let (clusters, metrics, clock) = (clusters.clone(), metrics.clone(), clock.clone());
        let (open, heard) = notify::open(port, &arguments.notify, clusters, metrics, clock)?;
        say(&format!("notifications come to http://{}/notify/LISTENER", open.address()));
        (notices, ears) = (Some(open), Some(heard));
    }
    let (telling, heard) = (ways.telling(), ways.ear(&clock));
    let ways = ways.open(&metrics, &clusters, &clock, &None);
    let work = Work {
        arguments,
        place: &place,
        clock,
        clusters,
        metrics,
        standing,
        requests,
        ears,
        telling,
        heard,
    };
    let exit = work.run(folder, first, &stop).await;
    ways.close().await;
    for page in [page].into_iter().chain(notices) {
        page.close().await;
    }
    Ok(exit)
}
