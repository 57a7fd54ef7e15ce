//! Rights in every form: other triggers and hops, namespaces only, jobs, and several scenarios.

use crate::chart_kit::has_helm;
use crate::cli::kit::{HOPS, SOURCE, Stage, lane, scenario};
use crate::deploy::rights::{
    Right, USER, assert_missed, compare, granted, install, lacking, set_roles, values, without,
};
use crate::deploy::{pods, rendered_with, texts};
use hopclock_sandbox::pipeline::{ChartFrom, Door, HelmLane, Hook, ImageLane};
use std::collections::BTreeSet;

const SECRETS: &str = "rbac: { secrets: [flux-system/canary-git] }";

/// A lane, whose Secrets have to be read.
async fn locked() -> Stage {
    Stage::quick(&lane("canary", Hook::Right, Door::Locked)).await
}

fn text(name: &str, trigger: &str, hops: &str) -> String {
    let head = format!("name: {name}\nschedule: {{ every: 10m }}\ndeadline: 1m\n");
    format!("{head}trigger: {{ {trigger} }}\nhops:\n{hops}")
}

#[tokio::test]
async fn a_receiver_a_chart_and_a_deployment_need_what_the_chart_grants() {
    if !has_helm() {
        return;
    }
    let stage = locked().await;
    let web = HelmLane { chart: ChartFrom::Registry, ..HelmLane::new("web") };
    stage.sandbox.add_helm_lane(&web).await.unwrap();
    let url = stage.sandbox.flux().receiver_url();
    let posted = text(
        "posted",
        &format!("receiver_post: {{ receiver: flux-system/canary, url: \"{url}\" }}"),
        "- webhook_received: { receiver: flux-system/canary, git_repository: flux-system/canary }\n  required: true\n",
    );
    compare(
        &stage,
        "posted",
        &[("posted", posted)],
        "rbac: { secrets: [flux-system/canary-hook] }",
    )
    .await;
    let charted = text(
        "charted",
        "helm_chart: { helm_release: hopclock/web }",
        "- source_fetched: { helm_chart: flux-system/hopclock-web }\n- applied: { helm_release: hopclock/web }\n- live: { config_map: hopclock/web }\n",
    );
    let repository = "rbac: { objects: { helm_repository: [flux-system/web] } }";
    compare(&stage, "charted", &[("charted", charted)], repository).await;
    for (name, object) in [
        ("deployed", "deployment: hopclock/canary"),
        ("stateful", "stateful_set: hopclock/canary"),
        ("everywhere", "daemon_set: hopclock/canary"),
    ] {
        let hops = format!(
            "\n  - applied: {{ kustomization: flux-system/canary }}\n  - rolled_out: {{ {object} }}\n"
        );
        let rolled = scenario(name, &format!("{SOURCE}, template: \"a: ${{canary}}\""), &hops);
        let more = "rbac: { secrets: [flux-system/canary-git], objects: { git_repository: [flux-system/canary] } }";
        compare(&stage, name, &[(name, rolled)], more).await;
    }
}

/// Whether a right is to list a kind in all namespaces.
fn is_survey((namespace, _, name, verb): &Right) -> bool {
    namespace.is_empty() && name.is_empty() && verb == "list"
}

#[tokio::test]
async fn with_namespaces_only_the_survey_of_all_others_is_all_that_is_missing() {
    if !has_helm() {
        return;
    }
    let stage = locked().await;
    let scenario = ("canary", scenario("canary", SOURCE, HOPS));
    let file = stage.file("canary.yaml", &scenario.1);
    let narrow = "rbac: { scope: namespaces, secrets: [flux-system/canary-git] }";
    let objects = rendered_with(&values(std::slice::from_ref(&scenario), narrow)).unwrap();
    let (needed, given) = (lacking(&stage, &[file]).await, granted(&objects));
    let survey: BTreeSet<_> = needed.iter().filter(|it| is_survey(it)).cloned().collect();
    assert!(survey.len() > 5, "{survey:?}");
    assert!(given.iter().all(|it| !it.0.is_empty()), "in all namespaces: {given:?}");
    // What is listed in the namespace in place of all is what would be listed in all.
    let beside: Vec<_> = given.difference(&needed).collect();
    for right in &beside {
        let (_, resource, name, verb) = right;
        let everywhere = (String::new(), resource.clone(), name.clone(), verb.clone());
        assert!(survey.contains(&everywhere), "in vain: {right:?}");
    }
    install(&stage, &objects);
    assert_eq!(lacking(&stage, &[file]).await, survey);
    stage.file("restricted", &stage.sandbox.api().kubeconfig(Some((USER, &[]))));
    let call = ["run", file, "--kubeconfig", "restricted", "--namespace", "hopclock"];
    let told = stage.tell(&call).await;
    assert_eq!(told.code, Some(0), "{told:?}");
}

