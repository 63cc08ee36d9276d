//! The demo's audit: everything about the persons of a committed epoch, computed anew from its log, beside the stream.
//!
//! It opens the committed files by itself and shares nothing with the engine. An audit takes as long as it takes; when
//! one is over, the next one takes the newest epoch. Files of an epoch are kept for a while only: an audit that was
//! overtaken is given up and told nowhere.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rettidig_model::Model;
use rettidig_model::persons::Parameters;
use rettidig_runtime::engine::EPOCHS_KEPT;
use rettidig_runtime::persons::{Limits, Persons};
use rettidig_runtime::{Manifest, RuntimeError, Store};
use serde::Serialize;
use tokio::task::JoinHandle;

use crate::plant::Plant;

/// What an audit found.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Audited {
    /// The epoch.
    pub epoch: u64,
    /// Cells compared.
    pub cells: usize,
    /// Cells that differ.
    pub mismatches: u64,
}

impl fmt::Display for Audited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "epoch {}: {} mismatches", self.epoch, self.mismatches)
    }
}

/// Audits one epoch after the other.
pub struct Auditor {
    store: Store,
    model: Arc<Model>,
    running: Option<(u64, JoinHandle<Result<Audited, RuntimeError>>)>,
    newest: Option<Audited>,
    epoch: u64,
    manifest: Option<Manifest>,
}

impl Auditor {
    /// Of a data folder.
    pub fn new(plant: &Plant, folder: &Path) -> anyhow::Result<Self> {
        let (store, model) = (Store::local(folder)?, Arc::clone(&plant.model));
        Ok(Self { store, model, running: None, newest: None, epoch: 0, manifest: None })
    }

    /// What the newest audit found.
    pub fn newest(&self) -> Option<&Audited> {
        self.newest.as_ref()
    }

    /// Takes in what has ended, and begins with the newest epoch if nothing runs.
    pub async fn go_on(&mut self, plant: &Plant) -> anyhow::Result<()> {
        self.manifest = plant.worker.engine().manifest().cloned();
        self.epoch = self.manifest.as_ref().map_or(0, |manifest| manifest.epoch);
        if self.running.as_ref().is_some_and(|(_, task)| !task.is_finished()) {
            return Ok(());
        }
        self.take().await?;
        self.begin();
        Ok(())
    }

    fn begin(&mut self) {
        if let Some(manifest) = self.manifest.take() {
            let epoch = manifest.epoch;
            let task = tokio::spawn(audit(self.store.clone(), Arc::clone(&self.model), manifest));
            self.running = Some((epoch, task));
        }
    }

    async fn take(&mut self) -> anyhow::Result<()> {
        let Some((epoch, task)) = self.running.take() else { return Ok(()) };
        match task.await? {
            Ok(audited) => self.newest = Some(audited),
            Err(error) if self.epoch < epoch + EPOCHS_KEPT as u64 - 1 => return Err(error.into()),
            // Its files are gone.
            Err(_) => {}
        }
        Ok(())
    }

    /// Ends with an audit of the newest epoch.
    pub async fn finish(&mut self) -> anyhow::Result<Option<Audited>> {
        self.take().await?;
        self.begin();
        self.take().await?;
        Ok(self.newest)
    }
}

async fn audit(store: Store, model: Arc<Model>, manifest: Manifest) -> Result<Audited, RuntimeError> {
    let with =
        Parameters { as_of: manifest.as_of, income_delivered: manifest.persons.income_delivered.clone() };
    let mut persons = Persons::open(store, model, &manifest.persons, with, true, Limits::default()).await?;
    let (epoch, cells) = (manifest.epoch, persons.cells().len());
    loop {
        if let Some(report) = persons.audit_step(manifest.committed_at).await? {
            return Ok(Audited { epoch, cells, mismatches: report.mismatch_cells });
        }
    }
}
