//! Hops that look at nothing, at two things, or where the change never is.

use super::{Findings, is_label};
use crate::config::hop_file::HopFile;
use crate::config::mistake::Mistake;
use crate::config::node::Step::{self, Item, Key};
use crate::config::scenario::{annotated, last_applier, policies};
use crate::hop::{
    AutomationCommittedConfig, Condition, ConditionConfig, HopConfig, Kind, LiveConfig,
    NotifiedConfig, ObjectConfig, Place, WebhookReceivedConfig,
};
use crate::model::RevisionSort;

/// The keys by which `live` names its object.
const OBJECTS: [&str; 6] =
    ["config_map", "secret", "deployment", "stateful_set", "daemon_set", "object"];

/// The keys by which `condition` names its object.
const CONDITIONS: [&str; 8] = [
    "object",
    "flagger_canary",
    "terraform",
    "crossplane_provider",
    "certificate",
    "resource_set",
    "flux_instance",
    "artifact_generator",
];

/// Looks at each hop by itself; the trigger announces revisions of this sort.
pub(super) fn check(hops: &[HopFile], sort: RevisionSort, findings: &mut Findings<'_>) {
    for (index, hop) in hops.iter().enumerate() {
        if hop.shared.cluster.as_deref().is_some_and(|it| !is_word(it)) {
            let way = [Key("hops"), Item(index), Key("cluster")];
            findings.value(&way, Mistake::BadClusterName);
        }
        let place = hop.config.kind().traits().place;
        if sort == RevisionSort::Request && !place.is_request() && place != Place::Condition {
            let why = "a request carries no revision that this hop could see: keep to \
                       `webhook_received` and `condition`, or push something";
            findings
                .key(&[Key("hops"), Item(index), Key(&hop.kind)], Mistake::Unfit(why.to_owned()));
        } else if let Err(why) = hop.config.kind().suits(sort, None) {
            findings.key(&[Key("hops"), Item(index), Key(&hop.kind)], Mistake::Unfit(why));
        }
        match &hop.config {
            HopConfig::WebhookReceived(config) => webhook(index, config, hops, findings),
            HopConfig::AutomationCommitted(config) => automation(index, config, hops, findings),
            HopConfig::Live(config) => live(index, config, findings),
            HopConfig::Condition(config) => condition(index, config, findings),
            HopConfig::Notified(config) => notified(index, config, hops, findings),
            _ => {}
        }
    }
}

/// Whether it can name a context of a kubeconfig and stand in a label.
fn is_word(text: &str) -> bool {
    let wrong = |it: char| it.is_whitespace() || it.is_control();
    (1..=253).contains(&text.len()) && !text.contains(wrong)
}

fn webhook(
    index: usize,
    config: &WebhookReceivedConfig,
    hops: &[HopFile],
    findings: &mut Findings<'_>,
) {
    let (hop, item, kind) = (Key("hops"), Item(index), Key("webhook_received"));
    match (config.annotated().as_slice(), annotated(config, hops).len()) {
        ([(first, _), (second, _), ..], _) => {
            let mistake = Mistake::TwoAnnotated { first, second };
            findings.key(&[hop, item, kind, Key(second)], mistake);
        }
        ([_], _) | ([], 1) => {}
        ([], 0) => findings.key(&[hop, item, kind], Mistake::NoneAnnotated),
        ([], _) => findings.key(&[hop, item, kind], Mistake::ManyAnnotated),
    }
}

fn automation(
    index: usize,
    config: &AutomationCommittedConfig,
    hops: &[HopFile],
    findings: &mut Findings<'_>,
) {
    let (hop, item, kind) = (Key("hops"), Item(index), Key("automation_committed"));
    match (&config.image_policy, policies(hops).len()) {
        (Some(policy), _) if policy.namespace != config.image_update_automation.namespace => {
            let way = [hop, item, kind, Key("image_policy")];
            findings.value(&way, Mistake::PolicyElsewhere);
        }
        (Some(_), _) | (None, 1) => {}
        (None, 0) => findings.key(&[hop, item, kind], Mistake::NoPolicy),
        (None, _) => findings.key(&[hop, item, kind], Mistake::ManyPolicies),
    }
}

