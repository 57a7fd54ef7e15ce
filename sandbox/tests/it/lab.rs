//! A small pipeline to experiment on: a git host in memory, a cluster, Flux.
//!
//! The git host needs neither sockets nor git, so everything can happen in virtual time.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use aws_lc_rs::hmac;
use hopclock_sandbox::bucket::Account;
use hopclock_sandbox::bucket::BucketHost;
use hopclock_sandbox::bucket::BucketHostOptions;
use hopclock_sandbox::flux::FetchFailure;
use hopclock_sandbox::flux::FetchedCommit;
use hopclock_sandbox::flux::Files;
use hopclock_sandbox::flux::Flux;
use hopclock_sandbox::flux::PushOrder;
use hopclock_sandbox::flux::Reference;
use hopclock_sandbox::flux::SignedText;
use hopclock_sandbox::flux::SourceFetcher;
use hopclock_sandbox::flux::SourcePusher;
use hopclock_sandbox::flux::Speeds;
use hopclock_sandbox::flux::WebhookCall;
use hopclock_sandbox::flux::Workspace;
use hopclock_sandbox::store::Change;
use hopclock_sandbox::store::Key;
use hopclock_sandbox::store::Part;
use hopclock_sandbox::store::Store;
use http::HeaderMap;
use serde_json::Value;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// The repository of the lab.
pub(crate) const URL: &str = "http://git.example/fleet.git";

/// The token in the lab's Secret.
pub(crate) const TOKEN: &str = "lab-token";

/// A git host with one repository, whose branch `main` is there from the start.
#[derive(Clone, Default)]
pub(crate) struct Git(Arc<Mutex<Repository>>);

#[derive(Default)]
struct Repository {
    commits: u64,
    head: Option<FetchedCommit>,
    /// Branches other than `main`.
    others: HashMap<String, FetchedCommit>,
    /// Told of every ref that somebody else's push moves.
    moved: Option<mpsc::UnboundedSender<String>>,
    down: bool,
    fetches: Vec<Instant>,
    accounts: HashMap<String, String>,
}

/// A clone in memory.
struct Clone {
    git: Git,
    base: FetchedCommit,
}

/// A cluster with Flux in it.
pub(crate) struct Lab {
    pub(crate) store: Store,
    pub(crate) git: Git,
    pub(crate) flux: Flux,
    pub(crate) start: Instant,
}

impl Git {
    /// Adds a commit that writes and, with null, removes files; answers its id.
    pub(crate) fn commit(&self, subject: &str, changes: &[(&str, Option<&str>)]) -> String {
        let mut repository = self.0.lock().unwrap();
        let mut files = repository.head.as_ref().map(|head| head.files.clone()).unwrap_or_default();
        for (path, text) in changes {
            match text {
                Some(text) => files.insert((*path).to_owned(), text.as_bytes().to_vec()),
                None => files.remove(*path),
            };
        }
        repository.commits += 1;
        let commit = format!("{:040x}", repository.commits);
        repository.head = Some(FetchedCommit {
            commit: commit.clone(),
            signed: None,
            files,
            subject: subject.to_owned(),
        });
        commit
    }

    /// Makes `main` what another branch is, in a commit of its own.
    pub(crate) fn merge(&self, branch: &str) {
        let files = self.0.lock().unwrap().others[branch].files.clone();
        let texts: Vec<_> = files
            .iter()
            .map(|(path, text)| (path.as_str(), Some(std::str::from_utf8(text).unwrap())))
            .collect();
        self.commit("Merge image updates", &texts);
    }

    /// The text of a file of `main`.
    pub(crate) fn text(&self, path: &str) -> String {
        let repository = self.0.lock().unwrap();
        String::from_utf8(repository.head.as_ref().unwrap().files[path].clone()).unwrap()
    }

    /// The refs that pushes of others move, as they move.
    pub(crate) fn watch(&self) -> mpsc::UnboundedReceiver<String> {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.0.lock().unwrap().moved = Some(sender);
        receiver
    }

