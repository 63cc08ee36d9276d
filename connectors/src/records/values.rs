//! Texts of records to exact values.
//!
//! Money becomes integer øre, durations integer minutes, nothing passes through a floating-point number. An
//! error names what was expected and never what was found: a column that is mapped wrongly may hold a CPR
//! number.

use chrono::{DateTime, Datelike as _, NaiveDate, Utc};
use rettidig_event::municipality::{code_of, is_municipality};
use rettidig_event::units::{DecimalError, MICRO, parse_micro};

/// What was expected.
pub(crate) type Expected = &'static str;

/// How a source writes decimals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decimal {
    /// `1.234,50`; the thousands' points may be left out.
    Comma,
    /// `1234.50`.
    Point,
}

/// How a source writes dates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DateFormat {
    /// `YYYY-MM-DD`.
    YearFirst,
    /// `DD-MM-YYYY`.
    DayFirst,
    /// `DDMMYYYY`.
    Packed,
}

impl DateFormat {
    pub(crate) const NAMES: [(&'static str, Self); 3] =
        [("YYYY-MM-DD", Self::YearFirst), ("DD-MM-YYYY", Self::DayFirst), ("DDMMYYYY", Self::Packed)];
}

const AMOUNT_COMMA: Expected = "expected an amount such as 1.234,50 with at most two decimals";
const AMOUNT_POINT: Expected = "expected an amount such as 1234.50 with at most two decimals";

/// An amount of kroner, in øre.
pub(crate) fn amount_oere(text: &str, decimal: Decimal) -> Result<i64, Expected> {
    let expected = match decimal {
        Decimal::Comma => AMOUNT_COMMA,
        Decimal::Point => AMOUNT_POINT,
    };
    let plain = plain_decimal(text, decimal).ok_or(expected)?;
    // Checked on the text: "1,500" is more likely a thousand and a half than one and a half.
    if plain.split_once('.').is_some_and(|(_, fraction)| fraction.len() > 2) {
        return Err(expected);
    }
    let micro = match parse_micro(&plain) {
        Ok(micro) => micro,
        Err(DecimalError::TooLarge) => return Err("expected an amount below 9 trillion kroner"),
        Err(_) => return Err(expected),
    };
    Ok(micro / (MICRO / 100))
}

/// Hours as a decimal, in minutes, rounded to the nearest one (160,33 hours are 9,620 minutes).
pub(crate) fn hours_to_minutes(text: &str, decimal: Decimal) -> Result<i64, Expected> {
    const EXPECTED: Expected = "expected hours such as 37 or 37,5 (or 37.5, as the profile says)";
    let micro = plain_decimal(text, decimal).and_then(|plain| parse_micro(&plain).ok()).ok_or(EXPECTED)?;
    let micro_minutes = i128::from(micro) * 60;
    let half = i128::from(MICRO / 2) * micro_minutes.signum();
    i64::try_from((micro_minutes + half) / i128::from(MICRO)).map_err(|_| EXPECTED)
}

/// The number with `.` as decimal sign and without grouping, if it is well formed.
fn plain_decimal(text: &str, decimal: Decimal) -> Option<String> {
    let text = text.trim();
    if decimal == Decimal::Point {
        return Some(text.to_owned());
    }
    let (sign, digits) = text.strip_prefix('-').map_or(("", text), |rest| ("-", rest));
    let (whole, fraction) =
        digits.split_once(',').map_or((digits, None), |(whole, fraction)| (whole, Some(fraction)));
    let mut groups = whole.split('.');
    let first = groups.next()?;
    let mut plain = format!("{sign}{first}");
    let mut grouped = false;
    for group in groups {
        if group.len() != 3 {
            return None;
        }
        grouped = true;
        plain.push_str(group);
    }
    if grouped && !(1..=3).contains(&first.len()) {
        return None;
    }
    if let Some(fraction) = fraction {
        if fraction.contains('.') {
            return None;
        }
        plain.push('.');
        plain.push_str(fraction);
    }
    Some(plain)
}

/// A date between 1900 and 2199.
pub(crate) fn date(text: &str, formats: &[DateFormat]) -> Result<NaiveDate, Expected> {
    const EXPECTED: Expected = "expected a date that exists, in a form that the profile lists";
    let text = text.trim();
    let parsed = formats.iter().find_map(|format| one_date(text, *format));
    parsed.filter(|date| in_years(*date)).ok_or(EXPECTED)
}

/// Whether a day lies in the years that events reach: 1900 to 2199.
pub(crate) fn in_years(date: NaiveDate) -> bool {
    (1900..2200).contains(&date.year())
}

fn one_date(text: &str, format: DateFormat) -> Option<NaiveDate> {
    let bytes = text.as_bytes();
    let (year, month, day) = match format {
        DateFormat::YearFirst if bytes.len() == 10 && bytes[4] == b'-' && bytes[7] == b'-' => {
            (&bytes[..4], &bytes[5..7], &bytes[8..])
        }
        DateFormat::DayFirst if bytes.len() == 10 && bytes[2] == b'-' && bytes[5] == b'-' => {
            (&bytes[6..], &bytes[3..5], &bytes[..2])
        }
        DateFormat::Packed if bytes.len() == 8 => (&bytes[4..], &bytes[2..4], &bytes[..2]),
        _ => return None,
    };
    NaiveDate::from_ymd_opt(i32::try_from(digits(year)?).ok()?, digits(month)?, digits(day)?)
}

/// The number, if it is one that fits.
fn digits(bytes: &[u8]) -> Option<u32> {
    bytes.iter().try_fold(0_u32, |sum, b| {
        let digit = b.is_ascii_digit().then(|| u32::from(b - b'0'))?;
        sum.checked_mul(10)?.checked_add(digit)
    })
}

/// A month, `YYYY-MM` or `YYYYMM`; its first day.
pub(crate) fn month(text: &str) -> Result<NaiveDate, Expected> {
    const EXPECTED: Expected = "expected a month such as 2026-07";
    let text = text.trim();
    let (year, month) = match text.as_bytes() {
        [year @ .., b'-', a, b] if year.len() == 4 => (year, [*a, *b]),
        [year @ .., a, b] if year.len() == 4 => (year, [*a, *b]),
        _ => return Err(EXPECTED),
    };
    let first = |year: u32, month| NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, 1);
    digits(year)
        .zip(digits(&month))
        .and_then(|(year, month)| first(year, month))
        .filter(|date| in_years(*date))
        .ok_or(EXPECTED)
}

/// A count of at least 0.
pub(crate) fn count(text: &str) -> Result<i64, Expected> {
    let text = text.trim();
    let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten().ok_or("expected a whole number of at least 0")
}

/// Yes or no.
pub(crate) fn flag(text: &str) -> Result<bool, Expected> {
    match text.trim() {
        "true" | "1" | "ja" | "Ja" | "JA" => Ok(true),
        "false" | "0" | "nej" | "Nej" | "NEJ" => Ok(false),
        _ => Err("expected true or false (or 1 and 0, ja and nej)"),
    }
}

/// An instant between 1900 and 2199, RFC 3339; also as PostgreSQL writes it, `2026-08-19 07:58:44+00`.
pub(crate) fn instant(text: &str) -> Result<DateTime<Utc>, Expected> {
    const EXPECTED: Expected = "expected an instant such as 2026-08-19T07:58:44Z";
    let text = text.trim();
    let parsed = match text.get(..10).zip(text.get(11..)).filter(|_| text.as_bytes()[10] == b' ') {
        Some((date, time)) => {
            let minutes = if matches!(time.as_bytes(), [.., b'+' | b'-', _, _]) { ":00" } else { "" };
            format!("{date}T{time}{minutes}").parse()
        }
        None => text.parse(),
    };
    parsed.ok().filter(|at: &DateTime<Utc>| in_years(at.date_naive())).ok_or(EXPECTED)
}

/// A municipality by its code (`101`, `0101`) or its name, with or without `Kommune` behind it.
pub(crate) fn municipality(text: &str) -> Result<i32, Expected> {
    const EXPECTED: Expected = "expected one of the 98 municipalities, by code or Danish name";
    let text = text.trim();
    if let Some(number) = digits(text.as_bytes()).filter(|_| (3..=4).contains(&text.len())) {
        return i32::try_from(number).ok().filter(|code| is_municipality(*code)).ok_or(EXPECTED);
    }
    let bare = [" Kommune", " kommune", " Regionskommune", " regionskommune"]
        .iter()
        .find_map(|suffix| text.strip_suffix(suffix));
    if let Some(code) = code_of(bare.unwrap_or(text)) {
        return Ok(code);
    }
    // "Københavns Kommune", "Bornholms Regionskommune".
    let owner = bare.and_then(|name| name.strip_suffix('s')).ok_or(EXPECTED)?;
    code_of(owner).ok_or(EXPECTED)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn amounts() {
        for (text, oere) in [
            ("1.234,50", Some(123_450)),
            ("1234,5", Some(123_450)),
            (" -12.345.678,09 ", Some(-1_234_567_809)),
            ("0", Some(0)),
            ("-0,00", Some(0)),
            ("1.234", Some(123_400)),
            ("12,345", None),
            ("1.23", None),
            ("1234.567", None),
            (".234", None),
            ("1..234", None),
            ("1,2,3", None),
            ("1,2.3", None),
            ("12,", None),
            (",5", None),
            ("", None),
            ("--1", None),
            ("1e3", None),
            ("12 kr", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(amount_oere(text, Decimal::Comma).ok(), oere, "{text:?}");
        }
        for (text, oere) in
            [("1234.50", Some(123_450)), ("-5", Some(-500)), ("1.500", None), ("1,50", None), ("1e3", None)]
        {
            assert_eq!(amount_oere(text, Decimal::Point).ok(), oere, "{text:?}");
        }
    }

    #[test]
    fn hours() {
        for (text, minutes) in [("37", 2220), ("37,5", 2250), ("160,33", 9620), ("-0,5", -30), ("0", 0)] {
            assert_eq!(hours_to_minutes(text, Decimal::Comma), Ok(minutes), "{text:?}");
        }
        assert_eq!(hours_to_minutes("160.33", Decimal::Point), Ok(9620));
        assert!(hours_to_minutes("", Decimal::Comma).is_err());
    }

    #[test]
    fn dates_and_months() {
        let all: Vec<_> = DateFormat::NAMES.iter().map(|(_, format)| *format).collect();
        for (text, expected) in [
            ("2026-08-17", Some("2026-08-17")),
            ("17-08-2026", Some("2026-08-17")),
            ("17082026", Some("2026-08-17")),
            ("2026-02-29", None),
            ("31-04-2026", None),
            ("0026-01-01", None),
            ("2026-8-17", None),
            ("17/08/2026", None),
            ("", None),
        ] {
            assert_eq!(date(text, &all).ok().map(|date| date.to_string()).as_deref(), expected, "{text:?}");
        }
        assert!(date("17-08-2026", &[DateFormat::YearFirst]).is_err());
        for (text, expected) in [
            ("2026-07", Some("2026-07-01")),
            ("202607", Some("2026-07-01")),
            ("2026-13", None),
            ("26-07", None),
        ] {
            assert_eq!(month(text).ok().map(|date| date.to_string()).as_deref(), expected, "{text:?}");
        }
    }

    #[test]
    fn instants() {
        for (text, utc) in [
            ("2026-08-02T09:30:00+02:00", Some("2026-08-02T07:30:00+00:00")),
            ("2026-08-02 07:30:00.5+00", Some("2026-08-02T07:30:00.500+00:00")),
            ("2026-08-02 07:30:00+05:30", Some("2026-08-02T02:00:00+00:00")),
            ("2026-08-02 07:30:00", None),
            ("2026-08-02", None),
            ("", None),
            // No month of a delivery has five digits.
            ("+12026-08-02T07:30:00Z", None),
            ("-0001-08-02T07:30:00Z", None),
            ("+262142-12-31T23:59:59Z", None),
            ("-262143-01-01T00:00:00Z", None),
        ] {
            assert_eq!(instant(text).ok().map(|at| at.to_rfc3339()).as_deref(), utc, "{text:?}");
        }
    }

    #[test]
    fn municipalities_by_code_and_name() {
        for (text, code) in [
            ("101", Some(101)),
            ("0851", Some(851)),
            ("Aalborg", Some(851)),
            ("Aalborg Kommune", Some(851)),
            ("Københavns Kommune", Some(101)),
            ("Bornholms Regionskommune", Some(400)),
            ("Nordfyns Kommune", Some(480)),
            ("102", None),
            ("00101", None),
            ("99999999999", None),
            ("Aalborgs", None),
            ("", None),
        ] {
            assert_eq!(municipality(text).ok(), code, "{text:?}");
        }
        for (code, name) in rettidig_event::municipality::MUNICIPALITIES {
            assert_eq!(municipality(&format!("{name} Kommune")), Ok(code));
        }
    }

    proptest! {
        /// Øre to Danish text, grouped or not, and back.
        #[test]
        fn danish_amounts_round_trip(oere in -9_000_000_000_000_i64..=9_000_000_000_000, grouped in any::<bool>()) {
            let whole = (oere.unsigned_abs() / 100).to_string();
            let mut text = String::new();
            for (at, digit) in whole.chars().enumerate() {
                if grouped && at > 0 && (whole.len() - at).is_multiple_of(3) {
                    text.push('.');
                }
                text.push(digit);
            }
            let sign = if oere < 0 { "-" } else { "" };
            let text = format!("{sign}{text},{:02}", oere.unsigned_abs() % 100);
            prop_assert_eq!(amount_oere(&text, Decimal::Comma), Ok(oere), "{}", text);
        }

        #[test]
        fn any_text_is_taken_without_panic(text in ".{0,20}|[0-9]{0,20}") {
            for decimal in [Decimal::Comma, Decimal::Point] {
                let _ = (amount_oere(&text, decimal), hours_to_minutes(&text, decimal));
            }
            let _ = (date(&text, &[DateFormat::Packed, DateFormat::DayFirst]), month(&text), municipality(&text));
            let _ = (instant(&text), count(&text), flag(&text));
        }
    }
}
