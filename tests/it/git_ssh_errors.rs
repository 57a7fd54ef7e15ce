//! What goes wrong over ssh, and the one sentence that each gets. Nothing is pushed.

use crate::git_ssh_kit::{SshHost, credentials, user};
use hopclock::remote::git::{Credentials, GitRemoteOptions};
use std::io::Write;
use std::net::TcpListener;
use std::time::Duration;

/// What each of these sentences must hold.
async fn assert_error(host: &SshHost, options: GitRemoteOptions, reason: &str, words: &[&str]) {
    let error = host.error(options).await;
    assert_eq!(error.reason(), reason, "{error}; sshd: {}", host.log());
    let text = error.to_string();
    for word in words {
        assert!(text.contains(word), "`{word}` is not in: {text}");
    }
    assert!(!text.contains('\n') && !text.ends_with('.'), "{text}");
    assert!(!format!("{text} {error:?}").contains("pl4nted"), "{text}");
}

#[tokio::test]
async fn a_key_of_a_host_that_is_not_the_known_one_is_refused_with_its_fingerprint() {
    let Some(host) = SshHost::start(&["ed25519"]) else { return };
    let key = host.client_key("ed25519");
    let (another, curve) = (host.new_key("ed25519", &[]), host.new_key("ecdsa:256", &[]));
    let shown = crate::git_ssh_kit::Pair { path: host.folder.path().join("host_ed25519") };
    let print = shown.fingerprint();
    let port = host.address.port();
    let name = format!("[127.0.0.1]:{port}");
    let scan = format!("ssh-keyscan -p {port} 127.0.0.1");
    let right = host.host_key("ed25519");
    for (known, reason, words) in [
        (String::new(), "git_ssh_known_hosts", vec![scan.as_str()]),
        (format!("example.com {right}\n"), "git_ssh_unknown_host_key", vec![&print, &scan, &name]),
        (format!("127.0.0.1 {right}\n"), "git_ssh_unknown_host_key", vec![&print, &scan]),
        (
            format!("{name} {}\n", curve.public()),
            "git_ssh_unknown_host_key",
            vec![&print, "ecdsa-sha2-nistp256"],
        ),
        (
            format!("\n{name} {}\n", another.public()),
            "git_ssh_changed_host_key",
            vec![&print, &scan, "line 2"],
        ),
        (
            format!("{name} {right}\n@revoked * {right}\n"),
            "git_ssh_revoked_host_key",
            vec![&print, "line 2"],
        ),
        (
            format!("@cert-authority * {}\n", another.public()),
            "git_ssh_host_certificate",
            vec!["line 1", &name],
        ),
        (format!("{name} ssh-ed25519 AAAA\n"), "git_ssh_known_hosts", vec!["line 1", &name]),
    ] {
        assert_error(&host, host.options(&key, &known), reason, &words).await;
    }
    assert!(!host.log().contains("Accepted publickey"), "no key is shown to a stranger");
}

#[tokio::test]
async fn a_key_of_ours_that_is_of_no_use_says_why() {
    let Some(host) = SshHost::start(&["ed25519"]) else { return };
    let known = host.known_hosts("ed25519");
    let pair = host.client_key("ed25519");
    let stranger = host.new_key("ed25519", &[]);
    let locked = host.new_key("ed25519", &["-a", "1", "-N", "pl4nted-right"]);
    let old = host.new_key("rsa:2048", &["-m", "PEM", "-N", "pl4nted-right"]);
    let modern = host.new_key("ecdsa:256", &["-m", "PKCS8", "-N", "pl4nted-right"]);
    let dsa = host.new_key("dsa", &[]);
    let with = |text: &str, passphrase| GitRemoteOptions {
        credentials: credentials(text, passphrase, &known),
        ..host.options(&pair, &known)
    };
    let print = stranger.fingerprint();
    let name = format!("`{}`", user());
    let refused = with(&stranger.private(), None);
    assert_error(&host, refused, "git_unauthorized", &[&print, "publickey refused", &name]).await;
    for encrypted in [&locked, &old, &modern] {
        let text = encrypted.private();
        assert_error(&host, with(&text, None), "git_ssh_passphrase", &["`passphrase`"]).await;
        let wrong = with(&text, Some("pl4nted-wrong"));
        assert_error(&host, wrong, "git_ssh_passphrase", &["does not open"]).await;
    }
    let public = with(&pair.public(), None);
    assert_error(&host, public, "git_ssh_bad_key", &["a public key"]).await;
    assert_error(&host, with("pl4nted", None), "git_ssh_bad_key", &["-----BEGIN"]).await;
    assert_error(&host, with(&dsa.private(), None), "git_ssh_bad_key", &["ed25519"]).await;
    for wrong in [Credentials::None, Credentials::basic("u", "pl4nted")] {
        let options = GitRemoteOptions { credentials: wrong, ..host.options(&pair, &known) };
        assert_error(&host, options, "git_ssh_no_key", &["`identity`", "`known_hosts`"]).await;
    }
    let url = "https://git.example.com/a.git".to_owned();
    let options = GitRemoteOptions { url, ..host.options(&pair, &known) };
    assert_error(&host, options, "git_bad_credentials", &["ssh address"]).await;
}

