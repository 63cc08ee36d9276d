//! Reference periods as they are written on the topics: `2026`, `2026K1`, `2026M07`, `2026U05`, `2026M03D03`.
//!
//! Publishers write the same period in several ways (`2025K1`, `2025Q1`, `2026Q01`, `2025Y01`); connectors
//! bring them to the form above, and this module tells first and last day.

use std::fmt;
use std::str::FromStr;

use chrono::{Datelike, Days, NaiveDate, Weekday};
use thiserror::Error;

/// A reference period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Period {
    /// A calendar year.
    Year(i32),
    /// A quarter, 1 to 4 (Danish: kvartal, hence `K`).
    Quarter(i32, u32),
    /// A month, 1 to 12.
    Month(i32, u32),
    /// An ISO week (Danish: uge, hence `U`).
    Week(i32, u32),
    /// A day.
    Day(NaiveDate),
}

/// A text that is not a period.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("not a period: {0:?}; expected a form such as 2026, 2026K1, 2026M07, 2026U05 or 2026M03D03")]
pub struct PeriodError(String);

impl Period {
    /// First day, inclusive.
    pub fn first_day(&self) -> NaiveDate {
        match *self {
            Self::Year(y) => date(y, 1, 1),
            Self::Quarter(y, q) => date(y, q * 3 - 2, 1),
            Self::Month(y, m) => date(y, m, 1),
            Self::Week(y, w) => NaiveDate::from_isoywd_opt(y, w, Weekday::Mon).unwrap_or(NaiveDate::MAX),
            Self::Day(d) => d,
        }
    }

    /// Last day, inclusive.
    pub fn last_day(&self) -> NaiveDate {
        let after = match *self {
            Self::Year(y) => date(y + 1, 1, 1),
            Self::Quarter(y, 4) | Self::Month(y, 12) => date(y + 1, 1, 1),
            Self::Quarter(y, q) => date(y, q * 3 + 1, 1),
            Self::Month(y, m) => date(y, m + 1, 1),
            Self::Week(..) => self.first_day() + Days::new(7),
            Self::Day(d) => d + Days::new(1),
        };
        after.pred_opt().unwrap_or(NaiveDate::MIN)
    }

    /// The form used in published tables: `2026`, `2026-Q1`, `2026-07`, `2026-W05`, `2026-03-03`.
    pub fn published(&self) -> String {
        match *self {
            Self::Year(y) => format!("{y:04}"),
            Self::Quarter(y, q) => format!("{y:04}-Q{q}"),
            Self::Month(y, m) => format!("{y:04}-{m:02}"),
            Self::Week(y, w) => format!("{y:04}-W{w:02}"),
            Self::Day(d) => d.to_string(),
        }
    }

    /// The period of a published table's text; `None` if [`Self::published`] never writes it so.
    pub fn from_published(text: &str) -> Option<Self> {
        let (year, rest) = text.split_at_checked(4)?;
        let written = match rest.strip_prefix('-') {
            None if rest.is_empty() => year.to_owned(),
            None => return None,
            Some(rest) => match (rest.as_bytes(), rest.split_once('-')) {
                ([b'Q', ..], _) => format!("{year}K{}", &rest[1..]),
                ([b'W', ..], _) => format!("{year}U{}", &rest[1..]),
                (_, None) => format!("{year}M{rest}"),
                (_, Some((month, day))) => format!("{year}M{month}D{day}"),
            },
        };
        written.parse().ok().filter(|period: &Self| period.published() == text)
    }
}

/// A date as Arrow's `Date32` counts it.
pub(crate) fn days_since_1970(date: NaiveDate) -> i32 {
    date.num_days_from_ce() - 719_163
}

fn date(year: i32, month: u32, day: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(year, month, day).unwrap_or(NaiveDate::MAX)
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Year(y) => write!(f, "{y:04}"),
            Self::Quarter(y, q) => write!(f, "{y:04}K{q}"),
            Self::Month(y, m) => write!(f, "{y:04}M{m:02}"),
            Self::Week(y, w) => write!(f, "{y:04}U{w:02}"),
            Self::Day(d) => write!(f, "{:04}M{:02}D{:02}", d.year(), d.month(), d.day()),
        }
    }
}

impl FromStr for Period {
    type Err = PeriodError;

