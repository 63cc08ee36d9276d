//! From the cells of persons to indicators that may be shown.
//!
//! Official figures carry their own history, so their vintages are made again from events at any time. Figures of our own
//! are known from the epoch that first had them, so here each epoch continues from what the one before showed: the new
//! contents of a month go through disclosure control together with the pattern that was hidden (patterns are sticky), and
//! what differs from what was shown is a new value.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::RangeInclusive;
use std::sync::Arc;

use arrow::array::{
    Array, AsArray, Date32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{
    DataType, Date32Type, Field, Int64Type, Schema, SchemaRef, TimeUnit, TimestampMicrosecondType,
};

use chrono::NaiveDate;
use rayon::prelude::*;
use ustr::Ustr;

use crate::calendar::{month_last, month_of, month_text};
use crate::catalogue::{Domain, Layer, Model, SqlModel};
use crate::disclosure::guard::{Guard, Leak};
use crate::disclosure::{CellKey, Content, HIDDEN_BELOW, Status, advance};
use crate::error::ModelError;
use crate::evaluation::date;
use crate::persons::{Cells, day_of};
use crate::session::Session;

const TOTAL: &str = "total";

/// Months that indicators of persons are shown for: three whole years, which a season is learned from, and the one that runs.
const LOCAL_MONTHS: i64 = 48;

/// The months (since January 1970) that are shown on a day.
pub fn local_months(as_of: NaiveDate) -> RangeInclusive<i64> {
    let newest = month_of(day_of(as_of));
    newest + 1 - LOCAL_MONTHS..=newest
}

/// A value that is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShownValue {
    /// What is shown.
    pub content: Content,
    /// Since when, microseconds since 1970 UTC.
    pub known_at: i64,
    /// The epoch that first showed it.
    pub epoch: i64,
}

/// One month of the indicators.
#[derive(Debug, Clone, Default)]
pub struct LocalMonth {
    /// Digest of the rows before disclosure control; `None` if they are not known, after a restart.
    pub digest: Option<u64>,
    /// What is shown.
    pub shown: BTreeMap<CellKey, ShownValue>,
    /// What the cells would have given away: what is shown is older than they are.
    pub frozen: Option<Leak>,
}

/// Months (since January 1970) with what is shown of them; a month that did not change is shared with the epoch before.
pub type LocalMonths = BTreeMap<i64, Arc<LocalMonth>>;

/// Schema of what is shown: `value_micro` in millionths of the indicator's unit.
pub fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("indicator", DataType::Utf8, false),
        Field::new("area_kind", DataType::Utf8, false),
        Field::new("area", DataType::Utf8, false),
        Field::new("benefit", DataType::Utf8, false),
        Field::new("period", DataType::Utf8, false),
        Field::new("period_end", DataType::Date32, false),
        Field::new("breakdown", DataType::Utf8, false),
        Field::new("breakdown_value", DataType::Utf8, false),
        Field::new("value_micro", DataType::Int64, true),
        Field::new("numerator", DataType::Int64, true),
        Field::new("denominator", DataType::Int64, true),
        Field::new("status", DataType::Utf8, false),
        Field::new("known_at", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), false),
        Field::new("epoch", DataType::Int64, false),
    ]))
}

/// The rows of one indicator.
struct IndicatorRows {
    indicator: String,
    area_kind: StringArray,
    area: StringArray,
    /// Number of the benefit; `None` if the indicator is not by benefit.
    benefit: Option<Int64Array>,
    month: Int64Array,
    /// Breakdown and its value; `None` if the indicator is not divided.
    breakdown: Option<[StringArray; 2]>,
    /// Value in millionths, numerator, denominator, persons.
    values: [Int64Array; 4],
}

/// The rows of all indicators of persons.
struct LocalRows(Vec<IndicatorRows>);

impl IndicatorRows {
    /// Code of the benefit of a row.
    fn benefit(&self, row: usize) -> &'static str {
        let Some(benefit) = &self.benefit else { return TOTAL };
        let code = i32::try_from(benefit.value(row)).ok();
        code.and_then(rettidig_event::benefit::code_of).unwrap_or_default()
    }

    /// Breakdown of a row and its value.
    fn breakdown(&self, row: usize) -> [&str; 2] {
        self.breakdown
            .as_ref()
            .map_or([TOTAL; 2], |columns| columns.each_ref().map(|column| column.value(row)))
    }
}