#[tokio::test]
async fn what_the_server_says_instead_of_git_is_shown() {
    let Some(host) = SshHost::start(&["ed25519"]) else { return };
    let known = host.known_hosts("ed25519");
    let read_only = "case \"$SSH_ORIGINAL_COMMAND\" in git-receive-pack*) echo 'ERROR: The key you \
                     are authenticating with has been marked as read only.' >&2; exit 1;; esac\n\
                     exec sh -c \"$SSH_ORIGINAL_COMMAND\"";
    for (name, script, reason, words) in [
        ("hidden", "echo 'ERROR: Repository not found.' >&2; exit 1", "git_no_repository", "found"),
        ("read-only", read_only, "git_forbidden", "read only"),
        ("quiet", "exit 3", "git_ssh_command", "exit status 3"),
        (
            "missing",
            "echo 'git-upload-pack: not found' >&2; exit 127",
            "git_ssh_command",
            "not found",
        ),
        ("talkative", "echo 'Welcome to git'; exit 1", "git_ssh_command", "Welcome"),
    ] {
        let pair = host.new_key("ed25519", &[]);
        host.let_in(&pair, &host.forced(name, script));
        assert_error(&host, host.options(&pair, &known), reason, &[words]).await;
    }
    let pair = host.client_key("ed25519");
    let url = format!("{}-not", host.url());
    let options = GitRemoteOptions { url, ..host.options(&pair, &known) };
    assert_error(&host, options, "git_no_repository", &["not appear to be a git repository"]).await;
}

#[tokio::test]
async fn a_host_that_is_not_there_or_no_ssh_server_is_told_apart() {
    let Some(host) = SshHost::start(&["ed25519"]) else { return };
    let pair = host.client_key("ed25519");
    let at = |url: String| GitRemoteOptions {
        url,
        timeout: Duration::from_secs(60),
        ..host.options(&pair, &format!("* {}\n", host.host_key("ed25519")))
    };
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert_error(&host, at(format!("ssh://{closed}/x")), "git_unreachable", &["refused"]).await;
    let unknown = at("git@no-such-host.invalid:a/b.git".to_owned());
    assert_error(&host, unknown, "git_unknown_host", &["no-such-host"]).await;

    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ssh://{}/x", silent.local_addr().unwrap());
    let options = GitRemoteOptions { timeout: Duration::from_millis(200), ..at(url) };
    assert_error(&host, options, "git_timeout", &["0.2 s"]).await;

    let web = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ssh://{}/x", web.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let (mut socket, _) = web.accept().unwrap();
        socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
    });
    let error = host.error(at(url)).await;
    server.join().unwrap();
    assert!(matches!(error.reason(), "git_not_git" | "git_broken"), "{error}");
}

#[tokio::test]
async fn a_program_that_says_nothing_is_waited_for_no_longer_than_asked() {
    let Some(host) = SshHost::start(&["ed25519"]) else { return };
    let pair = host.new_key("ed25519", &[]);
    host.let_in(&pair, &host.forced("slow", "sleep 600"));
    let known = host.known_hosts("ed25519");
    let options =
        GitRemoteOptions { timeout: Duration::from_secs(4), ..host.options(&pair, &known) };
    assert_error(&host, options, "git_timeout", &["4 s"]).await;
}

#[tokio::test]
async fn a_server_without_a_common_algorithm_or_with_old_signatures_is_named() {
    let old = "HostKeyAlgorithms ssh-rsa";
    let Some(host) = SshHost::configured(&["rsa:2048"], old) else { return };
    let options = host.options(&host.client_key("ed25519"), &host.known_hosts("rsa:2048"));
    assert_error(&host, options, "git_ssh_algorithm", &["type of host key", "ssh-rsa"]).await;

    // OpenSSH takes signatures with SHA-1 then, and no others.
    let old = "PubkeyAcceptedAlgorithms ssh-rsa";
    let Some(host) = SshHost::configured(&["ed25519"], old) else { return };
    let options = host.options(&host.client_key("rsa:2048"), &host.known_hosts("ed25519"));
    assert_error(&host, options, "git_unauthorized", &["publickey refused"]).await;
    assert!(!host.log().contains("Accepted publickey"), "{}", host.log());
}
