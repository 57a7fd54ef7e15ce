//! The program pushes over ssh with keys from files, variables and Secrets, and shows none of them.

use crate::cli::kit::{HOPS, SOURCE, Stage, Told, scenario, told};
use crate::git_ssh_kit::{Pair, SshHost, git};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

const PASSPHRASE: &str = "pl4nted-Passphrase-5e01";
const LOG: &str = "trace,russh=trace,hyper=info,kube=info,kube_client=info,tower=info";

/// A pipeline, and beside it a repository over ssh that Flux knows nothing of.
struct Bench {
    stage: Stage,
    host: SshHost,
    pair: Pair,
}

impl Bench {
    async fn new() -> Option<Self> {
        let host = SshHost::start(&["ed25519"])?;
        let pair = host.new_key("ed25519", &["-a", "1", "-N", PASSPHRASE]);
        host.let_in(&pair, "");
        let stage = Stage::new().await;
        stage.file("identity", &pair.private());
        stage.file("known_hosts", &host.known_hosts("ed25519"));
        Some(Self { stage, host, pair })
    }

    /// Runs once. Nothing brings what is pushed to the cluster, so it is not waited for.
    async fn run(&self, git: &str) -> Told {
        let hops = HOPS.replace(
            "webhook_received: { receiver: flux-system/canary }",
            "webhook_received: { receiver: flux-system/canary, git_repository: flux-system/canary }",
        );
        let text = scenario("canary", git, &hops).replace("20s", "2s").replace("15s", "1s");
        let file = self.stage.file("canary.yaml", &text);
        let mut call = self.stage.call(&["run", file, "--output", "json"]);
        call.env("PASSPHRASE", PASSPHRASE).env("HOPCLOCK_LOG", LOG);
        let told = told(call).await;
        let private = self.pair.private();
        let line = private.lines().nth(3).unwrap();
        for secret in [PASSPHRASE, &STANDARD.encode(PASSPHRASE), line] {
            assert!(!told.out.contains(secret) && !told.err.contains(secret), "{git}");
        }
        told
    }

    /// Leaves nothing on the branch that is no canary: nobody could consent for it (rule S0).
    fn empty(&self) {
        let repository = self.host.repository();
        let tree = git(&repository, &["hash-object", "-t", "tree", "-w", "/dev/null"]);
        let commit = ["commit-tree", tree.trim(), "-p", "main", "-m", "Empty"];
        let commit = git(&repository, &commit);
        git(&repository, &["update-ref", "refs/heads/main", commit.trim()]);
    }

    async fn assert_pushes(&self, git: &str) {
        let before = self.host.tip();
        let told = self.run(git).await;
        assert_ne!(self.host.tip(), before, "{git}: {}{}", told.out, self.host.log());
    }
}

fn secret(values: &[(&str, &str)]) -> Value {
    let data = values.iter().map(|(key, it)| ((*key).to_owned(), STANDARD.encode(it).into()));
    let data = Value::Object(data.collect());
    json!({"apiVersion": "v1", "kind": "Secret", "data": data,
        "metadata": {"name": "deploy-key", "namespace": "flux-system"}})
}

#[tokio::test]
async fn keys_from_files_and_variables_push_to_a_url_over_ssh() {
    let Some(bench) = Bench::new().await else { return };
    bench.empty();
    let url = bench.host.url();
    let keys = "identity: { file: identity }, known_hosts: { file: known_hosts }";
    let whole =
        format!("url: '{url}', auth: {{ ssh: {{ {keys}, passphrase: {{ env: PASSPHRASE }} }} }}");
    bench.assert_pushes(&whole).await;
    let told = bench.run(&format!("url: '{url}', auth: {{ ssh: {{ {keys} }} }}")).await;
    assert_eq!(told.code, Some(3), "{}", told.out);
    assert!(told.out.contains("git_ssh_passphrase") || told.err.contains("is encrypted"));
}

#[tokio::test]
async fn the_secret_of_a_source_over_ssh_pushes_to_where_flux_fetches() {
    let Some(bench) = Bench::new().await else { return };
    let (private, known) = (bench.pair.private(), bench.host.known_hosts("ed25519"));
    bench.stage.create(secret(&[
        ("identity", &private),
        ("identity.pub", &bench.pair.public()),
        ("known_hosts", &known),
        ("password", PASSPHRASE),
    ]));
    let spec = json!({"spec": {"url": bench.host.url(), "secretRef": {"name": "deploy-key"}}});
    bench.stage.change("GitRepository", "canary", &spec);
    bench.assert_pushes(SOURCE).await;
    let spec = json!({"spec": {"url": bench.host.url(), "secretRef": null}});
    bench.stage.change("GitRepository", "canary", &spec);
    bench
        .assert_pushes(&format!("{SOURCE}, push_auth: {{ secret: flux-system/deploy-key }}"))
        .await;
}
