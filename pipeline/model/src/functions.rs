//! SQL functions of our own: the calendar as integers, the union of intervals, and the tails of distributions.
//!
//! | function | gives |
//! |---|---|
//! | `month_of(day)`, `month_first(month)`, `month_last(month)`, `add_months(day, n)` | see [`crate::calendar`] |
//! | `month_share(amount, from, to, month)` | a month's share of an amount |
//! | `monday_of(day)`, `week_share(amount, from, to, monday)` | the same by weeks |
//! | `month_text(month)` | `2026-07` |
//! | `period_month(period)` | the month of a published period, `2026-07`; null if it is none |
//! | `period_last(period)` | the last day of a published period, `2026`, `2026-Q3`, `2026-07`, `2026-W05` or `2026-03-03`; null for any other text |
//! | `poisson_at_least(x, mean)`, `poisson_at_most(x, mean)`, `poisson_quantile(q, mean)`, `normal_cdf(z)`, `binomial_at_least(x, n, p)`, `binomial_at_most(x, n, p)`, `binomial_quantile(q, n, p)` | see [`crate::chance`] |
//! | `union_of_intervals(from, to, rank, label)` | an aggregate: disjoint runs of days with the label of the highest-ranked interval over each day, as a list of structs `from_day`, `to_day`, `label` |
//!
//! The union could be written with window functions, and is, in a test below; as an aggregate it needs one sort per group
//! instead of several passes over all rows.

use std::collections::BinaryHeap;
use std::fmt::Debug;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, Int64Builder, ListArray, StringArray,
    StructArray,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Float64Type, Int64Type};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, ColumnarValue, EmitTo, GroupsAccumulator, ScalarUDF,
    Signature, Volatility, create_udf,
};
use datafusion::prelude::SessionContext;

use rettidig_event::period::Period;

use crate::persons::day_of;
use crate::{calendar, chance};

/// The scalar functions.
pub fn scalar_functions() -> Vec<ScalarUDF> {
    vec![
        integers("month_of", |[day]| calendar::month_of(day)),
        integers("month_first", |[month]| calendar::month_first(month)),
        integers("month_last", |[month]| calendar::month_last(month)),
        integers("add_months", |[day, months]| calendar::add_months(day, months)),
        integers("month_share", |[amount, from, to, month]| calendar::month_share(amount, from, to, month)),
        integers("monday_of", |[day]| calendar::monday_of(day)),
        integers("week_share", |[amount, from, to, monday]| calendar::week_share(amount, from, to, monday)),
        month_text(),
        of_period("period_month", |period| {
            matches!(period, Period::Month(..)).then(|| calendar::month_of(day_of(period.last_day())))
        }),
        of_period("period_last", |period| Some(day_of(period.last_day()))),
        floats("poisson_at_least", |[x, mean]| chance::poisson_at_least(x, mean)),
        floats("poisson_at_most", |[x, mean]| chance::poisson_at_most(x, mean)),
        floats("poisson_quantile", |[q, mean]| chance::poisson_quantile(q, mean)),
        floats("binomial_at_least", |[x, n, p]| chance::binomial_at_least(x, n, p)),
        floats("binomial_at_most", |[x, n, p]| chance::binomial_at_most(x, n, p)),
        floats("binomial_quantile", |[q, n, p]| chance::binomial_quantile(q, n, p)),
        floats("normal_cdf", |[z]| Some(chance::normal_cdf(z))),
    ]
}

/// The aggregate functions.
pub fn aggregate_functions() -> Vec<AggregateUDF> {
    vec![AggregateUDF::from(UnionOfIntervals::new())]
}

/// Makes the functions known to a session.
pub fn register(context: &SessionContext) {
    scalar_functions().into_iter().for_each(|function| context.register_udf(function));
    aggregate_functions().into_iter().for_each(|function| context.register_udaf(function));
}

