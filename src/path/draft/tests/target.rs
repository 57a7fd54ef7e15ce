//! Drafts for a target, whose trigger is written already.

use super::*;

#[test]
fn a_target_reuses_no_config_map_but_a_canary() {
    let of = |object: &Value| {
        let ids = inventory(&["web_a-canary__ConfigMap", "web_web_apps_Deployment"]);
        let apps = with(applier("apps", "fleet", "apps"), "/status", ids);
        let graph = graph([git("fleet"), apps, (GroupKind::new("", "ConfigMap"), object.clone())]);
        let wish = Wish { live: None, reuse: true };
        let draft =
            Drafter::new(&graph, "hopclock").draft(&subject("Kustomization", "apps"), &wish);
        hops(&draft.unwrap()).pop().unwrap()
    };
    let metadata = json!({"namespace": "web", "name": "a-canary"});
    let with_data = |text: &str| json!({"metadata": metadata, "data": {"canary": text}});
    let (new, reused) = ("live: ConfigMap web/hopclock-apps", "live: ConfigMap web/a-canary");
    assert_eq!(of(&with_data("on")), new);
    assert_eq!(of(&with_data("team-b-1a1fbe67da8")), new);
    assert_eq!(of(&with_data("hopclock-1a1fbe67da8")), reused);
    let mut marked = with_data("on");
    marked["metadata"]["annotations"] = json!({"hopclock.dev/canary": "x"});
    assert_eq!(of(&marked), reused);
}

#[test]
fn a_template_becomes_live_as_its_kustomization_makes_it() {
    let of = |spec: &str, value: Value, written: &Subject| {
        let apps = with(applier("apps", "fleet", "apps"), &format!("/spec/{spec}"), value);
        let graph = graph([git("fleet"), apps]);
        let wish = Wish { live: Some(written.clone()), reuse: true };
        Drafter::new(&graph, "hopclock")
            .draft(&subject("Kustomization", "apps"), &wish)
            .map(|it| hops(&it).pop().unwrap())
            .map_err(|it| it.to_string())
    };
    let map = |namespace| Subject::local(GroupKind::new("", "ConfigMap"), namespace, "canary");
    let kube = json!({"secretRef": {"name": "east"}});
    for (spec, value, written, expected) in [
        ("prune", json!(true), map("web"), "live: ConfigMap web/canary"),
        ("targetNamespace", json!("shop"), map("web"), "live: ConfigMap shop/canary"),
        ("targetNamespace", json!("shop"), map(""), "live: ConfigMap shop/canary"),
        ("namePrefix", json!("eu-"), map("web"), "live: ConfigMap web/eu-canary"),
        ("kubeConfig", kube, map("web"), "live: ConfigMap web/canary of cluster east"),
    ] {
        assert_eq!(of(spec, value, &written).as_deref(), Ok(expected), "{spec}");
    }
    let error = of("prune", json!(true), &map("")).unwrap_err();
    assert!(error.contains("names no namespace"), "{error}");
}
