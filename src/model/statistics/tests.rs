//! Percentiles are exact, and intervals hold what they promise.

use crate::model::statistics::comparison::Dice;
use crate::model::statistics::{Comparison, Difference, Sample, Share, Time, Verdict, compare};
use proptest::prelude::*;

fn measured(times: impl IntoIterator<Item = f64>) -> Sample {
    times.into_iter().map(Time::Measured).collect()
}

/// So many times of a skewed distribution whose median is `median`.
fn skewed(dice: &mut Dice, count: usize, median: f64) -> Vec<f64> {
    let share = |dice: &mut Dice| {
        (f64::from(u32::try_from(dice.below(1 << 30)).unwrap()) + 0.5) / f64::from(1 << 30)
    };
    let normal = |dice: &mut Dice| {
        (-2.0 * share(dice).ln()).sqrt() * (std::f64::consts::TAU * share(dice)).cos()
    };
    (0..count).map(|_| median * (0.8 * normal(dice)).exp()).collect()
}

fn found(comparison: Comparison) -> Difference {
    match comparison {
        Comparison::Found(it) => it,
        Comparison::TooFew { .. } => panic!("{comparison:?}"),
    }
}

#[test]
fn a_percentile_is_the_time_of_its_rank() {
    let ten = measured((1..=10).map(f64::from));
    for (share, time) in [(Share::MEDIAN, 5.0), (Share::P90, 9.0), (Share::P99, 10.0)] {
        assert_eq!(ten.percentile(share), Some(Time::Measured(time)));
    }
    let hundred = measured((1..=100).rev().map(f64::from));
    for (share, time) in [(Share::MEDIAN, 50.0), (Share::P90, 90.0), (Share::P99, 99.0)] {
        assert_eq!(hundred.percentile(share), Some(Time::Measured(time)));
    }
    assert_eq!(measured([7.0]).percentile(Share::MEDIAN), Some(Time::Measured(7.0)));
    assert_eq!(measured([3.0, 1.0, 2.0]).percentile(Share::MEDIAN), Some(Time::Measured(2.0)));
    assert_eq!(Sample::default().percentile(Share::MEDIAN), None);
    assert_eq!(Sample::default().longest(), None);
}

#[test]
fn a_percentile_that_would_be_the_longest_is_not_supported() {
    let supports = |count: u32, share| measured((0..count).map(f64::from)).supports(share);
    assert!(!supports(9, Share::P90) && supports(10, Share::P90));
    assert!(!supports(99, Share::P99) && supports(100, Share::P99));
}

#[test]
fn a_percentile_among_the_timeouts_is_beyond_the_deadline() {
    let times = (1..=9).map(|it| Time::Measured(f64::from(it)));
    let sample: Sample = times.chain([Time::Beyond(540.0)]).collect();
    assert_eq!((sample.count(), sample.censored()), (10, 1));
    assert_eq!(sample.percentile(Share::P90), Some(Time::Measured(9.0)));
    assert_eq!(sample.percentile(Share::P99), Some(Time::Beyond(540.0)));
    // One that was given up early may have been longer than any: what is behind it is a bound.
    let early: Sample =
        [Time::Measured(1.0), Time::Beyond(2.0), Time::Measured(3.0)].into_iter().collect();
    assert_eq!(early.percentile(Share::MEDIAN), Some(Time::Beyond(2.0)));
    assert_eq!(early.longest(), Some(Time::Beyond(3.0)));
}

#[test]
fn a_clear_change_is_found_and_the_same_again_is_not() {
    let mut dice = Dice(1);
    let before = measured(skewed(&mut dice, 60, 2.0));
    let after = measured(skewed(&mut dice, 60, 6.0));
    let difference = found(compare(&before, &after, Share::MEDIAN));
    assert_eq!(difference.verdict, Verdict::Slower);
    assert!(difference.low < difference.least && difference.least < difference.high);
    assert!((difference.most - difference.least).abs() < f64::EPSILON);
    assert_eq!(found(compare(&after, &before, Share::MEDIAN)).verdict, Verdict::Faster);
    assert_eq!(found(compare(&before, &before, Share::P90)).verdict, Verdict::NoDifference);
    assert_eq!(
        found(compare(&before, &after, Share::MEDIAN)),
        difference,
        "the same samples get the same answer"
    );
}

