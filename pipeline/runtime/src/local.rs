//! What is shown of persons, month by month.
//!
//! An epoch seldom changes more than the newest months. So each month has a state file of its own, and its rows in the
//! published tables are made and encoded once; a table's file is the encoded months one after the other, each a row group.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};
use bytes::Bytes;
use chrono::NaiveDate;
use rettidig_model::Model;
use rettidig_model::calendar::month_text;
use rettidig_model::contract::Table;
use rettidig_model::local::{LocalMonth, LocalMonths, from_rows, schema, to_rows};
use rettidig_model::tables::arrivals_of;
use tokio::task::JoinSet;

use crate::RuntimeError;
use crate::groups::column;
use crate::manifest::Manifest;
use crate::publish;
use crate::store::{FileEntry, Store, to_parquet};

/// Months whose tables are made side by side.
const MONTHS_AT_A_TIME: usize = 2;

/// What an epoch shows of persons, rows of [`schema`] of all its months.
///
/// # Errors
/// [`RuntimeError::Stop`] if a file is gone or damaged.
pub(crate) async fn shown_rows(store: &Store, manifest: &Manifest) -> Result<RecordBatch, RuntimeError> {
    let mut states = Vec::with_capacity(manifest.local.len());
    for state in manifest.local.values() {
        states.push(store.get_parquet(state, schema()).await?);
    }
    Ok(concat_batches(&schema(), &states)?)
}

/// One month's rows of a published table.
#[derive(Debug, Clone)]
struct Part {
    rows: RecordBatch,
    encoded: Bytes,
}

/// One month.
#[derive(Debug, Clone)]
struct Month {
    shown: Arc<LocalMonth>,
    /// The indicator that would have given something away, so that what is shown is older than the cells.
    frozen: Option<String>,
    state: FileEntry,
    /// What has arrived of it; the rows say so.
    arrived: RecordBatch,
    parts: BTreeMap<&'static str, Part>,
}

/// What has arrived, month by month.
struct Arrivals {
    all: RecordBatch,
    rows: BTreeMap<String, Vec<u32>>,
}

impl Arrivals {
    fn of(completeness: Option<&RecordBatch>) -> Result<Self, RuntimeError> {
        let all = arrivals_of(completeness)?;
        let periods = column(&all, "period")?.as_string::<i32>();
        let mut rows: BTreeMap<String, Vec<u32>> = BTreeMap::new();
        for (row, period) in (0..).zip(periods.iter()) {
            rows.entry(period.unwrap_or_default().to_owned()).or_default().push(row);
        }
        Ok(Self { all, rows })
    }

    fn of_month(&self, month: i64) -> Result<RecordBatch, RuntimeError> {
        let rows = self.rows.get(&month_text(month)).cloned().unwrap_or_default();
        Ok(take_record_batch(&self.all, &UInt32Array::from(rows))?)
    }
}

/// All months of an epoch. A copy shares what it is made of.
#[derive(Debug, Clone)]
pub(crate) struct Local {
    as_of: NaiveDate,
    months: BTreeMap<i64, Month>,
}

impl Local {
    /// Of an empty folder.
    pub(crate) fn empty() -> Self {
        Self { as_of: NaiveDate::MIN, months: BTreeMap::new() }
    }

    /// Opens what a manifest names; `completeness` is its table of that name.
    ///
    /// # Errors
    /// [`RuntimeError::Stop`] if a file is gone or damaged.
    pub(crate) async fn open(
        store: &Store,
        model: &Model,
        manifest: &Manifest,
        completeness: Option<&RecordBatch>,
    ) -> Result<Self, RuntimeError> {
        let arrivals = Arrivals::of(completeness)?;
        let mut local = Self { as_of: manifest.as_of, months: BTreeMap::new() };
        for state in manifest.local.values() {
            for (month, shown) in from_rows(&store.get_parquet(state, schema()).await?) {
                let rows = to_rows(&LocalMonths::from([(month, Arc::clone(&shown))]))?;
                let arrived = arrivals.of_month(month)?;
                let parts = parts(model, rows, arrived.clone(), local.as_of, None).await?;
                let frozen = manifest.frozen.get(&month_text(month)).cloned();
                local.months.insert(month, Month { shown, frozen, state: state.clone(), arrived, parts });
            }
        }
        Ok(local)
    }

    /// What is shown.
    pub(crate) fn shown(&self) -> LocalMonths {
        self.months.iter().map(|(month, local)| (*month, Arc::clone(&local.shown))).collect()
    }

