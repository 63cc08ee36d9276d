//! The metrics: one closed list of names.
//!
//! Counters and histograms of the process live as long as it does. Gauges of figures are made anew from each
//! committed epoch, so that a series that is no longer published vanishes. Hidden values have no series.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Date32Type, Float64Type, Int64Type, TimestampMicrosecondType};
use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};
use prometheus::core::Collector;
use prometheus::{
    Gauge, GaugeVec, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, TextEncoder,
};

use rettidig_event::{Clock as _, SystemClock, Topic};
use rettidig_model::Model;
use rettidig_model::catalogue::SqlModel;

use crate::committer::Snapshot;
use crate::manifest::Positions;
use crate::persons::{AuditReport, Shard, State};

/// States of a target, in the order of `rettidig_target_state`.
const STATES: [&str; 5] = ["on_track", "drifting", "insufficient", "incomplete", "source_late"];

/// What the model says of sources and areas, to label gauges with.
#[derive(Debug, Default)]
pub struct Labels {
    /// Indicator and the source that feeds it.
    sources: Vec<(String, String)>,
    /// Municipality → jobcentre.
    jobcentres: BTreeMap<String, String>,
}

impl Labels {
    /// Those of a model on a day.
    pub(crate) fn of(model: &Model, as_of: NaiveDate) -> Self {
        let feeds = |model: &SqlModel| Some((model.name.clone(), model.header.feeds.clone()?));
        let jobcentres = model.reference.get("areas").map(|areas| {
            let (table, day) = (Table(areas), as_of.and_time(NaiveTime::MIN).and_utc().timestamp());
            #[allow(clippy::cast_precision_loss, reason = "days are small")]
            let day = day as f64;
            let is_valid = |row: &usize| {
                table.number("valid_from", *row).is_none_or(|from| from <= day)
                    && table.number("valid_to", *row).is_none_or(|to| day <= to)
            };
            let pair =
                |row| (table.text("municipality", row).to_owned(), table.text("jobcentre", row).to_owned());
            (0..areas.num_rows()).filter(is_valid).map(pair).collect()
        });
        Self {
            sources: model.models.iter().filter_map(feeds).collect(),
            jobcentres: jobcentres.unwrap_or_default(),
        }
    }
}

/// Metrics of the process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Messages read, by topic.
    pub events_total: IntCounterVec,
    /// Records emitted by connectors, by source.
    pub connector_records_total: IntCounterVec,
    /// Failed polls of connectors, by source.
    pub connector_failures_total: IntCounterVec,
    /// Records and answers that connectors put aside, by source.
    pub connector_dead_letters_total: IntCounterVec,
    /// Records that connectors have produced and the broker has not acknowledged, by source.
    pub connector_unacknowledged_records: IntGaugeVec,
    /// Seconds to decode and dedupe a batch.
    pub decode_seconds: Histogram,
    /// Seconds to evaluate and commit an epoch.
    pub commit_seconds: Histogram,
    /// Seconds to evaluate the persons of a batch.
    pub persons_seconds: Histogram,
    /// Seconds to bring the indicators of persons through disclosure control.
    pub local_seconds: Histogram,
    /// Seconds to make the tables that read tables of persons.
    pub after_months_seconds: Histogram,
    persons_evaluated: IntCounter,
    log_rows: IntGauge,
    tail_rows: IntGauge,
    cells: IntGauge,
    waiting: IntGauge,
    /// Proposals of workers that the committer did not take.
    pub proposals_refused_total: IntCounter,
    audit_mismatch_cells: IntGauge,
    audit_last_full_seconds: IntGauge,
    disclosure_frozen_months: IntGauge,
    freshness_seconds: Histogram,
    consumer_lag_messages: IntGaugeVec,
    data_folder: OnceLock<PathBuf>,
}

/// Messages that are older than this when their epoch is committed were a backlog: they say nothing about freshness.
const BACKLOG_FROM: TimeDelta = TimeDelta::hours(24);