/// A function from integers to an integer; null if any argument is.
fn integers<const N: usize>(name: &str, function: fn([i64; N]) -> i64) -> ScalarUDF {
    let invoke = move |arguments: &[ColumnarValue]| {
        let arrays = ColumnarValue::values_to_arrays(arguments)?;
        let columns: Vec<&Int64Array> =
            arrays.iter().map(|array| array.as_primitive::<Int64Type>()).collect();
        let rows = columns.first().map_or(0, |column| column.len());
        let mut values = Int64Builder::with_capacity(rows);
        for row in 0..rows {
            if columns.iter().any(|column| column.is_null(row)) {
                values.append_null();
            } else {
                values.append_value(function(std::array::from_fn(|argument| columns[argument].value(row))));
            }
        }
        Ok(ColumnarValue::Array(Arc::new(values.finish())))
    };
    create_udf(name, vec![DataType::Int64; N], DataType::Int64, Volatility::Immutable, Arc::new(invoke))
}

/// A function from floats to a float; null if any argument is, or where it has no value.
fn floats<const N: usize>(name: &str, function: fn([f64; N]) -> Option<f64>) -> ScalarUDF {
    let invoke = move |arguments: &[ColumnarValue]| {
        let arrays = ColumnarValue::values_to_arrays(arguments)?;
        let columns: Vec<&Float64Array> =
            arrays.iter().map(|array| array.as_primitive::<Float64Type>()).collect();
        let rows = columns.first().map_or(0, |column| column.len());
        let value = |row: usize| {
            let known = columns.iter().all(|column| column.is_valid(row));
            known.then(|| std::array::from_fn(|argument| columns[argument].value(row))).and_then(function)
        };
        Ok(ColumnarValue::Array(Arc::new((0..rows).map(value).collect::<Float64Array>())))
    };
    create_udf(name, vec![DataType::Float64; N], DataType::Float64, Volatility::Immutable, Arc::new(invoke))
}

fn month_text() -> ScalarUDF {
    let invoke = |arguments: &[ColumnarValue]| {
        let arrays = ColumnarValue::values_to_arrays(arguments)?;
        let months = arrays[0].as_primitive::<Int64Type>();
        let texts: StringArray = months.iter().map(|month| month.map(calendar::month_text)).collect();
        Ok(ColumnarValue::Array(Arc::new(texts)))
    };
    create_udf("month_text", vec![DataType::Int64], DataType::Utf8, Volatility::Immutable, Arc::new(invoke))
}

/// A function of a period as it is published; null for any other text.
fn of_period(name: &str, function: fn(Period) -> Option<i64>) -> ScalarUDF {
    let invoke = move |arguments: &[ColumnarValue]| {
        let arrays = ColumnarValue::values_to_arrays(arguments)?;
        let periods = arrays[0].as_string::<i32>();
        let value = |text: Option<&str>| text.and_then(Period::from_published).and_then(function);
        Ok(ColumnarValue::Array(Arc::new(periods.iter().map(value).collect::<Int64Array>())))
    };
    create_udf(name, vec![DataType::Utf8], DataType::Int64, Volatility::Immutable, Arc::new(invoke))
}

/// An interval of a group: its group, its days, its rank, its label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Interval {
    group: usize,
    from: i64,
    to: i64,
    rank: i64,
    label: i64,
}

