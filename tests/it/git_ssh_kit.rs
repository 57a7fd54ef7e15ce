//! What the tests of git over ssh share: Debian's sshd on a loopback port, keys, repositories.
//!
//! sshd runs once for each connection, as under inetd, so that nothing listens on a guessed port,
//! nothing outlives a test, and a connection can be cut where the test wants it.

use crate::git_kit::TestClock;
use hopclock::remote::git::{
    Credentials, Error, GitRemote, GitRemoteOptions, PublishError, Published, SshKey,
};
use std::fmt::Write;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Where Debian has it; it insists on being called by its whole path.
const SSHD: &str = "/usr/sbin/sshd";

/// An ssh server with one repository.
pub(crate) struct SshHost {
    pub(crate) folder: TempDir,
    pub(crate) address: SocketAddr,
    pub(crate) clock: Arc<TestClock>,
    open: Arc<Mutex<Vec<(TcpStream, Child)>>>,
    stopped: Arc<AtomicBool>,
}

/// A pair of keys in files.
pub(crate) struct Pair {
    pub(crate) path: PathBuf,
}

impl SshHost {
    /// Starts a server with host keys of these types; none if there is no sshd here.
    pub(crate) fn start(host_keys: &[&str]) -> Option<Self> {
        Self::configured(host_keys, "")
    }

    /// The same, with further lines for its configuration.
    pub(crate) fn configured(host_keys: &[&str], lines: &str) -> Option<Self> {
        if !found() {
            return None;
        }
        if user() == "root" {
            // Debian's sshd separates its privileges there.
            std::fs::create_dir_all("/run/sshd").unwrap();
        }
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let mut config = format!(
            "AuthorizedKeysFile {}\nStrictModes no\nUsePAM no\nPermitRootLogin yes\n\
             PasswordAuthentication no\nKbdInteractiveAuthentication no\nPidFile none\n\
             MaxStartups 1000\nLogLevel VERBOSE\n{lines}\n",
            path("authorized_keys").display()
        );
        for kind in host_keys {
            let pair = keygen(&path(&format!("host_{}", kind.replace(':', "_"))), kind, &[]);
            writeln!(config, "HostKey {}", pair.path.display()).unwrap();
        }
        std::fs::write(path("sshd_config"), config).unwrap();
        std::fs::write(path("authorized_keys"), "").unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let host = Self {
            folder,
            address,
            clock: Arc::new(TestClock::since(Instant::now())),
            open: Arc::default(),
            stopped: Arc::default(),
        };
        host.make_repository();
        host.serve(listener);
        Some(host)
    }

    fn serve(&self, listener: TcpListener) {
        let config = self.folder.path().join("sshd_config");
        let log = self.folder.path().join("sshd.log");
        let (open, stopped) = (self.open.clone(), self.stopped.clone());
        std::thread::spawn(move || {
            for socket in listener.incoming().map_while(Result::ok) {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let kept = socket.try_clone().unwrap();
                let output = socket.try_clone().unwrap();
                let child = Command::new(SSHD)
                    .args(["-i", "-f"])
                    .arg(&config)
                    .arg("-E")
                    .arg(&log)
                    .stdin(Stdio::from(OwnedFd::from(socket)))
                    .stdout(Stdio::from(OwnedFd::from(output)))
                    .stderr(Stdio::null())
                    .spawn()
                    .unwrap();
                open.lock().unwrap().push((kept, child));
            }
        });
    }

    fn make_repository(&self) {
        let work = self.folder.path().join("work");
        std::fs::create_dir_all(work.join("canary")).unwrap();
        std::fs::write(work.join("canary/configmap.yaml"), "canary: none\n").unwrap();
        git(&work, &["init", "-q", "-b", "main"]);
        git(&work, &["add", "."]);
        git(&work, &["commit", "-q", "-m", "Begin"]);
        git(&work, &["clone", "-q", "--bare", ".", "../fleet.git"]);
        // As the code hosts have it.
        git(&self.repository(), &["config", "uploadpack.allowAnySHA1InWant", "true"]);
    }

