//! The bulk door: canonical events from a file straight into the log, with the checks of the topics.
//!
//! For back-fills and comparisons without Kafka. Lines are decoded on several threads but taken over in their order; a bad
//! line becomes a dead letter with file and line, and the rest is used. Loading a file again changes nothing, because an
//! event counts once. Memory does not depend on the size of the file.

use std::io::{BufRead, Read};
use std::path::Path;

use chrono::{DateTime, Utc};
use futures::stream::{FuturesOrdered, StreamExt};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use rettidig_event::{DeadLetter, Decoded, Message, Origin, Topic, person};
use tokio::sync::mpsc;

use crate::RuntimeError;
use crate::engine::Engine;
use crate::ingest::OwnedMessage;

/// Bytes decoded in one piece.
const PIECE_BYTES: usize = 4 << 20;

/// Pieces decoded side by side.
const PIECES: usize = 3;

/// What came of a file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Loaded {
    /// Lines, or rows of a Parquet file.
    pub lines: u64,
    /// Of them put aside.
    pub rejected: u64,
}

/// The topic that a file is for, by the beginning of its name: `payments-0001.ndjson`.
pub fn topic_of(file: &Path) -> Option<Topic> {
    let name = file.file_name()?.to_str()?;
    Topic::ALL
        .into_iter()
        .filter(|topic| *topic != Topic::DeadLetter)
        .find(|topic| name.starts_with(topic.name().trim_start_matches("rettidig.")))
}

/// Whole lines and the number of the first.
struct Piece {
    bytes: Vec<u8>,
    first_line: u64,
}

/// Cuts a text into pieces of whole lines.
fn cut(mut reader: impl BufRead, pieces: &mpsc::Sender<std::io::Result<Piece>>) {
    let (mut first_line, mut rest) = (1, Vec::new());
    loop {
        let mut bytes = std::mem::take(&mut rest);
        let read = reader.by_ref().take(PIECE_BYTES as u64).read_to_end(&mut bytes);
        let ended = match read {
            Ok(read) => read == 0,
            Err(error) => return drop(pieces.blocking_send(Err(error))),
        };
        if !ended {
            let end = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |place| place + 1);
            rest = bytes.split_off(end);
        }
        let lines = bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
        if !bytes.is_empty() && pieces.blocking_send(Ok(Piece { bytes, first_line })).is_err() {
            return;
        }
        if ended {
            return;
        }
        first_line += lines;
    }
}

fn lines(piece: &Piece) -> impl Iterator<Item = (u64, &[u8])> {
    let numbered = piece.bytes.split(|byte| *byte == b'\n').zip(piece.first_line..);
    numbered
        .map(|(line, number)| (number, line.strip_suffix(b"\r").unwrap_or(line)))
        .filter(|(_, line)| !line.is_empty())
}

/// Reads a Parquet file with the columns of the events as lines of JSON.
fn parquet_lines(file: &Path) -> Result<Vec<u8>, String> {
    let file = std::fs::File::open(file).map_err(|error| error.to_string())?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(file)
        .and_then(ParquetRecordBatchReaderBuilder::build)
        .map_err(|error| error.to_string())?;
    let mut writer = arrow::json::LineDelimitedWriter::new(Vec::new());
    for batch in reader {
        let batch = batch.map_err(|error| error.to_string())?;
        writer.write(&batch).map_err(|error| error.to_string())?;
    }
    writer.finish().map_err(|error| error.to_string())?;
    Ok(writer.into_inner())
}

/// Takes the events of a file into the engine's open batch; `bury` gets what cannot be used.
///
/// # Errors
/// [`RuntimeError::Stop`] if the file cannot be read or its topic is not known; [`RuntimeError::Retry`] if the storage
/// fails.
pub async fn load(
    engine: &mut Engine,
    file: &Path,
    at: DateTime<Utc>,
    bury: &mut (dyn FnMut(DeadLetter) + Send),
) -> Result<Loaded, RuntimeError> {
    let attempt = format!("loading {}", file.display());
    let stop = |cause: String, remedy: &str| RuntimeError::stop(&attempt, cause, remedy);
    let topic = topic_of(file).ok_or_else(|| {
        let remedy =
            "name it after its topic: payments…, cases…, income…, official…, deliveries….ndjson or .parquet";
        stop("the file's name does not tell its topic".to_owned(), remedy)
    })?;
    let readable = "check that the file is there, whole and readable";
    let (sender, mut receiver) = mpsc::channel(PIECES);
    if file.extension().is_some_and(|extension| extension == "parquet") {
        let bytes = parquet_lines(file).map_err(|error| stop(error, readable))?;
        tokio::task::spawn_blocking(move || cut(std::io::Cursor::new(bytes), &sender));
    } else {
        let opened = std::fs::File::open(file).map_err(|error| stop(error.to_string(), readable))?;
        tokio::task::spawn_blocking(move || cut(std::io::BufReader::with_capacity(1 << 20, opened), &sender));
    }
    let mut loaded = Loaded::default();
    let mut decoding = FuturesOrdered::new();
    loop {
        let piece = if decoding.len() < PIECES { receiver.recv().await } else { None };
        if let Some(piece) = piece {
            let piece = piece.map_err(|error| stop(error.to_string(), readable))?;
            decoding.push_back(tokio::task::spawn_blocking(move || {
                let decoded = decode(topic, &piece);
                (piece, decoded)
            }));
            continue;
        }
        let Some(done) = decoding.next().await else { break };
        let (piece, decoded) = done.map_err(|error| stop(error.to_string(), "report this as a bug"))?;
        loaded.lines += lines(&piece).count() as u64;
        let origin = |number: u64| Origin::File { file: file.display().to_string(), line: Some(number) };
        match decoded {
            Some(decoded) => {
                loaded.rejected += decoded.rejected.len() as u64;
                for rejected in &decoded.rejected {
                    if let Some((number, line)) = lines(&piece).nth(rejected.index) {
                        let message = rejected.message.clone();
                        bury(DeadLetter::new(origin(number), line, "load", rejected.reason, message, at));
                    }
                }
                engine.take_rows(topic, decoded.batch).await?;
            }
            None => {
                let messages: Vec<OwnedMessage> = lines(&piece)
                    .map(|(number, line)| OwnedMessage {
                        partition: -1,
                        offset: i64::try_from(number).unwrap_or(i64::MAX),
                        payload: line.to_vec(),
                    })
                    .collect();
                for mut letter in engine.take_messages(topic, &messages).await? {
                    if let Origin::Message { offset, .. } = letter.origin {
                        letter.origin = origin(u64::try_from(offset).unwrap_or(0));
                    }
                    loaded.rejected += 1;
                    bury(letter);
                }
            }
        }
    }
    Ok(loaded)
}

/// Decodes lines about persons; the few of the other topics are left to the engine, which tells duplicates at once.
fn decode(topic: Topic, piece: &Piece) -> Option<Decoded> {
    if !person::TOPICS.contains(&topic) {
        return None;
    }
    Some(person::decode(
        topic,
        lines(piece).map(|(number, payload)| Message {
            partition: -1,
            offset: i64::try_from(number).unwrap_or(i64::MAX),
            payload,
        }),
    ))
}
