//! Which records concern a value of persons: what an epoch knew of them, whose they are, and which are named as events.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::{Date32Type, Int32Type, Int64Type};
use rettidig_event::person::{self, BUCKETS, kind};
use rettidig_model::calendar::{month_first, month_last};
use rettidig_model::persons::unique;
use rettidig_model::{Layer, Model, SqlModel};

use super::EventBehind;
use super::knowledge::{Arrived, Counted, Loaded, Told, loaded_identities};
use crate::RuntimeError;
use crate::groups::column;
use crate::manifest::Manifest;
use crate::persons::{Owned, PersonLog};

/// What an epoch knew of the rows of the log; `stop` makes the error if nobody knows any more, of its cause and what to do.
pub(crate) async fn arrived(
    log: &PersonLog,
    newest: &Manifest,
    manifest: &Manifest,
    stop: &(dyn Fn(String, &str) -> RuntimeError + Sync),
) -> Result<Arrived, RuntimeError> {
    if manifest.epoch == newest.epoch {
        return Ok(Arrived::All);
    }
    let mut counted = Counted::default();
    for bucket in 0..BUCKETS {
        let rows = log.bucket(bucket).await?;
        let rows = take_record_batch(&rows, &UInt32Array::from(unique(&rows).order))?;
        counted.add(&rows, &manifest.positions)?;
    }
    if let Some(arrived) = counted.arrived(manifest) {
        return Ok(arrived);
    }
    let gone = |error| match error {
        RuntimeError::Stop { .. } => stop(
            format!("which of the loaded records epoch {} knew is not known any more", manifest.epoch),
            "records of `rettidig load` stand on no topic; choose an instant before the first load or after the last one",
        ),
        error => error,
    };
    let (store, limits) = (log.store().clone(), *log.limits());
    let files = manifest.persons.log_files(&store).await.map_err(gone)?;
    let own = PersonLog::open(store, limits, Owned::all(), &files).await.map_err(gone)?;
    let mut these = HashSet::new();
    for bucket in 0..BUCKETS {
        let rows = own.bucket(bucket).await.map_err(gone)?;
        these.extend(loaded_identities(&rows)?.into_iter().flatten());
    }
    let loaded = Loaded::These(Arc::new(these));
    Ok(Arrived::Before { positions: manifest.positions.clone(), loaded })
}

/// Whose records can be behind the value: persons with a record in one of the municipalities and, if the value is of a benefit, of it.
pub(super) fn is_concerned(
    rows: &RecordBatch,
    benefit: Option<i32>,
    members: &[BTreeSet<i32>; 2],
) -> Result<bool, RuntimeError> {
    let integer = |name: &str| column(rows, name).map(|column| column.as_primitive::<Int32Type>());
    let (municipality, kinds, benefits) = (integer("municipality")?, integer("kind")?, integer("benefit")?);
    let is_member = |row: usize| {
        members.iter().any(|members| members.is_empty() || members.contains(&municipality.value(row)))
    };
    let is_of_benefit = |row: usize| {
        benefit.is_none_or(|benefit| kinds.value(row) == kind::PAYMENT && benefits.value(row) == benefit)
    };
    Ok((0..rows.num_rows()).any(|row| is_member(row) && is_of_benefit(row)))
}

/// Which events may be behind the value.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) benefit: Option<i32>,
    pub(super) months: [i64; 2],
    pub(super) kinds: BTreeSet<i32>,
}

/// The kinds of rows that an indicator is made of: those of the staging models behind it.
pub(super) fn kinds_of(model: &Model, indicator: &SqlModel) -> BTreeSet<i32> {
    let mut needed: BTreeSet<&str> = indicator.reads.iter().map(String::as_str).collect();
    let mut kinds = BTreeSet::new();
    for model in model.models.iter().rev() {
        if !needed.contains(model.name.as_str()) {
            continue;
        }
        needed.extend(model.reads.iter().map(String::as_str));
        if model.header.layer == Layer::Staging {
            let (_, after) = model.sql.split_once("kind = ").unwrap_or_default();
            kinds.extend(
                after
                    .split(|digit: char| !digit.is_ascii_digit())
                    .next()
                    .and_then(|kind| kind.parse::<i32>().ok()),
            );
        }
    }
    kinds
}

/// Rows of a person that may be behind the value: told as `what` says, of its kinds and its benefit, and with `of_time` of its
/// periods.
pub(super) fn candidates(
    rows: &RecordBatch,
    told: &[Told],
    what: &[Told],
    wanted: &Wanted,
    of_time: bool,
) -> Result<Vec<usize>, RuntimeError> {
    let integer = |name: &str| column(rows, name).map(|column| column.as_primitive::<Int32Type>());
    let day = |name: &str| column(rows, name).map(|column| column.as_primitive::<Date32Type>());
    let (kinds, benefits) = (integer("kind")?, integer("benefit")?);
    let (from_day, to_day) = (day("from_day")?, day("to_day")?);
    let first_day = wanted.months.into_iter().map(month_first).min().unwrap_or(0);
    let last_day = wanted.months.into_iter().map(month_last).max().unwrap_or(0);
    let is_candidate = |row: &usize| {
        let row = *row;
        let is_of_benefit =
            || wanted.benefit.is_none_or(|benefit| benefits.is_null(row) || benefits.value(row) == benefit);
        let is_of_time = || {
            (from_day.is_null(row) || i64::from(from_day.value(row)) <= last_day)
                && (to_day.is_null(row) || i64::from(to_day.value(row)) >= first_day)
        };
        what.contains(&told[row])
            && wanted.kinds.contains(&kinds.value(row))
            && is_of_benefit()
            && (!of_time || is_of_time())
    };
    Ok((0..rows.num_rows()).filter(is_candidate).collect())
}

/// A row as an event.
pub(super) fn event(rows: &RecordBatch, row: usize) -> Result<EventBehind, RuntimeError> {
    let integer = |name: &str| column(rows, name).map(|column| column.as_primitive::<Int32Type>().value(row));
    let long = |name: &str| column(rows, name).map(|column| column.as_primitive::<Int64Type>().value(row));
    let text = |name: &str| column(rows, name).map(|column| column.as_string::<i32>().value(row).to_owned());
    let number = integer("topic")?;
    let topic = usize::try_from(number).ok().and_then(|topic| person::TOPICS.get(topic)).copied();
    let topic = topic.ok_or_else(|| {
        RuntimeError::stop("naming a record", format!("there is no topic {number}"), "report this as a bug")
    })?;
    Ok(EventBehind {
        source: text("source")?,
        id: text("id")?,
        revision: long("revision")?,
        ..EventBehind::at(topic, integer("topic_partition")?, long("topic_offset")?)
    })
}
