//! Running SQL models over Arrow batches with DataFusion.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Schema, SchemaRef};
use datafusion::common::runtime::JoinSet;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{ScalarValue, plan_err};
use datafusion::datasource::MemTable;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{Distinct, Expr, LogicalPlan};
use datafusion::prelude::{DataFrame, SQLOptions, SessionConfig, SessionContext};

use crate::catalogue::{SqlModel, tables_of};
use crate::error::ModelError;
use crate::functions;
use crate::plan::Planned;

/// Rows that operators are given at a time.
const ROWS: usize = 8_192;

/// Threads one evaluation may use.
const PARTITIONS: usize = 2;

/// A session that knows the given tables and nothing else: no files, no catalogues, no clock. Clones share what they know.
#[derive(Clone)]
pub struct Session {
    context: SessionContext,
    /// Rows that operators are given at a time; `None` gives them everything at once, in its order.
    piece_rows: Option<usize>,
}

impl Default for Session {
    fn default() -> Self {
        Self::with(SessionConfig::new().with_target_partitions(PARTITIONS), None)
    }
}

impl Session {
    fn with(config: SessionConfig, piece_rows: Option<usize>) -> Self {
        Self { piece_rows, ..Self::over(SessionContext::new_with_config(plain_texts(config))) }
    }

    /// A session over a context that knows tables of its own; its options are those of [`plain_texts`].
    pub fn over(context: SessionContext) -> Self {
        functions::register(&context);
        Self { context, piece_rows: None }
    }

    /// A session on one thread: its caller runs several side by side, each over other persons.
    pub fn single() -> Self {
        Self::with(SessionConfig::new().with_target_partitions(1), Some(ROWS))
    }

    /// Makes a table known.
    ///
    /// # Errors
    /// If the name is taken.
    pub fn register(&self, name: &str, batch: RecordBatch) -> Result<(), ModelError> {
        // Operators work best on pieces that fit a processor's cache; a slice copies nothing. Published tables have
        // floats, whose sums depend on the order: they are given one piece, which is not dealt out to threads.
        let rows = batch.num_rows();
        let size = self.piece_rows.unwrap_or(rows).max(1);
        let piece = |from: usize| batch.slice(from, (rows - from).min(size));
        self.register_pieces(name, batch.schema(), (0..rows).step_by(size).map(piece).collect())
    }

    /// Makes a table known that comes in parts, as it would be if they were one behind the other. For sessions on one
    /// thread: elsewhere parts are dealt out.
    ///
    /// # Errors
    /// If the name is taken, or a part has another schema.
    pub fn register_parts(
        &self,
        name: &str,
        schema: SchemaRef,
        parts: &[RecordBatch],
    ) -> Result<(), ModelError> {
        self.register_pieces(name, schema, parts.to_vec())
    }

    fn register_pieces(
        &self,
        name: &str,
        schema: SchemaRef,
        pieces: Vec<RecordBatch>,
    ) -> Result<(), ModelError> {
        let table = MemTable::try_new(schema, vec![pieces]);
        table
            .and_then(|table| self.context.register_table(name, Arc::new(table)))
            .map(drop)
            .map_err(|error| ModelError::evaluation(name, error))
    }

    /// Runs a model's statement and returns its rows as one batch.
    ///
    /// # Errors
    /// What DataFusion says, under the model's name.
    pub async fn run(&self, model: &SqlModel) -> Result<RecordBatch, ModelError> {
        self.run_kept(model).await.map_err(|error| ModelError::evaluation(&model.name, error))
    }

