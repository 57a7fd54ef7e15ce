//! What the tests of the program share: a pipeline in this process, files, and calls of the
//! binary in an environment that holds nothing of the machine's.

use hopclock_sandbox::flux::Speeds;
use hopclock_sandbox::pipeline::{Door, Hook, Lane, Sandbox, SandboxOptions};
use hopclock_sandbox::store::{Key, Part};
use serde_json::{Value, json};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;
use tokio::process::Command;

/// Longest time that a call may take; far above what any needs.
const LIMIT: Duration = Duration::from_secs(120);

/// The hops of a lane named `canary`.
pub(crate) const HOPS: &str = "
  - webhook_received: { receiver: flux-system/canary }
  - source_fetched: { git_repository: flux-system/canary }
  - applied: { kustomization: flux-system/canary }
  - live: { config_map: hopclock/canary }
";

/// The trigger of a lane named `canary`.
pub(crate) const SOURCE: &str = "source: flux-system/canary";

/// A pipeline with one lane, and a folder for files.
pub(crate) struct Stage {
    pub(crate) sandbox: Sandbox,
    pub(crate) url: String,
    pub(crate) folder: TempDir,
}

/// What a call came to.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// What many calls came to, for one snapshot that reads like a page.
#[derive(Default)]
pub(crate) struct Page(String);

/// Controllers that do everything in little time.
pub(crate) fn quick() -> Speeds {
    let ms = Duration::from_millis;
    Speeds {
        start: ms(10),
        clone: ms(20),
        build: ms(10),
        min_retry: ms(100),
        helm_history: ms(100),
        ..Speeds::default()
    }
}

// === impl Stage ===

impl Stage {
    /// With an open lane named `canary`.
    pub(crate) async fn new() -> Self {
        Self::with(&lane("canary", Hook::Right, Door::Open)).await
    }

    pub(crate) async fn with(lane: &Lane) -> Self {
        Self::of(lane, SandboxOptions::default()).await
    }

    /// With controllers that do everything in little time.
    pub(crate) async fn quick(lane: &Lane) -> Self {
        Self::of(lane, SandboxOptions { speeds: quick(), ..SandboxOptions::default() }).await
    }

    async fn of(lane: &Lane, options: SandboxOptions) -> Self {
        let sandbox = Sandbox::start(options).await.unwrap();
        let url = sandbox.add_lane(lane).await.unwrap();
        Self { sandbox, url, folder: tempfile::tempdir().unwrap() }
    }

    /// Writes a file into the folder that calls are made in, and returns its name.
    pub(crate) fn file<'n>(&self, name: &'n str, text: &str) -> &'n str {
        std::fs::write(self.folder.path().join(name), text).unwrap();
        name
    }

    /// Writes a scenario of the lane `canary` with another trigger or other hops.
    pub(crate) fn scenario(&self, git: &str, hops: &str) -> &'static str {
        self.file("canary.yaml", &scenario("canary", git, hops))
    }

    /// The program with these arguments, the sandbox's kubeconfig and a cache of its own.
    pub(crate) fn call(&self, arguments: &[&str]) -> Command {
        let mut call = hopclock(self.folder.path(), arguments);
        call.env("KUBECONFIG", self.sandbox.kubeconfig());
        call
    }

    /// Calls the program with the sandbox's kubeconfig.
    pub(crate) async fn tell(&self, arguments: &[&str]) -> Told {
        told(self.call(arguments)).await
    }

    /// Makes a call that must fail with one sentence, and leave all branches as they are.
    pub(crate) async fn refuse(&self, page: &mut Page, title: &str, code: i32, call: Command) {
        let before = self.sandbox.git().ref_updates().len();
        let told = told(call).await;
        assert_eq!(told.code, Some(code), "{title}: {told:?}");
        let pushed = self.sandbox.git().ref_updates().len() - before;
        assert_eq!(pushed, 0, "{title}: something was pushed");
        page.add(title, &self.neutral(told.sentence(title)));
    }

    /// Runs a scenario whose trigger or hops are wrong.
    pub(crate) async fn refuse_scenario(
        &self,
        page: &mut Page,
        title: &str,
        git: &str,
        hops: &str,
    ) {
        let file = self.scenario(git, hops);
        self.refuse(page, title, 3, self.call(&["run", file])).await;
    }

    /// A text without what is different in each run.
    pub(crate) fn neutral(&self, text: &str) -> String {
        let kubeconfig = self.sandbox.kubeconfig();
        let parts = [(self.folder.path(), "FOLDER"), (kubeconfig.parent().unwrap(), "SANDBOX")];
        let shorter =
            |text: String, (path, name): (&Path, &str)| text.replace(path.to_str().unwrap(), name);
        parts.into_iter().fold(text.to_owned(), shorter)
    }

    /// Changes an object of the lane.
    pub(crate) fn change(&self, kind: &str, name: &str, patch: &Value) {
        let key = Key::new(kind, "flux-system", name);
        self.sandbox.store().merge(&key, patch, Part::Whole, "test").unwrap();
    }

    /// Has the lane's source fetched, as a person would.
    pub(crate) fn fetch(&self) {
        let value = format!("request {}", fastrand::u64(..));
        let annotations = json!({"reconcile.fluxcd.io/requestedAt": value});
        self.change("GitRepository", "canary", &json!({"metadata": {"annotations": annotations}}));
    }

    /// Puts an object into the cluster.
    pub(crate) fn create(&self, object: Value) {
        self.sandbox.store().create(object, "test").unwrap();
    }
}

