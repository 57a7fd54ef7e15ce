//! A `CronJob`, the file that its pods read, and the rules go by one schedule.

use crate::chart_kit::has_helm;
use crate::cli::kit::program;
use crate::deploy::{HOPS, block, job_values, of, one, rendered_with};
use crate::prometheus_kit::found;
use serde_json::{Value, json};
use std::process::Command;

/// Values with `schedules` for the scenario `canary`, whose own schedule is this.
fn moved(own: &str, schedule: &str, zone: &str) -> String {
    format!(
        "profile: cronjob\nscenarios: {{ canary: {{ schedule: {own}, deadline: 5m, {HOPS} }} }}\n\
         cronjob: {{ schedules: {{ canary: \"{schedule}\" }}, timeZone: \"{zone}\" }}\n"
    )
}

/// The text of the scenario in what the chart makes, once the program has nothing against it.
fn text(objects: &[Value]) -> String {
    let text = one(objects, "ConfigMap")["data"]["canary.yaml"].as_str().unwrap();
    let file = tempfile::NamedTempFile::with_suffix(".yaml").unwrap();
    std::fs::write(file.path(), text).unwrap();
    let checked = Command::new(program()).arg("check").arg(file.path()).output().unwrap();
    assert!(checked.status.success(), "{text}: {}", String::from_utf8_lossy(&checked.stderr));
    text.to_owned()
}

#[test]
fn a_file_says_the_schedule_that_its_cron_job_has() {
    if !has_helm() {
        return;
    }
    let own = "{ every: 15m, jitter: 2m, pause: [{ cron: 0 18 * * 5, for: 62h }] }";
    for (given, written, zone) in [
        ("0 */4 * * *", "0 */4 * * *", ""),
        ("0 08,20 1-15/2 jan-MAR mon-FRI", "0 08,20 1-15/2 jan-MAR mon-FRI", "Europe/Berlin"),
        ("0 ? ? * SUN", "0 * * * SUN", ""),
        ("@hourly", "0 * * * *", ""),
        ("@weekly", "0 0 * * 0", "Europe/Berlin"),
    ] {
        let objects = rendered_with(&moved(own, given, zone)).unwrap();
        let zone = if zone.is_empty() { "Etc/UTC" } else { zone };
        let job = &one(&objects, "CronJob")["spec"];
        assert_eq!((&job["schedule"], &job["timeZone"]), (&json!(given), &json!(zone)));
        let file: Value = serde_saphyr::from_str(&text(&objects)).unwrap();
        let pause = json!([{"cron": "0 18 * * 5", "for": "62h"}]);
        let schedule = json!({"cron": written, "timezone": zone, "jitter": "2m", "pause": pause});
        assert_eq!(file["schedule"], schedule, "{given}");
        assert_eq!((&file["name"], &file["deadline"]), (&json!("canary"), &json!("5m")));
    }
    // Who only asks a service has no file, and a schedule that is its own stays.
    let same = rendered_with(&job_values(&["canary"])).unwrap();
    let file: Value = serde_saphyr::from_str(&text(&same)).unwrap();
    assert_eq!(file["schedule"], json!({"every": "5m"}));
}

#[test]
fn a_text_is_not_rewritten_so_its_schedule_is_the_only_one() {
    if !has_helm() {
        return;
    }
    let values = |own: &str| {
        let text = format!(
            "# mine\nname: canary\nschedule: {own}\ndeadline: 5m\n{}",
            HOPS.replace("c } }, hops", "c } }\nhops")
        );
        let jobs = "cronjob: { schedules: { canary: \"0 */4 * * *\" } }";
        format!("profile: cronjob\nscenarios:\n  canary: |\n{}{jobs}", block(&text))
    };
    let refused = rendered_with(&values("{ every: 15m }")).unwrap_err();
    assert!(
        refused.contains("scenario `canary` is given as text that has a schedule"),
        "{refused}"
    );
    let (_, told) = refused.split_once("write `schedule: ").unwrap();
    let (told, _) = told.split_once("` there").unwrap();
    let objects = rendered_with(&values(told)).unwrap();
    assert!(text(&objects).starts_with("# mine\n"));
    // A text without a schedule is given one.
    let bare =
        values("null").replace("      schedule: null\n", "").replace("schedule: null\n    ", "");
    assert!(!bare.contains("schedule: null"), "{bare}");
    let written = text(&rendered_with(&bare).unwrap());
    assert!(written.starts_with("# mine\n"), "{written}");
    let written: Value = serde_saphyr::from_str(&written).unwrap();
    assert_eq!(written["schedule"], json!({"cron": "0 */4 * * *", "timezone": "Etc/UTC"}));
    // A service has a text of its own, so nothing is told wrongly there.
    let asks = values("{ every: 15m }")
        .replace("schedules:", "mode: trigger, server: \"http://a.b.svc\", schedules:");
    assert_eq!(of(&rendered_with(&asks).unwrap(), "CronJob").len(), 1);
}

