//! The texts that some patterns match and others do not, and the search among them.
//!
//! All patterns are walked at once, byte by byte, so that the question whether such a text lies
//! beyond a bound has an answer and not only a guess.

use crate::model::image_policy::pattern::automaton;
use regex_automata::Anchored;
use regex_automata::dfa::{Automaton, StartError, dense};
use regex_automata::util::primitives::StateID;
use regex_automata::util::start;
use regex_syntax::hir::Hir;
use std::collections::HashSet;

/// Longest tag that a registry takes.
pub(super) const LONGEST: usize = 128;

/// Most places that are looked at before a search is given up.
const MOST_PLACES: usize = 60_000;

/// The texts over an alphabet that match every pattern inside and none outside.
#[derive(Clone)]
pub(super) struct Language {
    inside: Vec<dense::DFA<Vec<u32>>>,
    outside: Vec<dense::DFA<Vec<u32>>>,
    /// In the order in which they are preferred where any will do.
    alphabet: Vec<u8>,
    starts_as_a_tag: bool,
}

/// On which side of a bound a text shall lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Above,
    Below,
}

/// Where the automata stand after some bytes; none for one whose answer is fixed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Place {
    inside: Vec<Option<StateID>>,
    outside: Vec<Option<StateID>>,
    wish: Wish,
    /// Whether a word may begin here.
    at_boundary: bool,
}

/// How much has been written of a text that shall stand inside as a word of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Wish {
    Open,
    Begun(usize),
    /// Complete, and no word may go on behind it.
    Written,
    Fulfilled,
}

// === impl Language ===

impl Language {
    /// Every text that can be a tag.
    pub(super) fn of_tags() -> Self {
        let alphabet =
            [b'0'..=b'9', b'a'..=b'z', b'A'..=b'Z'].into_iter().flatten().chain(*b"-._").collect();
        Self { inside: Vec::new(), outside: Vec::new(), alphabet, starts_as_a_tag: true }
    }

    /// Every text of a tag's bytes and these; it may begin with any.
    pub(super) fn of_values(more: &[u8]) -> Self {
        let mut language = Self { starts_as_a_tag: false, ..Self::of_tags() };
        for byte in more {
            if !language.alphabet.contains(byte) {
                language.alphabet.push(*byte);
            }
        }
        language
    }

    /// Those of them that match; none if the pattern is too large.
    pub(super) fn matching(mut self, hir: &Hir) -> Option<Self> {
        self.inside.push(automaton(hir)?);
        Some(self)
    }

    /// Those of them that do not match; none if the pattern is too large.
    pub(super) fn not_matching(mut self, hir: &Hir) -> Option<Self> {
        self.outside.push(automaton(hir)?);
        Some(self)
    }

    /// The same texts, with bytes from the other end preferred where any will do.
    pub(super) fn reversed(mut self) -> Self {
        self.alphabet.sort_by_key(|it| (!it.is_ascii_alphanumeric(), std::cmp::Reverse(*it)));
        self
    }

    pub(super) fn contains(&self, text: &str) -> bool {
        let mut place = self.start(None);
        for (at, byte) in text.bytes().enumerate() {
            let next = self.may_stand(at, byte).then(|| self.step(&place, byte)).flatten();
            let Some(next) = next else { return false };
            place = next;
        }
        text.len() <= LONGEST && self.accepts(&place)
    }

    /// A short text, with the wished one in it as a word of its own.
    pub(super) fn shortest(&self, wish: Option<&str>) -> Option<String> {
        let found = self.completion(self.start(wish), 0, wish)?;
        String::from_utf8(found).ok()
    }

    /// A text on one side of the bound that shares as much as can be with it, and has the wished
    /// one in it as a word of its own. The bound itself counts if `inclusive`.
    pub(super) fn closest(
        &self,
        side: Side,
        bound: &str,
        inclusive: bool,
        wish: Option<&str>,
    ) -> Option<String> {
        if inclusive && wish.is_none() && self.contains(bound) {
            return Some(bound.to_owned());
        }
        self.closest_sharing(side, bound, bound.len(), wish)
    }

    /// The same, beyond the bound itself and sharing at most so much with it.
    pub(super) fn closest_sharing(
        &self,
        side: Side,
        bound: &str,
        most: usize,
        wish: Option<&str>,
    ) -> Option<String> {
        let bound = bound.as_bytes();
        let mut places = self.along(bound, wish);
        places.truncate(most + 1);
        for (shared, place) in places.iter().enumerate().rev() {
            for byte in self.beyond(side, bound.get(shared).copied(), wish) {
                if let Some(found) = self.through(place, &bound[..shared], byte, wish) {
                    return String::from_utf8(found).ok();
                }
            }
            let shorter = side == Side::Below && shared < bound.len() && shared > 0;
            if shorter && self.accepts(place) {
                return String::from_utf8(bound[..shared].to_vec()).ok();
            }
        }
        None
    }

