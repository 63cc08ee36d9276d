//! What is shown of persons, month by month.
//!
//! An epoch seldom changes more than the newest months. So each month has a state file of its own, and its rows in the
//! published tables are made and encoded once; a table's file is the encoded months one after the other, each a row group.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use bytes::Bytes;
use chrono::NaiveDate;
use rettidig_model::Model;
use rettidig_model::calendar::month_text;
use rettidig_model::contract::Table;
use rettidig_model::local::{LocalMonth, LocalMonths, from_rows, schema, to_rows};

use crate::RuntimeError;
use crate::manifest::Manifest;
use crate::publish;
use crate::store::{FileEntry, Store, to_parquet};

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
    state: FileEntry,
    parts: BTreeMap<&'static str, Part>,
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

    /// Opens what a manifest names.
    ///
    /// # Errors
    /// [`RuntimeError::Stop`] if a file is gone or damaged.
    pub(crate) async fn open(
        store: &Store,
        model: &Model,
        manifest: &Manifest,
    ) -> Result<Self, RuntimeError> {
        let mut local = Self { as_of: manifest.as_of, months: BTreeMap::new() };
        for state in manifest.local.values() {
            for (month, shown) in from_rows(&store.get_parquet(state, schema()).await?) {
                let rows = to_rows(&LocalMonths::from([(month, Arc::clone(&shown))]))?;
                let parts = parts(model, rows, local.as_of, None).await?;
                local.months.insert(month, Month { shown, state: state.clone(), parts });
            }
        }
        Ok(local)
    }

    /// What is shown.
    pub(crate) fn shown(&self) -> LocalMonths {
        self.months.iter().map(|(month, local)| (*month, Arc::clone(&local.shown))).collect()
    }

    /// The months as they are shown on a day; writes the state of those that changed.
    ///
    /// # Errors
    /// [`RuntimeError::Retry`] if the storage fails.
    pub(crate) async fn after(
        &self,
        store: &Store,
        model: &Model,
        shown: LocalMonths,
        as_of: NaiveDate,
        is_same_model: bool,
    ) -> Result<Self, RuntimeError> {
        let mut months = BTreeMap::new();
        for (month, shown) in shown {
            let before = self.months.get(&month);
            let is_same =
                |before: &Month| Arc::ptr_eq(&before.shown, &shown) || before.shown.shown == shown.shown;
            let same = before.filter(|before| is_same(before));
            if let Some(same) = same.filter(|_| is_same_model && as_of == self.as_of) {
                months.insert(month, Month { shown, ..same.clone() });
                continue;
            }
            let rows = to_rows(&LocalMonths::from([(month, Arc::clone(&shown))]))?;
            let state = match same {
                Some(same) => same.state.clone(),
                None => store.put_parquet("state/local", &month_text(month), &rows, Vec::new()).await?,
            };
            let parts = parts(model, rows, as_of, before).await?;
            months.insert(month, Month { shown, state, parts });
        }
        Ok(Self { as_of, months })
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
        if let Some((_, entry)) =
            before.filter(|(before, _)| self.parts(table.name).eq(before.parts(table.name)))
        {
            return Ok(entry.clone());
        }
        let encoded: Vec<Bytes> = self.parts(table.name).map(|part| part.encoded.clone()).collect();
        publish::write_parts(store, table, &encoded, epoch).await
    }

    fn parts(&self, table: &str) -> impl Iterator<Item = &Part> {
        self.months.values().filter_map(move |month| month.parts.get(table))
    }
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
    as_of: NaiveDate,
    before: Option<&Month>,
) -> Result<BTreeMap<&'static str, Part>, RuntimeError> {
    let mut parts = BTreeMap::new();
    for (name, rows) in model.evaluate_months(shown, as_of).await? {
        let known = before.and_then(|before| before.parts.get(name)).filter(|known| known.rows == rows);
        let part = match known {
            Some(known) => known.clone(),
            None => Part { encoded: to_parquet(&rows, Vec::new())?, rows },
        };
        parts.insert(name, part);
    }
    Ok(parts)
}
