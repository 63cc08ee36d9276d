//! The source `jobindsats`: STAR's jobindsats.dk, API v3.
//!
//! One poll asks `/tables` (the release calendar) and fetches each table of the profile whose `update_latest`
//! is not the one in the cursor. A table's figures go out only when all its answers were understood, followed
//! by one delivery record; then its place in the cursor moves. An answer that is not understood becomes a dead
//! letter with its bytes, once for each different content, and only its own table waits.
//!
//! Published at: the day of `update_latest` at 06:00 UTC, because the calendar names no hour. Values are
//! `final` here; that the newest month is provisional is the model's knowledge. Refused: 401 and 403 (stop,
//! with what to do), any 422 but that of a period type.

use std::collections::BTreeSet;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use reqwest::{StatusCode, Url};
use rettidig_event::{Clock, PollOutcome, Sink, Source, SourceError};
use serde_json::{Value, json};

use self::calendar::{Listed, next_poll, published_at};
use self::profile::{Profile, Query, Table};
use self::rows::Parsed;
use crate::emit::{Emitter, Refusal, json_body, not_a_cursor};
use crate::http::{Answer, HttpClient, Request};
use crate::profile::{ProfileError, TokenNames, join};
use crate::sources::Options;

mod calendar;
mod profile;
mod rows;

pub(super) const NAME: &str = "jobindsats";

/// The list of tables among the refused answers of a cursor; no table id has a slash.
const LIST: &str = "/tables";

pub(super) fn build(yaml: &str, options: &Options<'_>) -> Result<Box<dyn Source>, ProfileError> {
    let profile = Profile::read(yaml, options.base_url)?;
    let http = HttpClient::new(profile.http.clone(), options.token.clone(), false, options.pause.clone())
        .map_err(|error| ProfileError { source: NAME.to_owned(), errors: vec![error] })?;
    Ok(Box::new(Jobindsats { profile, http, unlisted: BTreeSet::new() }))
}

pub(super) fn token_names(yaml: &str) -> Result<TokenNames, ProfileError> {
    Ok(Profile::read(yaml, None)?.token)
}

struct Jobindsats {
    profile: Profile,
    http: HttpClient,
    /// Tables already reported as not listed.
    unlisted: BTreeSet<String>,
}

/// An answer that is data or a reason to put it aside.
enum Fetched {
    Body(Answer),
    UnknownPeriodType,
}

/// Why a table brought nothing.
enum TableError {
    /// The bytes under a method and path, and what is wrong with them.
    Refused {
        file: String,
        body: Answer,
        refusal: Refusal,
    },
    Source(SourceError),
}

impl From<SourceError> for TableError {
    fn from(error: SourceError) -> Self {
        Self::Source(error)
    }
}

