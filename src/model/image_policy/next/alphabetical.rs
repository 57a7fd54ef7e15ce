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
    let earlier = chosen.and_then(|chosen| {
        let (place, mark) = marks.earlier(chosen)?;
        Some((chosen, place, mark))
    });
    let beyond = move |it: &String| match side {
        Side::Above => chosen.is_none_or(|chosen| it.as_str() > chosen),
        Side::Below => chosen.is_none_or(|chosen| it.as_str() < chosen),
    };
    // The new canary in the place of the earlier one, or as close before it as can be: else tags
    // would grow from run to run.
    let renewed = earlier.clone().map(|(chosen, place, mark)| {
        format!("{}{mark}{}", &chosen[..place.start], &chosen[place.end..])
    });
    let renewed = renewed.filter(beyond).filter(|it| values.contains(it));
    let before = earlier.into_iter().flat_map(move |(chosen, place, mark)| {
        let sharing = (0..=place.start).rev();
        let found = sharing.filter_map(|it| values.closest_sharing(side, chosen, it, Some(mark)));
        let (short, long): (Vec<_>, Vec<_>) = found.partition(|it| it.len() <= chosen.len());
        short.into_iter().chain(long)
    });
    let found = marks.wishes().into_iter().filter_map(move |wish| match (chosen, side) {
        (Some(chosen), _) => values.closest(side, chosen, false, wish),
        (None, Side::Above) => values.shortest(wish),
        (None, Side::Below) => values.clone().reversed().shortest(wish),
    });
    // Where no tag gives the closest value, one may give another that shares less with it.
    let others = chosen.into_iter().flat_map(move |chosen| {
        let sharing = (0..chosen.len()).rev();
        let wishes = sharing.flat_map(|it| marks.wishes().map(|wish| (it, wish)));
        wishes.filter_map(move |(it, wish)| values.closest_sharing(side, chosen, it, wish))
    });
    Box::new(renewed.into_iter().chain(before).chain(found).chain(others))
}
