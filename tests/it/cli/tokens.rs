//! A planted token appears nowhere: not in output, errors, logs of every level, or the cache.

use crate::cli::kit::{HOPS, SOURCE, Stage, Told, lane, scenario, told};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hopclock_sandbox::git::{Account, Credentials, Fault, FaultRule, RequestKind, Rights};
use hopclock_sandbox::pipeline::{Door, Hook};
use serde_json::json;
use std::path::Path;
use tokio::process::Command;

const TOKEN: &str = "pl4nted-T0ken-9c41f6";
const LOG: &str = "trace,hyper=trace,hyper_util=trace,reqwest=trace,kube=trace,kube_client=trace,\
                   rustls=trace,tower=trace";

/// Every form in which a token could get out.
fn forms(token: &str) -> Vec<String> {
    let mut forms = vec![token.to_owned(), STANDARD.encode(token)];
    for user in ["hopclock", token] {
        forms.push(STANDARD.encode(format!("{user}:{token}")));
    }
    forms.push(STANDARD.encode(format!("{token}:")));
    forms
}

/// Looks for tokens in what was printed and in every file that was left.
fn search(title: &str, told: &Told, folder: &Path, tokens: &[&str]) {
    let forms: Vec<_> = tokens.iter().flat_map(|it| forms(it)).collect();
    for (place, text) in [("output", &told.out), ("errors", &told.err)] {
        for form in &forms {
            let line = text.lines().find(|it| it.contains(form.as_str()));
            assert!(line.is_none(), "{title}: a token is in the {place}: {line:?}");
        }
    }
    let mut open = vec![folder.join("cache"), folder.join("home")];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(path.read_dir().unwrap().map(|it| it.unwrap().path()));
        } else if let Ok(bytes) = std::fs::read(&path) {
            for form in &forms {
                let found = bytes.windows(form.len()).any(|it| it == form.as_bytes());
                assert!(!found, "{title}: a token is in {}", path.display());
            }
        }
    }
}

/// A locked lane whose password is the token.
async fn locked() -> Stage {
    let stage = Stage::with(&lane("canary", Hook::Right, Door::Locked)).await;
    let accounts = [Credentials::basic("hopclock", TOKEN), Credentials::Bearer(TOKEN.to_owned())];
    let accounts = accounts.map(|credentials| Account { credentials, rights: Rights::Write });
    stage.sandbox.git().set_accounts(&stage.url, accounts.to_vec()).unwrap();
    stage.change("Secret", "canary-git", &json!({"data": {"password": STANDARD.encode(TOKEN)}}));
    stage.file("token", &format!("{TOKEN}\n"));
    stage
}

fn prepared(stage: &Stage, git: &str) -> Command {
    let hops = HOPS.replace(
        "webhook_received: { receiver: flux-system/canary }",
        "webhook_received: { receiver: flux-system/canary, git_repository: flux-system/canary }",
    );
    let mut call = stage.call(&["run", stage.scenario(git, &hops), "--output", "json"]);
    call.env("GIT_TOKEN", TOKEN).env("HOPCLOCK_LOG", LOG);
    call
}

#[tokio::test]
async fn a_token_from_anywhere_is_in_no_output_log_or_file() {
    let stage = locked().await;
    let admin = stage.sandbox.api().admin_token().to_owned();
    let by_hand = format!("url: '{}'", stage.url);
    let basic = |place: &str| {
        format!("{by_hand}, auth: {{ basic: {{ username: hopclock, password: {place} }} }}")
    };
    for (title, git) in [
        ("a Secret", SOURCE.to_owned()),
        ("a variable", basic("{ env: GIT_TOKEN }")),
        ("a file", basic("{ file: token }")),
        ("a bearer token", format!("{by_hand}, auth: {{ bearer: {{ env: GIT_TOKEN }} }}")),
        ("a Secret by hand", format!("{by_hand}, auth: {{ secret: flux-system/canary-git }}")),
    ] {
        let told = told(prepared(&stage, &git)).await;
        assert_eq!(told.code, Some(0), "{title}: {}", told.out);
        assert!(told.err.contains("TRACE"), "{title}: nothing was logged");
        search(title, &told, stage.folder.path(), &[TOKEN, &admin]);
    }
}