impl Metrics {
    /// Registers the metrics of the process.
    ///
    /// # Errors
    /// If two metrics have one name, which is a bug.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let buckets = vec![0.001, 0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0];
        let histogram = |name: &str, help: &str| {
            Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets.clone()))
        };
        let counter =
            |name: &str, help: &str, label: &str| IntCounterVec::new(Opts::new(name, help), &[label]);
        let metrics = Self {
            events_total: counter("rettidig_events_total", "Messages read from a topic", "topic")?,
            connector_records_total: counter(
                "rettidig_connector_records_total",
                "Records handed to the broker by a connector",
                "source",
            )?,
            connector_dead_letters_total: counter(
                "rettidig_connector_dead_letters_total",
                "Records and answers that a connector put aside",
                "source",
            )?,
            connector_failures_total: counter(
                "rettidig_connector_failures_total",
                "Polls that failed",
                "source",
            )?,
            connector_unacknowledged_records: IntGaugeVec::new(
                Opts::new(
                    "rettidig_connector_unacknowledged_records",
                    "Records of a connector that wait for the broker's acknowledgement",
                ),
                &["source"],
            )?,
            decode_seconds: histogram("rettidig_decode_seconds", "Time to decode and dedupe a batch")?,
            commit_seconds: histogram("rettidig_commit_seconds", "Time to evaluate and commit an epoch")?,
            persons_seconds: histogram(
                "rettidig_persons_seconds",
                "Time to evaluate the persons of a batch",
            )?,
            local_seconds: histogram(
                "rettidig_local_seconds",
                "Time to bring the indicators of persons through disclosure control",
            )?,
            after_months_seconds: histogram(
                "rettidig_after_months_seconds",
                "Time to make the tables that read tables of persons",
            )?,
            persons_evaluated: IntCounter::new("rettidig_persons_evaluated_total", "Persons evaluated")?,
            log_rows: IntGauge::new("rettidig_log_rows", "Rows of the person log")?,
            tail_rows: IntGauge::new(
                "rettidig_log_tail_rows",
                "Rows of the person log in memory, until buckets are compacted",
            )?,
            cells: IntGauge::new("rettidig_cells", "Cells of the person-level measures in memory")?,
            waiting: IntGauge::new(
                "rettidig_persons_waiting",
                "Persons whose cells a coming day or wages change",
            )?,
            proposals_refused_total: IntCounter::new(
                "rettidig_proposals_refused_total",
                "Proposals of workers that the committer refused: computed from a state that is no longer so",
            )?,
            audit_mismatch_cells: IntGauge::new(
                "rettidig_audit_mismatch_cells",
                "Cells that differed from a recomputation in the newest full audit; -1 before the first",
            )?,
            audit_last_full_seconds: IntGauge::new(
                "rettidig_audit_last_full_seconds",
                "When the newest full audit ended, seconds since 1970; 0 before the first",
            )?,
            disclosure_frozen_months: IntGauge::new(
                "rettidig_disclosure_frozen_months",
                "Months whose figures of persons stay as they were, because new ones would give a hidden number away",
            )?,
            freshness_seconds: histogram(
                "rettidig_freshness_seconds",
                "From a message's time at Kafka to the commit of its epoch; a backlog of more than a day is left out",
            )?,
            consumer_lag_messages: IntGaugeVec::new(
                Opts::new(
                    "rettidig_consumer_lag_messages",
                    "Messages at the broker that are in no committed epoch, told by the process that commits",
                ),
                &["topic"],
            )?,
            data_folder: OnceLock::new(),
            registry,
        };
        metrics.audit_mismatch_cells.set(-1);
        let all: [Box<dyn Collector>; 21] = [
            Box::new(metrics.freshness_seconds.clone()),
            Box::new(metrics.consumer_lag_messages.clone()),
            Box::new(metrics.local_seconds.clone()),
            Box::new(metrics.after_months_seconds.clone()),
            Box::new(metrics.persons_seconds.clone()),
            Box::new(metrics.persons_evaluated.clone()),
            Box::new(metrics.log_rows.clone()),
            Box::new(metrics.tail_rows.clone()),
            Box::new(metrics.cells.clone()),
            Box::new(metrics.waiting.clone()),
            Box::new(metrics.proposals_refused_total.clone()),
            Box::new(metrics.audit_mismatch_cells.clone()),
            Box::new(metrics.audit_last_full_seconds.clone()),
            Box::new(metrics.disclosure_frozen_months.clone()),
            Box::new(metrics.events_total.clone()),
            Box::new(metrics.connector_records_total.clone()),
            Box::new(metrics.connector_failures_total.clone()),
            Box::new(metrics.connector_dead_letters_total.clone()),
            Box::new(metrics.connector_unacknowledged_records.clone()),
            Box::new(metrics.decode_seconds.clone()),
            Box::new(metrics.commit_seconds.clone()),
        ];
        for collector in all {
            metrics.registry.register(collector)?;
        }
        Ok(metrics)
    }

    /// Notes the state of the cells after a commit, and the rows of the log.
    pub(crate) fn observe_cells(&self, state: &State, touched: u64) {
        self.persons_evaluated.inc_by(touched);
        self.log_rows.set(i64::try_from(state.entry().rows).unwrap_or(i64::MAX));
        self.cells.set(i64::try_from(state.cells().len()).unwrap_or(i64::MAX));
    }

    /// Notes the state of a shard after a commit.
    pub(crate) fn observe_shard(&self, shard: &Shard) {
        let gauge = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.tail_rows.set(gauge(shard.log().tail_rows()));
        self.waiting.set(gauge(shard.waiting()));
    }

    /// Notes the end of a full audit.
    pub(crate) fn observe_audit(&self, report: &AuditReport) {
        self.audit_mismatch_cells.set(i64::try_from(report.mismatch_cells).unwrap_or(i64::MAX));
        self.audit_last_full_seconds.set(report.finished_at.timestamp());
    }

    /// Notes in how many months what is shown is older than the cells.
    pub(crate) fn observe_frozen(&self, months: usize) {
        self.disclosure_frozen_months.set(i64::try_from(months).unwrap_or(i64::MAX));
    }

    /// Forgets what only the one who commits knows: another one tells it from now on.
    pub(crate) fn stand_down(&self) {
        self.consumer_lag_messages.reset();
        self.audit_mismatch_cells.set(-1);
        self.audit_last_full_seconds.set(0);
        self.disclosure_frozen_months.set(0);
    }

    /// Names the folder whose disk is told of.
    pub fn observe_data_folder(&self, folder: &Path) {
        // Once a process.
        let _ = self.data_folder.set(folder.to_owned());
    }

    /// Notes that messages of these times (milliseconds since 1970, as Kafka has them) are in a committed epoch.
    ///
    /// Kafka's times are those of the wall clock, whatever clock the engine goes by.
    pub(crate) fn observe_committed(&self, stamps: &[i64]) {
        let now = SystemClock.now().timestamp_millis();
        for age in stamps.iter().map(|stamp| now - stamp).filter(|age| *age < BACKLOG_FROM.num_milliseconds())
        {
            #[allow(clippy::cast_precision_loss, reason = "a metric is a float")]
            self.freshness_seconds.observe(age.max(0) as f64 / 1e3);
        }
    }

    /// Notes how many messages of each partition are in no epoch: the ends of the partitions, and where the epochs have come to.
    pub(crate) fn observe_lag(&self, ends: &BTreeMap<(Topic, i32), i64>, positions: &Positions) {
        let mut lags: BTreeMap<Topic, i64> = BTreeMap::new();
        for ((topic, partition), end) in ends {
            let place = positions.get(topic.name()).and_then(|partitions| partitions.get(partition));
            *lags.entry(*topic).or_default() += (end - place.map_or(0, |place| place.next)).max(0);
        }
        for (topic, lag) in lags {
            self.consumer_lag_messages.with_label_values(&[topic.name()]).set(lag);
        }
    }

    /// The text exposition of the process and, if there is one, of an epoch.
    ///
    /// # Errors
    /// If a gauge cannot be made, which is a bug.
    pub fn exposition(
        &self,
        snapshot: Option<&Snapshot>,
        now: DateTime<Utc>,
    ) -> Result<String, prometheus::Error> {
        let mut families = self.registry.gather();
        if let Some(folder) = self.data_folder.get() {
            families.extend(disk_registry(folder)?.gather());
        }
        if let Some(snapshot) = snapshot {
            families.extend(epoch_registry(snapshot, now)?.gather());
        }
        TextEncoder::new().encode_to_string(&families)
    }
}

