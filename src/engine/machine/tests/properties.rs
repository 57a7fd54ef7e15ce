//! What holds whatever a run is shown, and in whatever order: generated pipelines, whose truth is
//! known, and streams of them that were interleaved, duplicated, relisted, cut and delayed.

use crate::engine::machine::tests::pipeline::{Turbulence, pipelines, turbulences};
use crate::engine::machine::tests::witness::{Witness, follow};
use crate::model::{Outcome, Passage, SloVerdict};
use proptest::prelude::{ProptestConfig, prop_assert, prop_assert_eq, proptest};

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn property_bounds_contain_the_truth_and_certain_instants_are_the_truth(
        pipeline in pipelines(), turbulence in turbulences(),
    ) {
        let Witness { run, record, .. } = follow(&pipeline, &turbulence);
        let began = run.change().began().unwrap();
        for (hop, truth) in pipeline.truth() {
            let Some(when) = run.taken[hop] else { continue };
            let Some(truth) = truth else {
                prop_assert!(false, "{} was never reached", record.hops[hop].hop);
                continue;
            };
            prop_assert!(truth >= began);
            prop_assert!(when.earliest <= truth && truth <= when.latest, "{hop}: {when:?} {truth:?}");
        }
    }

    #[test]
    fn property_a_calm_stream_gives_exactly_the_truth(pipeline in pipelines()) {
        let Witness { run, record, .. } = follow(&pipeline, &Turbulence::none());
        for (hop, truth) in pipeline.truth() {
            let fixed = run.ended.as_ref().map(|it| it.1);
            let Some(truth) = truth.filter(|it| Some(*it) < fixed) else { continue };
            let when = run.taken[hop].filter(|it| it.is_certain()).map(|it| it.latest);
            prop_assert_eq!(when, Some(truth), "{}", &record.hops[hop].hop);
        }
    }

    #[test]
    fn property_no_length_is_negative_and_no_stage_exceeds_the_time_since_zero(
        pipeline in pipelines(), turbulence in turbulences(),
    ) {
        let Witness { record, .. } = follow(&pipeline, &turbulence);
        for hop in &record.hops {
            let Passage::Reached { at, stage, wait, early, reordered, uncertain, .. } = &hop.passage
            else { continue };
            for length in [Some(*at), *stage, *wait].into_iter().flatten() {
                prop_assert!(length.least <= length.most, "{hop:?}");
            }
            prop_assert_eq!(stage.is_none(), *reordered);
            if let Some(stage) = stage {
                prop_assert!(stage.most <= at.most && stage.least <= at.least, "{hop:?}");
                prop_assert!(wait.is_none_or(|it| it.most <= stage.most && it.least <= stage.least));
                prop_assert!(*uncertain || stage.is_exact(), "{hop:?}");
            }
            prop_assert!(!early || at.most.is_zero());
        }
        if let Some(took) = record.push_to_apply {
            prop_assert!(took.least <= took.most);
        }
    }

    #[test]
    fn property_a_time_once_taken_never_moves(
        pipeline in pipelines(), turbulence in turbulences(),
    ) {
        let witness = follow(&pipeline, &turbulence);
        prop_assert_eq!(witness.moved, 0);
        for hop in 0..witness.record.hops.len() {
            let said = witness.reached.iter().filter(|it| **it == hop).count();
            prop_assert_eq!(said, usize::from(witness.run.taken[hop].is_some()));
        }
    }

    #[test]
    fn property_a_run_has_one_outcome(pipeline in pipelines(), turbulence in turbulences()) {
        let witness = follow(&pipeline, &turbulence);
        prop_assert_eq!(witness.ended, 1);
        prop_assert!(witness.outcomes.len() <= 1, "{:?}", witness.outcomes);
        if let Some(outcome) = witness.outcomes.first() {
            prop_assert_eq!(outcome, &witness.record.outcome);
        }
    }

    #[test]
    fn property_an_objective_is_counted_once_and_as_recorded(
        pipeline in pipelines(), turbulence in turbulences(),
    ) {
        let Witness { counted, record, .. } = follow(&pipeline, &turbulence);
        let recorded: Vec<_> = record.slo.iter().map(|it| (it.slo.clone(), it.verdict)).collect();
        let mut sorted = counted.clone();
        sorted.sort_by(|one, other| one.0.cmp(&other.0));
        let mut expected = recorded;
        expected.sort_by(|one, other| one.0.cmp(&other.0));
        prop_assert_eq!(&sorted, &expected);
        sorted.dedup_by(|one, other| one.0 == other.0);
        prop_assert_eq!(sorted.len(), counted.len());
        let total = counted.iter().find(|it| it.0 == "total").map(|it| it.1);
        match &record.outcome {
            Outcome::Failed { .. } | Outcome::Timeout => {
                prop_assert!(total != Some(SloVerdict::Good));
            }
            Outcome::Ok => prop_assert!(total != Some(SloVerdict::Bad)),
            Outcome::Slow => prop_assert!(!counted.is_empty()),
            _ => (),
        }
    }

    #[test]
    fn property_a_driver_that_sleeps_until_it_is_woken_comes_to_an_end(
        pipeline in pipelines(), turbulence in turbulences(),
    ) {
        let witness = follow(&pipeline, &turbulence);
        prop_assert!(!witness.spun, "it wants to be woken at the same instant for ever");
        prop_assert!(witness.run.is_over(witness.end), "{:?}", witness.run.outcome());
        prop_assert!(!matches!(&witness.record.outcome, Outcome::ProbeError(it) if it.reason == "stopped"));
    }

    #[test]
    fn property_a_record_is_complete_whenever_the_run_is_stopped(
        pipeline in pipelines(), mut turbulence in turbulences(), stop in 0_usize..60,
    ) {
        turbulence.stop_after = Some(stop);
        let Witness { record, ended, .. } = follow(&pipeline, &turbulence);
        prop_assert_eq!(record.hops.len(), pipeline.plan().hops.len());
        prop_assert_eq!(ended, 1);
        prop_assert!(serde_json::to_string(&record).is_ok());
    }
}
