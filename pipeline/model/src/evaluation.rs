//! The evaluation of official figures: events of some groups → their disclosed vintages.
//!
//! The unit of change of official figures is the *group*: one publisher and one reference period. A batch of
//! events names the groups it touches; [`Model::evaluate_groups`] computes those groups from all their events,
//! and the result replaces what was there. Since every group is computed from its events alone, evaluating
//! group by group, all at once, or again from the log gives the same rows. The published tables are made of them in
//! [`crate::tables`].

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
use chrono::NaiveDate;
use rettidig_event::{aside, delivery, official};

use crate::catalogue::{
    DISCLOSED, Domain, EVENT_DELIVERIES, EVENT_OFFICIAL, EVENT_PUT_ASIDE, Layer, Model, REFERENCE, SqlModel,
};
use crate::disclosure::{CellKey, Change, Content, HIDDEN_BELOW, Status, Structure, Vintage, disclose};
use crate::error::ModelError;
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

pub(crate) fn instant() -> DataType {
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
            let mut batch = session.run(model).await?;
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
            let batch = session.run(model).await?;
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
}

/// A date from Arrow's count of days.
pub(crate) fn date(days: i32) -> NaiveDate {
    NaiveDate::from_num_days_from_ce_opt(days + 719_163).unwrap_or(NaiveDate::MAX)
}

/// Typed access to the columns of a SQL result.
pub(crate) struct Columns<'a> {
    pub(crate) model: &'a str,
    pub(crate) batch: &'a RecordBatch,
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

    pub(crate) fn text(&self, name: &str) -> Result<&'a StringArray, ModelError> {
        Ok(self.find(name, &DataType::Utf8)?.as_string())
    }

    fn integers(&self, name: &str) -> Result<&'a Int64Array, ModelError> {
        Ok(self.find(name, &DataType::Int64)?.as_primitive::<Int64Type>())
    }

    pub(crate) fn dates(&self, name: &str) -> Result<&'a Date32Array, ModelError> {
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
            indicator: model.name.as_str().into(),
            area_kind: area_kind.value(row).into(),
            area: area.value(row).into(),
            benefit: benefit.value(row).into(),
            breakdown: breakdown.value(row).into(),
            breakdown_value: breakdown_value.value(row).into(),
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
        text(|v| v.key.indicator.as_str()),
        text(|v| v.key.area_kind.as_str()),
        text(|v| v.key.area.as_str()),
        text(|v| v.key.benefit.as_str()),
        Arc::new(StringArray::from(vec![period.as_str(); rows])),
        Arc::new(Date32Array::from(vec![period_end; rows])),
        text(|v| v.key.breakdown.as_str()),
        text(|v| v.key.breakdown_value.as_str()),
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