    /// Accepts the canonical form and the publishers' variants: `Q` for `K`, one- or two-digit quarters,
    /// and jobindsats' `2025Y01` for a year.
    fn from_str(text: &str) -> Result<Self, PeriodError> {
        let error = || PeriodError(text.to_owned());
        let number = |s: &str, digits: std::ops::RangeInclusive<usize>| -> Result<u32, PeriodError> {
            if !digits.contains(&s.len()) || !s.bytes().all(|b| b.is_ascii_digit()) {
                return Err(error());
            }
            s.parse().map_err(|_| error())
        };
        if !text.is_ascii() || text.len() < 4 {
            return Err(error());
        }
        let year = i32::try_from(number(&text[..4], 4..=4)?).map_err(|_| error())?;
        let rest = &text[4..];
        let Some(kind) = rest.chars().next() else { return Ok(Self::Year(year)) };
        let rest = &rest[1..];
        match kind {
            'Y' if number(rest, 1..=2)? == 1 => Ok(Self::Year(year)),
            'K' | 'Q' => match number(rest, 1..=2)? {
                quarter @ 1..=4 => Ok(Self::Quarter(year, quarter)),
                _ => Err(error()),
            },
            'M' => {
                let (month, day) = match rest.split_once('D') {
                    Some((month, day)) => (number(month, 2..=2)?, Some(number(day, 2..=2)?)),
                    None => (number(rest, 2..=2)?, None),
                };
                match day {
                    Some(day) => NaiveDate::from_ymd_opt(year, month, day).map(Self::Day).ok_or_else(error),
                    None if (1..=12).contains(&month) => Ok(Self::Month(year, month)),
                    None => Err(error()),
                }
            }
            'U' | 'W' => {
                let week = number(rest, 2..=2)?;
                NaiveDate::from_isoywd_opt(year, week, Weekday::Mon)
                    .map(|_| Self::Week(year, week))
                    .ok_or_else(error)
            }
            _ => Err(error()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_form_days_and_published_form() {
        for (text, canonical, published, first, last) in [
            ("2026", "2026", "2026", "2026-01-01", "2026-12-31"),
            ("2025Y01", "2025", "2025", "2025-01-01", "2025-12-31"),
            ("2026K1", "2026K1", "2026-Q1", "2026-01-01", "2026-03-31"),
            ("2026Q01", "2026K1", "2026-Q1", "2026-01-01", "2026-03-31"),
            ("2025Q4", "2025K4", "2025-Q4", "2025-10-01", "2025-12-31"),
            ("2026M07", "2026M07", "2026-07", "2026-07-01", "2026-07-31"),
            ("2024M02", "2024M02", "2024-02", "2024-02-01", "2024-02-29"),
            ("2026M12", "2026M12", "2026-12", "2026-12-01", "2026-12-31"),
            ("2025U01", "2025U01", "2025-W01", "2024-12-30", "2025-01-05"),
            ("2025M03D03", "2025M03D03", "2025-03-03", "2025-03-03", "2025-03-03"),
        ] {
            let period: Period = text.parse().expect(text);
            assert_eq!(period.to_string(), canonical);
            assert_eq!(period.published(), published);
            assert_eq!(Period::from_published(published), Some(period));
            assert_eq!(period.first_day().to_string(), first, "{text}");
            assert_eq!(period.last_day().to_string(), last, "{text}");
            let epoch = NaiveDate::from_ymd_opt(1970, 1, 1).expect("date");
            let days = (period.last_day() - epoch).num_days();
            assert_eq!(i64::from(days_since_1970(period.last_day())), days);
        }
    }

    #[test]
    fn refuses_what_is_no_period() {
        for bad in [
            "",
            "202",
            "2026M13",
            "2026M00",
            "2026M7",
            "2026K5",
            "2026K0",
            "2026X01",
            "2025U53",
            "2025M02D30",
            "2026Y02",
            "２０２６",
            "2026M",
            "2026-07",
        ] {
            assert!(bad.parse::<Period>().is_err(), "{bad:?}");
        }
        for bad in [
            "",
            "202",
            "2026M07",
            "2026K1",
            "2026-7",
            "2026-13",
            "2026-Q01",
            "2026-Q5",
            "2026-",
            "2026-07-",
            "2026-02-30",
            "２０２６",
        ] {
            assert_eq!(Period::from_published(bad), None, "{bad:?}");
        }
    }
}
