//! Posting events: a blocking call in the middle of a reconciliation, and a Kubernetes Event first.
//!
//! A server that refuses connections is tried again after 1, 2, 4 and 8 seconds, so each event
//! costs its controller fifteen seconds and is then dropped.

use std::sync::Arc;

use serde_json::Value;
use tokio::time::sleep;

use super::Event;
use super::InvolvedObject;
use super::Severity;
use super::event;
use super::record::record;
use crate::flux::context::Context;
use crate::flux::gotime;

/// Posts the events of one controller.
pub(crate) struct Recorder {
    context: Arc<Context>,
    controller: &'static str,
}

impl Recorder {
    pub(crate) fn new(context: Arc<Context>, controller: &'static str) -> Self {
        Self { context, controller }
    }

    /// Posts one event and waits until it is taken or given up.
    pub(crate) async fn post(
        &self,
        object: &Value,
        severity: Severity,
        reason: &str,
        message: &str,
        metadata: &[(&str, &str)],
    ) {
        let speeds = self.context.speeds();
        let mut all: std::collections::BTreeMap<String, String> =
            event::annotations_of(object).collect();
        all.extend(metadata.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
        let event = Event {
            involved_object: InvolvedObject::of(object),
            severity,
            timestamp: gotime::seconds(self.context.store.now()),
            message: message.to_owned(),
            reason: reason.to_owned(),
            metadata: all,
            reporting_controller: self.controller.to_owned(),
            reporting_instance: format!("{}-0", self.controller),
        };
        record(&self.context.store, &event);
        let mut waits = speeds.event_retries.iter();
        loop {
            sleep(speeds.event_post).await;
            if self.context.events.is_up() {
                self.context.events.take(&event, &speeds);
                return;
            }
            let Some(wait) = waits.next() else {
                self.context.events.lose();
                return;
            };
            sleep(*wait).await;
        }
    }
}
