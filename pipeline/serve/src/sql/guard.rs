//! What may be said to the SQL endpoint, and who has read closed tables.
//!
//! Queries and `EXPLAIN` of queries are answered; the greetings of drivers (`SET`, `SHOW`, `BEGIN`, `COMMIT`…) too. Everything else is refused before
//! it is planned, and a plan that would write, create or change a setting of the engine is refused after. So is one that compares too many pairs of
//! rows: DataFusion compares all pairs of two batches without a pause in which it could be told to stop.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::common::ParamValues;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::statistics::{StatisticsArgs, StatisticsContext};
use datafusion::prelude::{SQLOptions, SessionContext};
use datafusion::sql::parser::Statement as Parsed;
use datafusion::sql::sqlparser::ast::{Set, Statement};
use datafusion_postgres::QueryHook;
use datafusion_postgres::hooks::HookClient;
use datafusion_postgres::pgwire::api::ClientInfo;
use datafusion_postgres::pgwire::api::results::Response;
use datafusion_postgres::pgwire::error::{ErrorInfo, PgWireError, PgWireResult};
use rettidig_event::Clock;
use rettidig_model::Model;
use rettidig_model::contract::Table;
use rettidig_runtime::as_known;
use serde_json::json;

use super::epoch::At;
use crate::Shown;
use crate::access::Reader;
use crate::audit;

/// An error with one of PostgreSQL's codes.
pub(super) fn refused(code: &str, message: impl Into<String>) -> PgWireError {
    PgWireError::UserError(Box::new(ErrorInfo::new("ERROR".to_owned(), code.to_owned(), message.into())))
}

const READ_ONLY: &str = "25006";
const NOT_ALLOWED: &str = "42501";

/// Looks at every statement before anything else does.
pub(super) struct Guard {
    reader: Reader,
    epoch: u64,
    at: At,
    folder: PathBuf,
    clock: Arc<dyn Clock>,
    model: Arc<Model>,
}

impl Guard {
    pub(super) fn new(shown: &Shown, reader: Reader, epoch: u64, at: At) -> Self {
        let (folder, clock, model) =
            (shown.folder.clone(), Arc::clone(&shown.clock), Arc::clone(&shown.model));
        Self { reader, epoch, at, folder, clock, model }
    }

    /// The closed tables that a statement reads, and its plan if it is a query.
    ///
    /// # Errors
    /// If the statement is none that is answered, or reads what the reader may not.
    async fn allowed(
        &self,
        statement: &Statement,
        context: &SessionContext,
    ) -> PgWireResult<(Vec<String>, Option<LogicalPlan>)> {
        match statement {
            Statement::Query(_) | Statement::Explain { .. } => {}
            Statement::Set(Set::SingleAssignment { variable, .. })
                if variable.to_string().to_lowercase().starts_with("datafusion") =>
            {
                return Err(refused(NOT_ALLOWED, "the settings of the engine are not for readers"));
            }
            Statement::Set(_)
            | Statement::ShowVariable { .. }
            | Statement::StartTransaction { .. }
            | Statement::Commit { .. }
            | Statement::Rollback { .. } => return Ok((Vec::new(), None)),
            _ => {
                let text = "this endpoint is read-only: ask with SELECT (WITH, EXPLAIN, SHOW and SET are understood too)";
                return Err(refused(READ_ONLY, text));
            }
        }
        let state = context.state();
        let parsed = Parsed::Statement(Box::new(statement.clone()));
        let read = state.resolve_table_references(&parsed).map_err(failed)?;
        let read: BTreeSet<String> = read.iter().map(|table| table.table().to_owned()).collect();
        let is_closed = |name: &&String| Table::named(name).is_some_and(|table| table.closed);
        let closed: Vec<String> = read.iter().filter(is_closed).cloned().collect();
        if let (Some(table), None) = (closed.first(), self.reader.name()) {
            let text = format!(
                "{table} is a closed table: connect as the name of a token, with the token as password, to see the rows of your own areas"
            );
            return Err(refused(NOT_ALLOWED, text));
        }
        if let (At::Known(_), None) = (self.at, self.reader.name())
            && as_known::are_of_persons(&self.model, &read)
        {
            let text = "tables made of records of persons, as they were known, are made for readers with a token: connect as the name of one, with \
                        the token as password, or ask the newest epoch";
            return Err(refused(NOT_ALLOWED, text));
        }
        let plan = state.statement_to_plan(parsed).await.map_err(failed)?;
        let options =
            SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
        options.verify_plan(&plan).map_err(|error| refused(READ_ONLY, error.to_string()))?;
        Ok((closed, Some(plan)))
    }

