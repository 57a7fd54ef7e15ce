//! How long each step of the controllers takes, and the settings that Flux's own flags have.
//!
//! The defaults are medians of watch streams recorded from real controllers on one idle machine;
//! a demo or a test that wants a slow clone or a quick retry changes them, also while running.

use std::time::Duration;

/// Durations and limits of all controllers.
#[derive(Clone, Debug, PartialEq)]
pub struct Speeds {
    /// From the change of an object to the moment a free worker looks at it.
    pub pick_up: Duration,
    /// One write to the API; conditions and the rest of status are two writes.
    pub patch: Duration,
    /// One post to a reachable event server.
    pub event_post: Duration,
    /// Waits between the attempts to post to an event server that refuses connections.
    pub event_retries: Vec<Duration>,
    /// From the start of a controller's process to its first look at its objects.
    pub start: Duration,
    /// From a webhook's arrival to the annotation.
    pub receiver: Duration,
    /// Asking a git host which commit a reference has.
    pub list_remote: Duration,
    /// The clone that follows when the commit is new.
    pub clone: Duration,
    /// Listing the objects of a bucket, if its server is not slower.
    pub list_bucket: Duration,
    /// Fetching the objects that follows when the list is another one.
    pub fetch_objects: Duration,
    /// Until a refused connection to a git host is reported.
    pub unreachable: Duration,
    /// Until a git host has answered that a reference does not exist.
    pub missing_ref: Duration,
    /// Packing an artifact and writing it to storage.
    pub archive: Duration,
    /// Downloading and unpacking an artifact.
    pub fetch_artifact: Duration,
    /// Building manifests.
    pub build: Duration,
    /// Comparing with the cluster and applying.
    pub apply: Duration,
    /// One look at the health of what was applied.
    pub health_look: Duration,
    /// The time between two such looks.
    pub health_poll: Duration,
    /// Asking a registry for the tags of an image, or for one digest.
    pub scan: Duration,
    /// Pulling an artifact from a registry.
    pub pull_artifact: Duration,
    /// Choosing a tag.
    pub choose: Duration,
    /// Waits between looks at the tags of an image that has not been scanned yet.
    pub no_tags_retries: Vec<Duration>,
    /// The clone that image-automation-controller makes, if the git host is not slower.
    pub automation_clone: Duration,
    /// Setting values, committing, and the push up to the moment at which the host moves the ref.
    pub automation_push: Duration,
    /// From there to the end of the push, if the git host is not slower.
    pub automation_answer: Duration,
    /// Downloading the index of a chart repository, or finding the newest version of a chart.
    pub chart_index: Duration,
    /// Downloading a chart.
    pub chart_pull: Duration,
    /// From the change of a chart to the moment at which helm-controller hears of it.
    pub helm_hear: Duration,
    /// Reading the chart and the values of a release.
    pub helm_load: Duration,
    /// Getting ready for an action of Helm, and rendering the chart.
    pub helm_render: Duration,
    /// Applying what was rendered.
    pub helm_apply: Duration,
    /// Writing a release into Helm's storage.
    pub helm_record: Duration,
    /// Getting ready for a rollback.
    pub helm_rollback: Duration,
    /// Comparing a release with what is wished for.
    pub helm_observe: Duration,
    /// How long helm-controller waits after a rollback for a history that never comes.
    pub helm_history: Duration,
    /// Reconciliations of helm-controller at a time.
    pub helm_workers: usize,
    /// Wait after a dependency was not ready, or an artifact not there.
    pub dependency_requeue: Duration,
    /// The same of source-watcher.
    pub watcher_requeue: Duration,
    /// First wait after a failure; doubles with each further one.
    pub min_retry: Duration,
    /// Longest wait after a failure.
    pub max_retry: Duration,
    /// How far an interval may be off, in percent of it, either way.
    pub jitter_percent: u8,
    /// Makes the jitter repeatable; none takes a random seed.
    pub jitter_seed: Option<u64>,
    /// Reconciliations of source-controller at a time.
    pub source_workers: usize,
    /// Reconciliations of kustomize-controller at a time.
    pub kustomize_workers: usize,
    /// Reconciliations of image-reflector-controller at a time, for each kind.
    pub reflector_workers: usize,
    /// Reconciliations of image-automation-controller at a time.
    pub automation_workers: usize,
    /// Reconciliations of source-watcher at a time.
    pub watcher_workers: usize,
    /// Reconciliations of notification-controller at a time.
    pub notification_workers: usize,
    /// How long the event server swallows repetitions of an event.
    pub event_window: Duration,
    /// Waits between the attempts to deliver to a provider, all inside its timeout.
    pub provider_retries: Vec<Duration>,
    /// How long a delivery may take in all, where the provider does not say.
    pub provider_timeout: Duration,
}

