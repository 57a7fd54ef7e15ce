//! What a push of one commit takes, warm, beside `git push` of the same to the same server.

use crate::Spread;
use hopclock::engine::SystemClock;
use hopclock::model::Clock;
use hopclock::remote::git::{Author, Credentials, Edit, GitRemote, GitRemoteOptions, Mode};
use hopclock_sandbox::git::{GitHost, GitHostOptions};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Pushes of each sort.
const PUSHES: usize = 40;

/// Prints the rows of this part.
pub(crate) async fn measure() {
    let host = GitHost::start(GitHostOptions::default()).await.expect("git is here");
    let files = [("canary.yaml", "run: none\n"), ("README.md", "A lane.\n")];
    let ours = host.create_repository("ours", &files, "main").expect("a repository");
    let theirs = host.create_repository("theirs", &files, "main").expect("a repository");
    let folder = tempfile::tempdir().expect("a folder");
    let clone = folder.path().join("clone");
    git(folder.path(), &["clone", "-q", &theirs, "clone"]);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let options = GitRemoteOptions {
        url: ours,
        branch: "main".to_owned(),
        credentials: Credentials::None,
        ca: None,
        cache_dir: folder.path().join("cache"),
        timeout: Duration::from_secs(30),
        clients: hopclock::remote::Clients::default(),
    };
    let remote = GitRemote::open(options, clock).await.expect("a cache");
    remote.fetch_tip().await.expect("a warm cache");
    let (mut here, mut there, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    let mut requests = 0;
    for round in 0..PUSHES {
        let content = format!("run: {round}\n");
        let before = host.requests().len();
        let one = push(&remote, &content).await;
        requests += host.requests().len() - before;
        let other = git_push(&clone, &content);
        ratios.push(other.as_secs_f64() / one.as_secs_f64());
        here.push(one);
        there.push(other);
    }
    ratios.sort_by(f64::total_cmp);
    println!("| commit and push, warm | {} |", Spread::of(here).cells());
    println!("| `git commit` and `git push` of the same | {} |", Spread::of(there).cells());
    println!(
        "| `git` takes {:.1} times as long, pair by pair (from {:.1} to {:.1}); a push of ours makes \
         {:.1} requests | | | | |",
        ratios[PUSHES / 2],
        ratios[0],
        ratios[PUSHES - 1],
        requests as f64 / PUSHES as f64,
    );
}

async fn push(remote: &GitRemote, content: &str) -> Duration {
    let edit = Edit {
        path: "canary.yaml".to_owned(),
        content: Some(content.as_bytes().to_vec()),
        message: format!("canary {content}"),
        author: Author { name: "hopclock".to_owned(), email: "hopclock@localhost".to_owned() },
        mode: Mode::Append,
        further: Vec::new(),
    };
    let start = Instant::now();
    let prepared = remote.prepare(edit).await.expect("a commit");
    remote.publish(prepared, |_| ()).await.expect("a push");
    start.elapsed()
}

fn git_push(clone: &Path, content: &str) -> Duration {
    std::fs::write(clone.join("canary.yaml"), content).expect("a file");
    let start = Instant::now();
    git(clone, &["commit", "-qam", "canary"]);
    git(clone, &["push", "-q", "origin", "HEAD:main"]);
    start.elapsed()
}

fn git(folder: &Path, arguments: &[&str]) {
    let identity = ["-c", "user.name=hopclock", "-c", "user.email=hopclock@localhost"];
    let status = Command::new("git")
        .args(identity)
        .args(arguments)
        .current_dir(folder)
        .stdout(Stdio::null())
        .status()
        .expect("git is here");
    assert!(status.success(), "git {arguments:?}");
}
