//! Storage that fails: whatever goes wrong at whatever step, the folder ends as if nothing had.
//!
//! Goal: the old epoch or the new one, never a mix; nothing lost and nothing twice. Method: a stream of events about
//! persons and of figures is committed in pieces, with limits so small that files are merged, buckets compacted and whole
//! buckets recomputed. Then the same again on storage that dies at a step, fails at random, or loses an answer. Manifests
//! name every file by the digest of its content and the manifest before by its own, and the clock is set by hand: so the
//! newest manifests are the same bytes if and only if everything ever committed is.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Days, TimeDelta, Utc};
use rettidig_event::{ManualClock, Topic};
use rettidig_model::Model;
use rettidig_oracle::{Options, random_rows, shuffled};
use rettidig_runtime::ingest::OwnedMessage;
use rettidig_runtime::metrics::Metrics;
use rettidig_runtime::persons::{BucketEntry, Limits};
use rettidig_runtime::recompute::recompute;
use rettidig_runtime::{Engine, Manifest, RuntimeError, Store};
use rettidig_tests::events::event;
use rettidig_tests::seeds;
use rettidig_tests::storage::{Fault, Faults, FaultyStorage};

const SMALL: Limits = Limits {
    chunk_persons: 16,
    bulk_rows: 300,
    bulk_share: 3,
    spill_rows: 250,
    tail_rows: 150,
    tail_files: 2,
    audit_rows: 600,
};

const PIECES: usize = 6;

/// What comes between two epochs.
type Piece = BTreeMap<Topic, Vec<OwnedMessage>>;

/// A stream cut into pieces, and how it is worked on.
struct Work {
    model: Arc<Model>,
    /// From this piece on another model.
    redefined: Option<(usize, Arc<Model>)>,
    pieces: Vec<Piece>,
}

fn figure(area: usize, value: usize) -> Vec<u8> {
    format!(
        r#"{{"publisher":"jobindsats","table":"y25i01","measure":"full_time_unemployed","area":{area},"period":"2026M07","breakdown":{{}},"value":"{value}","status":"final","published_at":"2026-08-{:02}T06:00:00Z","retrieved_at":"2026-08-{:02}T07:00:00Z"}}"#,
        value % 20 + 1,
        value % 20 + 1,
    )
    .into_bytes()
}

impl Work {
    fn new(seed: u64) -> Self {
        let rows = shuffled(&random_rows(seed, 25, &Options::default()), seed);
        let mut next: BTreeMap<Topic, i64> = BTreeMap::new();
        let mut pieces = Vec::new();
        let mut start = 0;
        for number in 0..PIECES {
            // One large piece, which recomputes buckets, among small ones.
            let share = if number == 2 { rows.num_rows() / 2 } else { rows.num_rows() / (2 * PIECES) };
            let end = if number + 1 == PIECES { rows.num_rows() } else { start + share };
            let figures = [101, 751].map(|area| (Topic::Official, figure(area, 100 + number)));
            let mut piece = Piece::new();
            for (topic, payload) in (start..end).map(|row| event(&rows, row)).chain(figures) {
                let offset = next.entry(topic).or_default();
                piece.entry(topic).or_default().push(OwnedMessage {
                    partition: 0,
                    offset: *offset,
                    stamp: None,
                    payload,
                });
                *offset += 1;
            }
            pieces.push(piece);
            start = end;
        }
        Self { model: rettidig_tests::model(), redefined: None, pieces }
    }

    /// The same with a definition that changes in the middle: days without sickness benefit no longer end a spell at once.
    fn redefined(seed: u64) -> Self {
        let mut files = Model::embedded_files();
        let benefits =
            files.iter_mut().find(|file| file.path == "reference/benefits.csv").expect("benefits.csv");
        let text = benefits.text.replacen(",one_day,", ",full_calendar_month,", 1);
        assert_ne!(text, benefits.text, "a gap rule was changed");
        benefits.text = text;
        Self { redefined: Some((3, Arc::new(Model::load(files).expect("model")))), ..Self::new(seed) }
    }

    /// The model that an epoch is made with.
    fn model_of(&self, number: usize) -> &Arc<Model> {
        match &self.redefined {
            Some((from, model)) if number >= *from => model,
            _ => &self.model,
        }
    }

