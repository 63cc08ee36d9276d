//! The cells of all measures: added up in memory, kept as a base file and the changes since.
//!
//! Cells are integers and contributions add up, so a state is any set of files whose rows of one grain are summed. An
//! epoch writes the cells it changes; when the changes have become many they are merged, and when they have become as
//! many as the base is they are merged into it.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch};
use arrow::compute::{concat, concat_batches, filter_record_batch};
use arrow::datatypes::{Int64Type, SchemaRef};
use arrow::row::{RowConverter, SortField};
use indexmap::IndexSet;
use rettidig_model::Model;
use rettidig_model::persons::Cells;

use crate::RuntimeError;
use crate::store::{FileEntry, Store};

/// Files of changes of a measure beyond which they are merged.
const CHANGES_MAX: usize = 16;

/// Folder of the files.
const FOLDER: &str = "state/cells";

/// The grains of cells, as bytes that the row converter makes, in the order they came.
type Keys = IndexSet<Box<[u8]>, foldhash::fast::RandomState>;

/// The cells of one measure.
#[derive(Debug)]
pub struct Measure {
    schema: SchemaRef,
    grain: usize,
    converter: RowConverter,
    keys: Keys,
    /// The integers of all cells, one after the other.
    values: Vec<i64>,
    /// The grain columns of the first cells, kept from the last time they were asked for.
    grains: Vec<ArrayRef>,
}

impl Measure {
    fn new(empty: &RecordBatch, grain: usize) -> Result<Self, RuntimeError> {
        let fields = empty.schema().fields()[..grain]
            .iter()
            .map(|field| SortField::new(field.data_type().clone()))
            .collect();
        Ok(Self {
            schema: empty.schema(),
            grain,
            converter: RowConverter::new(fields)?,
            keys: Keys::default(),
            values: Vec::new(),
            grains: Vec::new(),
        })
    }

    fn width(&self) -> usize {
        self.schema.fields().len() - self.grain
    }

    /// Adds rows, `sign` times each.
    fn add(&mut self, rows: &RecordBatch, sign: i64) -> Result<(), RuntimeError> {
        let (width, grain) = (self.width(), self.grain);
        let keys = self.converter.convert_columns(&rows.columns()[..grain])?;
        let columns: Vec<&Int64Array> =
            rows.columns()[grain..].iter().map(|column| column.as_primitive::<Int64Type>()).collect();
        for row in 0..rows.num_rows() {
            let place = self.place(keys.row(row).data());
            for (value, column) in self.values[place..place + width].iter_mut().zip(&columns) {
                *value += sign * column.value(row);
            }
        }
        Ok(())
    }

    /// Where the integers of a cell begin; a new cell is zero.
    fn place(&mut self, key: &[u8]) -> usize {
        if let Some(cell) = self.keys.get_index_of(key) {
            return cell * self.width();
        }
        let place = self.values.len();
        self.keys.insert(key.into());
        self.values.resize(place + self.width(), 0);
        place
    }

    /// The cells with their integers.
    fn iter(&self) -> impl Iterator<Item = (&[u8], &[i64])> {
        self.keys.iter().map(AsRef::as_ref).zip(self.values.chunks_exact(self.width()))
    }

    /// The integers of a cell; none if it was never touched.
    fn get(&self, key: &[u8]) -> Option<&[i64]> {
        let cell = self.keys.get_index_of(key)?;
        self.values.get(cell * self.width()..(cell + 1) * self.width())
    }

    /// Adds the cells of another store of the same measure, `sign` times each.
    fn merge(&mut self, other: &Self, sign: i64) {
        let width = self.width();
        for (key, added) in other.iter().filter(|(_, values)| !is_zero(values)) {
            let place = self.place(key);
            for (value, added) in self.values[place..place + width].iter_mut().zip(added) {
                *value += sign * added;
            }
        }
    }

    /// The cells that are not zero, sorted by grain.
    fn rows(&self) -> Result<RecordBatch, RuntimeError> {
        let mut kept: Vec<(&[u8], &[i64])> = self.iter().filter(|(_, values)| !is_zero(values)).collect();
        kept.sort_unstable();
        let parser = self.converter.parser();
        let mut columns: Vec<ArrayRef> =
            self.converter.convert_rows(kept.iter().map(|(key, _)| parser.parse(key)))?;
        for column in 0..self.width() {
            let values = kept.iter().map(|(_, values)| values[column]);
            columns.push(Arc::new(Int64Array::from_iter_values(values)));
        }
        Ok(RecordBatch::try_new(self.schema.clone(), columns)?)
    }

