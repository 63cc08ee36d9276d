//! The auditor: recomputes bucket after bucket from the log while the engine has nothing else to do.
//!
//! A round goes through all buckets and adds their cells up. What changes in a bucket after the round has passed it is
//! added to the round's cells too, so at the end they must equal the committed ones, cell by cell. They do not only if the
//! incremental way went wrong somewhere, a file was damaged, or time changed somebody's cells unnoticed.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::UInt32Array;
use arrow::compute::{concat_batches, take_record_batch};
use chrono::{DateTime, Utc};
use rettidig_event::person::{self, BUCKETS};
use rettidig_model::Model;
use rettidig_model::persons::{Parameters, unique};

use super::change::evaluate;
use super::{CellStore, PersonLog};
use crate::RuntimeError;

/// What a full round found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditReport {
    /// Cells that differ.
    pub mismatch_cells: u64,
    /// When the round ended.
    pub finished_at: DateTime<Utc>,
}

/// Where the running round stands.
#[derive(Debug, Default)]
pub struct Audit {
    cells: Option<CellStore>,
    next: usize,
    newest: Option<AuditReport>,
    by_measure: BTreeMap<String, u64>,
}

impl Audit {
    /// The first bucket that the running round has not passed.
    pub fn passed(&self) -> usize {
        if self.cells.is_some() { self.next } else { 0 }
    }

    /// Adds a committed change in buckets that the round has passed.
    pub fn follow(&mut self, change: &CellStore) {
        if let Some(cells) = &mut self.cells {
            cells.merge(change, 1);
        }
    }

    /// What the newest full round found.
    pub fn newest(&self) -> Option<AuditReport> {
        self.newest
    }

    /// Cells that differed in the newest full round, by measure.
    pub fn by_measure(&self) -> &BTreeMap<String, u64> {
        &self.by_measure
    }

    /// Begins again, after all cells were made anew.
    pub fn restart(&mut self) {
        self.cells = None;
        self.next = 0;
    }

    /// Recomputes the next few buckets of a log that holds all, in comparison with the committed cells; a report if that
    /// was the end of a round.
    ///
    /// # Errors
    /// As [`super::PersonLog::bucket`].
    pub async fn step(
        &mut self,
        log: &PersonLog,
        model: &Arc<Model>,
        with: &Parameters,
        committed: &CellStore,
        now: DateTime<Utc>,
    ) -> Result<Option<AuditReport>, RuntimeError> {
        let mut cells = match self.cells.take() {
            Some(cells) => cells,
            None => {
                self.next = 0;
                committed.empty_like()?
            }
        };
        let mut next = self.next;
        let mut batches = Vec::new();
        let mut rows = 0;
        while next < BUCKETS && rows < log.limits().audit_rows {
            let bucket = log.bucket(next).await?;
            let order = UInt32Array::from(unique(&bucket).order);
            batches.push(take_record_batch(&bucket, &order)?);
            rows += bucket.num_rows();
            next += 1;
        }
        if rows > 0 {
            let rows = concat_batches(&person::schema(), &batches)?;
            cells.add(&evaluate(Arc::clone(model), rows, with.clone()).await?.cells, 1)?;
        }
        if next < BUCKETS {
            self.next = next;
            self.cells = Some(cells);
            return Ok(None);
        }
        self.by_measure = committed.mismatches(&cells)?;
        let mismatch_cells = self.by_measure.values().sum();
        let report = AuditReport { mismatch_cells, finished_at: now };
        self.newest = Some(report);
        self.restart();
        Ok(Some(report))
    }
}
