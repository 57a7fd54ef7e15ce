//! Credentials and certificates from Secrets in Flux's layout: they work, and they never show.

use crate::e2e_command::{Said, hopclock, scenario, scenario_of_source};
use crate::e2e_kit::{Bench, Course};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hopclock::model::Outcome;
use hopclock_sandbox::git::{Account, Credentials, Rights, UpdatedBy, unrelated_authority};
use hopclock_sandbox::pipeline::{Door, Hook, Lane};
use hopclock_sandbox::store::{Key, Part};
use serde_json::{Value, json};
use std::path::Path;

/// A lane whose repository wants credentials; its address.
async fn locked(bench: &Bench, name: &str) -> String {
    let (name, interval) = (name.to_owned(), "10m".to_owned());
    let lane = Lane { name, interval, hook: Hook::Right, door: Door::Locked };
    let url = bench.sandbox.add_lane(&lane).await.unwrap();
    bench.sandbox.consent(&lane.name, Some("test")).unwrap();
    url
}

/// Replaces what is in a Secret.
fn set_secret(bench: &Bench, name: &str, values: &[(&str, &str)]) {
    let key = Key::new("Secret", "flux-system", name);
    let encoded =
        values.iter().map(|(key, value)| ((*key).to_owned(), STANDARD.encode(value).into()));
    let data = Value::Object(encoded.collect());
    let store = bench.sandbox.store();
    let object = json!({"apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": name, "namespace": "flux-system"}, "data": data});
    if store.get(&key).is_some() {
        store.update(&key, Part::Whole, "somebody", |it| it["data"] = data).unwrap();
    } else {
        store.create(object, "somebody").unwrap();
    }
}

fn account(credentials: Credentials, rights: Rights) -> Account {
    Account { credentials, rights }
}

fn password(bench: &Bench, lane: &str) -> String {
    let key = Key::new("Secret", "flux-system", &format!("{lane}-git"));
    let secret = bench.sandbox.store().get(&key).unwrap();
    let bytes = STANDARD.decode(secret["data"]["password"].as_str().unwrap()).unwrap();
    String::from_utf8(bytes).unwrap()
}

/// Says that a secret is in nothing that a run printed, logged or left behind.
fn assert_hidden(bench: &Bench, said: &Said, secret: &str) {
    let pair = STANDARD.encode(format!("hopclock:{secret}"));
    for form in [secret.to_owned(), STANDARD.encode(secret), pair] {
        let form = form.trim_end_matches('=');
        assert!(!said.out.contains(form) && !said.err.contains(form), "a run shows its secret");
        assert_absent(bench.caches.path(), form);
    }
    assert!(said.err.len() > 1000, "it was logged all the same");
}

fn assert_absent(folder: &Path, secret: &str) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            assert_absent(&path, secret);
        } else {
            let bytes = std::fs::read(&path).unwrap_or_default();
            let found = bytes.windows(secret.len()).any(|it| it == secret.as_bytes());
            assert!(!found, "{} holds a secret", path.display());
        }
    }
}

