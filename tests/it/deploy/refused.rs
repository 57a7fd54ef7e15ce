//! Values that contradict each other are refused with a sentence.

use crate::chart_kit::has_helm;
use crate::cli::kit::Page;
use crate::deploy::{HOPS, job_values, rendered_with};
use insta::assert_snapshot;

/// A scenario with a hop.
fn scenario(hop: &str, schedule: &str) -> String {
    format!(
        "scenarios: {{ canary: {{ schedule: {schedule}, deadline: 5m, trigger: {{ git_commit: {{ source: a/b, path: c }} }}, hops: [{hop}] }} }}"
    )
}

#[test]
fn values_that_contradict_each_other_are_refused_with_a_sentence() {
    if !has_helm() {
        return;
    }
    let live = "live: { config_map: a/b }";
    let (hop, notified) = (format!("{{ {live} }}"), "{ notified: { kustomization: a/b } }");
    let every = |it: &str| scenario(&hop, &format!("{{ every: {it} }}"));
    let jobs = "profile: cronjob\n";
    let mut page = Page::default();
    for (title, values) in [
        ("two replicas", "replicas: 2".to_owned()),
        ("two keepers of scenarios", format!("existingConfigMap: mine\n{}", every("5m"))),
        ("unseen scenarios", "existingConfigMap: mine".to_owned()),
        ("a file without a volume", "state: file".to_owned()),
        ("a volume without a file", "persistence: { enabled: true }".to_owned()),
        ("a claim without a volume", "persistence: { existingClaim: mine }".to_owned()),
        ("two monitors", "{ serviceMonitor: { enabled: true }, podMonitor: { enabled: true } }".to_owned()),
        ("two bundles", "caBundle: { configMap: a, secret: b }".to_owned()),
        ("no token to ask with", "requests: { by: token }".to_owned()),
        ("a token that nobody looks at", "requests: { tokenSecret: { name: a } }".to_owned()),
        ("accounts that nobody asks for", "requests: { accounts: [{ namespace: a, name: b }] }".to_owned()),
        ("nobody scrapes", "networkPolicy: { enabled: true }".to_owned()),
        ("requests that nobody answers", "networkPolicy: { enabled: true, scrapeFrom: [{ podSelector: {} }], requestsFrom: [{ podSelector: {} }] }".to_owned()),
        ("no listener", "notifications: { enabled: true }".to_owned()),
        ("no token to notify with", "notifications: { enabled: true, listeners: { flux: {} } }".to_owned()),
        ("a token and none", "notifications: { enabled: true, listeners: { flux: { secret: a/b, unsigned: true } } }".to_owned()),
        ("alerts for nobody", "notifications: { alerts: true }".to_owned()),
        ("a hop that nobody hears", scenario(notified, "{ every: 5m }")),
        ("another listener", format!("{}\nnotifications: {{ enabled: true, listeners: {{ other: {{ secret: a/b }} }} }}", scenario(notified, "{ every: 5m }"))),
        ("a token elsewhere", format!("{}\nnotifications: {{ enabled: true, alerts: true, listeners: {{ flux: {{ secret: elsewhere/b }} }} }}", scenario(notified, "{ every: 5m }"))),
        ("another cluster", scenario(&format!("{{ {live}, cluster: east }}"), "{ every: 5m }")),
        ("another name", "scenarios: { canary: { name: other, trigger: {} } }".to_owned()),
        ("no name for objects", "scenarios: { Fleet_Git: { trigger: {} } }".to_owned()),
        ("no YAML", "scenarios: { canary: \"name: [\" }".to_owned()),
        ("jobs of a service", format!("{}\ncronjob: {{ server: \"http://a\" }}", every("5m"))),
        ("a service's monitor for jobs", format!("{jobs}serviceMonitor: {{ enabled: true }}")),
        ("a listener for jobs", format!("{jobs}notifications: {{ enabled: true, listeners: {{ flux: {{ secret: a/b }} }} }}")),
        ("requests to jobs", format!("{jobs}requests: {{ by: review }}")),
        ("unseen jobs", format!("{jobs}existingConfigMap: mine\nrbac: {{ create: false }}")),
        ("jobs that ask nobody", format!("{jobs}cronjob: {{ mode: trigger }}")),
        ("jobs that ask and push", format!("{jobs}cronjob: {{ mode: trigger, server: \"http://a\" }}\npush: {{ otlp: \"http://b\" }}")),
        ("jobs that do not ask", format!("{jobs}cronjob: {{ server: \"http://a\" }}")),
        ("lines that nobody writes", format!("{jobs}tell: {{ jsonLines: true }}")),
        ("totals that begin again", format!("{jobs}state: none\npush: {{ pushgateway: \"http://b\" }}")),
        ("a schedule for nobody", format!("{jobs}{}\ncronjob: {{ schedules: {{ other: \"* * * * *\" }} }}", every("5m"))),
        ("a hop that no job hears", format!("{jobs}{}", scenario(notified, "{ every: 5m }"))),
        ("no schedule", format!("{jobs}{}", scenario(&hop, "null"))),
        ("a period that is no part of an hour", format!("{jobs}{}", every("7m"))),
        ("more than a CronJob can say", format!("{jobs}{}", scenario(&hop, "{ cron: \"0 9 L * *\" }"))),
        ("everybody notifies", "networkPolicy: { enabled: true, scrapeFrom: [{ podSelector: {} }], notifyFrom: [] }\nnotifications: { enabled: true, listeners: { flux: { unsigned: true } } }".to_owned()),
        ("one port twice", "service: { notifyPort: 9780 }\nnotifications: { enabled: true, listeners: { flux: { unsigned: true } } }".to_owned()),
        ("unseen alerts", "existingConfigMap: mine\nrbac: { create: false }\nnotifications: { enabled: true, alerts: true, listeners: { flux: { unsigned: true } } }".to_owned()),
        ("accounts for nothing", "requests: { by: review, accounts: [{ namespace: a, name: b }] }".to_owned()),
        ("no rules", "prometheusRule: { enabled: true, builtin: false }".to_owned()),
        ("runbooks of no rules", "prometheusRule: { builtin: false, runbooks: \"https://a\" }".to_owned()),
        ("nobody's account", "serviceAccount: { create: false }".to_owned()),
        ("rights without a role", "rbac: { create: false, secrets: [a/b] }".to_owned()),
        ("a label of the chart's", "commonLabels: { app.kubernetes.io/name: mine }".to_owned()),
        ("a pod that nobody finds", "podLabels: { app.kubernetes.io/instance: mine }".to_owned()),
        ("labels for nobody", "push: { pushgateway: \"http://a\", labels: { a: b } }".to_owned()),
        ("no such trigger", "scenarios: { canary: { trigger: { git_comit: { source: a/b } } } }".to_owned()),
        ("no trigger", "scenarios: { canary: \"name: canary\" }".to_owned()),
        ("a token for nobody", format!("{jobs}cronjob: {{ tokenSecret: {{ name: a }} }}")),
        ("rules without numbers", format!("{jobs}prometheusRule: {{ enabled: true }}")),
        ("rules of another", format!("{jobs}prometheusRule: {{ enabled: true }}\ncronjob: {{ mode: trigger, server: \"http://a\" }}")),
        ("no minute", format!("{jobs}{}\ncronjob: {{ schedules: {{ canary: \"61 * * * *\" }} }}", every("5m"))),
        ("jobs of nothing", jobs.to_owned()),
        ("a mode of jobs", "cronjob: { mode: trigger }".to_owned()),
        ("a token of jobs", "cronjob: { tokenSecret: { name: a } }".to_owned()),
        ("a service that sleeps", "cronjob: { suspend: true }".to_owned()),
        ("a service that fails", "cronjob: { undelivered: fail }".to_owned()),
        ("listeners that do not listen", "notifications: { listeners: { flux: { secret: a/b } } }".to_owned()),
        ("nobody may ask", "networkPolicy: { enabled: true, scrapeFrom: [{ podSelector: {} }] }\nrequests: { by: review }".to_owned()),
        ("a job that is too short", format!("{jobs}{}\ncronjob: {{ activeDeadlineSeconds: 300 }}", every("5m"))),
        ("a scrape that is too long", "serviceMonitor: { enabled: true, interval: 30s, scrapeTimeout: 1m }".to_owned()),
        ("one volume for all", format!("{}state: file\npersistence: {{ enabled: true }}", job_values(&["a", "b"]))),
        ("state in the echo", "stateName: hopclock-echo".to_owned()),
        ("state in the scenarios", "existingConfigMap: hopclock-state\nrbac: { create: false }".to_owned()),
        ("state in a dashboard", "stateName: hopclock-dashboard-fleet\ndashboards: { enabled: true }".to_owned()),
        ("state in the echo, by its scenario", format!("{}stateName: hopclock", job_values(&["echo"]))),
        ("no proxy", "proxy: { noProxy: .example.com }".to_owned()),
        ("a label of a monitor's", "serviceMonitor: { enabled: true, labels: { app.kubernetes.io/name: a } }".to_owned()),
        ("a name of no Service", "fullnameOverride: 1st".to_owned()),
        ("a text with another schedule", format!("{jobs}scenarios: {{ canary: \"{{ schedule: {{ every: 5m }}, deadline: 5m, {HOPS} }}\" }}\ncronjob: {{ schedules: {{ canary: \"0 * * * *\" }} }}")),
        ("runs that are rare", format!("{jobs}{}\npush: {{ otlp: \"http://a\" }}\nprometheusRule: {{ enabled: true }}", scenario(&hop, "{ cron: \"0 9 * * 1\" }"))),
        ("a typo", "image: { tga: 1 }".to_owned()),
    ] {
        let refused = rendered_with(&values).expect_err(title);
        let lines = refused.lines().filter(|it| !it.is_empty() && !it.starts_with("Use --debug"));
        let refused = lines.collect::<Vec<_>>().join("\n");
        let sentence = refused.split_once(".yaml:").and_then(|it| it.1.split_once("): "));
        let sentence = sentence.map_or(&*refused, |it| it.1);
        page.add(title, sentence);
    }
    assert_snapshot!("refused_values", page.text());
}
