//! The two evaluations: events of some groups → their disclosed vintages; all vintages → published tables.
//!
//! The unit of change of official figures is the *group*: one publisher and one reference period. A batch of
//! events names the groups it touches; [`Model::evaluate_groups`] computes those groups from all their events,
//! and the result replaces what was there. Since every group is computed from its events alone, evaluating
//! group by group, all at once, or again from the log gives the same rows. [`Model::evaluate_tables`] then
//! makes the published tables from the disclosed vintages of all groups.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Date32Array, Int64Array, Int64Builder, RecordBatch, StringArray,
    StringBuilder, TimestampMicrosecondArray, UInt32Array,
};
use arrow::compute::{filter_record_batch, take_record_batch};
use arrow::datatypes::{
    DataType, Date32Type, Field, Int64Type, Schema, SchemaRef, TimeUnit, TimestampMicrosecondType,
};
use arrow::row::{RowConverter, SortField};
use chrono::{DateTime, NaiveDate, Utc};
use rettidig_event::{aside, delivery, official};

use crate::catalogue::{
    AS_OF, COMPLETENESS, COMPLETENESS_COLUMNS, DISCLOSED, Domain, EVALUATION, EVENT_DELIVERIES,
    EVENT_OFFICIAL, EVENT_PUT_ASIDE, INDICATOR_CATALOGUE, LOCAL_DISCLOSED, Layer, Model, REFERENCE, SqlModel,
};
use crate::contract::{Table, tables};
use crate::disclosure::{
    CellKey, Change, Content, HIDDEN_BELOW, Member, Membership, Status, Structure, Vintage, disclose,
};
use crate::error::ModelError;
use crate::persons::day;
use crate::session::Session;

/// Publisher and published form of the reference period.
pub type GroupKey = (String, String);

/// How many figures of a source a group holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FigureCounts {
    /// Figures.
    pub first: i64,
    /// Times that a figure became known with another content.
    pub revised: i64,
}

/// What the evaluation of some groups gives.
#[derive(Debug, Default)]
pub struct Groups {
    /// Disclosed vintages, rows of [`disclosed_schema`] without `epoch`.
    pub vintages: BTreeMap<GroupKey, RecordBatch>,
    /// Results of the public models, by model and group.
    pub public: BTreeMap<String, BTreeMap<GroupKey, RecordBatch>>,
    /// Groups whose figures are the ones known before; they have no entry in `vintages` and `figures`.
    pub unchanged: BTreeSet<GroupKey>,
    /// Digest of the figures of each group.
    pub digests: BTreeMap<GroupKey, u128>,
    /// Figures and revisions by group and source (`<publisher>-<table>`).
    pub figures: BTreeMap<GroupKey, BTreeMap<String, FigureCounts>>,
}

