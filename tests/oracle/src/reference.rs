//! The dated reference rows of the benefits, as far as the measures need them: gap rule and refund ladder.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use rettidig_event::benefit;

use crate::calendar::{Day, day_of};

/// What splits two spells of a benefit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GapRule {
    /// A whole calendar month without a covered day.
    FullCalendarMonth,
    /// So many uncovered days.
    Days(i32),
}

#[derive(Debug)]
struct ReferenceRow {
    gap_rule: GapRule,
    in_refund_ladder: bool,
    valid_from: Day,
    valid_to: Option<Day>,
}

/// The reference rows of all benefits, oldest first.
#[derive(Debug)]
pub struct Benefits(BTreeMap<i32, Vec<ReferenceRow>>);

impl Benefits {
    /// Reads the table of benefits.
    ///
    /// # Panics
    /// On a text that is not that table: a test cannot go on without it.
    pub fn parse(text: &str) -> Self {
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let header = reader.headers().expect("a header").clone();
        let place = |name: &str| {
            header.iter().position(|column| column == name).unwrap_or_else(|| panic!("no column {name}"))
        };
        let (code, gap_rule, ladder) = (place("code"), place("gap_rule"), place("in_refund_ladder"));
        let (valid_from, valid_to) = (place("valid_from"), place("valid_to"));
        let mut benefits: BTreeMap<i32, Vec<ReferenceRow>> = BTreeMap::new();
        for record in reader.records() {
            let record = record.expect("a row of the table");
            let date = |text: &str| -> Option<Day> {
                (!text.is_empty()).then(|| day_of(text.parse::<NaiveDate>().expect("a date or nothing")))
            };
            let number = benefit::number_of(&record[code]).expect("a benefit of the events");
            benefits.entry(number).or_default().push(ReferenceRow {
                gap_rule: parse_gap_rule(&record[gap_rule]),
                in_refund_ladder: record[ladder].parse().expect("true or false"),
                valid_from: date(&record[valid_from]).unwrap_or(Day::MIN),
                valid_to: date(&record[valid_to]),
            });
        }
        for rows in benefits.values_mut() {
            rows.sort_by_key(|row| row.valid_from);
        }
        Self(benefits)
    }

    /// Ruling 8: the row valid on the day (the newest if several are), else the newest row.
    fn row_on(&self, benefit: i32, day: Day) -> Option<&ReferenceRow> {
        let rows = self.0.get(&benefit)?;
        let valid = |row: &&ReferenceRow| row.valid_from <= day && row.valid_to.is_none_or(|to| day <= to);
        rows.iter().rev().find(valid).or(rows.last())
    }

    /// The gap rule after a covered day; a benefit without any row has the default of the contract.
    pub fn gap_rule_on(&self, benefit: i32, day: Day) -> GapRule {
        self.row_on(benefit, day).map_or(GapRule::FullCalendarMonth, |row| row.gap_rule)
    }

    /// Whether a covered day counts on the refund ladder.
    pub fn in_refund_ladder_on(&self, benefit: i32, day: Day) -> bool {
        self.row_on(benefit, day).is_some_and(|row| row.in_refund_ladder)
    }
}

fn parse_gap_rule(text: &str) -> GapRule {
    match text {
        "full_calendar_month" => GapRule::FullCalendarMonth,
        "one_day" => GapRule::Days(1),
        _ => {
            let days = text.strip_prefix("days:").and_then(|days| days.parse().ok());
            GapRule::Days(days.unwrap_or_else(|| panic!("gap rule {text:?}: expected days:N")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two rows with a hole between them: a day in the hole and a day after the last take the newest row.
    #[test]
    fn the_row_of_a_day_is_the_valid_one_else_the_newest() {
        let benefits = Benefits::parse(
            "code,gap_rule,in_refund_ladder,valid_from,valid_to\n\
             cash,days:5,false,2025-01-01,2025-12-31\n\
             cash,one_day,true,2024-01-01,2024-06-30\n",
        );
        let on = |text: &str| {
            let day = day_of(text.parse().expect("date"));
            (benefits.gap_rule_on(2, day), benefits.in_refund_ladder_on(2, day))
        };
        assert_eq!(on("2024-06-30"), (GapRule::Days(1), true));
        assert_eq!(on("2024-07-01"), (GapRule::Days(5), false));
        assert_eq!(on("2025-03-01"), (GapRule::Days(5), false));
        assert_eq!(on("2026-01-01"), (GapRule::Days(5), false));
        assert_eq!(on("2023-12-31"), (GapRule::Days(5), false));
        assert_eq!(benefits.gap_rule_on(1, 0), GapRule::FullCalendarMonth);
    }
}