    /// Runs models side by side, as many at a time as an evaluation may use threads, each once those of them that it reads are
    /// done. `shape` makes of a result what `done` is told; `done` makes it known to those that read it.
    ///
    /// # Errors
    /// As [`Session::run`]; what `shape` and `done` say.
    pub(crate) async fn run_all<'m>(
        &self,
        models: impl IntoIterator<Item = &'m SqlModel>,
        shape: fn(&SqlModel, RecordBatch) -> Result<RecordBatch, ModelError>,
        mut done: impl FnMut(&'m SqlModel, RecordBatch) -> Result<(), ModelError>,
    ) -> Result<(), ModelError> {
        let mut waiting: Vec<&SqlModel> = models.into_iter().collect();
        let mut running: Vec<&SqlModel> = Vec::new();
        let mut tasks = JoinSet::new();
        loop {
            while running.len() < PARTITIONS {
                let unmade: BTreeSet<&str> =
                    waiting.iter().chain(&running).map(|model| model.name.as_str()).collect();
                let is_ready =
                    |model: &&SqlModel| !model.reads.iter().any(|name| unmade.contains(name.as_str()));
                let Some(place) = waiting.iter().position(is_ready) else { break };
                let model = waiting.remove(place);
                running.push(model);
                let (session, owned) = (self.clone(), model.clone());
                tasks.spawn(async move {
                    let rows = session.run(&owned).await.and_then(|rows| shape(&owned, rows));
                    (owned.name, rows)
                });
            }
            let Some(joined) = tasks.join_next().await else { return Ok(()) };
            let (name, rows) = joined.map_err(|error| {
                let names: Vec<&str> = running.iter().map(|model| model.name.as_str()).collect();
                ModelError::evaluation(&names.join(", "), DataFusionError::ExecutionJoin(Box::new(error)))
            })?;
            let place = running.iter().position(|model| model.name == name).unwrap_or_default();
            done(running.remove(place), rows?)?;
        }
    }

    async fn run_kept(&self, model: &SqlModel) -> Result<RecordBatch, DataFusionError> {
        let state = self.context.state();
        let planned = match model.plan.over(&self.context).await? {
            Some(planned) => planned,
            None => {
                let frame = self.frame(&model.sql).await?;
                let schema = Arc::new(Schema::new(frame.schema().fields().clone()));
                let planned = Planned { plan: state.optimize(frame.logical_plan())?, schema };
                model.plan.keep(&planned)?;
                planned
            }
        };
        let physical = state.query_planner().create_physical_plan(&planned.plan, &state).await?;
        let batches = datafusion::physical_plan::collect(physical, state.task_ctx()).await?;
        plain_text(concat_batches(&planned.schema, &batches)?)
    }

    /// Runs a query and returns its rows as one batch.
    ///
    /// # Errors
    /// What DataFusion says, under the name given.
    pub async fn query(&self, name: &str, sql: &str) -> Result<RecordBatch, ModelError> {
        self.collect(sql, None).await.map_err(|error| ModelError::evaluation(name, error))
    }

    /// As [`Session::query`], with texts in place of `$name`.
    ///
    /// # Errors
    /// As [`Session::query`]; if a parameter has no value.
    pub async fn query_with(
        &self,
        name: &str,
        sql: &str,
        values: &[(&str, &str)],
    ) -> Result<RecordBatch, ModelError> {
        let values = values.iter().map(|(name, value)| (*name, ScalarValue::from(*value)));
        let values: Vec<(&str, ScalarValue)> = values.collect();
        self.collect(sql, Some(values)).await.map_err(|error| ModelError::evaluation(name, error))
    }

    /// Names of the tables that a query reads.
    ///
    /// # Errors
    /// If it is no valid SQL.
    pub fn reads(&self, name: &str, sql: &str) -> Result<BTreeSet<String>, ModelError> {
        let state = self.context.state();
        let statement = state.sql_to_statement(sql, &state.config_options().sql_parser.dialect);
        statement
            .and_then(|statement| tables_of(&statement))
            .map_err(|error| ModelError::evaluation(name, error))
    }

    /// Plans a query without running it.
    ///
    /// # Errors
    /// As [`Session::query`].
    pub async fn plan(&self, name: &str, sql: &str) -> Result<DataFrame, ModelError> {
        self.frame(sql).await.map_err(|error| ModelError::evaluation(name, error))
    }

    async fn frame(&self, sql: &str) -> Result<DataFrame, DataFusionError> {
        // Queries only: nothing that would touch files or change the session.
        let options =
            SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
        let frame = self.context.sql_with_options(sql, options).await?;
        refuse_keys_after_unnest(frame.logical_plan())?;
        Ok(frame)
    }

    async fn collect(
        &self,
        sql: &str,
        values: Option<Vec<(&str, ScalarValue)>>,
    ) -> Result<RecordBatch, DataFusionError> {
        let frame = self.frame(sql).await?;
        let frame = match values {
            Some(values) => frame.with_param_values(values)?,
            None => frame,
        };
        let schema = Arc::new(Schema::new(frame.schema().fields().clone()));
        let batches = frame.collect().await?;
        let batch = concat_batches(&schema, &batches)?;
        plain_text(batch)
    }
}

