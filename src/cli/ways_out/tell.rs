//! Tells of runs, one after the other, on a task of its own.
//!
//! A run that was not taken is not made up for by the next one, so it is tried a few times; then it
//! is lost, and counted. Who asks for patience gets it, while runs wait in their short line.

use crate::cli::ways_out::ear::{FinishedRun, Heard};
use crate::cli::ways_out::line::Line;
use crate::cli::ways_out::pace::{Attempt, MOST_PATIENCE, Pace, insist};
use crate::remote::post::NotTaken;
use async_trait::async_trait;
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tokio::time::sleep;

/// A way out of runs.
#[async_trait]
pub(super) trait Tell: Send {
    /// Tells of a run that has ended.
    async fn tell(&mut self, run: &FinishedRun) -> Result<(), NotTaken>;
}

/// One run for one way.
struct Telling<'a> {
    way: &'a mut dyn Tell,
    run: &'a FinishedRun,
}

// === impl Telling ===

#[async_trait]
impl Attempt for Telling<'_> {
    async fn attempt(&mut self) -> Result<(), NotTaken> {
        self.way.tell(self.run).await
    }
}

/// Tells of runs until it is told to stop, and then of those that wait, as long as that may take.
pub(super) async fn tell_all(
    mut way: Box<dyn Tell>,
    mut line: Line,
    mut heard: Heard,
    pace: Pace,
    stop: oneshot::Receiver<()>,
) {
    let (end, ending) = watch::channel(false);
    let bound = async {
        // If nobody is left who could say it, this is the end as well.
        let _ = stop.await;
        end.send_replace(true);
        sleep(pace.flush).await;
    };
    let mut under_way = 0;
    let whole = tokio::select! {
        biased;
        () = attend(&mut *way, &mut line, &mut heard, pace.limit, (ending, &mut under_way)) => true,
        () = bound => false,
    };
    line.dropped(heard.dropped());
    if !whole {
        line.left_behind(under_way + u32::try_from(heard.runs.len()).unwrap_or(u32::MAX));
    }
}

/// Tells of runs until the end, and of those that wait then.
async fn attend(
    way: &mut dyn Tell,
    line: &mut Line,
    heard: &mut Heard,
    limit: Duration,
    (mut ending, under_way): (watch::Receiver<bool>, &mut u32),
) {
    let mut closed = false;
    loop {
        let run = tokio::select! {
            biased;
            run = heard.runs.recv() => run,
            () = until(&mut ending), if !closed => {
                // What comes from now on is dropped where it comes from.
                heard.runs.close();
                closed = true;
                continue;
            }
        };
        let Some(run) = run else { return };
        line.dropped(heard.dropped());
        *under_way = 1;
        let result = insist(&mut Telling { way, run: &run }, limit).await;
        *under_way = 0;
        let Err(error) = result else {
            line.sent();
            continue;
        };
        line.failed(&error.to_string());
        if let NotTaken::Later { after: Some(after), .. } = error {
            tokio::select! {
                () = sleep(after.min(MOST_PATIENCE)) => (),
                () = until(&mut ending) => (),
            }
        }
    }
}

/// Waits for the end; if nobody is left who could say it, that is the end as well.
async fn until(ending: &mut watch::Receiver<bool>) {
    let _ = ending.wait_for(|it| *it).await;
}
