//! What source-controller does of a bucket that no recording shows: rules, prefixes, failures.

use aws_lc_rs::digest;
use hopclock_sandbox::bucket::{BucketHost, Fault, FaultRule, Route};
use hopclock_sandbox::flux::Speeds;
use serde_json::{Value, json};

use crate::lab::{Lab, bucket_host, bucket_objects, hex, map};

async fn lab(host: &BucketHost, spec: &Value) -> Lab {
    let mut objects = bucket_objects(host);
    for (field, value) in spec.as_object().unwrap() {
        objects[1]["spec"][field] = value.clone();
    }
    Lab::start(Speeds::default(), objects, &[("README.md", "nothing")]).await
}

/// The revision of these keys and tags.
fn revision(lines: &[(String, String)]) -> String {
    let lines: Vec<_> = lines.iter().map(|(key, etag)| format!("{key} {etag}\n")).collect();
    let text = lines.concat();
    format!("sha256:{}", hex(digest::digest(&digest::SHA256, text.as_bytes()).as_ref()))
}

#[tokio::test(start_paused = true)]
async fn the_revision_is_the_digest_of_keys_and_tags() {
    let host = bucket_host().await;
    host.put("fleet", "b/d e.yaml", &map("other", "0"));
    let lab = lab(&host, &json!({})).await;
    lab.until_ready("Bucket", "fleet").await;
    let artifact = lab.get("Bucket", "fleet")["status"]["artifact"].clone();
    assert_eq!(artifact["revision"], revision(&host.list("fleet")));
    let files = lab.flux.artifacts().get(&artifact).unwrap();
    assert_eq!(files.keys().collect::<Vec<_>>(), ["b/d e.yaml", "cm.yaml"]);
}

#[tokio::test(start_paused = true)]
async fn what_rules_and_prefix_leave_out_changes_no_revision() {
    let host = bucket_host().await;
    for key in ["apps/a.yaml", "apps/notes.md", "apps/logo.png", "apps/", ".sourceignore"] {
        host.put("fleet", key, if key == ".sourceignore" { "*.md" } else { "x" });
    }
    let lab = lab(&host, &json!({"prefix": "apps/", "ignore": "!x"})).await;
    lab.until_ready("Bucket", "fleet").await;
    let artifact = lab.get("Bucket", "fleet")["status"]["artifact"].clone();
    let files = lab.flux.artifacts().get(&artifact).unwrap();
    assert_eq!(files.keys().collect::<Vec<_>>(), ["apps/a.yaml", "apps/logo.png"]);
    for key in ["cm.yaml", "apps/notes.md"] {
        host.put("fleet", key, "y");
    }
    let listed = host.count(Route::List);
    lab.request("Bucket", "fleet", "now");
    lab.until("Bucket", "fleet", |it| it["status"]["lastHandledReconcileAt"] == "now").await;
    assert!(host.count(Route::List) > listed);
    assert_eq!(lab.get("Bucket", "fleet")["status"]["artifact"], artifact);
}

#[tokio::test(start_paused = true)]
async fn a_bucket_that_refuses_says_so_and_heals() {
    let host = bucket_host().await;
    host.add_fault(FaultRule::always(Route::Bucket, Fault::Refuse(403, "AccessDenied", None)));
    let lab = lab(&host, &json!({})).await;
    let failing =
        |it: &Value| crate::lab::condition_of(it, "FetchFailed") == "True/BucketOperationFailed";
    lab.until("Bucket", "fleet", failing).await;
    let object = lab.get("Bucket", "fleet");
    let ready = object["status"]["conditions"].as_array().unwrap();
    let ready = ready.iter().find(|it| it["type"] == "Ready").unwrap();
    let message = "failed to confirm existence of 'fleet' bucket: Access Denied.";
    assert_eq!(ready["message"], message);
    host.clear_faults();
    lab.until_ready("Bucket", "fleet").await;
    assert_eq!(lab.condition("Bucket", "fleet", "FetchFailed"), "");
}

#[tokio::test(start_paused = true)]
async fn keys_that_are_not_there_are_no_keys() {
    let host = bucket_host().await;
    let lab = lab(&host, &json!({"secretRef": {"name": "nobody"}})).await;
    let failing =
        |it: &Value| crate::lab::condition_of(it, "Ready") == "False/AuthenticationFailed";
    lab.until("Bucket", "fleet", failing).await;
    assert_eq!(host.requests().len(), 0);
}