/// What the published tables are made of.
#[derive(Debug)]
pub struct TableInputs {
    /// Disclosed vintages of all groups, rows of [`disclosed_schema`].
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

fn instant() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// Schema of disclosed vintages: one row per cell and instant at which what is published of it changed.
pub fn disclosed_schema(with_epoch: bool) -> SchemaRef {
    let mut fields = vec![
        Field::new("indicator", DataType::Utf8, false),
        Field::new("area_kind", DataType::Utf8, false),
        Field::new("area", DataType::Utf8, false),
        Field::new("benefit", DataType::Utf8, false),
        Field::new("period", DataType::Utf8, false),
        Field::new("period_end", DataType::Date32, false),
        Field::new("breakdown", DataType::Utf8, false),
        Field::new("breakdown_value", DataType::Utf8, false),
        Field::new("known_at", instant(), false),
        Field::new("known_to", instant(), true),
        Field::new("value_micro", DataType::Int64, true),
        Field::new("numerator", DataType::Int64, true),
        Field::new("denominator", DataType::Int64, true),
        Field::new("status", DataType::Utf8, false),
        Field::new("old_value_micro", DataType::Int64, true),
        Field::new("old_known_at", instant(), true),
    ];
    if with_epoch {
        fields.push(Field::new("epoch", DataType::Int64, false));
    }
    Arc::new(Schema::new(fields))
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
    /// Evaluates the groups that `official` holds all events of, and `put_aside` what could not be used of them. A group whose figures have the digest in `known`
    /// is not evaluated further: what is made of the same figures is the same.
    ///
    /// # Errors
    /// [`ModelError::Evaluation`] if SQL fails; [`ModelError::Contract`] if a result has not the columns that
    /// its layer promises.
    pub async fn evaluate_groups(
        &self,
        official: RecordBatch,
        put_aside: RecordBatch,
        known: &BTreeMap<GroupKey, u128>,
    ) -> Result<Groups, ModelError> {
        if official.num_rows() + put_aside.num_rows() == 0 {
            return Ok(Groups::default());
        }
        let session = Session::default();
        session.register(EVENT_OFFICIAL, official)?;
        session.register(EVENT_PUT_ASIDE, put_aside)?;
        session.register(EVENT_DELIVERIES, RecordBatch::new_empty(delivery::schema()))?;
        for (name, batch) in &self.reference {
            session.register(&format!("{REFERENCE}{name}"), batch.clone())?;
        }
        let mut groups = Groups::default();
        let mut changes: BTreeMap<(GroupKey, i32), Vec<Change>> = BTreeMap::new();
        let models = self.models.iter().filter(|model| model.domain != Domain::Person);
        for model in models.filter(|model| model.header.layer < Layer::Table) {
            let mut batch = session.query(&model.name, &model.sql).await?;
            if model.name == "official_figures" {
                groups.digests = digests(model, &batch)?;
                let same = |(group, digest): &(&GroupKey, &u128)| known.get(*group) == Some(*digest);
                groups.unchanged =
                    groups.digests.iter().filter(same).map(|(group, _)| group.clone()).collect();
                batch = without(model, &batch, &groups.unchanged)?;
                count_figures(model, &batch, &mut groups.figures)?;
            }
            if model.header.layer == Layer::Published {
                read_changes(model, &batch, &mut changes)?;
            }
            if model.header.public && model.header.layer == Layer::Local {
                let parts = split(model, &batch)?;
                groups.public.insert(model.name.clone(), parts);
            }
            session.register(&model.name, batch)?;
        }
        let structures = self.structures();
        let membership = self.membership()?;
        for ((group, period_end), changes) in changes {
            let end = date(period_end);
            let vintages = disclose(changes, end, &structures, &membership, HIDDEN_BELOW);
            let batch = vintages_batch(&group, period_end, &vintages)?;
            groups.vintages.insert(group, batch);
        }
        Ok(groups)
    }

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
        let made = self.layer(Layer::Table).filter(|model| !inputs.kept.contains_key(model.name.as_str()));
        let needed: BTreeSet<&str> = made.flat_map(|model| &model.reads).map(String::as_str).collect();
        let mut tables = BTreeMap::new();
        for model in self.models.iter().filter(|model| model.domain != Domain::Person) {
            match model.header.layer {
                Layer::Staging if model.header.public && needed.contains(model.name.as_str()) => {
                    session.register(&model.name, session.query(&model.name, &model.sql).await?)?;
                }
                Layer::Table if !model.is_monthly() => {
                    let table = contract(model)?;
                    let batch = match inputs.kept.get(table.name) {
                        Some(kept) => kept.clone(),
                        None => {
                            let batch = session.query(&model.name, &model.sql).await?;
                            sorted(table, table.conform(&batch)?)?
                        }
                    };
                    tables.insert(table.name, batch.clone());
                    session.register(&model.name, batch)?;
                }
                _ => {}
            }
        }
        let is_made = |table: &&Table| self.models.iter().any(|model| model.name == table.name);
        match tables().find(|table| !is_made(table)) {
            Some(table) => Err(ModelError::Contract {
                model: table.name.to_owned(),
                message: "a contract is declared but no SQL file makes it".to_owned(),
            }),
            None => Ok(tables),
        }
    }

