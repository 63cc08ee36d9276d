//! The bulk door: canonical events from a file straight into the log, with the checks of the topics.
//!
//! For back-fills and comparisons without Kafka. Lines are decoded on several threads but taken over in their order; a bad
//! line becomes a dead letter with file and line, and the rest is used. Loading a file again changes nothing, because an
//! event counts once. Files are read in pieces, so memory does not depend on their size.

use std::io::{BufRead, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures::stream::{FuturesOrdered, StreamExt};
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use rettidig_event::{DeadLetter, Decoded, Message, Origin, Topic, person};
use tokio::sync::mpsc;

use crate::RuntimeError;
use crate::codes::Codes;
use crate::engine::Engine;
use crate::ingest::OwnedMessage;

/// Bytes decoded in one piece.
const PIECE_BYTES: usize = 4 << 20;

/// Bytes of a line beyond which the file is something else: an event has less than a thousandth of that.
const LINE_BYTES_MAX: usize = 64 << 20;

/// Pieces decoded side by side.
const PIECES: usize = 3;

/// Rows of a file stand in the log as if on a partition: the first file's, the next file's and so on. Topics have none
/// of these.
const FIRST_FILE: i32 = i32::MIN;

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
        if rest.len() > LINE_BYTES_MAX {
            let line = first_line + memchr::memchr_iter(b'\n', &bytes).count() as u64;
            let text = format!(
                "line {line} is longer than {} MiB: expected one JSON object a line",
                LINE_BYTES_MAX >> 20
            );
            return drop(pieces.blocking_send(Err(std::io::Error::other(text))));
        }
        let lines = memchr::memchr_iter(b'\n', &bytes).count() as u64;
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

/// Turns rows of a Parquet file with the columns of the events into pieces of lines of JSON.
fn turn(reader: ParquetRecordBatchReader, pieces: &mpsc::Sender<std::io::Result<Piece>>) {
    let mut first_line = 1;
    for rows in reader {
        let piece = rows.and_then(|rows| {
            let mut writer = arrow::json::LineDelimitedWriter::new(Vec::new());
            writer.write(&rows)?;
            writer.finish()?;
            let piece = Piece { bytes: writer.into_inner(), first_line };
            first_line += rows.num_rows() as u64;
            Ok(piece)
        });
        let is_last = piece.is_err();
        if pieces.blocking_send(piece.map_err(std::io::Error::other)).is_err() || is_last {
            return;
        }
    }
}

/// Takes the events of files into the engine's open batch and settles it; `bury` gets what cannot be used. Gives what
/// came of each file.
///
/// # Errors
/// [`RuntimeError::Stop`] if a file cannot be read or its topic is not known; [`RuntimeError::Retry`] if the storage
/// fails.
pub async fn load(
    engine: &mut Engine,
    files: &[PathBuf],
    at: DateTime<Utc>,
    bury: &mut (dyn FnMut(DeadLetter) + Send),
) -> Result<Vec<Loaded>, RuntimeError> {
    let mut loaded = Vec::with_capacity(files.len());
    for (file, place) in files.iter().zip(FIRST_FILE..) {
        loaded.push(load_file(engine, file, place, at, bury).await?);
    }
    for mut letter in engine.settle().await? {
        if let Origin::Message { partition, offset, .. } = letter.origin {
            let number = usize::try_from(i64::from(partition) - i64::from(FIRST_FILE)).unwrap_or(usize::MAX);
            if let Some((file, loaded)) = files.get(number).zip(loaded.get_mut(number)) {
                loaded.rejected += 1;
                letter.origin = origin(file, u64::try_from(offset).unwrap_or(0));
            }
        }
        bury(letter);
    }
    Ok(loaded)
}

fn origin(file: &Path, line: u64) -> Origin {
    Origin::File { file: file.display().to_string(), line: Some(line) }
}

async fn load_file(
    engine: &mut Engine,
    file: &Path,
    place: i32,
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
    let opened = std::fs::File::open(file).map_err(|error| stop(error.to_string(), readable))?;
    if file.extension().is_some_and(|extension| extension == "parquet") {
        let reader = ParquetRecordBatchReaderBuilder::try_new(opened)
            .and_then(ParquetRecordBatchReaderBuilder::build)
            .map_err(|error| stop(error.to_string(), readable))?;
        tokio::task::spawn_blocking(move || turn(reader, &sender));
    } else {
        tokio::task::spawn_blocking(move || cut(std::io::BufReader::with_capacity(1 << 20, opened), &sender));
    }
    let mut loaded = Loaded::default();
    let mut decoding = FuturesOrdered::new();
    loop {
        let piece = if decoding.len() < PIECES { receiver.recv().await } else { None };
        if let Some(piece) = piece {
            let piece = piece.map_err(|error| stop(error.to_string(), readable))?;
            let codes = Arc::clone(engine.shard().codes());
            decoding.push_back(tokio::task::spawn_blocking(move || {
                let decoded = decode(topic, &piece, place, &codes);
                (piece, decoded)
            }));
            continue;
        }
        let Some(done) = decoding.next().await else { break };
        let (piece, decoded) = done.map_err(|error| stop(error.to_string(), "report this as a bug"))?;
        loaded.lines += lines(&piece).count() as u64;
        match decoded? {
            Some(decoded) => {
                loaded.rejected += decoded.rejected.len() as u64;
                for rejected in &decoded.rejected {
                    if let Some((number, line)) = lines(&piece).nth(rejected.index) {
                        let message = rejected.message.clone();
                        bury(DeadLetter::new(
                            origin(file, number),
                            line,
                            "load",
                            rejected.reason,
                            message,
                            at,
                        ));
                    }
                }
                engine.take_rows(decoded.batch).await?;
            }
            None => {
                let messages: Vec<OwnedMessage> = lines(&piece)
                    .map(|(number, line)| OwnedMessage {
                        partition: place,
                        offset: i64::try_from(number).unwrap_or(i64::MAX),
                        stamp: None,
                        payload: line.to_vec(),
                    })
                    .collect();
                for mut letter in engine.take_messages(topic, &messages).await? {
                    if let Origin::Message { offset, .. } = letter.origin {
                        letter.origin = origin(file, u64::try_from(offset).unwrap_or(0));
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
fn decode(topic: Topic, piece: &Piece, place: i32, codes: &Codes) -> Result<Option<Decoded>, RuntimeError> {
    if !person::TOPICS.contains(&topic) {
        return Ok(None);
    }
    let decoded = codes.decode(
        topic,
        lines(piece).map(|(number, payload)| Message {
            partition: place,
            offset: i64::try_from(number).unwrap_or(i64::MAX),
            payload,
        }),
    )?;
    Ok(Some(decoded))
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    fn pieces(reader: impl BufRead + Send + 'static) -> Vec<std::io::Result<Piece>> {
        let (sender, mut receiver) = mpsc::channel(1);
        let cutting = std::thread::spawn(move || cut(reader, &sender));
        let mut pieces = Vec::new();
        while let Some(piece) = receiver.blocking_recv() {
            pieces.push(piece);
        }
        cutting.join().expect("the end");
        pieces
    }

    #[test]
    fn lines_keep_their_numbers_across_pieces() {
        let text = "x".repeat(1000);
        let text = format!("{text}\n").repeat(10_000) + "the last";
        let pieces = pieces(BufReader::new(std::io::Cursor::new(text)));
        assert!(pieces.len() > 2);
        let mut numbers = Vec::new();
        for piece in &pieces {
            numbers.extend(lines(piece.as_ref().expect("lines")).map(|(number, line)| (number, line.len())));
        }
        assert_eq!(numbers.len(), 10_001);
        assert_eq!(numbers.last(), Some(&(10_001, 8)));
        assert!(numbers.iter().zip(1..).all(|((number, _), expected)| *number == expected));
    }

    #[test]
    fn a_line_without_an_end_stops_with_its_number_instead_of_filling_the_memory() {
        let endless = std::io::Cursor::new("{}\n{}\n").chain(std::io::repeat(b'x'));
        let pieces = pieces(BufReader::new(endless));
        let error = pieces.last().expect("an end").as_ref().err().expect("an error").to_string();
        assert!(error.contains("line 3 is longer than 64 MiB"), "{error}");
    }
}
