//! How objects moved, in the form in which the recordings tell it.
//!
//! Of each change only the fields that changed are kept; revisions and requests are named by order
//! of appearance, so that two pipelines with other commits at other times can be compared.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::sync::Arc;

use hopclock_sandbox::flux::TakenEvent;
use hopclock_sandbox::store::Change;
use regex::Regex;
use serde_json::Value;

use crate::lab::URL;

/// The changed fields of one event.
pub(crate) type Moved = BTreeMap<String, Value>;

/// One event: its time in seconds, from wherever its teller counts, and what changed.
pub(crate) type Event = (f64, Moved);

/// What happened between two marks: a label, and the events of each object.
pub(crate) type Chapter = (String, BTreeMap<String, Vec<Event>>);

/// The chapters that changes make, given the versions and labels of the marks.
pub(crate) fn chapters(changes: &[Arc<Change>], marks: &[(u64, String)]) -> Vec<Chapter> {
    let mut chapters: Vec<Chapter> =
        marks.iter().map(|(_, label)| (label.clone(), BTreeMap::new())).collect();
    for change in changes {
        let later = marks.partition_point(|(version, _)| *version < change.rv);
        let Some(place) = later.checked_sub(1) else { continue };
        let seconds = change.at.duration_since(changes[0].at).as_secs_f64();
        let (before, now) = (change.before.as_deref().map(fields), fields(&change.object));
        let moved = difference(&before.unwrap_or_default(), &now);
        if !moved.is_empty() {
            let name = format!("{}/{}", change.key.kind, change.key.name);
            chapters[place].1.entry(name).or_default().push((seconds, moved));
        }
    }
    tidy(chapters, |_| true)
}

/// The chapters of a recorded story, with those objects that are compared.
pub(crate) fn recorded(story: &Value, compared: impl Fn(&str) -> bool) -> Vec<Chapter> {
    let events = |list: &Value| -> Vec<Event> {
        let all = list.as_array().unwrap().iter();
        all.map(|event| {
            let fields = event.as_object().unwrap().iter();
            let kept = fields.filter(|(name, _)| *name != "after_ms");
            let kept = kept.map(|(name, value)| (name.clone(), value.clone())).collect();
            (event["after_ms"].as_f64().unwrap() / 1000.0, kept)
        })
        .collect()
    };
    let chapters = story.as_array().unwrap().iter().map(|chapter| {
        let objects = chapter["objects"].as_object().unwrap().iter();
        let objects = objects.map(|(name, list)| (name.clone(), events(list))).collect();
        (chapter["label"].as_str().unwrap().to_owned(), objects)
    });
    tidy(chapters.collect(), compared)
}

/// Leaves out what is not compared and what is then empty, and names values anew from 1.
fn tidy(chapters: Vec<Chapter>, compared: impl Fn(&str) -> bool) -> Vec<Chapter> {
    let mut names: HashMap<&str, HashMap<String, usize>> = HashMap::new();
    let mut tidied = Vec::new();
    for (label, mut objects) in chapters {
        objects.retain(|name, _| compared(name));
        for (field, value) in objects.values_mut().flatten().flat_map(|(_, moved)| moved) {
            let Some(text) = value.as_str() else { continue };
            if field == "history" {
                *value = releases(text, names.entry("chart").or_default()).into();
                continue;
            }
            let sort = match field.as_str() {
                "requestedAt" | "lastHandledReconcileAt" => "request",
                "lastScanResult.revision" => "scan",
                "latestRef" => "ref",
                "observedPolicies" => "policies",
                "lastPushCommit" => "commit",
                name if name.to_lowercase().ends_with("revision") => "revision",
                _ => continue,
            };
            let names = names.entry(sort).or_default();
            let (author, text) =
                text.split_once('#').map_or(("", text), |(author, text)| (author, text));
            let next = names.len() + 1;
            let number = *names.entry(text.to_owned()).or_insert(next);
            *value = format!("{author}#{number}").into();
        }
        if !objects.is_empty() {
            tidied.push((label, objects));
        }
    }
    tidied
}

/// Releases with their charts' versions named by order of appearance.
fn releases(text: &str, names: &mut HashMap<String, usize>) -> String {
    let renamed = text.split(' ').map(|release| {
        let (head, chart) = release.rsplit_once('/').unwrap();
        let next = names.len() + 1;
        let number = *names.entry(chart.to_owned()).or_insert(next);
        format!("{head}/c{number}")
    });
    renamed.collect::<Vec<_>>().join(" ")
}

