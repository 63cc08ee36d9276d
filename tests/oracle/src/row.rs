//! Rows of the log as plain structs, from and to Arrow, and which of them are current (rulings 1 and 2).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Date32Array, FixedSizeBinaryBuilder, Int32Array, Int64Array,
    RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{Date32Type, Int32Type, Int64Type, TimestampMicrosecondType};
use rettidig_event::person::{self, PersonId, partition_of};

use crate::calendar::{Day, Month};

/// Numbers of the person topics in the log.
pub mod topic {
    /// `rettidig.payments`
    pub const PAYMENTS: i32 = 0;
    /// `rettidig.cases`
    pub const CASES: i32 = 1;
    /// `rettidig.income`
    pub const INCOME: i32 = 2;
}

/// Numbers of the operations in the log.
pub mod op {
    /// A row of a ledger.
    pub const ADD: i32 = 0;
    /// A record as it stands.
    pub const UPSERT: i32 = 1;
    /// A record is gone.
    pub const DELETE: i32 = 2;
}

/// One row of [`rettidig_event::person::schema`]; the fields are its columns, in their order.
#[allow(missing_docs, reason = "the schema says what they are")]
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Row {
    pub person: PersonId,
    pub topic: i32,
    pub source: String,
    pub id: String,
    pub op: i32,
    pub revision: i64,
    pub recorded_at: i64,
    pub birth_month: Option<Month>,
    pub sex: Option<i32>,
    pub municipality: i32,
    pub kind: i32,
    pub benefit: Option<i32>,
    pub from_day: Option<Day>,
    pub to_day: Option<Day>,
    pub minutes: Option<i64>,
    pub amount_oere: Option<i64>,
    pub refund_oere: Option<i64>,
    pub detail: Option<String>,
    pub passed: Option<bool>,
    pub school: Option<String>,
}

impl Row {
    /// Ruling 2. The topic comes last: two rows that differ in nothing before it are of two topics.
    pub fn order(&self) -> (i64, &str, &str, i64, i32) {
        (self.recorded_at, &self.source, &self.id, self.revision, self.topic)
    }

    /// The identity of ruling 1 within the person.
    fn identity(&self) -> (i32, &str, &str) {
        (self.topic, &self.source, &self.id)
    }
}

/// The rows of a batch.
///
/// # Panics
/// If the batch has not the schema of the events.
pub fn from_batch(batch: &RecordBatch) -> Vec<Row> {
    let column = |name: &str| batch.column_by_name(name).unwrap_or_else(|| panic!("no column {name}"));
    let int32 = |name: &str| column(name).as_primitive::<Int32Type>();
    let int64 = |name: &str| column(name).as_primitive::<Int64Type>();
    let date = |name: &str| column(name).as_primitive::<Date32Type>();
    let text = |name: &str| column(name).as_string::<i32>();
    let persons = column("person").as_fixed_size_binary();
    let (topics, sources, ids, ops) = (int32("topic"), text("source"), text("id"), int32("op"));
    let (revisions, births, sexes) = (int64("revision"), int32("birth_month"), int32("sex"));
    let recorded = column("recorded_at").as_primitive::<TimestampMicrosecondType>();
    let (municipalities, kinds, benefits) = (int32("municipality"), int32("kind"), int32("benefit"));
    let (from, to, minutes) = (date("from_day"), date("to_day"), int64("minutes"));
    let (amounts, refunds, details) = (int64("amount_oere"), int64("refund_oere"), text("detail"));
    let (passed, schools) = (column("passed").as_boolean(), text("school"));
    let optional32 = |array: &Int32Array, at: usize| array.is_valid(at).then(|| array.value(at));
    let optional64 = |array: &Int64Array, at: usize| array.is_valid(at).then(|| array.value(at));
    let optional_day = |array: &Date32Array, at: usize| array.is_valid(at).then(|| array.value(at));
    (0..batch.num_rows())
        .map(|at| Row {
            person: persons.value(at).try_into().expect("16 bytes"),
            topic: topics.value(at),
            source: sources.value(at).to_owned(),
            id: ids.value(at).to_owned(),
            op: ops.value(at),
            revision: revisions.value(at),
            recorded_at: recorded.value(at),
            birth_month: optional32(births, at),
            sex: optional32(sexes, at),
            municipality: municipalities.value(at),
            kind: kinds.value(at),
            benefit: optional32(benefits, at),
            from_day: optional_day(from, at),
            to_day: optional_day(to, at),
            minutes: optional64(minutes, at),
            amount_oere: optional64(amounts, at),
            refund_oere: optional64(refunds, at),
            detail: details.is_valid(at).then(|| details.value(at).to_owned()),
            passed: passed.is_valid(at).then(|| passed.value(at)),
            school: schools.is_valid(at).then(|| schools.value(at).to_owned()),
        })
        .collect()
}

