//! What may be said to the SQL endpoint, and who has read closed tables.
//!
//! Queries and `EXPLAIN` of queries are answered; the greetings of drivers (`SET`, `SHOW`, `BEGIN`, `COMMIT`…) too. Everything else is refused before
//! it is planned, and a plan that would write, create or change a setting of the engine is refused after.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::common::ParamValues;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::{SQLOptions, SessionContext};
use datafusion::sql::parser::Statement as Parsed;
use datafusion::sql::sqlparser::ast::{Set, Statement};
use datafusion_postgres::QueryHook;
use datafusion_postgres::hooks::HookClient;
use datafusion_postgres::pgwire::api::ClientInfo;
use datafusion_postgres::pgwire::api::results::Response;
use datafusion_postgres::pgwire::error::{ErrorInfo, PgWireError, PgWireResult};
use rettidig_event::Clock;
use rettidig_model::contract::Table;
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
}

impl Guard {
    pub(super) fn new(shown: &Shown, reader: Reader, epoch: u64, at: At) -> Self {
        Self { reader, epoch, at, folder: shown.folder.clone(), clock: Arc::clone(&shown.clock) }
    }

    /// The closed tables that a statement reads.
    ///
    /// # Errors
    /// If the statement is none that is answered, or reads what the reader may not.
    async fn allowed(&self, statement: &Statement, context: &SessionContext) -> PgWireResult<Vec<String>> {
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
            | Statement::Rollback { .. } => return Ok(Vec::new()),
            _ => {
                let text = "this endpoint is read-only: ask with SELECT (WITH, EXPLAIN, SHOW and SET are understood too)";
                return Err(refused(READ_ONLY, text));
            }
        }
        let state = context.state();
        let parsed = Parsed::Statement(Box::new(statement.clone()));
        let failed = |error| PgWireError::ApiError(Box::new(error));
        let closed: Vec<String> = state
            .resolve_table_references(&parsed)
            .map_err(failed)?
            .iter()
            .filter_map(|table| Table::named(table.table()).filter(|table| table.closed))
            .map(|table| table.name.to_owned())
            .collect();
        if let (Some(table), None) = (closed.first(), self.reader.name()) {
            let text = format!(
                "{table} is a closed table: connect as the name of a token, with the token as password, to see the rows of your own areas"
            );
            return Err(refused(NOT_ALLOWED, text));
        }
        let plan = state.statement_to_plan(parsed).await.map_err(failed)?;
        let options =
            SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
        options.verify_plan(&plan).map_err(|error| refused(READ_ONLY, error.to_string()))?;
        Ok(closed)
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

#[async_trait]
impl QueryHook for Guard {
    async fn handle_simple_query(
        &self,
        statement: &Statement,
        context: &SessionContext,
        _client: &mut dyn HookClient,
    ) -> Option<PgWireResult<Response>> {
        let noted = match self.allowed(statement, context).await {
            Ok(closed) => self.note(closed, statement).await,
            Err(error) => Err(error),
        };
        noted.err().map(Err)
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
        _values: &ParamValues,
        context: &SessionContext,
        client: &mut dyn HookClient,
    ) -> Option<PgWireResult<Response>> {
        self.handle_simple_query(statement, context, client).await
    }
}