/// The union of the intervals of one group, sorted by `from`: runs of days, each labelled by the highest rank over it.
fn union(intervals: &[Interval], mut emit: impl FnMut(i64, i64, i64)) {
    let mut open: BinaryHeap<(i64, i64, i64)> = BinaryHeap::new();
    let mut run: Option<(i64, i64, i64)> = None;
    let mut next = 0;
    let mut day = i64::MIN;
    loop {
        while open.peek().is_some_and(|(_, to, _)| *to < day) {
            open.pop();
        }
        if open.is_empty() {
            let Some(first) = intervals.get(next) else { break };
            day = day.max(first.from);
        }
        while let Some(interval) = intervals.get(next).filter(|interval| interval.from <= day) {
            open.push((interval.rank, interval.to, interval.label));
            next += 1;
        }
        let Some((_, to, label)) = open.peek().copied().filter(|(_, to, _)| *to >= day) else { continue };
        let until = intervals.get(next).map_or(to, |interval| to.min(interval.from - 1));
        run = match run {
            Some((from, end, same)) if same == label && end + 1 == day => Some((from, until, label)),
            Some((from, end, other)) => {
                emit(from, end, other);
                Some((day, until, label))
            }
            None => Some((day, until, label)),
        };
        day = until + 1;
    }
    if let Some((from, end, label)) = run {
        emit(from, end, label);
    }
}

/// The aggregate `union_of_intervals`.
#[derive(Debug, PartialEq, Eq, Hash)]
struct UnionOfIntervals {
    signature: Signature,
}

impl UnionOfIntervals {
    fn new() -> Self {
        Self { signature: Signature::exact(vec![DataType::Int64; 4], Volatility::Immutable) }
    }
}

fn integer_fields(names: &[&str]) -> Fields {
    names.iter().map(|name| Field::new(*name, DataType::Int64, false)).collect()
}

fn run_fields() -> Fields {
    integer_fields(&["from_day", "to_day", "label"])
}

fn state_fields() -> Fields {
    integer_fields(&["from_day", "to_day", "rank", "label"])
}

fn list_of(fields: Fields) -> FieldRef {
    Arc::new(Field::new_list_field(DataType::Struct(fields), true))
}

impl AggregateUDFImpl for UnionOfIntervals {
    fn name(&self) -> &str {
        "union_of_intervals"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::List(list_of(run_fields())))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let state = DataType::List(list_of(state_fields()));
        Ok(vec![Arc::new(Field::new(format!("{}[intervals]", args.name), state, true))])
    }

    fn accumulator(&self, _: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Single(Intervals::default())))
    }

    fn groups_accumulator_supported(&self, _: AccumulatorArgs) -> bool {
        true
    }

    fn create_groups_accumulator(&self, _: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(Intervals::default()))
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}

/// Intervals of many groups, as they came.
#[derive(Debug, Default)]
struct Intervals {
    intervals: Vec<Interval>,
    groups: usize,
}

impl Intervals {
    fn push(&mut self, values: &[ArrayRef], mut group_of: impl FnMut(usize) -> Option<usize>) {
        let [from, to, rank, label] =
            std::array::from_fn::<_, 4, _>(|argument| values[argument].as_primitive::<Int64Type>());
        for row in 0..from.len() {
            let is_null = [from, to, rank, label].iter().any(|column| column.is_null(row));
            if let (false, Some(group)) = (is_null, group_of(row)) {
                let (from, to) = (from.value(row), to.value(row));
                if from <= to {
                    let (rank, label) = (rank.value(row), label.value(row));
                    self.intervals.push(Interval { group, from, to, rank, label });
                }
            }
        }
    }

