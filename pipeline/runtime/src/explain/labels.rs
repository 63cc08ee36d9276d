//! Who contributes what to a value: the SQL of the model over persons that are told apart.
//!
//! Cells are sums by municipality and know no persons. So that nothing about a measure is written a second time, every person is
//! given municipalities of their own for the evaluation: labels 1 to 999, one for each pair of person and municipality, with the
//! deliveries of wages of the true one. Cells by label are contributions, and with the true municipality put back they add up to
//! the cells that everybody knows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, BooleanArray, Date32Array, Int32Array, Int64Array, RecordBatch, StringArray,
    UInt32Array,
};
use arrow::compute::{concat_batches, filter_record_batch, take_record_batch};
use arrow::datatypes::{DataType, Int64Type};
use rettidig_event::PersonId;
use rettidig_event::person;
use rettidig_model::Model;
use rettidig_model::disclosure::{CellKey, Content};
use rettidig_model::persons::{Cells, Parameters, prepare};

use super::knowledge::Told;
use crate::RuntimeError;
use crate::groups::column;

/// Labels of one evaluation: the model reckons with municipalities of three digits.
pub(super) const LABELS: usize = 999;

/// A value's place, whatever the area.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) indicator: String,
    pub(super) benefit: String,
    /// The first period, months since January 1970.
    pub(super) month: i64,
    /// The last period.
    pub(super) last_month: i64,
}

/// What the rows are that a state knows, and what else it is evaluated with.
#[derive(Debug, Clone)]
pub(super) struct State {
    pub(super) told: &'static [Told],
    pub(super) with: Parameters,
}

/// A person's numerator and denominator by municipality.
pub(super) type Shares = BTreeMap<i32, (i64, i64)>;

/// Contributions in one state: of the first period and of the last.
pub(super) type Contributions = BTreeMap<PersonId, [Shares; 2]>;

/// What some persons give.
#[derive(Debug)]
pub(super) struct Given {
    /// Their cells in each state.
    pub(super) cells: Vec<Cells>,
    /// Whose numerator differs between a state and the one before it, and whose denominator; at the end whose numerator differs
    /// between the periods.
    pub(super) moved: Vec<Moved>,
}

/// Who moved a value from one state to the next.
#[derive(Debug, Clone, Default)]
pub(super) struct Moved {
    pub(super) numerator: BTreeSet<PersonId>,
    pub(super) denominator: BTreeSet<PersonId>,
}

/// Rows of some persons with their labels.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    rows: Vec<RecordBatch>,
    told: Vec<Told>,
    row_labels: Vec<i32>,
    labels: Vec<(PersonId, i32)>,
}

impl Chunk {
    /// Whether the rows of another person fit in.
    pub(super) fn has_room_for(&self, municipalities: usize) -> bool {
        self.labels.len() + municipalities <= LABELS
    }

    pub(super) fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Takes the rows of a person in.
    pub(super) fn push(
        &mut self,
        person: PersonId,
        rows: RecordBatch,
        told: &[Told],
    ) -> Result<(), RuntimeError> {
        let municipality =
            column(&rows, "municipality")?.as_primitive::<arrow::datatypes::Int32Type>().clone();
        let mut own: BTreeMap<i32, i32> = BTreeMap::new();
        for code in municipality.values() {
            let next = i32::try_from(self.labels.len() + 1).unwrap_or(i32::MAX);
            let label = *own.entry(*code).or_insert(next);
            if label == next {
                self.labels.push((person, *code));
            }
            self.row_labels.push(label);
        }
        self.told.extend_from_slice(told);
        self.rows.push(rows);
        Ok(())
    }

    /// Evaluates the states.
    pub(super) async fn evaluate(
        self,
        model: Arc<Model>,
        states: Arc<Vec<State>>,
        place: Arc<Place>,
        members: Arc<[BTreeSet<i32>; 2]>,
    ) -> Result<Given, RuntimeError> {
        let rows = self.labelled()?;
        let model = labelled_model(&model, self.labels.len())?;
        let mut cells = Vec::with_capacity(states.len());
        let mut contributions: Vec<Contributions> = Vec::with_capacity(states.len());
        let mut before: Option<(Vec<bool>, &Parameters)> = None;
        for state in states.iter() {
            let known: Vec<bool> = self.told.iter().map(|told| state.told.contains(told)).collect();
            // Nothing was told and no time passed: the same again.
            if before.as_ref().is_some_and(|(mask, with)| *mask == known && **with == state.with) {
                cells.extend(cells.last().cloned());
                contributions.extend(contributions.last().cloned());
                continue;
            }
            let (labelled, given) = self.in_state(&model, &rows, state, &place, &members).await?;
            contributions.push(given);
            cells.push(self.true_cells(labelled)?);
            before = Some((known, &state.with));
        }
        let mut moved: Vec<Moved> = Vec::with_capacity(states.len());
        for pair in contributions.windows(2) {
            moved.push(differing(&pair[0], 0, &pair[1], 0));
        }
        moved.extend(contributions.last().map(|last| differing(last, 0, last, 1)));
        Ok(Given { cells, moved })
    }

    /// What each person gives in one state.
    pub(super) async fn contributions_in(
        self,
        model: &Model,
        state: &State,
        place: &Place,
        members: &[BTreeSet<i32>; 2],
    ) -> Result<Contributions, RuntimeError> {
        let model = labelled_model(model, self.labels.len())?;
        Ok(self.in_state(&model, &self.labelled()?, state, place, members).await?.1)
    }