fn assert_ok(said: &Said) {
    assert_eq!(said.record().outcome, Outcome::Ok, "{}", said.out);
    assert_eq!(said.code, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_and_a_bearer_token_come_from_the_secret_of_the_source_and_never_show() {
    let bench = Bench::new().await;
    let url = locked(&bench, "locked").await;
    let said = hopclock(&bench, &scenario_of_source("locked")).await;
    assert_ok(&said);
    assert_hidden(&bench, &said, &password(&bench, "locked"));
    assert!(bench.sandbox.git().requests().iter().any(|it| it.authorized));

    let token = "planted-bearer-token-0815";
    let bearer = account(Credentials::Bearer(token.to_owned()), Rights::Write);
    bench.sandbox.git().set_accounts(&url, vec![bearer]).unwrap();
    set_secret(&bench, "locked-git", &[("bearerToken", token)]);
    let said = hopclock(&bench, &scenario_of_source("locked")).await;
    assert_ok(&said);
    assert_hidden(&bench, &said, token);

    set_secret(&bench, "locked-git", &[("bearerToken", "planted-wrong-token")]);
    let said = hopclock(&bench, &scenario_of_source("locked")).await;
    assert_eq!(said.error().0, "git_unauthorized", "{}", said.error().1);
    assert_hidden(&bench, &said, "planted-wrong-token");
    set_secret(&bench, "locked-git", &[("username", "hopclock")]);
    let said = hopclock(&bench, &scenario_of_source("locked")).await;
    assert_eq!(said.error().0, "secret");
    assert!(said.error().1.contains("has no key `password`"), "{}", said.error().1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_may_only_read_is_said_to_and_another_one_may_push() {
    let bench = Bench::new().await;
    let url = locked(&bench, "readable").await;
    let git = bench.sandbox.git();
    let read = Credentials::basic("hopclock", &password(&bench, "readable"));
    let write = Credentials::basic("pusher", "planted-password-4711");
    let accounts = vec![account(read, Rights::Read), account(write, Rights::Write)];
    git.set_accounts(&url, accounts).unwrap();
    let tip = git.tip(&url, "main").unwrap();
    let said = hopclock(&bench, &scenario_of_source("readable")).await;
    let (reason, message) = said.error();
    assert_eq!(reason, "git_forbidden");
    assert!(
        message.contains("lack the right to push") && message.contains("push_auth"),
        "{message}"
    );
    assert_eq!(git.tip(&url, "main").unwrap(), tip);
    assert!(git.ref_updates().iter().all(|it| it.by == UpdatedBy::Host));

    let pusher = [("username", "pusher"), ("password", "planted-password-4711")];
    set_secret(&bench, "pusher", &pusher);
    let more = "source: flux-system/readable\npush_auth: { secret: flux-system/pusher }";
    let said = hopclock(&bench, &scenario("readable", more)).await;
    assert_ok(&said);
    assert_hidden(&bench, &said, "planted-password-4711");

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    std::fs::write(&file, "planted-password-4711\n").unwrap();
    let more = format!(
        "url: {url}\nauth: {{ basic: {{ username: pusher, password: {{ file: {} }} }} }}",
        file.display()
    );
    let said = hopclock(&bench, &scenario("readable", &more)).await;
    assert_ok(&said);
    assert_hidden(&bench, &said, "planted-password-4711");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_behind_an_authority_of_its_own_is_trusted_only_if_that_is_given() {
    let bench = Bench::with_tls().await;
    let url = locked(&bench, "private").await;
    assert!(url.starts_with("https://"));
    let git = bench.sandbox.git();
    let word = password(&bench, "private");
    let basic = [("username", "hopclock"), ("password", word.as_str())];
    let tip = git.tip(&url, "main").unwrap();
    let wrong = unrelated_authority().unwrap();
    for ca in [None, Some(("ca.crt", wrong.as_str()))] {
        let values: Vec<_> = basic.into_iter().chain(ca).collect();
        set_secret(&bench, "private-git", &values);
        let said = hopclock(&bench, &scenario_of_source("private")).await;
        let (reason, message) = said.error();
        assert_eq!(reason, "git_untrusted_certificate");
        assert!(message.contains("`ca_file`") && message.contains("`ca.crt`"), "{message}");
        assert_eq!(git.tip(&url, "main").unwrap(), tip);
    }
    let right = git.authority().unwrap().to_owned();
    let values: Vec<_> = basic.into_iter().chain([("ca.crt", right.as_str())]).collect();
    set_secret(&bench, "private-git", &values);
    let said = hopclock(&bench, &scenario_of_source("private")).await;
    assert_ok(&said);
    assert_hidden(&bench, &said, &word);

    let more = "source: flux-system/private\npush_auth: { secret: flux-system/pusher }";
    set_secret(&bench, "pusher", &basic);
    assert_ok(&hopclock(&bench, &scenario("private", more)).await);

    set_secret(&bench, "private-git", &basic);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, right).unwrap();
    let more = format!("source: flux-system/private\nca_file: {}", file.display());
    assert_ok(&hopclock(&bench, &scenario("private", &more)).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_in_an_address_works_and_is_in_no_event_and_no_record() {
    let bench = Bench::new().await;
    let url = locked(&bench, "addressed").await;
    let right = password(&bench, "addressed");
    for (word, outcome) in [(right.as_str(), "ok"), ("planted-wrong", "probe_error")] {
        let url = url.replace("http://", &format!("http://hopclock:{word}@"));
        let measured = Course::new(bench.clone(), "addressed".to_owned(), url).run(|_| ()).await;
        assert_eq!(measured.outcome(), outcome, "{}", measured.record.outcome);
        let shown = format!("{:?} {:?}", measured.events, measured.record);
        assert!(!shown.contains(word), "a secret shows");
        assert_absent(bench.caches.path(), word);
    }
}