    /// Takes out the intervals of the groups to emit, sorted; the others move down.
    fn take(&mut self, emit_to: EmitTo) -> (Vec<Interval>, usize) {
        let count = match emit_to {
            EmitTo::All => self.groups,
            EmitTo::First(count) => count,
        };
        let (mut emitted, kept): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.intervals).into_iter().partition(|interval| interval.group < count);
        self.intervals =
            kept.into_iter().map(|interval| Interval { group: interval.group - count, ..interval }).collect();
        self.groups -= count;
        emitted.sort_unstable();
        (emitted, count)
    }

    fn runs(&mut self, emit_to: EmitTo) -> ListArray {
        let (intervals, groups) = self.take(emit_to);
        let (mut from, mut to, mut label) = (Vec::new(), Vec::new(), Vec::new());
        let mut lengths = vec![0; groups];
        for group in intervals.chunk_by(|a, b| a.group == b.group) {
            union(group, |first, last, name| {
                from.push(first);
                to.push(last);
                label.push(name);
                lengths[group[0].group] += 1;
            });
        }
        list(run_fields(), vec![from, to, label], lengths)
    }

    fn raw(&mut self, emit_to: EmitTo) -> ListArray {
        let (intervals, groups) = self.take(emit_to);
        let mut lengths = vec![0; groups];
        intervals.iter().for_each(|interval| lengths[interval.group] += 1);
        let column = |of: fn(&Interval) -> i64| intervals.iter().map(of).collect::<Vec<_>>();
        let columns = vec![column(|i| i.from), column(|i| i.to), column(|i| i.rank), column(|i| i.label)];
        list(state_fields(), columns, lengths)
    }

    fn merge(&mut self, states: &ArrayRef, mut group_of: impl FnMut(usize) -> usize) {
        let lists = states.as_list::<i32>();
        for row in (0..lists.len()).filter(|row| lists.is_valid(*row)) {
            let group = group_of(row);
            let intervals = lists.value(row);
            self.push(intervals.as_struct().columns(), |_| Some(group));
        }
    }
}

fn list(fields: Fields, columns: Vec<Vec<i64>>, lengths: Vec<usize>) -> ListArray {
    let columns = columns.into_iter().map(|values| Arc::new(Int64Array::from(values)) as ArrayRef).collect();
    let values = StructArray::new(fields.clone(), columns, None);
    ListArray::new(list_of(fields), OffsetBuffer::from_lengths(lengths), Arc::new(values), None)
}

impl GroupsAccumulator for Intervals {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.groups = total_num_groups;
        let passes = |row: usize| filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row));
        self.push(values, |row| passes(row).then(|| group_indices[row]));
        Ok(())
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        Ok(Arc::new(self.runs(emit_to)))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        Ok(vec![Arc::new(self.raw(emit_to))])
    }

    fn merge_batch(&mut self, values: &[ArrayRef], groups: &[usize], total: usize) -> Result<()> {
        self.groups = total;
        self.merge(&values[0], |row| groups[row]);
        Ok(())
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let mut each = Self::default();
        let rows = values[0].len();
        let groups: Vec<usize> = (0..rows).collect();
        each.update_batch(values, &groups, filter, rows)?;
        each.state(EmitTo::All)
    }

    fn size(&self) -> usize {
        self.intervals.capacity() * size_of::<Interval>()
    }
}

/// The intervals of one group, for a query without GROUP BY.
#[derive(Debug)]
struct Single(Intervals);