    /// Looks at a statement that is to be answered now.
    async fn looked_at(
        &self,
        statement: &Statement,
        values: Option<&ParamValues>,
        context: &SessionContext,
    ) -> PgWireResult<()> {
        let (closed, plan) = self.allowed(statement, context).await?;
        if let Some(plan) = plan {
            let plan = match values {
                Some(values) => plan.replace_params_with_values(values).map_err(failed)?,
                None => plan,
            };
            bounded(&plan, context).await?;
        }
        self.note(closed, statement).await
    }

    /// Writes down that closed tables are read; nothing is told if it cannot be.
    async fn note(&self, closed: Vec<String>, statement: &Statement) -> PgWireResult<()> {
        if closed.is_empty() {
            return Ok(());
        }
        let as_known = match self.at {
            At::Newest => None,
            At::Known(at) => Some(at),
        };
        let question = json!({ "tables": closed, "sql": statement.to_string(), "as_known": as_known });
        audit::note(&self.folder, &self.reader, question, self.epoch, self.clock.now())
            .await
            .map_err(|error| refused("58030", error.to_string()))
    }
}

fn failed(error: DataFusionError) -> PgWireError {
    PgWireError::ApiError(Box::new(error))
}

/// Pairs of rows that a join without an equality may compare.
const PAIRS: u128 = 200_000_000;

/// Refuses a plan that compares too many pairs.
async fn bounded(plan: &LogicalPlan, context: &SessionContext) -> PgWireResult<()> {
    let plan = match plan {
        LogicalPlan::Explain(explain) => &explain.plan,
        LogicalPlan::Analyze(analyze) => &analyze.input,
        plan => plan,
    };
    let physical = context.state().create_physical_plan(plan).await.map_err(failed)?;
    let pairs = most_pairs(physical.as_ref()).1;
    if pairs > PAIRS {
        let text = format!(
            "it compares {pairs} pairs of rows, more than {PAIRS}: join by an equality of columns (ON a.area = b.area AND …), or filter first"
        );
        return Err(refused("54001", text));
    }
    Ok(())
}

/// About how many rows a plan gives, and the most pairs that one of its joins without an equality compares.
fn most_pairs(plan: &dyn ExecutionPlan) -> (u128, u128) {
    let below: Vec<(u128, u128)> =
        plan.children().into_iter().map(|child| most_pairs(child.as_ref())).collect();
    let inner = below.iter().map(|(_, pairs)| *pairs).max().unwrap_or(0);
    let rows = below.iter().map(|(rows, _)| *rows);
    if matches!(plan.name(), "CrossJoinExec" | "NestedLoopJoinExec" | "PiecewiseMergeJoinExec") {
        let pairs = rows.fold(1, u128::saturating_mul);
        return (pairs, inner.max(pairs));
    }
    let found = StatisticsContext::new().compute(plan, &StatisticsArgs::new());
    let known = found.ok().and_then(|found| found.num_rows.get_value().copied());
    let rows = match (known, plan.name()) {
        (Some(known), _) => known as u128,
        (None, "UnionExec") => rows.sum(),
        (None, _) => rows.max().unwrap_or(0),
    };
    (rows, inner)
}

#[async_trait]
impl QueryHook for Guard {
    async fn handle_simple_query(
        &self,
        statement: &Statement,
        context: &SessionContext,
        _client: &mut dyn HookClient,
    ) -> Option<PgWireResult<Response>> {
        self.looked_at(statement, None, context).await.err().map(Err)
    }

    async fn handle_extended_parse_query(
        &self,
        statement: &Statement,
        context: &SessionContext,
        _client: &(dyn ClientInfo + Send + Sync),
    ) -> Option<PgWireResult<LogicalPlan>> {
        self.allowed(statement, context).await.err().map(Err)
    }

    async fn handle_extended_query(
        &self,
        statement: &Statement,
        _plan: &LogicalPlan,
        values: &ParamValues,
        context: &SessionContext,
        _client: &mut dyn HookClient,
    ) -> Option<PgWireResult<Response>> {
        self.looked_at(statement, Some(values), context).await.err().map(Err)
    }
}
