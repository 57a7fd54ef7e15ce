//! One watch on the wire: lines of JSON, each sent the moment its change is written.
//!
//! A line is encoded once per change and shared by all feeds. Only a selector on labels or fields
//! that an object can gain or lose makes a line of its own: coming into the selection is `ADDED`,
//! leaving it is `DELETED`.

use std::{collections::VecDeque, io, time::Duration};

use axum::{body::Body, response::Response};
use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::store::{Change, ChangeKind, Watch, event_line};

use super::{
    address::Place,
    faults::{End, Faults, Seat},
    query::{From, Query},
    refusal::{Refusal, bytes_response},
    route::Context,
    selector::Selector,
};

/// How often a watch that allows it gets a bookmark.
const BOOKMARKS: Duration = Duration::from_secs(60);

/// How long before its end a watch gets its last bookmark.
const FAREWELL: Duration = Duration::from_secs(2);

/// How long a watch lives that does not say it, at least; real servers add up to as much again.
const LIFETIME: Duration = Duration::from_secs(1800);

struct Feed {
    place: Place,
    selector: Selector,
    watch: Watch,
    seat: Seat,
    ready: VecDeque<Bytes>,
    late: Option<(Instant, Bytes)>,
    bookmark: Option<Instant>,
    farewell: Option<Instant>,
    until: Instant,
    over: bool,
}

/// What happens next in a feed.
enum Step {
    Line(Bytes),
    Last(Bytes),
    Broken,
    Over,
    Again,
}

/// Opens a watch.
pub(super) fn open(context: &Context, place: &Place, user: &str, query: &Query) -> Response {
    match Feed::open(context, place, user, query) {
        Ok(feed) => {
            let lines = futures_util::stream::unfold(feed, Feed::next);
            bytes_response(StatusCode::OK, Body::from_stream(lines))
        }
        Err(refusal) => refusal.response(),
    }
}

impl Feed {
    fn open(context: &Context, place: &Place, user: &str, query: &Query) -> Result<Self, Refusal> {
        let selector = query.selector(&place.resource.kind)?;
        let (initial, bookmarked, from) = start(place, query)?;
        let kind = place.resource.kind.as_str();
        let mut ready = VecDeque::new();
        let after = if initial {
            let (objects, version) = context.store.list(kind, place.namespace_filter());
            let chosen = objects.iter().filter(|object| selector.matches(object));
            ready.extend(chosen.map(|object| event_line(ChangeKind::Added, object)));
            version
        } else {
            match from {
                From::Now => context.store.version(),
                From::Version(version) => version,
            }
        };
        if bookmarked {
            ready.push_back(bookmark(place, after, true));
        }
        let watch = context.store.watch_kind(kind, after);
        let mut over = false;
        if expired(&context.faults, kind, from, initial) {
            ready = VecDeque::from([error_line(&too_old(after, context.store.version()))]);
            over = true;
        }
        let now = Instant::now();
        let lifetime = query
            .seconds("timeoutSeconds")?
            .unwrap_or_else(|| LIFETIME.mul_f64(1.0 + fastrand::f64()));
        let until = now + lifetime;
        let wants = query.is_on("allowWatchBookmarks");
        Ok(Self {
            place: place.clone(),
            selector,
            watch,
            seat: context.faults.seat(kind, user),
            ready,
            late: None,
            bookmark: wants.then(|| now + BOOKMARKS),
            farewell: wants.then(|| now + lifetime.saturating_sub(FAREWELL)),
            until,
            over,
        })
    }

    async fn next(mut self) -> Option<(Result<Bytes, io::Error>, Self)> {
        loop {
            match self.step().await {
                Step::Line(line) => return Some((Ok(line), self)),
                Step::Last(line) => {
                    self.over = true;
                    return Some((Ok(line), self));
                }
                Step::Broken => {
                    self.over = true;
                    return Some((Err(io::Error::other("cut on demand")), self));
                }
                Step::Over => return None,
                Step::Again => {}
            }
        }
    }

