//! `check`, `query`, `recompute`, `export-delta`: they read committed epochs and print.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use arrow::array::RecordBatch;
use clap::Args;
use rettidig_cluster::WholeLog;
use rettidig_model::Model;
use rettidig_model::contract::Table;
use rettidig_model::session::Session;
use rettidig_runtime::{Manifest, Store, as_known, preflight, recompute as recomputation};
use rettidig_serve::delta;
use serde_json::json;

use crate::config::Config;
use crate::output::{line, remark};
use crate::run::Role;
use crate::{Data, Query, Recompute, history, theory};

/// What is exported, and where to.
#[derive(Debug, Args)]
pub struct ExportDelta {
    /// Folder of the Delta tables; it is made, or goes on from where the last export left it.
    #[arg(long)]
    to: PathBuf,
    /// An epoch whose files are still kept; the newest without it.
    #[arg(long)]
    epoch: Option<u64>,
    /// The closed tables too: the economy of municipalities. Keep the folder where only they may be read.
    #[arg(long)]
    closed: bool,
    #[command(flatten)]
    data: Data,
}

/// Opens a folder that must be there already.
pub fn open(folder: &Path) -> anyhow::Result<Store> {
    anyhow::ensure!(
        folder.join("epochs").is_dir(),
        "{} holds no epochs: run `rettidig demo --once --data {0}` or name another folder with --data",
        folder.display()
    );
    Ok(Store::local(folder)?)
}

