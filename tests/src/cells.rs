//! Cells of the person-level measures as text, to compare the SQL with the oracle and runs with each other.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Date32Type, Int64Type};
use chrono::NaiveDate;
use rettidig_event::benefit;
use rettidig_model::calendar::month_text;
use rettidig_model::{Model, persons::Cells};
use rettidig_oracle::Inputs;
use rettidig_runtime::persons::{Limits, State, parameters_of};
use rettidig_runtime::{Manifest, Store};

/// Measure → grain as text → integers; rows of zeros left out.
pub type Shown = BTreeMap<String, BTreeMap<Vec<String>, Vec<i64>>>;

/// The grain's value as people write it.
fn text(column: &str, batch: &RecordBatch, place: usize, row: usize) -> String {
    let array = batch.column(place);
    if let Some(texts) = array.as_string_opt::<i32>() {
        return texts.value(row).to_owned();
    }
    let number = array.as_primitive::<Int64Type>().value(row);
    match column {
        "municipality" => format!("{number:04}"),
        "benefit" => benefit::code_of(i32::try_from(number).unwrap_or(0)).unwrap_or("?").to_owned(),
        "month" => month_text(number),
        "start_quarter" => format!("{}-Q{}", 1970 + number / 4, number % 4 + 1),
        "monday" => day_text(number),
        "week" => format!("{number:03}"),
        _ => number.to_string(),
    }
}

/// A day as people write it.
fn day_text(day: i64) -> String {
    let day = i32::try_from(day).ok().and_then(Date32Type::to_naive_date_opt);
    day.map_or_else(|| "?".to_owned(), |date| date.to_string())
}

/// Cells as text, one entry for each of the model's measures.
///
/// # Panics
/// If a measure has two rows of the same grain.
pub fn shown(model: &Model, cells: &Cells) -> Shown {
    let mut shown = Shown::new();
    for (name, batch) in cells {
        let grain = model.models.iter().find(|model| &model.name == name).map(|model| &model.header.grain);
        let grain = grain.unwrap_or_else(|| panic!("no measure {name}"));
        let rows = shown.entry(name.clone()).or_default();
        for row in 0..batch.num_rows() {
            let key: Vec<String> =
                grain.iter().enumerate().map(|(place, column)| text(column, batch, place, row)).collect();
            let values: Vec<i64> = (grain.len()..batch.num_columns())
                .map(|place| batch.column(place).as_primitive::<Int64Type>().value(row))
                .collect();
            if values.iter().any(|value| *value != 0) {
                assert!(rows.insert(key.clone(), values).is_none(), "{name} has two rows of {key:?}");
            }
        }
    }
    shown
}

/// The first differences of two sets of cells, one a line; empty if there are none.
pub fn differences(left: &Shown, right: &Shown) -> Vec<String> {
    let mut differences = Vec::new();
    for name in left.keys().chain(right.keys()).collect::<std::collections::BTreeSet<_>>() {
        let (none_left, none_right) = (BTreeMap::new(), BTreeMap::new());
        let (left, right) = (left.get(name).unwrap_or(&none_left), right.get(name).unwrap_or(&none_right));
        for key in left.keys().chain(right.keys()).collect::<std::collections::BTreeSet<_>>() {
            let (a, b) = (left.get(key), right.get(key));
            if a != b {
                differences.push(format!("{name} {}: {a:?} and {b:?}", key.join(" ")));
            }
        }
    }
    differences
}

/// What the independent implementation (`tests/oracle`) makes of the same rows, under the names of the model's measures.
///
/// # Panics
/// If the reference table of the benefits is not there.
pub fn by_oracle(rows: &RecordBatch, delivered: &BTreeMap<i32, i32>, as_of: NaiveDate) -> Shown {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../sql/reference/benefits.csv");
    let inputs = Inputs {
        rows: rows.clone(),
        income_delivered: delivered.iter().map(|(code, month)| (*code, *month)).collect(),
        benefits_csv: std::fs::read_to_string(path).expect("benefits.csv"),
        as_of,
    };
    let mut cells = rettidig_oracle::evaluate(&inputs);
    for (theirs, ours) in [("contacts", "contacts_held"), ("language_tests", "danish_tests")] {
        let rows = cells.remove(theirs).expect("measure");
        cells.insert(ours.to_owned(), rows);
    }
    cells
}

/// The cells of an epoch, from its files.
///
/// # Panics
/// If a file is gone or damaged.
pub async fn of_epoch(store: &Store, model: &Arc<Model>, manifest: &Manifest) -> Shown {
    let with = parameters_of(manifest);
    let (store, definitions) = (store.clone(), Arc::clone(model));
    let state =
        State::open(store, definitions, &manifest.persons, with.clone(), true, Limits::default()).await;
    let mut cells = state.expect("the state").cells().cells().expect("cells");
    cells.extend(model.derive(&cells, &with).await.expect("derived"));
    shown(model, &cells)
}

/// The cells that the oracle has, too: without those that are only steps on the way, and without the sums by area.
pub fn comparable(mut cells: Shown) -> Shown {
    cells.retain(|name, _| {
        !matches!(name.as_str(), "spell_changes" | "duration_changes" | "survival_starts")
            && !name.starts_with("area_")
    });
    cells
}
