//! Terraform and Crossplane compute the very path that Flux does, so both ends of a webhook agree.

use crate::chart_kit::has_helm;
use crate::cli::kit::{Stage, lane};
use crate::deploy::{folder, objects, of, one};
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hopclock_sandbox::pipeline::{Door, Hook};
use hopclock_sandbox::store::{Key, Part};
use serde_json::{Value, json};
use std::fmt::Write;
use std::process::Command;
use std::time::Duration;

/// Token and path of the Receiver that a sandbox made ready.
async fn receiver() -> (String, String) {
    let stage = Stage::quick(&lane("canary", Hook::Right, Door::Open)).await;
    let get = |kind: &str, name: &str| {
        stage.sandbox.store().get(&Key::new(kind, "flux-system", name)).unwrap()
    };
    let token = get("Secret", "canary-hook")["data"]["token"].as_str().unwrap().to_owned();
    let path = get("Receiver", "canary")["status"]["webhookPath"].as_str().unwrap().to_owned();
    (String::from_utf8(BASE64_STANDARD.decode(token).unwrap()).unwrap(), path)
}

/// What a template of Terraform comes to: references, and `sha256("…")` around some of them.
fn terraform(template: &str, value: impl Fn(&str) -> String + Copy) -> String {
    let mut text = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("${") {
        text += before;
        if let Some(inner) = after.strip_prefix("sha256(\"") {
            let (inner, after) = inner.split_once("\")}").unwrap();
            for byte in digest(&SHA256, terraform(inner, value).as_bytes()).as_ref() {
                write!(text, "{byte:02x}").unwrap();
            }
            rest = after;
        } else {
            let (name, after) = after.split_once('}').unwrap();
            text += &value(name);
            rest = after;
        }
    }
    text + rest
}

#[tokio::test]
async fn terraform_calls_the_path_that_flux_makes_of_the_token() {
    let (token, path) = receiver().await;
    let main = std::fs::read_to_string(folder().join("terraform/main.tf")).unwrap();
    let line = main.lines().find_map(|it| it.trim().strip_prefix("path = \"")).unwrap();
    let made = terraform(line.strip_suffix('"').unwrap(), |name| match name {
        "random_password.token.result" => token.clone(),
        "var.name" => "canary".to_owned(),
        "var.namespace" => "flux-system".to_owned(),
        other => panic!("{other}"),
    });
    assert_eq!(made, path);
    // The host calls that path and signs with that token, which is the Secret's.
    for part in [
        "url          = \"${var.address}${local.path}\"",
        "secret       = random_password.token.result",
        "token = random_password.token.result",
        "name = kubernetes_secret_v1.token.metadata[0].name",
        // A new token has the Receiver look, and the webhook waits for that.
        "\"reconcile.fluxcd.io/requestedAt\" = sha256(local.path)",
        "depends_on = [kubernetes_manifest.receiver]",
    ] {
        assert!(main.contains(part), "{part}");
    }
    assert_eq!(main.matches("resource \"random_password\"").count(), 1);
    let opened = main.matches('{').count();
    assert_eq!(opened, main.matches('}').count());
    let variables = std::fs::read_to_string(folder().join("terraform/variables.tf")).unwrap();
    for used in main.split("var.").skip(1) {
        let name: String =
            used.chars().take_while(|it| it.is_alphanumeric() || *it == '_').collect();
        assert!(variables.contains(&format!("variable \"{name}\"")), "{name}");
    }
}

