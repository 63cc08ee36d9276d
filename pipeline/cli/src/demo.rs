//! `rettidig demo`: the real release of 19-22 August 2026, replayed through the whole pipeline.
//!
//! The recorded figures are served by a local HTTP server; the connectors poll it as they would poll the live
//! services; everything from there on is the pipeline itself. Each step is one epoch. A run that was killed goes
//! on where it stopped: a step whose epoch is committed is not done again. After the release goes on the daily
//! stream of simulated people ([`crate::stream`]), unless the demo is to end there.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Float64Type;
use chrono::{DateTime, Utc};
use rettidig_connectors::replay::{REPLAY_STEPS, ReplayServer};
use rettidig_connectors::{driver, sources};
use rettidig_event::ManualClock;
use rettidig_model::Model;
use rettidig_runtime::kafka::KafkaSink;
use rettidig_runtime::{EpochReport, Snapshot};
use rettidig_serve::access::{Access, Reader};
use rettidig_serve::catalogue::Publisher;
use rettidig_serve::{Door, Router};
use secrecy::SecretString;
use serde_json::json;

use crate::output::{line, remark};
use crate::plant::{Doors, Plant};
use crate::{Demo, run, stream};

/// Where the demo puts its data if it is not told.
const FOLDER: &str = "data/demo";

/// What a data folder of ours consists of; nothing else is removed when the demo starts afresh.
const PARTS: [&str; 8] =
    ["broker", "cursors", stream::DROP, stream::PERSONS, "epochs", "log", "state", "tables"];

/// Drifting jobcentres that are named after each epoch.
const NAMED: usize = 5;

/// Runs the demo.
pub async fn demo(options: Demo) -> anyhow::Result<()> {
    let started = Instant::now();
    let folder = match &options.data {
        Some(folder) => folder.clone(),
        None => afresh(Path::new(FOLDER))?,
    };
    let replay = ReplayServer::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
    let steps: Vec<(DateTime<Utc>, &str)> = REPLAY_STEPS
        .iter()
        .map(|(at, label)| Ok((at.parse().with_context(|| format!("step {label}"))?, *label)))
        .collect::<anyhow::Result<_>>()?;
    let clock = Arc::new(ManualClock::new(steps[0].0));
    // With --once nobody has time to look at the pages: any free port will do.
    let port = if options.once { 0 } else { options.port };
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    // It listens to this machine alone, and its people are simulated.
    let access = Access::all(Reader::Operator { name: "demo".to_owned() });
    let beside = if port == 0 { 0 } else { port.saturating_add(1) };
    let sql_port = options.sql_port.unwrap_or(beside);
    let sql = Some(SocketAddr::from((Ipv4Addr::LOCALHOST, sql_port)));
    let doors = Doors { http: Door::plain(listen), sql, access, publisher: Publisher::default() };
    let mut plant = Plant::start(&folder, None, doors, clock.clone(), Router::new()).await?;
    if !options.json {
        line("Rettidig demo: real figures of Jobindsats.dk / STAR and Danmarks Statistik, replayed.")?;
        line(
            "Embedded broker: for a demonstration, tests and one small machine; production is Apache Kafka.",
        )?;
    }
    for (number, (at, label)) in steps.iter().enumerate() {
        if plant.worker.engine().manifest().is_some_and(|manifest| manifest.committed_at >= *at) {
            remark(&format!("{at}: committed before"));
            clock.set(*at);
            continue;
        }
        clock.set(*at);
        replay.set_step(number);
        let begun = Instant::now();
        poll(&plant, &replay, clock.as_ref()).await?;
        let report = plant.worker.catch_up().await?;
        let snapshot = plant.worker.engine().snapshots().borrow().clone();
        if let (Some(report), Some(snapshot)) = (report, snapshot) {
            tell(&report, &snapshot, &plant.model, at, label, begun.elapsed().as_secs_f64(), options.json)?;
        }
    }
    plant.set_ready();
    if !options.json {
        line(&format!("\nlast epoch {:.1} s after the start", started.elapsed().as_secs_f64()))?;
        line(&format!("tables   {}/tables/latest/*.parquet", folder.display()))?;
    }
    let tell = |text: &str| {
        if options.json {
            remark(text);
            return Ok(());
        }
        line(text)
    };
    for (path, what) in [("", "pages"), ("metrics", "metrics"), ("tables", "tables"), ("readyz", "state")] {
        if !options.once || options.days.is_some() {
            tell(&format!("{what:<8} http://{}/{path}", plant.address()))?;
        }
    }
    if let Some(address) = plant.sql_address().filter(|_| !options.once) {
        tell(&format!(
            "SQL      psql \"host={} port={} dbname=rettidig user=public\"",
            address.ip(),
            address.port()
        ))?;
    }
    if !options.once {
        tell("Ctrl-C ends.")?;
    }
    let streams = !options.once || options.days.is_some();
    let went_on = !streams || stream::stream(&mut plant, &folder, &clock, &options).await?;
    if !options.once && went_on {
        run::signalled().await;
    }
    plant.stop().await?;
    replay.shutdown().await?;
    Ok(())
}

