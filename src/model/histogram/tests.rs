//! What a histogram promises, for lengths that people meet and for random ones.

use super::*;
use proptest::prelude::*;

fn of(lengths: &[Duration]) -> Histogram {
    let mut all = Histogram::default();
    for length in lengths {
        all.observe(*length);
    }
    all
}

fn seconds(it: f64) -> Duration {
    Duration::from_secs_f64(it)
}

fn run(sequence: u64, value: f64, at: i64) -> Exemplar {
    let at = jiff::Timestamp::from_second(at).unwrap();
    Exemplar { canary: CanaryId::new("hopclock", sequence), value: seconds(value), at }
}

fn merged(one: &Histogram, other: &Histogram) -> Histogram {
    let mut all = one.clone();
    all.merge(other);
    all
}

/// Lengths from a quarter of a millisecond to half a year, more than any pipeline shows.
fn lengths() -> impl Strategy<Value = Vec<Duration>> {
    let length = prop_oneof![
        Just(Duration::ZERO),
        (0_u32..36, any::<u32>()).prop_map(|(octave, part)| {
            let start = 2_f64.powi(i32::try_from(octave).unwrap() - 12);
            seconds(start * (1.0 + f64::from(part) / 4_294_967_296.0))
        }),
    ];
    proptest::collection::vec(length, 0..400)
}

/// Histograms with a few exemplars.
fn histograms() -> impl Strategy<Value = Histogram> {
    let runs = proptest::collection::vec((0_u64..9, 0.0..4000.0_f64, 0_i64..5), 0..6);
    (lengths(), runs).prop_map(|(lengths, runs)| {
        let mut all = of(&lengths);
        for (sequence, value, at) in runs {
            all.observe_run(run(sequence, value, at));
        }
        all
    })
}

#[test]
fn a_bound_belongs_to_the_bucket_below_it() {
    let all = of(&[Duration::ZERO, seconds(0.1), seconds(0.100_001), seconds(60.0)]);
    let held: Vec<_> = all.classic().filter(|it| it.1 > 0).map(|it| (it.0, it.1)).collect();
    assert_eq!(held, [(0.1, 2), (0.5, 1), (60.0, 1)]);
    let powers = of(&[seconds(1.0), seconds(2.0), seconds(2.000_001), seconds(0.5)]);
    assert_eq!(powers.native().buckets().collect::<Vec<_>>(), [(-8, 1), (0, 1), (8, 1), (9, 1)]);
}

#[test]
fn what_is_longer_than_the_last_bound_is_counted_above_it() {
    let all = of(&[seconds(3600.0), seconds(3601.0), Duration::MAX]);
    let last: Vec<_> = all.classic().map(|it| it.1).collect();
    assert_eq!((last[13], last[14], all.count(), all.native().count()), (1, 2, 3, 3));
}

#[test]
fn about_a_millisecond_or_less_is_nothing() {
    let all = of(&[Duration::ZERO, Duration::from_micros(900), Duration::from_millis(2)]);
    assert_eq!(all.native().zero_count(), 2);
    assert_eq!(all.native().buckets().map(|it| it.1).sum::<u64>(), 1);
}

#[test]
fn bounds_grow_by_less_than_a_tenth() {
    let all = of(&[seconds(42.0)]);
    let (lower, upper, _) = all.native().ranges().last().unwrap();
    assert!(lower < 42.0 && 42.0 <= upper && upper / lower < 1.1, "({lower}, {upper}]");
}

#[test]
fn many_different_lengths_lower_the_schema_and_lose_none() {
    let mut lengths = Vec::new();
    for octave in -9..30 {
        (0..8)
            .for_each(|it| lengths.push(seconds((f64::from(octave) + f64::from(it) / 8.0).exp2())));
    }
    let all = of(&lengths);
    assert!(all.native().schema() < native::FINEST);
    assert!(all.native().buckets().count() <= native::MOST_BUCKETS);
    assert_eq!((all.count(), all.native().count()), (312, 312));
}

#[test]
fn a_bucket_keeps_its_latest_run() {
    let mut all = Histogram::default();
    all.observe_run(run(1, 42.0, 100));
    all.observe_run(run(2, 43.0, 300));
    all.observe_run(run(3, 44.0, 200));
    all.observe_run(run(4, 0.2, 50));
    let kept: Vec<_> =
        all.classic().filter_map(|it| Some((it.0, it.2?.canary.sequence()))).collect();
    assert_eq!(kept, [(0.5, 4), (60.0, 2)]);
    assert_eq!(all.count(), 4);
}

#[test]
fn an_empty_histogram_has_no_quantile() {
    assert_eq!(Histogram::default().classic_quantile(0.5), None);
    assert_eq!(Histogram::default().native_quantile(0.5), None);
}

