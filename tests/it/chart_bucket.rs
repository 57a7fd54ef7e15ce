//! Charts whose repository is a bucket: archive first, then the index, bound to what was read.

use crate::chart_kit::{ChartSite, canary, publish, source, version};
use hopclock::model::{Ancestry, Holding, ObjectName, Revision};
use hopclock::trigger::{Reach, Sweep};
use hopclock_sandbox::bucket::{Account, BucketHost, BucketHostOptions, Fault, FaultRule, Route};
use http::Method;
use secrecy::SecretSlice;
use serde_json::{Value, json};

const INDEX: &str = "apiVersion: v1\nentries:\n  alpine:\n  - {name: alpine, version: 0.2.0}\n";

async fn host() -> BucketHost {
    let host = BucketHost::start(BucketHostOptions::default()).await.unwrap();
    host.create_bucket("charts");
    host.put("charts", "stable/index.yaml", INDEX);
    let (access_key, secret_key) = ("key".to_owned(), "pl4nted".to_owned());
    host.add_account(Account { access_key, secret_key, may_write: true });
    host
}

fn site() -> ChartSite {
    site_of(">=0.1.0")
}

fn site_of(range: &str) -> ChartSite {
    let mut site = ChartSite::new(&json!({"url": "https://charts.test/stable"}), range);
    let secret = [("accesskey", "key"), ("secretkey", "pl4nted")];
    let secret =
        secret.map(|(key, it)| (key.to_owned(), SecretSlice::from(it.as_bytes().to_vec())));
    site.secrets.insert(ObjectName::new("flux-system", "bucket"), secret.into());
    site
}

fn bucket(host: &BucketHost) -> Value {
    json!({"keep": 2, "bucket": {"name": "charts", "folder": "stable", "endpoint": host.base_url(),
        "secret": "flux-system/bucket"}})
}

fn keys(host: &BucketHost) -> Vec<String> {
    host.list("charts").into_iter().map(|it| it.0).collect()
}

#[tokio::test]
async fn t1_the_archive_is_there_before_the_index_names_it_and_the_index_is_zero() {
    let host = host().await;
    let (site, mut versions) = (site(), Vec::new());
    let trigger = site.trigger(bucket(&host)).await;
    for number in 1..=3 {
        let id = canary("hopclock", number);
        let (revisions, published) = publish(&trigger, &id).await;
        assert_eq!(published.attempts, 1);
        assert!(published.sent < published.zero.latest);
        versions.push(version(&revisions).to_owned());
        let tidied = trigger.tidy(&Sweep::after_run()).await.unwrap();
        assert_eq!((tidied.removed.len(), tidied.leftovers()), (usize::from(number == 3), 0));
        assert_eq!(trigger.latest().await.unwrap(), Some(id));
    }
    let file = |version: &String| format!("stable/canary-{version}.tgz");
    let expected = [file(&versions[1]), file(&versions[2]), "stable/index.yaml".to_owned()];
    assert_eq!(keys(&host), expected);
    let written: Vec<_> = host.updates().into_iter().map(|it| it.key).collect();
    let first = written.iter().position(|it| *it == file(&versions[0])).unwrap();
    assert_eq!(written[first + 1], "stable/index.yaml", "{written:?}");
    let index = host.text("charts", "stable/index.yaml").unwrap();
    assert!(index.contains("  - {name: alpine, version: 0.2.0}\n"), "{index}");
    let survey = trigger.survey(&[]).await.unwrap().unwrap();
    assert_eq!(survey.holding, Holding::Canaries(["hopclock".to_owned()].into()));
    assert_eq!(survey.around, Some(Holding::Others("alpine-0.2.0".to_owned())));
}

#[tokio::test]
async fn s0_a_folder_with_nothing_but_canaries_is_told_from_one_with_other_things() {
    let host = host().await;
    host.delete("charts", "stable/index.yaml");
    host.put("charts", "elsewhere.txt", "theirs");
    let site = site();
    let trigger = site.trigger(bucket(&host)).await;
    publish(&trigger, &canary("hopclock", 1)).await;
    let around = async || {
        trigger.latest().await.unwrap();
        trigger.survey(&[]).await.unwrap().unwrap().around.unwrap()
    };
    assert_eq!(around().await, Holding::Canaries(["hopclock".to_owned()].into()));
    host.put("charts", "stable/web-1.0.0.tgz", "theirs");
    assert_eq!(around().await, Holding::Others("stable/web-1.0.0.tgz".to_owned()));
}

