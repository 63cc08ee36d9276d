//! The whole log of a data folder as tables.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::dataframe::DataFrameWriteOptions;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::{ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl};
use datafusion::error::DataFusionError;
use datafusion::prelude::SessionContext;
use parquet::arrow::ArrowWriter;
use rettidig_event::{Topic, person};
use rettidig_model::catalogue::EVENT_PERSON;
use rettidig_model::contract::Table;
use rettidig_model::persons::{Cells, checked};
use rettidig_model::session::Session;
use rettidig_model::{Layer, Model, ModelError};
use rettidig_runtime::committer::schema_of;
use rettidig_runtime::persons::parameters_of;
use rettidig_runtime::store::FileEntry;
use rettidig_runtime::{Manifest, RuntimeError, Store};
use tempfile::{Builder, TempDir};
use tokio::time::timeout;
use url::Url;

use crate::On;

/// Rows of the person log that are settled in bucket files.
const LOG_SETTLED: &str = "log_settled";

/// Rows of the person log as they came with their epochs; what was settled since stands in both.
const LOG_TAIL: &str = "log_tail";

/// What makes [`EVENT_PERSON`] of them.
const EVENT_PERSON_SQL: &str = include_str!("event_person.sql");

/// Age at which nobody works in a scratch folder any more.
const FORGOTTEN: Duration = Duration::from_secs(7 * 86_400);

/// Longest time for one model or query.
const ANSWER: Duration = Duration::from_secs(3_600);

/// Topics whose log stands in the manifest, and the names of their tables.
const LOGS: [(Topic, &str); 3] = [
    (Topic::Official, "log_official"),
    (Topic::Deliveries, "log_deliveries"),
    (Topic::DeadLetter, "log_dead_letters"),
];

/// The log of an epoch, and everything that SQL makes of it.
///
/// | table | holds |
/// |---|---|
/// | `log_settled`, `log_tail` | events about persons, as they were written; one that was settled may stand in the tail too |
/// | `log_official`, `log_deliveries`, `log_dead_letters` | the other topics |
/// | `event_person`, and of persons: staging, local models, measures | what `sql/` makes of them; made when a query first names it |
/// | the published tables | of the epoch, as portals read them |
///
/// Nothing here has passed disclosure control but the published tables.
pub struct WholeLog<'m> {
    model: &'m Model,
    context: SessionContext,
    session: Session,
    scratch: TempDir,
    made: BTreeSet<String>,
}

fn stop(what: &Path, error: impl std::fmt::Display) -> RuntimeError {
    RuntimeError::stop(
        format!("opening {}", what.display()),
        error,
        "see that the folder is there and can be written to",
    )
}

fn failed(name: &str, error: DataFusionError) -> RuntimeError {
    ModelError::evaluation(name, error).into()
}

/// A cluster may lose a job without a word.
async fn in_time<T>(name: &str, work: impl Future<Output = T>) -> Result<T, RuntimeError> {
    timeout(ANSWER, work).await.map_err(|_| {
        let cause = format!("no answer within {} s", ANSWER.as_secs());
        RuntimeError::stop(
            format!("evaluating {name}"),
            cause,
            "look at the log of the Ballista scheduler, and ask again",
        )
    })
}

