//! Numbers further on: the closest that the pattern lets through.
//!
//! Numbers with equally many digits before the point are ordered as texts are. So the search goes
//! by that count, and asks the language of values for the closest text each time.

use crate::model::image_policy::language::{Language, Side};
use crate::model::image_policy::number;
use crate::model::image_policy::pattern::Pattern;

/// Most digits before the point that are tried: more than any number has that still is exact.
const MOST_DIGITS: usize = 24;

/// Where to begin below if there is nothing yet: room for years of canaries.
const HIGH: &str = "9999999999";

/// Values on one side of the chosen one.
pub(super) fn values<'a>(
    side: Side,
    values: &'a Language,
    chosen: Option<&'a str>,
) -> Box<dyn Iterator<Item = String> + 'a> {
    let number = chosen.and_then(number::read);
    let fraction = chosen.and_then(|it| it.split_once('.')).map_or(0, |(_, it)| it.len());
    let forms = forms(fraction);
    let bound = match (number, side) {
        (Some(number), Side::Above) => number.next_up(),
        (Some(number), Side::Below) => number.next_down(),
        (None, Side::Above) => 1.0,
        (None, Side::Below) => HIGH.parse().unwrap_or(f64::MAX),
    };
    let above_zero = move || {
        let forms = forms.clone();
        forms.into_iter().filter_map(move |form| match side {
            Side::Above => from(values, &form, bound.max(0.0)),
            Side::Below if bound < 0.0 => None,
            Side::Below => down_from(values, &form, bound),
        })
    };
    // Far below zero is what is close to it from above, and the other way round.
    let below_zero = move || {
        let forms = self::forms(fraction);
        forms.into_iter().filter_map(move |form| match side {
            Side::Above if bound >= 0.0 => None,
            Side::Above => down_from_below(values, &form, -bound),
            Side::Below => from_below(values, &form, (-bound).max(0.0)),
        })
    };
    match side {
        Side::Above if bound < 0.0 => Box::new(below_zero().chain(above_zero())),
        _ => Box::new(above_zero().chain(below_zero())),
    }
}

/// The forms of the part behind the digits, those like the chosen one first.
fn forms(fraction: usize) -> Vec<String> {
    let mut forms = vec![String::new()];
    if fraction > 0 {
        forms.insert(0, format!(r"\.[0-9]{{{fraction}}}"));
        forms.insert(1, format!(r"\.[0-9]{{{}}}", fraction + 1));
    }
    forms.push(r"\.[0-9]+".to_owned());
    forms
}

/// The closest number of a form that is not below the bound.
fn from(values: &Language, form: &str, bound: f64) -> Option<String> {
    closest(values, "", form, Side::Above, bound)
}

/// The closest number of a form that is not above the bound.
fn down_from(values: &Language, form: &str, bound: f64) -> Option<String> {
    closest(values, "", form, Side::Below, bound)
}

/// The same, for what stands behind a minus sign.
fn from_below(values: &Language, form: &str, bound: f64) -> Option<String> {
    closest(values, "-", form, Side::Above, bound)
}

fn down_from_below(values: &Language, form: &str, bound: f64) -> Option<String> {
    closest(values, "-", form, Side::Below, bound)
}

fn closest(values: &Language, sign: &str, form: &str, side: Side, bound: f64) -> Option<String> {
    let any = Pattern::parse(&format!("^{sign}[0-9]+{form}$")).ok()?;
    values.clone().matching(any.hir())?.shortest(None)?;
    let text = bound.to_string();
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let fewest = if side == Side::Above { whole.len() } else { 1 };
    let mut lengths: Vec<usize> = (fewest..=MOST_DIGITS.max(whole.len())).collect();
    if side == Side::Below {
        // First as many digits as the bound, then fewer, then more, which begin with zeros.
        lengths.sort_by_key(|it| if *it <= whole.len() { whole.len() - it } else { *it });
    }
    lengths.into_iter().find_map(|length| {
        let pattern = Pattern::parse(&format!("^{sign}[0-9]{{{length}}}{form}$")).ok()?;
        let language = values.clone().matching(pattern.hir())?;
        // A shorter number than the bound is below it, whatever its digits.
        let bound = if length < whole.len() {
            format!("{sign}{}", "9".repeat(length))
        } else if fraction.is_empty() {
            format!("{sign}{whole:0>length$}")
        } else {
            format!("{sign}{whole:0>length$}.{fraction}")
        };
        let language = if side == Side::Below { language.reversed() } else { language };
        language.closest(side, &bound, true, None)
    })
}
