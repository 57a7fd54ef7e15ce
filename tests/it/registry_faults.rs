//! Registries that want tokens, ask for patience, refuse, or break off: what each means for a run.

use crate::registry_kit::{Stub, Told, client, open, options, told};
use hopclock::model::Usage;
use hopclock::remote::registry::{
    Artifact, Credentials, Deed, Error, Manifest, PublishError, RegistryOptions, Repository,
};
use hopclock_sandbox::git::{GitHost, GitHostOptions};
use serde_json::json;
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::Duration;
use tokio::io::AsyncReadExt;

const TAGS: &str = "GET /v2/team/app/tags/list";
const PUT: &str = "PUT /v2/team/app/manifests/1.0.1";
const TYPE: &str = "application/vnd.oci.image.manifest.v1+json";

fn secret() -> Credentials {
    Credentials::basic("robot", "pl4nted-secret")
}

fn manifest() -> Manifest {
    Manifest::new(b"{}".to_vec(), TYPE)
}

fn tags(all: &[&str]) -> Told {
    told(200).saying(&json!({"name": "team/app", "tags": all}).to_string())
}

/// What a publication against this answer ends with.
async fn publish(answer: Told) -> PublishError {
    let stub = Stub::start().await;
    stub.tell(PUT, [answer]);
    client(&stub.host, secret()).publish("1.0.1", &manifest()).await.unwrap_err()
}

/// What a list of tags against this answer ends with.
async fn list(answer: Told) -> Error {
    let stub = Stub::start().await;
    stub.tell(TAGS, [answer]);
    client(&stub.host, secret()).tags().await.unwrap_err()
}