    /// When a piece comes.
    fn instant(number: usize) -> DateTime<Utc> {
        let first: DateTime<Utc> = "2026-08-25T10:00:00Z".parse().expect("instant");
        first + Days::new(number as u64)
    }

    async fn open(&self, store: &Store, clock: &Arc<ManualClock>) -> Result<Engine, RuntimeError> {
        let metrics = Arc::new(Metrics::new().expect("metrics"));
        let next = Manifest::numbers(store).await?.len();
        let model = Arc::clone(self.model_of(next));
        Engine::open_with(store.clone(), model, clock.clone(), metrics, SMALL).await
    }

    /// Takes the piece after the newest epoch in and commits it.
    async fn one(&self, engine: &mut Engine, clock: &ManualClock) -> Result<(), RuntimeError> {
        let number = engine.manifest().map_or(0, |manifest| manifest.epoch as usize);
        clock.set(Self::instant(number));
        for (topic, messages) in &self.pieces[number] {
            engine.accept(*topic, messages).await?;
        }
        engine.settle().await?;
        engine.commit().await.map(drop)
    }

    /// Works until all is committed; whenever something fails, the process is as good as killed and starts again.
    async fn run_with_restarts(&self, store: &Store, mut failed: impl FnMut()) -> Manifest {
        let clock = Arc::new(ManualClock::new(Self::instant(0)));
        loop {
            let mut engine = match self.open(store, &clock).await {
                Ok(engine) => engine,
                Err(error) => {
                    assert!(matches!(error, RuntimeError::Retry { .. }), "{error}");
                    failed();
                    continue;
                }
            };
            while engine.manifest().is_none_or(|manifest| (manifest.epoch as usize) < PIECES) {
                let next = engine.manifest().map_or(0, |manifest| manifest.epoch as usize);
                if self.redefined.as_ref().is_some_and(|(from, _)| *from == next) && !engine.is_due() {
                    // The new version is started.
                    engine = match self.open(store, &clock).await {
                        Ok(engine) => engine,
                        Err(error) => {
                            assert!(matches!(error, RuntimeError::Retry { .. }), "{error}");
                            failed();
                            break;
                        }
                    };
                }
                if let Err(error) = self.one(&mut engine, &clock).await {
                    assert!(matches!(error, RuntimeError::Retry { .. }), "{error}");
                    failed();
                    break;
                }
            }
            if let Some(manifest) = engine.manifest().filter(|manifest| manifest.epoch as usize == PIECES) {
                return manifest.clone();
            }
        }
    }

    /// The manifest that an undisturbed run ends with, and the steps it takes.
    async fn undisturbed(&self) -> (Manifest, u64) {
        let folder = tempfile::tempdir().expect("folder");
        let faults = Faults::default();
        let store = faulty(folder.path(), &faults);
        let manifest = self.run_with_restarts(&store, || panic!("nothing fails")).await;
        let steps = faults.steps();
        let comparison = recompute(&store, self.model_of(PIECES)).await.expect("recomputed");
        assert_eq!(comparison.mismatches, 0, "{:?}", comparison.by_table);
        let compacted = manifest.persons.buckets.is_some();
        assert!(
            compacted && manifest.persons.rows > 1_000,
            "buckets are settled: {} rows",
            manifest.persons.rows
        );
        (manifest, steps)
    }
}

fn faulty(folder: &Path, faults: &Faults) -> Store {
    Store::over(Arc::new(FaultyStorage::new(folder, faults.clone())))
}

