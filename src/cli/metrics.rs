//! Metrics of runs that a command makes: registered, declared and served.

use crate::cluster::Clusters;
use crate::config::{Hop, Scenario};
use crate::export::{
    HopSeries, Metrics, Objective, ScenarioSeries, Schedule, TOTAL, WatchRestarts,
};
use crate::model::{Clock, Requirement};
use crate::web::{self, Front, Limits, Pages, Readiness, Ready};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A metrics page that is up. Dropping it leaves it up; [`Page::close`] ends it.
pub(super) struct Page {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

/// A command that does its work once is ready as long as it is there.
struct Once;

/// Metrics of these scenarios of an instance; every series is there from the first scrape.
pub(super) fn of(
    scenarios: &[Scenario],
    instance: &str,
    clusters: &Clusters,
    clock: Arc<dyn Clock>,
) -> Arc<Metrics> {
    let metrics = later(Arc::new(OnceLock::from(clusters.clone())), clock);
    for scenario in scenarios {
        metrics.declare(&series(scenario, instance));
    }
    metrics
}

/// Metrics of no scenario yet, and of clusters that are still to be found.
pub(super) fn later(clusters: Arc<OnceLock<Clusters>>, clock: Arc<dyn Clock>) -> Arc<Metrics> {
    let restarts = move || {
        let reached = clusters.get().map(Clusters::reached).unwrap_or_default().into_iter();
        let all = reached.flat_map(|(name, cluster)| {
            cluster.watch_restarts().into_iter().map(move |((kind, reason), count)| {
                let (target_cluster, reason) = (name.0.clone(), reason.to_owned());
                WatchRestarts { target_cluster, kind: kind.kind, reason, count }
            })
        });
        all.collect()
    };
    Arc::new(Metrics::new(clock, env!("CARGO_PKG_VERSION"), Box::new(restarts)))
}

// === impl Page ===

impl Page {
    /// Serves metrics on a port that was taken before, if one was.
    pub(super) fn open(
        listener: Option<TcpListener>,
        metrics: Arc<Metrics>,
    ) -> std::io::Result<Option<Self>> {
        let Some(listener) = listener else { return Ok(None) };
        let pages = Pages { metrics, ready: Arc::new(Once), runs: None };
        Self::serve(listener, pages, Limits::default()).map(Some)
    }

    /// Serves all pages on a port that was taken before.
    pub(super) fn serve(
        listener: TcpListener,
        pages: Pages,
        limits: Limits,
    ) -> std::io::Result<Self> {
        Self::answer(listener, web::private_pages(pages), limits)
    }

    /// Answers with any pages on a port that was taken before.
    pub(super) fn answer(
        listener: TcpListener,
        pages: impl Into<Front>,
        limits: Limits,
    ) -> std::io::Result<Self> {
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel();
        let stopped = async move { drop(stopped.await) };
        let serving = web::serve(listener, pages.into(), limits, stopped);
        Ok(Self { address, stop, serving: tokio::spawn(serving) })
    }

    /// Where it is.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets open requests end, then closes the port.
    pub(super) async fn close(self) {
        // If nobody listens for it, the page is closed already; so if its task has ended.
        let _ = self.stop.send(());
        let _ = self.serving.await;
    }
}

impl Ready for Once {
    fn readiness(&self) -> Readiness {
        Readiness { ready: true, checks: Vec::new() }
    }
}

/// Takes the port of a page, if one is wanted; before anything else is done.
pub(super) async fn take_port(
    address: Option<SocketAddr>,
) -> Result<Option<TcpListener>, web::Error> {
    match address {
        Some(address) => web::listen(address).await.map(Some),
        None => Ok(None),
    }
}

/// The series that a scenario of an instance has.
pub(super) fn series(scenario: &Scenario, instance: &str) -> ScenarioSeries {
    let hop = |it: &Hop| HopSeries {
        hop: it.name.clone(),
        target_cluster: it.cluster.0.clone(),
        kind: it.kind.kind().traits().kind.to_owned(),
        optional: it.required == Requirement::Optional,
    };
    let mut clusters: BTreeSet<String> =
        scenario.hops.iter().map(|it| it.cluster.0.clone()).collect();
    if clusters.is_empty() {
        clusters.insert(String::new());
    }
    let slo = scenario.slo.as_ref();
    let share = slo.map(|it| it.objective);
    let objective = |slo: &str, within| Objective { slo: slo.to_owned(), within, share };
    let total = slo.map(|it| objective(TOTAL, it.within));
    let own = scenario.hops.iter().filter_map(|it| Some(objective(&it.name, it.within?)));
    let schedule = |timetable| Schedule { timetable, seed: instance.to_owned() };
    ScenarioSeries {
        scenario: scenario.name.clone(),
        hops: scenario.hops.iter().map(hop).collect(),
        slos: total.into_iter().chain(own).collect(),
        clusters: clusters.into_iter().collect(),
        open: scenario.target.is_some(),
        deadline: scenario.deadline,
        schedule: scenario.schedule.clone().map(schedule),
    }
}
