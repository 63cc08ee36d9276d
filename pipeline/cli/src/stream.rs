//! The demo's daily stream: simulated people of all 98 municipalities, who take the way real ones would.
//!
//! What the source systems write is put as files into drop folders, one a feed; the shipped profiles read them,
//! make pseudonyms and produce; the worker commits; then the files are removed. Language tests and origin have no
//! source format: their events are produced as they are. First comes the life until the release as one epoch, then
//! one epoch a day. The same data folder goes on where it was: a day whose epoch is committed is only skipped, one
//! that was cut short is delivered again, which changes nothing that had arrived.
//!
//! Nobody in the files exists. Their numbers stand in the drop folders and nowhere else.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use async_trait::async_trait;
use chrono::{DateTime, Days, NaiveDate, NaiveTime, Utc};
use rettidig_connectors::driver::{self, CursorStore};
use rettidig_connectors::pseudonym::PseudonymKey;
use rettidig_connectors::sources::{self, FeedOptions};
use rettidig_event::{Clock, ManualClock, Sink, SinkError, Source, Topic};
use rettidig_runtime::kafka::KafkaSink;
use rettidig_runtime::persons::AuditReport;
use rettidig_runtime::{EpochReport, Manifest};
use rettidig_simulator::{Simulation, SimulationOptions, SourceFile, System};
use serde::Deserialize;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use crate::key;
use crate::output::{line, remark};
use crate::plant::Plant;
use crate::{Demo, demo, door, run};

/// Folder below the data folder that the files arrive in, one folder a feed.
pub const DROP: &str = "drop";

/// Folder below the drop folders for files that were read and wait for their commit, out of the connectors' sight.
const READ: &str = "read";

/// File below the data folder with the demo's key.
const KEY: &str = "demo.key";

/// File below the data folder that says how many persons the country has.
pub const PERSONS: &str = "demo.persons";

/// The systems whose files the connectors read; the name of each is also its shipped profile's.
const FEEDS: [System; 4] = [System::Yr, System::Ky, System::Amanda, System::Income];

/// What the shipped profiles say of when a file is complete; ours are renamed into their place.
const STABLE: &str = "ready: { stable_seconds: 60 }";

/// Files of the past that are put down before the connectors read them.
const FILES_AT_ONCE: usize = 1_000;

/// Polls of one feed in a row beyond which something is wrong: each reads a hundred files.
const POLLS_MAX: usize = 1_000;

/// How often the auditor takes a step while the next day is awaited.
const AUDIT_EVERY: Duration = Duration::from_secs(1);

/// The day after which the simulated country ends.
const END: (i32, u32, u32) = (2028, 7, 31);

/// Months simulated until then: 13 before the release, with that of the release.
const MONTHS: u32 = 36;

/// The day of the release's last step; the life until then is the past.
const PAST_UNTIL: (i32, u32, u32) = (2026, 8, 22);

/// When a day's files are read, UTC: in the evening, in Denmark too.
const EVENING: (u32, u32, u32) = (20, 0, 0);

fn date((year, month, day): (i32, u32, u32)) -> NaiveDate {
    NaiveDate::from_ymd_opt(year, month, day).unwrap_or_default()
}

fn evening(day: NaiveDate) -> DateTime<Utc> {
    let (hour, minute, second) = EVENING;
    day.and_time(NaiveTime::from_hms_opt(hour, minute, second).unwrap_or_default()).and_utc()
}

/// The simulated country of the demo: the same for any number of days.
fn simulation(persons: u64) -> SimulationOptions {
    SimulationOptions { persons, months: MONTHS, end: date(END), ..SimulationOptions::default() }
}

