//! Chooses which revision of a source is taken for ours where none could be computed beforehand
//! (rule P9), and takes that back when something knows better.
//!
//! The candidate of a source is the first new revision that it has fetched since publish began. A
//! later one takes its place when what the hops of the path do says so: the change is live, and
//! the appliers had taken up the later one by then; or the appliers went on to it, and nothing has
//! become live. No instant is taken from a candidate while something may still know better, so
//! that none has to move.

use crate::engine::machine::Run;
use crate::engine::plan::{Member, Part};
use crate::hop::Place;
use crate::model::{Carried, Moment, Reached, Revision, Subject};
use std::sync::Arc;

// === impl Run ===

impl Run {
    /// Takes in what follows from where the change was seen: objects that hold it, and candidates.
    pub(super) fn follow_up(&mut self) {
        if self.change.began().is_none() {
            return;
        }
        if self.note_arrivals() {
            self.look_again();
        }
        let chosen: Vec<_> = self.supposing.iter().filter_map(|it| self.candidate(it)).collect();
        let open = chosen.iter().filter(|it| it.1).map(|it| it.0.clone());
        self.open = open.collect();
        if self.change.suppose(chosen.into_iter().map(|it| it.0).collect()) {
            self.look_again();
        }
    }

    /// Whether a hop was reached by a candidate of which something may still know better.
    pub(super) fn is_open(&self, reached: &Reached) -> bool {
        matches!(&reached.carried, Carried::Candidate(it) if self.open.contains(it))
    }

    /// Says which objects have come to hold the change; whether that is news.
    fn note_arrivals(&mut self) -> bool {
        let mut news = false;
        for (index, hop) in self.plan.hops.iter().enumerate().filter(|it| it.1.place == Place::Live)
        {
            if let Some(reached) = &self.followers[index].reached {
                news |= self.change.arrive(&hop.subject, reached.when);
            }
        }
        news
    }

    /// Remembers a source of which some revision may be supposed to be ours. Most paths have none.
    pub(super) fn note_source(&mut self, member: &Member<'_>, revisions: &[Revision]) {
        let supposed = |it: &Revision| member.detector.supposes(it, &self.change);
        if self.change.began().is_some() && revisions.iter().any(supposed) {
            self.supposing.insert(Arc::clone(member.subject));
        }
    }

    /// The revisions that a source has newly fetched since publish began and that may be ours, in
    /// their order, each with the instant of the first state that shows it.
    fn shown(&self, member: &Member<'_>) -> Vec<(Revision, Moment)> {
        let mut shown: Vec<(Revision, Moment)> = Vec::new();
        let since = |at: Moment| self.change.began().is_some_and(|began| at >= began);
        let states = &self.subjects[member.subject];
        // What stood there when we began to look is not new, even if that was after a restart; nor is
        // what has come since, if it came before publish began.
        let earlier = states.iter().skip(1).filter(|it| !since(it.when.latest));
        let stood = states.first().into_iter().chain(earlier);
        let stood: Vec<Revision> = stood.flat_map(|it| member.detector.revisions(it)).collect();
        for state in states.iter().filter(|it| since(it.when.latest)) {
            for revision in member.detector.revisions(state) {
                let fits = member.detector.supposes(&revision, &self.change)
                    && !self.change.is_stranger(&revision)
                    && !stood.contains(&revision);
                if fits && !shown.iter().any(|it| it.0 == revision) {
                    shown.push((revision, state.when.latest));
                }
            }
        }
        shown
    }

    /// What is taken for ours of a source, and whether something may still know better; none where
    /// a revision is known to be.
    fn candidate(&self, source: &Arc<Subject>) -> Option<(Revision, bool)> {
        // A hop that waits for the webhook may look at the same object, and supposes nothing.
        let members = self.plan.members().filter(|it| it.subject == source);
        let mut shown = members.map(|it| (self.shown(&it), it));
        let (mut shown, member) = shown.find(|it| !it.0.is_empty())?;
        let known =
            |it: &(Revision, Moment)| self.change.carried(&it.0).is_some_and(|it| it.is_certain());
        if shown.iter().any(known) {
            return None;
        }
        let knowing = self.knowing(member.of);
        let confirmed = knowing.iter().filter_map(|&it| self.confirmed_at(it)).min();
        if let Some(at) = confirmed {
            let by_then = shown.iter().take_while(|it| it.1 <= at).count();
            shown.truncate(by_then.max(1));
        }
        let taken_up = self.taken_up(&shown, confirmed);
        let index = if knowing.is_empty() { 0 } else { taken_up.unwrap_or(0) };
        let open = confirmed.is_none() && !knowing.is_empty();
        shown.into_iter().nth(index).map(|it| (it.0, open))
    }

    /// The hops behind a source that tell the change by a mark of its own.
    fn knowing(&self, source: Part) -> Vec<usize> {
        let behind = |hop: usize| match source {
            Part::Hop(of) => self.plan.comes_after(hop, of),
            _ => true,
        };
        let knows = |it: &usize| self.plan.hops[*it].detector.knows_better(&self.change);
        (0..self.plan.hops.len()).filter(|it| behind(*it)).filter(knows).collect()
    }

    fn confirmed_at(&self, hop: usize) -> Option<Moment> {
        let reached = self.reached(hop).filter(|it| it.carried.is_certain())?;
        Some(reached.when.latest)
    }

    /// The latest of these revisions that an applier had taken up, by its index.
    fn taken_up(&self, shown: &[(Revision, Moment)], until: Option<Moment>) -> Option<usize> {
        let appliers = self.plan.members().filter(|it| it.detector.applies());
        let states = appliers.flat_map(|member| {
            let states = &self.subjects[member.subject];
            let so_far = states.iter().filter(|it| until.is_none_or(|end| it.when.latest <= end));
            so_far.flat_map(|it| member.detector.revisions(it)).collect::<Vec<_>>()
        });
        states.filter_map(|it| shown.iter().position(|(revision, _)| *revision == it)).max()
    }
}
