//! Exact numbers: decimal text to integer millionths and back.
//!
//! Official figures arrive as decimal text with a handful of decimals ("88080", "2.9"). They are carried as
//! `i64` millionths (suffix `_micro`), so that sums are exact and order-free; nothing is rounded on the way.

use thiserror::Error;

/// Millionths in one.
pub const MICRO: i64 = 1_000_000;

/// Why a text is not a number that can be carried exactly.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum DecimalError {
    /// Not of the form `-?digits[.digits]`.
    #[error("expected a decimal number such as \"88080\" or \"2.9\"")]
    Malformed,
    /// More than six decimals: cannot be kept exactly.
    #[error("more than 6 decimals")]
    TooPrecise,
    /// Does not fit 64 bits of millionths (about ±9.2 trillion).
    #[error("too large")]
    TooLarge,
}

/// Parses decimal text (`.` as decimal sign, no grouping, no exponent) to millionths.
pub fn parse_micro(text: &str) -> Result<i64, DecimalError> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = match digits.split_once('.') {
        Some((_, "")) => return Err(DecimalError::Malformed),
        Some((whole, fraction)) => (whole, fraction),
        None => (digits, ""),
    };
    if whole.is_empty() || !whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit()) {
        return Err(DecimalError::Malformed);
    }
    let fraction = fraction.trim_end_matches('0');
    if fraction.len() > 6 {
        return Err(DecimalError::TooPrecise);
    }
    let whole: i64 = whole.parse().map_err(|_| DecimalError::TooLarge)?;
    let fraction: i64 = format!("{fraction:0<6}").parse().map_err(|_| DecimalError::Malformed)?;
    let micro =
        whole.checked_mul(MICRO).and_then(|w| w.checked_add(fraction)).ok_or(DecimalError::TooLarge)?;
    Ok(if negative { -micro } else { micro })
}

/// The shortest decimal text of a number of millionths; the inverse of [`parse_micro`].
pub fn format_micro(micro: i64) -> String {
    let sign = if micro < 0 { "-" } else { "" };
    let (whole, fraction) = (micro.unsigned_abs() / MICRO as u64, micro.unsigned_abs() % MICRO as u64);
    if fraction == 0 {
        return format!("{sign}{whole}");
    }
    format!("{sign}{whole}.{}", format!("{fraction:06}").trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn parses_what_publishers_write_and_refuses_the_rest() {
        assert_eq!(parse_micro("88080"), Ok(88_080_000_000));
        assert_eq!(parse_micro("2.9"), Ok(2_900_000));
        assert_eq!(parse_micro("-0.5"), Ok(-500_000));
        assert_eq!(parse_micro("1.1000000"), Ok(1_100_000));
        assert_eq!(parse_micro("0.1234567"), Err(DecimalError::TooPrecise));
        assert_eq!(parse_micro("9300000000000"), Err(DecimalError::TooLarge));
        assert_eq!(parse_micro("99999999999999999999"), Err(DecimalError::TooLarge));
        for bad in ["", "-", ".", "1.", ".5", "1,5", "1e3", " 1", "+1", "NaN", "1.2.3", "--1", "٣"] {
            assert_eq!(parse_micro(bad), Err(DecimalError::Malformed), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn format_and_parse_are_inverse(micro in -9_000_000_000_000_000_000_i64..=9_000_000_000_000_000_000) {
            prop_assert_eq!(parse_micro(&format_micro(micro)), Ok(micro));
        }
    }
}
