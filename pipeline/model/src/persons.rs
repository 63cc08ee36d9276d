//! The evaluation of persons: the whole history of some persons → their cells.
//!
//! The unit of change is a person. [`prepare`] turns rows of the log into the table that staging reads: persons become
//! dense numbers, each row gets its rank in the person's order (recorded, source, id, revision), and superseded
//! revisions are marked. [`Model::evaluate_persons`] runs the local and the additive SQL over it. Cells of disjoint sets
//! of persons add up to the cells of all, which is what makes `old out, new in` exact and lets threads share the work.
//! [`Model::derive`] makes the measures that are functions of other cells and of the as-of date.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Int32Type, Int64Type, Schema, SchemaRef, TimestampMicrosecondType};
use chrono::{Datelike, NaiveDate};
use rettidig_event::PersonId;
use serde::{Deserialize, Serialize};

use crate::catalogue::{
    AS_OF, Domain, EVENT_PERSON, INCOME_DELIVERED, Layer, MONTH_AREAS, Model, REFERENCE, SqlModel,
};
use crate::error::ModelError;
use crate::local::local_months;
use crate::session::Session;

/// Cells by measure: grain columns (Int64 or Utf8) first, then Int64 columns that add up.
pub type Cells = BTreeMap<String, RecordBatch>;

/// Name of the local model that says when a person's cells change by time alone.
const NEXT_CHANGES: &str = "next_changes";

/// Histories of some persons, ready for the SQL.
#[derive(Debug)]
pub struct Histories {
    /// The table that staging reads, see [`schema`].
    pub rows: RecordBatch,
    /// The persons; a person's number is its place here.
    pub persons: Vec<PersonId>,
}

/// What beside the events decides about a person's cells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parameters {
    /// The as-of date.
    pub as_of: NaiveDate,
    /// Newest month (months since January 1970) whose wages are delivered, by municipality; 0 is the whole country.
    pub income_delivered: BTreeMap<i32, i32>,
}

/// When time alone changes a person's cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NextChange {
    /// The first such day, days since 1970.
    pub wake_day: Option<i32>,
    /// The first month whose wages are awaited, months since January 1970.
    pub awaited_month: Option<i32>,
}

/// What the evaluation of some persons gives.
#[derive(Debug)]
pub struct PersonResult {
    /// Their cells.
    pub cells: Cells,
    /// When time alone changes them; persons without an entry never change.
    pub next: Vec<(PersonId, NextChange)>,
}

/// Schema of the table that staging reads. Everything is Int64 but texts and truth values: days since 1970, months
/// since January 1970, øre, minutes; `person` is a dense number, `rank` the place in the person's order of rows.
pub fn schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        let integer = |name: &str, nullable| Field::new(name, DataType::Int64, nullable);
        Arc::new(Schema::new(vec![
            integer("person", false),
            integer("rank", false),
            Field::new("is_current", DataType::Boolean, false),
            integer("kind", false),
            integer("op", false),
            integer("municipality", false),
            integer("birth_month", true),
            integer("sex", true),
            integer("benefit", true),
            integer("from_day", true),
            integer("to_day", true),
            integer("minutes", true),
            integer("amount_oere", true),
            integer("refund_oere", true),
            Field::new("detail", DataType::Utf8, true),
            Field::new("passed", DataType::Boolean, true),
            Field::new("school", DataType::Utf8, true),
        ]))
    });
    SCHEMA.clone()
}

/// Days since 1970 of a date.
pub fn day_of(date: NaiveDate) -> i64 {
    i64::from(date.num_days_from_ce()) - 719_163
}