fn live(index: usize, config: &LiveConfig, findings: &mut Findings<'_>) {
    let (hop, item) = (Key("hops"), Item(index));
    let way = |key| [hop, item, Key("live"), Key(key)];
    let objects = objects(config);
    match objects.as_slice() {
        [] => findings
            .key(&[hop, item, Key("live")], Mistake::NoObject { hop: "live", known: &OBJECTS }),
        [_] => {}
        [first, second, ..] => {
            findings.key(&way(second), Mistake::TwoObjects { hop: "live", first, second });
        }
    }
    let places = places(config);
    if let [(first, _), (second, _), ..] = places.as_slice() {
        findings.key(&way(second), Mistake::TwoPlaces { first, second });
    }
    for (key, text) in places {
        let parts: Vec<_> = text.split('.').collect();
        if text.is_empty() || (key == "field" && parts.iter().any(|it| it.is_empty())) {
            findings.value(&way(key), Mistake::EmptyPlace { key });
        } else if key == "field" && parts[0] == "status" {
            findings.value(&way(key), Mistake::StatusField);
        }
    }
    let without_containers = |it: &&&str| matches!(**it, "config_map" | "secret");
    if let (Some(_), Some(object)) = (&config.image, objects.iter().find(without_containers)) {
        findings.key(&way("image"), Mistake::ImageOfNoWorkload { object });
    }
    object(&way("object"), config.object.as_ref(), findings);
}

fn condition(index: usize, config: &ConditionConfig, findings: &mut Findings<'_>) {
    let way = |key| [Key("hops"), Item(index), Key("condition"), Key(key)];
    let named = config.named();
    match named.as_slice() {
        [] => {
            let mistake = Mistake::NoObject { hop: "condition", known: &CONDITIONS };
            findings.key(&way("object")[..3], mistake);
        }
        ["object"] if config.expression.is_none() => {
            findings.key(&way("object"), Mistake::NoExpression);
        }
        ["object"] => {}
        [key] if config.expression.is_some() => {
            findings.key(&way("expression"), Mistake::ExpressionOfPreset { key });
        }
        [_] => {}
        [first, second, ..] => {
            let mistake = Mistake::TwoObjects { hop: "condition", first, second };
            findings.key(&way(second), mistake);
        }
    }
    if let Some(Err(mistake)) = config.expression.as_deref().map(Condition::new) {
        findings.value(&way("expression"), mistake.into());
    }
    if config.crossplane_provider.as_deref() == Some("") {
        let key = "crossplane_provider";
        findings.value(&way(key), Mistake::EmptyObject { key });
    }
    object(&way("object"), config.object.as_ref(), findings);
}

fn notified(index: usize, config: &NotifiedConfig, hops: &[HopFile], findings: &mut Findings<'_>) {
    let way = |key| [Key("hops"), Item(index), Key("notified"), Key(key)];
    if config.kustomization.is_some() && config.helm_release.is_some() {
        let (first, second) = ("kustomization", "helm_release");
        findings.key(&way(second), Mistake::TwoAppliers { hop: "notified", first, second });
    } else if config.applier().is_none() && last_applier(hops).is_none() {
        findings.key(&way("")[..3], Mistake::NoApplier);
    }
    if !is_label(&config.listener, &['-']) {
        findings.value(&way("listener"), Mistake::BadListener);
    }
    let told_of =
        |it: &NotifiedConfig| it.applier().or_else(|| last_applier(hops).and_then(Kind::subject));
    let same = hops[..index].iter().find(|it| {
        let HopConfig::Notified(other) = &it.config else { return false };
        let elsewhere = it.shared.cluster != hops[index].shared.cluster;
        elsewhere && other.listener == config.listener && told_of(other) == told_of(config)
    });
    if let Some(other) = same {
        let other = other.shared.name.clone().unwrap_or_else(|| other.kind.clone());
        let listener = config.listener.clone();
        findings.key(&way("")[..3], Mistake::SharedListener { other, listener });
    }
}

/// Whether an object of any kind is named in full.
fn object(way: &[Step<'_>], object: Option<&ObjectConfig>, findings: &mut Findings<'_>) {
    let empty = |it: &&ObjectConfig| it.kind.is_empty() || it.name.is_empty();
    if let Some(object) = object.filter(empty) {
        let key = if object.kind.is_empty() { "kind" } else { "name" };
        let way: Vec<_> = way.iter().copied().chain([Key(key)]).collect();
        findings.value(&way, Mistake::EmptyObject { key });
    }
}

/// The keys of the objects that are named.
fn objects(config: &LiveConfig) -> Vec<&'static str> {
    let named = [
        config.config_map.is_some(),
        config.secret.is_some(),
        config.deployment.is_some(),
        config.stateful_set.is_some(),
        config.daemon_set.is_some(),
        config.object.is_some(),
    ];
    OBJECTS.into_iter().zip(named).filter(|it| it.1).map(|it| it.0).collect()
}

/// The places that are named, each with its key.
fn places(config: &LiveConfig) -> Vec<(&'static str, &str)> {
    let named = [
        ("annotation", &config.annotation),
        ("label", &config.label),
        ("field", &config.field),
        ("image", &config.image),
    ];
    named.into_iter().filter_map(|(key, it)| it.as_deref().map(|it| (key, it))).collect()
}