impl LocalRows {
    /// A digest of each month's rows, whatever their order; 0 for none.
    fn digests(&self) -> BTreeMap<i64, u64> {
        let of_indicator = |rows: &IndicatorRows| {
            let mut digests: BTreeMap<i64, u64> = BTreeMap::new();
            for row in 0..rows.month.len() {
                let mut digest = DefaultHasher::new();
                (&rows.indicator, rows.area_kind.value(row), rows.area.value(row)).hash(&mut digest);
                (rows.benefit(row), rows.breakdown(row)).hash(&mut digest);
                rows.values.each_ref().map(|column| optional(column, row)).hash(&mut digest);
                let sum = digests.entry(rows.month.value(row)).or_default();
                *sum = sum.wrapping_add(digest.finish());
            }
            digests
        };
        let added = |mut sums: BTreeMap<i64, u64>, digests: BTreeMap<i64, u64>| {
            for (month, digest) in digests {
                let sum = sums.entry(month).or_default();
                *sum = sum.wrapping_add(digest);
            }
            sums
        };
        self.0.par_iter().map(of_indicator).reduce(BTreeMap::new, added)
    }

    /// The contents of some months.
    fn contents(&self, months: &BTreeSet<i64>) -> BTreeMap<i64, BTreeMap<CellKey, Content>> {
        let mut contents: BTreeMap<i64, BTreeMap<CellKey, Content>> = BTreeMap::new();
        for rows in &self.0 {
            let indicator = Ustr::from(&rows.indicator);
            for row in (0..rows.month.len()).filter(|row| months.contains(&rows.month.value(*row))) {
                let [breakdown, breakdown_value] = rows.breakdown(row).map(Ustr::from);
                let key = CellKey {
                    indicator,
                    area_kind: rows.area_kind.value(row).into(),
                    area: rows.area.value(row).into(),
                    benefit: rows.benefit(row).into(),
                    breakdown,
                    breakdown_value,
                };
                let [value_micro, numerator, denominator, persons] =
                    rows.values.each_ref().map(|column| optional(column, row));
                let status = if value_micro.is_some() { Status::Final } else { Status::Missing };
                let content = Content { value_micro, numerator, denominator, persons, status };
                contents.entry(rows.month.value(row)).or_default().insert(key, content);
            }
        }
        contents
    }
}

fn optional(column: &Int64Array, row: usize) -> Option<i64> {
    column.is_valid(row).then(|| column.value(row))
}

impl Model {
    /// The indicators of persons before disclosure control, or one of them.
    async fn local_rows(&self, derived: &Cells, only: Option<&str>) -> Result<LocalRows, ModelError> {
        let session = Session::default();
        for (name, batch) in derived {
            session.register(name, batch.clone())?;
        }
        let mut rows = Vec::new();
        let models = self.layer(Layer::Published).filter(|model| model.domain == Domain::Person);
        let models = models.filter(|model| only.is_none_or(|only| only == model.name));
        let done = |model: &SqlModel, batch: RecordBatch| {
            let broken = |column: &str| ModelError::Contract {
                model: model.path.clone(),
                message: format!(
                    "expected a column {column}, Utf8 if it is of the area or the breakdown, else Int64"
                ),
            };
            let has = |name: &str| batch.column_by_name(name).is_some();
            let integer = |name: &str| {
                let column =
                    batch.column_by_name(name).and_then(|column| column.as_primitive_opt::<Int64Type>());
                column.cloned().ok_or_else(|| broken(name))
            };
            let text = |name: &str| {
                let column = batch.column_by_name(name).and_then(|column| column.as_string_opt::<i32>());
                column.cloned().ok_or_else(|| broken(name))
            };
            rows.push(IndicatorRows {
                indicator: model.name.clone(),
                area_kind: text("area_kind")?,
                area: text("area")?,
                benefit: if has("benefit") { Some(integer("benefit")?) } else { None },
                month: integer("month")?,
                breakdown: if has("breakdown") {
                    Some([text("breakdown")?, text("breakdown_value")?])
                } else {
                    None
                },
                values: [
                    integer("value_micro")?,
                    integer("numerator")?,
                    integer("denominator")?,
                    integer("persons")?,
                ],
            });
            Ok(())
        };
        session.run_all(models, |_, rows| Ok(rows), done).await?;
        Ok(LocalRows(rows))
    }

    /// What derived cells give for one indicator, by month. It has not passed disclosure control: for comparisons only.
    ///
    /// # Errors
    /// As [`Model::continue_local`].
    pub async fn local_contents(
        &self,
        derived: &Cells,
        indicator: &str,
    ) -> Result<BTreeMap<i64, BTreeMap<CellKey, Content>>, ModelError> {
        let rows = self.local_rows(derived, Some(indicator)).await?;
        Ok(rows.contents(&rows.digests().into_keys().collect()))
    }