    /// Makes the rows that some months have in the tables of persons (see [`SqlModel::is_monthly`]), sorted by their grain.
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
        for model in self.layer(Layer::Table).filter(|model| model.is_monthly()) {
            let table = contract(model)?;
            let batch = session.query(&model.name, &model.sql).await?;
            tables.insert(table.name, sorted(table, table.conform(&batch)?)?);
        }
        Ok(tables)
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

    /// An empty result of a public local model, for a start without events.
    ///
    /// # Errors
    /// As [`Model::evaluate_groups`].
    pub async fn empty_public(&self) -> Result<BTreeMap<String, RecordBatch>, ModelError> {
        if let Some(empty) = self.empty_public.get() {
            return Ok(empty.clone());
        }
        let session = Session::default();
        session.register(EVENT_OFFICIAL, RecordBatch::new_empty(official::schema()))?;
        session.register(EVENT_PUT_ASIDE, RecordBatch::new_empty(aside::schema()))?;
        session.register(EVENT_DELIVERIES, RecordBatch::new_empty(delivery::schema()))?;
        let mut empty = BTreeMap::new();
        let models = self.models.iter().filter(|model| model.domain == Domain::Official);
        for model in models.filter(|model| model.header.layer <= Layer::Local) {
            let batch = session.query(&model.name, &model.sql).await?;
            if model.header.public && model.header.layer == Layer::Local {
                empty.insert(model.name.clone(), batch.clone());
            }
            session.register(&model.name, batch)?;
        }
        Ok(self.empty_public.get_or_init(|| empty).clone())
    }

    pub(crate) fn structures(&self) -> BTreeMap<String, Structure> {
        self.layer(Layer::Published)
            .map(|model| {
                let structure = Structure {
                    areas_add_up: model.header.areas_add_up,
                    adds_over: model.header.adds_over,
                    counts: model.header.counts.clone(),
                };
                (model.name.clone(), structure)
            })
            .collect()
    }

    pub(crate) fn membership(&self) -> Result<Membership, ModelError> {
        let areas = self.reference.get("areas").ok_or_else(|| ModelError::Contract {
            model: "areas".to_owned(),
            message: "the reference table areas.csv is missing".to_owned(),
        })?;
        let columns = Columns { model: "areas", batch: areas };
        let municipality = columns.text("municipality")?;
        let (from, to) = (columns.dates("valid_from")?, columns.dates("valid_to")?);
        let mut members = Vec::new();
        for kind in ["jobcentre", "cluster", "region"] {
            let area = columns.text(kind)?;
            for row in 0..areas.num_rows() {
                members.push(Member {
                    area_kind: kind.to_owned(),
                    area: area.value(row).to_owned(),
                    municipality: municipality.value(row).to_owned(),
                    valid_from: date(from.value(row)),
                    valid_to: to.is_valid(row).then(|| date(to.value(row))),
                });
            }
        }
        Ok(Membership::new(members))
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

/// A date from Arrow's count of days.
pub(crate) fn date(days: i32) -> NaiveDate {
    NaiveDate::from_num_days_from_ce_opt(days + 719_163).unwrap_or(NaiveDate::MAX)
}

fn evaluation(as_of: NaiveDate, evaluated_at: DateTime<Utc>) -> Result<RecordBatch, ModelError> {
    use chrono::Datelike;
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

/// Typed access to the columns of a SQL result.
struct Columns<'a> {
    model: &'a str,
    batch: &'a RecordBatch,
}

impl<'a> Columns<'a> {
    fn find(&self, name: &str, wanted: &DataType) -> Result<&'a ArrayRef, ModelError> {
        let column = self.batch.column_by_name(name);
        column.filter(|column| column.data_type() == wanted).ok_or_else(|| ModelError::Contract {
            model: self.model.to_owned(),
            message: format!(
                "expected a column {name} of type {wanted}, got {:?}",
                column.map(|c| c.data_type())
            ),
        })
    }

    fn text(&self, name: &str) -> Result<&'a StringArray, ModelError> {
        Ok(self.find(name, &DataType::Utf8)?.as_string())
    }