/// A table's column by name and type; `None` if the table has not got it.
struct Table<'a>(&'a RecordBatch);

impl<'a> Table<'a> {
    fn text(&self, name: &str, row: usize) -> &'a str {
        let column = self.0.column_by_name(name).and_then(|column| column.as_string_opt::<i32>());
        column.map_or("", |column| column.value(row))
    }

    /// Any number, date (as seconds since 1970) or instant (likewise); `None` if null.
    fn number(&self, name: &str, row: usize) -> Option<f64> {
        let column = self.0.column_by_name(name).filter(|column| column.is_valid(row))?;
        #[allow(clippy::cast_precision_loss, reason = "a gauge is a float")]
        match column.data_type() {
            DataType::Float64 => Some(column.as_primitive::<Float64Type>().value(row)),
            DataType::Int64 => Some(column.as_primitive::<Int64Type>().value(row) as f64),
            DataType::Date32 => Some(f64::from(column.as_primitive::<Date32Type>().value(row)) * 86_400.0),
            DataType::Timestamp(..) => {
                Some(column.as_primitive::<TimestampMicrosecondType>().value(row) as f64 / 1e6)
            }
            DataType::Boolean => Some(f64::from(u8::from(column.as_boolean().value(row)))),
            _ => None,
        }
    }
}