/// Values of jobs that push to a Prometheus with rules.
fn pushing(schedule: &str, more: &str) -> String {
    format!(
        "profile: cronjob\nscenarios: {{ canary: {{ schedule: {schedule}, deadline: 5m, {HOPS} }} }}\n\
         push: {{ remoteWrite: \"http://a/api/v1/write\" }}\nprometheusRule: {{ enabled: true{more} }}\n"
    )
}

#[test]
fn rules_that_would_call_a_rare_run_gone_are_refused() {
    if !has_helm() {
        return;
    }
    let cron = |it: &str| format!("{{ cron: \"{it}\" }}");
    let pause = |it: &str| format!("{{ every: 15m, pause: [{it}] }}");
    for fits in [
        cron("0 9 * * *"),
        cron("0 9 * * 1-5"),
        cron("0 9 * * MON,WED,FRI"),
        cron("0 9 */2 * *"),
        cron("0 9 1 * */2"),
        pause("{ cron: 0 18 * * 5, for: 62h }"),
        pause("{ from: 2026-12-20T00:00:00+01:00, until: 2027-01-04T00:00:00+01:00 }"),
    ] {
        assert!(rendered_with(&pushing(&fits, "")).is_ok(), "{fits}");
    }
    for (rare, days) in [
        (cron("0 9 * * 1"), "7.0"),
        (cron("0 9 8-14 * *"), "25.0"),
        (cron("0 9 1 * *"), "31.0"),
        (cron("0 9 * 1-6 *"), "185.0"),
        (pause("{ cron: 0 18 * * 5, for: 144h }"), "7.0"),
    ] {
        let refused = rendered_with(&pushing(&rare, "")).expect_err(&rare);
        assert!(refused.contains(&format!("may have no run for {days} days")), "{refused}");
        // The way out that is named: the groups that the program writes for the scenario.
        let own = rendered_with(&pushing(
            &rare,
            ", builtin: false, additionalGroups: [{ name: a, rules: [{ alert: A, expr: vector(1) }] }]",
        ));
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("canary.yaml"), text(&own.unwrap())).unwrap();
        let rules = Command::new(program()).args(["rules", "--pushed"]).arg(folder.path()).output();
        let rules = String::from_utf8(rules.unwrap().stdout).unwrap();
        let read: Value = serde_saphyr::from_str(&rules).unwrap();
        let more = format!(", builtin: false, additionalGroups: {}", read["groups"]);
        let made = rendered_with(&pushing(&rare, &more)).unwrap();
        assert_eq!(one(&made, "PrometheusRule")["spec"]["groups"], read["groups"]);
        let (_, window) = rules.split_once("absent_over_time(hopclock_build_info[").unwrap();
        let window: f64 = window.split_once("d]").unwrap().0.parse().unwrap();
        assert!(window > days.parse().unwrap(), "{rare}: {window}");
    }
    // A Pushgateway keeps what was sent last, so nothing is gone there.
    let kept = pushing(&cron("0 9 * * 1"), "").replace("remoteWrite:", "pushgateway:");
    assert!(rendered_with(&kept).is_ok());
}

#[test]
fn no_value_of_jobs_is_taken_for_a_service() {
    if !has_helm() {
        return;
    }
    let values = std::fs::read_to_string(crate::deploy::chart().join("values.yaml")).unwrap();
    let values: Value = serde_saphyr::from_str(&values).unwrap();
    for key in values["cronjob"].as_object().unwrap().keys() {
        let value = match key.as_str() {
            "mode" => json!("trigger"),
            "undelivered" => json!("fail"),
            "suspend" => json!(true),
            "tokenSecret" => json!({"name": "a"}),
            "schedules" => json!({"canary": "@hourly"}),
            "server" | "timeZone" => json!("http://a"),
            _ => json!(77),
        };
        let refused = rendered_with(&json!({"cronjob": {key: value}}).to_string()).expect_err(key);
        assert!(
            refused.contains(&format!("`cronjob.{key}` is for `profile: cronjob`")),
            "{refused}"
        );
    }
}