    /// Where one stands after each beginning of the bound, as long as that can be written.
    fn along(&self, bound: &[u8], wish: Option<&str>) -> Vec<Place> {
        let mut places = vec![self.start(wish)];
        for (at, byte) in bound.iter().enumerate() {
            let next = places.last().filter(|_| self.may_stand(at, *byte));
            match next.and_then(|place| self.step(place, *byte)) {
                Some(next) => places.push(next),
                None => break,
            }
        }
        places
    }

    /// The bytes that lead beyond the bound, the closest ones first; after its end, any does on one
    /// side and none on the other.
    fn beyond(&self, side: Side, bound: Option<u8>, wish: Option<&str>) -> Vec<u8> {
        let mut bytes = self.alphabet.clone();
        match (side, bound) {
            (Side::Above, None) => {
                bytes.sort_by_key(|it| wish.is_some() && it.is_ascii_alphanumeric());
            }
            (Side::Below, None) => bytes.clear(),
            (Side::Above, Some(bound)) => {
                bytes.retain(|it| *it > bound);
                bytes.sort_unstable();
            }
            (Side::Below, Some(bound)) => {
                bytes.retain(|it| *it < bound);
                bytes.sort_unstable_by_key(|it| std::cmp::Reverse(*it));
            }
        }
        bytes
    }

    /// The shared beginning, the byte, and what completes them.
    fn through(
        &self,
        place: &Place,
        shared: &[u8],
        byte: u8,
        wish: Option<&str>,
    ) -> Option<Vec<u8>> {
        if !self.may_stand(shared.len(), byte) || shared.len() >= LONGEST {
            return None;
        }
        let begun = self.begin(place, byte, wish).filter(|_| place.wish == Wish::Open);
        let next = [begun, self.step(place, byte)].into_iter().flatten();
        let rest = next.filter_map(|it| self.completion(it, shared.len() + 1, wish));
        let rest = rest.min_by_key(Vec::len)?;
        Some([shared, &[byte], &rest].concat())
    }

    /// The shortest way from a place to the end of a text.
    fn completion(&self, from: Place, used: usize, wish: Option<&str>) -> Option<Vec<u8>> {
        let mut seen = HashSet::from([from.clone()]);
        let mut trail: Vec<(Place, usize, u8)> = vec![(from, 0, 0)];
        let mut level = 0..1;
        for length in used..=LONGEST {
            for at in level.clone() {
                if self.accepts(&trail[at].0) {
                    return Some(way_back(&trail, at));
                }
                for byte in &self.alphabet {
                    if !self.may_stand(length, *byte) {
                        continue;
                    }
                    let place = &trail[at].0;
                    let next = [self.advance(place, *byte, wish), self.begin(place, *byte, wish)];
                    for next in next.into_iter().flatten() {
                        if seen.insert(next.clone()) {
                            trail.push((next, at, *byte));
                        }
                    }
                }
            }
            level = level.end..trail.len();
            if level.is_empty() || trail.len() > MOST_PLACES {
                return None;
            }
        }
        None
    }

    fn may_stand(&self, at: usize, byte: u8) -> bool {
        !self.starts_as_a_tag || at > 0 || byte.is_ascii_alphanumeric() || byte == b'_'
    }

    fn start(&self, wish: Option<&str>) -> Place {
        let begin = |it: &dense::DFA<Vec<u32>>| -> Result<StateID, StartError> {
            it.start_state(&start::Config::new().anchored(Anchored::No))
        };
        Place {
            inside: self.inside.iter().map(|it| begin(it).ok()).collect(),
            outside: self.outside.iter().map(|it| begin(it).ok()).collect(),
            wish: if wish.is_some() { Wish::Open } else { Wish::Fulfilled },
            at_boundary: true,
        }
    }

