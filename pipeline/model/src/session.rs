//! Running SQL models over Arrow batches with DataFusion.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Schema};
use datafusion::datasource::MemTable;
use datafusion::error::DataFusionError;
use datafusion::prelude::{SQLOptions, SessionConfig, SessionContext};

use crate::error::ModelError;
use crate::functions;

/// Rows that operators are given at a time.
const ROWS: usize = 8_192;

/// Threads one evaluation may use.
const PARTITIONS: usize = 2;

/// A session that knows the given tables and nothing else: no files, no catalogues, no clock.
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
    fn with(mut config: SessionConfig, piece_rows: Option<usize>) -> Self {
        // Published tables promise plain Utf8.
        config.options_mut().sql_parser.map_string_types_to_utf8view = false;
        let context = SessionContext::new_with_config(config);
        functions::register(&context);
        Self { context, piece_rows }
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
        let pieces = (0..rows).step_by(size).map(piece).collect();
        let table = MemTable::try_new(batch.schema(), vec![pieces]);
        table
            .and_then(|table| self.context.register_table(name, Arc::new(table)))
            .map(drop)
            .map_err(|error| ModelError::evaluation(name, error))
    }

    /// Runs a query and returns its rows as one batch.
    ///
    /// # Errors
    /// What DataFusion says, under the name given.
    pub async fn query(&self, name: &str, sql: &str) -> Result<RecordBatch, ModelError> {
        self.collect(sql).await.map_err(|error| ModelError::evaluation(name, error))
    }

    async fn collect(&self, sql: &str) -> Result<RecordBatch, DataFusionError> {
        // Queries only: nothing that would touch files or change the session.
        let options =
            SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
        let frame = self.context.sql_with_options(sql, options).await?;
        let schema = Arc::new(Schema::new(frame.schema().fields().clone()));
        let batches = frame.collect().await?;
        let batch = concat_batches(&schema, &batches)?;
        plain_text(batch)
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
