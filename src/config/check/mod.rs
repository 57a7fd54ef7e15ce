//! What the structure cannot say: every rule that a well-formed scenario may still break.
//!
//! All of them are looked at, each points at the key or value that should change.

mod bucket_object;
mod git_commit;
mod graph;
mod helm_chart;
mod hops;
mod image_tag;
mod oci_artifact;
mod receiver;
mod schedule;
mod signing;
mod target;
mod times;

use super::file::ScenarioFile;
use super::mistake::Mistake;
use super::node::Step::{self, Key};
use super::node::{Node, Place};
use crate::trigger::TriggerConfig;

/// What a template must hold.
const PLACEHOLDER: &str = "${canary}";

/// Collects what is wrong with one file.
pub(crate) struct Findings<'a> {
    root: &'a Node,
    found: Vec<(Place, Mistake)>,
}

// === impl Findings ===

impl Findings<'_> {
    /// A mistake of the value at the end of `way`.
    fn value(&mut self, way: &[Step<'_>], mistake: Mistake) {
        self.found.push((self.root.place_of(way), mistake));
    }

    /// A mistake of the key at the end of `way`, or of something that it lacks.
    fn key(&mut self, way: &[Step<'_>], mistake: Mistake) {
        self.found.push((self.root.key_of(way), mistake));
    }
}

/// Every rule that the file breaks, by place.
pub(crate) fn check(file: &ScenarioFile, root: &Node) -> Vec<(Place, Mistake)> {
    let mut findings = Findings { root, found: Vec::new() };
    if !is_label(&file.name, &['-']) {
        let mistake = Mistake::BadScenarioName { name: file.name.clone() };
        findings.value(&[Key("name")], mistake);
    }
    times::check(file, &mut findings);
    // What is yet to be discovered cannot be looked at.
    let known = Some(file.hops.as_slice()).filter(|it| !it.is_empty());
    match &file.trigger {
        TriggerConfig::GitCommit(trigger) => {
            git_commit::check(trigger, known, &mut findings);
        }
        TriggerConfig::ImageTag(trigger) => image_tag::check(trigger, &file.hops, &mut findings),
        TriggerConfig::ImageDigest(trigger) => {
            image_tag::check_digest(trigger, &file.hops, &mut findings);
        }
        TriggerConfig::OciArtifact(trigger) => {
            oci_artifact::check(trigger, known, &mut findings);
        }
        TriggerConfig::BucketObject(trigger) => {
            bucket_object::check(trigger, known, &mut findings);
        }
        TriggerConfig::HelmChart(trigger) => helm_chart::check(trigger, &mut findings),
        TriggerConfig::ReceiverPost(trigger) => receiver::check(trigger, &mut findings),
        TriggerConfig::ReceiverGet(trigger) => {
            receiver::check_preflight(trigger, file, &mut findings);
        }
    }
    target::check(file, root, &mut findings);
    if !matches!(file.trigger, TriggerConfig::ReceiverGet(_)) {
        hops::check(&file.hops, file.trigger.kind().announces(), &mut findings);
    }
    graph::check(file, &mut findings);
    findings.found.sort_by_key(|it| it.0);
    findings.found
}

/// Whether a text can be a label's value and a Kubernetes name: short, lower-case, with a letter
/// or digit at both ends and `others` only between them.
fn is_label(text: &str, others: &[char]) -> bool {
    let plain = |it: char| it.is_ascii_lowercase() || it.is_ascii_digit();
    text.len() <= 63
        && text.chars().all(|it| plain(it) || others.contains(&it))
        && text.starts_with(plain)
        && text.ends_with(plain)
}