/// Prepares rows of the log (schema [`rettidig_event::person::schema`], sorted by person, no identity twice).
///
/// # Errors
/// Only if the rows have not that schema, which is a bug.
pub fn prepare(rows: &RecordBatch) -> Result<Histories, ModelError> {
    let fail = |error| ModelError::evaluation(EVENT_PERSON, error);
    let column = |name: &str| -> Result<&ArrayRef, ModelError> {
        rows.column_by_name(name).ok_or_else(|| ModelError::Contract {
            model: EVENT_PERSON.to_owned(),
            message: format!("no column {name}"),
        })
    };
    let person = column("person")?.as_fixed_size_binary();
    let recorded = column("recorded_at")?.as_primitive::<TimestampMicrosecondType>();
    let topic = column("topic")?.as_primitive::<Int32Type>();
    let op = column("op")?.as_primitive::<Int32Type>();
    let (source, id) = (column("source")?.as_string::<i32>(), column("id")?.as_string::<i32>());
    let revision = column("revision")?.as_primitive::<Int64Type>();

    let count = rows.num_rows();
    let mut persons: Vec<PersonId> = Vec::new();
    let (mut number, mut rank, mut is_current) = (vec![0_i64; count], vec![0_i64; count], vec![true; count]);
    let mut order: Vec<usize> = Vec::new();
    let mut newest: HashMap<(i32, &str, &str), i64> = HashMap::new();
    let mut first = 0;
    while first < count {
        let bytes = person.value(first);
        let end = (first..count).find(|row| person.value(*row) != bytes).unwrap_or(count);
        order.clear();
        order.extend(first..end);
        let place = |row: usize| (recorded.value(row), source.value(row), id.value(row), revision.value(row));
        // Stable: where all of it is the same, the topic decides, by which the rows come sorted.
        order.sort_by(|a, b| {
            recorded.value(*a).cmp(&recorded.value(*b)).then_with(|| place(*a).cmp(&place(*b)))
        });
        for (place, row) in order.iter().zip(0_i64..) {
            rank[*place] = row;
            number[*place] = i64::try_from(persons.len()).unwrap_or(i64::MAX);
        }
        let records = || (first..end).filter(|row| op.value(*row) != 0);
        newest.clear();
        for row in records() {
            let known =
                newest.entry((topic.value(row), source.value(row), id.value(row))).or_insert(i64::MIN);
            *known = (*known).max(revision.value(row));
        }
        for row in records() {
            let known = newest.get(&(topic.value(row), source.value(row), id.value(row)));
            is_current[row] = known == Some(&revision.value(row));
        }
        let mut id = PersonId::default();
        id.copy_from_slice(bytes);
        persons.push(id);
        first = end;
    }
    let long = |name: &str| -> Result<ArrayRef, ModelError> {
        let days = column(name)?;
        let numbers = match days.data_type() {
            DataType::Date32 => cast(days, &DataType::Int32).map_err(fail)?,
            _ => Arc::clone(days),
        };
        cast(&numbers, &DataType::Int64).map_err(fail)
    };
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from(number)),
        Arc::new(Int64Array::from(rank)),
        Arc::new(BooleanArray::from(is_current)),
        long("kind")?,
        long("op")?,
        long("municipality")?,
        long("birth_month")?,
        long("sex")?,
        long("benefit")?,
        long("from_day")?,
        long("to_day")?,
        long("minutes")?,
        long("amount_oere")?,
        long("refund_oere")?,
        Arc::clone(column("detail")?),
        Arc::clone(column("passed")?),
        Arc::clone(column("school")?),
    ];
    let rows = RecordBatch::try_new(schema(), columns).map_err(fail)?;
    Ok(Histories { rows, persons })
}

impl Parameters {
    /// The parameters as tables, by the names that SQL reads them by.
    fn tables(&self) -> Result<[(&'static str, RecordBatch); 2], ModelError> {
        let fail = |error| ModelError::evaluation(INCOME_DELIVERED, error);
        let integers = |values: Vec<i64>| -> ArrayRef { Arc::new(Int64Array::from(values)) };
        let codes = self.income_delivered.keys().map(|code| i64::from(*code)).collect();
        let months = self.income_delivered.values().map(|month| i64::from(*month)).collect();
        let delivered = RecordBatch::try_from_iter([
            ("municipality", integers(codes)),
            ("newest_month", integers(months)),
        ]);
        Ok([(AS_OF, day(self.as_of)?), (INCOME_DELIVERED, delivered.map_err(fail)?)])
    }
}

/// The table [`AS_OF`] of a day.
pub(crate) fn day(as_of: NaiveDate) -> Result<RecordBatch, ModelError> {
    let day: ArrayRef = Arc::new(Int64Array::from(vec![day_of(as_of)]));
    RecordBatch::try_from_iter([("as_of_day", day)]).map_err(|error| ModelError::evaluation(AS_OF, error))
}

impl Model {
    /// The models that are not about published figures, in the order of their evaluation.
    pub fn of_persons(&self) -> impl Iterator<Item = &SqlModel> {
        self.models.iter().filter(|model| model.domain != Domain::Official)
    }