#[async_trait]
impl Source for Jobindsats {
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
        let mut emitter = Emitter::new(sink, NAME, NAME, now);
        let mut cursor = Cursor::read(cursor)?;
        let tables = &self.profile.tables;
        let list_refused = cursor.refused.remove(LIST);
        cursor.refused.retain(|key, _| tables.iter().any(|table| table.id == *key));
        let mut failures = Vec::new();
        let url = self.url("tables?format=json")?;
        let answer = match self.get(&url).await? {
            Fetched::Body(answer) => answer,
            Fetched::UnknownPeriodType => {
                return Err(unexpected(&url, "HTTP 422 without a period asked for"));
            }
        };
        let listed = match json_body(&answer.body).and_then(|json| calendar::read(&json)) {
            Ok(listed) => listed,
            Err(refusal) => {
                if let Some(content) = list_refused {
                    cursor.refused.insert(LIST.to_owned(), content);
                }
                let place = (&*file(&url), None);
                emitter.put_aside(&mut cursor.refused, LIST, place, &answer.body, &refusal).await?;
                let next_poll = next_poll(&self.profile.poll, now, &[], true);
                return Ok(emitter.outcome(cursor.write(), next_poll, failures));
            }
        };
        let mut ours: Vec<Listed> = Vec::new();
        for table in &self.profile.tables {
            let Some(entry) = listed.get(&table.id) else {
                if self.unlisted.insert(table.id.clone()) {
                    tracing::warn!(
                        table = table.id,
                        "in the profile, but not in the service's list of tables"
                    );
                }
                continue;
            };
            ours.push(*entry);
            let Some(latest) = entry.latest else {
                failures.push(SourceError::Retry {
                    attempt: format!("reading the calendar of table {}", table.id),
                    cause: "update_latest is missing or no date, so news cannot be recognised".to_owned(),
                });
                continue;
            };
            let stamp = latest.to_string();
            if cursor.is_current(table, &stamp) {
                continue;
            }
            match self.table(table).await {
                Ok(parsed) => {
                    deliver(&mut emitter, table, published_at(latest), parsed).await?;
                    cursor.moved(table, &stamp);
                }
                Err(TableError::Refused { file, body, refusal }) => {
                    let place = (&*file, None);
                    emitter.put_aside(&mut cursor.refused, &table.id, place, &body.body, &refusal).await?;
                }
                Err(TableError::Source(error)) => failures.push(error),
            }
        }
        let failed = !failures.is_empty() || !cursor.refused.is_empty();
        let next_poll = next_poll(&self.profile.poll, now, &ours, failed);
        Ok(emitter.outcome(cursor.write(), next_poll, failures))
    }
}

impl Jobindsats {
    fn url(&self, path: &str) -> Result<Url, SourceError> {
        join(&self.profile.base_url, path).map_err(|cause| SourceError::Stop {
            attempt: "building an address".to_owned(),
            cause,
            remedy: "correct base_url in the profile".to_owned(),
        })
    }

    async fn get(&self, url: &Url) -> Result<Fetched, SourceError> {
        let attempt = file(url);
        let answer =
            self.http.fetch(url, Request::Get).await.map_err(|error| error.into_source_error(&attempt))?;
        let stop = |cause: String, remedy: String| {
            Err(SourceError::Stop { attempt: attempt.clone(), cause, remedy })
        };
        match answer.status {
            status if status.is_success() => Ok(Fetched::Body(answer)),
            status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => stop(
                format!("HTTP {} (the token is refused)", status.as_u16()),
                format!(
                    "check the token in {}: it must be a key for version 3 of the API (keys of version 2 and 3 \
                     are not interchangeable) that is still valid and allowed to read this",
                    self.profile.token
                ),
            ),
            StatusCode::UNPROCESSABLE_ENTITY if answer.excerpt().contains("Unknown period type") => {
                Ok(Fetched::UnknownPeriodType)
            }
            status => stop(
                format!("HTTP {}: {}", status.as_u16(), answer.excerpt()),
                "correct the table's id, hierarchies or periods in the profile".to_owned(),
            ),
        }
    }

    /// Everything the profile wants of one table.
    async fn table(&self, table: &Table) -> Result<Vec<Parsed>, TableError> {
        let mut all = Vec::new();
        for query in &table.queries {
            let (url, body) = self.probe(table, query).await?;
            match json_body(&body.body).and_then(|json| rows::parse(&json, query, &self.profile.labels)) {
                Ok(parsed) => {
                    self.log_skipped(table, &parsed);
                    all.push(parsed);
                }
                Err(refusal) => return Err(TableError::Refused { file: file(&url), body, refusal }),
            }
        }
        Ok(all)
    }

