//! Git over ssh against Debian's sshd: every type of key on both sides, and every format of one.

use crate::git_kit::append;
use crate::git_ssh_kit::{SshHost, credentials, git, user};
use hopclock::remote::git::GitRemoteOptions;

/// Types that `ssh-keygen` makes, with their bits.
const KINDS: [&str; 5] = ["ed25519", "ecdsa:256", "ecdsa:384", "ecdsa:521", "rsa:2048"];

#[tokio::test]
async fn a_canary_is_fetched_and_pushed_with_every_type_of_key() {
    let Some(host) = SshHost::start(&["ed25519"]) else { return };
    let known = host.known_hosts("ed25519");
    for kind in KINDS {
        let options = host.options(&host.client_key(kind), &known);
        let cold = GitRemoteOptions { cache_dir: host.folder.path().join(kind), ..options };
        let published = host.push(cold, kind).await;
        assert_eq!(published.attempts, 1);
        let file = git(&host.repository(), &["show", "main:canary/configmap.yaml"]);
        assert_eq!(file, format!("canary: {kind}"));
    }
    git(&host.repository(), &["fsck", "--strict", "--full"]);
    let log = host.log();
    assert!(!log.contains("ssh-rsa,") && !log.contains("signature algorithm ssh-rsa"), "{log}");
}

#[tokio::test]
async fn every_type_of_key_pushes_to_a_host_that_is_known_by_any_type_even_if_it_prefers_another() {
    let Some(host) = SshHost::start(&KINDS) else { return };
    for client in KINDS {
        let key = host.client_key(client);
        for kind in KINDS {
            let canary = format!("{client} {kind}");
            host.push(host.options(&key, &host.known_hosts(kind)), &canary).await;
            let file = git(&host.repository(), &["show", "main:canary/configmap.yaml"]);
            assert_eq!(file, format!("canary: {canary}"));
        }
    }
}

#[tokio::test]
async fn a_host_may_be_known_by_a_hash_or_by_a_pattern() {
    let Some(host) = SshHost::start(&["ed25519"]) else { return };
    let key = host.client_key("ed25519");
    let file = host.folder.path().join("hashed");
    std::fs::write(&file, host.known_hosts("ed25519")).unwrap();
    let hashed = std::process::Command::new("ssh-keygen").arg("-H").arg("-f").arg(&file).output();
    assert!(hashed.unwrap().status.success());
    let hashed = std::fs::read_to_string(&file).unwrap();
    assert!(hashed.starts_with("|1|"), "{hashed}");
    let pattern = format!("!other,[127.0.*]:* {}\n", host.host_key("ed25519"));
    for (number, known) in [hashed, pattern].into_iter().enumerate() {
        host.push(host.options(&key, &known), &number.to_string()).await;
    }
}

#[tokio::test]
async fn a_key_may_have_every_format_that_is_written_today_and_a_passphrase() {
    let Some(host) = SshHost::start(&["ed25519"]) else { return };
    let known = host.known_hosts("ed25519");
    let cases: [(&str, &[&str], Option<&str>); 9] = [
        ("rsa:2048", &["-m", "PEM"], None),
        ("rsa:2048", &["-m", "PKCS8"], None),
        ("ecdsa:256", &["-m", "PEM"], None),
        ("ecdsa:384", &["-m", "PKCS8"], None),
        ("ed25519", &["-a", "1", "-N", "pl4nted"], Some("pl4nted")),
        ("rsa:2048", &["-a", "1", "-N", "pl4nted"], Some("pl4nted")),
        ("rsa:2048", &["-m", "PEM", "-N", "pl4nted"], Some("pl4nted")),
        ("ecdsa:256", &["-m", "PKCS8", "-N", "pl4nted"], Some("pl4nted")),
        // A Secret may hold one that is not needed.
        ("ecdsa:521", &["-m", "PKCS8"], Some("pl4nted")),
    ];
    for (number, (kind, arguments, passphrase)) in cases.into_iter().enumerate() {
        let pair = host.new_key(kind, arguments);
        host.let_in(&pair, "");
        // Mounted Secrets may have lost their last line end, or have those of another system.
        let text = pair.private().trim_end().replace('\n', "\r\n");
        let credentials = credentials(&text, passphrase, &known);
        let options = GitRemoteOptions { credentials, ..host.options(&pair, &known) };
        assert!(!format!("{:?}", options.credentials).contains("pl4nted"));
        host.push(options, &number.to_string()).await;
    }
}

#[tokio::test]
async fn the_form_of_scp_reaches_the_same_repository() {
    let Some(host) = SshHost::start(&["ed25519"]) else { return };
    let key = host.client_key("ed25519");
    let options = host.options(&key, &host.known_hosts("ed25519"));
    let name = user();
    let folder = host.repository();
    let url = format!("{name}@[127.0.0.1:{}]:{}", host.address.port(), folder.display());
    let by_scp = GitRemoteOptions { url, ..options.clone() };
    let (one, two) = (host.open(options).await.unwrap(), host.open(by_scp.clone()).await.unwrap());
    assert_eq!(one.url().normalised(), two.url().normalised());
    drop((one, two));
    host.push(by_scp, "1").await;
}

#[tokio::test]
async fn a_path_with_a_quote_and_a_space_reaches_its_repository_and_no_shell() {
    let Some(host) = SshHost::start(&["ed25519"]) else { return };
    let key = host.client_key("ed25519");
    let odd = host.folder.path().join("it's $(touch pl4nted)!.git");
    std::fs::rename(host.repository(), &odd).unwrap();
    let path = odd.display().to_string();
    let url = format!("{}@[127.0.0.1:{}]:{path}", user(), host.address.port());
    let known = host.known_hosts("ed25519");
    let remote = host.open(GitRemoteOptions { url, ..host.options(&key, &known) }).await.unwrap();
    assert_eq!(remote.fetch_tip().await.unwrap(), git(&odd, &["rev-parse", "main"]));
}

#[tokio::test]
async fn a_warm_push_takes_one_connection_and_its_preparation_none() {
    let Some(host) = SshHost::start(&["ed25519"]) else { return };
    let options = host.options(&host.client_key("ed25519"), &host.known_hosts("ed25519"));
    host.push(options.clone(), "1").await;
    let remote = host.open(options).await.unwrap();
    let before = host.connections();
    let prepared = remote.prepare(append("2")).await.unwrap();
    assert_eq!(host.connections(), before);
    let published = remote.publish(prepared, |_| panic!("nothing moved")).await.unwrap();
    assert_eq!(host.connections(), before + 1);
    assert_eq!(published.commit, host.tip());
}

#[tokio::test]
async fn a_history_can_be_read_further_back_over_ssh() {
    let Some(host) = SshHost::start(&["ed25519"]) else { return };
    let options = host.options(&host.client_key("ed25519"), &host.known_hosts("ed25519"));
    let begin = host.tip();
    let mut last = String::new();
    for canary in ["1", "2", "3"] {
        last = host.push(options.clone(), canary).await.commit;
    }
    let elsewhere = GitRemoteOptions { cache_dir: host.folder.path().join("other"), ..options };
    let remote = host.open(elsewhere).await.unwrap();
    assert_eq!(remote.tip().await.unwrap(), Some(last.clone()));
    assert_eq!(remote.fetch_tip().await.unwrap(), last);
    assert_eq!(remote.descends(&last, &begin).await, Some(true));
    let file = remote.tree_holds(&begin, "canary/configmap.yaml").await.unwrap();
    assert_eq!(file.as_deref(), Some(&b"canary: none\n"[..]));
}
