//! The tables of an epoch: which are made anew, and the files that are written of it.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::TimestampMicrosecondType;
use chrono::{DateTime, NaiveDate, Utc};
use rettidig_event::Topic;
use rettidig_model::calendar::month_text;
use rettidig_model::catalogue::{
    AS_OF, DISCLOSED, EVALUATION, EVENT_DELIVERIES, EVENT_OFFICIAL, EVENT_PUT_ASIDE, LOCAL_DISCLOSED, Making,
};
use rettidig_model::contract::{self, Table};
use rettidig_model::evaluation::GroupKey;

use super::{Committer, LOG_FILES_MAX, LOGGED, log_folder, schema_of};
use crate::groups::column;
use crate::local::Local;
use crate::manifest::{Counts, Manifest, Previous};
use crate::persons::PersonsEntry;
use crate::store::FileEntry;
use crate::{RuntimeError, publish};

impl Committer {
    /// Writes everything of an epoch but what concerns persons alone, and names it in a manifest.
    pub(super) async fn write(
        &mut self,
        epoch: u64,
        (as_of, at): (NaiveDate, DateTime<Utc>),
        disclosed: &RecordBatch,
        local: &Local,
        tables: &BTreeMap<&'static str, RecordBatch>,
    ) -> Result<Manifest, RuntimeError> {
        let before = self.newest.as_ref().map(|(manifest, digest)| (manifest.clone(), digest.clone()));
        let mut log = before.as_ref().map(|(manifest, _)| manifest.log.clone()).unwrap_or_default();
        for topic in LOGGED {
            let entries = log.entry(topic.name().to_owned()).or_default();
            if let Some(rows) = self.batch.rows.get(&topic) {
                let rows = concat_batches(&schema_of(topic), rows)?;
                entries.push(self.store.put_parquet(&log_folder(topic), "events", &rows, Vec::new()).await?);
            }
            if entries.len() > LOG_FILES_MAX {
                *entries = vec![self.merged(topic, entries).await?];
            }
        }
        let mut files = BTreeMap::new();
        for (name, batch) in tables {
            let unchanged = before.as_ref().and_then(|(manifest, _)| manifest.tables.get(*name));
            let same = unchanged.filter(|_| self.is_unchanged(name, batch));
            let entry = match same {
                Some(entry) => entry.clone(),
                None => publish::write(&self.store, name, batch, epoch).await?,
            };
            files.insert((*name).to_owned(), entry);
        }
        let disclosed = match (&before, self.batch.touched.is_empty()) {
            // Nothing but new figures and new definitions changes it.
            (Some((manifest, _)), true) if manifest.is_of(&self.model) => manifest.disclosed.clone(),
            _ => self.store.put_parquet("state", "disclosed", disclosed, Vec::new()).await?,
        };
        let same = before.as_ref().filter(|(manifest, _)| manifest.is_of(&self.model));
        for table in contract::tables().filter(|table| self.is_monthly(table)) {
            let known = same.and_then(|(manifest, _)| manifest.tables.get(table.name));
            let before = known.map(|entry| (&self.local, entry));
            files.insert(table.name.to_owned(), local.write(&self.store, table, before, epoch).await?);
        }
        let mut counts: Counts =
            before.as_ref().map(|(manifest, _)| manifest.counts.clone()).unwrap_or_default();
        counts.add(&self.batch.counts);
        Ok(Manifest {
            epoch,
            term: self.term,
            previous: before.map(|(manifest, sha256)| Previous { epoch: manifest.epoch, sha256 }),
            committed_at: at,
            as_of,
            cluster_id: self.cluster_id.clone(),
            positions: self.positions.clone(),
            log,
            disclosed,
            local: local.states(),
            frozen: local
                .frozen()
                .map(|(month, indicator)| (month_text(month), indicator.to_owned()))
                .collect(),
            persons: PersonsEntry::default(),
            tables: files,
            sql_sha256: self.model.sql_sha256.clone(),
            reference_sha256: self.model.reference_sha256.clone(),
            frontiers: frontiers(tables)?,
            counts,
        })
    }