#[tokio::test]
async fn a_token_that_is_refused_is_not_repeated() {
    let stage = locked().await;
    let admin = stage.sandbox.api().admin_token().to_owned();
    for (title, on, fault) in [
        ("401", RequestKind::FetchRefs, Fault::Status(401, None)),
        ("403 to the push", RequestKind::PushRefs, Fault::Status(403, None)),
        ("a lost answer", RequestKind::Push, Fault::Cut),
        (
            "a redirect",
            RequestKind::FetchRefs,
            Fault::Redirect(format!("http://u:{TOKEN}@else.invalid")),
        ),
    ] {
        stage.sandbox.git().add_fault(FaultRule::always(on, fault));
        let told = told(prepared(&stage, SOURCE)).await;
        stage.sandbox.git().clear_faults();
        assert_eq!(told.code, Some(3), "{title}: {}", told.out);
        search(title, &told, stage.folder.path(), &[TOKEN, &admin]);
    }
}

#[tokio::test]
async fn a_token_where_none_belongs_is_masked() {
    let stage = locked().await;
    let inside = stage.url.replace("http://", &format!("http://hopclock:{TOKEN}@"));
    for (title, git, code) in [
        ("a password in the address", format!("url: '{inside}'"), 2),
        ("a token as the user", format!("url: '{}'", inside.replace("hopclock:", "")), 2),
        ("a password in the scenario", format!("{SOURCE}, auth: {{ bearer: {TOKEN} }}"), 2),
    ] {
        let told = told(prepared(&stage, &git)).await;
        assert_eq!(told.code, Some(code), "{title}: {told:?}");
        search(title, &told, stage.folder.path(), &[TOKEN]);
    }
    // In the cluster it is somebody else's doing: it is pushed with, and not shown either.
    stage.change("GitRepository", "canary", &json!({"spec": {"url": inside, "secretRef": null}}));
    let before = stage.sandbox.git().ref_updates().len();
    let call = prepared(&stage, SOURCE);
    // Flux itself makes nothing of such an address, and need not be waited for.
    stage.file(
        "canary.yaml",
        &scenario("canary", SOURCE, HOPS).replace("20s", "2s").replace("15s", "1s"),
    );
    let told = told(call).await;
    assert_eq!(stage.sandbox.git().ref_updates().len(), before + 1, "{}", told.out);
    search("a password in the source's address", &told, stage.folder.path(), &[TOKEN]);
    let ssh = format!("ssh://hopclock:{TOKEN}@git.example.com/fleet/canary.git");
    stage.change("GitRepository", "canary", &json!({"spec": {"url": ssh}}));
    let told = told_failing(&stage).await;
    search("a password in an ssh address", &told, stage.folder.path(), &[TOKEN]);
}

async fn told_failing(stage: &Stage) -> Told {
    let told = told(prepared(stage, SOURCE)).await;
    assert_eq!(told.code, Some(3), "{}", told.out);
    told
}

#[tokio::test]
async fn the_kubeconfigs_token_is_not_repeated_when_it_is_refused() {
    let stage = Stage::new().await;
    let right = stage.sandbox.api().kubeconfig(None);
    let admin = stage.sandbox.api().admin_token();
    for (title, text) in [
        ("refused", right.replace(admin, TOKEN)),
        ("malformed", right.replace(&format!("token: {admin}"), &format!("token: [{TOKEN}"))),
        (
            "of a wrong type",
            right.replace(&format!("token: {admin}"), &format!("token: {{a: {TOKEN}}}")),
        ),
    ] {
        stage.file("kubeconfig", &text);
        let mut call = prepared(&stage, SOURCE);
        call.args(["--kubeconfig", "kubeconfig"]);
        let told = told(call).await;
        assert_eq!(told.code, Some(3), "{title}: {told:?}");
        search(title, &told, stage.folder.path(), &[TOKEN, admin]);
    }
}
