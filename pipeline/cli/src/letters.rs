//! `rettidig dead-letters`: what could not be used, on the terminal.
//!
//! Bytes that were put aside can hold anything: what looks like a CPR number is masked and control characters are shown
//! as escapes wherever something of a letter is printed.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use arrow::array::{ArrayRef, RecordBatch, StringArray};
use chrono::{DateTime, Utc};
use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use rettidig_broker::{Broker, BrokerConfig, BrokerError};
use rettidig_connectors::pseudonym::redact;
use rettidig_event::{Clock as _, DeadLetter, Origin, Reason, SystemClock};
use rettidig_runtime::kafka::{KafkaConfig, Place, letters};
use rettidig_runtime::letters::{Replayed, Selection, Way, replay, replay_of, source_of, way};
use serde_json::json;

use crate::config::Config;
use crate::output::{line, remark};
use crate::tools::report;

/// How a source that cannot be told is named.
const UNKNOWN: &str = "unknown";

/// Bytes of a hex dump in one line.
const DUMPED: usize = 16;

#[derive(Debug, Args)]
pub struct DeadLetters {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// What was put aside, oldest first, with totals by reason and source.
    ///
    /// A letter is `open` until it is sent again. One whose bytes were wrong at the producer needs no replay: the producer
    /// sends the right event, and with that everything is as if it had been right at first; the letter stays here, as a
    /// record of what came. The same holds for lines of files and answers of publishers: correct the profile or the file and
    /// have it delivered again.
    List {
        #[command(flatten)]
        chosen: Chosen,
        #[command(flatten)]
        place: Cluster,
        /// One JSON object a letter on stdout, without its bytes.
        #[arg(long)]
        json: bool,
    },
    /// One letter whole, with its bytes. What looks like a CPR number is masked.
    Show {
        /// Its place, as `list` shows it: partition/offset.
        at: Place,
        #[command(flatten)]
        place: Cluster,
    },
    /// Send letters again to the topics they came from, after the program or a reference file was corrected.
    ///
    /// Whatever of it is there already changes nothing. A letter is sent once; what is refused again becomes a new letter.
    /// Letters of conflicting_revision are sent only if --reason names it, because the record that came first stays.
    Replay {
        #[command(flatten)]
        chosen: Chosen,
        /// Those too that were sent before.
        #[arg(long)]
        again: bool,
        /// Only say what would be sent.
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        place: Cluster,
    },
}

#[derive(Debug, Args)]
struct Chosen {
    /// Only letters with this reason.
    #[arg(long, value_parser = PossibleValuesParser::new(Reason::ALL.map(Reason::code)))]
    reason: Option<String>,
    /// Only letters of this source, e.g. yr-101, jobindsats-y25i01; of files and answers the connector.
    #[arg(long)]
    source: Option<String>,
    /// Only letters put aside at this instant or later, e.g. 2026-08-19T06:00:00Z.
    #[arg(long)]
    since: Option<DateTime<Utc>>,
}

impl Chosen {
    fn selection(&self) -> Selection {
        Selection {
            reason: self.reason.as_deref().and_then(Reason::from_code),
            source: self.source.clone(),
            since: self.since,
        }
    }
}

/// Which cluster.
#[derive(Debug, Args)]
struct Cluster {
    /// Configuration file of `rettidig run`: its cluster, or the embedded broker in its data folder.
    #[arg(long)]
    config: Option<PathBuf>,
    /// Data folder with an embedded broker, instead of the configuration's, e.g. data/demo.
    #[arg(long, conflicts_with = "brokers")]
    data: Option<PathBuf>,
    /// host:port of Kafka, comma separated, instead of the configuration's.
    #[arg(long)]
    brokers: Option<String>,
}

/// A cluster that can be reached, with the broker that was started for it.
struct Reached {
    kafka: KafkaConfig,
    broker: Option<Broker>,
}

impl Reached {
    fn new(cluster: &Cluster, config: &Config) -> anyhow::Result<Self> {
        let configured = config.kafka().filter(|_| cluster.data.is_none());
        if let Some(brokers) = &cluster.brokers {
            let kafka = KafkaConfig { brokers: brokers.clone(), ..configured.unwrap_or_default() };
            return Ok(Self { kafka, broker: None });
        }
        if let Some(kafka) = configured {
            return Ok(Self { kafka, broker: None });
        }
        Self::embedded(&cluster.data.as_ref().unwrap_or(&config.data).join("broker"))
    }