#[tokio::test]
async fn one_token_with_all_rights_serves_a_whole_run() {
    let stub = Stub::start().await;
    stub.tell(TAGS, [stub.challenge(), tags(&["1.0.0"])]);
    stub.tell("GET /token", [told(200).saying(r#"{"token": "t0ken"}"#)]);
    stub.tell(PUT, [told(201)]);
    let registry = client(&stub.host, secret());
    assert_eq!(registry.tags().await.unwrap(), ["1.0.0"]);
    registry.publish("1.0.1", &manifest()).await.unwrap();
    let asked = stub.asked();
    let scope = "service=stub&scope=repository%3Ateam%2Fapp%3Apull%2Cpush&account=robot";
    assert_eq!(
        stub.lines(),
        [
            format!("{TAGS}?n=1000"),
            format!("GET /token?{scope}"),
            format!("{TAGS}?n=1000"),
            PUT.to_owned(),
        ]
    );
    assert_eq!(asked[0].authorization, None);
    assert!(asked[1].authorization.as_ref().unwrap().starts_with("Basic "));
    assert_eq!(asked[2].authorization.as_deref(), Some("Bearer t0ken"));
    assert_eq!(asked[3].authorization.as_deref(), Some("Bearer t0ken"));
    assert_eq!(registry.usage().requests, 4);
}

#[tokio::test]
async fn a_token_that_has_run_out_is_fetched_anew() {
    let stub = Stub::start().await;
    stub.tell(TAGS, [stub.challenge(), tags(&["a"]), stub.challenge(), tags(&["a", "b"])]);
    let token = |it: &str| told(200).saying(&json!({"access_token": it}).to_string());
    stub.tell("GET /token", [token("first"), token("second")]);
    let registry = client(&stub.host, Credentials::None);
    assert_eq!(registry.tags().await.unwrap().len(), 1);
    assert_eq!(registry.tags().await.unwrap().len(), 2);
    assert_eq!(stub.asked().last().unwrap().authorization.as_deref(), Some("Bearer second"));
}

#[tokio::test]
async fn an_identity_token_is_exchanged() {
    let stub = Stub::start().await;
    stub.tell(TAGS, [stub.challenge(), tags(&[])]);
    stub.tell("POST /token", [told(200).saying(r#"{"access_token": "t"}"#)]);
    let config = json!({"auths": {&stub.host: {"identitytoken": "pl4nted+refresh"}}});
    let given = options(&stub.host, Credentials::None);
    let bytes = config.to_string().into_bytes();
    let credentials = Credentials::of_docker_config(&bytes, &given.repository).await.unwrap();
    let registry = open(RegistryOptions { credentials, ..given });
    assert!(registry.tags().await.unwrap().is_empty());
    let asked = stub.asked();
    assert_eq!(asked[1].authorization, None);
    assert!(asked[1].body.contains("grant_type=refresh_token"));
    assert!(asked[1].body.contains("refresh_token=pl4nted%2Brefresh"));
}

#[tokio::test]
async fn a_token_of_the_registrys_own_is_sent_as_it_is() {
    let stub = Stub::start().await;
    stub.tell(TAGS, [stub.challenge(), tags(&["a"])]);
    let registry = client(&stub.host, Credentials::bearer("own\n"));
    assert_eq!(registry.tags().await.unwrap(), ["a"]);
    assert_eq!(stub.asked()[1].authorization.as_deref(), Some("Bearer own"));
}

#[tokio::test]
async fn credentials_that_are_refused_are_sent_once_and_shown_nowhere() {
    let stub = Stub::start().await;
    stub.tell(TAGS, [stub.challenge()]);
    stub.tell("GET /token", [told(401)]);
    let error = client(&stub.host, secret()).tags().await.unwrap_err();
    assert!(matches!(error, Error::Unauthorized { .. }), "{error}");
    assert!(!format!("{error} {error:?}").contains("pl4nted"));
    assert_eq!(stub.lines().len(), 2);
    let open = client(&stub.host, Credentials::None).tags().await.unwrap_err();
    assert!(matches!(open, Error::NoCredentials { .. }), "{open}");
}

#[tokio::test]
async fn a_token_without_the_right_is_no_wrong_password() {
    let stub = Stub::start().await;
    stub.tell(PUT, [stub.challenge()]);
    stub.tell("GET /token", [told(200).saying(r#"{"token": "pull-only"}"#)]);
    let error = client(&stub.host, secret()).publish("1.0.1", &manifest()).await.unwrap_err();
    assert!(
        matches!(error, PublishError::Failed(Error::Forbidden { deed: Deed::Push, .. })),
        "{error}"
    );
    assert_eq!(stub.lines().len(), 3);
}

#[tokio::test]
async fn a_credential_helper_that_is_missing_is_named() {
    let stub = Stub::start().await;
    let repository = options(&stub.host, Credentials::None).repository;
    for config in [
        json!({"credHelpers": {&stub.host: "not-installed"}}),
        json!({"auths": {}, "credsStore": "not-installed"}),
    ] {
        let bytes = config.to_string().into_bytes();
        let error = Credentials::of_docker_config(&bytes, &repository).await.unwrap_err();
        assert_eq!(error.reason(), "registry_helper");
        let says = "`docker-credential-not-installed`";
        assert!(error.to_string().contains(says), "{error}");
    }
}

/// The program that cargo made of these tests runs itself with a PATH of its own.
#[tokio::test]
async fn credential_helpers_are_asked_and_their_failures_are_told_apart() {
    const INNER: &str = "HOPCLOCK_TEST_CREDENTIAL_HELPERS";
    if std::env::var_os(INNER).is_some() {
        return ask_helpers().await;
    }
    let folder = tempfile::tempdir().unwrap();
    for (name, script) in [
        ("good", r#"echo "{\"Username\": \"$host\", \"Secret\": \"s\"}""#),
        ("token", r#"echo "{\"Username\": \"<token>\", \"Secret\": \"s\"}""#),
        ("empty", "echo credentials not found in native keychain; exit 1"),
        ("fails", "echo pl4nted; exit 1"),
        ("odd", "echo pl4nted"),
    ] {
        let file = folder.path().join(format!("docker-credential-{name}"));
        std::fs::write(&file, format!("#!/bin/sh\nread host\n{script}\n")).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let test = "registry_faults::credential_helpers_are_asked_and_their_failures_are_told_apart";
    let paths = [folder.path().to_owned(), "/usr/bin".into(), "/bin".into()];
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test])
        .env("PATH", std::env::join_paths(paths).unwrap())
        .env(INNER, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

async fn ask_helpers() {
    let repository = Repository::parse("registry.test/app", false).unwrap();
    let ask = async |name: &str| {
        let config = json!({"credHelpers": {"registry.test": name}}).to_string();
        Credentials::of_docker_config(config.as_bytes(), &repository).await
    };
    let good = ask("good").await.unwrap();
    assert!(matches!(good, Credentials::Basic { user, .. } if user == "registry.test"));
    assert!(matches!(ask("token").await.unwrap(), Credentials::Identity(_)));
    assert!(matches!(ask("empty").await.unwrap(), Credentials::None));
    for (name, says) in [("fails", "failed"), ("odd", "something else than credentials")] {
        let error = ask(name).await.unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
        assert!(!format!("{error} {error:?}").contains("pl4nted"));
    }
}

#[tokio::test]
async fn all_pages_of_tags_are_read() {
    let stub = Stub::start().await;
    let link = r#"</v2/team/app/tags/list?last=b&n=1000>; rel="next""#;
    stub.tell(TAGS, [tags(&["a", "b"]).with("link", link), tags(&["c"])]);
    let registry = client(&stub.host, Credentials::None);
    assert_eq!(registry.tags().await.unwrap(), ["a", "b", "c"]);
    assert_eq!(stub.lines()[1], format!("{TAGS}?last=b&n=1000"));
    let link = r#"<http://elsewhere.test/v2/>; rel="next""#;
    stub.tell(TAGS, [tags(&["a"]).with("link", link)]);
    let error = client(&stub.host, secret()).tags().await.unwrap_err();
    assert!(matches!(error, Error::Redirected { to, .. } if to == "elsewhere.test"));
}

#[tokio::test]
async fn s5_a_registry_that_asks_for_patience_is_given_it_and_that_is_counted() {
    let stub = Stub::start().await;
    stub.tell(PUT, [told(429).with("retry-after", "1"), told(201)]);
    let registry = client(&stub.host, Credentials::None);
    let before = registry.now();
    let published = registry.publish("1.0.1", &manifest()).await.unwrap();
    assert!(published.sent.since(before) >= Duration::from_secs(1), "zero is after the wait");
    assert_eq!(registry.usage(), Usage { requests: 2, throttled: 1 });
}

#[tokio::test]
async fn s5_more_patience_than_there_is_time_for_ends_the_operation() {
    let error = list(told(429).with("retry-after", "3600")).await;
    assert_eq!(error.reason(), "registry_rate_limited");
    assert!(error.to_string().contains("(429, again in 3600 s)"), "{error}");
    let endless = told(429).with("retry-after", &u64::MAX.to_string());
    let stub = Stub::start().await;
    stub.tell(TAGS, [told(429).with("retry-after", "1"), endless]);
    let error = client(&stub.host, secret()).tags().await.unwrap_err();
    assert!(matches!(error, Error::RateLimited { .. }), "{error}");
    let stub = Stub::start().await;
    stub.tell(TAGS, [told(429).with("retry-after", "0")]);
    let hurried = RegistryOptions {
        patience: Duration::from_millis(250),
        ..options(&stub.host, Credentials::None)
    };
    let registry = open(hurried);
    let error = registry.tags().await.unwrap_err();
    assert!(matches!(error, Error::RateLimited { .. }), "{error}");
    assert!(registry.usage().requests <= 5, "{:?}", registry.usage());
}

#[tokio::test]
async fn what_a_registry_refuses_is_told_apart() {
    for (answer, reason) in [
        (told(415), "registry_refused_type"),
        (told(400).error("MANIFEST_INVALID", "unsupported media type"), "registry_refused_type"),
        (told(412).error("PRECONDITION", "configured as immutable"), "registry_immutable_tag"),
        (
            told(400).error("TAG_INVALID", "The image tag '1.0.1' already exists and is immutable"),
            "registry_immutable_tag",
        ),
        (told(403).error("DENIED", "no write access"), "registry_forbidden"),
        (told(404).error("NAME_UNKNOWN", "repository not found"), "registry_no_repository"),
        (told(413), "registry_status"),
        (told(307).with("location", "https://elsewhere.test/v2/x"), "registry_redirected"),
    ] {
        let error = publish(answer.clone()).await;
        assert!(matches!(error, PublishError::Failed(_)), "{answer:?}: {error:?}");
        assert_eq!(error.reason(), reason, "{answer:?}: {error}");
        assert!(!error.to_string().ends_with('.'), "{error}");
    }
    let error = list(told(403).error("DENIED", "quota")).await;
    assert!(matches!(error, Error::Forbidden { deed: Deed::List, .. }), "{error}");
    let error = list(told(200).saying("<html>")).await;
    assert!(matches!(error, Error::NotARegistry { .. }), "{error}");
}

#[tokio::test]
async fn an_image_is_pushed_in_dockers_form_where_the_newer_one_is_refused() {
    let stub = Stub::start().await;
    let uploads = "POST /v2/team/app/blobs/uploads/";
    stub.tell(uploads, [told(202).with("location", "/upload/1?_state=s")]);
    stub.tell("PUT /upload/1", [told(201)]);
    stub.tell(PUT, [told(415), told(201)]);
    let registry = client(&stub.host, Credentials::None);
    let image = Artifact::tiny_image(&BTreeMap::new(), jiff::Timestamp::UNIX_EPOCH);
    registry.upload(&image).await.unwrap();
    let refused = registry.publish("1.0.1", &image.manifest()).await.unwrap_err();
    assert!(matches!(refused, PublishError::Failed(Error::RefusedType { .. })));
    let docker = image.docker_manifest().unwrap();
    let published = registry.publish("1.0.1", &docker).await.unwrap();
    assert_eq!(published.digest, docker.digest());
    assert!(stub.asked().last().unwrap().body.contains("vnd.docker.container.image.v1+json"));
}

#[tokio::test]
async fn t2_a_publication_whose_answer_is_lost_is_told_from_one_that_did_not_happen() {
    let error = publish(told(502)).await;
    assert!(matches!(error, PublishError::NoAnswer { .. }), "{error}");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let cut = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut bytes = [0; 64];
        assert!(stream.read(&mut bytes).await.unwrap() > 0);
    });
    let registry = client(&host, secret());
    let before = registry.now();
    match registry.publish("1.0.1", &manifest()).await.unwrap_err() {
        PublishError::NoAnswer { tag, sent, why } => {
            assert_eq!(tag, "1.0.1");
            assert!(before <= sent && sent <= registry.now());
            assert_eq!(why.reason(), "registry_broken");
        }
        other @ PublishError::Failed(_) => panic!("{other:?}"),
    }
    cut.await.unwrap();
    // Nobody listens there any more.
    let error = registry.publish("1.0.1", &manifest()).await.unwrap_err();
    assert_eq!(error.reason(), "registry_unreachable", "{error}");
    assert!(matches!(error, PublishError::Failed(_)));
}

#[tokio::test]
async fn a_manifest_that_is_not_what_its_digest_says_is_not_believed() {
    let stub = Stub::start().await;
    let wrong = format!("sha256:{}", "0".repeat(64));
    let line = "GET /v2/team/app/manifests/a";
    let answer = told(200).with("content-type", TYPE).with("docker-content-digest", &wrong);
    stub.tell(line, [answer.saying("{}")]);
    let error = client(&stub.host, Credentials::None).manifest("a").await.unwrap_err();
    assert!(matches!(error, Error::WrongDigest { .. }), "{error}");
}

#[tokio::test]
async fn a_tag_that_cannot_be_one_is_not_sent() {
    let stub = Stub::start().await;
    let registry = client(&stub.host, Credentials::None);
    let long = "x".repeat(129);
    for tag in ["", "-x", ".x", "a b", "../tags/list", "a:b", &long] {
        let error = registry.publish(tag, &manifest()).await.unwrap_err();
        assert_eq!(error.reason(), "registry_bad_tag", "{tag}");
    }
    assert!(stub.asked().is_empty());
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_ends_it_and_its_authority_mends_that() {
    let host = GitHost::start(GitHostOptions { tls: true, ..GitHostOptions::default() }).await;
    let host = host.unwrap();
    let url = host.create_repository("team/app", &[("a", "b")], "main").unwrap();
    let name = url.strip_prefix("https://").unwrap().split('/').next().unwrap().to_owned();
    let repository = Repository::parse(&format!("{name}/team/app"), false).unwrap();
    let given = RegistryOptions { repository, ..options(&name, Credentials::None) };
    let error = open(given.clone()).probe().await.unwrap_err();
    assert_eq!(error.reason(), "registry_untrusted_certificate", "{error}");
    let ca = host.authority().map(|it| it.as_bytes().to_vec());
    let error = open(RegistryOptions { ca, ..given }).probe().await.unwrap_err();
    assert_eq!(error.reason(), "registry_not_a_registry", "{error}");
}