    pub(crate) fn sign_head(&self, signature: &str, text: &[u8]) {
        let signed = SignedText { signature: signature.to_owned(), text: text.to_vec() };
        self.0.lock().unwrap().head.as_mut().unwrap().signed = Some(signed);
    }

    pub(crate) fn set_down(&self, down: bool) {
        self.0.lock().unwrap().down = down;
    }

    pub(crate) fn add_account(&self, user: &str, password: &str) {
        self.0.lock().unwrap().accounts.insert(user.to_owned(), password.to_owned());
    }

    /// When the repository was looked at.
    pub(crate) fn fetches(&self) -> Vec<Instant> {
        self.0.lock().unwrap().fetches.clone()
    }
}

impl SourceFetcher for Git {
    fn fetch(
        &self,
        url: &str,
        credentials: Option<(&str, &str)>,
        reference: &Reference,
    ) -> Result<FetchedCommit, FetchFailure> {
        let mut repository = self.0.lock().unwrap();
        repository.fetches.push(Instant::now());
        if repository.down {
            return Err(FetchFailure::Down);
        }
        if url != URL {
            return Err(FetchFailure::NotFound);
        }
        let known = |(user, password): (&str, &str)| {
            repository.accounts.get(user).is_some_and(|right| right == password)
        };
        if !repository.accounts.is_empty() && !credentials.is_some_and(known) {
            return Err(FetchFailure::Unauthorized);
        }
        let head = repository.head.clone().ok_or(FetchFailure::MissingRef)?;
        if let Reference::Branch(name) = reference
            && let Some(other) = repository.others.get(name)
        {
            return Ok(other.clone());
        }
        let fits = match reference {
            Reference::Branch(name) => name == "main",
            Reference::Name(name) => name == "refs/heads/main",
            Reference::Commit(id) => *id == head.commit,
            Reference::Tag(_) => false,
        };
        if fits { Ok(head) } else { Err(FetchFailure::MissingRef) }
    }
}

impl SourcePusher for Git {
    fn clone_at(
        &self,
        url: &str,
        credentials: Option<(&str, &str)>,
        reference: &Reference,
    ) -> Result<Box<dyn Workspace>, FetchFailure> {
        let base = self.fetch(url, credentials, reference)?;
        Ok(Box::new(Clone { git: self.clone(), base }))
    }
}

impl Workspace for Clone {
    fn commit(&self) -> &str {
        &self.base.commit
    }

    fn files(&self) -> &Files {
        &self.base.files
    }

    fn push(&mut self, order: &PushOrder) -> Result<String, String> {
        let repository = &mut *self.git.0.lock().unwrap();
        repository.commits += 1;
        let mut commit = self.base.clone();
        commit.commit = format!("{:040x}", repository.commits);
        commit.files.extend(order.files.clone());
        order.message.lines().next().unwrap_or_default().clone_into(&mut commit.subject);
        let id = commit.commit.clone();
        for (reference, _) in &order.to {
            match reference.strip_prefix("refs/heads/").unwrap() {
                "main" => repository.head = Some(commit.clone()),
                other => drop(repository.others.insert(other.to_owned(), commit.clone())),
            }
            if let Some(moved) = &repository.moved {
                moved.send(reference.clone()).unwrap();
            }
        }
        Ok(id)
    }
}

impl Lab {
    /// Starts Flux on `objects` and a repository with `files`; nothing has been reconciled yet.
    pub(crate) async fn start(speeds: Speeds, objects: Vec<Value>, files: &[(&str, &str)]) -> Self {
        let (store, git) = (Store::new(), Git::default());
        let changes: Vec<_> = files.iter().map(|(path, text)| (*path, Some(*text))).collect();
        git.commit("first", &changes);
        for object in objects {
            store.create(object, "lab").unwrap();
        }
        let flux = Flux::start(store.clone(), Arc::new(git.clone()), speeds).await.unwrap();
        Self { store, git, flux, start: Instant::now() }
    }

    /// Takes this moment as the beginning of time, for [`Lab::at`].
    pub(crate) fn begin(&mut self) {
        self.start = Instant::now();
    }

    /// Sleeps until so many seconds after the beginning.
    pub(crate) async fn at(&self, seconds: f64) {
        tokio::time::sleep_until(self.start + Duration::from_secs_f64(seconds)).await;
    }