/// Options under which texts are plain Utf8, as published tables promise.
pub fn plain_texts(mut config: SessionConfig) -> SessionConfig {
    config.options_mut().sql_parser.map_string_types_to_utf8view = false;
    config.options_mut().execution.parquet.schema_force_view_types = false;
    config
}

/// Refuses what DataFusion 55 answers wrongly: it takes the key of a `GROUP BY` for unique even after an `unnest` of its
/// rows, and then cuts a `GROUP BY`, `DISTINCT` or `ORDER BY` by that key and more down to the key.
fn refuse_keys_after_unnest(plan: &LogicalPlan) -> Result<(), DataFusionError> {
    plan.apply_with_subqueries(|node| {
        let (input, by) = match node {
            LogicalPlan::Aggregate(aggregate) => (&aggregate.input, places(&aggregate.input, &aggregate.group_expr)),
            LogicalPlan::Sort(sort) => {
                let by: Vec<Expr> = sort.expr.iter().map(|sort| sort.expr.clone()).collect();
                (&sort.input, places(&sort.input, &by))
            }
            LogicalPlan::Distinct(Distinct::All(input)) => (input, (0..input.schema().fields().len()).collect()),
            _ => return Ok(TreeNodeRecursion::Continue),
        };
        let keys = input.schema().functional_dependencies();
        let is_cut = |by: &BTreeSet<usize>| {
            keys.iter().any(|key| key.source_indices.iter().all(|place| by.contains(place)) && key.source_indices.len() < by.len())
        };
        if is_cut(&by) && is_unnested(input) {
            return plan_err!(
                "it groups, sorts or makes distinct by the key of a GROUP BY and more after an unnest of its rows, which \
                 gives a wrong result: put what follows the unnest into a model of its own"
            );
        }
        Ok(TreeNodeRecursion::Continue)
    })
    .map(drop)
}

/// Places of the columns among expressions.
fn places(input: &LogicalPlan, by: &[Expr]) -> BTreeSet<usize> {
    let place = |expr: &Expr| match expr {
        Expr::Column(column) => input.schema().maybe_index_of_column(column),
        _ => None,
    };
    by.iter().filter_map(place).collect()
}

/// Whether rows that have a key were unnested, and not grouped since.
fn is_unnested(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Aggregate(_) => false,
        LogicalPlan::Unnest(unnest) => !unnest.schema.functional_dependencies().is_empty(),
        _ => plan.inputs().into_iter().any(is_unnested),
    }
}