#[tokio::test]
async fn s6_archives_of_ours_that_no_index_names_go_after_a_run() {
    let host = host().await;
    // Runs that were cut off before they wrote the index.
    let early = site_of(">=0.5.0");
    let cut_off = early.trigger(bucket(&host)).await;
    cut_off.latest().await.unwrap();
    let lost = cut_off.prepare(&canary("hopclock", 1)).await.unwrap();
    let mut theirs = site_of(">=0.7.0");
    theirs.instance = "team-b";
    let cut_off = theirs.trigger(bucket(&host)).await;
    cut_off.latest().await.unwrap();
    let foreign = cut_off.prepare(&canary("team-b", 1)).await.unwrap();
    host.put("charts", "stable/canary-9.9.9.tgz", "theirs");
    let site = site();
    let trigger = site.trigger(bucket(&host)).await;
    let (revisions, _) = publish(&trigger, &canary("hopclock", 2)).await;
    let file = |it: &[Revision]| format!("stable/canary-{}.tgz", version(it));
    assert!(keys(&host).contains(&file(&lost)));
    let tidied = trigger.tidy(&Sweep::after_run()).await.unwrap();
    assert_eq!((tidied.removed.len(), tidied.leftovers()), (1, 0));
    let nine = "stable/canary-9.9.9.tgz".to_owned();
    let mut expected = vec![file(&revisions), file(&foreign), nine, "stable/index.yaml".to_owned()];
    expected.sort();
    assert_eq!(keys(&host), expected);
}

#[tokio::test]
async fn p7_a_mistyped_folder_gets_no_index_where_one_is_served_already() {
    let host = host().await;
    let served = json!({"spec": {"url": "https://charts.test/stable"},
        "status": {"artifact": {"revision": "sha256:1"}}});
    let site = site().with(source("HelmRepository", "charts"), served);
    let mut wrong = bucket(&host);
    wrong["bucket"]["folder"] = json!("stabel");
    let error = site.trigger(wrong).await.latest().await.unwrap_err();
    assert_eq!(error.reason, "bad_chart_index");
    assert!(error.message.starts_with("`stabel/index.yaml` in "), "{error}");
    assert_eq!(keys(&host), ["stable/index.yaml"]);
}

#[tokio::test]
async fn s6_all_versions_of_a_lane_that_is_given_up_go_from_index_and_bucket() {
    let host = host().await;
    let site = site();
    let trigger = site.trigger(bucket(&host)).await;
    let foreign = "  - {name: canary, version: 0.0.1, urls: [canary-0.0.1.tgz]}\n";
    let theirs = format!("{INDEX}  canary:\n{foreign}");
    host.put("charts", "stable/index.yaml", &theirs);
    host.put("charts", "stable/canary-0.0.1.tgz", "somebody's");
    let mut files = Vec::new();
    for number in 1..=2 {
        let (revisions, _) = publish(&trigger, &canary("hopclock", number)).await;
        files.push(format!("canary-{}.tgz", version(&revisions)));
    }
    let before = keys(&host);
    files.sort();
    let sweep = |reach, is_dry| Sweep { reach, is_dry, sights: Vec::new() };
    // As gc does: with a trigger that has not run.
    let trigger = site.trigger(bucket(&host)).await;
    trigger.latest().await.unwrap();
    let tidied = trigger.tidy(&sweep(Reach::Surplus, false)).await.unwrap();
    assert_eq!(tidied.removed, [""; 0], "both may stay");
    let updates = host.updates().len();
    let mut tidied = trigger.tidy(&sweep(Reach::Everything, true)).await.unwrap();
    tidied.removed.sort();
    assert_eq!((&tidied.removed, keys(&host)), (&files, before), "it is only looked at");
    assert_eq!(host.updates().len(), updates);
    let mut tidied = trigger.tidy(&sweep(Reach::Everything, false)).await.unwrap();
    tidied.removed.sort();
    assert_eq!((&tidied.removed, tidied.leftovers()), (&files, 0));
    assert_eq!(keys(&host), ["stable/canary-0.0.1.tgz", "stable/index.yaml"]);
    let index = host.text("charts", "stable/index.yaml").unwrap();
    assert_eq!(index, theirs, "what somebody else wrote stays to the letter");
    let tidied = trigger.tidy(&sweep(Reach::Everything, false)).await.unwrap();
    assert_eq!((tidied.removed.len(), host.text("charts", "stable/index.yaml")), (0, Some(index)));
}

