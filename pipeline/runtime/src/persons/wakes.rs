//! When time alone changes whose cells: what makes a new day an event that touches a few.
//!
//! Each person has at most one day on which a gap closes, a payment in advance begins to cover, a contact falls due; and
//! at most one month whose wages are awaited. Kept as a base file and changes since, of which the latest holds.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, LazyLock};

use arrow::array::{Array, AsArray, FixedSizeBinaryBuilder, Int32Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Int32Type, Schema, SchemaRef};
use rettidig_event::PersonId;
use rettidig_model::persons::NextChange;

use super::Owned;
use super::file::person_at;
use crate::RuntimeError;
use crate::store::{FileEntry, Store};

/// Files beyond which they are merged.
const FILES_MAX: usize = 16;

/// Folder of the files.
const FOLDER: &str = "state/wakes";

/// Next changes by person, and the persons by day and by month.
#[derive(Debug, Default)]
pub struct Wakes {
    next: HashMap<PersonId, NextChange>,
    by_day: BTreeMap<i32, BTreeSet<PersonId>>,
    by_month: BTreeMap<i32, BTreeSet<PersonId>>,
}

fn schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        Arc::new(Schema::new(vec![
            Field::new("person", DataType::FixedSizeBinary(16), false),
            Field::new("wake_day", DataType::Int32, true),
            Field::new("awaited_month", DataType::Int32, true),
        ]))
    });
    SCHEMA.clone()
}

fn leave(index: &mut BTreeMap<i32, BTreeSet<PersonId>>, at: Option<i32>, person: &PersonId) {
    if let Some(at) = at
        && let Some(persons) = index.get_mut(&at)
    {
        persons.remove(person);
        if persons.is_empty() {
            index.remove(&at);
        }
    }
}

impl Wakes {
    /// Notes what a person's next change is now.
    pub fn set(&mut self, person: PersonId, next: NextChange) {
        let before = match next == NextChange::default() {
            true => self.next.remove(&person),
            false => self.next.insert(person, next),
        };
        if let Some(before) = before.filter(|before| *before != next) {
            leave(&mut self.by_day, before.wake_day, &person);
            leave(&mut self.by_month, before.awaited_month, &person);
        }
        if let Some(day) = next.wake_day {
            self.by_day.entry(day).or_default().insert(person);
        }
        if let Some(month) = next.awaited_month {
            self.by_month.entry(month).or_default().insert(person);
        }
    }

    /// Persons whose cells change by the day, and persons who wait for wages of a month up to the given one.
    pub fn due(&self, day: i32, delivered_month: Option<i32>) -> BTreeSet<PersonId> {
        let mut due: BTreeSet<PersonId> =
            self.by_day.range(..=day).flat_map(|(_, persons)| persons).copied().collect();
        if let Some(month) = delivered_month {
            due.extend(self.by_month.range(..=month).flat_map(|(_, persons)| persons));
        }
        due
    }

    /// Persons with a next change.
    pub fn len(&self) -> usize {
        self.next.len()
    }

    /// Whether nobody has one.
    pub fn is_empty(&self) -> bool {
        self.next.is_empty()
    }

    /// Opens the state of some buckets that a manifest names.
    ///
    /// # Errors
    /// [`RuntimeError::Stop`] if a file is gone or damaged.
    pub async fn open(store: &Store, files: &[FileEntry], owned: &Owned) -> Result<Self, RuntimeError> {
        let mut wakes = Self::default();
        for (person, next) in
            read(store, files).await?.into_iter().filter(|(person, _)| owned.has_person(person))
        {
            wakes.set(person, next);
        }
        Ok(wakes)
    }
}

/// The next changes of some files, of which the latest holds.
async fn read(store: &Store, files: &[FileEntry]) -> Result<BTreeMap<PersonId, NextChange>, RuntimeError> {
    let mut changes = BTreeMap::new();
    for entry in files {
        let rows = store.get_parquet(entry, schema()).await?;
        let (day, month) =
            (rows.column(1).as_primitive::<Int32Type>(), rows.column(2).as_primitive::<Int32Type>());
        let value = |column: &Int32Array, row: usize| column.is_valid(row).then(|| column.value(row));
        for row in 0..rows.num_rows() {
            let next = NextChange { wake_day: value(day, row), awaited_month: value(month, row) };
            changes.insert(person_at(&rows, row), next);
        }
    }
    Ok(changes)
}

fn rows(changes: &BTreeMap<PersonId, NextChange>) -> Result<RecordBatch, RuntimeError> {
    let mut persons = FixedSizeBinaryBuilder::new(16);
    for person in changes.keys() {
        persons.append_value(person)?;
    }
    let days: Int32Array = changes.values().map(|next| next.wake_day).collect();
    let months: Int32Array = changes.values().map(|next| next.awaited_month).collect();
    Ok(RecordBatch::try_new(schema(), vec![Arc::new(persons.finish()), Arc::new(days), Arc::new(months)])?)
}

/// Writes changes; `None` if there are none.
///
/// # Errors
/// [`RuntimeError::Retry`] if the storage fails.
pub(super) async fn write(
    store: &Store,
    changes: &BTreeMap<PersonId, NextChange>,
) -> Result<Option<FileEntry>, RuntimeError> {
    if changes.is_empty() {
        return Ok(None);
    }
    store.put_parquet(FOLDER, "wakes", &rows(changes)?, Vec::new()).await.map(Some)
}

/// Merges the files of a state if they have become many.
///
/// # Errors
/// [`RuntimeError::Retry`] if the storage fails.
pub(super) async fn tidy(store: &Store, files: &mut Vec<FileEntry>) -> Result<(), RuntimeError> {
    if files.len() <= FILES_MAX {
        return Ok(());
    }
    // The base comes first; it joins when what follows has grown to its size.
    let added: u64 = files[1..].iter().map(|entry| entry.rows).sum();
    let from = usize::from(added < files[0].rows);
    let mut all = read(store, &files[from..]).await?;
    if from == 0 {
        all.retain(|_, next| *next != NextChange::default());
    }
    files.truncate(from);
    files.push(store.put_parquet(FOLDER, "wakes", &rows(&all)?, Vec::new()).await?);
    Ok(())
}