#[tokio::test]
async fn a_job_with_its_own_arguments_and_rights_keeps_totals_and_needs_no_echo() {
    if !has_helm() {
        return;
    }
    let stage = locked().await;
    let text = scenario("canary", SOURCE, HOPS) + "schedule: { every: 1h, jitter: 0s }\n";
    let more = format!("{SECRETS}\nprofile: cronjob");
    let objects = rendered_with(&values(&[("canary", text.clone())], &more)).unwrap();
    let service = rendered_with(&values(&[("canary", text.clone())], SECRETS)).unwrap();
    // It has what a service has, but for what a service writes.
    let (ours, theirs) = (granted(&objects), granted(&service));
    let of = |name: &str, verbs: &[&str]| -> BTreeSet<Right> {
        let right = |verb: &&str| {
            ("hopclock".to_owned(), "configmaps".to_owned(), name.to_owned(), (*verb).to_owned())
        };
        verbs.iter().map(right).collect()
    };
    let own = of("hopclock-state-canary", &["get", "update"]);
    assert_eq!(ours.difference(&theirs).cloned().collect::<BTreeSet<_>>(), own);
    let mut spared = of("hopclock-echo", &["list", "watch", "patch"]);
    spared.append(&mut of("hopclock-state", &["get", "update"]));
    assert_eq!(theirs.difference(&ours).cloned().collect::<BTreeSet<_>>(), spared);
    install(&stage, &objects);
    stage.file("restricted", &stage.sandbox.api().kubeconfig(Some((USER, &[]))));
    stage.file("canary.yaml", &text);
    let moved = |it: &&str| {
        let it = it.replace("/etc/hopclock/scenarios/", "");
        it.replace("/var/cache/hopclock", "cache")
    };
    let arguments: Vec<_> =
        texts(&pods(&objects)[0]["containers"][0]["args"]).iter().map(moved).collect();
    let run = || async {
        let arguments = arguments.iter().map(String::as_str);
        let all: Vec<_> = arguments.chain(["--kubeconfig", "restricted"]).collect();
        stage.tell(&all).await
    };
    let told = run().await;
    assert_eq!(told.code, Some(0), "{told:?}");
    for right in &own {
        set_roles(&stage, &without(&objects, right));
        let told = run().await;
        let missed = format!("`{}` of `configmaps` named `hopclock-state-canary`", right.3);
        assert!(told.code == Some(3) && told.err.contains(&missed), "{right:?}: {told:?}");
    }
    set_roles(&stage, &objects);
    assert_eq!(run().await.code, Some(0));
}

#[tokio::test]
async fn of_several_scenarios_each_right_is_missed_by_one() {
    if !has_helm() {
        return;
    }
    let stage = locked().await;
    stage.sandbox.add_image_lane(&ImageLane::new("app")).await.unwrap();
    let image = text(
        "image",
        "image_tag: { policy: flux-system/app }",
        crate::e2e_image_kit::HOPS.trim_start(),
    );
    let all = [("canary", scenario("canary", SOURCE, HOPS)), ("image", image)];
    let folder = stage.folder.path().join("several");
    std::fs::create_dir(&folder).unwrap();
    for (name, text) in &all {
        std::fs::write(folder.join(format!("{name}.yaml")), text).unwrap();
    }
    let objects = rendered_with(&values(&all, SECRETS)).unwrap();
    install(&stage, &objects);
    assert!(lacking(&stage, &["several"]).await.is_empty());
    let mut count = 0;
    for right in granted(&objects) {
        set_roles(&stage, &without(&objects, &right));
        let lacks = lacking(&stage, &["several"]).await;
        assert_missed(&lacks, &right);
        count += 1;
    }
    assert!(count > 30, "{count}");
}
