//! The cells of everybody, and the files that the state of the persons consists of.

use std::sync::Arc;

use rettidig_model::Model;
use rettidig_model::local::local_months;
use rettidig_model::persons::{Cells, Parameters};

use super::{CellStore, Contribution, Limits, LogFiles, PersonsEntry, wakes};
use crate::RuntimeError;
use crate::store::Store;

/// The cells of one data folder, with all that a manifest says of persons.
#[derive(Debug)]
pub struct State {
    store: Store,
    model: Arc<Model>,
    limits: Limits,
    cells: CellStore,
    /// Those among them that indicators are made of: a small part, looked through at every epoch.
    totals: CellStore,
    files: LogFiles,
    entry: PersonsEntry,
    /// What the cells were evaluated with; `None` before the first epoch.
    with: Option<Parameters>,
}

/// A state that is written but not yet committed.
#[derive(Debug)]
pub struct Written {
    /// As the manifest is to name it.
    pub entry: PersonsEntry,
    files: LogFiles,
    with: Parameters,
}

/// What an epoch adds to the cells.
#[derive(Debug)]
pub struct Added<'a> {
    cells: &'a CellStore,
    totals: CellStore,
    /// The cells are not a difference but the cells themselves.
    redefined: bool,
}

impl Added<'_> {
    /// The totals that indicators are made of, as they are added.
    ///
    /// # Errors
    /// Only if Arrow fails, which is a bug.
    pub fn totals(&mut self) -> Result<Cells, RuntimeError> {
        self.totals.unsorted()
    }
}

impl State {
    /// The state of an empty folder.
    ///
    /// # Errors
    /// If the model fails, which is a bug.
    pub async fn empty(store: Store, model: Arc<Model>, limits: Limits) -> Result<Self, RuntimeError> {
        Ok(Self {
            cells: CellStore::new(&model).await?,
            totals: CellStore::new(&model).await?,
            files: LogFiles::empty(),
            entry: PersonsEntry::default(),
            with: None,
            store,
            model,
            limits,
        })
    }

    /// Opens the state that a manifest names. `with` is what its cells were evaluated with; cells of another model are
    /// left out, they are made anew.
    ///
    /// # Errors
    /// [`RuntimeError::Stop`] if a file is gone or damaged.
    pub async fn open(
        store: Store,
        model: Arc<Model>,
        entry: &PersonsEntry,
        with: Parameters,
        same_model: bool,
        limits: Limits,
    ) -> Result<Self, RuntimeError> {
        let mut state = Self::empty(store, model, limits).await?;
        state.files = entry.log_files(&state.store).await?;
        state.with = Some(with);
        if same_model {
            state.cells.read(&state.store, &entry.cells).await?;
            state.totals = state.totals_of(&state.cells)?;
        }
        state.entry = entry.clone();
        Ok(state)
    }

    /// The cells of the newest epoch.
    pub fn cells(&self) -> &CellStore {
        &self.cells
    }

    /// What the cells were evaluated with.
    pub fn parameters(&self) -> Option<&Parameters> {
        self.with.as_ref()
    }

    /// As the manifest names it.
    pub fn entry(&self) -> &PersonsEntry {
        &self.entry
    }

    /// The totals that indicators are made of, of the newest epoch.
    ///
    /// # Errors
    /// Only if Arrow fails, which is a bug.
    pub fn totals(&self) -> Result<Cells, RuntimeError> {
        self.totals.cells()
    }

    /// What some cells add, which may be a difference or with `redefined` the cells themselves.
    ///
    /// # Errors
    /// Only if Arrow fails, which is a bug.
    pub fn added<'a>(&self, cells: &'a CellStore, redefined: bool) -> Result<Added<'a>, RuntimeError> {
        Ok(Added { totals: self.totals_of(cells)?, cells, redefined })
    }

    /// The totals that indicators are made of, with what is added.
    ///
    /// # Errors
    /// Only if Arrow fails, which is a bug.
    pub fn totals_with(&mut self, added: &mut Added<'_>) -> Result<Cells, RuntimeError> {
        if added.redefined {
            return added.totals.unsorted();
        }
        // The epoch may still fail: it goes in, and out again.
        self.totals.merge(&added.totals, 1);
        let totals = self.totals.unsorted();
        self.totals.merge(&added.totals, -1);
        totals
    }

    fn totals_of(&self, cells: &CellStore) -> Result<CellStore, RuntimeError> {
        // The day only moves on: a month that is too old to be shown is not asked for again.
        let first_month = self.with.as_ref().map_or(i64::MIN, |with| *local_months(with.as_of).start());
        cells.shown(&self.model, first_month)
    }

    /// Cells of nobody.
    ///
    /// # Errors
    /// Only if Arrow fails, which is a bug.
    pub fn no_cells(&self) -> Result<CellStore, RuntimeError> {
        self.cells.empty_like()
    }

    /// Takes contributions into the state that an epoch is to name; writes what has to be merged.
    ///
    /// # Errors
    /// [`RuntimeError::Retry`] if the storage fails.
    pub async fn write(
        &self,
        epoch: u64,
        with: &Parameters,
        contributions: &[Contribution],
    ) -> Result<Written, RuntimeError> {
        let (mut entry, mut files) = (self.entry.clone(), self.files.clone());
        if contributions.iter().any(|contribution| contribution.redefined) {
            entry.cells.clear();
            entry.wakes.clear();
        }
        for contribution in contributions {
            files.take(epoch, &contribution.buckets, contribution.tail.as_ref());
            for (measure, file) in &contribution.cells {
                entry.cells.entry(measure.clone()).or_default().push(file.clone());
            }
            entry.wakes.extend(contribution.wakes.clone());
            entry.rows += contribution.counts.events;
        }
        files.tidy(&self.store, self.limits.tail_files).await?;
        self.cells.tidy(&self.store, &mut entry.cells).await?;
        wakes::tidy(&self.store, &mut entry.wakes).await?;
        if files.buckets != self.files.buckets {
            let bytes = serde_json::to_vec(&files.buckets).unwrap_or_default().into();
            entry.buckets = Some(self.store.put_immutable("state/buckets", "buckets", bytes, 0).await?);
        }
        entry.tail = files.tail.clone();
        entry.income_delivered = with.income_delivered.clone();
        Ok(Written { entry, files, with: with.clone() })
    }

    /// Takes over what was committed.
    pub fn install(&mut self, written: Written, added: Option<Added<'_>>) {
        if let Some(added) = added {
            if added.redefined {
                self.cells.clear();
                self.totals.clear();
            }
            self.cells.merge(added.cells, 1);
            self.totals.merge(&added.totals, 1);
        }
        (self.files, self.with, self.entry) = (written.files, Some(written.with), written.entry);
    }
}
