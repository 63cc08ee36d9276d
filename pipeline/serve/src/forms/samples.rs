//! A small table with everything that forms must keep, for their tests.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use rettidig_model::contract::{Changes, Column, Kind, Table};

const fn column(name: &'static str, kind: Kind, nullable: bool) -> Column {
    Column { name, danish: name, kind, nullable, unit: "", description: "a column" }
}

/// A table with a column of each kind.
pub(super) static TABLE: Table = Table {
    name: "sample",
    danish: "Prøve",
    danish_description: "En prøve",
    version: 1,
    changes: Changes::Epoch,
    measure: None,
    closed: false,
    description: "A sample",
    grain: &["area"],
    columns: &[
        column("area", Kind::Text, false),
        column("count", Kind::Integer, true),
        column("value", Kind::Float, true),
        column("day", Kind::Date, true),
        column("known_at", Kind::Instant, true),
        column("newest", Kind::Boolean, true),
        column("status", Kind::Text, false),
    ],
};

/// Quotes, a line break, a formula, nulls, a hidden value, numbers beyond what a float keeps, days before 1970.
pub(super) fn rows() -> RecordBatch {
    let instants = [Some(1_787_126_324_000_000), None, Some(-1), Some(1_787_126_324_500_000)];
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(vec!["0101", "0147", "a \"b\",\nc", "=1+1"])),
        Arc::new(Int64Array::from(vec![Some(3), None, Some(-9_007_199_254_740_993), Some(0)])),
        Arc::new(Float64Array::from(vec![Some(0.1), None, Some(-1.5), Some(1e20)])),
        Arc::new(Date32Array::from(vec![Some(20_665), None, Some(-1), Some(20_512)])),
        Arc::new(TimestampMicrosecondArray::from(instants.to_vec()).with_timezone("UTC")),
        Arc::new(BooleanArray::from(vec![Some(true), None, Some(false), Some(true)])),
        Arc::new(StringArray::from(vec!["final", "hidden", "final", "final"])),
    ];
    RecordBatch::try_new(TABLE.schema(), columns).expect("a batch")
}

/// Numbers that need all their digits.
pub(super) fn values(count: usize) -> Vec<f64> {
    (0..count).map(|row| (row as f64 + 0.1) / 3.0).collect()
}

/// Many rows.
pub(super) fn many(count: usize) -> RecordBatch {
    let one = rows().slice(0, 1);
    let indices = arrow::array::UInt32Array::from(vec![0; count]);
    let mut columns: Vec<ArrayRef> = one
        .columns()
        .iter()
        .map(|column| arrow::compute::take(column, &indices, None).expect("taken"))
        .collect();
    columns[2] = Arc::new(Float64Array::from(values(count)));
    RecordBatch::try_new(TABLE.schema(), columns).expect("a batch")
}