/// Empties a folder of what an earlier demo left there.
fn afresh(folder: &Path) -> anyhow::Result<PathBuf> {
    for part in PARTS {
        let path = folder.join(part);
        if path.exists() {
            let removed =
                if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
            removed.with_context(|| format!("removing {}", path.display()))?;
        }
    }
    Ok(folder.to_owned())
}

async fn poll(plant: &Plant, replay: &ReplayServer, clock: &ManualClock) -> anyhow::Result<()> {
    for name in sources::names() {
        let url = replay.url_of(name);
        let token = SecretString::from("demo");
        let mut source = sources::build(name, None, url.as_deref(), Some(token))?;
        let mut sink = KafkaSink::connect(&plant.kafka)?;
        let outcome = driver::poll_once(source.as_mut(), &plant.cursors, clock, &mut sink).await?;
        plant.metrics.connector_records_total.with_label_values(&[name]).inc_by(outcome.records);
        for failure in &outcome.failures {
            remark(&format!("{name}: {}", driver::chain(failure)));
        }
    }
    Ok(())
}

fn tell(
    report: &EpochReport,
    snapshot: &Snapshot,
    model: &Model,
    at: &DateTime<Utc>,
    label: &str,
    seconds: f64,
    as_json: bool,
) -> anyhow::Result<()> {
    let states = states(snapshot);
    let drifting = drifting(snapshot, model);
    let country = country(snapshot, "full_time_unemployed", "total");
    if as_json {
        let figures: BTreeMap<&str, _> = report
            .figures
            .iter()
            .map(|(source, counts)| {
                (source.as_str(), json!({ "new": counts.first, "changed": counts.revised }))
            })
            .collect();
        let drifting: Vec<&str> = drifting.iter().map(|drift| drift.name.as_str()).collect();
        let object = json!({
            "epoch": report.epoch, "at": at, "step": label, "events": report.events,
            "duplicates": report.duplicates, "dead_letters": report.dead_letters, "figures": figures,
            "targets": states, "drifting": drifting, "seconds": seconds,
        });
        return Ok(line(&object.to_string())?);
    }
    line(&format!(
        "\nepoch {}  {}  {label}  ({seconds:.1} s)",
        report.epoch,
        at.format("%Y-%m-%d %H:%M UTC")
    ))?;
    line(&format!(
        "  arrived   {} events new to the log, {} there already, {} put aside",
        report.events, report.duplicates, report.dead_letters
    ))?;
    for (source, counts) in &report.figures {
        line(&format!("  {source:<18} {:>6} new figures  {:>5} changed", counts.first, counts.revised))?;
    }
    if let Some((period, value, status)) = country {
        line(&format!("  country   full-time unemployed (fuldtidsledige) {period}: {value} ({status})"))?;
    }
    if let Some((ratio, low, high, observations)) = settlement(snapshot) {
        line(&format!(
            "  settling  the newest month has grown by {:+.2} % at the next release (90 % of {observations} municipal \
             months: {:+.2} to {:+.2} %)",
            (ratio - 1.0) * 100.0,
            (low - 1.0) * 100.0,
            (high - 1.0) * 100.0
        ))?;
    }
    let counted: Vec<String> = states.iter().map(|(state, count)| format!("{count} {state}")).collect();
    line(&format!("  targets   {}", counted.join(", ")))?;
    for drift in drifting.iter().take(NAMED) {
        line(&format!("  drifting  {}", drift.text))?;
    }
    if drifting.len() > NAMED {
        line(&format!("            and {} more: table targets, state = 'drifting'", drifting.len() - NAMED))?;
    }
    Ok(())
}

fn text<'a>(batch: &'a RecordBatch, name: &str, row: usize) -> &'a str {
    let column = batch.column_by_name(name).and_then(|column| column.as_string_opt::<i32>());
    column.map_or("", |column| column.value(row))
}