/// Streams until the days are over, the country ends or Ctrl-C comes; `false` in the last case.
pub async fn stream(
    plant: &mut Plant,
    folder: &Path,
    clock: &ManualClock,
    options: &Demo,
) -> anyhow::Result<bool> {
    let stop = CancellationToken::new();
    let (signal, guard) = (stop.clone(), stop.clone().drop_guard());
    let signals = tokio::spawn(async move {
        run::signalled().await;
        signal.cancel();
    });
    let key = Arc::new(demo_key(&folder.join(KEY))?);
    let mut delivery = Delivery::open(folder, &key, plant)?;
    same_country(&folder.join(PERSONS), options.persons)?;
    let through = options.days.map(|days| date(PAST_UNTIL) + Days::new(u64::from(days)));
    let mut state = State { folder, options, delivery: &mut delivery };
    let pseudonym = |cpr: &str| door::pseudonym(&key, cpr);
    let mut past = Vec::new();
    for day in Simulation::new(&simulation(options.persons)) {
        if stop.is_cancelled() || through.is_some_and(|through| day.date > through) {
            break;
        }
        let until = day.date.max(date(PAST_UNTIL));
        let is_past = day.date < until;
        if plant.worker.engine().manifest().is_some_and(|known| known.committed_at >= evening(until)) {
            clock.set(evening(until));
            continue;
        }
        let begun = Instant::now();
        past.extend(day.files);
        if past.len() >= FILES_AT_ONCE || !is_past {
            state.delivery.deliver(&past, &pseudonym, evening(day.date)).await?;
            past.clear();
        }
        if is_past {
            continue;
        }
        clock.set(evening(day.date));
        state.commit(plant, day.date).await?;
        if day.date > date(PAST_UNTIL) {
            let wait = if options.speed > 0.0 { 1.0 / options.speed } else { 0.0 };
            rest(plant, &stop, begun + Duration::from_secs_f64(wait)).await?;
        }
    }
    if !stop.is_cancelled() {
        let audited = loop {
            if let Some(audited) = plant.worker.audit_step().await? {
                break audited;
            }
        };
        tell_audit(&audited, options.json)?;
    }
    let went_on = !stop.is_cancelled();
    signals.abort();
    drop(guard);
    Ok(went_on)
}

/// Waits for the next day; meanwhile the auditor goes on, by one step at least.
async fn rest(plant: &mut Plant, stop: &CancellationToken, until: Instant) -> anyhow::Result<()> {
    loop {
        plant.worker.audit_step().await?;
        let left = until.saturating_duration_since(Instant::now());
        if stop.is_cancelled() || left.is_zero() {
            return Ok(());
        }
        tokio::select! {
            () = tokio::time::sleep(left.min(AUDIT_EVERY)) => {}
            () = stop.cancelled() => {}
        }
    }
}

/// Tells what the last round of the auditor found.
fn tell_audit(audited: &AuditReport, as_json: bool) -> anyhow::Result<()> {
    if as_json {
        return Ok(line(&json!({ "audit_mismatch_cells": audited.mismatch_cells }).to_string())?);
    }
    Ok(line(&format!("audit     {} mismatches", audited.mismatch_cells))?)
}

/// Refuses to go on with other people than the folder was begun with: those there would never leave.
fn same_country(path: &Path, persons: u64) -> anyhow::Result<()> {
    let begun = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let new = path.with_extension("new");
            std::fs::write(&new, persons.to_string())
                .and_then(|()| std::fs::rename(&new, path))
                .with_context(|| format!("making {}", path.display()))?;
            return Ok(());
        }
        Err(error) => return Err(error).with_context(|| format!("reading {}", path.display())),
    };
    anyhow::ensure!(
        begun == persons.to_string(),
        "this folder's demo was begun with --persons {begun}: go on with that, or choose another --data"
    );
    Ok(())
}

/// The key of the data folder, made if there is none.
fn demo_key(path: &Path) -> anyhow::Result<PseudonymKey> {
    if !path.exists() {
        let random = key::random()?;
        let text = Zeroizing::new(random.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
        key::create(path, &text)?;
    }
    let key = PseudonymKey::from_file(path)?;
    remark(&format!(
        "pseudonyms with the demo's own key {} (key_id {}); the persons are made up",
        path.display(),
        key.key_id()
    ));
    Ok(key)
}

/// The producer, and what it produced since the last commit.
struct Counting {
    sink: KafkaSink,
    /// Messages since the start, dead letters not counted.
    messages: u64,
    corrections: u64,
    first: Option<Instant>,
}

/// What tells a correction from other events.
#[derive(Deserialize)]
struct Probe<'a> {
    op: &'a str,
    #[serde(default)]
    revision: i64,
    amount_oere: Option<i64>,
}

/// Whether an event changes what was delivered before: a negative amount added, a deletion, a revision.
fn is_correction(payload: &[u8]) -> bool {
    serde_json::from_slice::<Probe<'_>>(payload).is_ok_and(|event| match event.op {
        "add" => event.amount_oere.is_some_and(|amount| amount < 0),
        "delete" => true,
        _ => event.revision > 0,
    })
}

#[async_trait]
impl Sink for Counting {
    async fn send(&mut self, topic: Topic, key: &str, payload: Vec<u8>) -> Result<(), SinkError> {
        self.first.get_or_insert_with(Instant::now);
        self.messages += u64::from(topic != Topic::DeadLetter);
        self.corrections += u64::from(is_correction(&payload));
        self.sink.send(topic, key, payload).await
    }