    fn integers(&self, name: &str) -> Result<&'a Int64Array, ModelError> {
        Ok(self.find(name, &DataType::Int64)?.as_primitive::<Int64Type>())
    }

    fn dates(&self, name: &str) -> Result<&'a Date32Array, ModelError> {
        Ok(self.find(name, &DataType::Date32)?.as_primitive::<Date32Type>())
    }

    fn instants(&self, name: &str) -> Result<&'a TimestampMicrosecondArray, ModelError> {
        Ok(self.find(name, &instant())?.as_primitive::<TimestampMicrosecondType>())
    }

    fn booleans(&self, name: &str) -> Result<&'a BooleanArray, ModelError> {
        Ok(self.find(name, &DataType::Boolean)?.as_boolean())
    }
}

fn count_figures(
    model: &SqlModel,
    batch: &RecordBatch,
    counts: &mut BTreeMap<GroupKey, BTreeMap<String, FigureCounts>>,
) -> Result<(), ModelError> {
    let columns = Columns { model: &model.name, batch };
    let (publisher, table) = (columns.text("publisher")?, columns.text("table_id")?);
    let (period, is_first) = (columns.text("period")?, columns.booleans("is_first")?);
    for row in 0..batch.num_rows() {
        let group = (publisher.value(row).to_owned(), period.value(row).to_owned());
        let source = format!("{}-{}", publisher.value(row), table.value(row));
        let count = counts.entry(group).or_default().entry(source).or_default();
        if is_first.value(row) {
            count.first += 1;
        } else {
            count.revised += 1;
        }
    }
    Ok(())
}

fn read_changes(
    model: &SqlModel,
    batch: &RecordBatch,
    changes: &mut BTreeMap<(GroupKey, i32), Vec<Change>>,
) -> Result<(), ModelError> {
    let columns = Columns { model: &model.name, batch };
    let feeds = model.header.feeds.as_deref().unwrap_or_default();
    let publisher = feeds.split('-').next().unwrap_or_default();
    let (area_kind, area, benefit) =
        (columns.text("area_kind")?, columns.text("area")?, columns.text("benefit")?);
    let (period, period_end) = (columns.text("period")?, columns.dates("period_end")?);
    let (breakdown, breakdown_value) = (columns.text("breakdown")?, columns.text("breakdown_value")?);
    let (known_at, status) = (columns.instants("known_at")?, columns.text("status")?);
    let (value, persons) = (columns.integers("value_micro")?, columns.integers("persons")?);
    let (numerator, denominator) = (columns.integers("numerator")?, columns.integers("denominator")?);
    let optional = |column: &Int64Array, row: usize| column.is_valid(row).then(|| column.value(row));
    for row in 0..batch.num_rows() {
        let code = status.value(row);
        let content = Content {
            value_micro: optional(value, row),
            numerator: optional(numerator, row),
            denominator: optional(denominator, row),
            persons: optional(persons, row),
            status: Status::from_code(code).ok_or_else(|| ModelError::Contract {
                model: model.name.clone(),
                message: format!("unknown status {code}"),
            })?,
        };
        let key = CellKey {
            indicator: model.name.clone(),
            area_kind: area_kind.value(row).to_owned(),
            area: area.value(row).to_owned(),
            benefit: benefit.value(row).to_owned(),
            breakdown: breakdown.value(row).to_owned(),
            breakdown_value: breakdown_value.value(row).to_owned(),
        };
        let group = (publisher.to_owned(), period.value(row).to_owned());
        let change = Change { key, known_at: known_at.value(row), content };
        changes.entry((group, period_end.value(row))).or_default().push(change);
    }
    Ok(())
}

/// An order-free digest of each group's rows.
fn digests(model: &SqlModel, batch: &RecordBatch) -> Result<BTreeMap<GroupKey, u128>, ModelError> {
    let fail = |error: arrow::error::ArrowError| ModelError::evaluation(&model.name, error);
    let fields = batch.columns().iter().map(|column| SortField::new(column.data_type().clone())).collect();
    let rows = RowConverter::new(fields).and_then(|converter| converter.convert_columns(batch.columns()));
    let rows = rows.map_err(fail)?;
    let columns = Columns { model: &model.name, batch };
    let (publisher, period) = (columns.text("publisher")?, columns.text("period")?);
    let mut digests: HashMap<(&str, &str), u128> = HashMap::new();
    for row in 0..batch.num_rows() {
        let half = |salt: u8| {
            let mut hasher = DefaultHasher::new();
            (salt, rows.row(row).data()).hash(&mut hasher);
            u128::from(hasher.finish())
        };
        let digest = digests.entry((publisher.value(row), period.value(row))).or_default();
        *digest = digest.wrapping_add((half(0) << 64) | half(1));
    }
    let owned = digests
        .into_iter()
        .map(|((publisher, period), digest)| ((publisher.to_owned(), period.to_owned()), digest));
    Ok(owned.collect())
}