    /// The broker of a data folder: the one that serves it, or one started for this command.
    fn embedded(folder: &Path) -> anyhow::Result<Self> {
        anyhow::ensure!(
            folder.is_dir(),
            "{} holds no broker: name the data folder of `run` or `demo` with --data, its file with --config, or a \
             cluster with --brokers",
            folder.display()
        );
        let at = |brokers: String| KafkaConfig { brokers, ..KafkaConfig::default() };
        match Broker::start(BrokerConfig::new(folder, || SystemClock.now().timestamp_millis())) {
            Ok(broker) => Ok(Self { kafka: at(broker.address().to_string()), broker: Some(broker) }),
            Err(error @ BrokerError::Locked { .. }) => match rettidig_broker::serving_address(folder) {
                Some(address) => Ok(Self { kafka: at(address.to_string()), broker: None }),
                None => Err(anyhow::Error::new(error).context(
                    "the running process does not tell its broker's address: stop it, or name the address with --brokers",
                )),
            },
            Err(error) => Err(error).context("starting the broker of the data folder"),
        }
    }

    async fn stop(self) -> anyhow::Result<()> {
        match self.broker {
            Some(broker) => Ok(broker.shutdown().await?),
            None => Ok(()),
        }
    }
}

/// Runs the command.
pub async fn dead_letters(options: &DeadLetters) -> anyhow::Result<ExitCode> {
    let (Action::List { place, .. } | Action::Show { place, .. } | Action::Replay { place, .. }) =
        &options.action;
    let config = match Config::without_sources(place.config.as_deref()) {
        Ok(config) => config,
        Err(errors) => return Ok(report(&errors)),
    };
    let reached = Reached::new(place, &config)?;
    let done = match &options.action {
        Action::List { chosen, json, .. } => list(&reached.kafka, &chosen.selection(), *json).await,
        Action::Show { at, .. } => show(&reached.kafka, *at).await,
        Action::Replay { chosen, again, dry_run, .. } => {
            let modes = (*again, *dry_run);
            let replayed = replay(&reached.kafka, &chosen.selection(), modes, SystemClock.now()).await;
            replayed.map_err(anyhow::Error::from).and_then(|replayed| told(&replayed, *dry_run))
        }
    };
    reached.stop().await?;
    done.map(|()| ExitCode::SUCCESS)
}

/// A text of a letter as it may be printed.
fn printable(text: &str) -> String {
    let masked = redact(text.as_bytes());
    String::from_utf8_lossy(&masked).chars().fold(String::new(), |mut shown, c| {
        if c.is_control() {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
        shown
    })
}

fn origin(letter: &DeadLetter) -> String {
    printable(&match &letter.origin {
        Origin::Message { topic, partition, offset } => format!("{topic} {partition}/{offset}"),
        Origin::File { file, line: Some(line) } => format!("{file} line {line}"),
        Origin::File { file, line: None } => file.clone(),
    })
}

/// A letter in the list.
struct Listed {
    place: Place,
    letter: DeadLetter,
    source: String,
}

async fn list(kafka: &KafkaConfig, selection: &Selection, as_json: bool) -> anyhow::Result<()> {
    let mut listed = Vec::new();
    let mut sent: BTreeMap<Place, String> = BTreeMap::new();
    let mut foreign = 0_u64;
    let mut all = letters(kafka, None)?;
    while let Some(letter) = all.recv().await {
        let letter = letter?;
        let Some(mut dead) = letter.letter else {
            foreign += 1;
            continue;
        };
        if let Some(place) = replay_of(&dead) {
            sent.insert(place, dead.at);
        } else if selection.holds(&dead) {
            let source = source_of(&dead).map_or_else(|| UNKNOWN.to_owned(), |source| printable(&source));
            // The bytes are not shown here, and there may be many.
            dead.bytes = String::new();
            listed.push(Listed { place: letter.place, letter: dead, source });
        }
    }
    if foreign > 0 {
        remark(&format!("{foreign} messages on the topic are no dead letters"));
    }
    let mut totals: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for row in &listed {
        *totals.entry((row.letter.reason.code(), &row.source)).or_default() += 1;
    }
    if as_json {
        for row in &listed {
            let object = json!({
                "place": row.place.to_string(), "at": row.letter.at, "stage": row.letter.stage,
                "reason": row.letter.reason.code(), "origin": origin(&row.letter), "source": row.source,
                "sent_again_at": sent.get(&row.place), "message": printable(&row.letter.message),
            });
            line(&object.to_string())?;
        }
        return Ok(());
    }
    if listed.is_empty() {
        return Ok(line("no letters")?);
    }
    let state = |row: &Listed| if sent.contains_key(&row.place) { "sent again" } else { "open" }.to_owned();
    let rows = [
        ("place", listed.iter().map(|row| row.place.to_string()).collect()),
        ("at", listed.iter().map(|row| printable(&row.letter.at)).collect()),
        ("stage", listed.iter().map(|row| printable(&row.letter.stage)).collect()),
        ("reason", listed.iter().map(|row| row.letter.reason.code().to_owned()).collect()),
        ("origin", listed.iter().map(|row| origin(&row.letter)).collect()),
        ("source", listed.iter().map(|row| row.source.clone()).collect()),
        ("state", listed.iter().map(state).collect()),
        ("message", listed.iter().map(|row| printable(&row.letter.message)).collect()),
    ];
    table(rows)?;
    table([
        ("reason", totals.keys().map(|(reason, _)| (*reason).to_owned()).collect()),
        ("source", totals.keys().map(|(_, source)| (*source).to_owned()).collect()),
        ("letters", totals.values().map(u64::to_string).collect()),
    ])
}

fn table<const N: usize>(columns: [(&str, Vec<String>); N]) -> anyhow::Result<()> {
    let columns = columns.map(|(name, texts)| (name, Arc::new(StringArray::from(texts)) as ArrayRef));
    let rows = RecordBatch::try_from_iter(columns)?;
    Ok(line(&arrow::util::pretty::pretty_format_batches(&[rows])?.to_string())?)
}

async fn show(kafka: &KafkaConfig, at: Place) -> anyhow::Result<()> {
    let letter = letters(kafka, Some(at))?.recv().await.context("the broker gave no letter")??;
    let letter = letter.letter.with_context(|| format!("the message at {at} is no dead letter"))?;
    let source = source_of(&letter).map_or_else(|| UNKNOWN.to_owned(), |source| printable(&source));
    line(&format!("place    {at}"))?;
    line(&format!("at       {}", printable(&letter.at)))?;
    line(&format!("stage    {}", printable(&letter.stage)))?;
    line(&format!("reason   {}", letter.reason.code()))?;
    line(&format!("origin   {}", origin(&letter)))?;
    line(&format!("source   {source}"))?;
    line(&format!("message  {}", printable(&letter.message)))?;
    match (replay_of(&letter), way(&letter)) {
        (Some(place), _) => line(&format!("replay   notes that the letter at {place} was sent again"))?,
        (None, Way::Again { topic, key, .. }) => {
            let key =
                key.map_or_else(|| "without a key".to_owned(), |key| format!("with key {}", printable(&key)));
            line(&format!("replay   goes to {} {key}", topic.name()))?;
        }
        (None, Way::Instead(what)) => line(&format!("replay   no: {what}"))?,
    }
    let Some(bytes) = letter.original_bytes() else {
        return Ok(line("bytes    not base64, so nothing can be shown")?);
    };
    let masked = redact(&bytes);
    let hidden = if masked == bytes { "" } else { ", what looks like a CPR number masked" };
    line(&format!("bytes    {}{hidden}", bytes.len()))?;
    if masked.is_empty() {
        return Ok(());
    }
    match std::str::from_utf8(&masked) {
        Ok(text) if !text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t' | '\r')) => {
            Ok(line(text)?)
        }
        _ => {
            remark(
                "not plain text in UTF-8; an old Danish system may have written Windows-1252: iconv -f CP1252",
            );
            Ok(line(&hex_dump(&masked))?)
        }
    }
}