fn same(found: &Manifest, expected: &Manifest, what: &str) {
    assert_eq!(found.tables, expected.tables, "{what}: the published tables");
    let (found, expected) = (found.to_bytes(), expected.to_bytes());
    let texts = [found, expected].map(|bytes| String::from_utf8(bytes.to_vec()).expect("JSON"));
    assert_eq!(texts[0], texts[1], "{what}: the manifest, and with it every one before");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_any_step_the_old_epoch_stands_or_the_new_one() {
    for seed in seeds(1) {
        kill_at_random_steps(&Work::new(seed), seed, if is_thorough() { 60 } else { 6 }).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_while_a_definition_changes_the_old_one_holds_everywhere_or_the_new_one() {
    for seed in seeds(1) {
        kill_at_random_steps(&Work::redefined(seed), seed, if is_thorough() { 60 } else { 4 }).await;
    }
}

/// Whether there is time for more than a few.
fn is_thorough() -> bool {
    std::env::var_os("RETTIDIG_SEEDS").is_some()
}

async fn kill_at_random_steps(work: &Work, seed: u64, times: u32) {
    let (expected, steps) = work.undisturbed().await;
    let mut random = fastrand::Rng::with_seed(seed);
    for _ in 0..times {
        let step = random.u64(1..=steps);
        let fault = random.choice([Fault::Refused, Fault::AnswerLost, Fault::Torn]).expect("one");
        let folder = tempfile::tempdir().expect("folder");
        let faults = Faults::default();
        let store = faulty(folder.path(), &faults);
        faults.die_at(step, fault);
        let mut deaths = 0;
        let manifest = work
            .run_with_restarts(&store, || {
                deaths += 1;
                faults.heal();
            })
            .await;
        assert!(deaths > 0, "seed {seed}: not killed at step {step}");
        let what = format!("seed {seed}, killed at step {step} of {steps} ({fault:?}), {deaths} deaths");
        same(&manifest, &expected, &what);
        only_named_files_stay(work, &store, folder.path(), &what).await;
    }
}

/// Goal: what died before its manifest does not stay for ever. Method: years later another epoch is committed; then the
/// files that lie in the folder are those that manifests name.
async fn only_named_files_stay(work: &Work, store: &Store, folder: &Path, what: &str) {
    store.put("log/persons/tail-0123456789abcdef.parquet", "left behind".into()).await.expect("put");
    let later = "2031-01-01T10:00:00Z".parse().expect("instant");
    let clock = Arc::new(ManualClock::new(later));
    let mut engine = work.open(store, &clock).await.expect("an engine");
    engine.commit().await.expect("a new day");
    let mut named = BTreeSet::new();
    for number in Manifest::numbers(store).await.expect("numbers") {
        let (manifest, _) = Manifest::read(store, number).await.expect("a manifest");
        named.extend(manifest.files().map(str::to_owned));
        if let Some(list) = &manifest.persons.buckets {
            let list = std::fs::read(folder.join(&list.path)).expect("the list of the buckets");
            let buckets: Vec<BucketEntry> = serde_json::from_slice(&list).expect("the list of the buckets");
            named.extend(buckets.into_iter().filter_map(|bucket| Some(bucket.file?.path)));
        }
    }
    let mut lying = BTreeSet::new();
    for place in ["log", "state", "tables/files"] {
        lying.extend(store.list(place).await.expect("listed"));
    }
    assert_eq!(lying, named, "{what}: files that lie there, and files that are named");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn storage_that_fails_now_and_then_is_tried_again_until_all_is_there() {
    for seed in seeds(1) {
        let work = Work::new(seed);
        let (expected, steps) = work.undisturbed().await;
        let folder = tempfile::tempdir().expect("folder");
        let faults = Faults::default();
        let store = faulty(folder.path(), &faults);
        let clock = Arc::new(ManualClock::new(Work::instant(0)));
        let mut engine = work.open(&store, &clock).await.expect("nothing fails yet");
        let mut failures = 0;
        for (number, piece) in work.pieces.iter().enumerate() {
            clock.set(Work::instant(number));
            // A process goes on: what was accepted stays, only the commit is tried again.
            for (topic, messages) in piece {
                engine.accept(*topic, messages).await.expect("accepted");
            }
            // About one fault in each attempt.
            let one_in = u32::try_from(steps).expect("few") / u32::try_from(PIECES).expect("few");
            faults.fail_at_random(seed * 100 + number as u64, one_in);
            loop {
                let settled = engine.settle().await.map(drop);
                let ended = match settled {
                    Ok(()) => engine.commit().await.map(drop),
                    Err(error) => Err(error),
                };
                match ended {
                    Ok(()) => break,
                    Err(error) => {
                        assert!(matches!(error, RuntimeError::Retry { .. }), "{error}");
                        failures += 1;
                        if engine.manifest().is_some_and(|manifest| manifest.epoch as usize == number + 1) {
                            break;
                        }
                    }
                }
            }
            faults.heal();
            engine.publish().await.expect("nothing fails");
        }
        assert!(failures > 0, "seed {seed}: nothing has failed");
        same(engine.manifest().expect("an epoch"), &expected, &format!("seed {seed}, {failures} failures"));
    }
}

/// Goal: a source that sends everything again changes nothing. Method: the whole stream comes a second time, at other
/// offsets, in one piece and backwards; tables, cells and log stay the files they were, and every event counts as a duplicate.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_sent_again_changes_nothing() {
    let work = Work::new(1);
    let folder = tempfile::tempdir().expect("folder");
    let store = Store::local(folder.path()).expect("store");
    let before = work.run_with_restarts(&store, || panic!("nothing fails")).await;
    let clock = Arc::new(ManualClock::new(Work::instant(PIECES - 1)));
    let mut engine = work.open(&store, &clock).await.expect("an engine");
    let mut again: BTreeMap<Topic, Vec<Vec<u8>>> = BTreeMap::new();
    for (topic, messages) in work.pieces.iter().flatten() {
        again.entry(*topic).or_default().extend(messages.iter().map(|message| message.payload.clone()));
    }
    let mut sent = 0;
    for (topic, payloads) in again {
        sent += payloads.len() as u64;
        let first = before.positions[topic.name()][&0].next;
        let messages: Vec<OwnedMessage> = (first..)
            .zip(payloads.into_iter().rev())
            .map(|(offset, payload)| OwnedMessage { partition: 0, offset, stamp: None, payload })
            .collect();
        assert_eq!(engine.accept(topic, &messages).await.expect("accepted"), []);
    }
    assert_eq!(engine.settle().await.expect("settled"), []);
    let report = engine.commit().await.expect("committed");
    assert_eq!((report.duplicates, report.events), (sent, 0));
    let after = engine.manifest().expect("an epoch");
    assert_eq!(
        (&after.tables, &after.local, &after.disclosed),
        (&before.tables, &before.local, &before.disclosed)
    );
    assert_eq!((&after.log, &after.persons.cells), (&before.log, &before.persons.cells));
    assert_eq!(after.persons.rows, before.persons.rows);
    assert_eq!(recompute(&store, &work.model).await.expect("recomputed").mismatches, 0);
}

/// Goal: slow storage delays and changes nothing. Method: every step takes a while; the manifests are those of quick storage.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn storage_that_is_slow_ends_in_the_same() {
    let work = Work::new(2);
    let (expected, _) = work.undisturbed().await;
    let folder = tempfile::tempdir().expect("folder");
    let faults = Faults::default();
    faults.delay(Duration::from_millis(30));
    let store = faulty(folder.path(), &faults);
    let begun = Instant::now();
    let manifest = work.run_with_restarts(&store, || panic!("nothing fails")).await;
    assert!(begun.elapsed() > Duration::from_secs(1), "it was slow");
    same(&manifest, &expected, "slow storage");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_manifest_whose_answer_is_lost_is_recognised_although_the_clock_has_moved() {
    let work = Work::new(1);
    let folder = tempfile::tempdir().expect("folder");
    let faults = Faults::default();
    let store = faulty(folder.path(), &faults);
    let clock = Arc::new(ManualClock::new(Work::instant(0)));
    let mut engine = work.open(&store, &clock).await.expect("an engine");
    work.one(&mut engine, &clock).await.expect("the first epoch");
    faults.fail("epochs/", Fault::AnswerLost, 1);
    let error = work.one(&mut engine, &clock).await.expect_err("the answer is lost");
    assert!(matches!(error, RuntimeError::Retry { .. }) && engine.is_undecided(), "{error}");
    clock.set(Work::instant(4));
    let report = engine.commit().await.expect("its own epoch");
    let (newest, _) = Manifest::newest(&store).await.expect("read").expect("one");
    assert_eq!((report.epoch, newest.epoch), (2, 2));
    assert_eq!(Some(&newest), engine.manifest(), "what is in memory is what was committed");
    clock.set(Work::instant(2));
    work.one(&mut engine, &clock).await.expect("it goes on");
    assert_eq!(recompute(&store, &work.model).await.expect("recomputed").mismatches, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_file_stops_the_start_with_its_name() {
    let work = Work::new(1);
    let folder = tempfile::tempdir().expect("folder");
    let store = Store::local(folder.path()).expect("store");
    let manifest = work.run_with_restarts(&store, || panic!("nothing fails")).await;
    let buckets = manifest.persons.buckets.as_ref().expect("settled").path.clone();
    let mut files: Vec<String> = manifest.files().map(str::to_owned).collect();
    files.sort();
    // One of each kind: tail, cells, wakes, disclosed, log of figures, tables, months; not the list of the buckets.
    files.dedup_by_key(|path| path.rsplit_once('/').map(|(kind, _)| kind.to_owned()));
    assert!(files.len() >= 6, "{files:?}");
    let clock = Arc::new(ManualClock::new(Work::instant(PIECES)));
    for path in files.iter().filter(|path| **path != buckets) {
        let place = folder.path().join(path);
        let whole = std::fs::read(&place).expect("the file");
        for damage in ["flipped", "torn", "gone"] {
            let mut bytes = whole.clone();
            let middle = bytes.len() / 2;
            match damage {
                "flipped" => bytes[middle] ^= 1,
                _ => bytes.truncate(middle),
            }
            match damage {
                "gone" => std::fs::remove_file(&place).expect("removed"),
                _ => std::fs::write(&place, &bytes).expect("damaged"),
            }
            let opened = work.open(&store, &clock).await;
            let error = opened.err().unwrap_or_else(|| panic!("{path} is {damage} and nobody notices"));
            assert!(matches!(error, RuntimeError::Stop { .. }), "{error}");
            assert!(error.to_string().contains(path.as_str()), "{damage}: {error}");
            std::fs::write(&place, &whole).expect("mended");
        }
    }
    work.open(&store, &clock).await.expect("mended");
}

/// Goal: a clock that jumps makes no epoch wrong. Method: it jumps by an hour or a day, back and forth, before each piece;
/// the as-of date never goes back, and a recomputation finds what was committed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_jumps_never_takes_a_day_back() {
    for seed in seeds(1) {
        let work = Work::new(seed);
        let folder = tempfile::tempdir().expect("folder");
        let store = Store::local(folder.path()).expect("store");
        let clock = Arc::new(ManualClock::new(Work::instant(0)));
        let mut random = fastrand::Rng::with_seed(seed);
        let mut engine = work.open(&store, &clock).await.expect("an engine");
        let mut newest = Work::instant(0).date_naive();
        for (number, piece) in work.pieces.iter().enumerate() {
            let hours = random.choice([-24, -1, 0, 1, 24]).expect("one");
            clock.set(Work::instant(number) + TimeDelta::hours(hours));
            for (topic, messages) in piece {
                engine.accept(*topic, messages).await.expect("accepted");
            }
            engine.settle().await.expect("settled");
            engine.commit().await.expect("committed");
            let as_of = engine.manifest().expect("an epoch").as_of;
            assert!(number == 0 || as_of >= newest, "seed {seed}: {as_of} after {newest}");
            newest = as_of;
        }
        let comparison = recompute(&store, &work.model).await.expect("recomputed");
        assert_eq!(comparison.mismatches, 0, "seed {seed}: {:?}", comparison.by_table);
        assert_eq!(work.open(&store, &clock).await.expect("again").manifest(), engine.manifest());
    }
}

/// Goal: whoever commits second has lost, and knows it. Method: two writers open the same epoch.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_writers_the_second_is_refused() {
    let work = Work::new(1);
    let folder = tempfile::tempdir().expect("folder");
    let store = Store::local(folder.path()).expect("store");
    let clock = Arc::new(ManualClock::new(Work::instant(0)));
    let mut sleeper = work.open(&store, &clock).await.expect("an engine");
    let mut other = work.open(&store, &clock).await.expect("an engine");
    work.one(&mut other, &clock).await.expect("the first epoch");
    clock.set(Work::instant(1));
    for (topic, messages) in &work.pieces[0] {
        sleeper.accept(*topic, messages).await.expect("accepted");
    }
    sleeper.settle().await.expect("settled");
    let error = sleeper.commit().await.expect_err("refused");
    assert!(matches!(error, RuntimeError::Superseded { epoch: 1 }), "{error}");
    assert!(error.to_string().contains("only one rettidig"), "{error}");
    let (newest, _) = Manifest::newest(&store).await.expect("read").expect("one");
    assert_eq!(Some(&newest), other.manifest());
    work.one(&mut other, &clock).await.expect("the winner goes on");
    assert_eq!(recompute(&store, &work.model).await.expect("recomputed").mismatches, 0);
}
