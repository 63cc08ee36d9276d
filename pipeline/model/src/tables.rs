//! The published tables, in three steps.
//!
//! 1. [`Model::evaluate_tables`]: tables of official figures and of the sources, from the disclosed vintages of all groups.
//! 2. [`Model::evaluate_months`]: tables of persons, month by month, because an epoch seldom changes more than the newest.
//! 3. [`Model::evaluate_after_months`]: tables that read tables of persons, and what else of the published tables they need.
//!    They are made of nothing but published tables, reference files and the day, so nothing hidden can get into them.
//!
//! A table is made anew only if something it reads has changed. Each table comes in the form of its contract, sorted by its
//! grain, which is unique.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, RecordBatch, StringArray, TimestampMicrosecondArray, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::{DataType, Field, Schema};
use arrow::row::{RowConverter, SortField};
use chrono::{DateTime, Datelike, NaiveDate, Utc};
use rettidig_event::official;

use crate::catalogue::{
    AS_OF, COMPLETENESS, COMPLETENESS_COLUMNS, DISCLOSED, Domain, EVALUATION, EVENT_DELIVERIES,
    EVENT_OFFICIAL, INDICATOR_CATALOGUE, LOCAL_DISCLOSED, Layer, Making, Model, REFERENCE, SqlModel,
};
use crate::contract::{self, Table};
use crate::error::ModelError;
use crate::evaluation::instant;
use crate::persons::day;
use crate::session::Session;

/// What the published tables are made of.
#[derive(Debug)]
pub struct TableInputs {
    /// Disclosed vintages of all groups, rows of [`crate::evaluation::disclosed_schema`].
    pub disclosed: RecordBatch,
    /// Results of the public local models over all groups.
    pub public: BTreeMap<String, RecordBatch>,
    /// Decoded deliveries.
    pub deliveries: RecordBatch,
    /// The as-of date.
    pub as_of: NaiveDate,
    /// The instant of the evaluation.
    pub evaluated_at: DateTime<Utc>,
    /// Tables that are as they were, because nothing that they are made of has changed.
    pub kept: BTreeMap<&'static str, RecordBatch>,
}

/// What has arrived of each month, as [`Model::evaluate_months`] reads it, from the published table `completeness`;
/// nothing if there is no such table yet.
///
/// # Errors
/// If the table has not the columns of its contract.
pub fn arrivals_of(completeness: Option<&RecordBatch>) -> Result<RecordBatch, ModelError> {
    let table = Table::named(COMPLETENESS).ok_or_else(|| ModelError::Contract {
        model: COMPLETENESS.to_owned(),
        message: "no such table is declared".to_owned(),
    })?;
    let batch = completeness.cloned().unwrap_or_else(|| RecordBatch::new_empty(table.schema()));
    let places: Result<Vec<usize>, _> =
        COMPLETENESS_COLUMNS.iter().map(|name| batch.schema().index_of(name)).collect();
    places
        .and_then(|places| batch.project(&places))
        .map_err(|error| ModelError::evaluation(COMPLETENESS, error))
}