    /// The measures that are added up over persons.
    pub fn additive(&self) -> impl Iterator<Item = &SqlModel> {
        let models = self.models.iter().filter(|model| model.domain == Domain::Person);
        models.filter(|model| model.header.layer == Layer::Additive && !model.header.derived)
    }

    /// The measures that are made anew from cells.
    pub fn derived(&self) -> impl Iterator<Item = &SqlModel> {
        self.of_persons().filter(|model| model.header.layer == Layer::Additive && model.header.derived)
    }

    /// Evaluates the persons whose whole histories are given.
    ///
    /// # Errors
    /// [`ModelError::Evaluation`] if SQL fails, [`ModelError::Contract`] if a result has not the columns that its layer
    /// promises.
    pub async fn evaluate_persons(
        &self,
        histories: &Histories,
        with: &Parameters,
    ) -> Result<PersonResult, ModelError> {
        let session = Session::single();
        session.register(EVENT_PERSON, histories.rows.clone())?;
        self.register_inputs(&session, with)?;
        let mut result = PersonResult { cells: Cells::new(), next: Vec::new() };
        for model in
            self.of_persons().filter(|model| !model.header.derived && model.header.layer < Layer::Published)
        {
            let batch = session.run(model).await?;
            if model.header.layer == Layer::Additive {
                if model.domain == Domain::Reference {
                    continue;
                }
                result.cells.insert(model.name.clone(), checked(model, batch)?);
                continue;
            }
            if model.name == NEXT_CHANGES {
                result.next = next_changes(&batch, &histories.persons);
            }
            session.register(&model.name, batch)?;
        }
        Ok(result)
    }

    /// Makes the derived measures from all cells.
    ///
    /// # Errors
    /// As [`Model::evaluate_persons`].
    pub async fn derive(&self, cells: &Cells, with: &Parameters) -> Result<Cells, ModelError> {
        self.derive_some(cells, with, &local_months(with.as_of).collect(), None).await
    }

    /// As [`Model::derive`], of those only that indicators are made of, and of what is made by area only some months;
    /// `cells` may hold nothing but totals and [`Model::published_breakdowns`].
    ///
    /// # Errors
    /// As [`Model::evaluate_persons`].
    pub async fn derive_published(
        &self,
        cells: &Cells,
        with: &Parameters,
        months: &BTreeSet<i64>,
    ) -> Result<Cells, ModelError> {
        let needed = self.published_inputs().into_iter().map(str::to_owned).collect();
        self.derive_some(cells, with, months, Some(needed)).await
    }

    /// The months in which indicators of persons change with some cells of the day `as_of`: those of the cells, and of what
    /// adds up over the months all later ones.
    pub fn months_changed(&self, changed: &Cells, as_of: NaiveDate) -> BTreeSet<i64> {
        let shown = local_months(as_of);
        let mut months = BTreeSet::new();
        for model in self.additive() {
            let column = changed.get(&model.name).and_then(|rows| rows.column_by_name("month"));
            let Some(column) = column.and_then(|column| column.as_primitive_opt::<Int64Type>()) else {
                continue;
            };
            if model.header.accumulates {
                let first = column.values().iter().min().copied();
                months.extend(first.into_iter().flat_map(|first| first.max(*shown.start())..=*shown.end()));
            } else {
                months.extend(column.values().iter().filter(|month| shown.contains(month)));
            }
        }
        months
    }

    /// Measures that the indicators of persons are made of, directly or not.
    pub fn published_inputs(&self) -> BTreeSet<&str> {
        let mut needed: BTreeSet<&str> = BTreeSet::new();
        for model in self.of_persons().collect::<Vec<_>>().into_iter().rev() {
            let is_read = needed.contains(model.name.as_str());
            if model.header.layer == Layer::Published || (is_read && model.header.layer == Layer::Additive) {
                needed.extend(model.reads.iter().map(String::as_str));
            }
        }
        needed
    }

