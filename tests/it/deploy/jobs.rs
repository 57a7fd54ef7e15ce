//! A `CronJob` that only asks has all that it asks with, and none is broken by a late change.

use crate::chart_kit::has_helm;
use crate::deploy::{chart, job_values, of, one, pods, rendered, rendered_with, texts};
use serde_json::{Value, json};

/// The volumes of a pod by name, each with where it is mounted.
fn mounted(pod: &Value) -> Vec<(String, String)> {
    let text = |it: &Value| it.as_str().unwrap().to_owned();
    let mounts = pod["containers"][0]["volumeMounts"].as_array().unwrap().iter();
    let places: Vec<_> = mounts.map(|it| (text(&it["name"]), text(&it["mountPath"]))).collect();
    let volumes: Vec<_> =
        pod["volumes"].as_array().unwrap().iter().map(|it| text(&it["name"])).collect();
    assert_eq!(volumes, places.iter().map(|it| it.0.clone()).collect::<Vec<_>>());
    places
}

#[test]
fn a_job_that_asks_trusts_and_shows_what_the_values_say() {
    if !has_helm() {
        return;
    }
    let objects = rendered(&[&chart().join("ci/cronjob-trigger.yaml")]).unwrap();
    let pod = pods(&objects)[0];
    let places = mounted(pod);
    let places: Vec<_> = places.iter().map(|it| (it.0.as_str(), it.1.as_str())).collect();
    let ca = ("ca", "/etc/hopclock/ca");
    assert_eq!(places, [ca, ("token", "/etc/hopclock/token"), ("keys", "/etc/hopclock/keys")]);
    assert_eq!(pod["volumes"][1]["secret"]["secretName"], "ask");
    // Who shows another token has no use for that of the account.
    assert_eq!(pod["automountServiceAccountToken"], false);
    assert_eq!(pod["volumes"][1]["secret"]["items"], json!([{"key": "token", "path": "token"}]));
    let container = &pod["containers"][0];
    assert_eq!(
        texts(&container["args"]),
        [
            "trigger",
            "fleet-git",
            "--server=http://hopclock.hopclock.svc:9780",
            "--wait",
            "--token-file=/etc/hopclock/token/token",
            "--undelivered=ok",
        ]
    );
    assert_eq!(container["env"][1]["value"], "/etc/hopclock/ca");
    assert!(of(&objects, "Role").is_empty(), "who only asks a service needs no rights of his own");
    let job = &one(&objects, "CronJob")["spec"]["jobTemplate"]["spec"];
    assert_eq!(job["activeDeadlineSeconds"], 900);
    // Zero is a value, too: such a Job goes at once.
    assert_eq!(job["ttlSecondsAfterFinished"], 0);
    // Without any of that there is nothing to mount, and the token is that of the account.
    let bare = "cronjob: { mode: trigger, server: \"http://a.b.svc:9780\", undelivered: fail }";
    let objects = rendered_with(&format!("{}{bare}", job_values(&["canary"]))).unwrap();
    let pod = pods(&objects)[0];
    assert_eq!(pod["automountServiceAccountToken"], true);
    assert!(pod["volumes"].is_null() && pod["containers"][0]["volumeMounts"].is_null());
    let arguments = texts(&pod["containers"][0]["args"]);
    assert!(arguments.contains(&"--undelivered=fail"), "{arguments:?}");
    assert!(!arguments.iter().any(|it| it.starts_with("--token-file")), "{arguments:?}");
    let job = &one(&objects, "CronJob")["spec"]["jobTemplate"]["spec"];
    assert!(job["activeDeadlineSeconds"].is_null() && job["ttlSecondsAfterFinished"].is_null());
}

#[test]
fn a_job_that_runs_has_the_same_mounts_as_a_service() {
    if !has_helm() {
        return;
    }
    let more = "caBundle: { secret: ca }\nextraVolumes: [{ name: keys, secret: { secretName: keys } }]\n\
                extraVolumeMounts: [{ name: keys, mountPath: /keys }]\n";
    let objects = rendered_with(&format!("{}{more}", job_values(&["canary"]))).unwrap();
    let names: Vec<_> = mounted(pods(&objects)[0]).into_iter().map(|it| it.0).collect();
    assert_eq!(names, ["cache", "scenarios", "ca", "keys"]);
    let service = rendered_with(more).unwrap();
    assert_eq!(mounted(pods(&service)[0]), mounted(pods(&objects)[0]));
}

#[test]
fn schedules_are_those_that_kubernetes_takes() {
    if !has_helm() {
        return;
    }
    let schedule = |cron: &str| {
        let values = job_values(&["canary"]);
        rendered_with(&format!("{values}cronjob: {{ schedules: {{ canary: \"{cron}\" }} }}"))
    };
    for cron in
        ["*/7 * * * *", "0 08,20 1-15/2 jan-MAR mon-FRI", "59 23 31 12 6", "? 0 ? * SUN", "@hourly"]
    {
        let objects = schedule(cron).unwrap();
        assert_eq!(one(&objects, "CronJob")["spec"]["schedule"], cron);
    }
    for (cron, wrong) in [
        ("61 * * * *", "(`61`)"),
        ("H * * * *", "(`H`)"),
        ("0 * * * * *", "(6 fields)"),
        ("* * * * 7", "(`7`)"),
        ("0 22-6 * * *", "(`22-6`)"),
        ("* * 0 13 *", "(`0`, `13`)"),
        ("*/0 * * * *", "(`*/0`)"),
        ("* * * FOO *", "(`FOO`)"),
        ("@every 5m", "(`@every 5m`)"),
    ] {
        let refused = schedule(cron).expect_err(cron);
        assert!(
            refused.contains(&format!("`{cron}` is no schedule of a CronJob {wrong}")),
            "{refused}"
        );
    }
}
