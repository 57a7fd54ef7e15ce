//! Numbers as Flux reads them from tags: as Go reads floating-point numbers.

/// The number that a text is to Go; none if it is none, or too large for one.
pub(super) fn read(text: &str) -> Option<f64> {
    let (sign, bare) = match text.as_bytes().first()? {
        b'-' => (-1.0, &text[1..]),
        b'+' => (1.0, &text[1..]),
        _ => (1.0, text),
    };
    if let Some(digits) = bare.strip_prefix("0x").or_else(|| bare.strip_prefix("0X")) {
        return hexadecimal(digits).map(|it| sign * it);
    }
    match bare.to_ascii_lowercase().as_str() {
        "inf" | "infinity" => return Some(sign * f64::INFINITY),
        "nan" => return (bare.len() == text.len()).then_some(f64::NAN),
        _ => {}
    }
    let plain = without_underscores(bare, false)?;
    let signs = |it| matches!(it, b'.' | b'e' | b'E' | b'+' | b'-');
    let decimal = plain.bytes().all(|it| it.is_ascii_digit() || signs(it));
    let value: f64 = plain.parse().ok().filter(|_| decimal && !plain.starts_with(['+', '-']))?;
    value.is_finite().then_some(sign * value)
}

/// The text without underscores, which may stand between digits only; the base counts as one.
fn without_underscores(text: &str, after_base: bool) -> Option<String> {
    let mut after_digit = after_base;
    let mut after_underscore = false;
    for sign in text.chars() {
        let is_digit = if after_base { sign.is_ascii_hexdigit() } else { sign.is_ascii_digit() };
        if sign == '_' && !after_digit || after_underscore && !is_digit {
            return None;
        }
        (after_digit, after_underscore) = (is_digit, sign == '_');
    }
    (!after_underscore).then(|| text.replace('_', ""))
}

/// `1.8p3` after the `0x`.
fn hexadecimal(text: &str) -> Option<f64> {
    let text = without_underscores(text, true)?;
    let (mantissa, exponent) = text.split_once(['p', 'P'])?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let unsigned = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    let exponent_fits = !unsigned.is_empty() && unsigned.bytes().all(|it| it.is_ascii_digit());
    if !exponent_fits || whole.len() + fraction.len() == 0 {
        return None;
    }
    let mut value = 0.0;
    for digit in whole.chars().chain(fraction.chars()) {
        value = value * 16.0 + f64::from(digit.to_digit(16)?);
    }
    let shift = exponent.parse::<i32>().ok()? - 4 * i32::try_from(fraction.len()).ok()?;
    let value: f64 = value * 2f64.powi(shift);
    value.is_finite().then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_go_reads_them() {
        for (text, value) in [
            ("12", 12.0),
            ("-0.5", -0.5),
            (".5", 0.5),
            ("5.", 5.0),
            ("1e3", 1000.0),
            ("+7", 7.0),
            ("0x1p4", 16.0),
            ("0x1_0.8p0", 16.5),
            ("Inf", f64::INFINITY),
            ("1_000", 1000.0),
        ] {
            assert_eq!(read(text), Some(value), "{text}");
        }
        for text in [
            "", "v1", "1__0", "_1", "1_", "1.2.3", "0x10", "1e999", "--1", "+-1", "main", "1e", ".",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
        assert!(read("NaN").is_some_and(f64::is_nan));
    }
}