#[test]
fn too_few_times_say_nothing() {
    let few = measured([1.0, 2.0, 3.0, 4.0]);
    let enough = measured((0..8).map(f64::from));
    let said = Comparison::TooFew { before: 4, after: 8, least: 8 };
    assert_eq!(compare(&few, &enough, Share::MEDIAN), said);
    let said = Comparison::TooFew { before: 8, after: 8, least: 50 };
    assert_eq!(compare(&enough, &enough, Share::P90), said);
    let said = Comparison::TooFew { before: 0, after: 8, least: 8 };
    assert_eq!(compare(&Sample::default(), &enough, Share::MEDIAN), said);
}

#[test]
fn a_delivery_that_broke_is_slower_by_more_than_can_be_said() {
    let before = measured((1..=20).map(f64::from));
    let after: Sample = (0..20).map(|_| Time::Beyond(540.0)).collect();
    let difference = found(compare(&before, &after, Share::MEDIAN));
    assert_eq!(difference.verdict, Verdict::Slower);
    assert!((difference.least - 530.0).abs() < f64::EPSILON && difference.most.is_infinite());
    assert!(difference.low > 500.0 && difference.high.is_infinite());
    let difference = found(compare(&after, &after, Share::MEDIAN));
    assert_eq!(difference.verdict, Verdict::Unknown);
}

/// How often the interval holds the true difference.
fn coverage(count: usize, share: Share, truth: f64) -> f64 {
    let repetitions = 150;
    let mut dice = Dice(42);
    let holds = (0..repetitions).filter(|_| {
        let before = measured(skewed(&mut dice, count, 2.0));
        let after = measured(skewed(&mut dice, count, 3.0));
        let difference = found(compare(&before, &after, share));
        difference.low <= truth && truth <= difference.high
    });
    f64::from(u32::try_from(holds.count()).unwrap()) / f64::from(repetitions)
}

#[test]
fn intervals_hold_the_truth_about_as_often_as_they_say() {
    for count in [8, 15, 40] {
        let held = coverage(count, Share::MEDIAN, 1.0);
        assert!((0.91..=1.0).contains(&held), "{count}: {held}");
    }
    // exp(0.8 * 1.2816), the distribution's own ninetieth percentile for a median of one.
    let held = coverage(50, Share::P90, (0.8_f64 * 1.281_551_6).exp());
    assert!((0.88..=0.995).contains(&held), "{held}");
}

proptest! {
    #[test]
    fn property_at_least_the_share_lies_at_or_below_and_less_strictly_below(
        times in proptest::collection::vec(0.0..1e6_f64, 1..200),
        share in proptest::sample::select(&[(Share::MEDIAN, 500), (Share::P90, 900), (Share::P99, 990)][..]),
    ) {
        let found = measured(times.clone()).percentile(share.0).unwrap().seconds();
        let at_or_below = times.iter().filter(|it| **it <= found).count();
        let below = times.iter().filter(|it| **it < found).count();
        prop_assert!(times.contains(&found));
        prop_assert!(at_or_below * 1000 >= times.len() * share.1);
        prop_assert!(below * 1000 < times.len() * share.1);
    }

    #[test]
    fn property_a_censored_sample_never_claims_more_than_is_known(
        times in proptest::collection::vec((0.0..1e3_f64, any::<bool>()), 1..60),
    ) {
        let all: Sample = times.iter().map(|it| Time::Measured(it.0)).collect();
        let some = |it: &(f64, bool)| if it.1 { Time::Beyond(it.0) } else { Time::Measured(it.0) };
        let censored: Sample = times.iter().map(some).collect();
        for share in [Share::MEDIAN, Share::P90, Share::P99] {
            let (exact, bound) = (all.percentile(share).unwrap(), censored.percentile(share).unwrap());
            prop_assert!(bound.seconds() <= exact.seconds());
            if let Time::Measured(it) = bound {
                prop_assert!((it - exact.seconds()).abs() < f64::EPSILON);
            }
        }
    }
}
