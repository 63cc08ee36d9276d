//! One committed epoch as one reader may see it.
//!
//! Whatever answers a reader (pages, other forms of the tables, SQL) asks a [`View`]: one epoch, never two, and of closed tables the
//! rows of the reader's own areas. What a view does not hold cannot be asked for, whatever the question.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, RecordBatch, StringArray};
use arrow::compute::{concat_batches, filter_record_batch};
use rettidig_event::Clock;
use rettidig_model::contract::{self, Table};
use rettidig_model::header::Better;
use rettidig_model::session::Session;
use rettidig_model::{Layer, Model, ModelError};
use rettidig_runtime::{Manifest, RuntimeError, Snapshot};
use serde_json::json;
use thiserror::Error;

use crate::access::Reader;
use crate::{Shown, audit};

/// Reference tables that are shown beside the published ones.
pub const REFERENCE: [&str; 3] = ["areas", "benefits", "sources"];

/// Name of the table that tells what each indicator is.
pub const CATALOGUE: &str = "catalogue";

/// An epoch, and who looks at it.
pub struct View {
    snapshot: Arc<Snapshot>,
    reader: Reader,
    session: Session,
    folder: PathBuf,
    clock: Arc<dyn Clock>,
}

/// A view that cannot be shown.
#[derive(Debug, Error)]
pub enum ViewError {
    /// What DataFusion says.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// That a closed table is read could not be written down.
    #[error(transparent)]
    Audit(#[from] RuntimeError),
}

impl View {
    /// What `reader` may see of an epoch.
    ///
    /// # Errors
    /// If a table cannot be registered, which is a fault of ours.
    pub(crate) fn new(snapshot: Arc<Snapshot>, shown: &Shown, reader: Reader) -> Result<Self, ModelError> {
        let session = Session::single();
        register(&session, &snapshot, &shown.model, &reader)?;
        Ok(Self { snapshot, reader, session, folder: shown.folder.clone(), clock: Arc::clone(&shown.clock) })
    }

    /// The epoch.
    pub fn manifest(&self) -> &Manifest {
        &self.snapshot.manifest
    }

    /// Who looks.
    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    /// A published table, as far as the reader may see it. That a closed one is read is written down first.
    ///
    /// # Errors
    /// If it cannot be written down; if the table's parts do not fit together, which is a fault of ours.
    pub async fn table(&self, table: &Table) -> Result<Option<RecordBatch>, ViewError> {
        if table.closed {
            self.note(json!({ "tables": [table.name] })).await?;
        }
        let rows = parts_of(&self.snapshot, table, &self.reader)?
            .map(|parts| concat_batches(&table.schema(), &parts))
            .transpose()
            .map_err(|error| ModelError::evaluation(table.name, error))?;
        Ok(rows)
    }

    /// Rows of a query over the published tables, [`REFERENCE`] and [`CATALOGUE`]. Values stand in place of `$name`; no text of a reader's
    /// may become part of `sql`. That closed tables are read is written down first.
    ///
    /// # Errors
    /// What DataFusion says, under the name given; if it cannot be written down.
    pub async fn query(
        &self,
        name: &str,
        sql: &str,
        values: &[(&str, &str)],
    ) -> Result<RecordBatch, ViewError> {
        let read = self.session.reads(name, sql)?;
        let is_closed = |table: &&String| Table::named(table).is_some_and(|table| table.closed);
        let closed: Vec<&String> = read.iter().filter(is_closed).collect();
        if !closed.is_empty() {
            self.note(json!({ "tables": closed, "for": name, "values": values })).await?;
        }
        Ok(self.session.query_with(name, sql, values).await?)
    }

    async fn note(&self, question: serde_json::Value) -> Result<(), RuntimeError> {
        audit::note(&self.folder, &self.reader, question, self.manifest().epoch, self.clock.now()).await
    }
}

/// Makes everything known to a session that a reader may see.
///
/// # Errors
/// If a name is taken.
pub fn register(
    session: &Session,
    snapshot: &Snapshot,
    model: &Model,
    reader: &Reader,
) -> Result<(), ModelError> {
    for table in contract::tables() {
        if let Some(parts) = parts_of(snapshot, table, reader)? {
            session.register_parts(table.name, table.schema(), &parts)?;
        }
    }
    for name in REFERENCE {
        if let Some(rows) = model.reference.get(name) {
            session.register_parts(name, rows.schema(), std::slice::from_ref(rows))?;
        }
    }
    let catalogue = catalogue(model)?;
    session.register_parts(CATALOGUE, catalogue.schema(), std::slice::from_ref(&catalogue))
}

/// The rows of a table that a reader may see, in the parts that the snapshot holds; `None` if the epoch has no such table.
fn parts_of(
    snapshot: &Snapshot,
    table: &Table,
    reader: &Reader,
) -> Result<Option<Vec<RecordBatch>>, ModelError> {
    let parts = match (snapshot.tables.get(table.name), snapshot.monthly.get(table.name)) {
        (Some(rows), _) => vec![rows.clone()],
        (None, Some(months)) => months.clone(),
        (None, None) => return Ok(None),
    };
    match reader.areas() {
        Some(areas) if table.closed => parts.iter().map(|rows| of_areas(table, rows, areas)).collect(),
        _ => Ok(parts),
    }
    .map(Some)
}

fn of_areas(table: &Table, rows: &RecordBatch, areas: &BTreeSet<String>) -> Result<RecordBatch, ModelError> {
    let column = rows.column_by_name("area").and_then(|column| column.as_string_opt::<i32>());
    // A closed table without areas would be closed to everybody but operators.
    let own: BooleanArray = match column {
        Some(column) => {
            column.iter().map(|area| Some(area.is_some_and(|area| areas.contains(area)))).collect()
        }
        None => BooleanArray::from(vec![false; rows.num_rows()]),
    };
    filter_record_batch(rows, &own).map_err(|error| ModelError::evaluation(table.name, error))
}

/// What each indicator is: code, Danish term, unit, which way is better, why it is there.
fn catalogue(model: &Model) -> Result<RecordBatch, ModelError> {
    let indicators: Vec<_> = model.layer(Layer::Published).collect();
    let column = |text: &dyn Fn(&rettidig_model::SqlModel) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(indicators.iter().map(|model| text(model))))
    };
    let better = |model: &rettidig_model::SqlModel| match model.header.better {
        Better::Up => "up",
        Better::Down => "down",
        Better::None => "none",
    };
    RecordBatch::try_from_iter([
        ("indicator", column(&|model| model.name.clone())),
        ("danish", column(&|model| model.header.danish.clone())),
        ("unit", column(&|model| model.header.unit.clone())),
        ("better", column(&|model| better(model).to_owned())),
        ("why", column(&|model| model.header.why.clone())),
        ("source", column(&|model| model.header.source.clone())),
        ("feeds", column(&|model| model.header.feeds.clone().unwrap_or_default())),
    ])
    .map_err(|error| ModelError::evaluation(CATALOGUE, error))
}
