//! The bucket's part of the recorded story of artifacts, played in the sandbox.
//!
//! The server is the real one over real sockets, in virtual time. One call of a generic receiver
//! wakes every kind of source; of these only the bucket plays here.

use hopclock_sandbox::bucket::BucketHost;
use hopclock_sandbox::flux::Speeds;
use serde_json::json;

use crate::lab::Lab;
use crate::lab::TOKEN;
use crate::lab::applier;
use crate::lab::bucket_host;
use crate::lab::bucket_objects;
use crate::lab::map;
use crate::lab::object;
use crate::stories::compare_only;

/// A lab with a bucket, what applies it and a receiver that wakes it.
async fn lab(host: &BucketHost) -> Lab {
    let metadata = json!({"namespace": "flux-system", "name": "webhook-token"});
    let mut objects = bucket_objects(host);
    objects.push(json!({"kind": "Secret", "metadata": metadata, "stringData": {"token": TOKEN}}));
    let resources = json!([{"kind": "Bucket", "name": "fleet"}]);
    objects.push(object(
        "Receiver",
        "artifacts",
        &json!({"type": "generic", "interval": "10m", "resources": resources,
            "secretRef": {"name": "webhook-token"}}),
    ));
    let source = json!({"path": "./", "sourceRef": {"kind": "Bucket", "name": "fleet"}});
    objects.push(applier("from-bucket", source));
    let speeds = Speeds { jitter_seed: Some(7), ..Speeds::default() };
    let lab = Lab::start(speeds, objects, &[("README.md", "nothing")]).await;
    lab.until_ready("Kustomization", "from-bucket").await;
    lab
}

#[tokio::test(start_paused = true)]
async fn artifacts() {
    let host = bucket_host().await;
    let mut lab = lab(&host).await;
    lab.at(100.0).await;
    lab.begin();
    let mut marks = vec![(lab.store.version(), "before the first push".to_owned())];
    let pushes = [
        (1.674, "oci_artifact"),
        (10.117, "bucket_object"),
        (18.240, "helm_chart_http"),
        (26.303, "helm_chart_oci"),
        (34.404, "oci_artifact"),
        (42.454, "bucket_object"),
        (50.545, "helm_chart_http"),
        (58.600, "helm_chart_oci"),
    ];
    for (at, label) in pushes {
        lab.at(at).await;
        if label == "bucket_object" {
            host.put("fleet", "cm.yaml", &map("bucket-canary", &at.to_string()));
        }
        marks.push((lab.store.version(), label.to_owned()));
        assert_eq!(lab.signed_webhook("artifacts").await, 200);
    }
    lab.at(64.0).await;
    let canary =
        lab.store.get(&hopclock_sandbox::store::Key::new("ConfigMap", "default", "bucket-canary"));
    assert_eq!(canary.unwrap()["data"]["run"], "42.454");
    compare_only(&lab, &marks, "artifacts", &["Bucket/fleet", "Kustomization/from-bucket"]);
}