impl Model {
    /// Makes the published tables; rows are sorted by their grain.
    ///
    /// # Errors
    /// As [`Model::evaluate_groups`].
    pub async fn evaluate_tables(
        &self,
        inputs: TableInputs,
    ) -> Result<BTreeMap<&'static str, RecordBatch>, ModelError> {
        let session = Session::default();
        session.register(DISCLOSED, inputs.disclosed)?;
        session.register(EVENT_DELIVERIES, inputs.deliveries)?;
        session.register(EVENT_OFFICIAL, RecordBatch::new_empty(official::schema()))?;
        session.register(INDICATOR_CATALOGUE, self.indicator_catalogue()?)?;
        session.register(EVALUATION, evaluation(inputs.as_of, inputs.evaluated_at)?)?;
        session.register(AS_OF, day(inputs.as_of)?)?;
        for (name, batch) in &self.reference {
            session.register(&format!("{REFERENCE}{name}"), batch.clone())?;
        }
        for (name, batch) in inputs.public {
            session.register(&name, batch)?;
        }
        let is_kept = |model: &SqlModel| inputs.kept.contains_key(model.name.as_str());
        let made = self.made(Making::Whole).filter(|model| !is_kept(model));
        let needed: BTreeSet<&str> = made.flat_map(|model| &model.reads).map(String::as_str).collect();
        let mut tables = BTreeMap::new();
        for model in self.made(Making::Whole).filter(|model| is_kept(model)) {
            let table = contract(model)?;
            if let Some(kept) = inputs.kept.get(table.name) {
                session.register(table.name, kept.clone())?;
                tables.insert(table.name, kept.clone());
            }
        }
        let models = self.models.iter().filter(|model| match model.header.layer {
            _ if model.domain == Domain::Person => false,
            Layer::Staging => model.header.public && needed.contains(model.name.as_str()),
            Layer::Table => model.making == Making::Whole && !is_kept(model),
            _ => false,
        });
        let done = |model: &SqlModel, rows: RecordBatch| {
            if model.header.layer == Layer::Table {
                tables.insert(contract(model)?.name, rows.clone());
            }
            session.register(&model.name, rows)
        };
        session.run_all(models, shaped, done).await?;
        let is_made = |table: &&Table| self.models.iter().any(|model| model.name == table.name);
        match contract::tables().find(|table| !is_made(table)) {
            Some(table) => Err(ModelError::Contract {
                model: table.name.to_owned(),
                message: "a contract is declared but no SQL file makes it".to_owned(),
            }),
            None => Ok(tables),
        }
    }

    /// Makes the rows that some months have in the tables of persons (see [`Making::Monthly`]), sorted by their grain.
    /// `shown` are rows of [`crate::local::schema`], `arrived` those of the months in [`arrivals_of`]. A month's rows depend
    /// on that month and the day alone, so it does not matter how many months are made at a time.
    ///
    /// # Errors
    /// As [`Model::evaluate_groups`].
    pub async fn evaluate_months(
        &self,
        shown: RecordBatch,
        arrived: RecordBatch,
        as_of: NaiveDate,
    ) -> Result<BTreeMap<&'static str, RecordBatch>, ModelError> {
        let session = Session::default();
        session.register(LOCAL_DISCLOSED, shown)?;
        session.register(COMPLETENESS, arrived)?;
        session.register(INDICATOR_CATALOGUE, self.indicator_catalogue()?)?;
        // Without the instant: rows that are kept from an earlier epoch could not follow it.
        let day = evaluation(as_of, DateTime::default())?;
        session.register(
            EVALUATION,
            day.project(&[0]).map_err(|error| ModelError::evaluation(EVALUATION, error))?,
        )?;
        for (name, batch) in &self.reference {
            session.register(&format!("{REFERENCE}{name}"), batch.clone())?;
        }
        let mut tables = BTreeMap::new();
        for model in self.made(Making::Monthly) {
            let rows = session.run(model).await?;
            tables.insert(contract(model)?.name, shaped(model, rows)?);
        }
        Ok(tables)
    }

    /// Makes the tables that read tables of persons. `tables` are those of [`Model::evaluate_tables`], `months` those of
    /// [`Model::evaluate_months`], a batch a month in the order of the months.
    ///
    /// # Errors
    /// As [`Model::evaluate_groups`].
    pub async fn evaluate_after_months(
        &self,
        tables: &BTreeMap<&'static str, RecordBatch>,
        months: &BTreeMap<&'static str, Vec<RecordBatch>>,
        as_of: NaiveDate,
        kept: &BTreeMap<&'static str, RecordBatch>,
    ) -> Result<BTreeMap<&'static str, RecordBatch>, ModelError> {
        let is_kept = |model: &&SqlModel| kept.contains_key(model.name.as_str());
        let needed: BTreeSet<&str> = self
            .made(Making::AfterMonths)
            .filter(|model| !is_kept(model))
            .flat_map(|model| &model.reads)
            .map(String::as_str)
            .collect();
        let mut made = BTreeMap::new();
        // One thread: sums of floats do not depend on how rows are dealt out.
        let session = Session::single();
        for (name, batch) in tables.iter().filter(|(name, _)| needed.contains(*name)) {
            session.register(name, batch.clone())?;
        }
        for (name, parts) in months.iter().filter(|(name, _)| needed.contains(*name)) {
            if let Some(table) = Table::named(name) {
                session.register_parts(name, table.schema(), parts)?;
            }
        }
        for (name, batch) in &self.reference {
            let name = format!("{REFERENCE}{name}");
            if needed.contains(name.as_str()) {
                session.register(&name, batch.clone())?;
            }
        }
        session.register(INDICATOR_CATALOGUE, self.indicator_catalogue()?)?;
        session.register(AS_OF, day(as_of)?)?;
        let mut done = |model: &SqlModel, rows: RecordBatch| {
            let table = contract(model)?;
            made.insert(table.name, rows.clone());
            match needed.contains(table.name) {
                true => session.register(table.name, rows),
                false => Ok(()),
            }
        };
        for model in self.made(Making::AfterMonths) {
            if let Some(kept) = kept.get(model.name.as_str()) {
                done(model, kept.clone())?;
            }
        }
        let models = self.made(Making::AfterMonths).filter(|model| !is_kept(model));
        session.run_all(models, shaped, done).await?;
        Ok(made)
    }

    /// The tables that are made in one way, in the order in which they read each other.
    pub fn made(&self, making: Making) -> impl Iterator<Item = &SqlModel> {
        self.layer(Layer::Table).filter(move |model| model.making == making)
    }

    /// Tables that stay as they were when these inputs have changed: none of them is read by them, directly or not.
    pub fn tables_without(&self, changed: &BTreeSet<&str>) -> BTreeSet<&str> {
        let mut changed: BTreeSet<&str> = changed.clone();
        let mut tables = BTreeSet::new();
        for model in &self.models {
            if model.reads.iter().any(|name| changed.contains(name.as_str())) {
                changed.insert(&model.name);
            } else if model.header.layer == Layer::Table {
                tables.insert(model.name.as_str());
            }
        }
        tables
    }

    /// What the headers of the indicators say, one row each.
    fn indicator_catalogue(&self) -> Result<RecordBatch, ModelError> {
        let texts = |of: fn(&SqlModel) -> String| -> ArrayRef {
            Arc::new(self.layer(Layer::Published).map(|model| Some(of(model))).collect::<StringArray>())
        };
        let columns = vec![
            ("indicator", texts(|model| model.name.clone())),
            ("unit", texts(|model| model.header.unit.clone())),
            ("danish", texts(|model| model.header.danish.clone())),
            ("feeds", texts(|model| model.header.feeds.clone().unwrap_or_default())),
            ("better", texts(|model| format!("{:?}", model.header.better).to_lowercase())),
        ];
        RecordBatch::try_from_iter(columns)
            .map_err(|error| ModelError::evaluation(INDICATOR_CATALOGUE, error))
    }
}