    /// Brings what is shown to new derived cells, which are those of `months`: the others stay as they are. Months go that are
    /// too old for [`local_months`]; in the others a row goes with the last person behind it, as if nobody had ever been there, unless it was
    /// hidden: that it stays. A month in which the [`Guard`] finds that something would be given away stays as it was: it is frozen.
    ///
    /// # Errors
    /// [`ModelError::Evaluation`] or [`ModelError::Contract`] if an indicator's SQL fails or has not the columns.
    pub async fn continue_local(
        &self,
        derived: &Cells,
        before: &LocalMonths,
        months: &BTreeSet<i64>,
        as_of: NaiveDate,
        (known_at, epoch): (i64, u64),
    ) -> Result<LocalMonths, ModelError> {
        let rows = self.local_rows(derived, None).await?;
        let mut digests = rows.digests();
        let mut after = LocalMonths::new();
        for (month, shown) in before.range(local_months(as_of)) {
            if months.contains(month) {
                digests.entry(*month).or_default();
            } else {
                after.insert(*month, Arc::clone(shown));
            }
        }
        let is_same =
            |month: &i64, digest: &u64| before.get(month).is_some_and(|local| local.digest == Some(*digest));
        let changed = digests.iter().filter(|(month, digest)| !is_same(month, digest));
        let mut contents = rows.contents(&changed.map(|(month, _)| *month).collect());
        let (structures, membership) = (self.structures(), self.membership()?);
        let epoch = i64::try_from(epoch).unwrap_or(i64::MAX);
        let mut changed = Vec::new();
        for (month, digest) in digests {
            match before.get(&month) {
                Some(old) if old.digest == Some(digest) => drop(after.insert(month, Arc::clone(old))),
                old => changed.push((month, digest, old, contents.remove(&month).unwrap_or_default())),
            }
        }
        // A month says nothing of another one.
        let advanced = changed.into_par_iter().map(|(month, digest, old, mut contents)| {
            let none = LocalMonth::default();
            let old = &old.map_or(&none, Arc::as_ref).shown;
            let end = date(i32::try_from(month_last(month)).unwrap_or(i32::MAX));
            let was_hidden = old.iter().filter(|(_, value)| value.content.status == Status::Hidden);
            let hidden: HashSet<CellKey> = was_hidden.map(|(key, _)| *key).collect();
            for key in &hidden {
                contents.entry(*key).or_insert(NOBODY);
            }
            let shown = advance(contents, &hidden, end, &structures, &membership, HIDDEN_BELOW);
            let published = self.layer(Layer::Published).map(|model| (model.name.as_str(), &model.header));
            let indicators =
                published.map(|(name, header)| (name, header.unit.as_str(), header.areas_add_up));
            let leak = Guard::new(indicators, &membership.at(end)).leak(&shown, &hidden);
            if leak.is_some() {
                let frozen = LocalMonth { digest: None, shown: old.clone(), frozen: leak };
                return (month, Arc::new(frozen));
            }
            let since = |(key, content): (CellKey, Content)| {
                let same = old.get(&key).filter(|value| visible(&value.content) == visible(&content));
                (key, same.copied().unwrap_or(ShownValue { content, known_at, epoch }))
            };
            let shown = shown.into_iter().map(since).collect();
            (month, Arc::new(LocalMonth { digest: Some(digest), shown, frozen: None }))
        });
        after.extend(advanced.collect::<Vec<_>>());
        Ok(after)
    }

    /// Compares what is shown with derived cells: how many values were compared, and how many are not what the cells
    /// say, are shown of too few persons, or are not there. What is hidden cannot differ; what is `frozen` is known to.
    ///
    /// # Errors
    /// As [`Model::continue_local`].
    pub async fn check_local(
        &self,
        derived: &Cells,
        shown: &LocalMonths,
        frozen: &BTreeSet<i64>,
    ) -> Result<(u64, u64), ModelError> {
        let rows = self.local_rows(derived, None).await?;
        let contents = rows.contents(&rows.digests().into_keys().collect());
        let (mut compared, mut mismatches) = (0, 0);
        let nothing = (BTreeMap::new(), Arc::new(LocalMonth::default()));
        let months: BTreeSet<&i64> = contents.keys().chain(shown.keys()).collect();
        for month in months.into_iter().filter(|month| !frozen.contains(month)) {
            let contents = contents.get(month).unwrap_or(&nothing.0);
            let shown = &shown.get(month).unwrap_or(&nothing.1).shown;
            for key in contents.keys().chain(shown.keys()).collect::<BTreeSet<_>>() {
                compared += 1;
                let is_right = match (shown.get(key), contents.get(key)) {
                    (Some(value), _) if value.content.status == Status::Hidden => true,
                    (Some(value), Some(expected)) => {
                        let is_small =
                            expected.persons.is_some_and(|persons| 0 < persons && persons < HIDDEN_BELOW);
                        visible(&value.content) == visible(expected) && !is_small
                    }
                    _ => false,
                };
                mismatches += u64::from(!is_right);
            }
        }
        Ok((compared, mismatches))
    }
}

