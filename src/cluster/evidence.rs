//! What the cluster itself noted about some objects: its Events, as evidence for people.
//!
//! Nothing is measured by them: they have whole seconds, are dropped under load and gone after an
//! hour. So they are asked for once, where a run went wrong, with a short patience.
//!
//! It needs `list` of `events` in the namespaces of the objects.

use crate::cluster::object::Place;
use crate::cluster::{Cluster, Error};
use crate::model::Subject;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use jiff::Timestamp;
use serde::Deserialize;
use std::cmp::Reverse;
use std::time::Duration;
use tokio::time::timeout;

/// Something that a component noted about an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectEvent {
    /// The object.
    pub subject: Subject,
    /// `Normal` or `Warning`.
    pub severity: String,
    /// Why, in one word for machines.
    pub reason: String,
    /// What happened, for people; shortened.
    pub message: String,
    /// How often.
    pub count: u64,
    /// When first, by the component's clock.
    pub first: Option<Timestamp>,
    /// When last, by the component's clock.
    pub last: Option<Timestamp>,
    /// Which component says so.
    pub reporter: String,
}

/// How long to wait for all of them.
const PATIENCE: Duration = Duration::from_secs(2);

/// How many of one object are shown.
const SHOWN: usize = 20;

/// Longest part of a message that is shown.
const LONGEST: usize = 500;

/// Objects that are asked for at the same time.
const AT_ONCE: usize = 4;

/// How many one answer holds, and how many answers are read: they do not come newest first.
const PAGE: usize = 500;
const PAGES: usize = 4;

#[derive(Deserialize)]
struct Listed {
    #[serde(default)]
    metadata: ListMetadata,
    #[serde(default)]
    items: Vec<Item>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ListMetadata {
    #[serde(rename = "continue")]
    next: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Item {
    metadata: Metadata,
    involved_object: Involved,
    #[serde(rename = "type")]
    severity: Option<String>,
    reason: Option<String>,
    message: Option<String>,
    count: Option<u64>,
    first_timestamp: Option<Timestamp>,
    last_timestamp: Option<Timestamp>,
    event_time: Option<Timestamp>,
    series: Option<Series>,
    reporting_component: Option<String>,
    source: Option<Source>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Metadata {
    creation_timestamp: Option<Timestamp>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Involved {
    api_version: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Series {
    count: Option<u64>,
    last_observed_time: Option<Timestamp>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Source {
    component: Option<String>,
}

// === impl Cluster ===

impl Cluster {
    /// Reads what was noted about `subjects`: of each the newest 20, newest first.
    ///
    /// # Errors
    ///
    /// [`Error::Forbidden`] says what to grant; [`Error::TimedOut`] after two seconds.
    pub async fn events_of(&self, subjects: &[Subject]) -> Result<Vec<ObjectEvent>, Error> {
        let asked: Vec<_> = subjects.iter().map(|it| self.events_of_one(it)).collect();
        let all = stream::iter(asked).buffered(AT_ONCE);
        let all = timeout(PATIENCE, all.try_collect::<Vec<_>>()).await;
        let mut all = all.map_err(|_| self.too_late())??.concat();
        all.sort_by_key(|it| Reverse(it.last));
        Ok(all)
    }

    fn too_late(&self) -> Error {
        let target = Box::new(place("").ask("list", String::new()).target);
        Error::TimedOut { server: self.server().to_owned(), target, limit: PATIENCE }
    }

    async fn events_of_one(&self, subject: &Subject) -> Result<Vec<ObjectEvent>, Error> {
        let place = place(&subject.namespace);
        let (kind, name) = (&subject.kind.kind, &subject.name);
        // Names and kinds hold nothing that would have to be escaped in a query.
        let first = format!(
            "{}?limit={PAGE}&fieldSelector=involvedObject.kind%3D{kind}%2CinvolvedObject.name%3D{name}",
            place.collection()
        );
        let (mut path, mut all) = (first.clone(), Vec::new());
        for _ in 0..PAGES {
            let ask = place.ask("list", path);
            let answer = self.hub.api.get(&ask).await?;
            let Listed { metadata, items } = self.hub.api.read(&ask, &answer.body)?;
            all.extend(items.into_iter().filter(|it| it.is_of(subject)).map(|it| it.told(subject)));
            match metadata.next.filter(|it| !it.is_empty()) {
                Some(next) => path = format!("{first}&continue={}", escaped(&next)),
                None => break,
            }
        }
        all.sort_by_key(|it| Reverse(it.last));
        all.truncate(SHOWN);
        Ok(all)
    }
}

// === impl Item ===

impl Item {
    /// Two groups may have kinds of one name, by which the server does not tell them apart.
    fn is_of(&self, subject: &Subject) -> bool {
        let version = self.involved_object.api_version.as_deref().unwrap_or_default();
        let group = version.split_once('/').map_or("", |(group, _)| group);
        version.is_empty() || group == subject.kind.group
    }

    fn told(self, subject: &Subject) -> ObjectEvent {
        let created = self.metadata.creation_timestamp;
        let series = self.series.unwrap_or_default();
        let source = self.source.and_then(|it| it.component);
        let times = [series.last_observed_time, self.last_timestamp, self.event_time, created];
        ObjectEvent {
            subject: subject.clone(),
            severity: self.severity.unwrap_or_default(),
            reason: self.reason.unwrap_or_default(),
            message: self.message.unwrap_or_default().chars().take(LONGEST).collect(),
            count: series.count.or(self.count).unwrap_or(1).max(1),
            first: self.first_timestamp.or(self.event_time).or(created),
            last: times.into_iter().flatten().next(),
            reporter: self
                .reporting_component
                .filter(|it| !it.is_empty())
                .or(source)
                .unwrap_or_default(),
        }
    }
}

/// Events about what has no namespace lie in `default`.
fn place(namespace: &str) -> Place {
    let namespace = if namespace.is_empty() { "default" } else { namespace };
    Place::new("", "events", namespace, "")
}

/// A token of the server's, fit for a query.
fn escaped(text: &str) -> String {
    let plain = |it: u8| it.is_ascii_alphanumeric() || b"-._~".contains(&it);
    text.bytes()
        .map(|it| if plain(it) { char::from(it).to_string() } else { format!("%{it:02X}") })
        .collect()
}
