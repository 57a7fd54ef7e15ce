//! Names and order of the hops: who comes after whom, and where it all ends (rules P1, P3, P4).

use super::{Findings, is_label};
use crate::config::file::ScenarioFile;
use crate::config::hop_file::HopFile;
use crate::config::mistake::Mistake;
use crate::config::node::Step::{Item, Key};
use crate::config::scenario::{Hop, resolve};
use crate::hop::Place;
use std::collections::HashMap;

/// Stages that hopclock adds itself: the push, and the label of the whole.
const RESERVED: [&str; 2] = ["push", "total"];

/// Looks at the hops together.
pub(super) fn check(file: &ScenarioFile, findings: &mut Findings<'_>) {
    if file.target.is_some() {
        // What is to be found cannot be looked at.
        return;
    }
    let before = findings.found.len();
    names(&file.hops, findings);
    let known: Vec<_> = file.hops.iter().map(|it| it.name().to_owned()).collect();
    afters(&file.hops, &known, findings);
    // Names that are wrong would only make cycles that nobody meant.
    if findings.found.len() == before {
        cycle(&resolve(&file.hops), findings);
    }
    if !file.hops.is_empty() && !file.hops.iter().any(|it| it.requirement().is_needed()) {
        findings.key(&[Key("hops")], Mistake::NothingRequired);
    }
    end(file, &known, findings);
}

fn names(hops: &[HopFile], findings: &mut Findings<'_>) {
    for (index, hop) in hops.iter().enumerate() {
        let (name, named) = (hop.name(), hop.shared.name.is_some());
        let way = [Key("hops"), Item(index), Key(if named { "name" } else { &hop.kind })];
        if named && !is_label(name, &['-', '_']) {
            findings.value(&way, Mistake::BadHopName { name: name.to_owned() });
        } else if RESERVED.contains(&name) {
            findings.value(&way, Mistake::ReservedHopName { name: name.to_owned() });
        } else if hops[..index].iter().any(|it| it.name() == name) {
            let mistake = Mistake::SameHopName { name: name.to_owned() };
            if named { findings.value(&way, mistake) } else { findings.key(&way, mistake) }
        }
    }
}

fn afters(hops: &[HopFile], known: &[String], findings: &mut Findings<'_>) {
    for (index, hop) in hops.iter().enumerate() {
        let names = hop.shared.after.as_ref().map_or(&[][..], |it| it.0.as_slice());
        for (place, after) in names.iter().enumerate() {
            let way = [Key("hops"), Item(index), Key("after"), Item(place)];
            if after == hop.name() {
                findings.value(&way, Mistake::AfterItself);
            } else if !known.contains(after) {
                let known = known.iter().filter(|it| *it != hop.name()).cloned().collect();
                findings.value(&way, Mistake::UnknownHop { after: after.clone(), known });
            }
        }
    }
}

/// Finds one cycle: by following `after`s from each hop until a hop comes up again on the way.
fn cycle(hops: &[Hop], findings: &mut Findings<'_>) {
    let by_name: HashMap<_, _> = hops.iter().map(|it| (it.name.as_str(), it)).collect();
    let mut done = Vec::new();
    for (index, hop) in hops.iter().enumerate() {
        let mut way = Vec::new();
        if let Some(names) = walk(&hop.name, &by_name, &mut way, &mut done) {
            // Shown the way the change would go, from each hop to the one that waits for it.
            let names = names.into_iter().rev().map(str::to_owned).collect();
            findings.key(&[Key("hops"), Item(index), Key("after")], Mistake::Cycle { names });
            return;
        }
    }
}

/// The hops of a cycle that can be reached from `name`, each before the one that it waits for.
fn walk<'a>(
    name: &'a str,
    hops: &HashMap<&'a str, &'a Hop>,
    way: &mut Vec<&'a str>,
    done: &mut Vec<&'a str>,
) -> Option<Vec<&'a str>> {
    if let Some(start) = way.iter().position(|it| *it == name) {
        let mut cycle = way[start..].to_vec();
        cycle.push(name);
        return Some(cycle);
    }
    if done.contains(&name) {
        return None;
    }
    way.push(name);
    let afters = hops.get(name).map_or(&[][..], |it| it.after.as_slice());
    let found = afters.iter().find_map(|it| walk(it, hops, way, done));
    way.pop();
    done.push(name);
    found
}

/// Whether push-to-apply has an end (rule P4).
fn end(file: &ScenarioFile, known: &[String], findings: &mut Findings<'_>) {
    let Some(slo) = &file.slo else { return };
    match &slo.until {
        Some(until) if !known.contains(until) => {
            let mistake = Mistake::UnknownHop { after: until.clone(), known: known.to_vec() };
            findings.value(&[Key("slo"), Key("until")], mistake);
        }
        Some(_) => {}
        None => {
            let ends = |it: &HopFile| {
                let place = it.config.kind().traits().place;
                (place.is_arrival() || place == Place::Apply) && it.requirement().is_needed()
            };
            if !file.hops.is_empty() && !file.hops.iter().any(ends) {
                findings.key(&[Key("slo")], Mistake::NoEnd);
            }
        }
    }
}
