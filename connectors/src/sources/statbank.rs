//! The source `statbank`: Danmarks Statistik's StatBank, API v1.
//!
//! One poll asks `/tables` for what changed and, for each table of the profile with another `updated` than in
//! the cursor, `/tableinfo` for its variables and `/data` for its cells, every variable named. JSON-stat answers
//! are taken whole before anything is emitted; BULK is emitted as it comes, and a table cut off in the middle is
//! fetched again from its start. Stamps are compared as instants: `/tableinfo` writes Danish local time, JSON-stat
//! UTC. An answer that is not understood becomes a dead letter with its bytes, and only its own table waits.
//!
//! The service prints the name, phone and mail of a contact person with each table; they are not read, and a
//! description that is put aside is put aside without them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use async_trait::async_trait;
use chrono::{DateTime, NaiveTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Europe::Copenhagen;
use reqwest::{StatusCode, Url};
use rettidig_event::{Clock, Period, PollOutcome, Reason, Sink, SinkError, Source, SourceError};
use serde_json::{Value, json};

use self::cells::Reader;
use self::plan::{Selection, TableInfo, instant_of, select};
use self::profile::{Profile, Schedule, Table};
use crate::emit::{Emitter, Figure, Refusal, instant, json_body, not_a_cursor};
use crate::http::{Answer, HttpClient, Request};
use crate::profile::{ProfileError, join};
use crate::sources::Options;

mod bulk;
mod cells;
mod plan;
mod profile;

pub(super) const NAME: &str = "statbank";

const PUBLISHER: &str = "dst";

/// The list of tables among the refused answers of a cursor; no table id has a slash.
const LIST: &str = "/tables";

/// Requests for one table at one poll. A table that needs more is for BULK.
const REQUESTS_MAX: usize = 256;

/// The widest window of changes asked for; beyond it the whole list is.
const PAST_DAYS_MAX: i64 = 90;

pub(super) fn build(yaml: &str, options: &Options<'_>) -> Result<Box<dyn Source>, ProfileError> {
    let profile = Profile::read(yaml, options.base_url)?;
    let http = HttpClient::new(profile.http.clone(), options.token.clone(), true, options.pause.clone())
        .map_err(|error| ProfileError { source: NAME.to_owned(), errors: vec![error] })?;
    Ok(Box::new(Statbank { profile, http, unlisted: BTreeSet::new() }))
}

struct Statbank {
    profile: Profile,
    http: HttpClient,
    /// Tables already reported as not listed.
    unlisted: BTreeSet<String>,
}

/// Why a table brought nothing, or not everything.
enum TableError {
    Refused { file: String, line: Option<u64>, bytes: Vec<u8>, refusal: Refusal },
    Source(SourceError),
}

impl From<SourceError> for TableError {
    fn from(error: SourceError) -> Self {
        Self::Source(error)
    }
}

impl From<SinkError> for TableError {
    fn from(error: SinkError) -> Self {
        Self::Source(error.into())
    }
}

#[async_trait]
impl Source for Statbank {
    fn name(&self) -> &str {
        NAME
    }

    async fn poll(
        &mut self,
        cursor: &Value,
        clock: &dyn Clock,
        sink: &mut dyn Sink,
    ) -> Result<PollOutcome, SourceError> {
        let now = clock.now();
        let mut emitter = Emitter::new(sink, PUBLISHER, NAME, now);
        let mut cursor = Cursor::read(cursor)?;
        let list_refused = cursor.refused.remove(LIST);
        cursor.refused.retain(|key, _| self.profile.tables.iter().any(|table| table.id == *key));
        let mut failures = Vec::new();

        let window = self.window(&cursor, now);
        let path = window.map_or(String::new(), |days| format!("&pastdays={days}"));
        let url = self.url(&format!("tables?lang=da&format=JSON{path}"))?;
        let answer = self.fetch(&url, Request::Get).await?;
        let listed = match json_body(&answer.body).and_then(|json| read_list(&json)) {
            Ok(listed) => listed,
            Err(refusal) => {
                if let Some(content) = list_refused {
                    cursor.refused.insert(LIST.to_owned(), content);
                }
                let place = (&*file("GET", &url), None);
                emitter.put_aside(&mut cursor.refused, LIST, place, &answer.body, &refusal).await?;
                let next_poll = next_poll(&self.profile.poll, now, true);
                return Ok(emitter.outcome(cursor.write(), next_poll, failures));
            }
        };
        for table in &self.profile.tables {
            let Some(listed) = listed.get(&table.id) else {
                // Within a window of days, not listed means not changed.
                if window.is_none() && self.unlisted.insert(table.id.clone()) {
                    tracing::warn!(
                        table = table.id,
                        "in the profile, but not in the service's list of tables"
                    );
                }
                continue;
            };
            if cursor.is_current(table, *listed) {
                continue;
            }
            match self.table(table, &mut emitter).await {
                Ok(updated) => {
                    if updated != *listed {
                        tracing::info!(
                            table = table.id, list = %listed, description = %updated,
                            "list and description disagree on the stamp; the description counts"
                        );
                    }
                    cursor.moved(table, updated);
                }
                Err(TableError::Refused { file, line, bytes, refusal }) => {
                    let place = (&*file, line);
                    emitter.put_aside(&mut cursor.refused, &table.id, place, &bytes, &refusal).await?;
                }
                Err(TableError::Source(SourceError::Sink(error))) => return Err(error.into()),
                Err(TableError::Source(error)) => failures.push(error),
            }
        }
        let failed = !failures.is_empty() || !cursor.refused.is_empty();
        if !failed {
            cursor.complete_until = Some(now);
        }
        let next_poll = next_poll(&self.profile.poll, now, failed);
        Ok(emitter.outcome(cursor.write(), next_poll, failures))
    }
}

impl Statbank {
    /// Days to ask changes for: since the last poll that left nothing undone, with a margin; nothing if the
    /// whole list is needed.
    fn window(&self, cursor: &Cursor, now: DateTime<Utc>) -> Option<i64> {
        let known = |table: &Table| cursor.definition(table) == Some(table.definition.as_str());
        let since = cursor.complete_until.filter(|_| self.profile.tables.iter().all(known))?;
        Some((now - since).num_days().max(0) + 2).filter(|days| *days <= PAST_DAYS_MAX)
    }

    fn url(&self, path: &str) -> Result<Url, SourceError> {
        join(&self.profile.base_url, path).map_err(|cause| SourceError::Stop {
            attempt: "building an address".to_owned(),
            cause,
            remedy: "correct base_url in the profile".to_owned(),
        })
    }

    async fn fetch(&self, url: &Url, request: Request<'_>) -> Result<Answer, SourceError> {
        let attempt = file(method(request), url);
        let answer =
            self.http.fetch(url, request).await.map_err(|error| error.into_source_error(&attempt))?;
        if answer.status.is_success() { Ok(answer) } else { Err(refused(&attempt, &answer)) }
    }

    /// Fetches and emits one table; its stamp on success.
    async fn table(&self, table: &Table, emitter: &mut Emitter<'_>) -> Result<DateTime<Utc>, TableError> {
        let url = self.url(&format!("tableinfo/{}?lang=da&format=JSON", table.id))?;
        let answer = self.fetch(&url, Request::Get).await?;
        let info = json_body(&answer.body).and_then(TableInfo::read).and_then(|info| {
            let updated = instant_of(&info.updated).ok_or_else(|| {
                Refusal::new(Reason::UnknownShape, "updated: no instant such as 2025-03-25T08:00:00")
            })?;
            Ok((info, updated))
        });
        let (info, updated) = info.map_err(|refusal| {
            let bytes = without_contacts(&answer.body);
            TableError::Refused { file: file("GET", &url), line: None, bytes, refusal }
        })?;
        if info.id != table.id {
            tracing::warn!(table = table.id, answered = info.id, "the description names another table");
        }
        let selection = select(table, &info).map_err(|cause| SourceError::Stop {
            attempt: format!("selecting variables of table {}", table.id),
            cause,
            remedy: "name every variable of the table in the profile, with codes that it has".to_owned(),
        })?;
        let reader = Reader::new(table, info.suppressed_value.as_deref());
        let url = self.url("data")?;
        let (figures, newest) = if table.bulk {
            self.bulk(&url, table, &reader, &selection, updated, emitter).await?
        } else {
            let figures = self.json_stat(&url, table, &reader, selection, updated).await?;
            emitter.figures(&table.id, updated, &figures).await?;
            (figures.len() as u64, newest(figures.iter().map(|figure| figure.period)))
        };
        match newest {
            Some(newest) => emitter.delivery(&table.id, newest, figures).await?,
            None => tracing::warn!(table = table.id, "no cell of a municipality or the whole country"),
        }
        Ok(updated)
    }

    /// All answers of a table, in pieces under the limit of cells; a piece that the service finds too large is
    /// halved further.
    async fn json_stat(
        &self,
        url: &Url,
        table: &Table,
        reader: &Reader<'_>,
        selection: Selection,
        updated: DateTime<Utc>,
    ) -> Result<Vec<Figure>, TableError> {
        let mut waiting: VecDeque<Selection> = selection.pieces(self.profile.cells_max).into();
        let mut requests = 0;
        let (mut figures, mut skipped) = (Vec::new(), 0);
        while let Some(piece) = waiting.pop_front() {
            requests += 1;
            if requests > REQUESTS_MAX {
                return Err(TableError::Source(SourceError::Stop {
                    attempt: format!("POST data of table {}", table.id),
                    cause: format!("more than {REQUESTS_MAX} requests would be needed"),
                    remedy: "select fewer codes, or set bulk: true for this table in the profile".to_owned(),
                }));
            }
            let body = piece.body(&table.id, "JSONSTAT");
            let attempt = file("POST", url);
            let answer = self
                .http
                .fetch(url, Request::Post(&body))
                .await
                .map_err(|error| error.into_source_error(&attempt))?;
            if error_code(&answer).as_deref() == Some("REQUEST-LIMIT")
                && let Some([first, second]) = piece.halves()
            {
                waiting.push_front(second);
                waiting.push_front(first);
                continue;
            }
            if !answer.status.is_success() {
                return Err(refused(&format!("{attempt} of table {}", table.id), &answer).into());
            }
            let parsed = json_body(&answer.body).and_then(|json| reader.json_stat(&json, &piece));
            let parsed = parsed.map_err(|refusal| TableError::Refused {
                file: format!("{attempt} {}", table.id),
                line: None,
                bytes: answer.body.to_vec(),
                refusal,
            })?;
            if let Some(other) = parsed.updated.filter(|other| *other != updated) {
                tracing::warn!(
                    table = table.id, description = %updated, data = %other,
                    "description and data disagree on the stamp; the description counts"
                );
            }
            skipped += parsed.skipped_areas;
            figures.extend(parsed.figures);
        }
        if skipped > 0 {
            tracing::info!(table = table.id, skipped, "cells of areas that are no municipality skipped");
        }
        Ok(figures)
    }
}

/// The newest of some periods, by their last day.
fn newest(periods: impl Iterator<Item = Period>) -> Option<Period> {
    periods.max_by_key(Period::last_day)
}

fn method(request: Request<'_>) -> &'static str {
    match request {
        Request::Get => "GET",
        Request::Post(_) => "POST",
    }
}

/// Method and path: enough to find the answer again, without query.
fn file(method: &str, url: &Url) -> String {
    format!("{method} {}", url.path())
}

/// `errorTypeCode` of an error answer.
fn error_code(answer: &Answer) -> Option<String> {
    if answer.status.is_success() {
        return None;
    }
    let json: Value = serde_json::from_slice(&answer.body).ok()?;
    Some(json.get("errorTypeCode")?.as_str()?.to_owned())
}

/// The error of an answer with a final status.
fn refused(attempt: &str, answer: &Answer) -> SourceError {
    let code = error_code(answer).unwrap_or_default();
    let remedy = match code.as_str() {
        "EXTRACT-NOTFOUND" | "REQUEST-NOTFOUND" => {
            "correct the table's id, variables and codes in the profile; tables are replaced now and then"
        }
        "EXTRACT-NOTALLOWED" => "the table is not open to this kind of request; take it out of the profile",
        "REQUEST-LIMIT" => "select fewer codes, or set bulk: true for this table in the profile",
        _ if matches!(answer.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
            "the service is open to all; ask the network's people what answers in its place"
        }
        _ => "compare the request with the service's documentation and correct the profile",
    };
    SourceError::Stop {
        attempt: attempt.to_owned(),
        cause: format!("HTTP {}: {}", answer.status.as_u16(), answer.excerpt()),
        remedy: remedy.to_owned(),
    }
}

/// A description without its contact persons, for the dead letter; as it came if it is no JSON object.
fn without_contacts(body: &[u8]) -> Vec<u8> {
    let bare = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    if let Ok(Value::Object(mut object)) = serde_json::from_slice::<Value>(bare)
        && object.remove("contacts").is_some()
    {
        return serde_json::to_vec(&object).unwrap_or_default();
    }
    body.to_vec()
}

/// Stamps by table.
fn read_list(json: &Value) -> Result<BTreeMap<String, DateTime<Utc>>, Refusal> {
    let shape = |message: &str| Refusal::new(Reason::UnknownShape, message);
    let rows = json.as_array().ok_or_else(|| shape("expected a list of tables"))?;
    rows.iter()
        .map(|row| {
            let text = |key: &str| row.get(key).and_then(Value::as_str);
            let (Some(id), Some(updated)) = (text("id"), text("updated").and_then(instant_of)) else {
                return Err(shape("a table without id or updated"));
            };
            Ok((id.to_owned(), updated))
        })
        .collect()
}

/// When the next poll is worth its while.
fn next_poll(schedule: &Schedule, now: DateTime<Utc>, failed: bool) -> DateTime<Utc> {
    let minutes = |minutes: u64| TimeDelta::minutes(i64::try_from(minutes).unwrap_or(i64::MAX / 1_000_000));
    let local = now.with_timezone(&Copenhagen);
    let in_window = (schedule.release_from..=schedule.release_until).contains(&local.time());
    let wait = if in_window { schedule.release_minutes } else { schedule.quiet_minutes };
    let mut next = now + minutes(wait);
    if failed {
        next = next.min(now + minutes(schedule.retry_minutes));
    }
    let days = [local.date_naive(), local.date_naive() + chrono::Days::new(1)];
    let openings = days.into_iter().filter_map(|day| opening(day, schedule.release_from));
    openings.filter(|at| *at > now).fold(next, DateTime::min)
}

fn opening(day: chrono::NaiveDate, at: NaiveTime) -> Option<DateTime<Utc>> {
    Copenhagen.from_local_datetime(&day.and_time(at)).earliest().map(|local| local.to_utc())
}

/// `{"tables":{"<id>":{"updated":…,"definition":…}},"refused":{…},"complete_until":…}`.
struct Cursor {
    tables: serde_json::Map<String, Value>,
    refused: serde_json::Map<String, Value>,
    /// The last poll that left nothing undone.
    complete_until: Option<DateTime<Utc>>,
}

impl Cursor {
    fn read(value: &Value) -> Result<Self, SourceError> {
        let part = |key: &str| value.get(key).and_then(Value::as_object).cloned();
        let complete_until = value.get("complete_until").and_then(Value::as_str).and_then(instant_of);
        match (part("tables"), part("refused")) {
            (Some(tables), Some(refused)) => Ok(Self { tables, refused, complete_until }),
            _ if value.is_null() => {
                Ok(Self { tables: Default::default(), refused: Default::default(), complete_until: None })
            }
            _ => Err(not_a_cursor(NAME)),
        }
    }

    fn write(self) -> Value {
        json!({
            "tables": self.tables,
            "refused": self.refused,
            "complete_until": self.complete_until.map(instant),
        })
    }

    fn definition(&self, table: &Table) -> Option<&str> {
        self.tables.get(&table.id)?.get("definition")?.as_str()
    }

    fn is_current(&self, table: &Table, updated: DateTime<Utc>) -> bool {
        let seen = self.tables.get(&table.id).and_then(|seen| seen.get("updated")).and_then(Value::as_str);
        seen == Some(&instant(updated)) && self.definition(table) == Some(&table.definition)
    }

    fn moved(&mut self, table: &Table, updated: DateTime<Utc>) {
        self.tables
            .insert(table.id.clone(), json!({"updated": instant(updated), "definition": table.definition}));
        self.refused.remove(&table.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn polls_often_around_eight() {
        let schedule = Schedule {
            release_from: NaiveTime::from_hms_opt(7, 58, 0).expect("time"),
            release_until: NaiveTime::from_hms_opt(8, 30, 0).expect("time"),
            release_minutes: 2,
            quiet_minutes: 60,
            retry_minutes: 15,
        };
        for (now, failed, expected) in [
            ("2026-08-19T12:00:00Z", false, "2026-08-19T13:00:00Z"),
            ("2026-08-19T12:00:00Z", true, "2026-08-19T12:15:00Z"),
            ("2026-08-19T05:30:00Z", false, "2026-08-19T05:58:00Z"),
            ("2026-08-19T05:58:00Z", false, "2026-08-19T06:00:00Z"),
            ("2026-08-19T06:30:00Z", false, "2026-08-19T06:32:00Z"),
            ("2026-08-19T06:31:00Z", false, "2026-08-19T07:31:00Z"),
            ("2026-12-01T06:30:00Z", false, "2026-12-01T06:58:00Z"),
        ] {
            let at = now.parse().expect("instant");
            assert_eq!(instant(next_poll(&schedule, at, failed)), expected, "at {now}, failed: {failed}");
        }
    }

    #[test]
    fn contacts_are_taken_out_of_what_is_put_aside() {
        let kept = without_contacts(br#"{"id":"X","contacts":[{"phone":"+45"}]}"#);
        assert_eq!(kept, br#"{"id":"X"}"#);
        assert_eq!(without_contacts(b"<html>"), b"<html>");
    }
}