#[test]
fn the_saved_form_is_small_and_readable() {
    let mut all = of(&[Duration::ZERO, seconds(0.3), seconds(0.3)]);
    all.observe_run(run(0x1a1_fbe6_7da8, 4.0, 1_700_000_000));
    let text = serde_json::to_string(&all).unwrap();
    let (counts, exemplars) = text.split_once(r#","exemplars":"#).unwrap();
    assert_eq!(
        counts,
        r#"{"version":1,"sum_ns":4600000000,"classic":[1,2,0,0,1],"schema":3,"zero":1,"#.to_owned()
            + r#""native":[[-13,2],[16,1]]"#
    );
    assert_eq!(
        exemplars,
        r#"[[4,{"canary":"hopclock-1a1fbe67da8","value":{"secs":4,"nanos":0},"#.to_owned()
            + r#""at":"2023-11-14T22:13:20Z"}]]}"#
    );
}

#[test]
fn a_damaged_or_foreign_histogram_is_refused() {
    let read = |text: &str| serde_json::from_str::<Histogram>(text).unwrap_err().to_string();
    let form = |version: u32, classic: &str, schema: i32, native: &str| {
        let counts = format!(r#""classic":{classic},"zero":0,"native":{native}"#);
        format!(r#"{{"version":{version},"sum_ns":5,"schema":{schema},{counts}}}"#)
    };
    assert!(serde_json::from_str::<Histogram>(&form(1, "[2]", 3, "[[-20,2]]")).is_ok());
    assert!(read(&form(2, "[]", 3, "[]")).contains("has version 2, but this hopclock reads"));
    assert!(read(&form(1, "[1]", 3, "[]")).contains("classic and native counts differ"));
    assert!(read(&form(1, "[2]", 9, "[[1,2]]")).contains("out of range"));
    assert!(read(&form(1, "[2]", 3, "[[1,1],[1,1]]")).contains("not in order"));
    assert!(read(&form(1, "[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]", 3, "[]")).contains("too many"));
    assert!(read(&form(1, "[18446744073709551615,1]", 3, "[]")).contains("counts differ"));
}

/// How far a recomputed bound may be off; lengths that lie on a bound are tested above.
const ROUNDING: f64 = 1e-9;

/// Whether `value` lies in the bucket above `lower` and up to `upper`.
fn lies_in(value: f64, lower: f64, upper: f64) -> bool {
    lower * (1.0 - ROUNDING) <= value && value <= upper * (1.0 + ROUNDING)
}

/// The smallest length that `q` of all lengths reach.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a small rank"
)]
fn true_quantile(q: f64, sorted: &[Duration]) -> Duration {
    sorted[((q * sorted.len() as f64).ceil() as usize).clamp(1, sorted.len()) - 1]
}

proptest! {
    #[test]
    fn property_counts_and_sums_add_up_in_both_forms(all in lengths()) {
        let histogram = of(&all);
        let sum = all.iter().sum::<Duration>().as_secs_f64();
        prop_assert_eq!(histogram.count(), all.len() as u64);
        prop_assert_eq!(histogram.native().count(), all.len() as u64);
        prop_assert!(histogram.native().buckets().count() <= native::MOST_BUCKETS);
        prop_assert!((histogram.sum() - sum).abs() <= sum * 1e-12);
    }

    #[test]
    fn property_a_native_bucket_holds_no_more_than_lies_in_it(all in lengths()) {
        for (lower, upper, count) in of(&all).native().ranges() {
            let lengths = all.iter().map(Duration::as_secs_f64);
            let held = lengths.filter(|it| lies_in(*it, lower, upper)).count();
            prop_assert!(held as u64 >= count, "{held} lie in ({lower}, {upper}], not {count}");
        }
    }

    #[test]
    fn property_merging_knows_no_order(
        one in histograms(), two in histograms(), three in histograms(),
    ) {
        prop_assert_eq!(merged(&merged(&one, &two), &three), merged(&one, &merged(&two, &three)));
        prop_assert_eq!(merged(&one, &two), merged(&two, &one));
        prop_assert_eq!(merged(&one, &Histogram::default()), one);
    }

    #[test]
    fn property_merging_is_observing_everything(one in lengths(), two in lengths()) {
        prop_assert_eq!(merged(&of(&one), &of(&two)), of(&[one, two].concat()));
    }

    #[test]
    fn property_what_came_since_is_what_was_merged(one in histograms(), two in histograms()) {
        let since = merged(&one, &two).since(&one);
        prop_assert_eq!(since.count(), two.count());
        prop_assert_eq!(since.sum(), two.sum());
        prop_assert_eq!(since.native().count(), two.native().count());
        let classic = |it: &Histogram| it.classic().map(|it| it.1).collect::<Vec<_>>();
        prop_assert_eq!(classic(&since), classic(&two));
        let (again, all) = (merged(&one, &since), merged(&one, &two));
        prop_assert_eq!(again.native(), all.native());
    }

    #[test]
    fn property_what_is_restored_is_what_was_saved(one in histograms(), two in histograms()) {
        let both = merged(&one, &two);
        let text = serde_json::to_string(&both).unwrap();
        prop_assert_eq!(serde_json::from_str::<Histogram>(&text).unwrap(), both);
    }

    #[test]
    fn property_a_quantile_is_off_by_less_than_its_bucket(
        mut all in lengths(), q in 0.01..1.0_f64,
    ) {
        prop_assume!(!all.is_empty());
        all.sort();
        let (histogram, truth) = (of(&all), true_quantile(q, &all));
        let mut ranges = histogram.native().ranges().filter(|it| it.2 > 0);
        let seconds = truth.as_secs_f64();
        let (lower, upper, _) = ranges.find(|it| lies_in(seconds, it.0, it.1)).unwrap();
        let estimate = histogram.native_quantile(q).unwrap();
        prop_assert!(lies_in(estimate, lower, upper), "{estimate} is not in ({lower}, {upper}]");
        let bucket = bucket_of(truth);
        let lower = if bucket == 0 { 0.0 } else { BOUNDS[bucket - 1] };
        let upper = BOUNDS.get(bucket).copied().unwrap_or(lower);
        let estimate = histogram.classic_quantile(q).unwrap();
        prop_assert!(lies_in(estimate, lower, upper), "{estimate} is not in ({lower}, {upper}]");
    }
}