fn number(batch: &RecordBatch, name: &str, row: usize) -> Option<f64> {
    let column = batch.column_by_name(name)?.as_primitive_opt::<Float64Type>()?;
    column.is_valid(row).then(|| column.value(row))
}

fn newest_targets(snapshot: &Snapshot) -> Vec<(&RecordBatch, usize)> {
    let Some(targets) = snapshot.tables.get("targets") else { return Vec::new() };
    let newest = targets.column_by_name("newest").and_then(|column| column.as_boolean_opt());
    (0..targets.num_rows())
        .filter(|row| newest.is_some_and(|newest| newest.value(*row)))
        .map(|row| (targets, row))
        .collect()
}

/// How many targets of the newest period are in which state.
fn states(snapshot: &Snapshot) -> BTreeMap<String, usize> {
    let mut states = BTreeMap::new();
    for (targets, row) in newest_targets(snapshot) {
        *states.entry(text(targets, "state", row).to_owned()).or_default() += 1;
    }
    states
}

struct Drift {
    name: String,
    text: String,
}

/// Who drifts in the newest period, first those of whom chance explains it least.
fn drifting(snapshot: &Snapshot, model: &Model) -> Vec<Drift> {
    let mut drifting: Vec<(f64, Drift)> = newest_targets(snapshot)
        .into_iter()
        .filter(|(targets, row)| text(targets, "state", *row) == "drifting")
        .filter_map(|(targets, row)| {
            let limit = if text(targets, "direction", row) == "down" { "upper_limit" } else { "lower_limit" };
            let [level, expected, limit, p_value] =
                ["level", "expected_level", limit, "p_value"].map(|name| number(targets, name, row));
            let (level, expected, limit, p_value) = (level?, expected?, limit?, p_value?);
            let name = area_name(model, text(targets, "area", row));
            let shown = format!(
                "{name}: {} {}: level {level:.0}, on its path it would be {expected:.0} (limit {limit:.0})",
                text(targets, "indicator", row),
                text(targets, "period", row),
            );
            Some((p_value, Drift { name, text: shown }))
        })
        .collect();
    drifting.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    drifting.into_iter().map(|(_, drift)| drift).collect()
}

/// The drifting jobcentres of the newest period by name.
pub fn drifting_names(snapshot: &Snapshot, model: &Model) -> Vec<String> {
    drifting(snapshot, model).into_iter().map(|drift| drift.name).collect()
}

/// Name of a jobcentre, as valid today.
fn area_name(model: &Model, code: &str) -> String {
    let Some(areas) = model.reference.get("areas") else { return code.to_owned() };
    let open = areas.column_by_name("valid_to");
    (0..areas.num_rows())
        .find(|row| text(areas, "jobcentre", *row) == code && open.is_some_and(|open| open.is_null(*row)))
        .map_or_else(|| code.to_owned(), |row| text(areas, "jobcentre_name", row).to_owned())
}

/// Newest value of the country.
fn country<'a>(snapshot: &'a Snapshot, indicator: &str, benefit: &str) -> Option<(&'a str, f64, &'a str)> {
    let indicators = snapshot.tables.get("indicators")?;
    let wanted =
        [("indicator", indicator), ("area_kind", "country"), ("benefit", benefit), ("breakdown", "total")];
    let newest = (0..indicators.num_rows())
        .filter(|row| wanted.iter().all(|(name, value)| text(indicators, name, *row) == *value))
        .max_by_key(|row| text(indicators, "period", *row))?;
    let value = number(indicators, "value", newest)?;
    Some((text(indicators, "period", newest), value, text(indicators, "status", newest)))
}

/// What the vintages say of the newest month of full-time unemployed.
fn settlement(snapshot: &Snapshot) -> Option<(f64, f64, f64, i64)> {
    let settlement = snapshot.tables.get("settlement")?;
    let row = (0..settlement.num_rows()).find(|row| {
        text(settlement, "indicator", *row) == "full_time_unemployed"
            && text(settlement, "benefit", *row) == "total"
    })?;
    let observations = settlement.column_by_name("observations")?;
    let observations = observations.as_primitive_opt::<arrow::datatypes::Int64Type>()?.value(row);
    Some((
        number(settlement, "ratio", row)?,
        number(settlement, "ratio_low", row)?,
        number(settlement, "ratio_high", row)?,
        observations,
    ))
}
