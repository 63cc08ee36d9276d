//! The full recomputation: everything again from the log, compared cell by cell with the committed epoch.
//!
//! The same SQL over the same events, but all at once and from the files: what the incremental way must equal.
//! The column `epoch` of a recomputed row is taken from the committed one where the row is the same, so a row
//! that differs in anything else also differs there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::concat_batches;
use arrow::row::{RowConverter, SortField};
use chrono::{DateTime, Utc};
use rettidig_event::{Topic, delivery, official};
use rettidig_model::Model;
use rettidig_model::calendar::month_text;
use rettidig_model::catalogue::{COMPLETENESS, Making};
use rettidig_model::contract::Table;
use rettidig_model::evaluation::disclosed_schema;
use rettidig_model::local::{from_rows, local_months};
use rettidig_model::persons::Cells;
use rettidig_model::tables::arrivals_of;

use crate::RuntimeError;
use crate::committer::schema_of;
use crate::groups::evaluate_log;
use crate::local::shown_rows;
use crate::manifest::Manifest;
use crate::persons::{Audit, Limits, Owned, PersonLog, State, parameters_of};
use crate::store::Store;

/// How a comparison names the values of persons that are shown.
const SHOWN: &str = "local_shown";

/// Result of a comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// The epoch compared with.
    pub epoch: u64,
    /// Cells compared, over all tables.
    pub cells: u64,
    /// Cells that differ, rows that only one side has counted with all their cells.
    pub mismatches: u64,
    /// Mismatches by table.
    pub by_table: BTreeMap<String, u64>,
    /// Months of persons that stay as they were, to give no hidden number away, so that they are not compared; by month the indicator
    /// that would have done so.
    pub frozen: BTreeMap<String, String>,
}

/// Recomputes the newest epoch from its log and compares.
///
/// # Errors
/// [`RuntimeError::Stop`] if there is no epoch, a file is damaged, or the model is not the epoch's.
pub async fn recompute(store: &Store, model: &Model) -> Result<Comparison, RuntimeError> {
    compare_epoch(store, model, &newest(store).await?.0, None).await
}

/// Compares an epoch with a recomputation; `made` are the cells of its persons if another engine made them of the log.
///
/// # Errors
/// As [`recompute`].
pub async fn compare_epoch(
    store: &Store,
    model: &Model,
    manifest: &Manifest,
    made: Option<&Cells>,
) -> Result<Comparison, RuntimeError> {
    comparable(manifest, model)?;
    let tables = tables_of_log(store, model, manifest, None).await?;
    let mut comparison = Comparison {
        epoch: manifest.epoch,
        cells: 0,
        mismatches: 0,
        by_table: BTreeMap::new(),
        frozen: manifest.frozen.clone(),
    };
    for (name, recomputed) in &tables {
        let Some(table) = Table::named(name) else { continue };
        let (cells, mismatches) = compare(table, &committed(store, manifest, table).await?, recomputed)?;
        comparison.cells += cells;
        comparison.mismatches += mismatches;
        comparison.by_table.insert((*name).to_owned(), mismatches);
    }
    let (cells, mismatches) = recompute_persons(store, model, manifest, made).await?;
    comparison.cells += cells;
    comparison.mismatches += mismatches.values().sum::<u64>();
    comparison.by_table.extend(mismatches);
    Ok(comparison)
}

/// Refuses an epoch of another model: what it says cannot be compared with what this one makes.
///
/// # Errors
/// [`RuntimeError::Stop`] if it is one.
pub fn comparable(manifest: &Manifest, model: &Model) -> Result<(), RuntimeError> {
    if manifest.is_of(model) {
        return Ok(());
    }
    Err(RuntimeError::stop(
        format!("recomputing epoch {}", manifest.epoch),
        "it was made with another model than this program carries",
        "run the program once so that it commits an epoch with this model",
    ))
}

/// A table of an epoch; one that the epoch does not name has no rows, so that all that should be there is missing.
async fn committed(store: &Store, manifest: &Manifest, table: &Table) -> Result<RecordBatch, RuntimeError> {
    match manifest.tables.get(table.name) {
        Some(entry) => store.get_parquet(entry, table.schema()).await,
        None => Ok(RecordBatch::new_empty(table.schema())),
    }
}