fn gauges(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
) -> Result<GaugeVec, prometheus::Error> {
    let gauges = GaugeVec::new(Opts::new(name, help), labels)?;
    registry.register(Box::new(gauges.clone()))?;
    Ok(gauges)
}

fn gauge(registry: &Registry, name: &str, help: &str, value: f64) -> Result<(), prometheus::Error> {
    let gauge = Gauge::new(name, help)?;
    gauge.set(value);
    registry.register(Box::new(gauge))
}

/// What is left of the data folder's disk; nothing if the system does not tell.
#[allow(clippy::cast_precision_loss, reason = "a gauge is a float")]
fn disk_registry(folder: &Path) -> Result<Registry, prometheus::Error> {
    let registry = Registry::new();
    if let Ok(disk) = fs4::statvfs(folder) {
        let available = disk.available_space() as f64;
        gauge(&registry, "rettidig_data_avail_bytes", "Free on the disk of the data folder", available)?;
        let size = disk.total_space() as f64;
        gauge(&registry, "rettidig_data_size_bytes", "Size of the disk of the data folder", size)?;
    }
    Ok(registry)
}

#[allow(clippy::cast_precision_loss, reason = "a gauge is a float")]
fn epoch_registry(snapshot: &Snapshot, now: DateTime<Utc>) -> Result<Registry, prometheus::Error> {
    let registry = Registry::new();
    let manifest = &snapshot.manifest;
    gauge(&registry, "rettidig_epoch_number", "Number of the newest committed epoch", manifest.epoch as f64)?;
    let age = (now - manifest.committed_at).num_milliseconds() as f64 / 1e3;
    gauge(&registry, "rettidig_epoch_age_seconds", "Age of the newest committed epoch", age)?;
    let dead = gauges(
        &registry,
        "rettidig_dead_letters",
        "Messages put aside since the beginning",
        &["reason", "source"],
    )?;
    let counts = &manifest.counts;
    for (source, reason, count) in counts.dead_letters_by_source.series(&counts.dead_letters) {
        dead.with_label_values(&[reason, source]).set(count as f64);
    }
    let unknown = manifest.counts.unknown_fields as f64;
    gauge(&registry, "rettidig_unknown_fields", "Unknown fields seen since the beginning", unknown)?;
    let duplicates = manifest.counts.duplicates as f64;
    gauge(&registry, "rettidig_duplicate_events", "Events that were there already", duplicates)?;
    if let Some(indicators) = snapshot.tables.get("indicators") {
        indicator_gauges(&registry, indicators)?;
    }
    let targets: Vec<&RecordBatch> =
        ["targets", "local_drift"].into_iter().filter_map(|table| snapshot.tables.get(table)).collect();
    target_gauges(&registry, &targets)?;
    if let Some(freshness) = snapshot.tables.get("freshness") {
        source_gauges(&registry, freshness, now)?;
    }
    if let Some(completeness) = snapshot.tables.get("completeness") {
        delivery_gauges(&registry, completeness, &snapshot.labels)?;
    }
    let feeds = gauges(
        &registry,
        "rettidig_indicator_source_info",
        "1 for the source that an indicator is made from",
        &["indicator", "source"],
    )?;
    for (indicator, source) in &snapshot.labels.sources {
        feeds.with_label_values(&[indicator, source]).set(1.0);
    }
    Ok(registry)
}

