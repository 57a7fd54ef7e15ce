//! What a service account has to be allowed, as hopclock itself says it.

use crate::cli::kit::{HOPS, SOURCE, Stage, check, told};
use insta::assert_snapshot;
use serde_json::{Value, json};
use std::collections::BTreeSet;

const USER: &str = "system:serviceaccount:hopclock:hopclock";

/// Allows a rule that hopclock asked for, in a Role of that namespace.
fn grant(stage: &Stage, number: usize, namespace: &str, rule: &Value) {
    let name = format!("granted-{number}");
    let metadata = json!({"name": name, "namespace": namespace});
    stage.create(json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
        "metadata": metadata, "rules": [rule]}));
    stage.create(json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
        "metadata": metadata,
        "subjects": [{"kind": "ServiceAccount", "name": "hopclock", "namespace": "hopclock"}],
        "roleRef": {"kind": "Role", "name": name, "apiGroup": "rbac.authorization.k8s.io"}}));
}

/// The rule and the namespace that a sentence asks for.
fn asked(sentence: &str) -> (Value, String) {
    let (_, rule) = sentence.split_once("grant `").unwrap_or_else(|| panic!("{sentence}"));
    let (rule, _) = rule.split_once('`').unwrap();
    let (_, namespace) = sentence.split_once("in namespace `").unwrap();
    let (namespace, _) = namespace.split_once('`').unwrap();
    (serde_saphyr::from_str(&format!("{{{rule}}}")).unwrap(), namespace.to_owned())
}

#[tokio::test]
async fn who_grants_what_each_refusal_names_gets_a_run() {
    let stage = Stage::new().await;
    let file = stage.scenario(SOURCE, HOPS);
    stage.file("kubeconfig", &stage.sandbox.api().kubeconfig(Some((USER, &[]))));
    // Sorted, for watches are opened all at once and refused in any order.
    let mut asked_for = BTreeSet::new();
    loop {
        let pushes = stage.sandbox.git().ref_updates().len();
        let run = told(stage.call(&["run", file, "--kubeconfig", "kubeconfig"])).await;
        if run.code == Some(0) {
            // Who may not list everybody's objects is told what that leaves open (rule S1).
            assert!(run.err.contains("is known only in part"), "{}", run.err);
            break;
        }
        assert_eq!(run.code, Some(3), "{run:?}");
        assert_eq!(stage.sandbox.git().ref_updates().len(), pushes, "pushed without a right");
        let sentence = run.sentence("a missing right");
        let (rule, namespace) = asked(sentence);
        let news = asked_for.insert(format!("{namespace}: {rule}"));
        assert!(news, "asked for again although granted: {sentence}");
        grant(&stage, asked_for.len(), &namespace, &rule);
    }
    let rights: Vec<_> = asked_for.into_iter().collect();
    check(|| assert_snapshot!("rights", rights.join("\n")));
}