/// The cells of the persons, made anew from the log unless another engine `made` them, what is shown of them, and the tables
/// that are made of it and of the epoch's other tables: how many were compared, and by measure or table how many differ.
///
/// # Errors
/// [`RuntimeError::Stop`] if a file is gone or damaged.
pub(crate) async fn recompute_persons(
    store: &Store,
    model: &Model,
    manifest: &Manifest,
    made: Option<&Cells>,
) -> Result<(u64, BTreeMap<String, u64>), RuntimeError> {
    let with = parameters_of(manifest);
    let model = Arc::new(model.clone());
    let limits = Limits { audit_rows: 400_000, ..Limits::default() };
    let entry = &manifest.persons;
    let known = State::open(store.clone(), Arc::clone(&model), entry, with.clone(), true, limits).await?;
    let mut mismatches = match made {
        Some(cells) => {
            let mut made = known.cells().empty_like()?;
            made.add(cells, 1)?;
            known.cells().mismatches(&made)?
        }
        None => {
            let files = entry.log_files(store).await?;
            let log = PersonLog::open(store.clone(), limits, Owned::all(), &files).await?;
            let mut audit = Audit::default();
            while audit.step(&log, &model, &with, known.cells(), manifest.committed_at).await?.is_none() {}
            audit.by_measure().clone()
        }
    };
    let state = shown_rows(store, manifest).await?;
    let shown = from_rows(&state);
    // The totals equal the recomputed ones, or the difference is told already.
    let months: BTreeSet<i64> = local_months(with.as_of).collect();
    let is_frozen = |month: &i64| manifest.frozen.contains_key(&month_text(*month));
    let frozen: BTreeSet<i64> = months.iter().copied().filter(is_frozen).collect();
    let derived = model.derive_published(&known.totals()?, &with, &months).await?;
    let (values, wrong) = model.check_local(&derived, &shown, &frozen).await?;
    mismatches.insert(SHOWN.to_owned(), wrong);
    let mut cells = known.cells().len() as u64 + values;
    // The published tables grow month by month; made of all months at once they are the same.
    let completeness = match Table::named(COMPLETENESS) {
        Some(table) => Some(committed(store, manifest, table).await?),
        None => None,
    };
    let arrived = arrivals_of(completeness.as_ref())?;
    let months = model.evaluate_months(state, arrived, manifest.as_of).await?;
    let parts = months.iter().map(|(name, rows)| (*name, vec![rows.clone()])).collect();
    let mut others = BTreeMap::new();
    for table in model.made(Making::Whole).filter_map(|model| Table::named(&model.name)) {
        others.insert(table.name, committed(store, manifest, table).await?);
    }
    let after = model.evaluate_after_months(&others, &parts, manifest.as_of, &BTreeMap::new()).await?;
    for (name, expected) in months.into_iter().chain(after) {
        let Some(table) = Table::named(name) else { continue };
        let (compared, wrong) = compare(table, &committed(store, manifest, table).await?, &expected)?;
        cells += compared;
        mismatches.insert(name.to_owned(), wrong);
    }
    Ok((cells, mismatches))
}

pub(crate) async fn newest(store: &Store) -> Result<(Manifest, String), RuntimeError> {
    Manifest::newest(store).await?.ok_or_else(|| {
        let remedy = "run `rettidig demo --once --data DIR` or `rettidig run` first";
        RuntimeError::stop("opening the newest epoch", "this data folder holds none", remedy)
    })
}

/// The whole log of a topic.
///
/// # Errors
/// [`RuntimeError::Stop`] if a file is damaged.
pub async fn log_of(store: &Store, manifest: &Manifest, topic: Topic) -> Result<RecordBatch, RuntimeError> {
    let schema = schema_of(topic);
    let mut batches = Vec::new();
    for entry in manifest.log.get(topic.name()).into_iter().flatten() {
        batches.push(store.get_parquet(entry, schema.clone()).await?);
    }
    Ok(concat_batches(&schema, &batches)?)
}

