//! What runs in flight cost in memory, in a process that does nothing else.

use crate::accuracy::{Lab, connect, lane_name};
use crate::fleet::{self, Nobody};
use hopclock::engine::{Surroundings, SystemClock, Unwritten, run_once};
use hopclock::model::{Ancestry, CanaryId, Clock, Revision, When};
use hopclock::trigger::{Error, Published, Trigger};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const RUNS: [usize; 3] = [1, 100, 1_000];

/// Pushes nothing, so that its run waits.
struct Idle {
    clock: Arc<dyn Clock>,
    waiting: Arc<AtomicUsize>,
}

#[async_trait::async_trait]
impl Trigger for Idle {
    fn lane(&self) -> String {
        "lane".to_owned()
    }

    async fn latest(&self) -> Result<Option<CanaryId>, Error> {
        Ok(None)
    }

    async fn prepare(&self, canary: &CanaryId) -> Result<Vec<Revision>, Error> {
        Ok(vec![Revision::Commit(format!("{:040x}", canary.sequence()))])
    }

    async fn publish(&self, _: &(dyn Fn(Vec<Revision>) + Send + Sync)) -> Result<Published, Error> {
        let now = self.clock.now();
        self.waiting.fetch_add(1, Ordering::Relaxed);
        Ok(Published { sent: now, zero: When::at(now), attempts: 1 })
    }

    async fn recover(&self, _: &CanaryId, _: &[Revision]) -> Result<Option<Vec<Revision>>, Error> {
        Ok(None)
    }

    async fn ancestry(&self, _: &Revision) -> Ancestry {
        Ancestry::Unknown
    }
}

/// Prints the rows of this part.
pub(crate) async fn measure() {
    let lab = Lab::start(RUNS[2]).await;
    let mut sizes = Vec::new();
    for runs in RUNS {
        let program = std::env::current_exe().expect("a program");
        let output = tokio::process::Command::new(program)
            .arg("hold")
            .arg(lab.kubeconfig())
            .arg(runs.to_string())
            .output()
            .await
            .expect("a process");
        let text = String::from_utf8_lossy(&output.stdout);
        let Ok(kib) = text.trim().parse::<usize>() else {
            let why = String::from_utf8_lossy(&output.stderr);
            return println!("| memory | could not be measured: {} | | | |", why.trim());
        };
        sizes.push(kib);
    }
    let further = (sizes[2] - sizes[1]) as f64 / (RUNS[2] - RUNS[1]) as f64;
    let mib = |kib: usize| format!("{:.1} MiB", kib as f64 / 1024.0);
    println!(
        "| resident memory with 1, 100 and 1,000 runs in flight: {}, {}, {}; each further run \
         {further:.1} KiB | | | | |",
        mib(sizes[0]),
        mib(sizes[1]),
        mib(sizes[2]),
    );
}

/// Holds runs in flight, then prints the resident memory of this process in KiB.
pub(crate) async fn hold(kubeconfig: PathBuf, runs: usize) {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let cluster = connect(kubeconfig, clock.clone()).await;
    let waiting = Arc::new(AtomicUsize::new(0));
    for run in 0..runs {
        let trigger = Arc::new(Idle { clock: clock.clone(), waiting: waiting.clone() });
        let job = fleet::job(&cluster, trigger, &lane_name(run), Duration::from_secs(600));
        let around = Surroundings {
            clock: clock.clone(),
            journal: Arc::new(Unwritten),
            observer: Arc::new(Nobody),
        };
        tokio::spawn(async move { run_once(&job, &around).await });
    }
    while waiting.load(Ordering::Relaxed) < runs {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|it| it.strip_prefix("VmRSS:")).expect("VmRSS");
    println!("{}", line.trim().trim_end_matches(" kB"));
}