    /// Cells by label in one state, and what each person gives.
    async fn in_state(
        &self,
        model: &Model,
        rows: &RecordBatch,
        state: &State,
        place: &Place,
        members: &[BTreeSet<i32>; 2],
    ) -> Result<(Cells, Contributions), RuntimeError> {
        let known: BooleanArray = self.told.iter().map(|told| Some(state.told.contains(told))).collect();
        let with = self.labelled_parameters(&state.with);
        let histories = prepare(&filter_record_batch(rows, &known)?)?;
        let labelled = model.evaluate_persons(&histories, &with).await?.cells;
        let months = [place.month, place.last_month].into();
        let derived = model.derive_published(&labelled, &with, &months).await?;
        let contents = model.local_contents(&derived, &place.indicator).await?;
        let given = self.contributions(&contents, place, members);
        Ok((labelled, given))
    }

    fn labelled(&self) -> Result<RecordBatch, RuntimeError> {
        let rows = concat_batches(&person::schema(), &self.rows)?;
        let place = rows.schema().index_of("municipality")?;
        let mut columns = rows.columns().to_vec();
        columns[place] = Arc::new(Int32Array::from(self.row_labels.clone()));
        Ok(RecordBatch::try_new(rows.schema(), columns)?)
    }

    fn labelled_parameters(&self, with: &Parameters) -> Parameters {
        let delivered = &with.income_delivered;
        let country = delivered.get(&0).map(|month| (0, *month));
        let labels = (1..).zip(&self.labels);
        let of_label = labels.filter_map(|(label, (_, code))| Some((label, *delivered.get(code)?)));
        Parameters { as_of: with.as_of, income_delivered: country.into_iter().chain(of_label).collect() }
    }

    fn contributions(
        &self,
        contents: &BTreeMap<i64, BTreeMap<CellKey, Content>>,
        place: &Place,
        members: &[BTreeSet<i32>; 2],
    ) -> Contributions {
        let mut contributions = Contributions::new();
        for (number, month) in [place.month, place.last_month].into_iter().enumerate() {
            for (key, content) in contents.get(&month).into_iter().flatten() {
                let is_wanted = key.area_kind == "municipality"
                    && key.benefit == place.benefit
                    && key.breakdown == "total";
                let label = key.area.parse::<usize>().ok().and_then(|label| label.checked_sub(1));
                let Some((person, code)) = label.and_then(|label| self.labels.get(label)) else { continue };
                // An area without a list of members is the country.
                if !is_wanted || !(members[number].is_empty() || members[number].contains(code)) {
                    continue;
                }
                let numerator = content.numerator.or(content.value_micro).unwrap_or(0);
                let share = (numerator, content.denominator.unwrap_or(0));
                contributions.entry(*person).or_default()[number].insert(*code, share);
            }
        }
        contributions
    }

    /// Cells of the true municipalities.
    fn true_cells(&self, labelled: Cells) -> Result<Cells, RuntimeError> {
        let code_of = |label: i64| {
            let place = usize::try_from(label - 1).ok();
            place.and_then(|place| self.labels.get(place)).map_or(0, |(_, code)| i64::from(*code))
        };
        let mut cells = Cells::new();
        for (name, rows) in labelled {
            let rows = match rows.schema().index_of("municipality") {
                Ok(place) => {
                    let labels = rows.column(place).as_primitive::<Int64Type>();
                    let codes: Int64Array =
                        labels.values().iter().map(|label| Some(code_of(*label))).collect();
                    let mut columns = rows.columns().to_vec();
                    columns[place] = Arc::new(codes);
                    RecordBatch::try_new(rows.schema(), columns)?
                }
                Err(_) => rows,
            };
            cells.insert(name, rows);
        }
        Ok(cells)
    }
}

/// Who contributes something else in one state and period than in another.
fn differing(a: &Contributions, of_a: usize, b: &Contributions, of_b: usize) -> Moved {
    let none = <[Shares; 2]>::default();
    let mut moved = Moved::default();
    for person in a.keys().chain(b.keys()) {
        let (a, b) = (&a.get(person).unwrap_or(&none)[of_a], &b.get(person).unwrap_or(&none)[of_b]);
        let differs = |of: fn(&(i64, i64)) -> i64| {
            let codes = || a.keys().chain(b.keys());
            let share = |shares: &Shares, code: &i32| shares.get(code).map_or(0, of);
            codes().any(|code| share(a, code) != share(b, code))
        };
        if differs(|share| share.0) {
            moved.numerator.insert(*person);
        }
        if differs(|share| share.1) {
            moved.denominator.insert(*person);
        }
    }
    moved
}

/// The model with every label up to a number as a municipality of its own.
fn labelled_model(model: &Model, labels: usize) -> Result<Model, RuntimeError> {
    let mut model = model.clone();
    let Some(areas) = model.reference.get("areas").filter(|areas| areas.num_rows() > 0) else {
        return Ok(model);
    };
    let rows = take_record_batch(areas, &UInt32Array::from(vec![0; labels]))?;
    let mut columns = rows.columns().to_vec();
    for (field, column) in rows.schema().fields().iter().zip(&mut columns) {
        let new: Option<ArrayRef> = match (field.name().as_str(), field.data_type()) {
            ("municipality", _) => {
                let labels = (1..=labels).map(|label| format!("{label:04}"));
                Some(Arc::new(StringArray::from_iter_values(labels)))
            }
            // For ever: who is a member when is decided by the true areas.
            ("valid_from", DataType::Date32) => Some(Arc::new(Date32Array::from(vec![-40_000; labels]))),
            ("valid_to", DataType::Date32) => Some(Arc::new(Date32Array::from(vec![None; labels]))),
            _ => None,
        };
        if let Some(new) = new {
            *column = new;
        }
    }
    model.reference.insert("areas".to_owned(), RecordBatch::try_new(rows.schema(), columns)?);
    Ok(model)
}