    async fn flush(&mut self) -> Result<(), SinkError> {
        self.sink.flush().await
    }
}

/// A feed: its folder and what reads it.
struct Feed {
    name: &'static str,
    folder: PathBuf,
    source: Box<dyn Source>,
}

/// Puts files down and has them read.
struct Delivery {
    feeds: Vec<Feed>,
    sink: Counting,
    cursors: CursorStore,
    /// When the files are read; of the past, when it was.
    clock: ManualClock,
    metrics: Arc<rettidig_runtime::metrics::Metrics>,
    /// The folder of the files that were read and are not yet removed.
    read: PathBuf,
    /// Where the topics stood at the start.
    committed: u64,
}

/// Messages of all topics that an epoch stands after.
fn committed(manifest: Option<&Manifest>) -> u64 {
    let positions = manifest.into_iter().flat_map(|manifest| manifest.positions.values());
    let next = positions.flat_map(|partitions| partitions.values()).map(|position| position.next);
    next.filter_map(|next| u64::try_from(next).ok()).sum()
}

impl Delivery {
    fn open(folder: &Path, key: &Arc<PseudonymKey>, plant: &Plant) -> anyhow::Result<Self> {
        let mut feeds = Vec::new();
        for system in FEEDS {
            let name = system.prefix();
            let folder = folder.join(DROP).join(name);
            std::fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
            let shipped = sources::default_feed_profile(name)?;
            let profile = shipped.replacen(STABLE, "ready: rename", 1);
            anyhow::ensure!(profile != shipped, "the shipped profile {name} does not say `{STABLE}`");
            let place = folder.to_str().context("the data folder's name is no text")?;
            let options = FeedOptions { place, storage: &BTreeMap::new(), key: Arc::clone(key) };
            let source = sources::build_feed(name, Some(&profile), &options)?;
            feeds.push(Feed { name, folder, source });
        }
        let sink = KafkaSink::connect(&plant.kafka)?;
        Ok(Self {
            feeds,
            sink: Counting { sink, messages: 0, corrections: 0, first: None },
            cursors: plant.cursors.clone(),
            clock: ManualClock::new(evening(date(PAST_UNTIL))),
            metrics: Arc::clone(&plant.metrics),
            read: folder.join(DROP).join(READ),
            committed: committed(plant.worker.engine().manifest()),
        })
    }

    /// Brings files to the topics: all are acknowledged when it returns.
    async fn deliver(
        &mut self,
        files: &[SourceFile],
        pseudonym: rettidig_simulator::Pseudonym<'_>,
        at: DateTime<Utc>,
    ) -> anyhow::Result<()> {
        self.clock.set(at);
        for file in files {
            match self.feeds.iter().find(|feed| feed.name == file.system().prefix()) {
                Some(feed) => put(&feed.folder, file, pseudonym)
                    .with_context(|| format!("putting {} into {}", file.name(), feed.folder.display()))?,
                None => self.produce(file, pseudonym).await?,
            }
        }
        self.sink.flush().await?;
        for at in 0..self.feeds.len() {
            self.read(at).await?;
        }
        Ok(())
    }

    /// Produces the events of a file that has no source format, and its delivery.
    async fn produce(
        &mut self,
        file: &SourceFile,
        pseudonym: rettidig_simulator::Pseudonym<'_>,
    ) -> anyhow::Result<()> {
        let mut events = Vec::with_capacity(file.record_count());
        file.for_each_event(pseudonym, &mut |key, event| events.push((key.to_owned(), event.to_vec())));
        for (key, event) in events {
            self.sink.send(file.topic(), &key, event).await?;
        }
        let mut delivery = Vec::new();
        file.write_delivery(&mut delivery);
        Ok(self.sink.send(Topic::Deliveries, &file.source(), delivery.trim_ascii_end().to_vec()).await?)
    }

    /// Has one feed read what lies in its folder.
    async fn read(&mut self, at: usize) -> anyhow::Result<()> {
        let feed = &mut self.feeds[at];
        let entries = std::fs::read_dir(&feed.folder).and_then(|entries| {
            entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>()
        });
        let lying = entries.with_context(|| format!("listing {}", feed.folder.display()))?;
        if lying.is_empty() {
            return Ok(());
        }
        for _ in 0..POLLS_MAX {
            let source = feed.source.as_mut();
            let outcome = driver::poll_once(source, &self.cursors, &self.clock, &mut self.sink).await?;
            self.metrics.connector_records_total.with_label_values(&[feed.name]).inc_by(outcome.records);
            if let Some(failure) = outcome.failures.first() {
                anyhow::bail!("{}: {}", feed.name, driver::chain(failure));
            }
            if outcome.next_poll > self.clock.now() {
                let done = self.read.join(feed.name);
                std::fs::create_dir_all(&done).with_context(|| format!("making {}", done.display()))?;
                return lying.iter().try_for_each(|path| {
                    let name = path.file_name().unwrap_or_default();
                    let moved = std::fs::rename(path, done.join(name));
                    moved.with_context(|| format!("moving {} to {}", path.display(), done.display()))
                });
            }
        }
        anyhow::bail!("{}: its folder does not come to an end after {POLLS_MAX} polls", feed.name)
    }