    /// One byte further, if any text can still follow; the wish as it was.
    fn step(&self, place: &Place, byte: u8) -> Option<Place> {
        let mut next = place.clone();
        for (automaton, state) in self.inside.iter().zip(&mut next.inside) {
            let Some(id) = *state else { continue };
            let id = automaton.next_state(id, byte);
            if automaton.is_dead_state(id) || automaton.is_quit_state(id) {
                return None;
            }
            *state = (!automaton.is_match_state(id)).then_some(id);
        }
        for (automaton, state) in self.outside.iter().zip(&mut next.outside) {
            let Some(id) = *state else { continue };
            let id = automaton.next_state(id, byte);
            if automaton.is_match_state(id) {
                return None;
            }
            *state = (!automaton.is_dead_state(id)).then_some(id);
        }
        next.at_boundary = !byte.is_ascii_alphanumeric();
        Some(next)
    }

    /// One byte further, with the wish carried on if it has begun.
    fn advance(&self, place: &Place, byte: u8, wish: Option<&str>) -> Option<Place> {
        let text = wish.unwrap_or_default().as_bytes();
        let wish = match place.wish {
            Wish::Written => (!byte.is_ascii_alphanumeric()).then_some(Wish::Fulfilled)?,
            Wish::Begun(written) => {
                (text.get(written) == Some(&byte)).then(|| written_to(written + 1, text))?
            }
            other => other,
        };
        Some(Place { wish, ..self.step(place, byte)? })
    }

    /// One byte further, which is the first of the wish.
    fn begin(&self, place: &Place, byte: u8, wish: Option<&str>) -> Option<Place> {
        let text = wish?.as_bytes();
        let begins = place.wish == Wish::Open && place.at_boundary && text.first() == Some(&byte);
        let next = begins.then(|| self.step(place, byte)).flatten()?;
        Some(Place { wish: written_to(1, text), ..next })
    }

    fn accepts(&self, place: &Place) -> bool {
        let ends = |automaton: &dense::DFA<Vec<u32>>, id| {
            automaton.is_match_state(automaton.next_eoi_state(id))
        };
        let mut inside = self.inside.iter().zip(&place.inside);
        let mut outside = self.outside.iter().zip(&place.outside);
        matches!(place.wish, Wish::Written | Wish::Fulfilled)
            && inside.all(|(automaton, state)| state.is_none_or(|id| ends(automaton, id)))
            && !outside.any(|(automaton, state)| state.is_some_and(|id| ends(automaton, id)))
    }
}

fn written_to(length: usize, wish: &[u8]) -> Wish {
    if length == wish.len() { Wish::Written } else { Wish::Begun(length) }
}

/// The bytes that lead to an entry of the trail.
fn way_back(trail: &[(Place, usize, u8)], mut at: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while at > 0 {
        let (_, from, byte) = &trail[at];
        bytes.push(*byte);
        at = *from;
    }
    bytes.reverse();
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::image_policy::pattern::Pattern;

    fn tags(pattern: &str) -> Language {
        Language::of_tags().matching(Pattern::parse(pattern).unwrap().hir()).unwrap()
    }

    #[test]
    fn the_closest_text_shares_as_much_as_can_be() {
        let closest = |pattern: &str, side, bound: &str| {
            tags(pattern).closest(side, bound, false, None).unwrap_or_default()
        };
        assert_eq!(closest("^main-[0-9]{4}$", Side::Above, "main-2029"), "main-2030");
        assert_eq!(closest("^main-[0-9]{4}$", Side::Above, "main-9999"), "");
        assert_eq!(closest("^[a-c]+$", Side::Above, "cc"), "cca");
        assert_eq!(closest("^[a-c]+$", Side::Below, "ab"), "aa");
        assert_eq!(closest("^[a-c]+$", Side::Below, "a"), "");
        assert_eq!(closest("^(?:1|7|9)$", Side::Below, "8"), "7");
    }

    #[test]
    fn a_wish_stands_as_a_word_of_its_own() {
        let wish = Some("hop-1a1");
        assert_eq!(tags("^main").shortest(wish).unwrap(), "main-hop-1a1");
        assert_eq!(tags("^main-.+-x$").shortest(wish).unwrap(), "main-hop-1a1-x");
        assert_eq!(tags("^main[a-z]+$").shortest(wish), None);
        let above = tags("").closest(Side::Above, "main-5", false, wish);
        assert_eq!(above.unwrap(), "main-5-hop-1a1");
    }

    #[test]
    fn what_another_pattern_takes_away_is_not_in_the_language() {
        let sig = Pattern::parse(r"\.sig$").unwrap();
        let language = tags(r"^a\.(?:sig|s1g)$").not_matching(sig.hir()).unwrap();
        assert_eq!(language.shortest(None).unwrap(), "a.s1g");
        assert!(!language.contains("a.sig") && language.contains("a.s1g"));
    }
}
