//! Objects of other projects have the fields of those projects, as far as the chart writes them.
//!
//! No crate has their types, so the fields are listed here, as the definitions of Prometheus
//! Operator (`monitoring.coreos.com/v1`) and of Flux (`notification.toolkit.fluxcd.io/v1beta3`)
//! have them.

use serde_json::Value;

/// The fields of a kind: places with dots, `[]` for the members of a list, `*` for keys of
/// somebody's own.
fn fields(kind: &str) -> Option<(&'static str, &'static [&'static str], &'static [&'static str])> {
    const PROMETHEUS: &str = "monitoring.coreos.com/v1";
    const FLUX: &str = "notification.toolkit.fluxcd.io/v1beta3";
    Some(match kind {
        "ServiceMonitor" => (PROMETHEUS, MONITORED_SERVICE, &["endpoints", "selector"]),
        "PodMonitor" => (PROMETHEUS, MONITORED_POD, &["podMetricsEndpoints", "selector"]),
        "PrometheusRule" => (PROMETHEUS, RULES, &["groups"]),
        "Provider" => (FLUX, &["type", "address", "secretRef.name"], &["type"]),
        "Alert" => (FLUX, ALERT, &["providerRef", "eventSources"]),
        _ => return None,
    })
}

const MONITORED_SERVICE: &[&str] = &[
    "selector.matchLabels.*",
    "scrapeClassicHistograms",
    "scrapeNativeHistograms",
    "scrapeProtocols[]",
    "endpoints[].port",
    "endpoints[].path",
    "endpoints[].interval",
    "endpoints[].scrapeTimeout",
    "endpoints[].relabelings[].targetLabel",
    "endpoints[].relabelings[].replacement",
    "endpoints[].metricRelabelings[].action",
    "endpoints[].metricRelabelings[].regex",
];

const MONITORED_POD: &[&str] = &[
    "selector.matchLabels.*",
    "scrapeClassicHistograms",
    "scrapeNativeHistograms",
    "scrapeProtocols[]",
    "podMetricsEndpoints[].port",
    "podMetricsEndpoints[].path",
    "podMetricsEndpoints[].interval",
    "podMetricsEndpoints[].scrapeTimeout",
    "podMetricsEndpoints[].metricRelabelings[].action",
    "podMetricsEndpoints[].metricRelabelings[].regex",
];

const RULES: &[&str] = &[
    "groups[].name",
    "groups[].interval",
    "groups[].rules[].record",
    "groups[].rules[].alert",
    "groups[].rules[].expr",
    "groups[].rules[].for",
    "groups[].rules[].keep_firing_for",
    "groups[].rules[].labels.*",
    "groups[].rules[].annotations.*",
];

const ALERT: &[&str] = &[
    "providerRef.name",
    "eventSeverity",
    "eventSources[].kind",
    "eventSources[].name",
    "eventSources[].namespace",
];

/// Says that an object is one of those, with no field that its definition does not have, and all
/// that it has to have.
pub(super) fn is_known(object: &Value) {
    let kind = object["kind"].as_str().unwrap();
    let (version, fields, required) =
        fields(kind).unwrap_or_else(|| panic!("nobody has looked at {kind}"));
    assert_eq!(object["apiVersion"], version, "{kind}");
    let top: Vec<_> = object.as_object().unwrap().keys().collect();
    assert!(
        top.iter().all(|it| ["apiVersion", "kind", "metadata", "spec"].contains(&it.as_str())),
        "{kind}: {top:?}"
    );
    for field in required {
        assert!(!object["spec"][*field].is_null(), "{kind} has no `{field}`");
    }
    let strange = strange(&object["spec"], fields, "");
    assert!(strange.is_empty(), "{kind} has no {strange:?}");
}

/// The places of a value that are none of these.
fn strange(value: &Value, fields: &[&str], place: &str) -> Vec<String> {
    match value {
        Value::Object(map) => {
            let at = |key: &str| match place {
                "" => key.to_owned(),
                place => format!("{place}.{key}"),
            };
            let own = fields.contains(&at("*").as_str());
            let below = map.iter().filter(|_| !own);
            below.flat_map(|(key, value)| strange(value, fields, &at(key))).collect()
        }
        Value::Array(list) => {
            list.iter().flat_map(|it| strange(it, fields, &format!("{place}[]"))).collect()
        }
        _ if fields.contains(&place) => Vec::new(),
        _ => vec![place.to_owned()],
    }
}

#[test]
fn a_field_that_nobody_knows_is_found() {
    let mut object: Value = serde_json::json!({
        "apiVersion": "monitoring.coreos.com/v1", "kind": "ServiceMonitor", "metadata": {},
        "spec": {"selector": {"matchLabels": {"a": "b"}}, "endpoints": [{"port": "http"}]},
    });
    is_known(&object);
    object["spec"]["endpoints"][0]["timeout"] = "1s".into();
    assert_eq!(strange(&object["spec"], MONITORED_SERVICE, ""), ["endpoints[].timeout"]);
}