    /// The months as they are shown on a day, when `completeness` has arrived; writes the state of those that changed.
    ///
    /// # Errors
    /// [`RuntimeError::Retry`] if the storage fails.
    pub(crate) async fn after(
        &self,
        store: &Store,
        model: &Arc<Model>,
        shown: LocalMonths,
        (as_of, completeness): (NaiveDate, Option<&RecordBatch>),
        is_same_model: bool,
    ) -> Result<Self, RuntimeError> {
        let arrivals = Arrivals::of(completeness)?;
        let mut months = BTreeMap::new();
        let mut made: JoinSet<Result<(i64, Month), RuntimeError>> = JoinSet::new();
        for (month, shown) in shown {
            let before = self.months.get(&month);
            let is_same =
                |before: &Month| Arc::ptr_eq(&before.shown, &shown) || before.shown.shown == shown.shown;
            let same = before.filter(|before| is_same(before));
            let frozen = match before.filter(|before| Arc::ptr_eq(&before.shown, &shown)) {
                Some(before) => before.frozen.clone(),
                None => shown.frozen.map(|leak| leak.key.indicator.to_string()),
            };
            let arrived = arrivals.of_month(month)?;
            let is_as_arrived =
                |same: &&Month| is_same_model && as_of == self.as_of && same.arrived == arrived;
            if let Some(same) = same.filter(is_as_arrived) {
                months.insert(month, Month { shown, frozen, ..same.clone() });
                continue;
            }
            if made.len() == MONTHS_AT_A_TIME {
                months.extend(finished(&mut made).await?);
            }
            let state = same.map(|same| same.state.clone());
            let (store, model, before) = (store.clone(), Arc::clone(model), before.cloned());
            made.spawn(async move {
                let rows = to_rows(&LocalMonths::from([(month, Arc::clone(&shown))]))?;
                let state = match state {
                    Some(state) => state,
                    None => store.put_parquet("state/local", &month_text(month), &rows, Vec::new()).await?,
                };
                let parts = parts(&model, rows, arrived.clone(), as_of, before.as_ref()).await?;
                Ok((month, Month { shown, frozen, state, arrived, parts }))
            });
        }
        while !made.is_empty() {
            months.extend(finished(&mut made).await?);
        }
        Ok(Self { as_of, months })
    }

    /// The months that are older than their cells, with the indicator that would have given something away.
    pub(crate) fn frozen(&self) -> impl Iterator<Item = (i64, &str)> {
        self.months.iter().filter_map(|(month, local)| Some((*month, local.frozen.as_deref()?)))
    }

    /// The state files by month.
    pub(crate) fn states(&self) -> BTreeMap<String, FileEntry> {
        self.months.iter().map(|(month, local)| (month_text(*month), local.state.clone())).collect()
    }

    /// The rows of a table, one batch a month.
    pub(crate) fn rows(&self, table: &str) -> Vec<RecordBatch> {
        self.parts(table).map(|part| part.rows.clone()).collect()
    }

    /// Writes a table, unless it is the one of `before`, which was made with the same model.
    ///
    /// # Errors
    /// [`RuntimeError::Retry`] if the storage fails.
    pub(crate) async fn write(
        &self,
        store: &Store,
        table: &Table,
        before: Option<(&Self, &FileEntry)>,
        epoch: u64,
    ) -> Result<FileEntry, RuntimeError> {
        if let Some((_, entry)) = before.filter(|(before, _)| self.is_same(before, table.name)) {
            return Ok(entry.clone());
        }
        let encoded: Vec<Bytes> = self.parts(table.name).map(|part| part.encoded.clone()).collect();
        publish::write_parts(store, table, &encoded, epoch).await
    }

    /// Whether a table has the same rows in both.
    pub(crate) fn is_same(&self, other: &Self, table: &str) -> bool {
        self.parts(table).eq(other.parts(table))
    }

    fn parts(&self, table: &str) -> impl Iterator<Item = &Part> {
        self.months.values().filter_map(move |month| month.parts.get(table))
    }
}

/// The next month that is made.
async fn finished(
    made: &mut JoinSet<Result<(i64, Month), RuntimeError>>,
) -> Result<Option<(i64, Month)>, RuntimeError> {
    let joined = made.join_next().await.transpose();
    let joined = joined
        .map_err(|error| RuntimeError::stop("making the rows of a month", error, "report this as a bug"));
    joined?.transpose()
}

impl PartialEq for Part {
    fn eq(&self, other: &Self) -> bool {
        // What is kept is shared, and what is not was encoded by the same rules.
        self.encoded == other.encoded
    }
}

/// A month's rows in the published tables; those that are as before are shared.
async fn parts(
    model: &Model,
    shown: RecordBatch,
    arrived: RecordBatch,
    as_of: NaiveDate,
    before: Option<&Month>,
) -> Result<BTreeMap<&'static str, Part>, RuntimeError> {
    let mut parts = BTreeMap::new();
    for (name, rows) in model.evaluate_months(shown, arrived, as_of).await? {
        let known = before.and_then(|before| before.parts.get(name)).filter(|known| known.rows == rows);
        let part = match known {
            Some(known) => known.clone(),
            None => Part { encoded: to_parquet(&rows, Vec::new())?, rows },
        };
        parts.insert(name, part);
    }
    Ok(parts)
}