impl Default for Speeds {
    fn default() -> Self {
        let ms = Duration::from_millis;
        let s = Duration::from_secs;
        Self {
            pick_up: ms(2),
            patch: ms(4),
            event_post: ms(3),
            event_retries: vec![s(1), s(2), s(4), s(8)],
            start: ms(420),
            receiver: ms(5),
            list_remote: ms(12),
            clone: ms(104),
            list_bucket: ms(18),
            fetch_objects: ms(50),
            unreachable: ms(18),
            missing_ref: ms(70),
            archive: ms(9),
            fetch_artifact: ms(9),
            build: ms(55),
            apply: ms(8),
            health_look: ms(9),
            health_poll: s(5),
            scan: ms(6),
            pull_artifact: ms(14),
            choose: ms(2),
            no_tags_retries: vec![s(1), s(1), s(2), s(3)],
            automation_clone: ms(68),
            automation_push: ms(100),
            automation_answer: ms(62),
            chart_index: ms(6),
            chart_pull: ms(8),
            helm_hear: ms(6),
            helm_load: ms(8),
            helm_render: ms(100),
            helm_apply: ms(28),
            helm_record: ms(14),
            helm_rollback: ms(90),
            helm_observe: ms(36),
            helm_history: s(10),
            helm_workers: 4,
            dependency_requeue: s(30),
            watcher_requeue: s(5),
            min_retry: ms(750),
            max_retry: s(15 * 60),
            jitter_percent: 5,
            jitter_seed: None,
            source_workers: 2,
            kustomize_workers: 4,
            reflector_workers: 4,
            automation_workers: 4,
            watcher_workers: 10,
            notification_workers: 4,
            event_window: s(5 * 60),
            provider_retries: vec![s(2), s(4), s(8)],
            provider_timeout: s(15),
        }
    }
}

impl Speeds {
    /// The wait after the `failures`-th failure in a row, counted from 0.
    #[must_use]
    pub fn backoff(&self, failures: u32) -> Duration {
        let factor = 1_u32.checked_shl(failures).unwrap_or(u32::MAX);
        self.min_retry.checked_mul(factor).unwrap_or(self.max_retry).min(self.max_retry)
    }

    /// `interval`, off by at most the jitter; `dice` is between 0 and 1.
    #[must_use]
    pub fn jittered(&self, interval: Duration, dice: f64) -> Duration {
        let most = f64::from(self.jitter_percent) / 100.0;
        interval.mul_f64((1.0 + most * (2.0 * dice - 1.0)).max(0.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_retried_after_750_ms_doubling_up_to_15_minutes() {
        let speeds = Speeds::default();
        let series: Vec<u128> = (0..6).map(|n| speeds.backoff(n).as_millis()).collect();
        assert_eq!(series, [750, 1500, 3000, 6000, 12_000, 24_000]);
        for failures in [11, 31, 32, 1000] {
            assert_eq!(speeds.backoff(failures), Duration::from_secs(900), "{failures} failures");
        }
    }

    #[test]
    fn an_interval_is_off_by_five_percent_at_most() {
        let speeds = Speeds::default();
        let interval = Duration::from_secs(60);
        assert_eq!(speeds.jittered(interval, 0.0), Duration::from_secs(57));
        assert_eq!(speeds.jittered(interval, 0.5), interval);
        assert_eq!(speeds.jittered(interval, 1.0), Duration::from_secs(63));
    }
}