    /// The folder of the repository.
    pub(crate) fn repository(&self) -> PathBuf {
        self.folder.path().join("fleet.git")
    }

    pub(crate) fn url(&self) -> String {
        format!("ssh://{}@{}{}", user(), self.address, self.repository().display())
    }

    /// Makes a pair of keys and lets it in.
    pub(crate) fn client_key(&self, kind: &str) -> Pair {
        let pair = self.new_key(kind, &[]);
        self.let_in(&pair, "");
        pair
    }

    /// Makes a pair of keys that nobody knows.
    pub(crate) fn new_key(&self, kind: &str, arguments: &[&str]) -> Pair {
        let number = std::fs::read_dir(self.folder.path()).unwrap().count();
        keygen(&self.folder.path().join(format!("client_{number}")), kind, arguments)
    }

    /// Lets a key in, on conditions.
    pub(crate) fn let_in(&self, pair: &Pair, conditions: &str) {
        let path = self.folder.path().join("authorized_keys");
        let known = std::fs::read_to_string(&path).unwrap();
        std::fs::write(path, format!("{known}{conditions} {}\n", pair.public())).unwrap();
    }

    /// The program that a key runs instead of what was asked for, as a condition to let it in.
    pub(crate) fn forced(&self, name: &str, script: &str) -> String {
        let path = self.folder.path().join(name);
        write_script(&path, script);
        format!("command=\"{}\"", path.display())
    }

    /// A hook of the repository; `$STATE` is the test's folder.
    pub(crate) fn hook(&self, name: &str, script: &str) {
        let script = format!("STATE={}\n{script}", self.folder.path().display());
        write_script(&self.repository().join("hooks").join(name), &script);
    }

    /// The line of `known_hosts` for one of the host's keys.
    pub(crate) fn known_hosts(&self, kind: &str) -> String {
        format!("[127.0.0.1]:{} {}\n", self.address.port(), self.host_key(kind))
    }

    /// Type and key.
    pub(crate) fn host_key(&self, kind: &str) -> String {
        let path = self.folder.path().join(format!("host_{}", kind.replace(':', "_")));
        Pair { path }.public()
    }

    pub(crate) fn options(&self, pair: &Pair, known_hosts: &str) -> GitRemoteOptions {
        GitRemoteOptions {
            url: self.url(),
            branch: "main".to_owned(),
            credentials: credentials(&pair.private(), None, known_hosts),
            ca: None,
            cache_dir: self.folder.path().join("caches"),
            timeout: Duration::from_secs(60),
            clients: hopclock::remote::Clients::default(),
        }
    }

    pub(crate) async fn open(&self, options: GitRemoteOptions) -> Result<GitRemote, Error> {
        GitRemote::open(options, self.clock.clone()).await
    }

    /// What goes wrong when a canary is pushed with these options; nothing must be published.
    pub(crate) async fn error(&self, options: GitRemoteOptions) -> Error {
        let before = self.tip();
        let pushed = match self.open(options).await {
            Ok(remote) => crate::git_kit::push(&remote, "1").await,
            Err(error) => Err(error.into()),
        };
        assert_eq!(self.tip(), before);
        match pushed {
            Err(PublishError::Failed(error)) => error,
            other => panic!("{other:?}; sshd: {}", self.log()),
        }
    }

    /// Pushes a canary that has to arrive.
    pub(crate) async fn push(&self, options: GitRemoteOptions, canary: &str) -> Published {
        let remote = self.open(options).await.unwrap();
        let pushed = crate::git_kit::push(&remote, canary).await;
        let published = pushed.unwrap_or_else(|error| panic!("{error}; sshd: {}", self.log()));
        assert_eq!(published.commit, self.tip());
        published
    }