/// The fields that count, of one object.
fn fields(object: &Value) -> Moved {
    let (metadata, status) = (&object["metadata"], &object["status"]);
    let mut fields = Moved::new();
    let mut keep = |name: &str, value: &Value| {
        if !value.is_null() {
            fields.insert(name.to_owned(), value.clone());
        }
    };
    keep("generation", &metadata["generation"]);
    if object["spec"]["suspend"] == true {
        keep("suspend", &true.into());
    }
    if let Some(request) = metadata["annotations"]["reconcile.fluxcd.io/requestedAt"].as_str() {
        let author = if request.contains(" UTC m=+") { "receiver" } else { "other" };
        keep("requestedAt", &format!("{author}#{request}").into());
    }
    for field in [
        "observedGeneration",
        "lastHandledReconcileAt",
        "lastAttemptedRevision",
        "lastAppliedRevision",
        "lastAttemptedGeneration",
    ] {
        keep(field, &status[field]);
    }
    keep("lastPushCommit", &status["lastPushCommit"]);
    if status["latestRef"].is_object() {
        keep("latestRef", &status["latestRef"].to_string().into());
    }
    // The recordings tell policies apart by their tags.
    if let Some(policies) = status["observedPolicies"].as_object() {
        let tags: Vec<_> =
            policies.iter().map(|(name, it)| format!("{name}:{}", it["tag"])).collect();
        keep("observedPolicies", &tags.join(" ").into());
    }
    // Releases of Helm, which have versions; other histories have none.
    let releases = status["history"].as_array().into_iter().flatten();
    let releases: Vec<String> = releases
        .filter(|it| it["version"].is_number())
        .map(|it| {
            let text = |field: &str| it[field].as_str().unwrap();
            format!("{}/v{}/{}", text("status"), it["version"], text("chartVersion"))
        })
        .collect();
    if !releases.is_empty() {
        keep("history", &releases.join(" ").into());
    }
    keep("lastScanResult.revision", &status["lastScanResult"]["revision"]);
    keep("artifact.revision", &status["artifact"]["revision"]);
    for condition in status["conditions"].as_array().into_iter().flatten() {
        let text = |field: &str| condition[field].as_str().unwrap().to_owned();
        let value = format!("{}/{}", text("status"), text("reason"));
        keep(&format!("condition.{}", text("type")), &value.into());
    }
    fields
}

fn difference(before: &Moved, now: &Moved) -> Moved {
    let gone = before.keys().filter(|name| !now.contains_key(*name));
    let gone = gone.map(|name| (name.clone(), Value::Null));
    let changed = now.iter().filter(|(name, value)| before.get(*name) != Some(*value));
    changed.map(|(name, value)| (name.clone(), value.clone())).chain(gone).collect()
}

/// The events of each object, as `severity reason metadata message`, without what never repeats.
/// `registry` is the address of the registry, where there is one.
pub(crate) fn posted(
    events: impl Iterator<Item = TakenEvent>,
    registry: &str,
) -> BTreeMap<String, Vec<String>> {
    let mut objects: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for TakenEvent { event, .. } in events {
        let wire = serde_json::to_value(&event).unwrap();
        let names = event.metadata.keys().map(|key| key.rsplit('/').next().unwrap());
        let mut names: Vec<&str> =
            names.filter(|name| !matches!(*name, "digest" | "token")).collect();
        names.sort_unstable();
        let names = if names.is_empty() { "-".to_owned() } else { names.join(",") };
        let severity = wire["severity"].as_str().unwrap();
        let line =
            format!("{severity} {} {names} {}", event.reason, general(&event.message, registry));
        let object = format!("{}/{}", event.involved_object.kind, event.involved_object.name);
        objects.entry(object).or_default().push(line);
    }
    objects
}

/// A message without commits, durations, addresses and other people's words.
fn general(message: &str, registry: &str) -> String {
    let mut text = message.replace(URL, "<url>").replace("tcp git.example", "tcp <host>");
    if !registry.is_empty() {
        text = text.replace(registry, "<registry>");
    }
    text = Regex::new("sha256:[0-9a-f]{64}").unwrap().replace_all(&text, "<digest>").into_owned();
    text = Regex::new(r"\+[0-9a-f]{12}\b").unwrap().replace_all(&text, "+<digest>").into_owned();
    for (start, end, name) in [
        ("Reconciliation finished in ", ",", "<took>"),
        ("Health check passed in ", "", "<took>"),
        ("health check failed after ", ":", "<took>"),
        ("/tmp/kustomization-", "/", "<n>"),
        ("MalformedYAMLError: ", "", "<problem>"),
        ("@sha1:", "'", "<commit>"),
        ("signature verification of commit '", "'", "<commit>"),
        ("pushed commit '", "'", "<commit>"),
        ("Last Helm logs:", "", "<logs>"),
    ] {
        text = between(&text, start, end, name);
    }
    if text.contains("@sha1:") { text } else { between(&text, " for commit '", "'", "<subject>") }
}

/// Replaces what stands after `start` and before `end`, or before the end of the text.
fn between(text: &str, start: &str, end: &str, name: &str) -> String {
    let Some((head, tail)) = text.split_once(start) else { return text.to_owned() };
    let stop = if end.is_empty() { tail.len() } else { tail.find(end).unwrap() };
    format!("{head}{start}{name}{}", &tail[stop..])
}