    /// Of [`Model::published_inputs`] those whose breakdowns are shown, too.
    pub fn published_breakdowns(&self) -> BTreeSet<&str> {
        let needed = self.published_inputs();
        let readers =
            self.derived().filter(|model| model.header.breakdowns && needed.contains(model.name.as_str()));
        readers.flat_map(|model| &model.reads).map(String::as_str).collect()
    }

    async fn derive_some(
        &self,
        cells: &Cells,
        with: &Parameters,
        months: &BTreeSet<i64>,
        needed: Option<BTreeSet<String>>,
    ) -> Result<Cells, ModelError> {
        let session = Session::default();
        self.register_inputs(&session, with)?;
        session.register(MONTH_AREAS, self.membership()?.in_months(months)?)?;
        for (name, batch) in cells {
            session.register(name, batch.clone())?;
        }
        let mut derived = Cells::new();
        let is_wanted = |name: &str| needed.as_ref().is_none_or(|needed| needed.contains(name));
        let models = self.derived().filter(|model| is_wanted(&model.name));
        let done = |model: &SqlModel, rows: RecordBatch| {
            derived.insert(model.name.clone(), rows.clone());
            session.register(&model.name, rows)
        };
        session.run_all(models, checked, done).await?;
        Ok(derived)
    }

    /// Empty cells of every additive measure.
    ///
    /// # Errors
    /// As [`Model::evaluate_persons`].
    pub async fn empty_cells(&self) -> Result<Cells, ModelError> {
        if let Some(cells) = self.empty_cells.get() {
            return Ok(cells.clone());
        }
        let histories = Histories { rows: RecordBatch::new_empty(schema()), persons: Vec::new() };
        let with = Parameters { as_of: NaiveDate::default(), income_delivered: BTreeMap::new() };
        let cells = self.evaluate_persons(&histories, &with).await?.cells;
        Ok(self.empty_cells.get_or_init(|| cells).clone())
    }

    /// What the models of persons read beside the events, by name: parameters and reference tables.
    ///
    /// # Errors
    /// Only if Arrow fails, which is a bug.
    pub fn inputs(&self, with: &Parameters) -> Result<BTreeMap<String, RecordBatch>, ModelError> {
        let parameters = with.tables()?.map(|(name, rows)| (name.to_owned(), rows));
        let reference =
            self.reference.iter().map(|(name, rows)| (format!("{REFERENCE}{name}"), rows.clone()));
        Ok(parameters.into_iter().chain(reference).collect())
    }