/// What the composition makes when it sees this. Its template is Go's with sprig's functions, as Helm's are.
fn composed(observed: &Value) -> Vec<Value> {
    let text = std::fs::read_to_string(folder().join("crossplane/composition.yaml")).unwrap();
    let composition = objects(&text);
    let step = &one(&composition, "Composition")["spec"]["pipeline"][0];
    let template = step["input"]["inline"]["template"].as_str().unwrap();
    let chart = tempfile::tempdir().unwrap();
    std::fs::create_dir(chart.path().join("templates")).unwrap();
    let write = |name: &str, text: &str| std::fs::write(chart.path().join(name), text).unwrap();
    write("Chart.yaml", "{ apiVersion: v2, name: a, version: 0.1.0 }");
    write("values.yaml", &json!({"observed": observed}).to_string());
    write("templates/all.yaml", &template.replace(".observed.", ".Values.observed."));
    let output = Command::new("helm")
        .args(["template", "a"])
        .arg(chart.path())
        .env("HOME", chart.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    objects(&String::from_utf8(output.stdout).unwrap())
}

/// What is there when Flux serves a path.
fn there(token: &str, path: &str) -> Value {
    json!({
        "token": {"resource": {"data": {"token": BASE64_STANDARD.encode(token)}}},
        "receiver": {"resource": {"status": {"webhookPath": path}}},
    })
}

#[tokio::test]
async fn a_token_that_is_exchanged_is_served_at_once_and_then_called() {
    if !has_helm() {
        return;
    }
    let stage = Stage::quick(&lane("canary", Hook::Right, Door::Open)).await;
    let store = stage.sandbox.store();
    let key = |kind: &str, name: &str| Key::new(kind, "flux-system", name);
    let served = |it: &Value| it["status"]["webhookPath"].as_str().unwrap_or_default().to_owned();
    let old = served(&store.get(&key("Receiver", "canary")).unwrap());
    let webhook =
        objects(&std::fs::read_to_string(folder().join("crossplane/webhook.yaml")).unwrap());
    let compose = |resources: &Value| {
        composed(&json!({"composite": {"resource": webhook[0]}, "resources": resources}))
    };
    // Somebody deletes the Secret: the Receiver still serves the old path, and the webhook calls it.
    let mut resources = there("", &old);
    resources["webhook"] = json!({"resource": {}});
    resources.as_object_mut().unwrap().remove("token");
    let exchanged = compose(&resources);
    let mark = |all: &[Value]| {
        one(all, "RepositoryWebhook")["metadata"]["annotations"]["platform.example.com/served"]
            .clone()
    };
    let (secret, receiver) = (one(&exchanged, "Secret"), one(&exchanged, "Receiver"));
    let asked = receiver["metadata"]["annotations"]["reconcile.fluxcd.io/requestedAt"].clone();
    let mut watch = store.watch_kind("Receiver", store.version());
    let token = json!({"data": {"token": secret["data"]["token"], "url": secret["data"]["url"]}});
    store.merge(&key("Secret", "canary-hook"), &token, Part::Whole, "crossplane").unwrap();
    let ask = json!({"metadata": {"annotations": {"reconcile.fluxcd.io/requestedAt": asked}}});
    store.merge(&key("Receiver", "canary"), &ask, Part::Whole, "crossplane").unwrap();
    let wait = async {
        loop {
            let path = served(&watch.next().await.unwrap().object);
            if path != old && !path.is_empty() {
                break path;
            }
        }
    };
    let path = tokio::time::timeout(Duration::from_secs(60), wait).await.expect("it looks");
    let url = BASE64_STANDARD.decode(secret["data"]["url"].as_str().unwrap()).unwrap();
    assert_eq!(String::from_utf8(url).unwrap(), format!("https://flux-webhook.example.com{path}"));
    // Now the webhook is written anew, and is not before; without a new token nothing changes.
    let token = BASE64_STANDARD.decode(secret["data"]["token"].as_str().unwrap()).unwrap();
    let token = String::from_utf8(token).unwrap();
    let mut resources = there(&token, &old);
    resources["webhook"] = json!({"resource": {}});
    assert_eq!(mark(&compose(&resources)), mark(&exchanged));
    resources["receiver"]["resource"]["status"]["webhookPath"] = path.into();
    let after = compose(&resources);
    assert_ne!(mark(&after), mark(&exchanged));
    assert_eq!(one(&after, "Receiver")["metadata"], receiver["metadata"]);
}

#[tokio::test]
async fn crossplane_makes_both_ends_of_one_token_and_keeps_it() {
    if !has_helm() {
        return;
    }
    let (token, path) = receiver().await;
    let webhook =
        objects(&std::fs::read_to_string(folder().join("crossplane/webhook.yaml")).unwrap());
    let composite = json!({"resource": webhook[0]});
    let first = composed(&json!({"composite": composite, "resources": {}}));
    let made = one(&first, "Secret")["data"]["token"].as_str().unwrap();
    assert_eq!(BASE64_STANDARD.decode(made).unwrap().len(), 40);
    assert!(of(&first, "RepositoryWebhook").is_empty(), "nobody is at the address yet");
    let next = composed(&json!({"composite": composite, "resources": there(&token, &path)}));
    let secret = one(&next, "Secret");
    let text = |key: &str| {
        let value = secret["data"][key].as_str().unwrap();
        String::from_utf8(BASE64_STANDARD.decode(value).unwrap()).unwrap()
    };
    assert_eq!(text("token"), token, "a token that is there stays");
    assert_eq!(text("url"), format!("https://flux-webhook.example.com{path}"));
    let name = &secret["metadata"]["name"];
    assert_eq!(one(&next, "Receiver")["spec"]["secretRef"]["name"], *name);
    let hook = &one(&next, "RepositoryWebhook")["spec"]["forProvider"]["configuration"];
    // The provider's definition has a list there, of objects with these fields.
    let secret = |key: &str| json!({"name": name, "key": key});
    let hook_of = json!({"contentType": "json", "insecureSsl": false,
        "urlSecretRef": secret("url"), "secretSecretRef": secret("token")});
    assert_eq!(*hook, json!([hook_of]));
    assert!(of(&next, "Secret").len() == 1);
    // An object of a namespace takes its credentials from the kind that the guide shows.
    let guide = std::fs::read_to_string(folder().join("crossplane/README.md")).unwrap();
    let (_, shown) = guide.split_once("```yaml\n").unwrap();
    let shown: Value = serde_saphyr::from_str(shown.split_once("```").unwrap().0).unwrap();
    let named = &one(&next, "RepositoryWebhook")["spec"]["providerConfigRef"];
    assert_eq!(*named, json!({"kind": shown["kind"], "name": shown["metadata"]["name"]}));
    assert_eq!(shown["kind"], "ClusterProviderConfig");
}

#[test]
fn whoever_has_both_ends_made_is_told_what_to_leave_out() {
    let read = |path: &str| std::fs::read_to_string(folder().join(path)).unwrap();
    let (guide, lane) = (read("flux/README.md"), read("flux/canary.yaml"));
    // The lane and the makers have one Receiver and one Secret, so somebody has to step back.
    let receiver = one(&objects(&lane), "Receiver")["metadata"].clone();
    assert_eq!(receiver["name"], "canary");
    assert!(read("terraform/variables.tf").contains("default     = \"canary\""));
    assert_eq!(objects(&read("crossplane/webhook.yaml"))[0]["metadata"], receiver);
    let (_, aside) = guide.split_once("leave out three things here").unwrap();
    for part in ["second of these commands", "Receiver at the end", "webhook of step 4"] {
        assert!(aside.replace("\n   ", " ").contains(part), "{part}");
    }
    let commands: Vec<_> =
        guide.lines().filter(|it| it.contains("create secret generic")).collect();
    assert!(commands[1].contains("canary-hook"), "the second one: {commands:?}");
    assert!(lane.trim_end().ends_with("name: canary") && lane.contains("# Leave it out where"));
    for page in ["terraform/README.md", "crossplane/README.md"] {
        assert!(read(page).contains("leaves both out"), "{page}");
    }
    let page = read("terraform/README.md");
    for part in ["terraform init", "KUBE_CONFIG_PATH=", "GITHUB_TOKEN="] {
        assert!(page.contains(part), "{part}");
    }
}
