//! The measures of persons in plain loops: what the SQL is tested against.
//!
//! An implementation of its own kind, which shares nothing with the engine but the events: no SQL, no DataFusion,
//! no clever arithmetic where a loop over days or months says the same. It follows the contract and the decision on
//! what the measures of persons mean; "ruling" in a comment is a number of that decision. Everything is an integer:
//! days, persons, spells, øre. It refuses nothing; rows that the decoding of events would refuse make it panic.

pub mod calendar;
mod facts;
pub mod generate;
mod measures;
pub mod reference;
pub mod row;

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use chrono::NaiveDate;
use rettidig_event::person::PersonId;

pub use facts::{Spell, SpellState};
pub use generate::{Options, random_rows, shuffled};

use calendar::{Month, day_of};
use facts::Facts;
use reference::Benefits;
use row::History;

/// Everything the measures depend on.
#[derive(Debug, Clone)]
pub struct Inputs {
    /// Rows of [`rettidig_event::person::schema`] in the order they arrived; the first of an identity counts.
    pub rows: RecordBatch,
    /// Municipality (0: the whole country) and the newest month that income is delivered for.
    pub income_delivered: Vec<(i32, Month)>,
    /// The reference table of the benefits.
    pub benefits_csv: String,
    /// The as-of date.
    pub as_of: NaiveDate,
}

/// Measure → grain as text → integers, both in the order of [`MEASURES`]. Every measure has an entry; a row whose
/// integers are all zero has none.
pub type Cells = BTreeMap<String, BTreeMap<Vec<String>, Vec<i64>>>;

/// A measure: its name, the columns of its grain, its integer columns.
pub type Measure = (&'static str, &'static [&'static str], &'static [&'static str]);

/// The measures in the order of the contract.
pub const MEASURES: [Measure; 20] = [
    (
        "covered",
        &["municipality", "benefit", "month", "breakdown", "breakdown_value"],
        &["covered_days", "recipients"],
    ),
    ("amounts", &["municipality", "benefit", "month"], &["amount_oere", "refund_oere"]),
    (
        "spell_flows",
        &["municipality", "benefit", "month", "breakdown", "breakdown_value"],
        &["started", "ended"],
    ),
    (
        "spell_stocks",
        &["municipality", "benefit", "month", "breakdown", "breakdown_value"],
        &["open_start", "open_end", "running_days", "running_spells"],
    ),
    ("running_durations", &["municipality", "benefit", "month", "duration_band"], &["spells"]),
    ("ended_durations", &["municipality", "benefit", "month", "duration_band"], &["spells", "days"]),
    ("benefit_moves", &["municipality", "benefit", "month", "next_benefit"], &["spells"]),
    ("long_sickness", &["municipality", "month"], &["long_sickness"]),
    ("labour_reserve", &["municipality", "month"], &["labour_reserve"]),
    (
        "under_30",
        &["municipality", "benefit", "month"],
        &["under_30_days", "unknown_birth_days", "under_30_recipients"],
    ),
    (
        "status_after",
        &["municipality", "benefit", "month", "months_after"],
        &["employed", "other_benefit", "neither", "pending"],
    ),
    (
        "status_after_long",
        &["municipality", "benefit", "month", "months_after"],
        &["employed", "other_benefit", "neither", "pending"],
    ),
    ("relapse", &["municipality", "benefit", "month"], &["relapse_26", "relapse_52"]),
    ("survival", &["benefit", "quarter", "week"], &["at_risk", "ended"]),
    (
        "activated",
        &["municipality", "benefit", "month", "breakdown", "breakdown_value"],
        &["activated_days", "touched"],
    ),
    (
        "contacts",
        &["municipality", "month"],
        &["contacts_due", "contacts_on_time", "persons", "persons_on_time", "persons_late"],
    ),
    ("refund_expected", &["municipality", "benefit", "month"], &["refund_expected_oere"]),
    (
        "refund_weeks",
        &["municipality", "month", "monday"],
        &["refund_expected_oere", "refund_oere", "persons", "booked_persons"],
    ),
    (
        "language_tests",
        &["municipality", "month"],
        &["tests", "tests_passed", "persons", "persons_passed", "persons_failed"],
    ),
    (
        "school_tests",
        &["school", "month"],
        &["tests", "tests_passed", "persons", "persons_passed", "persons_failed"],
    ),
];

/// All cells of all measures.
///
/// # Panics
/// On rows that are no events, and on a text that is not the table of the benefits.
pub fn evaluate(inputs: &Inputs) -> Cells {
    let benefits = Benefits::parse(&inputs.benefits_csv);
    let mut tally = measures::Tally::default();
    for history in History::by_person(&inputs.rows).values() {
        let facts = Facts::of(history, &benefits, day_of(inputs.as_of));
        measures::count(&facts, &benefits, &inputs.income_delivered, &mut tally);
    }
    tally.into_cells()
}

/// The spells of every person, by benefit and first day: to look at when cells differ.
///
/// # Panics
/// As [`evaluate`].
pub fn spells(inputs: &Inputs) -> BTreeMap<PersonId, Vec<Spell>> {
    let benefits = Benefits::parse(&inputs.benefits_csv);
    let histories = History::by_person(&inputs.rows);
    let of = |history| Facts::of(history, &benefits, day_of(inputs.as_of)).spells;
    histories.iter().map(|(person, history)| (*person, of(history))).collect()
}