/// Turns string views into plain strings.
fn plain_text(batch: RecordBatch) -> Result<RecordBatch, DataFusionError> {
    if batch.schema().fields().iter().all(|field| field.data_type() != &DataType::Utf8View) {
        return Ok(batch);
    }
    let mut columns = Vec::with_capacity(batch.num_columns());
    let mut fields = Vec::with_capacity(batch.num_columns());
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        if field.data_type() == &DataType::Utf8View {
            columns.push(arrow::compute::cast(column, &DataType::Utf8)?);
            fields.push(Arc::new(field.as_ref().clone().with_data_type(DataType::Utf8)));
        } else {
            columns.push(Arc::clone(column));
            fields.push(Arc::clone(field));
        }
    }
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, AsArray, Int32Array, Int64Array};
    use arrow::datatypes::Int64Type;

    use super::*;
    use crate::catalogue::{Model, SourceFile};

    fn session() -> Session {
        let session = Session::single();
        let column = |step: i64| Arc::new(Int64Array::from_iter_values((0..100).map(|row| row % step))) as _;
        let rows = RecordBatch::try_from_iter([("person", column(10)), ("day", column(100))]).expect("rows");
        session.register("events", rows).expect("a table");
        session
    }

    const SPREAD: &str = "WITH firsts AS (SELECT person, min(day) AS day FROM events GROUP BY person), \
                          spread AS (SELECT person, unnest(range(day, day + 3)) AS day FROM firsts)";

    /// Goal: a kept plan gives what planning anew gives. Method: a model with a join and a sub-query runs over one table after
    /// the other, of other rows, none, another number of rows on the joined side, and another schema; each result is that of
    /// the same text as a query.
    #[tokio::test]
    async fn a_kept_plan_reads_the_tables_of_its_session() {
        const TEXT: &str = "-- layer: L\n-- grain: person\n-- unit: days\n-- why: a test\n-- danish: Prøve\n\
            -- source: ours\n-- local: person\n\
            WITH days AS (SELECT * FROM events), firsts AS (SELECT person, min(day) AS day FROM days GROUP BY person) \
            SELECT days.person, count(*) AS n, (SELECT max(day) FROM days) AS last FROM days \
            INNER JOIN firsts ON days.person = firsts.person AND days.day > firsts.day GROUP BY days.person";
        let file = SourceFile { path: "spells/longer.sql".to_owned(), text: TEXT.to_owned() };
        let events = "-- layer: S\n-- grain: person\n-- unit: days\n-- why: a test\n-- danish: Prøve\n-- source: ours\n\
                      SELECT * FROM event_person";
        let staging = SourceFile { path: "staging/events.sql".to_owned(), text: events.to_owned() };
        let mut files = Model::embedded_files();
        files.extend([file, staging]);
        let model = Model::load(files).unwrap_or_else(|error| panic!("{error}"));
        let model = model.models.iter().find(|model| model.name == "longer").expect("the model");
        let longs = |values: Vec<i64>| Arc::new(Int64Array::from(values)) as ArrayRef;
        let table = |persons: Vec<i64>, days: Vec<i64>| [("person", longs(persons)), ("day", longs(days))];
        let narrow = Arc::new(Int32Array::from(vec![1, 1, 1])) as ArrayRef;
        let tables = [
            table(vec![1, 1, 2, 2, 2], vec![1, 2, 3, 4, 5]),
            table(vec![7, 7], vec![3, 9]),
            table(vec![], vec![]),
            table((0..9_000).map(|row| row % 3).collect(), (0..9_000).collect()),
            [("person", narrow), ("day", longs(vec![1, 2, 3]))],
            table(vec![5, 5, 5], vec![1, 2, 3]),
        ];
        let mut sizes = Vec::new();
        for columns in tables {
            let session = Session::single();
            session.register("events", RecordBatch::try_from_iter(columns).expect("rows")).expect("a table");
            let (kept, anew) = (session.run(model).await, session.query("anew", &model.sql).await);
            let (kept, anew) = (kept.expect("kept"), anew.expect("anew"));
            assert_eq!(kept.schema(), anew.schema());
            let sorted = |rows: &RecordBatch| {
                let order = arrow::compute::sort_to_indices(rows.column(0), None, None).expect("sorted");
                arrow::compute::take_record_batch(rows, &order).expect("rows")
            };
            assert_eq!(sorted(&kept), sorted(&anew));
            sizes.push(kept.num_rows());
        }
        assert_eq!(sizes, [2, 1, 0, 3, 1, 1]);
    }

    /// Goal: nobody gets the wrong result of a key that is not unique after an unnest. Method: each clause that is cut down
    /// is refused; what is right passes and is counted.
    #[tokio::test]
    async fn keys_after_unnest_are_refused_and_nothing_else() {
        let session = session();
        for wrong in [
            "SELECT person, day, count(*) FROM spread GROUP BY person, day",
            "SELECT DISTINCT person, day FROM spread",
            "SELECT * FROM spread ORDER BY person, day",
            "SELECT count(*) FROM (SELECT DISTINCT person, day FROM spread)",
            // Right as it stands, but DataFusion adds what it takes for dependent before anybody can look.
            "SELECT person, count(*) FROM spread GROUP BY person",
        ] {
            let error = session.query("wrong", &format!("{SPREAD} {wrong}")).await.expect_err(wrong);
            assert!(format!("{error:?}").contains("a model of its own"), "{wrong}: {error:?}");
        }
        for (right, rows) in [
            ("SELECT person, day FROM spread", 30),
            ("SELECT day, count(*) FROM spread GROUP BY day", 12),
            ("SELECT day, count(*) AS n FROM spread GROUP BY day ORDER BY day, n", 12),
            ("SELECT person, day, count(*) OVER (PARTITION BY person, day) AS n FROM spread", 30),
            ("SELECT person, unnest(range(day, day + 1)) AS day FROM events", 100),
        ] {
            let batch = session.query("right", &format!("{SPREAD} {right}")).await.expect(right);
            assert_eq!(batch.num_rows(), rows, "{right}");
        }
        let grouped = "WITH spread AS (SELECT person, unnest(range(day, day + 2)) AS day FROM events) \
                       SELECT person, day, count(*) AS n FROM spread GROUP BY person, day";
        let batch = session.query("grouped", grouped).await.expect("rows of a table have no key");
        let counted: i64 = batch.column(2).as_primitive::<Int64Type>().values().iter().sum();
        assert_eq!(counted, 200);
    }
}
