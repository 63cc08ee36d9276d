//! The cells of all measures: added up in memory, kept as a base file and the changes since.
//!
//! Cells are integers and contributions add up, so a state is any set of files whose rows of one grain are summed. An
//! epoch writes the cells it changes; when the changes have become many they are merged, and when they have become as
//! many as the base is they are merged into it.

use std::collections::{BTreeMap, HashMap};

use arrow::array::{ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch};
use arrow::compute::{concat_batches, filter_record_batch};
use arrow::datatypes::{Int64Type, SchemaRef};
use arrow::row::{RowConverter, SortField};
use rettidig_model::Model;
use rettidig_model::persons::Cells;

use crate::RuntimeError;
use crate::store::{FileEntry, Store};

/// Files of changes of a measure beyond which they are merged.
const CHANGES_MAX: usize = 16;

/// The cells of one measure.
#[derive(Debug)]
pub struct Measure {
    schema: SchemaRef,
    grain: usize,
    converter: RowConverter,
    places: HashMap<Box<[u8]>, usize>,
    /// The integers of all cells, one after the other.
    values: Vec<i64>,
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
            places: HashMap::new(),
            values: Vec::new(),
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
        if let Some(place) = self.places.get(key) {
            return *place;
        }
        let place = self.values.len();
        self.places.insert(key.into(), place);
        self.values.resize(place + self.width(), 0);
        place
    }

    /// Adds the cells of another store of the same measure.
    fn merge(&mut self, other: &Self) {
        let width = self.width();
        for (key, from) in &other.places {
            let place = self.place(key);
            let added = &other.values[*from..*from + width];
            for (value, added) in self.values[place..place + width].iter_mut().zip(added) {
                *value += added;
            }
        }
    }

    /// The cells that are not zero, sorted by grain.
    fn rows(&self) -> Result<RecordBatch, RuntimeError> {
        let width = self.width();
        let mut kept: Vec<(&[u8], usize)> = self
            .places
            .iter()
            .filter(|(_, place)| self.values[**place..**place + width].iter().any(|value| *value != 0))
            .map(|(key, place)| (key.as_ref(), *place))
            .collect();
        kept.sort_unstable();
        let parser = self.converter.parser();
        let mut columns: Vec<ArrayRef> =
            self.converter.convert_rows(kept.iter().map(|(key, _)| parser.parse(key)))?;
        for column in 0..width {
            let values = kept.iter().map(|(_, place)| self.values[place + column]);
            columns.push(std::sync::Arc::new(Int64Array::from_iter_values(values)));
        }
        Ok(RecordBatch::try_new(self.schema.clone(), columns)?)
    }
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

    /// Adds the cells of another store of the same model.
    pub fn merge(&mut self, other: &Self) {
        for (name, measure) in &mut self.0 {
            if let Some(other) = other.0.get(name) {
                measure.merge(other);
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

    /// The same cells once more.
    ///
    /// # Errors
    /// Only if Arrow fails, which is a bug.
    pub fn copy(&self) -> Result<Self, RuntimeError> {
        let mut copy = self.empty_like()?;
        for (name, measure) in &self.0 {
            if let Some(copied) = copy.0.get_mut(name) {
                copied.places.clone_from(&measure.places);
                copied.values.clone_from(&measure.values);
            }
        }
        Ok(copy)
    }

    /// The cells of some measures without breakdowns.
    ///
    /// # Errors
    /// Only if Arrow fails, which is a bug.
    pub fn totals(&self, is_wanted: &dyn Fn(&str) -> bool) -> Result<Self, RuntimeError> {
        let mut totals = self.empty_like()?;
        for (name, measure) in self.0.iter().filter(|(name, _)| is_wanted(name)) {
            let rows = measure.rows()?;
            let total =
                match rows.column_by_name("breakdown").and_then(|column| column.as_string_opt::<i32>()) {
                    Some(breakdown) => {
                        let keep: BooleanArray =
                            breakdown.iter().map(|value| Some(value == Some("total"))).collect();
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
        self.0.values().map(|measure| measure.places.len()).sum()
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
                let width = measure.width();
                let zero = vec![0; width];
                let of = |measure: &Measure, key: &[u8]| {
                    measure
                        .places
                        .get(key)
                        .map_or(zero.clone(), |place| measure.values[*place..*place + width].to_vec())
                };
                for key in measure.places.keys() {
                    count += u64::from(of(measure, key) != of(theirs, key));
                }
                for key in theirs.places.keys().filter(|key| !measure.places.contains_key(*key)) {
                    count += u64::from(of(theirs, key) != zero);
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

    /// Writes changed cells; gives the files that the state consists of with them.
    ///
    /// # Errors
    /// [`RuntimeError::Retry`] if the storage fails.
    pub async fn write(
        &self,
        store: &Store,
        changes: &Self,
        files: &BTreeMap<String, Vec<FileEntry>>,
    ) -> Result<BTreeMap<String, Vec<FileEntry>>, RuntimeError> {
        let mut files = files.clone();
        for (name, change) in &changes.0 {
            let rows = change.rows()?;
            if rows.num_rows() == 0 {
                continue;
            }
            let entries = files.entry(name.clone()).or_default();
            let (folder, stem) = ("state/cells", name.as_str());
            entries.push(store.put_parquet(folder, stem, &rows, Vec::new()).await?);
            if entries.len() > CHANGES_MAX {
                // The base comes first; it joins when what follows has grown to its size.
                let added: u64 = entries[1..].iter().map(|entry| entry.rows).sum();
                let from = usize::from(added < entries[0].rows);
                let mut batches = Vec::new();
                for entry in &entries[from..] {
                    batches.push(store.get_parquet(entry, rows.schema()).await?);
                }
                let mut merged = Measure::new(&rows, change.grain)?;
                merged.add(&concat_batches(&rows.schema(), &batches)?, 1)?;
                let merged = store.put_parquet(folder, stem, &merged.rows()?, Vec::new()).await?;
                entries.truncate(from);
                entries.push(merged);
            }
        }
        Ok(files)
    }
}