    async fn step(&mut self) -> Step {
        let mood = *self.seat.mood.borrow_and_update();
        match mood.end {
            _ if self.over && self.ready.is_empty() => return Step::Over,
            Some(End::Cut) => return Step::Broken,
            _ if mood.silent => {
                // The sender lives in the seat's list as long as the seat does.
                let _ = self.seat.mood.changed().await;
                return Step::Again;
            }
            Some(End::Closed) => return Step::Over,
            Some(End::Expired) => return Step::Last(self.too_old()),
            None => {}
        }
        if let Some(line) = self.ready.pop_front() {
            return Step::Line(line);
        }
        let due = self.late.as_ref().map(|(due, _)| *due);
        let quiet = due.is_none();
        tokio::select! {
            biased;
            _ = self.seat.mood.changed() => Step::Again,
            () = tokio::time::sleep_until(due.unwrap_or(self.until)), if !quiet => {
                self.late.take().map_or(Step::Again, |(_, line)| Step::Line(line))
            }
            change = self.watch.next(), if quiet => match change {
                Ok(change) => self.line_of(&change).map_or(Step::Again, |line| {
                    if mood.delay.is_zero() {
                        return Step::Line(line);
                    }
                    self.late = Some((change.at + mood.delay, line));
                    Step::Again
                }),
                Err(_) => Step::Last(self.too_old()),
            },
            () = at(self.bookmark), if quiet => {
                self.bookmark = Some(Instant::now() + BOOKMARKS);
                Step::Line(self.bookmark_now())
            }
            () = at(self.farewell), if quiet => {
                (self.bookmark, self.farewell) = (None, None);
                Step::Line(self.bookmark_now())
            }
            () = tokio::time::sleep_until(self.until) => Step::Over,
        }
    }

    /// The line for a change, if it concerns this watch.
    fn line_of(&self, change: &Change) -> Option<Bytes> {
        if !self.place.namespace.is_empty() && change.key.namespace != self.place.namespace {
            return None;
        }
        let now = change.kind != ChangeKind::Deleted && self.selector.matches(&change.object);
        let before = change.before.as_deref().is_some_and(|before| self.selector.matches(before));
        let kind = match (before, now) {
            (false, false) => return None,
            (false, true) => ChangeKind::Added,
            (true, true) => ChangeKind::Modified,
            (true, false) => ChangeKind::Deleted,
        };
        let api_version = self.place.resource.api_version();
        if kind == change.kind && change.object["apiVersion"] == api_version {
            return Some(change.line());
        }
        let mut object = match (&change.before, kind) {
            (Some(before), ChangeKind::Deleted) => (**before).clone(),
            _ => (*change.object).clone(),
        };
        object["apiVersion"] = api_version.into();
        object["metadata"]["resourceVersion"] = change.rv.to_string().into();
        Some(event_line(kind, &object))
    }

    /// A bookmark at the last version that this watch has shown everything of.
    fn bookmark_now(&self) -> Bytes {
        bookmark(&self.place, self.watch.position(), false)
    }

    fn too_old(&self) -> Bytes {
        let position = self.watch.position();
        error_line(&too_old(position, position + 1))
    }
}

/// Whether to begin with what is there, whether to mark its end, and from where to go on.
fn start(place: &Place, query: &Query) -> Result<(bool, bool, From), Refusal> {
    let from = query.from()?;
    let matching = query.get("resourceVersionMatch");
    let refuse =
        |field: &str, problem: &str| Err(Refusal::invalid(&place.resource, "", field, problem));
    match (query.get("sendInitialEvents"), matching) {
        (None, None) => Ok((from == From::Now, false, from)),
        (None, Some(_)) => refuse(
            "resourceVersionMatch",
            "Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is \
             provided",
        ),
        (Some(_), Some("NotOlderThan")) => {
            let wanted = query.is_on("sendInitialEvents");
            Ok((wanted, wanted && query.is_on("allowWatchBookmarks"), from))
        }
        (Some(_), _) => refuse(
            "resourceVersionMatch",
            "Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
        ),
    }
}

fn expired(faults: &Faults, kind: &str, from: From, initial: bool) -> bool {
    match from {
        From::Version(version) => !initial && version < faults.expired_below(kind),
        From::Now => false,
    }
}

fn too_old(after: u64, newest: u64) -> Refusal {
    Refusal::expired(format!("too old resource version: {after} ({newest})"))
}

fn error_line(refusal: &Refusal) -> Bytes {
    line(&json!({ "type": "ERROR", "object": refusal.status() }))
}

fn bookmark(place: &Place, version: u64, end_of_initial_events: bool) -> Bytes {
    let mut metadata = json!({ "resourceVersion": version.to_string(), "creationTimestamp": null });
    if end_of_initial_events {
        metadata["annotations"] = json!({ "k8s.io/initial-events-end": "true" });
    }
    line(&json!({
        "type": "BOOKMARK",
        "object": {
            "kind": place.resource.kind,
            "apiVersion": place.resource.api_version(),
            "metadata": metadata,
        },
    }))
}

fn line(event: &Value) -> Bytes {
    format!("{event}\n").into()
}

async fn at(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => std::future::pending().await,
    }
}
