//! Whether our clock agrees with those of the API servers that were reached.

use crate::cluster::Clusters;
use crate::model::Duration;
use crate::path::checkup::{Finding, table};
use jiff::SignedDuration;

/// What clocks may differ by.
const MOST: SignedDuration = SignedDuration::from_secs(5);

/// The clocks that differ from ours.
pub(super) async fn check(clusters: &Clusters) -> Vec<Finding> {
    let mut found = Vec::new();
    for (_, cluster) in clusters.reached() {
        // A server that tells no time, or just fell silent, says nothing of clocks.
        if let Ok(Some(skew)) = cluster.skew().await {
            found.extend(judge(cluster.server(), skew));
        }
    }
    found
}

fn judge(server: &str, skew: SignedDuration) -> Option<Finding> {
    if skew.abs() <= MOST {
        return None;
    }
    let by = Duration(std::time::Duration::from_secs(skew.unsigned_abs().as_secs()));
    let way = if skew.is_positive() { "ahead of" } else { "behind" };
    Some(Finding::general(
        table::CLOCK_SKEW,
        format!(
            "our clock is {by} {way} that of the API server at `{server}`: signatures, tokens and Leases may be refused"
        ),
        "synchronise both with NTP".to_owned(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_may_be_five_seconds_apart() {
        let judge = |seconds| judge("https://h", SignedDuration::from_secs(seconds));
        assert_eq!((judge(0), judge(5), judge(-5)), (None, None, None));
        assert!(judge(90).unwrap().problem.starts_with("our clock is 1m30s ahead of that of"));
        assert!(judge(-6).unwrap().problem.starts_with("our clock is 6s behind that of"));
    }
}
