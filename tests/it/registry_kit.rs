//! What the tests of registries share: a real one, one that misbehaves on demand, and a client.

use crate::git_kit::TestClock;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use hopclock::remote::registry::{Credentials, Registry, RegistryOptions, Repository, Rights};
use std::collections::{BTreeMap, VecDeque};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Pause between two looks at something that will come.
const PAUSE: Duration = Duration::from_millis(50);

/// Most looks: half a minute.
const LOOKS: u32 = 600;

/// A user and the password of the real registry.
pub(crate) const USER: &str = "robot";
pub(crate) const PASSWORD: &str = "pl4nted-passw0rd";

/// The same password as `htpasswd -B` writes it.
const HTPASSWD: &str = "$2a$05$nsDoRXatuFC6.KqUob1xxePWjRdrjExCUvpnMXn0i8zOwF.2iU3A.";

/// Debian's `docker-registry`, with storage that ends with the test.
pub(crate) struct RealRegistry {
    child: Child,
    pub(crate) host: String,
    _folder: tempfile::TempDir,
}

/// A registry of the test's own making: it remembers what it was asked, and answers as it was told.
#[derive(Clone)]
pub(crate) struct Stub {
    pub(crate) host: String,
    inner: Arc<Mutex<Inner>>,
}

/// One request that the stub has seen.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) line: String,
    pub(crate) authorization: Option<String>,
    pub(crate) body: String,
}

/// An answer that the stub gives.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: String,
}

#[derive(Default)]
struct Inner {
    asked: Vec<Asked>,
    /// What is answered to a method and path, one after the other; the last one goes on.
    told: BTreeMap<String, VecDeque<Told>>,
}

impl Drop for RealRegistry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl RealRegistry {
    /// Starts one, if it is installed; it can delete, and wants a password if `guarded`.
    pub(crate) async fn start(guarded: bool) -> Option<Self> {
        if !found() {
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let host = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let storage = folder.path().join("storage");
        let mut config = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage:\n  filesystem: {{rootdirectory: '{}'}}\n  \
             delete: {{enabled: true}}\nhttp: {{addr: '{host}'}}\n",
            storage.display()
        );
        if guarded {
            let passwords = folder.path().join("htpasswd");
            std::fs::write(&passwords, format!("{USER}:{HTPASSWD}\n")).unwrap();
            config.push_str("auth: {htpasswd: {realm: test, path: 'PATH'}}\n");
            config = config.replace("PATH", &passwords.display().to_string());
        }
        let file = folder.path().join("config.yml");
        std::fs::write(&file, config).unwrap();
        let child = Command::new("docker-registry")
            .arg("serve")
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut registry = Self { child, host, _folder: folder };
        registry.eventually_listens().await;
        Some(registry)
    }

    async fn eventually_listens(&mut self) {
        for _ in 0..LOOKS {
            assert_eq!(self.child.try_wait().unwrap(), None, "docker-registry has ended");
            if tokio::net::TcpStream::connect(&self.host).await.is_ok() {
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
        panic!("docker-registry does not listen");
    }
}

impl Stub {
    /// Starts one that answers 404 to everything.
    pub(crate) async fn start() -> Self {
        let inner = Arc::new(Mutex::new(Inner::default()));
        let router = Router::new().fallback(answer).with_state(inner.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { host, inner }
    }

    /// Answers `line` (a method and a path, without the query) with these, one after the other.
    pub(crate) fn tell(&self, line: &str, answers: impl IntoIterator<Item = Told>) {
        self.inner.lock().unwrap().told.insert(line.to_owned(), answers.into_iter().collect());
    }

    /// Everything that was asked.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.inner.lock().unwrap().asked.clone()
    }

    /// The same, as lines.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.asked().into_iter().map(|it| it.line).collect()
    }

    /// A challenge that sends for a token to the stub itself.
    pub(crate) fn challenge(&self) -> Told {
        let challenge = format!("Bearer realm=\"http://{}/token\",service=\"stub\"", self.host);
        told(401).with("www-authenticate", &challenge)
    }
}

impl Told {
    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    pub(crate) fn saying(self, body: &str) -> Self {
        Self { body: body.to_owned(), ..self }
    }

    /// An error in the form of the specification.
    pub(crate) fn error(self, code: &str, message: &str) -> Self {
        let body = serde_json::json!({"errors": [{"code": code, "message": message}]});
        self.saying(&body.to_string())
    }
}

/// An answer of this status, without a body.
pub(crate) fn told(status: u16) -> Told {
    Told { status, headers: Vec::new(), body: String::new() }
}

/// A client for `app` on a host that speaks plain HTTP.
pub(crate) fn client(host: &str, credentials: Credentials) -> Registry {
    open(options(host, credentials))
}

pub(crate) fn options(host: &str, credentials: Credentials) -> RegistryOptions {
    RegistryOptions {
        repository: Repository::parse(&format!("{host}/team/app"), true).unwrap(),
        credentials,
        ca: None,
        rights: Rights::Push,
        timeout: Duration::from_secs(30),
        patience: Duration::from_secs(5),
    }
}

pub(crate) fn open(options: RegistryOptions) -> Registry {
    Registry::open(options, Arc::new(TestClock::since(Instant::now()))).unwrap()
}

async fn answer(
    State(inner): State<Arc<Mutex<Inner>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let authorization = headers.get("authorization").map(|it| it.to_str().unwrap().to_owned());
    let body = String::from_utf8_lossy(&body).into_owned();
    let mut inner = inner.lock().unwrap();
    inner.asked.push(Asked { line: format!("{method} {uri}"), authorization, body });
    let told = inner.told.get_mut(&format!("{method} {}", uri.path()));
    let told =
        told.and_then(|all| if all.len() > 1 { all.pop_front() } else { all.front().cloned() });
    let told = told.unwrap_or_else(|| self::told(404));
    let mut response = (StatusCode::from_u16(told.status).unwrap(), told.body).into_response();
    for (name, value) in told.headers {
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    response
}

/// Whether there is a real registry; says so if not.
fn found() -> bool {
    let found = Command::new("docker-registry").arg("--version").output();
    let found = found.is_ok_and(|it| it.status.success());
    let required = std::env::var("HOPCLOCK_REQUIRE_TOOLS").is_ok_and(|it| it == "1");
    assert!(found || !required, "`docker-registry` is not on the PATH, but required");
    if !found {
        println!("skipped: `docker-registry` is not on the PATH");
    }
    found
}
