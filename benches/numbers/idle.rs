//! A program as the chart starts it, with scenarios that all wait: what it takes then.
//!
//! `HOPCLOCK_PROGRAM` names the program, such as that of an image: its size and its allocator are not
//! those of the program that the bench was built with.

use crate::killed_kit::{Course, Soak};
use crate::kit::hopclock;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Child;
use tokio::time::sleep;

/// Scenarios of the service.
const SCENARIOS: usize = 100;

/// Until the first lists, the checks of paths and what follows them are over.
const SETTLE: Duration = Duration::from_secs(60);

/// How long it is looked at; the kernel counts processor time in hundredths of a second.
const LOOK: Duration = Duration::from_secs(300);

/// Processor time in hundredths of a second, and resident KiB in all, of these anonymous.
struct Taken {
    ticks: u64,
    resident: u64,
    anonymous: u64,
}

/// Prints the row.
pub(crate) async fn measure() {
    let never = Course { lanes: SCENARIOS, schedule: "cron: '0 0 29 2 *'", deadline: "9s" };
    let soak = Soak::new(never).await;
    let service = start(soak.folder(), &soak.kubeconfig()).await;
    sleep(SETTLE).await;
    let before = taken(&service);
    sleep(LOOK).await;
    let after = taken(&service);
    let share = (after.ticks - before.ticks) as f64 * 10.0 / LOOK.as_secs_f64();
    let mib = |kib: u64| kib as f64 / 1024.0;
    println!(
        "| {SCENARIOS} scenarios at rest over {LOOK:?}: {share:.1} mCPU, {:.1} MiB resident, {:.1} of \
         them anonymous | | | | |",
        mib(after.resident),
        mib(after.anonymous)
    );
}

/// Starts it with the arguments of the chart's defaults.
async fn start(folder: &Path, kubeconfig: &Path) -> Child {
    let arguments = [
        "serve",
        "scenarios",
        "--listen=127.0.0.1:0",
        "--instance=hopclock",
        "--namespace=hopclock",
        "--cache-dir=cache",
        "--grace=20s",
        "--state=configmap:hopclock/hopclock-state",
    ];
    let mut call = hopclock(folder, &arguments);
    call.env("KUBECONFIG", kubeconfig).stdout(Stdio::null());
    let mut child = call.spawn().expect("the program can be started");
    let errors = child.stderr.take().expect("it is piped");
    let mut lines = BufReader::new(errors).lines();
    loop {
        let line = lines.next_line().await.ok().flatten();
        let line = line.expect("it says where it is before it ends");
        if line.starts_with("hopclock is at http://") {
            break;
        }
    }
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    child
}

fn taken(service: &Child) -> Taken {
    let process = format!("/proc/{}", service.id().expect("it runs"));
    let read = |name: &str| {
        std::fs::read_to_string(format!("{process}/{name}")).expect("the process is there")
    };
    let stat = read("stat");
    // The name of the program, in brackets, may hold spaces.
    let fields: Vec<&str> =
        stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = fields[11..13].iter().map(|it| it.parse::<u64>().expect("a number")).sum();
    let status = read("status");
    let kib = |key: &str| {
        let line = status.lines().find_map(|it| it.strip_prefix(key)).expect("it is there");
        line.trim_start_matches(':').split_whitespace().next().and_then(|it| it.parse().ok())
    };
    Taken {
        ticks,
        resident: kib("VmRSS").expect("a number"),
        anonymous: kib("RssAnon").expect("a number"),
    }
}
