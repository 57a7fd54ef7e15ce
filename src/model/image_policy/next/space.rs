//! Which values a policy can get, and which tags it gets them from.

use crate::model::image_policy::error::PolicyError;
use crate::model::image_policy::language::Language;
use crate::model::image_policy::next::Marks;
use crate::model::image_policy::pattern::Pattern;
use crate::model::image_policy::template::{Part, Template};
use crate::model::image_policy::{Filter, ImagePolicy};
use regex_automata::meta::Regex;
use regex_syntax::hir::{Capture, Hir, Look};

/// The tags that come through a filter, and the values that are taken from them.
pub(super) struct Space {
    /// What the policy may get: first, if every group takes part.
    values: Vec<Language>,
    is_open: bool,
    extraction: Option<Extraction>,
}

/// How values are taken from tags.
struct Extraction {
    pattern: Pattern,
    /// Finds the texts of groups in a value, in the order of `groups`.
    splitter: Regex,
    groups: Vec<usize>,
    /// Tags without a condition on their pattern.
    open: Language,
}

// === impl Space ===

impl Space {
    pub(super) fn of(policy: &ImagePolicy) -> Result<Self, PolicyError> {
        let mut open = Language::of_tags();
        for pattern in &policy.excluded {
            let too_large = || PolicyError::TooLarge { pattern: "exclusionList".to_owned() };
            open = open.not_matching(pattern.hir()).ok_or_else(too_large)?;
        }
        let Some(filter) = &policy.filter else {
            return Ok(Self { values: vec![open], is_open: true, extraction: None });
        };
        let too_large = || PolicyError::TooLarge { pattern: filter.text.clone() };
        let space = match &filter.extract {
            None => open.matching(filter.pattern.hir()).map(|values| Self {
                values: vec![values],
                is_open: false,
                extraction: None,
            }),
            Some(template) => Self::extracting(filter, template, open),
        };
        space.ok_or_else(too_large)
    }

    fn extracting(filter: &Filter, template: &Template, open: Language) -> Option<Self> {
        let (mut written, mut loose, mut split) = (Vec::new(), Vec::new(), Vec::new());
        let mut groups = Vec::new();
        let mut bytes = Vec::new();
        for part in &template.0 {
            match part {
                Part::Text(text) => {
                    bytes.extend(text.bytes().filter(u8::is_ascii));
                    written.push(Hir::literal(text.as_bytes()));
                    loose.push(Hir::literal(text.as_bytes()));
                    split.push(Hir::literal(text.as_bytes()));
                }
                Part::Group(index) => {
                    let inside = filter.pattern.group(*index)?;
                    groups.push(*index);
                    let index = u32::try_from(groups.len()).ok()?;
                    // A group that takes no part is empty.
                    let or_empty = Hir::alternation(vec![inside.clone(), Hir::empty()]);
                    let sub = Box::new(or_empty.clone());
                    written.push(inside);
                    loose.push(or_empty);
                    split.push(Hir::capture(Capture { index, name: None, sub }));
                }
            }
        }
        let splitter = Regex::builder().build_from_hir(&whole(split)).ok()?;
        let values = Language::of_values(&bytes);
        let values =
            vec![values.clone().matching(&whole(written))?, values.matching(&whole(loose))?];
        let extraction = Extraction { pattern: filter.pattern.clone(), splitter, groups, open };
        Some(Self { values, is_open: false, extraction: Some(extraction) })
    }

    /// Whether every tag is a value.
    pub(super) fn is_open(&self) -> bool {
        self.is_open
    }

    /// What the policy may get, the likelier first.
    pub(super) fn values(&self) -> &[Language] {
        &self.values
    }

    /// Tags from which the policy may take a value, the best first. Whether it does, is for the
    /// caller to ask.
    pub(super) fn tags_for(&self, value: &str, marks: &Marks) -> Vec<String> {
        let Some(extraction) = &self.extraction else { return vec![value.to_owned()] };
        let mut found = extraction.splitter.create_captures();
        extraction.splitter.captures(value, &mut found);
        let mut texts: Vec<(usize, &str)> = Vec::new();
        for (at, index) in extraction.groups.iter().enumerate() {
            let Some(span) = found.get_group(at + 1) else { return Vec::new() };
            texts.push((*index, &value[span.range()]));
        }
        if let Some((_, tag)) = texts.iter().find(|(index, _)| *index == 0) {
            return vec![(*tag).to_owned()];
        }
        let hir = extraction.pattern.with_groups(&texts);
        let Some(language) = extraction.open.clone().matching(&hir) else { return Vec::new() };
        marks.wishes().into_iter().filter_map(|it| language.shortest(it)).collect()
    }
}

/// The parts one after the other, and nothing before or behind them.
fn whole(parts: Vec<Hir>) -> Hir {
    let mut all = vec![Hir::look(Look::Start)];
    all.extend(parts);
    all.push(Hir::look(Look::End));
    Hir::concat(all)
}