    /// Merges a patch into an object's spec.
    pub(crate) fn spec(&self, kind: &str, name: &str, patch: &Value) {
        let patch = json!({ "spec": patch });
        self.store.merge(&key(kind, name), &patch, Part::Whole, "lab").unwrap();
    }

    /// Asks for a run as people do.
    pub(crate) fn request(&self, kind: &str, name: &str, value: &str) {
        let annotation = json!({"reconcile.fluxcd.io/requestedAt": value});
        let patch = json!({"metadata": {"annotations": annotation}});
        self.store.merge(&key(kind, name), &patch, Part::Whole, "flux").unwrap();
    }

    /// Calls the receiver `fleet` as a code host would; answers the status code.
    pub(crate) async fn webhook(&self, token: &str) -> u16 {
        call_fleet(&self.flux, &self.store, token).await
    }

    /// Calls a receiver of type generic-hmac; answers the status code.
    pub(crate) async fn signed_webhook(&self, receiver: &str) -> u16 {
        let receiver = self.get("Receiver", receiver);
        let mut headers = HeaderMap::new();
        headers.insert("x-signature", signature(TOKEN, b"{}").parse().unwrap());
        let uri = receiver["status"]["webhookPath"].as_str().unwrap();
        let call = WebhookCall { uri, headers, body: b"{}" };
        self.flux.call_webhook(&call).await.expect("notification-controller runs").as_u16()
    }

    /// Puts the artifact of a source that is not run here in storage and in its status.
    pub(crate) fn publish(&self, kind: &str, name: &str, revision: &str, files: Files) {
        let source = key(kind, name);
        let now = self.store.now();
        let mut artifact = self.flux.artifacts().put(&source, revision, files, &Value::Null, now);
        if kind == "OCIRepository" {
            let origin = json!({"org.opencontainers.image.revision": "main@sha1:0000"});
            artifact["metadata"] = origin;
        }
        let patch = json!({"status": {"artifact": artifact}});
        self.store.merge(&source, &patch, Part::Status, "lab").unwrap();
    }

    pub(crate) fn get(&self, kind: &str, name: &str) -> Arc<Value> {
        self.store.get(&key(kind, name)).unwrap()
    }

    /// The status and reason of a condition, as `True/Succeeded`; empty if it is not there.
    pub(crate) fn condition(&self, kind: &str, name: &str, condition: &str) -> String {
        condition_of(&self.get(kind, name), condition)
    }

    /// Every change of an object since the beginning.
    pub(crate) fn changes(&self, kind: &str, name: &str) -> Vec<Arc<Change>> {
        let key = key(kind, name);
        let all = self.store.changes().into_iter();
        all.filter(|change| change.key == key && change.at >= self.start).collect()
    }

    /// Seconds from the beginning to the first change of an object after which `is` holds.
    pub(crate) fn first(&self, kind: &str, name: &str, is: impl Fn(&Value) -> bool) -> f64 {
        let changes = self.changes(kind, name);
        let change = changes.iter().find(|change| is(&change.object)).expect("it happened");
        change.at.duration_since(self.start).as_secs_f64()
    }

    /// Waits until an object is as it should be.
    pub(crate) async fn until(&self, kind: &str, name: &str, is: impl Fn(&Value) -> bool) {
        let (key, mut watch) = (key(kind, name), self.store.watch_kind(kind, self.store.version()));
        while !self.store.get(&key).is_some_and(|object| is(&object)) {
            watch.next().await.unwrap();
        }
    }

    /// Waits until an object is ready and the rest of its status says so too.
    pub(crate) async fn until_ready(&self, kind: &str, name: &str) {
        self.until(kind, name, |object| {
            condition_of(object, "Ready").starts_with("True/")
                && object["status"]["observedGeneration"] == object["metadata"]["generation"]
        })
        .await;
    }
}

