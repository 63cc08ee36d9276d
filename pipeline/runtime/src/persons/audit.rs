//! The auditor: recomputes bucket after bucket from the log while the engine has nothing else to do.
//!
//! A round goes through all buckets and adds their cells up. What changes in a bucket after the round has passed it is
//! added to the round's cells too, so at the end they must equal the committed ones, cell by cell. They do not only if the
//! incremental way went wrong somewhere, a file was damaged, or time changed somebody's cells unnoticed.

use std::collections::BTreeMap;

use arrow::array::UInt32Array;
use arrow::compute::{concat_batches, take_record_batch};
use chrono::{DateTime, Utc};
use rettidig_event::person::{self, BUCKETS, PersonId, bucket_of};
use rettidig_model::persons::unique;

use super::cells::CellStore;
use super::{Persons, evaluate};
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
    /// Whether the running round has passed the bucket of a person.
    pub fn has_passed(&self, person: &PersonId) -> bool {
        self.cells.is_some() && bucket_of(person) < self.next
    }

    /// Adds a committed change in buckets that the round has passed.
    pub(super) fn follow(&mut self, change: &CellStore) {
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
    pub(super) fn restart(&mut self) {
        self.cells = None;
        self.next = 0;
    }
}

impl Persons {
    /// The auditor.
    pub fn audit(&self) -> &Audit {
        &self.audit
    }

    /// Recomputes the next few buckets; a report if that was the end of a round.
    ///
    /// # Errors
    /// As [`super::PersonLog::bucket`].
    pub async fn audit_step(&mut self, now: DateTime<Utc>) -> Result<Option<AuditReport>, RuntimeError> {
        let Some(with) = self.with.clone() else { return Ok(None) };
        let mut cells = match self.audit.cells.take() {
            Some(cells) => cells,
            None => {
                self.audit.next = 0;
                self.cells.empty_like()?
            }
        };
        let mut next = self.audit.next;
        let mut batches = Vec::new();
        let mut rows = 0;
        while next < BUCKETS && rows < self.limits.audit_rows {
            let bucket = self.log.bucket(next).await?;
            let order = UInt32Array::from(unique(&bucket).order);
            batches.push(take_record_batch(&bucket, &order)?);
            rows += bucket.num_rows();
            next += 1;
        }
        if rows > 0 {
            let rows = concat_batches(&person::schema(), &batches)?;
            cells.add(&evaluate(std::sync::Arc::clone(&self.model), rows, with).await?.cells, 1)?;
        }
        if next < BUCKETS {
            self.audit.next = next;
            self.audit.cells = Some(cells);
            return Ok(None);
        }
        self.audit.by_measure = self.cells.mismatches(&cells)?;
        let mismatch_cells = self.audit.by_measure.values().sum();
        let report = AuditReport { mismatch_cells, finished_at: now };
        self.audit.newest = Some(report);
        self.audit.restart();
        Ok(Some(report))
    }
}