    pub(crate) fn tip(&self) -> String {
        git(&self.repository(), &["rev-parse", "main"])
    }

    /// What sshd logged.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("sshd.log")).unwrap_or_default()
    }

    /// How many connections were made.
    pub(crate) fn connections(&self) -> usize {
        self.open.lock().unwrap().len()
    }

    /// Cuts every connection.
    pub(crate) fn cut(&self) {
        for (socket, _) in self.open.lock().unwrap().iter() {
            // One that is closed already is cut enough.
            let _ = socket.shutdown(Shutdown::Both);
        }
    }

    /// Whether a hook has said that it is there.
    pub(crate) fn reached(&self) -> bool {
        self.folder.path().join("reached").exists()
    }

    /// Lets a hook that waits go on.
    pub(crate) fn release(&self) {
        std::fs::write(self.folder.path().join("release"), "").unwrap();
    }
}

impl Drop for SshHost {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        self.release();
        // Wakes the listener, which then ends.
        let _ = TcpStream::connect(self.address);
        self.cut();
        for (_, mut child) in self.open.lock().unwrap().drain(..) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Pair {
    pub(crate) fn private(&self) -> String {
        std::fs::read_to_string(&self.path).unwrap()
    }

    /// Type and key.
    pub(crate) fn public(&self) -> String {
        let text = std::fs::read_to_string(self.path.with_extension("pub")).unwrap();
        text.split_whitespace().take(2).collect::<Vec<_>>().join(" ")
    }

    /// As `ssh-keygen` prints it.
    pub(crate) fn fingerprint(&self) -> String {
        let printed = run("ssh-keygen", &["-l", "-f", &self.path.display().to_string()]);
        printed.split_whitespace().nth(1).unwrap().to_owned()
    }
}

/// The lines with which a hook says that it is there and waits; not for ever.
pub(crate) const WAIT: &str = "touch $STATE/reached\n\
    turn=0\n\
    while [ ! -e $STATE/release ] && [ $turn -lt 1500 ]; do sleep 0.02; turn=$((turn + 1)); done\n";

pub(crate) fn credentials(
    identity: &str,
    passphrase: Option<&str>,
    known_hosts: &str,
) -> Credentials {
    Credentials::Ssh(SshKey {
        identity: identity.into(),
        passphrase: passphrase.map(Into::into),
        known_hosts: known_hosts.to_owned(),
    })
}

pub(crate) fn user() -> String {
    run("id", &["-un"])
}

pub(crate) fn git(folder: &Path, arguments: &[&str]) -> String {
    let folder = folder.display().to_string();
    let mut all = vec!["-C", &folder, "-c", "user.name=t", "-c", "user.email=t@example.com"];
    all.extend(arguments);
    run("git", &all)
}

fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {said}");
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

/// Makes a pair of keys; the type may end in `:` and a number of bits.
fn keygen(path: &Path, kind: &str, arguments: &[&str]) -> Pair {
    let (kind, bits) = kind.split_once(':').unwrap_or((kind, ""));
    let path_text = path.display().to_string();
    let mut all = vec!["-q", "-t", kind, "-C", "test", "-f", &path_text];
    if !bits.is_empty() {
        all.extend(["-b", bits]);
    }
    if !arguments.contains(&"-N") {
        all.extend(["-N", ""]);
    }
    all.extend(arguments);
    run("ssh-keygen", &all);
    Pair { path: path.to_owned() }
}

fn write_script(path: &Path, script: &str) {
    std::fs::write(path, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// Whether there is an sshd; says so if not.
fn found() -> bool {
    let found = Path::new(SSHD).exists();
    let required = std::env::var("HOPCLOCK_REQUIRE_TOOLS").is_ok_and(|it| it == "1");
    assert!(found || !required, "`{SSHD}` is not there, but required");
    if !found {
        println!("skipped: `{SSHD}` is not there");
    }
    found
}
