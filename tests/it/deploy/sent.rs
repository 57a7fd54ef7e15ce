//! Where numbers go, and as whose: past a proxy, under names of their own, with rules that fit.

use crate::chart_kit::has_helm;
use crate::deploy::{chart, job_values, one, pods, rendered_as, rendered_with, texts};
use serde_json::Value;
use std::collections::BTreeSet;

const OWN: &str = "$(KUBERNETES_SERVICE_HOST),.svc,.svc.cluster.local,localhost,127.0.0.1";

/// The value of a variable of the first pod.
fn variable(objects: &[Value], name: &str) -> String {
    let all = pods(objects)[0]["containers"][0]["env"].as_array().unwrap();
    let one = all.iter().find(|it| it["name"] == name).unwrap();
    one["value"].as_str().unwrap().to_owned()
}

#[test]
fn what_is_in_the_cluster_or_sent_in_clear_goes_past_the_proxy() {
    if !has_helm() {
        return;
    }
    let proxy = "proxy: { http: \"http://proxy:3128\" }";
    let direct = |values: &str| {
        let objects = rendered_with(&format!("{values}\n{proxy}")).unwrap();
        variable(&objects, "NO_PROXY")
    };
    let asks = |server: &str| {
        let jobs = job_values(&["canary"]);
        direct(&format!("{jobs}cronjob: {{ mode: trigger, server: \"{server}\" }}"))
    };
    assert_eq!(direct(""), OWN);
    assert_eq!(asks("http://hopclock.hopclock:9780"), format!("{OWN},hopclock.hopclock"));
    assert_eq!(asks("https://hopclock:9780/at"), format!("{OWN},hopclock"));
    let pushes = |keys: &str| direct(&format!("push: {{ {keys} }}"));
    assert_eq!(
        pushes(
            "pushgateway: \"http://pushgateway.monitoring:9091\", remoteWrite: \"http://a.example.com/api\", otlp: \"https://collector.monitoring:4318\""
        ),
        format!("{OWN},pushgateway.monitoring,a.example.com,collector.monitoring")
    );
    // An address far away, whose token a proxy cannot read, is what a proxy is for.
    assert_eq!(pushes("remoteWrite: \"https://metrics.example.com/api\""), OWN);
    let more = "proxy: { https: \"http://proxy:3128\", noProxy: \".example.com,10.0.0.0/8\" }";
    let objects = rendered_with(more).unwrap();
    assert_eq!(variable(&objects, "NO_PROXY"), format!("{OWN},.example.com,10.0.0.0/8"));
}

/// The arguments of the first pod that say who sends.
fn senders(objects: &[Value]) -> Vec<String> {
    let ways = ["--pushgateway-job=", "--remote-write-label=", "--otlp-resource="];
    let all = texts(&pods(objects)[0]["containers"][0]["args"]).into_iter();
    all.filter(|it| ways.iter().any(|way| it.starts_with(way))).map(str::to_owned).collect()
}

#[test]
fn whoever_sends_says_which_installation_it_is() {
    if !has_helm() {
        return;
    }
    let push = "push: { pushgateway: \"http://a\", remoteWrite: \"http://b\", otlp: \"http://c\", labels: { cluster: west } }";
    let jobs = format!("{}{push}\n", job_values(&["canary"]));
    let sent = |release, namespace, values: &str| {
        senders(&rendered_as(release, namespace, values).unwrap())
    };
    assert_eq!(
        sent("a", "team", &format!("{jobs}instance: east\n")),
        [
            "--pushgateway-job=team.east-canary",
            "--remote-write-label=cluster=west",
            "--remote-write-label=instance=east-canary",
            "--remote-write-label=namespace=team",
            "--otlp-resource=cluster=west",
            "--otlp-resource=service.instance.id=east-canary",
            "--otlp-resource=service.namespace=team",
        ]
    );
    let all = [
        sent("a", "team", &jobs),
        sent("a", "other", &jobs),
        sent("a", "team", &format!("{jobs}instance: east\n")),
        sent("a", "team", &format!("{push}\n")),
    ];
    for way in ["--pushgateway-job=", "--remote-write-label=", "--otlp-resource="] {
        let by: BTreeSet<Vec<_>> =
            all.iter().map(|it| it.iter().filter(|it| it.starts_with(way)).collect()).collect();
        assert_eq!(by.len(), all.len(), "{way}: {by:?}");
    }
    let own = push.replace("cluster: west", "namespace: mine");
    let own = sent("a", "team", &own);
    assert!(own.contains(&"--remote-write-label=namespace=mine".to_owned()), "{own:?}");
    assert!(!own.contains(&"--remote-write-label=namespace=team".to_owned()), "{own:?}");
}

/// The groups of the chart's rules.
fn groups(values: &str) -> Vec<Value> {
    let objects = rendered_with(values).unwrap();
    one(&objects, "PrometheusRule")["spec"]["groups"].as_array().unwrap().clone()
}

fn file(name: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(chart().join("files/rules").join(name)).unwrap();
    let rules: Value = serde_saphyr::from_str(&text).unwrap();
    rules["groups"].as_array().unwrap().clone()
}

#[test]
fn rules_are_those_of_how_the_numbers_come() {
    if !has_helm() {
        return;
    }
    let (scraped, pushed) = (file("hopclock.yaml"), file("hopclock-pushed.yaml"));
    assert_ne!(scraped, pushed);
    let rules = "prometheusRule: { enabled: true }\n";
    assert_eq!(groups(rules), scraped);
    let jobs = job_values(&["canary"]);
    for (push, expected) in [
        ("remoteWrite: \"http://a\"", &pushed),
        ("otlp: \"http://a\"", &pushed),
        // A Pushgateway is scraped.
        ("pushgateway: \"http://a\"", &scraped),
    ] {
        assert_eq!(groups(&format!("{jobs}{rules}push: {{ {push} }}")), *expected, "{push}");
    }
    // A service that pushes at all times is there at all times.
    assert_eq!(groups(&format!("{rules}push: {{ otlp: \"http://a\" }}")), scraped);
}

#[test]
fn runbooks_are_where_the_values_say() {
    if !has_helm() {
        return;
    }
    let found = groups(
        "prometheusRule: { enabled: true, runbooks: \"https://git.example.com/books/\", additionalGroups: [{ name: own, rules: [{ alert: Own, expr: vector(1), annotations: { runbook_url: mine } }] }] }",
    );
    let rules = found.iter().flat_map(|it| it["rules"].as_array().unwrap());
    let mut count = 0;
    for alert in rules.filter(|it| it["alert"].is_string()) {
        let (name, url) = (alert["alert"].as_str().unwrap(), &alert["annotations"]["runbook_url"]);
        if name == "Own" {
            assert_eq!(url, "mine");
            continue;
        }
        count += 1;
        assert_eq!(*url, format!("https://git.example.com/books/{name}.md"));
    }
    assert!(count > 8, "{count}");
}