    /// What has been produced and is not committed yet.
    fn lag(&self, manifest: Option<&Manifest>) -> u64 {
        self.sink.messages.saturating_sub(committed(manifest).saturating_sub(self.committed))
    }

    /// Removes what was read, once it is committed.
    fn tidy(&self) -> anyhow::Result<()> {
        match std::fs::remove_dir_all(&self.read) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("removing {}", self.read.display()))
            }
            _ => Ok(()),
        }
    }
}

/// Writes a file beside its place, with the time it arrives, and renames it there.
fn put(
    folder: &Path,
    file: &SourceFile,
    pseudonym: rettidig_simulator::Pseudonym<'_>,
) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    file.write_bytes(pseudonym, &mut bytes);
    let name = file.name();
    let part = folder.join(format!("{name}.part"));
    let mut open = std::fs::File::create(&part)?;
    open.write_all(&bytes)?;
    open.set_modified(file.delivered_at().into())?;
    drop(open);
    std::fs::rename(&part, folder.join(name))
}

/// What a day's end needs.
struct State<'a> {
    folder: &'a Path,
    options: &'a Demo,
    delivery: &'a mut Delivery,
}

impl State<'_> {
    /// Commits what was delivered as the epoch of `day`, tells of it, and removes the files.
    async fn commit(&mut self, plant: &mut Plant, day: NaiveDate) -> anyhow::Result<()> {
        let report = plant.worker.catch_up().await?;
        let freshness = self.delivery.sink.first.take().map(|first| first.elapsed().as_secs_f64());
        self.delivery.tidy()?;
        let corrections = std::mem::take(&mut self.delivery.sink.corrections);
        let Some(report) = report else {
            remark(&format!("{day}: nothing new in {}", self.folder.display()));
            return Ok(());
        };
        self.tell(plant, day, &report, freshness, corrections)
    }

    fn tell(
        &self,
        plant: &Plant,
        day: NaiveDate,
        report: &EpochReport,
        freshness: Option<f64>,
        corrections: u64,
    ) -> anyhow::Result<()> {
        let engine = plant.worker.engine();
        let lag = self.delivery.lag(engine.manifest());
        let mismatches = engine.audit().newest().map(|audited| audited.mismatch_cells);
        let (log_rows, cells) = (engine.shard().log().rows(), engine.state().cells().len());
        let snapshot = engine.snapshots().borrow().clone();
        let drifting =
            snapshot.map(|snapshot| demo::drifting_names(&snapshot, &plant.model)).unwrap_or_default();
        #[allow(clippy::cast_precision_loss, reason = "a rate is a float")]
        let rate = freshness.filter(|seconds| *seconds > 0.0).map(|seconds| report.events as f64 / seconds);
        if self.options.json {
            let object = json!({
                "day": day, "epoch": report.epoch, "events": report.events, "duplicates": report.duplicates,
                "dead_letters": report.dead_letters, "events_per_second": rate, "lag": lag,
                "freshness_seconds": freshness, "corrections": corrections, "persons": report.persons,
                "log_rows": log_rows, "cells": cells, "drifting": drifting, "audit_mismatch_cells": mismatches,
            });
            return Ok(line(&object.to_string())?);
        }
        if day == date(PAST_UNTIL) {
            line(
                "\nSimulated people of all municipalities: the past, then day by day. Nobody of them exists.\n\
                 corrected: negative amounts added, deletions, revisions of delivered records.",
            )?;
        }
        let audit = mismatches.map_or_else(|| "not yet".to_owned(), |cells| format!("{cells} mismatches"));
        line(&format!(
            "{day}  epoch {:>3}  {:>7} events  {:>7.0}/s  lag {lag}  fresh {:.2} s  {corrections} corrected  \
             {} persons evaluated  log {log_rows} rows  {cells} cells  {} drifting  audit {audit}",
            report.epoch,
            report.events,
            rate.unwrap_or_default(),
            freshness.unwrap_or_default(),
            report.persons,
            drifting.len(),
        ))?;
        Ok(())
    }
}
