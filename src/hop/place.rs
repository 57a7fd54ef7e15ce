//! Where in the path a kind of hop stands.
//!
//! Decides what a hop follows where the scenario does not say (rule P1), whether its subject may be
//! absent (rule P6), and whether push-to-apply ends there (rule P4).

/// Where in the path a kind of hop stands, in the order in which a change passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// A request on its way to the registry's watcher.
    ScanRequest,
    /// The registry's tags were read.
    Scan,
    /// A policy has chosen.
    Policy,
    /// An automation has committed the choice.
    Automation,
    /// The commit waits for its review.
    Proposal,
    /// The commit is on the branch that is fetched.
    Merge,
    /// A request on its way to the source.
    Request,
    /// The source holds the change.
    Fetch,
    /// A chart of the source holds it.
    Chart,
    /// The applier reports it.
    Apply,
    /// It is in the cluster.
    Live,
    /// All replicas run it.
    Rollout,
    /// An object of anybody's says what the scenario waits for.
    Condition,
    /// Somebody was told.
    Notify,
}

// === impl Place ===

impl Place {
    /// Where in the path the hops stand that one of this place follows, the nearest first (rule
    /// P1); where there is none of them it follows the push.
    #[must_use]
    pub fn follows(self) -> &'static [Self] {
        use Place::{Automation, Chart, Fetch, Live, Merge, Policy, Proposal, Scan};
        match self {
            Self::ScanRequest | Self::Scan => &[],
            Self::Policy => &[Scan],
            Self::Automation => &[Policy, Scan],
            Self::Proposal => &[Automation, Policy, Scan],
            Self::Merge => &[Proposal, Automation, Policy, Scan],
            Self::Request | Self::Fetch => &[Merge, Proposal, Automation, Policy, Scan],
            Self::Chart => &[Fetch, Merge, Proposal, Automation, Policy, Scan],
            Self::Apply | Self::Live | Self::Condition | Self::Notify => {
                &[Chart, Fetch, Merge, Proposal, Automation, Policy, Scan]
            }
            Self::Rollout => &[Live, Chart, Fetch, Merge, Proposal, Automation, Policy, Scan],
        }
    }

    /// Whether a hop is seen there by what is asked for, not by what was done.
    #[must_use]
    pub fn is_request(self) -> bool {
        matches!(self, Self::ScanRequest | Self::Request)
    }

    /// Whether the change makes the subject, so that it may be absent until then (rule P6). A
    /// listener shows nothing before somebody was told.
    #[must_use]
    pub fn may_be_absent(self) -> bool {
        matches!(self, Self::Live | Self::Rollout | Self::Condition | Self::Notify)
    }

    /// Whether push-to-apply ends there before it ends at an applier (rule P4).
    #[must_use]
    pub fn is_arrival(self) -> bool {
        matches!(self, Self::Live | Self::Rollout)
    }

    /// Whether what is seen there bounds when the hops before it were passed (rule T8).
    #[must_use]
    pub fn bounds_earlier_hops(self) -> bool {
        matches!(self, Self::Fetch | Self::Chart | Self::Apply | Self::Live | Self::Rollout)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p1_nothing_follows_what_comes_behind_it() {
        use Place::{
            Apply, Automation, Chart, Condition, Fetch, Live, Merge, Notify, Policy, Proposal,
            Request, Rollout, Scan, ScanRequest,
        };
        let all = [
            ScanRequest,
            Scan,
            Policy,
            Automation,
            Proposal,
            Merge,
            Request,
            Fetch,
            Chart,
            Apply,
            Live,
            Rollout,
            Condition,
            Notify,
        ];
        for place in all {
            let follows = place.follows();
            assert!(follows.iter().all(|it| *it < place), "{place:?}");
            assert!(follows.is_sorted_by(|one, next| one > next), "{place:?}: the nearest first");
        }
    }
}