/// Calls the receiver `fleet` of type github.
pub(crate) async fn call_fleet(flux: &Flux, store: &Store, token: &str) -> u16 {
    let receiver = store.get(&key("Receiver", "fleet")).unwrap();
    let body = br#"{"ref":"refs/heads/main"}"#;
    let mut headers = HeaderMap::new();
    headers.insert("content-type", "application/json".parse().unwrap());
    headers.insert("x-github-event", "push".parse().unwrap());
    headers.insert("x-hub-signature-256", signature(token, body).parse().unwrap());
    let uri = receiver["status"]["webhookPath"].as_str().unwrap();
    let call = WebhookCall { uri, headers, body };
    flux.call_webhook(&call).await.expect("notification-controller runs").as_u16()
}

pub(crate) fn key(kind: &str, name: &str) -> Key {
    Key::new(kind, "flux-system", name)
}

pub(crate) fn condition_of(object: &Value, name: &str) -> String {
    let all = object["status"]["conditions"].as_array();
    let found = all.into_iter().flatten().find(|condition| condition["type"] == name);
    found.map_or_else(String::new, |it| {
        format!("{}/{}", it["status"].as_str().unwrap(), it["reason"].as_str().unwrap())
    })
}

/// The signature of a body in the style of GitHub.
pub(crate) fn signature(token: &str, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, token.as_bytes());
    format!("sha256={}", hex(hmac::sign(&key, body).as_ref()))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    digits.concat()
}

pub(crate) fn object(kind: &str, name: &str, spec: &Value) -> Value {
    let metadata = json!({"namespace": "flux-system", "name": name});
    json!({"kind": kind, "metadata": metadata, "spec": spec})
}

/// A source of the lab's repository.
pub(crate) fn fleet(interval: &str) -> Value {
    let spec = json!({"interval": interval, "ref": {"branch": "main"}, "timeout": "60s",
        "url": URL});
    object("GitRepository", "fleet", &spec)
}

/// Something that applies a folder of it; `more` is merged into the spec.
pub(crate) fn applier(name: &str, more: Value) -> Value {
    let mut spec = json!({"force": false, "interval": "10m", "path": format!("./{name}"),
        "prune": true, "sourceRef": {"kind": "GitRepository", "name": "fleet"}});
    for (field, value) in more.as_object().into_iter().flatten() {
        spec[field] = value.clone();
    }
    drop(more);
    object("Kustomization", name, &spec)
}

/// The Secret and the receiver of type github that wakes the source.
pub(crate) fn receiver() -> Vec<Value> {
    let metadata = json!({"namespace": "flux-system", "name": "webhook-token"});
    let secret = json!({"kind": "Secret", "metadata": metadata, "stringData": {"token": TOKEN}});
    let spec = json!({"type": "github", "events": ["ping", "push"], "interval": "10m",
        "resources": [{"kind": "GitRepository", "name": "fleet"}],
        "secretRef": {"name": "webhook-token"}});
    vec![secret, object("Receiver", "fleet", &spec)]
}

/// A `ConfigMap` as a manifest.
pub(crate) fn map(name: &str, run: &str) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n  namespace: default\n\
         data:\n  run: \"{run}\"\n"
    )
}

/// A bucket server with the bucket `fleet` and one object in it, behind keys.
pub(crate) async fn bucket_host() -> BucketHost {
    let host = BucketHost::start(BucketHostOptions::default()).await.unwrap();
    host.set_accounts(vec![Account {
        access_key: "lab".to_owned(),
        secret_key: TOKEN.to_owned(),
        may_write: true,
    }]);
    host.put("fleet", "cm.yaml", &map("bucket-canary", "0"));
    host
}

/// The source `fleet` of it and the Secret with its keys.
pub(crate) fn bucket_objects(host: &BucketHost) -> Vec<Value> {
    let metadata = json!({"namespace": "flux-system", "name": "s3"});
    let keys = json!({"accesskey": "lab", "secretkey": TOKEN});
    let spec = json!({"bucketName": "fleet", "endpoint": host.host(), "insecure": true,
        "interval": "1m", "provider": "generic", "region": "us-east-1",
        "secretRef": {"name": "s3"}, "timeout": "60s"});
    vec![
        json!({"kind": "Secret", "metadata": metadata, "stringData": keys}),
        object("Bucket", "fleet", &spec),
    ]
}