    /// The cells that are not zero, in the order they first came: what is looked at every epoch is not sorted again.
    fn unsorted(&mut self) -> Result<RecordBatch, RuntimeError> {
        let known = self.grains.first().map_or(0, |column| column.len());
        if known < self.keys.len() || self.grains.is_empty() {
            let parser = self.converter.parser();
            let added =
                self.converter.convert_rows(self.keys[known..].iter().map(|key| parser.parse(key)))?;
            self.grains = match self.grains.is_empty() {
                true => added,
                false => {
                    let pairs = self.grains.iter().zip(&added);
                    pairs.map(|(known, added)| concat(&[known, added])).collect::<Result<_, _>>()?
                }
            };
        }
        let mut columns = self.grains.clone();
        for column in 0..self.width() {
            let values = self.values.iter().skip(column).step_by(self.width());
            columns.push(Arc::new(Int64Array::from_iter_values(values.copied())));
        }
        let all = RecordBatch::try_new(self.schema.clone(), columns)?;
        let keep: BooleanArray = self.iter().map(|(_, values)| Some(!is_zero(values))).collect();
        Ok(filter_record_batch(&all, &keep)?)
    }
}

fn is_zero(values: &[i64]) -> bool {
    values.iter().all(|value| *value == 0)
}

/// The cells of all measures of a model.
#[derive(Debug)]
pub struct CellStore(BTreeMap<String, Measure>);

impl CellStore {
    /// Cells of nobody.
    ///
    /// # Errors
    /// If the model fails, which is a bug.
    pub async fn new(model: &Model) -> Result<Self, RuntimeError> {
        let empty = model.empty_cells().await?;
        let mut measures = BTreeMap::new();
        for measure in model.additive() {
            if let Some(rows) = empty.get(&measure.name) {
                measures.insert(measure.name.clone(), Measure::new(rows, measure.header.grain.len())?);
            }
        }
        Ok(Self(measures))
    }

    /// Cells of nobody, of the same model.
    ///
    /// # Errors
    /// Only if Arrow fails, which is a bug.
    pub fn empty_like(&self) -> Result<Self, RuntimeError> {
        let mut measures = BTreeMap::new();
        for (name, measure) in &self.0 {
            let empty = RecordBatch::new_empty(measure.schema.clone());
            measures.insert(name.clone(), Measure::new(&empty, measure.grain)?);
        }
        Ok(Self(measures))
    }

    /// Forgets all cells.
    pub fn clear(&mut self) {
        for measure in self.0.values_mut() {
            measure.keys.clear();
            measure.values.clear();
            measure.grains.clear();
        }
    }

    /// Adds cells, `sign` times each.
    ///
    /// # Errors
    /// Only if the cells are of another model, which is a bug.
    pub fn add(&mut self, cells: &Cells, sign: i64) -> Result<(), RuntimeError> {
        for (name, rows) in cells {
            if let Some(measure) = self.0.get_mut(name) {
                measure.add(rows, sign)?;
            }
        }
        Ok(())
    }

    /// Adds the cells of another store of the same model, `sign` times each.
    pub fn merge(&mut self, other: &Self, sign: i64) {
        for (name, measure) in &mut self.0 {
            if let Some(other) = other.0.get(name) {
                measure.merge(other, sign);
            }
        }
    }

    /// All cells that are not zero, sorted by grain.
    ///
    /// # Errors
    /// Only if Arrow fails, which is a bug.
    pub fn cells(&self) -> Result<Cells, RuntimeError> {
        self.0.iter().map(|(name, measure)| Ok((name.clone(), measure.rows()?))).collect()
    }

    /// All cells that are not zero, in no particular order; quick when asked for again.
    ///
    /// # Errors
    /// Only if Arrow fails, which is a bug.
    pub fn unsorted(&mut self) -> Result<Cells, RuntimeError> {
        self.0.iter_mut().map(|(name, measure)| Ok((name.clone(), measure.unsorted()?))).collect()
    }