/// The rows of all groups but these.
fn without(
    model: &SqlModel,
    batch: &RecordBatch,
    groups: &BTreeSet<GroupKey>,
) -> Result<RecordBatch, ModelError> {
    if groups.is_empty() {
        return Ok(batch.clone());
    }
    let columns = Columns { model: &model.name, batch };
    let (publisher, period) = (columns.text("publisher")?, columns.text("period")?);
    let groups: HashSet<(&str, &str)> = groups.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    let keep: BooleanArray = (0..batch.num_rows())
        .map(|row| Some(!groups.contains(&(publisher.value(row), period.value(row)))))
        .collect();
    filter_record_batch(batch, &keep).map_err(|error| ModelError::evaluation(&model.name, error))
}

/// Cuts a result by publisher and period.
fn split(model: &SqlModel, batch: &RecordBatch) -> Result<BTreeMap<GroupKey, RecordBatch>, ModelError> {
    let columns = Columns { model: &model.name, batch };
    let (publisher, period) = (columns.text("publisher")?, columns.text("period")?);
    let mut places: HashMap<(&str, &str), Vec<u32>> = HashMap::new();
    for (row, number) in (0..batch.num_rows()).zip(0_u32..) {
        places.entry((publisher.value(row), period.value(row))).or_default().push(number);
    }
    places
        .into_iter()
        .map(|((publisher, period), rows)| {
            let part = take_record_batch(batch, &UInt32Array::from(rows))
                .map_err(|error| ModelError::evaluation(&model.name, error))?;
            Ok(((publisher.to_owned(), period.to_owned()), part))
        })
        .collect()
}

fn vintages_batch(
    (_, period): &GroupKey,
    period_end: i32,
    vintages: &[Vintage],
) -> Result<RecordBatch, ModelError> {
    let text = |of: fn(&Vintage) -> &str| -> ArrayRef {
        let mut column = StringBuilder::new();
        vintages.iter().for_each(|vintage| column.append_value(of(vintage)));
        Arc::new(column.finish())
    };
    let integer = |of: fn(&Vintage) -> Option<i64>| -> ArrayRef {
        let mut column = Int64Builder::new();
        vintages.iter().for_each(|vintage| column.append_option(of(vintage)));
        Arc::new(column.finish())
    };
    let known = |of: fn(&Vintage) -> Option<i64>| -> ArrayRef {
        let column: TimestampMicrosecondArray = vintages.iter().map(of).collect();
        Arc::new(column.with_timezone("UTC"))
    };
    let rows = vintages.len();
    let columns = vec![
        text(|v| &v.key.indicator),
        text(|v| &v.key.area_kind),
        text(|v| &v.key.area),
        text(|v| &v.key.benefit),
        Arc::new(StringArray::from(vec![period.as_str(); rows])),
        Arc::new(Date32Array::from(vec![period_end; rows])),
        text(|v| &v.key.breakdown),
        text(|v| &v.key.breakdown_value),
        known(|v| Some(v.known_at)),
        known(|v| v.known_to),
        integer(|v| v.content.value_micro),
        integer(|v| v.content.numerator),
        integer(|v| v.content.denominator),
        text(|v| v.content.status.code()),
        integer(|v| v.before.and_then(|(value, _)| value)),
        known(|v| v.before.map(|(_, known_at)| known_at)),
    ];
    RecordBatch::try_new(disclosed_schema(false), columns)
        .map_err(|error| ModelError::evaluation(DISCLOSED, error))
}