#[tokio::test]
async fn s5_an_index_that_somebody_changed_meanwhile_is_not_overwritten() {
    let host = host().await;
    let site = site();
    let trigger = site.trigger(bucket(&host)).await;
    trigger.latest().await.unwrap();
    let revisions = trigger.prepare(&canary("hopclock", 1)).await.unwrap();
    host.put("charts", "stable/index.yaml", &INDEX.replace("0.2.0", "0.3.0"));
    assert_eq!(trigger.publish(&|_| {}).await.unwrap().attempts, 2);
    let index = host.text("charts", "stable/index.yaml").unwrap();
    assert!(index.contains("version: 0.3.0") && index.contains(version(&revisions)), "{index}");
    let again = site.trigger(bucket(&host)).await;
    let found = again.recover(&canary("hopclock", 1), &revisions).await.unwrap();
    assert_eq!(found, Some(revisions));
    trigger.latest().await.unwrap();
    trigger.prepare(&canary("hopclock", 2)).await.unwrap();
    let other = site.trigger(bucket(&host)).await;
    let (third, _) = publish(&other, &canary("hopclock", 3)).await;
    let error = trigger.publish(&|_| {}).await.unwrap_err();
    assert_eq!(error.reason, "second_writer", "{error}");
    let later = Ancestry::Carries(Some(canary("hopclock", 3)));
    assert_eq!(again.ancestry(&third[0]).await, later);
    let strange = Revision::Version("9.0.0".to_owned());
    assert_eq!(again.ancestry(&strange).await, Ancestry::Gone);
    let late = site.trigger(bucket(&host)).await;
    late.latest().await.unwrap();
    publish(&other, &canary("hopclock", 4)).await;
    let error = late.prepare(&canary("hopclock", 5)).await.unwrap_err();
    assert_eq!(error.reason, "version_taken", "its archive is not overwritten: {error}");
}

#[tokio::test]
async fn t2_what_was_refused_and_done_is_ours_and_a_server_without_conditions_will_do() {
    let host = host().await;
    let site = site();
    let trigger = site.trigger(bucket(&host)).await;
    for (number, fault, exact) in [
        (1, Fault::RefuseAfter(503, "SlowDown", Some(0)), false),
        (2, Fault::Refuse(501, "NotImplemented", None), true),
    ] {
        let spoil = || {
            let rule = FaultRule::once(Route::Object, fault.clone());
            host.add_fault(rule.for_method(Method::PUT));
        };
        trigger.latest().await.unwrap();
        spoil();
        let revisions = trigger.prepare(&canary("hopclock", number)).await.unwrap();
        spoil();
        let published = trigger.publish(&|_| {}).await.unwrap();
        assert_eq!(published.zero.earliest == published.zero.latest, exact, "{published:?}");
        assert!(published.sent <= published.zero.earliest, "{published:?}");
        let index = host.text("charts", "stable/index.yaml").unwrap();
        assert!(index.contains(version(&revisions)), "{index}");
    }
}

#[tokio::test]
async fn s5_an_archive_that_no_index_names_is_overwritten_only_if_it_is_ours() {
    let host = host().await;
    let site = site();
    let trigger = site.trigger(bucket(&host)).await;
    trigger.latest().await.unwrap();
    // A run that was cut off before it wrote the index.
    let revisions = trigger.prepare(&canary("hopclock", 1)).await.unwrap();
    let again = site.trigger(bucket(&host)).await;
    let (second, _) = publish(&again, &canary("hopclock", 2)).await;
    assert_eq!(second, revisions);
    again.latest().await.unwrap();
    let next = again.prepare(&canary("hopclock", 3)).await.unwrap();
    let key = format!("stable/canary-{}.tgz", version(&next));
    host.put("charts", &key, "theirs");
    let error = again.prepare(&canary("hopclock", 3)).await.unwrap_err();
    assert_eq!(error.reason, "version_taken", "{error}");
    assert!(error.message.contains(&key), "{error}");
    assert_eq!(host.text("charts", &key).unwrap(), "theirs");
}

#[tokio::test]
async fn s5_a_lane_of_another_instance_is_said_before_anything_is_written() {
    let host = host().await;
    let mut theirs = site();
    theirs.instance = "team-b";
    publish(&theirs.trigger(bucket(&host)).await, &canary("team-b", 1)).await;
    let error = site().trigger(bucket(&host)).await.latest().await.unwrap_err();
    assert_eq!(error.reason, "foreign_canary", "{error}");
    assert!(error.message.contains("`team-b`"), "{error}");
}

#[tokio::test]
async fn what_is_no_index_or_no_bucket_is_told_in_one_sentence() {
    let host = host().await;
    host.put("charts", "stable/index.yaml", "entries: [");
    let site = site();
    let error = site.trigger(bucket(&host)).await.latest().await.unwrap_err();
    assert_eq!(error.reason, "bad_chart_index");
    assert!(error.message.starts_with("`stable/index.yaml` in "), "{error}");
    let mut other = bucket(&host);
    other["bucket"]["name"] = json!("none");
    let error = site.trigger(other).await.latest().await.unwrap_err();
    assert!(error.message.contains("there is no"), "{error}");
    assert!(!error.message.contains("pl4nted"), "{error}");
}