// === impl Told ===

impl Told {
    /// Says that it was a run, written as JSON, that pushed nothing for this reason.
    pub(crate) fn assert_refused_for(&self, reason: &str) {
        assert_eq!(self.code, Some(3), "{reason}: {self:?}");
        let record: Value = serde_json::from_str(&self.out).unwrap();
        let found = (&record["outcome"], &record["reason"], &record["push"]);
        assert_eq!(found, (&"probe_error".into(), &reason.into(), &Value::Null), "{record:#}");
    }

    /// The one error that was said; everything else must be progress.
    pub(crate) fn sentence(&self, title: &str) -> &str {
        let (errors, rest): (Vec<_>, Vec<_>) =
            self.err.lines().partition(|it| it.starts_with("error: "));
        assert_eq!(errors.len(), 1, "{title}: {}", self.err);
        // Warnings in the log are for whoever follows a run; they say nothing that is not said.
        for line in rest.iter().filter(|it| !it.contains("Z  WARN ")) {
            assert!(line.starts_with("canary: "), "{title}: `{line}` is no progress");
        }
        let sentence = errors[0];
        assert!(!sentence.ends_with('.'), "{title}: {sentence}");
        sentence
    }
}

// === impl Page ===

impl Page {
    pub(crate) fn add(&mut self, title: &str, text: &str) {
        writeln!(self.0, "## {title}\n{text}\n").unwrap();
    }

    pub(crate) fn text(&self) -> &str {
        &self.0
    }
}

/// Compares snapshots, ports and ids aside.
pub(crate) fn check(compare: impl FnOnce()) {
    insta::with_settings!({
        omit_expression => true,
        prepend_module_to_snapshot => false,
        filters => vec![
            (r"127\.0\.0\.1:\d{5}", "127.0.0.1:PORT"),
            (r"\b[0-9a-f]{40}\b", "COMMIT"),
            (r"\b[0-9a-f]{10}\b", "COMMIT"),
            (r"\b(hopclock|demo|team-b)-[0-9a-f]{11}\b", "$1-SEQUENCE"),
        ],
    }, { compare() });
}

/// A text whose times, and the bars that they make, are all the same; so are ids and commits.
pub(crate) fn timeless(text: &str) -> String {
    let word = |word: &str| {
        let bare = word.trim_end_matches([',', '.']);
        let hex = bare.len() == 10 && bare.chars().all(|it| it.is_ascii_hexdigit());
        let id = bare
            .rsplit_once('-')
            .is_some_and(|(_, it)| it.len() == 11 && it.chars().all(|it| it.is_ascii_hexdigit()));
        match bare.parse::<f64>() {
            _ if hex => "COMMIT".to_owned(),
            _ if id => "CANARY".to_owned(),
            Ok(_) if bare.contains('.') => "TIME".to_owned(),
            _ => word.to_owned(),
        }
    };
    let line = |line: &str| {
        let line: String =
            line.chars().map(|it| if "░█▒".contains(it) { ' ' } else { it }).collect();
        line.split_whitespace().map(word).collect::<Vec<_>>().join(" ")
    };
    // On a busy machine a webhook may arrive before the answer to the push.
    text.replace(", early", "").lines().map(line).collect::<Vec<_>>().join("\n")
}

/// A lane that polls so rarely that only a webhook moves it.
pub(crate) fn lane(name: &str, hook: Hook, door: Door) -> Lane {
    Lane { name: name.to_owned(), interval: "10m".to_owned(), hook, door }
}

/// The text of a scenario.
pub(crate) fn scenario(name: &str, git: &str, hops: &str) -> String {
    format!(
        "name: {name}\n\
         deadline: 20s\n\
         trigger:\n  git_commit: {{ {git}, path: canary/configmap.yaml }}\n\
         hops:{hops}\
         slo: {{ within: 15s, objective: 99% }}\n"
    )
}

/// The program with these arguments, in a folder, without any of the machine's environment.
pub(crate) fn hopclock(folder: &Path, arguments: &[&str]) -> Command {
    let mut call = Command::new(program());
    call.args(arguments)
        .current_dir(folder)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", folder.join("home"))
        .env("HOPCLOCK_CACHE_DIR", folder.join("cache"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    call
}

/// Where the built program is; `HOPCLOCK_PROGRAM` names another one, such as an image's.
pub(crate) fn program() -> PathBuf {
    let other = std::env::var_os("HOPCLOCK_PROGRAM");
    other.unwrap_or_else(|| env!("CARGO_BIN_EXE_hopclock").into()).into()
}

/// Makes a call, and waits for its end.
pub(crate) async fn told(mut call: Command) -> Told {
    let done = tokio::time::timeout(LIMIT, call.output()).await;
    let output = done.unwrap_or_else(|_| panic!("{call:?} does not end")).unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Told { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

/// Whether a program is on this machine; says so plainly if it is not.
pub(crate) fn has(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|it| it.join(name).is_file());
    if !found {
        eprintln!("`{name}` is not installed: what needs it is not tested");
    }
    found
}