/// Prints errors, one a line; the exit code for them.
pub fn report(errors: &[String]) -> ExitCode {
    errors.iter().for_each(|error| remark(&format!("error: {error}")));
    if errors.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Checks configuration and model; with `online`, what a role needs of the cluster too.
pub async fn check(file: Option<&Path>, online: bool, role: Role) -> ExitCode {
    let config = Config::load(file);
    let mut errors = Vec::new();
    match (&config, online) {
        (Ok(config), true) => match (config.kafka(), role.part()) {
            (Some(kafka), Some(part)) => errors.extend(preflight::findings(&kafka, part).await),
            (None, _) => remark("kafka.brokers names no cluster: the embedded broker needs no check"),
            (_, None) => remark("this role uses no Kafka: nothing to check there"),
        },
        (Ok(_), false) => {}
        (Err(found), _) => errors.clone_from(found),
    }
    match Model::embedded() {
        Ok(model) if errors.is_empty() => {
            let text =
                format!("ok: {} SQL models, {} reference tables", model.models.len(), model.reference.len());
            if let Err(error) = line(&text) {
                errors.push(error.to_string());
            }
        }
        Ok(_) => {}
        Err(error) => errors.push(error.to_string()),
    }
    report(&errors)
}

/// The newest epoch of a folder.
async fn newest(store: &Store) -> anyhow::Result<Manifest> {
    let (manifest, _) = Manifest::newest(store).await?.context("the folder holds no epoch")?;
    Ok(manifest)
}

/// Runs a query over the published tables or the whole log.
pub async fn query(query: &Query) -> anyhow::Result<()> {
    let store = open(&query.data.data)?;
    let rows = match &query.on {
        Some(on) => {
            let (model, manifest) = (Model::embedded()?, newest(&store).await?);
            WholeLog::open(on, &query.data.data, &model, &manifest).await?.query(&query.sql).await?
        }
        None => query_tables(&store, query).await?,
    };
    if query.data.json {
        return Ok(line(&json_of(&rows)?)?);
    }
    Ok(line(&arrow::util::pretty::pretty_format_batches(&[rows])?.to_string())?)
}

/// Rows as a JSON array of objects.
fn json_of(rows: &RecordBatch) -> anyhow::Result<String> {
    let mut writer = arrow::json::ArrayWriter::new(Vec::new());
    writer.write(rows)?;
    writer.finish()?;
    let text = String::from_utf8(writer.into_inner())?;
    Ok(if text.is_empty() { "[]".to_owned() } else { text })
}

/// Prints the theory of change as a tree.
pub async fn theory(data: &Data) -> anyhow::Result<()> {
    let store = open(&data.data)?;
    let query = Query { sql: theory::SQL.to_owned(), as_known: None, on: None, data: data.clone() };
    let rows = json_of(&query_tables(&store, &query).await?)?;
    if data.json {
        return Ok(line(&rows)?);
    }
    let nodes: Vec<theory::Node> = serde_json::from_str(&rows)?;
    remark("what goes together in time; nothing here says what caused what");
    for text in theory::lines(&nodes) {
        line(&text)?;
    }
    Ok(())
}

/// Prints the past of the official figures as OpenMetrics.
pub async fn history(folder: &Path) -> anyhow::Result<()> {
    let store = open(folder)?;
    let data = Data { data: folder.to_owned(), json: false };
    let query = Query { sql: history::SQL.to_owned(), as_known: None, on: None, data };
    let rows = json_of(&query_tables(&store, &query).await?)?;
    let samples: Vec<history::Sample> = serde_json::from_str(&rows)?;
    let mut text = Vec::new();
    history::write(&samples, &mut text)?;
    Ok(line(String::from_utf8(text)?.trim_end())?)
}

/// Writes an epoch as a version of Delta tables.
pub async fn export_delta(arguments: &ExportDelta) -> anyhow::Result<()> {
    let store = open(&arguments.data.data)?;
    let report = delta::export(&store, arguments.epoch, &arguments.to, arguments.closed).await?;
    let exported = &report.exported;
    if arguments.data.json {
        let object =
            json!({ "epoch": exported.epoch, "written": report.written, "versions": exported.tables });
        return Ok(line(&object.to_string())?);
    }
    let (tables, written) = (exported.tables.len(), report.written);
    Ok(line(&format!("epoch={} tables={tables} written={written}", exported.epoch))?)
}

async fn query_tables(store: &Store, query: &Query) -> anyhow::Result<RecordBatch> {
    let session = Session::default();
    let tables: BTreeMap<&str, RecordBatch> = match query.as_known {
        Some(at) => {
            let model = Model::embedded()?;
            let read = session.reads("the query", &query.sql)?;
            as_known::as_known(store, &model, at, as_known::are_of_persons(&model, &read)).await?
        }
        None => {
            let mut tables = BTreeMap::new();
            for (name, entry) in &newest(store).await?.tables {
                if let Some(table) = Table::named(name) {
                    tables.insert(table.name, store.get_parquet(entry, table.schema()).await?);
                }
            }
            tables
        }
    };
    for (name, batch) in tables {
        session.register(name, batch)?;
    }
    Ok(session.query("the query", &query.sql).await?)
}

/// Recomputes and compares; exit code 1 on any difference.
pub async fn recompute(recompute: &Recompute) -> anyhow::Result<ExitCode> {
    let data = &recompute.data;
    let (store, model) = (open(&data.data)?, Model::embedded()?);
    let comparison = match &recompute.on {
        Some(on) => {
            let manifest = newest(&store).await?;
            recomputation::comparable(&manifest, &model)?;
            let cells = WholeLog::open(on, &data.data, &model, &manifest).await?.cells().await?;
            recomputation::compare_epoch(&store, &model, &manifest, Some(&cells)).await?
        }
        None => recomputation::recompute(&store, &model).await?,
    };
    if data.json {
        let object = json!({
            "epoch": comparison.epoch, "cells": comparison.cells, "mismatches": comparison.mismatches,
            "by_table": comparison.by_table, "frozen": comparison.frozen,
        });
        line(&object.to_string())?;
    } else {
        line(&format!(
            "epoch={} cells={} mismatches={}",
            comparison.epoch, comparison.cells, comparison.mismatches
        ))?;
        for (month, indicator) in &comparison.frozen {
            line(&format!("  frozen: {month}, because of {indicator}"))?;
        }
        for (table, mismatches) in comparison.by_table.iter().filter(|(_, mismatches)| **mismatches > 0) {
            line(&format!("  {table}: {mismatches}"))?;
        }
    }
    Ok(if comparison.mismatches == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