/// Removes what questions left behind that were killed long ago.
fn remove_forgotten(scratches: &Path) -> io::Result<()> {
    for entry in fs::read_dir(scratches)? {
        let entry = entry?;
        let age = entry.metadata()?.modified()?.elapsed();
        if age.is_ok_and(|age| age > FORGOTTEN) {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

impl<'m> WholeLog<'m> {
    /// Opens the log that a manifest names, below a data folder. What is made of it is written into a folder of its own there,
    /// which goes with this value.
    ///
    /// # Errors
    /// [`RuntimeError::Stop`] if the cluster does not answer or the folder cannot be written to.
    pub async fn open(
        on: &On,
        folder: &Path,
        model: &'m Model,
        manifest: &Manifest,
    ) -> Result<Self, RuntimeError> {
        let folder = folder.canonicalize().map_err(|error| stop(folder, error))?;
        let scratches = folder.join("scratch");
        fs::create_dir_all(&scratches).map_err(|error| stop(&scratches, error))?;
        remove_forgotten(&scratches).map_err(|error| stop(&scratches, error))?;
        let scratch = Builder::new().prefix("whole-log-").tempdir_in(&scratches);
        let scratch = scratch.map_err(|error| stop(&scratches, error))?;
        let context = on.context().await?;
        let session = Session::over(context.clone());
        let log = Self { model, context, session, scratch, made: BTreeSet::new() };
        log.register_files(&folder, manifest).await?;
        for (name, rows) in model.inputs(&parameters_of(manifest))? {
            log.put(&name, &rows)?;
        }
        Ok(log)
    }

    async fn register_files(&self, folder: &Path, manifest: &Manifest) -> Result<(), RuntimeError> {
        let paths = |files: &mut dyn Iterator<Item = &FileEntry>| -> Vec<PathBuf> {
            files.map(|file| folder.join(&file.path)).collect()
        };
        let persons = manifest.persons.log_files(&Store::local(folder)?).await?;
        let mut buckets = persons.buckets.iter().filter_map(|bucket| bucket.file.as_ref());
        self.register(LOG_SETTLED, &paths(&mut buckets), person::schema())?;
        self.register(LOG_TAIL, &paths(&mut persons.tail.iter().map(|tail| &tail.file)), person::schema())?;
        for (topic, name) in LOGS {
            let mut files = manifest.log.get(topic.name()).into_iter().flatten();
            self.register(name, &paths(&mut files), schema_of(topic))?;
        }
        for (name, file) in &manifest.tables {
            if let Some(table) = Table::named(name) {
                self.register(name, &[folder.join(&file.path)], table.schema())?;
            }
        }
        Ok(())
    }

    /// Makes Parquet files or folders of them known as one table.
    fn register(&self, name: &str, paths: &[PathBuf], schema: SchemaRef) -> Result<(), RuntimeError> {
        // Without a file there is a folder without one.
        let none = [self.scratch.path().join("none")];
        let paths = if paths.is_empty() { &none[..] } else { paths };
        let mut urls = Vec::with_capacity(paths.len());
        for path in paths {
            let url = match path.extension() {
                Some(_) => Url::from_file_path(path),
                None => Url::from_directory_path(path),
            };
            let url = url.map_err(|()| stop(path, "its path is not absolute"))?;
            urls.push(ListingTableUrl::try_new(url, None).map_err(|error| failed(name, error))?);
        }
        let options = ListingOptions::new(Arc::new(ParquetFormat::default())).with_file_extension(".parquet");
        let config =
            ListingTableConfig::new_with_multi_paths(urls).with_listing_options(options).with_schema(schema);
        let table = ListingTable::try_new(config).map_err(|error| failed(name, error))?;
        self.context.register_table(name, Arc::new(table)).map(drop).map_err(|error| failed(name, error))
    }

    /// Writes rows where the whole cluster sees them.
    fn put(&self, name: &str, rows: &RecordBatch) -> Result<(), RuntimeError> {
        let path = self.scratch.path().join(format!("{name}.parquet"));
        let file = File::create_new(&path).map_err(|error| stop(&path, error))?;
        let mut writer =
            ArrowWriter::try_new(file, rows.schema(), None).map_err(|error| stop(&path, error))?;
        writer.write(rows).map_err(|error| stop(&path, error))?;
        writer.close().map_err(|error| stop(&path, error))?;
        self.register(name, &[path], rows.schema())
    }

    /// Runs a query and stores what it gives as a table.
    async fn store(&self, name: &str, sql: &str) -> Result<(), RuntimeError> {
        let begun = Instant::now();
        let path = self.scratch.path().join(name);
        fs::create_dir(&path).map_err(|error| stop(&path, error))?;
        let frame = self.session.plan(name, sql).await?;
        let schema: Schema = frame.schema().as_arrow().clone();
        let to = format!("{}/", path.display());
        let written = frame.write_parquet(&to, DataFrameWriteOptions::new(), None);
        in_time(name, written).await?.map_err(|error| failed(name, error))?;
        self.register(name, &[path], Arc::new(schema))?;
        tracing::info!(model = name, seconds = begun.elapsed().as_secs_f64(), "made of the whole log");
        Ok(())
    }

    /// Makes those of the models that some names need and that are not made yet.
    async fn make(&mut self, mut needed: BTreeSet<String>) -> Result<(), RuntimeError> {
        let model = self.model;
        let models: Vec<_> =
            model.of_persons().filter(|model| model.header.layer < Layer::Published).collect();
        for model in models.iter().rev().filter(|model| !self.made.contains(&model.name)) {
            if needed.contains(&model.name) {
                needed.extend(model.reads.iter().cloned());
            }
        }
        if needed.contains(EVENT_PERSON) && self.made.insert(EVENT_PERSON.to_owned()) {
            self.store(EVENT_PERSON, EVENT_PERSON_SQL).await?;
        }
        for model in models {
            if !needed.contains(&model.name) || !self.made.insert(model.name.clone()) {
                continue;
            }
            if model.header.layer == Layer::Staging {
                let view = self.session.plan(&model.name, &model.sql).await?.into_view();
                self.context.register_table(&model.name, view).map_err(|error| failed(&model.name, error))?;
            } else {
                self.store(&model.name, &model.sql).await?;
            }
        }
        Ok(())
    }

    /// Runs a query over all of it.
    ///
    /// # Errors
    /// [`RuntimeError::Model`] if the SQL is wrong or fails.
    pub async fn query(&mut self, sql: &str) -> Result<RecordBatch, RuntimeError> {
        self.make(self.session.reads("the query", sql)?).await?;
        Ok(in_time("the query", self.session.query("the query", sql)).await??)
    }

    /// The cells of every measure that is added up over persons.
    ///
    /// # Errors
    /// [`RuntimeError::Model`] if the evaluation fails.
    pub async fn cells(&mut self) -> Result<Cells, RuntimeError> {
        let mut cells = Cells::new();
        let model = self.model;
        for measure in model.additive() {
            self.make(measure.reads.clone()).await?;
            let begun = Instant::now();
            let rows = in_time(&measure.name, self.session.query(&measure.name, &measure.sql)).await??;
            let seconds = begun.elapsed().as_secs_f64();
            tracing::info!(model = measure.name, rows = rows.num_rows(), seconds, "cells of the whole log");
            cells.insert(measure.name.clone(), checked(measure, rows)?);
        }
        Ok(cells)
    }
}
