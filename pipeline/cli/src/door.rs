//! `rettidig load` and `rettidig simulate`: the bulk door, and a country to put through it.

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use rettidig_connectors::pseudonym::{Cpr, PseudonymKey};
use rettidig_event::{Clock, DeadLetter, SystemClock};
use rettidig_model::Model;
use rettidig_runtime::load::{Loaded, load};
use rettidig_runtime::metrics::Metrics;
use rettidig_runtime::{Engine, Store};
use rettidig_simulator::{Simulation, SimulationOptions, write_files, write_ndjson};
use secrecy::SecretString;
use serde_json::json;

use crate::output::{line, remark};
use crate::{Load, Shape, Simulate};

/// The key of made-up persons: no secret, because it protects nobody.
pub const DEMO_KEY: &str = "the demo's own key: it protects nobody, its persons are made up";

/// File below the data folder for what a load could not use.
const DEAD_LETTERS: &str = "dead-letters.ndjson";

/// Loads files of canonical events and commits them as one epoch.
pub async fn load_files(options: &Load) -> anyhow::Result<()> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let metrics = Arc::new(Metrics::new().context("registering metrics")?);
    let store = Store::local(&options.data.data)?;
    let begun = Instant::now();
    let mut engine = Engine::open(store, Arc::new(Model::embedded()?), Arc::clone(&clock), metrics).await?;
    let mut letters = Letters { folder: &options.data.data, file: None, failed: None };
    let mut total = Loaded::default();
    let loaded = load(&mut engine, &options.files, clock.now(), &mut |letter| letters.bury(&letter)).await?;
    for (file, loaded) in options.files.iter().zip(loaded) {
        total.lines += loaded.lines;
        total.rejected += loaded.rejected;
        remark(&format!("{}: {} lines, {} put aside", file.display(), loaded.lines, loaded.rejected));
    }
    letters.finish()?;
    if !engine.is_due() {
        return Ok(line("nothing new: no epoch")?);
    }
    let report = engine.commit().await?;
    let seconds = begun.elapsed().as_secs_f64();
    if options.data.json {
        let object = json!({
            "epoch": report.epoch, "lines": total.lines, "rejected": total.rejected, "events": report.events,
            "duplicates": report.duplicates, "persons": report.persons, "seconds": seconds,
        });
        return Ok(line(&object.to_string())?);
    }
    line(&format!(
        "epoch={} lines={} events={} duplicates={} put_aside={} persons={} seconds={seconds:.1}",
        report.epoch, total.lines, report.events, report.duplicates, total.rejected, report.persons
    ))?;
    Ok(())
}

/// Where a load puts what it cannot use; made when the first comes.
struct Letters<'a> {
    folder: &'a Path,
    file: Option<std::io::BufWriter<std::fs::File>>,
    failed: Option<std::io::Error>,
}

impl Letters<'_> {
    fn bury(&mut self, letter: &DeadLetter) {
        if let Err(error) = self.write(letter) {
            self.failed.get_or_insert(error);
        }
    }

    fn write(&mut self, letter: &DeadLetter) -> std::io::Result<()> {
        if self.file.is_none() {
            let path = self.folder.join(DEAD_LETTERS);
            remark(&format!("what cannot be used goes to {}", path.display()));
            let file = std::fs::File::options().append(true).create(true).open(path)?;
            self.file = Some(std::io::BufWriter::new(file));
        }
        match &mut self.file {
            Some(file) => file.write_all(&letter.to_json()).and_then(|()| file.write_all(b"\n")),
            None => Ok(()),
        }
    }

    /// Nothing is committed unless every letter is safely written.
    fn finish(self) -> anyhow::Result<()> {
        let context = || format!("writing {}", self.folder.join(DEAD_LETTERS).display());
        if let Some(error) = self.failed {
            return Err(error).with_context(context);
        }
        match self.file {
            Some(file) => file
                .into_inner()
                .map_err(std::io::IntoInnerError::into_error)?
                .sync_all()
                .with_context(context),
            None => Ok(()),
        }
    }
}

/// The key of a file, or the demo's.
pub fn key(file: Option<&Path>) -> anyhow::Result<PseudonymKey> {
    Ok(match file {
        Some(file) => PseudonymKey::from_file(file)?,
        None => PseudonymKey::from_text(SecretString::from(DEMO_KEY))?,
    })
}

/// The pseudonym of a made-up person.
pub fn pseudonym(key: &PseudonymKey, cpr: &str) -> [u8; 16] {
    // The simulator makes numbers that have the form of a CPR number.
    Cpr::parse(cpr).ok().and_then(|cpr| key.person(&cpr).ok()).unwrap_or_default()
}

/// Writes a simulated country.
pub fn simulate(options: &Simulate) -> anyhow::Result<()> {
    let key = key(options.key_file.as_deref())?;
    if options.key_file.is_none() {
        remark("pseudonyms with the demo's own key, which is no secret: the persons are made up");
    }
    let simulation = Simulation::new(&SimulationOptions {
        persons: options.persons,
        months: options.months,
        seed: options.seed,
        ..SimulationOptions::default()
    });
    let pseudonym = |cpr: &str| pseudonym(&key, cpr);
    let written = match options.shape {
        Shape::Files => write_files(simulation, &options.out, &pseudonym),
        Shape::Ndjson => write_ndjson(simulation, &options.out, &pseudonym),
    };
    let written = written.with_context(|| format!("writing to {}", options.out.display()))?;
    line(&format!(
        "deliveries={} records={} files={} bytes={}",
        written.deliveries, written.records, written.files, written.bytes
    ))?;
    Ok(())
}
