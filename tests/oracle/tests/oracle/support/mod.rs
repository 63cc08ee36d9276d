//! What the hand-made histories are written with: one line a row, one line an expected cell.

use std::collections::BTreeMap;

use rettidig_event::benefit::number_of;
use rettidig_event::person::kind;
use rettidig_oracle::calendar::{Day, Month, day_of, first_day_of, last_day_of, month_of};
use rettidig_oracle::row::{Row, op, to_batch, topic};
use rettidig_oracle::{Cells, Inputs, evaluate};

/// The reference table of the repository.
pub const BENEFITS_CSV: &str = include_str!("../../../../../sql/reference/benefits.csv");

pub fn day(text: &str) -> Day {
    day_of(text.parse().expect("a date"))
}

pub fn month(text: &str) -> Month {
    month_of(day(&format!("{text}-01")))
}

/// Rows of person 1, unless said otherwise; each has the identity `id` and is recorded on a day.
pub fn row(topic: i32, op: i32, id: &str, recorded: &str, municipality: i32) -> Row {
    Row {
        person: [1; 16],
        topic,
        source: "test".to_owned(),
        id: id.to_owned(),
        op,
        recorded_at: i64::from(day(recorded)) * 86_400_000_000,
        municipality,
        ..Row::default()
    }
}

/// A payment in the ledger of 0101, recorded on its last day. `id` tells it apart.
pub fn pay(id: &str, benefit: &str, from: &str, to: &str, amount_oere: i64) -> Row {
    Row {
        kind: kind::PAYMENT,
        benefit: number_of(benefit),
        from_day: Some(day(from)),
        to_day: Some(day(to)),
        amount_oere: Some(amount_oere),
        refund_oere: Some(0),
        ..row(topic::PAYMENTS, op::ADD, id, to, 101)
    }
}

pub fn step(id: &str, kind: i32, from: &str, to: Option<&str>, detail: &str) -> Row {
    Row {
        kind,
        from_day: Some(day(from)),
        to_day: to.map(day),
        detail: Some(detail.to_owned()),
        ..row(topic::CASES, op::UPSERT, id, from, 101)
    }
}

pub fn wage(id: &str, of: &str, wage_oere: i64) -> Row {
    Row {
        kind: kind::INCOME,
        from_day: Some(first_day_of(month(of))),
        to_day: Some(last_day_of(month(of))),
        amount_oere: Some(wage_oere),
        ..row(topic::INCOME, op::ADD, id, &format!("{of}-01"), 101)
    }
}

pub fn inputs(rows: &[Row], as_of: &str) -> Inputs {
    Inputs {
        rows: to_batch(rows),
        income_delivered: Vec::new(),
        benefits_csv: BENEFITS_CSV.to_owned(),
        as_of: as_of.parse().expect("a date"),
    }
}

pub fn cells(rows: &[Row], as_of: &str) -> Cells {
    evaluate(&inputs(rows, as_of))
}

/// A measure as text, `grain: integers` by line, only rows whose grain has `filter` in it.
pub fn lines(cells: &Cells, measure: &str, filter: &str) -> Vec<String> {
    let line = |(grain, integers): (&Vec<String>, &Vec<i64>)| {
        let integers: Vec<String> = integers.iter().map(i64::to_string).collect();
        format!("{}: {}", grain.join(" "), integers.join(" "))
    };
    cells[measure].iter().map(line).filter(|line| line.contains(filter)).collect()
}

/// Sums by a part of the grain.
pub fn sums(
    cells: &Cells,
    measure: &str,
    key: impl Fn(&[String]) -> Option<Vec<String>>,
) -> BTreeMap<Vec<String>, Vec<i64>> {
    let mut sums: BTreeMap<Vec<String>, Vec<i64>> = BTreeMap::new();
    for (grain, integers) in &cells[measure] {
        if let Some(key) = key(grain) {
            let sum = sums.entry(key).or_insert_with(|| vec![0; integers.len()]);
            for (sum, integer) in sum.iter_mut().zip(integers) {
                *sum += integer;
            }
        }
    }
    sums.retain(|_, sum| sum.iter().any(|value| *value != 0));
    sums
}
