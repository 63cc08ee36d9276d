//! What a file's name says: municipality, date, sequence.
//!
//! A profile gives the form, e.g. `income-{municipality}-{date}.csv`; only files whose whole name has it are
//! read. `{municipality}` is a known code, `{date}` is `YYYY-MM-DD`, `{instant}` is `YYYYMMDDTHHMMSSZ`, `{seq}` is
//! one to nine digits: no name that fits can hold a CPR number.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use rettidig_event::municipality::is_municipality;

/// A form of file names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct NameForm(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    Municipality,
    Date,
    Instant,
    Sequence,
}

/// What a name says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct NameFacts {
    pub municipality: Option<i32>,
    /// The date at 00:00 UTC, or the instant.
    pub at: Option<DateTime<Utc>>,
}

impl NameForm {
    /// Reads a form.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        const KNOWN: &str = "expected a file name with {municipality}, {date}, {instant} or {seq} in it";
        let mut parts = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let (literal, after) = rest.split_at(rest.find('{').unwrap_or(rest.len()));
            if !literal.is_empty() {
                parts.push(Part::Literal(literal.to_owned()));
            }
            rest = after;
            if rest.is_empty() {
                break;
            }
            let end = rest.find('}').ok_or(KNOWN)?;
            let part = match &rest[1..end] {
                "municipality" => Part::Municipality,
                "date" => Part::Date,
                "instant" => Part::Instant,
                "seq" => Part::Sequence,
                _ => return Err(KNOWN),
            };
            let adjacent = parts.last().is_some_and(|last| !matches!(last, Part::Literal(_)));
            if adjacent || parts.contains(&part) {
                return Err("each of the marks at most once, with text between two of them");
            }
            parts.push(part);
            rest = &rest[end + 1..];
        }
        if text.is_empty() || text.contains(['/', '\\']) || crate::pseudonym::contains_cpr(text) {
            return Err(KNOWN);
        }
        Ok(Self(parts))
    }

    pub(crate) fn has_municipality(&self) -> bool {
        self.0.contains(&Part::Municipality)
    }

    pub(crate) fn has_instant(&self) -> bool {
        self.0.iter().any(|part| matches!(part, Part::Date | Part::Instant))
    }

    /// What a name says; `None` if it has not the form.
    pub(crate) fn read(&self, name: &str) -> Option<NameFacts> {
        let mut facts = NameFacts::default();
        let mut rest = name;
        for part in &self.0 {
            let taken = match part {
                Part::Literal(literal) => rest.starts_with(literal.as_str()).then_some(literal.len())?,
                Part::Municipality => {
                    let length = digits(rest);
                    let code = rest[..length].parse().ok().filter(|_| (3..=4).contains(&length))?;
                    facts.municipality = Some(code).filter(|code| is_municipality(*code));
                    facts.municipality?;
                    length
                }
                Part::Date => {
                    let date = NaiveDate::parse_from_str(rest.get(..10)?, "%Y-%m-%d").ok()?;
                    facts.at = Some(date.and_time(NaiveTime::MIN).and_utc());
                    10
                }
                Part::Instant => {
                    let at = NaiveDateTime::parse_from_str(rest.get(..16)?, "%Y%m%dT%H%M%SZ").ok()?;
                    facts.at = Some(at.and_utc());
                    16
                }
                Part::Sequence => Some(digits(rest)).filter(|length| (1..=9).contains(length))?,
            };
            rest = &rest[taken..];
        }
        rest.is_empty().then_some(facts)
    }
}

fn digits(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_digit).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_fit_and_names_that_do_not() {
        let form = NameForm::parse("yr-{municipality}-{seq}-{date}.csv").expect("form");
        let facts = form.read("yr-730-0050-2024-03-03.csv").expect("fits");
        assert_eq!(facts.municipality, Some(730));
        assert_eq!(facts.at.map(|at| at.to_rfc3339()).as_deref(), Some("2024-03-03T00:00:00+00:00"));
        for name in [
            "yr-731-0050-2024-03-03.csv",
            "yr-730-0050-2024-03-32.csv",
            "yr-730-1234567890-2024-03-03.csv",
            "yr-730-0050-2024-03-03.csv.part",
            "x-yr-730-0050-2024-03-03.csv",
            "yr-730-0050-2024-03",
            "yr-730-æ",
            "",
        ] {
            assert_eq!(form.read(name), None, "{name}");
        }
        let form = NameForm::parse("ky-{instant}.ndjson").expect("form");
        let at = form.read("ky-20260819T075844Z.ndjson").expect("fits").at;
        assert_eq!(at.map(|at| at.to_rfc3339()).as_deref(), Some("2026-08-19T07:58:44+00:00"));
        assert!(!form.has_municipality() && form.has_instant());
    }

    #[test]
    fn forms_that_are_none() {
        for text in
            ["", "{date}{seq}", "{date}-{date}", "{datum}.csv", "{date", "a/{date}.csv", "610170-1234.csv"]
        {
            assert!(NameForm::parse(text).is_err(), "{text}");
        }
    }
}