/// Whether the newest period of a source is incomplete, and whose municipalities' systems it is; an official table is nobody's.
fn delivery_gauges(
    registry: &Registry,
    completeness: &RecordBatch,
    of: &Labels,
) -> Result<(), prometheus::Error> {
    let labels = ["source", "jobcentre"];
    let incomplete = gauges(
        registry,
        "rettidig_source_incomplete",
        "1 if the newest period of a source lacks something",
        &labels,
    )?;
    let info = gauges(
        registry,
        "rettidig_source_jobcentre_info",
        "1 for the jobcentre that a source delivers for",
        &labels,
    )?;
    let table = Table(completeness);
    let mut newest: BTreeMap<&str, &str> = BTreeMap::new();
    for row in 0..completeness.num_rows() {
        let period = newest.entry(table.text("source", row)).or_default();
        *period = (*period).max(table.text("period", row));
    }
    let mut lacks: BTreeMap<(&str, &str), bool> = BTreeMap::new();
    for row in 0..completeness.num_rows() {
        let source = table.text("source", row);
        if newest.get(source) == Some(&table.text("period", row)) {
            let jobcentre = of.jobcentres.get(table.text("area", row)).map_or("", String::as_str);
            *lacks.entry((source, jobcentre)).or_default() |= table.text("state", row) == "incomplete";
        }
    }
    for ((source, jobcentre), lacks) in lacks {
        incomplete.with_label_values(&[source, jobcentre]).set(f64::from(u8::from(lacks)));
        let is_official = of.sources.iter().any(|(_, official)| official == source);
        if !jobcentre.is_empty() && !is_official {
            info.with_label_values(&[source, jobcentre]).set(1.0);
        }
    }
    Ok(())
}

/// The newest period of each indicator, without breakdowns.
fn indicator_gauges(registry: &Registry, indicators: &RecordBatch) -> Result<(), prometheus::Error> {
    let labels = ["indicator", "area_kind", "area", "benefit"];
    let make = |name: &str, help: &str| gauges(registry, name, help, &labels);
    let value = make("rettidig_indicator_value", "Newest value of an indicator")?;
    let numerator = make("rettidig_indicator_numerator", "What the newest value was made of")?;
    let denominator = make("rettidig_indicator_denominator", "What the newest value was divided by")?;
    let known = make("rettidig_indicator_known_at_seconds", "Since when the newest value has been known")?;
    let table = Table(indicators);
    let mut newest: BTreeMap<&str, &str> = BTreeMap::new();
    for row in 0..indicators.num_rows() {
        let period = newest.entry(table.text("indicator", row)).or_default();
        *period = (*period).max(table.text("period", row));
    }
    for row in 0..indicators.num_rows() {
        let is_newest = newest.get(table.text("indicator", row)) == Some(&table.text("period", row));
        if !is_newest || table.text("breakdown", row) != "total" {
            continue;
        }
        let labels = labels.map(|label| table.text(label, row));
        let columns = [(&value, "value"), (&numerator, "numerator"), (&denominator, "denominator")];
        for (gauges, column) in columns {
            if let Some(number) = table.number(column, row) {
                gauges.with_label_values(&labels).set(number);
            }
        }
        if let (Some(_), Some(at)) = (table.number("value", row), table.number("known_at", row)) {
            known.with_label_values(&labels).set(at);
        }
    }
    Ok(())
}

