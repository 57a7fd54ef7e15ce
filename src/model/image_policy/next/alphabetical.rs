//! Values further on in the alphabet: those with the canary in them first.

use crate::model::image_policy::language::{Language, Side};
use crate::model::image_policy::next::Marks;

/// Values on one side of the chosen one.
pub(super) fn values<'a>(
    side: Side,
    values: &'a Language,
    chosen: Option<&'a str>,
    marks: &'a Marks,
) -> Box<dyn Iterator<Item = String> + 'a> {
    let renewed = chosen.and_then(|it| renewed(it, marks));
    let beyond = move |it: &String| match side {
        Side::Above => chosen.is_none_or(|chosen| it.as_str() > chosen),
        Side::Below => chosen.is_none_or(|chosen| it.as_str() < chosen),
    };
    let renewed = renewed.filter(beyond).filter(|it| values.contains(it));
    let found = marks.wishes().into_iter().filter_map(move |wish| match (chosen, side) {
        (Some(chosen), _) => values.closest(side, chosen, false, wish),
        (None, Side::Above) => values.shortest(wish),
        (None, Side::Below) => values.clone().reversed().shortest(wish),
    });
    Box::new(renewed.into_iter().chain(found))
}

/// The chosen value with the new canary in the place of an earlier one of the same instance, so
/// that tags do not grow from run to run.
fn renewed(chosen: &str, marks: &Marks) -> Option<String> {
    let (instance, _) = marks.canary.rsplit_once('-')?;
    let at = chosen.find(&format!("{instance}-"))?;
    let digits = &chosen[at + instance.len() + 1..];
    let end = digits.find(|it: char| !it.is_ascii_hexdigit()).unwrap_or(digits.len());
    let complete = !digits[end..].starts_with(|it: char| it.is_ascii_alphanumeric());
    let earlier = complete && end >= marks.sequence.len();
    earlier.then(|| format!("{}{}{}", &chosen[..at], marks.canary, &digits[end..]))
}
