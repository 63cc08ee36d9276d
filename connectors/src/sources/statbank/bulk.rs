//! Fetching a table as BULK: `;`, CRLF, one line a cell, emitted as it comes.
//!
//! Nothing but one line and one batch of figures is held, so that a table of many millions of cells needs no
//! more memory than a small one. The price: lines before a broken one have been emitted already. They are right
//! as they are; the table's cursor stays, and the next fetch sends them again. A line that is not understood is
//! put aside alone, with its number.

use bytes::{Bytes, BytesMut};
use chrono::{DateTime, Utc};
use futures::StreamExt;
use futures::stream::BoxStream;
use reqwest::Url;
use rettidig_event::{Period, Reason, SourceError};

use super::cells::Reader;
use super::plan::Selection;
use super::profile::{Table, Variable};
use super::{Statbank, TableError, file, newest, refused};
use crate::emit::{Emitter, Figure, Refusal};
use crate::http::{Request, Streamed};

/// The longest line, bytes.
const LINE_BYTES_MAX: usize = 64 << 10;

/// Figures handed over at a time.
const BATCH: usize = 4096;

impl Statbank {
    /// Figures emitted and the newest period among them.
    pub(super) async fn bulk(
        &self,
        url: &Url,
        table: &Table,
        reader: &Reader<'_>,
        selection: &Selection,
        updated: DateTime<Utc>,
        emitter: &mut Emitter<'_>,
    ) -> Result<(u64, Option<Period>), TableError> {
        let attempt = format!("{} {}", file("POST", url), table.id);
        let body = selection.body(&table.id, "BULK");
        let streamed = self
            .http
            .stream(url, Request::Post(&body))
            .await
            .map_err(|error| error.into_source_error(&attempt))?;
        let stream = match streamed {
            Streamed::Body(stream) => stream,
            Streamed::Answer(answer) => return Err(refused(&attempt, &answer).into()),
        };
        let mut lines = Lines { stream, buffer: BytesMut::new(), ended: false, number: 0 };
        let put_aside = |line: u64, bytes: &[u8], refusal: Refusal| TableError::Refused {
            file: attempt.clone(),
            line: Some(line),
            bytes: bytes.to_vec(),
            refusal,
        };
        let mut columns: Option<Vec<&Variable>> = None;
        let mut batch: Vec<Figure> = Vec::new();
        let (mut count, mut latest, mut skipped) = (0_u64, None, 0_u64);
        while let Some(line) = lines.next(&attempt).await? {
            let number = lines.number;
            let text = match text_of(&line, number) {
                Ok(text) => text,
                Err(refusal) => return Err(put_aside(number, &line, refusal)),
            };
            let Some(known) = &columns else {
                columns =
                    Some(reader.bulk_header(text).map_err(|refusal| put_aside(number, &line, refusal))?);
                continue;
            };
            match reader.bulk_line(known, text).map_err(|refusal| put_aside(number, &line, refusal))? {
                Some(figure) => batch.push(figure),
                None => skipped += 1,
            }
            if batch.len() == BATCH {
                count += batch.len() as u64;
                latest = newest(latest.into_iter().chain(batch.iter().map(|figure| figure.period)));
                emitter.figures(&table.id, updated, &batch).await?;
                batch.clear();
            }
        }
        if columns.is_none() {
            let refusal = Refusal::new(Reason::Empty, "the answer has no content; expected BULK");
            return Err(put_aside(1, b"", refusal));
        }
        count += batch.len() as u64;
        latest = newest(latest.into_iter().chain(batch.iter().map(|figure| figure.period)));
        emitter.figures(&table.id, updated, &batch).await?;
        if skipped > 0 {
            tracing::info!(table = table.id, skipped, "cells of areas that are no municipality skipped");
        }
        if count + skipped != selection.cells() {
            tracing::info!(
                table = table.id,
                got = count + skipped,
                asked = selection.cells(),
                "BULK left cells out"
            );
        }
        Ok((count, latest))
    }
}

/// The text of one line: UTF-8, no page in place of the first one.
fn text_of(line: &[u8], number: u64) -> Result<&str, Refusal> {
    let line = if number == 1 { line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line) } else { line };
    let text = std::str::from_utf8(line)
        .map_err(|error| {
            let at = error.valid_up_to();
            Refusal::new(Reason::WrongEncoding, format!("expected UTF-8; byte {at} of the line is not"))
        })?
        .trim_end_matches(['\r', '\n']);
    if number == 1 && text.trim_start().starts_with('<') {
        return Err(Refusal::new(Reason::UnexpectedContent, "expected BULK, got a page"));
    }
    Ok(text)
}

/// Lines of a stream, with their line ends, numbered from 1.
struct Lines {
    stream: BoxStream<'static, Result<Bytes, String>>,
    buffer: BytesMut,
    ended: bool,
    number: u64,
}

impl Lines {
    async fn next(&mut self, attempt: &str) -> Result<Option<Bytes>, SourceError> {
        let broken = |cause: String| SourceError::Retry { attempt: attempt.to_owned(), cause };
        let mut searched = 0;
        loop {
            if let Some(at) = self.buffer[searched..].iter().position(|byte| *byte == b'\n') {
                self.number += 1;
                return Ok(Some(self.buffer.split_to(searched + at + 1).freeze()));
            }
            searched = self.buffer.len();
            if searched > LINE_BYTES_MAX {
                return Err(broken(format!(
                    "line {} is longer than {LINE_BYTES_MAX} bytes",
                    self.number + 1
                )));
            }
            if self.ended {
                if self.buffer.is_empty() {
                    return Ok(None);
                }
                self.number += 1;
                return Ok(Some(self.buffer.split().freeze()));
            }
            match self.stream.next().await {
                Some(chunk) => self.buffer.extend_from_slice(&chunk.map_err(broken)?),
                None => self.ended = true,
            }
        }
    }
}