fn target_gauges(registry: &Registry, tables: &[&RecordBatch]) -> Result<(), prometheus::Error> {
    let labels = ["indicator", "area_kind", "area", "benefit"];
    let make = |name: &str, help: &str| gauges(registry, name, help, &labels);
    let columns = [
        (make("rettidig_target_value", "Target of an area")?, "target_value"),
        (make("rettidig_target_expected", "Value on the path to the target")?, "expected"),
        (make("rettidig_target_deviation", "Newest value minus expected")?, "deviation"),
        (
            make("rettidig_target_realised_ratio", "Realised share of the way to the target")?,
            "realised_ratio",
        ),
        (make("rettidig_target_level", "Mean of the newest three months")?, "level"),
        (make("rettidig_target_expected_level", "Level of an area on its path")?, "expected_level"),
        (make("rettidig_target_lower_limit", "Lower limit of the level")?, "lower_limit"),
        (make("rettidig_target_upper_limit", "Upper limit of the level")?, "upper_limit"),
        (
            make("rettidig_target_probability", "Probability of reaching the target if it goes on so")?,
            "probability",
        ),
    ];
    let state = gauges(
        registry,
        "rettidig_target_state",
        "1 for the state that the area is in",
        &["indicator", "area_kind", "area", "benefit", "state"],
    )?;
    let rows = tables.iter().flat_map(|table| (0..table.num_rows()).map(|row| (Table(table), row)));
    for (table, row) in rows {
        if table.number("newest", row) != Some(1.0) {
            continue;
        }
        let [indicator, area_kind, area, benefit] = labels.map(|label| table.text(label, row));
        for (gauges, column) in &columns {
            if let Some(number) = table.number(column, row) {
                gauges.with_label_values(&[indicator, area_kind, area, benefit]).set(number);
            }
        }
        for name in STATES {
            let holds = f64::from(u8::from(table.text("state", row) == name));
            state.with_label_values(&[indicator, area_kind, area, benefit, name]).set(holds);
        }
    }
    Ok(())
}

#[allow(clippy::cast_precision_loss, reason = "a gauge is a float")]
fn source_gauges(
    registry: &Registry,
    freshness: &RecordBatch,
    now: DateTime<Utc>,
) -> Result<(), prometheus::Error> {
    let make = |name: &str, help: &str| gauges(registry, name, help, &["source"]);
    let age = make("rettidig_source_age_seconds", "Age of the newest figure of a source")?;
    let lag = make(
        "rettidig_source_official_lag_days",
        "Official lag that the source has: end of period to publication",
    )?;
    let end = make("rettidig_source_period_end_seconds", "End of the newest period of a source")?;
    let due = make("rettidig_source_next_due_seconds", "When the next period of a source is overdue")?;
    let late = make("rettidig_source_late", "1 if the next period of a source is overdue")?;
    let now = now.timestamp_millis() as f64 / 1e3;
    let table = Table(freshness);
    for row in 0..freshness.num_rows() {
        let labels = [table.text("source", row)];
        if let Some(newest) = table.number("newest_event", row) {
            age.with_label_values(&labels).set(now - newest);
        }
        let columns =
            [(&lag, "official_lag_days"), (&end, "newest_period_end"), (&due, "next_due"), (&late, "late")];
        for (gauges, column) in columns {
            if let Some(number) = table.number(column, row) {
                gauges.with_label_values(&labels).set(number);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_does_not_commit_any_more_tells_nothing_old() {
        let metrics = Metrics::new().expect("metrics");
        let now = SystemClock.now();
        let told = || metrics.exposition(None, now).expect("a text");
        metrics.observe_lag(&BTreeMap::from([((Topic::Payments, 0), 5)]), &Positions::new());
        metrics.observe_frozen(2);
        metrics.observe_audit(&AuditReport { mismatch_cells: 3, finished_at: now });
        let stands = |text: &str, line: &str| text.lines().any(|found| found == line);
        let before = told();
        assert!(stands(&before, "rettidig_consumer_lag_messages{topic=\"rettidig.payments\"} 5"), "{before}");
        assert!(stands(&before, "rettidig_audit_mismatch_cells 3"));
        assert!(stands(&before, "rettidig_disclosure_frozen_months 2"));
        metrics.stand_down();
        let after = told();
        assert!(!after.contains("rettidig_consumer_lag_messages{"), "{after}");
        assert!(stands(&after, "rettidig_audit_mismatch_cells -1"));
        assert!(stands(&after, "rettidig_audit_last_full_seconds 0"));
        assert!(stands(&after, "rettidig_disclosure_frozen_months 0"));
    }
}