    fn register_inputs(&self, session: &Session, with: &Parameters) -> Result<(), ModelError> {
        self.inputs(with)?.into_iter().try_for_each(|(name, rows)| session.register(&name, rows))
    }
}

/// Brings the columns of a measure into order, grain first, and refuses anything but Int64 and text in the grain and
/// Int64 beside it.
///
/// # Errors
/// [`ModelError::Contract`] if it is not so.
pub fn checked(model: &SqlModel, batch: RecordBatch) -> Result<RecordBatch, ModelError> {
    let contract = |message: String| ModelError::Contract { model: model.path.clone(), message };
    let schema = batch.schema();
    let grain = &model.header.grain;
    let mut places = Vec::with_capacity(schema.fields().len());
    for name in grain {
        let place = schema.index_of(name).map_err(|_| contract(format!("grain column {name} is missing")))?;
        if !matches!(schema.field(place).data_type(), DataType::Int64 | DataType::Utf8) {
            return Err(contract(format!("grain column {name}: expected Int64 or Utf8")));
        }
        places.push(place);
    }
    for (place, field) in
        schema.fields().iter().enumerate().filter(|(place, _)| !places.contains(place)).collect::<Vec<_>>()
    {
        if field.data_type() != &DataType::Int64 {
            return Err(contract(format!(
                "column {}: expected Int64, got {}",
                field.name(),
                field.data_type()
            )));
        }
        places.push(place);
    }
    batch.project(&places).map_err(|error| ModelError::evaluation(&model.name, error))
}

fn next_changes(batch: &RecordBatch, persons: &[PersonId]) -> Vec<(PersonId, NextChange)> {
    let column =
        |name: &str| batch.column_by_name(name).and_then(|column| column.as_primitive_opt::<Int64Type>());
    let (Some(person), Some(wake), Some(awaited)) =
        (column("person"), column("wake_day"), column("awaited_month"))
    else {
        return Vec::new();
    };
    let value = |column: &Int64Array, row: usize| {
        column.is_valid(row).then(|| i32::try_from(column.value(row)).unwrap_or(i32::MAX))
    };
    (0..batch.num_rows())
        .filter_map(|row| {
            let person = persons.get(usize::try_from(person.value(row)).ok()?)?;
            Some((*person, NextChange { wake_day: value(wake, row), awaited_month: value(awaited, row) }))
        })
        .collect()
}

/// Rows of the log in order, told apart by identity.
#[derive(Debug)]
pub struct Unique {
    /// Rows to keep, by person; of an identity that came more than once, the first.
    pub order: Vec<u32>,
    /// Rows dropped because their identity was there with the same content.
    pub duplicates: Vec<u32>,
    /// Rows dropped because their identity was there with other content.
    pub conflicts: Vec<u32>,
}

/// Orders rows of the log, which come in the order of their arrival, by person and identity. Identity is (topic, source,
/// id) and, of records, the revision.
pub fn unique(rows: &RecordBatch) -> Unique {
    let person = rows.column(0).as_fixed_size_binary();
    let (topic, op) =
        (rows.column(1).as_primitive::<Int32Type>(), rows.column(4).as_primitive::<Int32Type>());
    let (source, id) = (rows.column(2).as_string::<i32>(), rows.column(3).as_string::<i32>());
    let revision = rows.column(5).as_primitive::<Int64Type>();
    let key = |row: usize| {
        let mut id = PersonId::default();
        id.copy_from_slice(person.value(row));
        u128::from_be_bytes(id)
    };
    // Stable sorts are quick where most is sorted already, as a stored history is; the first of an identity stays first.
    let mut arrivals: Vec<(u128, u32)> =
        (0..rows.num_rows()).zip(0_u32..).map(|(row, number)| (key(row), number)).collect();
    arrivals.sort_by_key(|(person, _)| *person);
    let identity = |row: usize| {
        (topic.value(row), source.value(row), id.value(row), op.value(row) != 0, revision.value(row))
    };
    let mut unique =
        Unique { order: Vec::with_capacity(arrivals.len()), duplicates: Vec::new(), conflicts: Vec::new() };
    for of_person in arrivals.chunk_by_mut(|(a, _), (b, _)| a == b) {
        of_person.sort_by(|(_, a), (_, b)| identity(*a as usize).cmp(&identity(*b as usize)));
        let mut first = None;
        for (_, row) in of_person {
            match first.filter(|first| identity(*first) == identity(*row as usize)) {
                Some(first) => {
                    let dropped = match same_content(rows, first, *row as usize) {
                        true => &mut unique.duplicates,
                        false => &mut unique.conflicts,
                    };
                    dropped.push(*row);
                }
                None => {
                    unique.order.push(*row);
                    first = Some(*row as usize);
                }
            }
        }
    }
    unique
}

/// Whether two rows say the same; where they stood on the topic does not matter.
fn same_content(rows: &RecordBatch, a: usize, b: usize) -> bool {
    let schema = rows.schema();
    let fields = schema.fields().iter().zip(rows.columns());
    fields
        .filter(|(field, _)| !matches!(field.name().as_str(), "topic_partition" | "topic_offset"))
        .all(|(_, column)| column.slice(a, 1) == column.slice(b, 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_measure_can_be_planned_and_gives_nothing_for_nobody() {
        let model = Model::embedded().unwrap_or_else(|error| panic!("{error}"));
        let cells = model.empty_cells().await.unwrap_or_else(|error| panic!("{error:?}"));
        assert_eq!(cells.len(), model.additive().count());
        assert!(cells.values().all(|batch| batch.num_rows() == 0));
        let with = Parameters { as_of: NaiveDate::default(), income_delivered: BTreeMap::new() };
        let derived = model.derive(&cells, &with).await.unwrap_or_else(|error| panic!("{error:?}"));
        assert_eq!(derived.len(), model.derived().count());
    }
}