/// The tables that are not made of persons, from the log; with an instant from what was known then.
///
/// # Errors
/// As [`recompute`].
pub(crate) async fn tables_of_log(
    store: &Store,
    model: &Model,
    manifest: &Manifest,
    known_at: Option<DateTime<Utc>>,
) -> Result<BTreeMap<&'static str, RecordBatch>, RuntimeError> {
    let mut figures = log_of(store, manifest, Topic::Official).await?;
    let mut deliveries = log_of(store, manifest, Topic::Deliveries).await?;
    let mut put_aside = log_of(store, manifest, Topic::DeadLetter).await?;
    let (mut as_of, mut evaluated_at) = (manifest.as_of, manifest.committed_at);
    if let Some(at) = known_at {
        let until = |batch: &RecordBatch, column: &str| -> Result<RecordBatch, RuntimeError> {
            use arrow::array::{AsArray, BooleanArray};
            use arrow::datatypes::TimestampMicrosecondType;
            let known = crate::groups::column(batch, column)?.as_primitive::<TimestampMicrosecondType>();
            let keep: BooleanArray =
                known.values().iter().map(|micros| Some(*micros <= at.timestamp_micros())).collect();
            Ok(arrow::compute::filter_record_batch(batch, &keep)?)
        };
        figures = until(&figures, "retrieved_at")?;
        deliveries = until(&deliveries, "delivered_at")?;
        put_aside = until(&put_aside, "put_aside_at")?;
        as_of = rettidig_event::clock::danish_date(at);
        evaluated_at = at;
    }
    debug_assert_eq!(figures.schema(), official::schema());
    debug_assert_eq!(deliveries.schema(), delivery::schema());
    let disclosed = store.get_parquet(&manifest.disclosed, disclosed_schema(true)).await?;
    evaluate_log(model, (figures, put_aside, deliveries), as_of, evaluated_at, &disclosed).await
}

/// Cells compared and cells that differ; rows are matched by the grain.
fn compare(table: &Table, left: &RecordBatch, right: &RecordBatch) -> Result<(u64, u64), RuntimeError> {
    let width = left.num_columns() as u64;
    let keys = |batch: &RecordBatch| -> Vec<ArrayRef> {
        table.grain.iter().filter_map(|name| batch.column_by_name(name).cloned()).collect()
    };
    let fields = |columns: &[ArrayRef]| -> Vec<SortField> {
        columns.iter().map(|column| SortField::new(column.data_type().clone())).collect()
    };
    let converter = RowConverter::new(fields(&keys(left)))?;
    let (left_keys, right_keys) =
        (converter.convert_columns(&keys(left))?, converter.convert_columns(&keys(right))?);
    let mut cells: Vec<(arrow::row::Rows, arrow::row::Rows)> = Vec::new();
    for (a, b) in left.columns().iter().zip(right.columns()) {
        let converter = RowConverter::new(fields(std::slice::from_ref(a)))?;
        cells.push((
            converter.convert_columns(std::slice::from_ref(a))?,
            converter.convert_columns(std::slice::from_ref(b))?,
        ));
    }
    let (mut l, mut r) = (0, 0);
    let (mut compared, mut mismatches) = (0, 0);
    while l < left.num_rows() || r < right.num_rows() {
        compared += width;
        let order = match (l < left.num_rows(), r < right.num_rows()) {
            (true, true) => left_keys.row(l).cmp(&right_keys.row(r)),
            (true, false) => std::cmp::Ordering::Less,
            _ => std::cmp::Ordering::Greater,
        };
        match order {
            std::cmp::Ordering::Equal => {
                mismatches += cells.iter().filter(|(a, b)| a.row(l) != b.row(r)).count() as u64;
                (l, r) = (l + 1, r + 1);
            }
            std::cmp::Ordering::Less => (mismatches, l) = (mismatches + width, l + 1),
            std::cmp::Ordering::Greater => (mismatches, r) = (mismatches + width, r + 1),
        }
    }
    Ok((compared, mismatches))
}