fn evaluation(as_of: NaiveDate, evaluated_at: DateTime<Utc>) -> Result<RecordBatch, ModelError> {
    let schema = Arc::new(Schema::new(vec![
        Field::new("as_of", DataType::Date32, false),
        Field::new("evaluated_at", instant(), false),
    ]));
    let days = as_of.num_days_from_ce() - 719_163;
    let micros = TimestampMicrosecondArray::from(vec![evaluated_at.timestamp_micros()]).with_timezone("UTC");
    RecordBatch::try_new(schema, vec![Arc::new(Date32Array::from(vec![days])), Arc::new(micros)])
        .map_err(|error| ModelError::evaluation(EVALUATION, error))
}

/// What is promised of the table that a model makes.
fn contract(model: &SqlModel) -> Result<&'static Table, ModelError> {
    Table::named(&model.name).ok_or_else(|| ModelError::Contract {
        model: model.name.clone(),
        message: "no contract is declared for this table".to_owned(),
    })
}

/// The rows that a model makes, if they are of a table in its form.
fn shaped(model: &SqlModel, rows: RecordBatch) -> Result<RecordBatch, ModelError> {
    if model.header.layer != Layer::Table {
        return Ok(rows);
    }
    let table = contract(model)?;
    sorted(table, table.conform(&rows)?)
}

/// Sorts a table by its grain and refuses a grain that is not unique.
fn sorted(table: &Table, batch: RecordBatch) -> Result<RecordBatch, ModelError> {
    let fail = |error: arrow::error::ArrowError| ModelError::evaluation(table.name, error);
    let mut grain = Vec::with_capacity(table.grain.len());
    for name in table.grain {
        grain.push(batch.column_by_name(name).cloned().ok_or_else(|| ModelError::Contract {
            model: table.name.to_owned(),
            message: format!("grain column {name} is missing"),
        })?);
    }
    let fields = grain.iter().map(|column| SortField::new(column.data_type().clone())).collect();
    let rows =
        RowConverter::new(fields).and_then(|converter| converter.convert_columns(&grain)).map_err(fail)?;
    let mut order: Vec<u32> = (0..u32::try_from(batch.num_rows()).unwrap_or(u32::MAX)).collect();
    order.sort_unstable_by(|a, b| rows.row(*a as usize).cmp(&rows.row(*b as usize)));
    if order.windows(2).any(|pair| rows.row(pair[0] as usize) == rows.row(pair[1] as usize)) {
        return Err(ModelError::Contract {
            model: table.name.to_owned(),
            message: format!("the grain {} is not unique", table.grain.join(", ")),
        });
    }
    take_record_batch(&batch, &UInt32Array::from(order)).map_err(fail)
}