/// What was hidden and is not there any more: it stays hidden.
const NOBODY: Content = Content {
    value_micro: Some(0),
    numerator: None,
    denominator: None,
    persons: Some(0),
    status: Status::Final,
};

/// What of a content can be seen.
fn visible(content: &Content) -> (Option<i64>, Option<i64>, Option<i64>, &'static str) {
    (content.value_micro, content.numerator, content.denominator, content.status.code())
}

/// What is shown, as rows of [`schema`].
///
/// # Errors
/// Only if Arrow fails, which is a bug.
pub fn to_rows(months: &LocalMonths) -> Result<RecordBatch, ModelError> {
    let rows: Vec<(i64, &CellKey, &ShownValue)> = months
        .iter()
        .flat_map(|(month, local)| local.shown.iter().map(|(key, value)| (*month, key, value)))
        .collect();
    let text =
        |of: fn(&CellKey) -> Ustr| StringArray::from_iter_values(rows.iter().map(|(_, key, _)| of(key)));
    let integer = |of: fn(&ShownValue) -> Option<i64>| -> Int64Array {
        rows.iter().map(|(_, _, value)| of(value)).collect()
    };
    let periods: StringArray = months
        .iter()
        .flat_map(|(month, local)| std::iter::repeat_n(Some(month_text(*month)), local.shown.len()))
        .collect();
    let ends: Date32Array = rows.iter().map(|(month, _, _)| i32::try_from(month_last(*month)).ok()).collect();
    let known: TimestampMicrosecondArray = rows.iter().map(|(_, _, value)| Some(value.known_at)).collect();
    let statuses = rows.iter().map(|(_, _, value)| value.content.status.code());
    RecordBatch::try_new(
        schema(),
        vec![
            Arc::new(text(|key| key.indicator)),
            Arc::new(text(|key| key.area_kind)),
            Arc::new(text(|key| key.area)),
            Arc::new(text(|key| key.benefit)),
            Arc::new(periods),
            Arc::new(ends),
            Arc::new(text(|key| key.breakdown)),
            Arc::new(text(|key| key.breakdown_value)),
            Arc::new(integer(|value| value.content.value_micro)),
            Arc::new(integer(|value| value.content.numerator)),
            Arc::new(integer(|value| value.content.denominator)),
            Arc::new(StringArray::from_iter_values(statuses)),
            Arc::new(known.with_timezone("UTC")),
            Arc::new(integer(|value| Some(value.epoch))),
        ],
    )
    .map_err(|error| ModelError::evaluation("local_disclosed", error))
}

/// What was shown, from rows of [`schema`]; the contents before disclosure control stay unknown.
pub fn from_rows(rows: &RecordBatch) -> LocalMonths {
    let mut months: BTreeMap<i64, LocalMonth> = BTreeMap::new();
    let text = |column: usize, row: usize| Ustr::from(rows.column(column).as_string::<i32>().value(row));
    let integer = |column: usize, row: usize| {
        let column = rows.column(column).as_primitive::<Int64Type>();
        column.is_valid(row).then(|| column.value(row))
    };
    for row in 0..rows.num_rows() {
        let end = rows.column(5).as_primitive::<Date32Type>().value(row);
        let content = Content {
            value_micro: integer(8, row),
            numerator: integer(9, row),
            denominator: integer(10, row),
            persons: None,
            status: Status::from_code(&text(11, row)).unwrap_or(Status::Missing),
        };
        let key = CellKey {
            indicator: text(0, row),
            area_kind: text(1, row),
            area: text(2, row),
            benefit: text(3, row),
            breakdown: text(6, row),
            breakdown_value: text(7, row),
        };
        let known_at = rows.column(12).as_primitive::<TimestampMicrosecondType>().value(row);
        let value = ShownValue { content, known_at, epoch: integer(13, row).unwrap_or(0) };
        let month = crate::calendar::month_of(i64::from(end));
        months.entry(month).or_default().shown.insert(key, value);
    }
    months.into_iter().map(|(month, local)| (month, Arc::new(local))).collect()
}