    /// Tries the period types in the profile's order; each table knows only some.
    async fn probe(&self, table: &Table, query: &Query) -> Result<(Url, Answer), SourceError> {
        for period_type in &query.period_types {
            let mut path =
                format!("data/{}?mgroup.*=*&period.{period_type}=latest:{}", table.id, query.periods);
            let dimensions = query.dimensions.iter().map(|dimension| (dimension.hierarchy.as_str(), "*"));
            let fixed = query.hierarchies.iter().map(|(name, selection)| (name.as_str(), selection.as_str()));
            for (hierarchy, selection) in fixed.chain(dimensions) {
                path.push_str(&format!("&hierarchy.{hierarchy}={selection}"));
            }
            path.push_str("&format=json");
            let url = self.url(&path)?;
            match self.get(&url).await? {
                Fetched::Body(answer) => return Ok((url, answer)),
                Fetched::UnknownPeriodType => {
                    tracing::debug!(table = table.id, period_type, "not a period type of this table");
                }
            }
        }
        Err(SourceError::Stop {
            attempt: format!("GET data/{}", table.id),
            cause: format!("the table has none of the period types {}", query.period_types.join(", ")),
            remedy: "add its period type (M, Q, Y, …) to period_types in the profile".to_owned(),
        })
    }

    fn log_skipped(&self, table: &Table, parsed: &Parsed) {
        let known = &self.profile.labels.skip_areas;
        let (expected, other): (Vec<_>, Vec<_>) =
            parsed.skipped_areas.iter().partition(|(name, _)| known.contains(name));
        if !expected.is_empty() {
            let rows: u64 = expected.iter().map(|(_, rows)| **rows).sum();
            tracing::info!(table = table.id, rows, "rows of areas that are no municipality skipped");
        }
        if !other.is_empty() {
            let rows: u64 = other.iter().map(|(_, rows)| **rows).sum();
            let names: Vec<_> = other.iter().take(5).map(|(name, _)| name.as_str()).collect();
            tracing::warn!(table = table.id, rows, ?names, "rows of unknown areas skipped");
        }
        if !parsed.skipped_labels.is_empty() {
            let labels: Vec<_> = parsed.skipped_labels.iter().take(20).collect();
            tracing::warn!(
                table = table.id,
                ?labels,
                "rows with labels that the profile does not know skipped"
            );
        }
    }
}

/// Method and path: enough to find the answer again, without query.
fn file(url: &Url) -> String {
    format!("GET {}", url.path())
}

fn unexpected(url: &Url, cause: &str) -> SourceError {
    SourceError::Retry { attempt: file(url), cause: cause.to_owned() }
}

async fn deliver(
    emitter: &mut Emitter<'_>,
    table: &Table,
    published_at: DateTime<Utc>,
    parsed: Vec<Parsed>,
) -> Result<(), SourceError> {
    let mut figures = 0;
    let mut newest = None;
    for part in &parsed {
        emitter.figures(&table.id, published_at, &part.figures).await?;
        figures += part.figures.len() as u64;
        newest = newest.max(part.figures.iter().map(|figure| figure.period).max_by_key(|p| p.last_day()));
    }
    if let Some(newest) = newest {
        emitter.delivery(&table.id, newest, figures).await?;
    }
    Ok(())
}

/// `{"tables":{"<id>":{"update_latest":…,"definition":…}},"refused":{"<id>":<fingerprint>}}`.
struct Cursor {
    tables: serde_json::Map<String, Value>,
    refused: serde_json::Map<String, Value>,
}

impl Cursor {
    fn read(value: &Value) -> Result<Self, SourceError> {
        let part = |key: &str| value.get(key).and_then(Value::as_object).cloned();
        match (part("tables"), part("refused")) {
            (Some(tables), Some(refused)) => Ok(Self { tables, refused }),
            _ if value.is_null() => Ok(Self { tables: Default::default(), refused: Default::default() }),
            _ => Err(not_a_cursor(NAME)),
        }
    }

    fn write(self) -> Value {
        json!({"tables": self.tables, "refused": self.refused})
    }

    fn is_current(&self, table: &Table, stamp: &str) -> bool {
        self.tables.get(&table.id).is_some_and(|seen| {
            seen.get("update_latest").and_then(Value::as_str) == Some(stamp)
                && seen.get("definition").and_then(Value::as_str) == Some(&table.definition)
        })
    }

    fn moved(&mut self, table: &Table, stamp: &str) {
        self.tables.insert(table.id.clone(), json!({"update_latest": stamp, "definition": table.definition}));
        self.refused.remove(&table.id);
    }
}