impl Accumulator for Single {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.0.push(values, |_| Some(0));
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.0.groups = 1;
        Ok(ScalarValue::List(Arc::new(self.0.runs(EmitTo::All))))
    }

    fn size(&self) -> usize {
        GroupsAccumulator::size(&self.0)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.0.groups = 1;
        Ok(vec![ScalarValue::List(Arc::new(self.0.raw(EmitTo::All)))])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.0.merge(&states[0], |_| 0);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// The union once more, day by day and with window functions: islands of days with the same winner.
    const TWIN: &str = "
        WITH days AS (SELECT g, unnest(range(from_day, to_day + 1)) AS day, rank, label FROM intervals),
        winners AS (
            SELECT g, day, label, row_number() OVER (PARTITION BY g, day ORDER BY rank DESC, label DESC) AS place FROM days
        ),
        won AS (
            SELECT g, day, label, day - row_number() OVER (PARTITION BY g, label ORDER BY day) AS island
            FROM winners WHERE place = 1
        )
        SELECT g, label, min(day) AS from_day, max(day) AS to_day FROM won GROUP BY g, label, island";

    /// Goal: the aggregate in SQL, in one partition and dealt out to several with partial states, equals its twin of
    /// window functions. Method: random intervals of 200 groups.
    #[tokio::test]
    async fn the_aggregate_equals_window_functions() {
        use arrow::array::RecordBatch;
        use datafusion::datasource::MemTable;
        use datafusion::prelude::SessionConfig;
        let mut random = 99_u64;
        let mut below = |limit: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            i64::try_from((random >> 33) % limit).unwrap_or(0)
        };
        let mut columns: [Vec<i64>; 5] = Default::default();
        for rank in 0..1_500 {
            let from = below(60) - 30;
            let row = [below(200), from, from + below(12), rank, below(3)];
            columns.iter_mut().zip(row).for_each(|(column, value)| column.push(value));
        }
        let names = ["g", "from_day", "to_day", "rank", "label"];
        let arrays = columns.map(|column| Arc::new(Int64Array::from(column)) as ArrayRef);
        let rows = RecordBatch::try_from_iter(names.into_iter().zip(arrays)).expect("rows");
        for partitions in [1, 4] {
            let config = SessionConfig::new().with_target_partitions(partitions).with_batch_size(64);
            let context = SessionContext::new_with_config(config);
            register(&context);
            let size = rows.num_rows() / partitions;
            let parts = (0..partitions).map(|part| vec![rows.slice(part * size, size)]).collect();
            let table = MemTable::try_new(rows.schema(), parts).expect("table");
            context.register_table("intervals", Arc::new(table)).expect("registered");
            let aggregate = "
                WITH unions AS (SELECT g, union_of_intervals(from_day, to_day, rank, label) AS runs FROM intervals GROUP BY g),
                runs AS (SELECT g, unnest(runs) AS run FROM unions)
                SELECT g, run['label'] AS label, run['from_day'] AS from_day, run['to_day'] AS to_day FROM runs";
            let mut results = Vec::new();
            for sql in [aggregate, TWIN] {
                let batches = context.sql(sql).await.expect("planned").collect().await.expect("rows");
                let mut rows: Vec<Vec<i64>> = Vec::new();
                for batch in &batches {
                    let value = |column: usize, row: usize| {
                        batch.column(column).as_primitive::<Int64Type>().value(row)
                    };
                    rows.extend(
                        (0..batch.num_rows()).map(|row| (0..4).map(|column| value(column, row)).collect()),
                    );
                }
                assert!(rows.len() > 500, "{} rows", rows.len());
                rows.sort_unstable();
                results.push(rows);
            }
            assert_eq!(results[0], results[1], "{partitions} partitions");
        }
    }

    /// Goal: the sweep equals a day-by-day table. Method: random small intervals, winners by brute force.
    #[test]
    fn the_union_equals_a_day_by_day_table() {
        let mut random = 12_345_u64;
        let mut below = |limit: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            i64::try_from((random >> 33) % limit).unwrap_or(0)
        };
        for round in 0..2_000 {
            let mut intervals: Vec<Interval> = (0..below(8))
                .map(|rank| {
                    let from = below(30);
                    Interval { group: 0, from, to: from + below(9), rank, label: below(3) }
                })
                .collect();
            intervals.sort_unstable();
            let mut days: BTreeMap<i64, (i64, i64)> = BTreeMap::new();
            for interval in &intervals {
                for day in interval.from..=interval.to {
                    let winner = days.entry(day).or_insert((interval.rank, interval.label));
                    *winner = (*winner).max((interval.rank, interval.label));
                }
            }
            let mut runs = Vec::new();
            union(&intervals, |from, to, label| runs.push((from, to, label)));
            let shown: BTreeMap<i64, i64> = runs
                .iter()
                .flat_map(|(from, to, label)| (*from..=*to).map(move |day| (day, *label)))
                .collect();
            assert_eq!(shown, days.iter().map(|(day, (_, label))| (*day, *label)).collect(), "round {round}");
            let touching = runs.windows(2).any(|pair| pair[0].1 + 1 == pair[1].0 && pair[0].2 == pair[1].2);
            assert!(!touching, "runs are maximal in round {round}: {runs:?}");
        }
    }
}