/// A batch of rows in the order they arrive. The offset is the place in that order, as a duplicate that is
/// delivered again has an offset of its own; the partition is the person's of eight.
///
/// # Panics
/// Never: the columns are those of the schema.
pub fn to_batch(rows: &[Row]) -> RecordBatch {
    let mut persons = FixedSizeBinaryBuilder::new(16);
    for row in rows {
        persons.append_value(row.person).expect("16 bytes");
    }
    let int32 = |field: fn(&Row) -> Option<i32>| -> ArrayRef {
        Arc::new(rows.iter().map(field).collect::<Int32Array>())
    };
    let int64 = |field: fn(&Row) -> Option<i64>| -> ArrayRef {
        Arc::new(rows.iter().map(field).collect::<Int64Array>())
    };
    let date = |field: fn(&Row) -> Option<Day>| -> ArrayRef {
        Arc::new(rows.iter().map(field).collect::<Date32Array>())
    };
    let text = |field: fn(&Row) -> Option<&str>| -> ArrayRef {
        Arc::new(rows.iter().map(field).collect::<StringArray>())
    };
    let recorded: TimestampMicrosecondArray = rows.iter().map(|row| Some(row.recorded_at)).collect();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(persons.finish()),
        int32(|row| Some(row.topic)),
        text(|row| Some(&row.source)),
        text(|row| Some(&row.id)),
        int32(|row| Some(row.op)),
        int64(|row| Some(row.revision)),
        Arc::new(recorded.with_timezone("UTC")),
        int32(|row| row.birth_month),
        int32(|row| row.sex),
        int32(|row| Some(row.municipality)),
        int32(|row| Some(row.kind)),
        int32(|row| row.benefit),
        date(|row| row.from_day),
        date(|row| row.to_day),
        int64(|row| row.minutes),
        int64(|row| row.amount_oere),
        int64(|row| row.refund_oere),
        text(|row| row.detail.as_deref()),
        Arc::new(rows.iter().map(|row| row.passed).collect::<BooleanArray>()),
        text(|row| row.school.as_deref()),
        int32(|row| Some(partition_of(&row.person, 8))),
        Arc::new((0_i64..).take(rows.len()).map(Some).collect::<Int64Array>()),
    ];
    RecordBatch::try_new(person::schema(), columns).expect("the columns of the schema")
}

/// What the log knows about one person.
#[derive(Debug, Default)]
pub struct History {
    /// Every row that counts as received: the first of each identity and revision, in order of arrival.
    pub received: Vec<Row>,
}

impl History {
    /// The histories of all persons in a batch of rows in order of arrival.
    pub fn by_person(batch: &RecordBatch) -> BTreeMap<PersonId, Self> {
        let mut arrived: BTreeMap<PersonId, Vec<Row>> = BTreeMap::new();
        for row in from_batch(batch) {
            arrived.entry(row.person).or_default().push(row);
        }
        arrived.into_iter().map(|(person, rows)| (person, Self { received: first_of_each(rows) })).collect()
    }

    /// Ruling 1: the ledger's rows, and of each record the highest revision unless that deletes it.
    pub fn live(&self) -> Vec<&Row> {
        let mut current: BTreeMap<(i32, &str, &str), &Row> = BTreeMap::new();
        for row in &self.received {
            let known = current.entry(row.identity()).or_insert(row);
            if row.revision > known.revision {
                *known = row;
            }
        }
        current.into_values().filter(|row| row.op != op::DELETE).collect()
    }

    /// All rows in the order of ruling 2.
    pub fn in_order(&self) -> Vec<&Row> {
        let mut rows: Vec<&Row> = self.received.iter().collect();
        rows.sort_by(|a, b| a.order().cmp(&b.order()));
        rows
    }
}

fn first_of_each(rows: Vec<Row>) -> Vec<Row> {
    let mut seen = BTreeSet::new();
    let mut first = Vec::new();
    for row in rows {
        // A row of a ledger has no revisions.
        let revision = if row.op == op::ADD { 0 } else { row.revision };
        if seen.insert((row.topic, row.source.clone(), row.id.clone(), revision)) {
            first.push(Row { revision, ..row });
        }
    }
    first
}
