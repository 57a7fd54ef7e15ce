//! A simulated hopclock: what its pods would show, minute by minute.
//!
//! It knows nothing of the rules. Runs begin at ticks, end after a while, and move the counters as
//! `export` does; pods come and go, with the totals or without.

use std::collections::BTreeMap;
use std::fmt::Write;

/// One scenario of one installation.
pub(crate) struct World {
    pub(crate) scenario: &'static str,
    /// In minutes, as everything here.
    pub(crate) period: u32,
    /// Minutes of each day at which a run is due, if they are not a period apart.
    pub(crate) times: Vec<u32>,
    pub(crate) deadline: u32,
    pub(crate) until: u32,
    /// Time between two samples.
    pub(crate) step: u32,
    /// When pods run: from, until.
    pub(crate) pods: Vec<(u32, u32)>,
    /// Whether pods end with their node, so that nobody marks the end of their series.
    pub(crate) dies: bool,
    /// Whether a pod goes on with the totals of the one before.
    pub(crate) keeps_totals: bool,
    /// When no run begins: from, until.
    pub(crate) pauses: Vec<(u32, u32)>,
    /// When no run begins though it should.
    pub(crate) hangs: Option<u32>,
    /// When nothing is scraped: from, until.
    pub(crate) gaps: Vec<(u32, u32)>,
    /// What a run that begins at a minute comes to.
    pub(crate) run: Box<dyn FnMut(u32) -> Run>,
}

/// What a run comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) outcome: &'static str,
    pub(crate) takes: u32,
    pub(crate) webhook: &'static str,
    pub(crate) notification: &'static str,
    pub(crate) leaves: u32,
}

/// A delivery in time.
pub(crate) const OK: Run =
    Run { outcome: "ok", takes: 1, webhook: "ours", notification: "heard", leaves: 0 };

/// A delivery that misses its objective of two minutes.
pub(crate) const SLOW: Run = Run { outcome: "slow", takes: 4, ..OK };

/// No delivery by the deadline, which the fastest scenario has after four minutes.
pub(crate) const TIMEOUT: Run = Run { outcome: "timeout", takes: 4, webhook: "", ..OK };

const OUTCOMES: [&str; 7] =
    ["ok", "slow", "failed", "timeout", "superseded", "skipped", "probe_error"];

/// When an objective is missed, if it is.
const CROSSING: u32 = 2;

/// Totals, as they are carried from pod to pod.
#[derive(Clone, Default)]
struct Totals(BTreeMap<String, f64>);

struct Flight {
    run: Run,
    began: u32,
    decided: bool,
}

// === impl World ===

impl World {
    /// Ten hours of a scenario that runs every quarter of an hour, in one pod, without trouble.
    pub(crate) fn calm(scenario: &'static str) -> Self {
        Self {
            scenario,
            period: 15,
            times: Vec::new(),
            deadline: 9,
            until: 600,
            step: 1,
            pods: vec![(0, u32::MAX)],
            dies: false,
            keeps_totals: true,
            pauses: Vec::new(),
            hangs: None,
            gaps: Vec::new(),
            run: Box::new(|_| OK),
        }
    }

    /// The same, with runs that come to this from a minute on.
    pub(crate) fn from(mut self, minute: u32, run: Run) -> Self {
        self.run = Box::new(move |at| if at >= minute { run } else { OK });
        self
    }

    /// The same, with runs that come to this in some minutes.
    pub(crate) fn during(mut self, minutes: std::ops::Range<u32>, run: Run) -> Self {
        self.run = Box::new(move |at| if minutes.contains(&at) { run } else { OK });
        self
    }

    /// The same for longer or shorter.
    pub(crate) fn until(mut self, minute: u32) -> Self {
        self.until = minute;
        self
    }

    /// The series, as promtool reads them: name with labels, and values.
    pub(crate) fn series(mut self) -> Vec<(String, String)> {
        let mut shown: BTreeMap<String, BTreeMap<u32, f64>> = BTreeMap::new();
        let mut totals = Self::zero();
        let mut pod = None;
        let mut flight: Option<Flight> = None;
        let mut next = 0;
        for minute in 0..=self.until {
            let now = self.pods.iter().position(|it| it.0 <= minute && minute < it.1);
            if now != pod {
                pod = now;
                if flight.take().is_some() && self.keeps_totals {
                    totals.add("hopclock_runs_total", "outcome=\"probe_error\"", 1.0);
                }
                if !self.keeps_totals {
                    totals = Self::zero();
                }
                next = self.tick_after(minute);
            }
            if pod.is_none() {
                continue;
            }
            let due = self.ticks_at(minute) && !self.is_paused(minute);
            if due && flight.is_none() && self.hangs.is_none_or(|it| minute < it) {
                flight = Some(Flight { run: (self.run)(minute), began: minute, decided: false });
            }
            if let Some(it) = &mut flight {
                it.decide(&mut totals, minute);
                if minute >= it.began + it.run.takes {
                    it.end(&mut totals);
                    flight = None;
                    next = self.tick_after(minute);
                }
            }
            let is_scraped = self.gaps.iter().all(|it| minute < it.0 || minute >= it.1);
            if minute % self.step == 0 && is_scraped {
                let age = flight.as_ref().map_or(0, |it| minute - it.began);
                self.show(&mut shown, pod.unwrap(), minute, &totals, (next, age));
            }
        }
        shown.into_iter().map(|(name, values)| (name, self.values(&values))).collect()
    }