#[test]
fn no_job_is_ended_before_its_run() {
    if !has_helm() {
        return;
    }
    let values = |seconds: u32, more: &str| {
        let schedule = "{ every: 15m, jitter: 2.5m }";
        format!(
            "profile: cronjob\nscenarios: {{ canary: {{ schedule: {schedule}, deadline: 1h5m, {HOPS} }} }}\n\
             cronjob: {{ activeDeadlineSeconds: {seconds}{more} }}"
        )
    };
    assert!(rendered_with(&values(4070, "")).is_ok());
    let refused = rendered_with(&values(4069, "")).unwrap_err();
    assert!(refused.contains("its jitter and `graceSeconds` one may take 4070"), "{refused}");
    // Who asks a service asks at once.
    let asks = ", mode: trigger, server: \"http://a.b.svc\"";
    assert!(rendered_with(&values(3920, asks)).is_ok());
    assert!(rendered_with(&values(3919, asks)).is_err());
}

/// Whether promtool, with the rules of the chart, says that hopclock is gone when a pod pushes once at
/// these hours of each of four weeks.
fn is_called_gone(hours: &[usize]) -> bool {
    let week = (0..168).map(|it| if hours.contains(&it) { "1" } else { "_" });
    let values = week.collect::<Vec<_>>().join(" ");
    let times = (168..672).step_by(2).map(|it| {
        format!("  - {{ eval_time: {it}h30m, alertname: HopclockAbsent, exp_alerts: [] }}\n")
    });
    let folder = tempfile::tempdir().unwrap();
    let rules = crate::deploy::chart().join("files/rules/hopclock-pushed.yaml");
    let rules: Value = serde_saphyr::from_str(&std::fs::read_to_string(rules).unwrap()).unwrap();
    let all = rules["groups"].as_array().unwrap().iter();
    let mut all = all.flat_map(|it| it["rules"].as_array().unwrap());
    // The others take long, and are told of elsewhere.
    let absent = all.find(|it| it["alert"] == "HopclockAbsent").unwrap();
    let rules = json!({"groups": [{"name": "absent", "rules": [absent]}]});
    std::fs::write(folder.path().join("rules.yaml"), rules.to_string()).unwrap();
    let text = format!(
        "rule_files: [rules.yaml]\nevaluation_interval: 15m\ntests:\n- interval: 1h\n  input_series:\n  \
         - {{ series: 'hopclock_build_info{{job=\"hopclock\"}}', values: '{values} {values} {values} {values}' }}\n  \
         alert_rule_test:\n{times}",
        times = times.collect::<String>()
    );
    std::fs::write(folder.path().join("test.yaml"), text).unwrap();
    let output = Command::new("promtool")
        .args(["test", "rules", "test.yaml"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    let told = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(output.status.success() || told.contains("alertname: HopclockAbsent"), "{told}");
    !output.status.success()
}

#[test]
fn what_the_chart_takes_is_not_called_gone_by_its_rules_and_what_it_refuses_is() {
    if !has_helm() || !found("promtool") {
        return;
    }
    let at = |days: &[usize]| days.iter().map(|it| it * 24 + 9).collect::<Vec<_>>();
    for (cron, days) in [
        ("0 9 * * *", &[0, 1, 2, 3, 4, 5, 6][..]),
        ("0 9 * * 1-5", &[1, 2, 3, 4, 5]),
        ("0 9 * * 1,3,5", &[1, 3, 5]),
        ("0 9 * * 1,4", &[1, 4]),
        ("0 9 * * 1,2", &[1, 2]),
        ("0 9 * * 1", &[1]),
    ] {
        let taken = rendered_with(&pushing(&format!("{{ cron: \"{cron}\" }}"), "")).is_ok();
        assert_eq!(taken, !is_called_gone(&at(days)), "{cron}");
    }
}