    /// Merges the log files of a topic into one.
    async fn merged(&self, topic: Topic, entries: &[FileEntry]) -> Result<FileEntry, RuntimeError> {
        let mut batches = Vec::with_capacity(entries.len());
        for entry in entries {
            batches.push(self.store.get_parquet(entry, schema_of(topic)).await?);
        }
        let rows = concat_batches(&schema_of(topic), &batches)?;
        self.store.put_parquet(&log_folder(topic), "events", &rows, Vec::new()).await
    }

    /// The newest epoch's tables that stay as they are when these groups and what else is new in the batch have changed.
    pub(super) fn kept_tables(
        &self,
        touched: &BTreeSet<GroupKey>,
        as_of: NaiveDate,
    ) -> BTreeMap<&'static str, RecordBatch> {
        let mut changed = BTreeSet::from([LOCAL_DISCLOSED, EVALUATION]);
        if !touched.is_empty() {
            changed.extend([DISCLOSED, EVENT_OFFICIAL, EVENT_PUT_ASIDE]);
        }
        if self.batch.rows.contains_key(&Topic::Deliveries) {
            changed.insert(EVENT_DELIVERIES);
        }
        if self.is_another_day(as_of) {
            changed.insert(AS_OF);
        }
        self.unaffected(&changed)
    }

    /// The newest epoch's tables made after the months that stay as they are with these tables and months.
    pub(super) fn kept_after_months(
        &self,
        tables: &BTreeMap<&'static str, RecordBatch>,
        local: &Local,
        as_of: NaiveDate,
    ) -> BTreeMap<&'static str, RecordBatch> {
        let whole = tables.iter().filter(|(name, batch)| !self.is_unchanged(name, batch));
        let mut changed: BTreeSet<&str> = whole.map(|(name, _)| *name).collect();
        let monthly = self.model.made(Making::Monthly).map(|model| model.name.as_str());
        changed.extend(monthly.filter(|name| !local.is_same(&self.local, name)));
        if self.is_another_day(as_of) {
            changed.insert(AS_OF);
        }
        let after: BTreeSet<&str> =
            self.model.made(Making::AfterMonths).map(|model| model.name.as_str()).collect();
        let mut kept = self.unaffected(&changed);
        kept.retain(|name, _| after.contains(name));
        kept
    }

    pub(super) fn is_another_day(&self, as_of: NaiveDate) -> bool {
        self.newest.as_ref().is_none_or(|(manifest, _)| manifest.as_of != as_of)
    }

    /// The newest epoch's tables that read nothing of what has changed, directly or not.
    fn unaffected(&self, changed: &BTreeSet<&str>) -> BTreeMap<&'static str, RecordBatch> {
        let names = self.model.tables_without(changed);
        let tables = self.snapshot.borrow().as_ref().map(|snapshot| snapshot.tables.clone());
        tables.unwrap_or_default().into_iter().filter(|(name, _)| names.contains(name)).collect()
    }

    pub(super) fn is_monthly(&self, table: &Table) -> bool {
        self.model.made(Making::Monthly).any(|model| model.name == table.name)
    }

    /// The published tables of persons.
    pub(super) fn monthly(&self, local: &Local) -> BTreeMap<&'static str, Vec<RecordBatch>> {
        let tables = contract::tables().filter(|table| self.is_monthly(table));
        tables.map(|table| (table.name, local.rows(table.name))).collect()
    }

    fn is_unchanged(&self, name: &str, batch: &RecordBatch) -> bool {
        self.snapshot.borrow().as_ref().is_some_and(|snapshot| snapshot.tables.get(name) == Some(batch))
    }
}

/// The newest retrieval of each source, from the freshness table.
fn frontiers(
    tables: &BTreeMap<&'static str, RecordBatch>,
) -> Result<BTreeMap<String, DateTime<Utc>>, RuntimeError> {
    let mut frontiers = BTreeMap::new();
    if let Some(freshness) = tables.get("freshness") {
        let source = column(freshness, "source")?.as_string::<i32>();
        let newest = column(freshness, "newest_event")?.as_primitive::<TimestampMicrosecondType>();
        for row in 0..freshness.num_rows() {
            if let Some(at) = DateTime::from_timestamp_micros(newest.value(row)) {
                frontiers.insert(source.value(row).to_owned(), at);
            }
        }
    }
    Ok(frontiers)
}