    fn zero() -> Totals {
        let mut totals = Totals::default();
        for it in OUTCOMES {
            totals.add("hopclock_runs_total", &format!("outcome=\"{it}\""), 0.0);
        }
        for it in ["hopclock_slo_events_total", "hopclock_slo_bad_events_total"] {
            totals.add(it, "slo=\"total\"", 0.0);
        }
        for it in ["ours", "none"] {
            totals.add("hopclock_webhooks_total", &webhook(it), 0.0);
        }
        for it in ["heard", "lost"] {
            totals.add("hopclock_hop_notifications_total", &notification(it), 0.0);
        }
        totals.add("hopclock_leftovers", "", 0.0);
        totals
    }

    fn is_paused(&self, minute: u32) -> bool {
        self.pauses.iter().any(|it| it.0 <= minute && minute < it.1)
    }

    fn ticks_at(&self, minute: u32) -> bool {
        if self.times.is_empty() {
            minute.is_multiple_of(self.period)
        } else {
            self.times.contains(&(minute % (24 * 60)))
        }
    }

    /// The first tick after a minute that no pause takes.
    fn tick_after(&self, minute: u32) -> u32 {
        let later = self.until + self.period;
        let mut ticks = (minute + 1..=later).filter(|it| self.ticks_at(*it));
        ticks.find(|it| !self.is_paused(*it)).unwrap_or(later)
    }

    fn show(
        &self,
        shown: &mut BTreeMap<String, BTreeMap<u32, f64>>,
        pod: usize,
        minute: u32,
        totals: &Totals,
        (next, age): (u32, u32),
    ) {
        let of_pod = of_pod(pod);
        let mut put = |name: &str, labels: &str, value: f64| {
            let comma = if labels.is_empty() { "" } else { ", " };
            let series = format!("{name}{{{of_pod}{comma}{labels}}}");
            shown.entry(series).or_default().insert(minute, value);
        };
        let scenario = format!("scenario=\"{}\"", self.scenario);
        for (series, value) in &totals.0 {
            let (name, labels) = series.split_once(' ').unwrap();
            let comma = if labels.is_empty() { "" } else { ", " };
            put(name, &format!("{scenario}{comma}{labels}"), *value);
        }
        let seconds = |minutes: u32| f64::from(minutes * 60);
        put("hopclock_scenario_period_seconds", &scenario, seconds(self.period));
        put("hopclock_scenario_deadline_seconds", &scenario, seconds(self.deadline));
        put("hopclock_next_run_timestamp_seconds", &scenario, seconds(next));
        put("hopclock_run_in_flight_seconds", &scenario, seconds(age));
        put("hopclock_slo_objective_ratio", &format!("{scenario}, slo=\"total\""), 0.99);
        put("hopclock_build_info", "version=\"1\"", 1.0);
        put("hopclock_config_last_reload_successful", "", 1.0);
        put("hopclock_state_saved", "", 1.0);
    }

    /// Values at each step; where a series ends for good it is marked stale, as Prometheus does if
    /// it sees its target go.
    fn values(&self, values: &BTreeMap<u32, f64>) -> String {
        let last = *values.last_key_value().unwrap().0;
        let mut text = String::new();
        for minute in (0..=self.until).filter(|it| it % self.step == 0) {
            match values.get(&minute) {
                Some(value) => write!(text, "{value} ").unwrap(),
                None if minute == last + self.step && !self.dies => text += "stale ",
                None => text += "_ ",
            }
        }
        text
    }
}

// === impl Flight ===

impl Flight {
    /// Counts the decision on the objective: when it is met or crossed.
    fn decide(&mut self, totals: &mut Totals, minute: u32) {
        let bad = match self.run.outcome {
            "ok" => false,
            "slow" | "failed" | "timeout" => true,
            _ => return,
        };
        let at = self.began + if bad { CROSSING } else { self.run.takes };
        if minute >= at && !self.decided {
            self.decided = true;
            totals.add("hopclock_slo_events_total", "slo=\"total\"", 1.0);
            totals.add("hopclock_slo_bad_events_total", "slo=\"total\"", f64::from(u8::from(bad)));
        }
    }

    fn end(&self, totals: &mut Totals) {
        let run = self.run;
        totals.add("hopclock_runs_total", &format!("outcome=\"{}\"", run.outcome), 1.0);
        let measured = ["ok", "slow", "failed", "timeout"].contains(&run.outcome);
        if measured && !run.webhook.is_empty() {
            totals.add("hopclock_webhooks_total", &webhook(run.webhook), 1.0);
        }
        if ["ok", "slow"].contains(&run.outcome) {
            totals.add("hopclock_hop_notifications_total", &notification(run.notification), 1.0);
        }
        totals.add("hopclock_leftovers", "", f64::from(run.leaves));
    }
}

// === impl Totals ===

impl Totals {
    fn add(&mut self, name: &str, labels: &str, more: f64) {
        *self.0.entry(format!("{name} {labels}")).or_default() += more;
    }
}

/// The labels of all series of a pod: each is scraped under an address of its own.
pub(crate) fn of_pod(pod: usize) -> String {
    let address = format!("instance=\"10.0.{pod}.7:9464\"");
    format!("{address}, job=\"hopclock\", namespace=\"hopclock\", pod=\"hopclock-{pod}\"")
}

fn webhook(whose: &str) -> String {
    format!("hop=\"webhook_received\", target_cluster=\"\", webhook=\"{whose}\"")
}

fn notification(came: &str) -> String {
    format!("hop=\"notified\", target_cluster=\"\", notification=\"{came}\"")
}
