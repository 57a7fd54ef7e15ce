//! What the tests of the git remote share: a host, a remote on it, and `git` as the judge.

use hopclock::model::{Clock, Moment};
use hopclock::remote::git::{
    Author, Credentials, Edit, Error, GitRemote, GitRemoteOptions, Mode, PublishError, Published,
};
use hopclock_sandbox::git::{GitHost, GitHostOptions};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The line that the tests' canaries carry.
pub(crate) const TRAILER: &str = "Hopclock-Lane: test";

/// A clock that began with the test.
pub(crate) struct TestClock(Instant);

/// A git host with one repository, and a folder for caches.
pub(crate) struct Bench {
    pub(crate) host: GitHost,
    pub(crate) url: String,
    pub(crate) caches: TempDir,
    pub(crate) clock: Arc<TestClock>,
}

impl Clock for TestClock {
    fn now(&self) -> Moment {
        Moment(self.0.elapsed())
    }

    fn wall(&self) -> jiff::Timestamp {
        jiff::Timestamp::now()
    }
}

impl TestClock {
    pub(crate) fn since(start: Instant) -> Self {
        Self(start)
    }

    /// The same clock, read for an instant of the host.
    pub(crate) fn at(&self, instant: tokio::time::Instant) -> Moment {
        Moment(instant.into_std().duration_since(self.0))
    }
}

impl Bench {
    pub(crate) async fn new() -> Self {
        Self::with(GitHostOptions::default()).await
    }

    pub(crate) async fn with(options: GitHostOptions) -> Self {
        let host = GitHost::start(options).await.unwrap();
        let files = [("canary/configmap.yaml", "canary: none\n"), ("README", "hello\n")];
        let url = host.create_repository("fleet/canary", &files, "main").unwrap();
        let caches = tempfile::tempdir().unwrap();
        Self { host, url, caches, clock: Arc::new(TestClock(Instant::now())) }
    }

    pub(crate) fn options(&self) -> GitRemoteOptions {
        GitRemoteOptions {
            url: self.url.clone(),
            branch: "main".to_owned(),
            credentials: Credentials::None,
            ca: None,
            cache_dir: self.caches.path().to_owned(),
            timeout: Duration::from_secs(30),
            clients: hopclock::remote::Clients::default(),
        }
    }

    pub(crate) async fn remote(&self) -> GitRemote {
        self.open(self.options()).await.unwrap()
    }

    pub(crate) async fn open(&self, options: GitRemoteOptions) -> Result<GitRemote, Error> {
        GitRemote::open(options, self.clock.clone()).await
    }

    /// What goes wrong when a canary is pushed with these options.
    pub(crate) async fn error(&self, options: GitRemoteOptions) -> Error {
        let remote = match self.open(options).await {
            Ok(remote) => remote,
            Err(error) => return error,
        };
        match push(&remote, "1").await {
            Err(PublishError::Failed(error)) => error,
            other => panic!("{other:?}"),
        }
    }

    /// Runs `git` in the host's repository, by way of a fresh clone.
    pub(crate) async fn git(&self, arguments: &[&str]) -> String {
        let folder = tempfile::tempdir().unwrap();
        let clone = ["clone", "-q", "--bare", &self.url, "."];
        run(folder.path(), &clone).await;
        run(folder.path(), arguments).await
    }

    pub(crate) fn tip(&self) -> String {
        self.host.tip(&self.url, "main").unwrap()
    }
}

/// A canary of this content, appended.
pub(crate) fn append(canary: &str) -> Edit {
    Edit {
        path: "canary/configmap.yaml".to_owned(),
        content: Some(format!("canary: {canary}\n").into_bytes()),
        message: format!("Canary {canary}\n\n{TRAILER}\n"),
        author: Author { name: "hopclock".to_owned(), email: "h@example.com".to_owned() },
        mode: Mode::Append,
        further: Vec::new(),
    }
}

/// The same, in the place of the canary before it.
pub(crate) fn replace(canary: &str, base: &str) -> Edit {
    let mode = Mode::Replace { base: base.to_owned(), trailer: TRAILER.to_owned() };
    Edit { mode, ..append(canary) }
}

/// Prepares and publishes.
pub(crate) async fn push(remote: &GitRemote, canary: &str) -> Result<Published, PublishError> {
    let prepared = remote.prepare(append(canary)).await?;
    remote.publish(prepared, |_| {}).await
}

async fn run(folder: &std::path::Path, arguments: &[&str]) -> String {
    let output = tokio::process::Command::new("git")
        .args(arguments)
        .current_dir(folder)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("NO_PROXY", "127.0.0.1")
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "git {arguments:?}: {said}");
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}
