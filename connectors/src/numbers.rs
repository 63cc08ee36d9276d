//! Figures as publishers write them, brought to canonical decimal text.
//!
//! Both publishers send JSON numbers; both may send Danish text instead (`88.080`, `2,9`) and signs for
//! what is not a number. Values keep at most six decimals (millionths, the unit of the pipeline); a JSON
//! number with binary noise behind them is rounded there, text with more decimals is refused. Anything else
//! is refused: a guess would be a wrong figure under a publisher's name.

use rettidig_event::units::{format_micro, parse_micro};

/// What stands in one cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cell {
    /// Canonical decimal text.
    Number(String),
    /// Withheld; zero cannot always be told from it.
    Hidden,
    /// Not there.
    Missing,
}

/// Canonical text of a decimal text with `.` as decimal sign.
pub(crate) fn canonical(text: &str) -> Option<Cell> {
    parse_micro(text).ok().map(|micro| Cell::Number(format_micro(micro)))
}

/// A JSON number.
pub(crate) fn json_number(number: &serde_json::Number) -> Option<Cell> {
    if number.is_i64() || number.is_u64() {
        return canonical(&number.to_string());
    }
    canonical(&format!("{:.6}", number.as_f64().filter(|value| value.is_finite())?))
}

/// A number in Danish text: `.` groups thousands, `,` is the decimal sign. `dash` is what `-` means to the
/// publisher. `..` (not available), `.` (cannot occur) and nothing at all are missing.
pub(crate) fn danish(text: &str, dash: Cell) -> Option<Cell> {
    let text: String = text.chars().filter(|c| !matches!(c, ' ' | '\u{a0}' | '\u{202f}')).collect();
    match text.as_str() {
        "" | "." | ".." => return Some(Cell::Missing),
        "-" => return Some(dash),
        _ => {}
    }
    let (sign, digits) = text.strip_prefix('-').map_or(("", text.as_str()), |rest| ("-", rest));
    let (whole, fraction) =
        digits.split_once(',').map_or((digits, None), |(whole, rest)| (whole, Some(rest)));
    if fraction.is_some_and(|f| f.is_empty() || !f.bytes().all(|b| b.is_ascii_digit())) {
        return None;
    }
    let mut groups = whole.split('.');
    let first = groups.next()?;
    let mut plain = first.to_owned();
    let mut grouped = false;
    for group in groups {
        if group.len() != 3 {
            return None;
        }
        grouped = true;
        plain.push_str(group);
    }
    if plain.is_empty() || !plain.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    if grouped && !(1..=3).contains(&first.len()) {
        return None;
    }
    canonical(&format!("{sign}{plain}.{}", fraction.unwrap_or("0")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn danish_text() {
        let number = |text: &str| Some(Cell::Number(text.to_owned()));
        for (text, expected) in [
            ("88.080", number("88080")),
            ("1.234.567,5", number("1234567.5")),
            ("2,9", number("2.9")),
            ("-0,5", number("-0.5")),
            ("88080", number("88080")),
            ("1\u{a0}234", number("1234")),
            ("0", number("0")),
            ("", Some(Cell::Missing)),
            ("..", Some(Cell::Missing)),
            (".", Some(Cell::Missing)),
            ("-", Some(Cell::Hidden)),
            ("2.9", None),
            ("1234.567", None),
            ("1,", None),
            (",5", None),
            ("1,2,3", None),
            ("abc", None),
            ("1e5", None),
            ("1,1234567", None),
        ] {
            assert_eq!(danish(text, Cell::Hidden), expected, "{text:?}");
        }
    }

    #[test]
    fn json_numbers() {
        for (json, text) in [
            ("88080", "88080"),
            ("2.9", "2.9"),
            ("9.0", "9"),
            ("0.30000000000000004", "0.3"),
            ("-1.5", "-1.5"),
        ] {
            let number: serde_json::Number = serde_json::from_str(json).expect("json");
            assert_eq!(json_number(&number), Some(Cell::Number(text.to_owned())), "{json}");
        }
    }
}