    /// The cells of some measures that indicators are made of: totals, and of the months from `first_month` on breakdowns of
    /// those measures that have them shown.
    ///
    /// # Errors
    /// Only if Arrow fails, which is a bug.
    pub fn shown(&self, model: &Model, first_month: i64) -> Result<Self, RuntimeError> {
        let (needed, broken_down) = (model.published_inputs(), model.published_breakdowns());
        let mut totals = self.empty_like()?;
        for (name, measure) in self.0.iter().filter(|(name, _)| needed.contains(name.as_str())) {
            let rows = measure.rows()?;
            let breakdown = rows.column_by_name("breakdown").and_then(|column| column.as_string_opt::<i32>());
            let month =
                rows.column_by_name("month").and_then(|column| column.as_primitive_opt::<Int64Type>());
            let total = match breakdown {
                Some(breakdown) => {
                    let is_shown = |row: usize| {
                        broken_down.contains(name.as_str())
                            && month.is_some_and(|month| month.value(row) >= first_month)
                    };
                    let keep: BooleanArray = (0..rows.num_rows())
                        .map(|row| Some(breakdown.value(row) == "total" || is_shown(row)))
                        .collect();
                    filter_record_batch(&rows, &keep)?
                }
                None => rows,
            };
            if let Some(measure) = totals.0.get_mut(name) {
                measure.add(&total, 1)?;
            }
        }
        Ok(totals)
    }

    /// Cells kept in memory, zeros included.
    pub fn len(&self) -> usize {
        self.0.values().map(|measure| measure.keys.len()).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Cells that differ between two stores.
    ///
    /// # Errors
    /// Only if Arrow fails, which is a bug.
    pub fn mismatches(&self, other: &Self) -> Result<BTreeMap<String, u64>, RuntimeError> {
        let mut mismatches = BTreeMap::new();
        for (name, measure) in &self.0 {
            let mut count = 0;
            if let Some(theirs) = other.0.get(name) {
                let zero = vec![0; measure.width()];
                for (key, values) in measure.iter() {
                    count += u64::from(values != theirs.get(key).unwrap_or(&zero));
                }
                for (_, values) in theirs.iter().filter(|(key, _)| measure.get(key).is_none()) {
                    count += u64::from(!is_zero(values));
                }
            }
            mismatches.insert(name.clone(), count);
        }
        Ok(mismatches)
    }

    /// Adds the state that a manifest names.
    ///
    /// # Errors
    /// [`RuntimeError::Stop`] if a file is gone or damaged.
    pub async fn read(
        &mut self,
        store: &Store,
        files: &BTreeMap<String, Vec<FileEntry>>,
    ) -> Result<(), RuntimeError> {
        for (name, measure) in &mut self.0 {
            for entry in files.get(name).into_iter().flatten() {
                let rows = store.get_parquet(entry, measure.schema.clone()).await?;
                measure.add(&rows, 1)?;
            }
        }
        Ok(())
    }

    /// Writes these cells, one file a measure that has some.
    ///
    /// # Errors
    /// [`RuntimeError::Retry`] if the storage fails.
    pub async fn write(&self, store: &Store) -> Result<BTreeMap<String, FileEntry>, RuntimeError> {
        let mut files = BTreeMap::new();
        for (name, measure) in &self.0 {
            let rows = measure.rows()?;
            if rows.num_rows() > 0 {
                files.insert(name.clone(), store.put_parquet(FOLDER, name, &rows, Vec::new()).await?);
            }
        }
        Ok(files)
    }

    /// Merges the files of a state where they have become many.
    ///
    /// # Errors
    /// [`RuntimeError::Retry`] if the storage fails.
    pub async fn tidy(
        &self,
        store: &Store,
        files: &mut BTreeMap<String, Vec<FileEntry>>,
    ) -> Result<(), RuntimeError> {
        for (name, measure) in &self.0 {
            let Some(entries) = files.get_mut(name).filter(|entries| entries.len() > CHANGES_MAX) else {
                continue;
            };
            // The base comes first; it joins when what follows has grown to its size.
            let added: u64 = entries[1..].iter().map(|entry| entry.rows).sum();
            let from = usize::from(added < entries[0].rows);
            let mut batches = Vec::new();
            for entry in &entries[from..] {
                batches.push(store.get_parquet(entry, measure.schema.clone()).await?);
            }
            let mut merged = Measure::new(&RecordBatch::new_empty(measure.schema.clone()), measure.grain)?;
            merged.add(&concat_batches(&measure.schema, &batches)?, 1)?;
            let merged = store.put_parquet(FOLDER, name, &merged.rows()?, Vec::new()).await?;
            entries.truncate(from);
            entries.push(merged);
        }
        Ok(())
    }
}
