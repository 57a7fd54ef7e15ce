//! A service that is killed again and again: the short form of the soak in `benches`.

use crate::cli::killed_kit::{Course, Soak};
use std::time::Duration;
use tokio::time::Instant;

const KILLS: u32 = 4;

#[tokio::test]
async fn o4_a_service_killed_at_random_instants_loses_and_doubles_nothing() {
    let course = Course { lanes: 3, schedule: "every: 4s, jitter: 1s", deadline: "2s" };
    let mut soak = Soak::new(course).await;
    let mut chance = fastrand::Rng::with_seed(11);
    let mut rows = 0;
    for _ in 0..KILLS {
        soak.start().await;
        let life = Duration::from_millis(chance.u64(1_000..5_000));
        soak.until_then(Instant::now() + life).await;
        let standing = soak.kill().await;
        assert!(standing.rows >= rows, "{standing:?}");
        rows = standing.rows;
    }
    soak.start().await;
    let last = soak.finish().await;
    assert!(soak.violations.is_empty(), "{:#?}", soak.violations);
    assert_eq!((last.account.finished, last.account.in_flight), (last.rows, 0));
    assert!(last.rows > 0, "{last:?}");
}