/// Bytes in lines of 16: place, hexadecimal, and what of it is ASCII.
fn hex_dump(bytes: &[u8]) -> String {
    let mut dump = String::new();
    for (number, row) in bytes.chunks(DUMPED).enumerate() {
        let hexadecimal = row.iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x} ");
            text
        });
        let ascii: String =
            row.iter().map(|byte| if byte.is_ascii_graphic() { char::from(*byte) } else { '.' }).collect();
        let separator = if number == 0 { "" } else { "\n" };
        let _ = write!(dump, "{separator}{:08x}  {hexadecimal:48} {ascii}", number * DUMPED);
    }
    dump
}

fn told(replayed: &Replayed, dry_run: bool) -> anyhow::Result<()> {
    let verb = if dry_run { "would send" } else { "sent" };
    for (topic, count) in &replayed.sent {
        line(&format!("{verb} {count} to {topic}"))?;
    }
    if replayed.sent.is_empty() {
        line("nothing to send")?;
    }
    let others = [
        (replayed.same_bytes, "with the same bytes as one of these"),
        (replayed.before, "sent before: --again sends them once more"),
        (
            replayed.conflicts,
            "of conflicting_revision left: the record that came first stays, the source has to send a \
                              correction; --reason conflicting_revision sends them all the same",
        ),
    ];
    for (count, what) in others.into_iter().filter(|(count, _)| *count > 0) {
        line(&format!("{count} {what}"))?;
    }
    for (what, count) in &replayed.instead {
        line(&format!("{count} not sent: {what}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_holds_no_number_of_a_person_and_no_control_character() {
        assert_eq!(printable("person: \"610170-1234\"\u{1b}[2J\n"), "person: \"**********\"\\u{1b}[2J\\n");
        assert_eq!(
            hex_dump(b"K\xf8benhavn 2026-08-19"),
            "00000000  4b f8 62 65 6e 68 61 76 6e 20 32 30 32 36 2d 30  K.benhavn.2026-0\n\
             00000010  38 2d 31 39                                      8-19"
        );
    }
}
