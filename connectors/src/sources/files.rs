//! Files in a folder or a bucket, read by a profile of person records.
//!
//! One poll lists the folder, leaves what is not complete yet, and reads each new file twice: once for its
//! fingerprint and encoding (and, where the profile asks for it, whether it may be used at all), once to emit.
//! A file that changes meanwhile is left for the next poll. The cursor remembers files by name, size, time and
//! SHA-256, bounded in number and age; what is known and unchanged is not read again. Memory does not grow with
//! a file's size. Files are never moved, changed or deleted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Duration, Utc};
use futures::StreamExt as _;
use futures::stream::BoxStream;
use object_store::ObjectMeta;
use rettidig_event::{Clock, PollOutcome, Reason, Sink, SinkError, Source, SourceError};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use self::cursor::{Cursor, Done};
use self::place::Place;
use super::FeedOptions;
use crate::emit::{Emitter, Refusal};
use crate::profile::ProfileError;
use crate::pseudonym::{PseudonymKey, redact_text};
use crate::records::feed::{Bad, Feed};
use crate::records::lines::{Encoding, Utf8Check};
use crate::records::name::NameFacts;
use crate::records::profile::{
    EncodingRule, Files, MunicipalityRule, Profile, Ready, RecordedAtRule, SameName,
};
use crate::records::{Production, Step};

mod cursor;
mod place;

/// What one poll reads at most before its cursor is stored: files and bytes.
const POLL_FILES_MAX: usize = 100;
const POLL_BYTES_MAX: u64 = 1 << 30;

/// Names that are not of the profile's form, remembered so that each is logged once.
const UNMATCHED_MAX: usize = 1_000;

pub(super) fn build(
    name: &str,
    yaml: &str,
    options: &FeedOptions<'_>,
) -> Result<Box<dyn Source>, ProfileError> {
    let failed = |errors| ProfileError { source: name.to_owned(), errors };
    let profile = Profile::read(name, yaml)?;
    let Some(files) = profile.files.clone() else {
        return Err(failed(vec!["files: missing; this source reads files".to_owned()]));
    };
    let place = Place::open(options.place, options.storage).map_err(|error| failed(vec![error]))?;
    let key = options.key.clone();
    tracing::info!(
        source = name,
        key_id = key.key_id(),
        erased = key.erased(),
        "person source, its pseudonyms made with this key"
    );
    Ok(Box::new(FileSource { name: name.to_owned(), profile, files, key, place, unmatched: BTreeSet::new() }))
}

struct FileSource {
    name: String,
    profile: Profile,
    files: Files,
    key: Arc<PseudonymKey>,
    place: Place,
    /// Names already reported as not of the profile's form.
    unmatched: BTreeSet<String>,
}

/// A listed file whose name has the profile's form.
struct Found {
    name: String,
    facts: NameFacts,
    meta: ObjectMeta,
}

/// Why a file was not read to its end.
enum FileError {
    /// It is left for the next poll.
    Later(String),
    Sink(SinkError),
}

impl From<SinkError> for FileError {
    fn from(error: SinkError) -> Self {
        Self::Sink(error)
    }
}

impl From<object_store::Error> for FileError {
    fn from(error: object_store::Error) -> Self {
        Self::Later(match error {
            object_store::Error::NotFound { .. } => "it is gone".to_owned(),
            object_store::Error::Precondition { .. } => CHANGED.to_owned(),
            error => redact_text(&error.to_string()),
        })
    }
}

const CHANGED: &str = "it changes while it is read; left for the next poll";

#[async_trait]
impl Source for FileSource {
    fn name(&self) -> &str {
        &self.name
    }

    async fn poll(
        &mut self,
        cursor: &Value,
        clock: &dyn Clock,
        sink: &mut dyn Sink,
    ) -> Result<PollOutcome, SourceError> {
        let now = clock.now();
        let mut cursor = Cursor::read(&self.name, cursor)?;
        let mut failures = Vec::new();
        let (ready, pending) = self.ready(&mut cursor, now).await?;
        let profile = self.profile.clone();
        let mut emitter = Emitter::new(sink, &profile.source, &profile.source, now);
        let (mut files, mut bytes, mut left) = (0, 0, false);
        for found in ready {
            if files >= POLL_FILES_MAX || bytes >= POLL_BYTES_MAX {
                left = true;
                break;
            }
            if cursor.done.len() >= 2 * self.files.remembered_max {
                failures.push(SourceError::Retry {
                    attempt: format!("reading the files of {}", self.name),
                    cause: "older files that could not be read keep the later ones from being forgotten; look at \
                            the failures before this one, or move read files away"
                        .to_owned(),
                });
                break;
            }
            files += 1;
            bytes += found.meta.size;
            match self.file(&found, &mut cursor, &mut emitter, now).await {
                Ok(()) => {}
                Err(FileError::Sink(error)) => return Err(error.into()),
                Err(FileError::Later(cause)) => {
                    failures.push(SourceError::Retry { attempt: format!("reading {}", found.name), cause });
                }
            }
        }
        let unread = pending.iter().filter(|(name, modified)| !cursor.was_read(name, *modified));
        let oldest_unread = unread.map(|(_, modified)| *modified).min();
        cursor.bound(self.files.remembered_max, self.files.remembered_for, oldest_unread, now);
        let mut wait = self.profile.every;
        if let (Ready::Stable(apart), false) = (&self.files.ready, cursor.waiting.is_empty()) {
            wait = wait.min(*apart);
        }
        let next_poll = if left { now } else { now + wait };
        Ok(emitter.outcome(cursor.write(), next_poll, failures))
    }
}

impl FileSource {
    /// The files that are complete and not known yet, the one changed longest ago first; and all that are not known.
    async fn ready(
        &mut self,
        cursor: &mut Cursor,
        now: DateTime<Utc>,
    ) -> Result<(Vec<Found>, Vec<(String, DateTime<Utc>)>), SourceError> {
        let form = self.files.name.clone();
        let listed = self.place.list(|name| form.read(name).is_some()).await;
        let listed = listed.map_err(|cause| SourceError::Retry {
            attempt: format!("listing the files of {}", self.name),
            cause: redact_text(&cause),
        })?;
        let names = listed.names;
        cursor.waiting.retain(|name, _| names.contains(name));
        let (mut found, mut pending) = (BTreeMap::new(), Vec::new());
        let mut forgotten = 0_u64;
        for name in names.iter().filter(|name| form.read(name).is_none()) {
            self.unmatched(name);
        }
        for (name, meta) in listed.files {
            let Some(facts) = form.read(&name) else { continue };
            if cursor.is_known(&name, &meta) {
                cursor.waiting.remove(&name);
            } else if cursor.is_forgotten(&name, &meta) {
                forgotten += 1;
            } else {
                pending.push((name.clone(), meta.last_modified));
                if self.is_ready(&name, &meta, &names, cursor, now) {
                    found.insert((meta.last_modified, name.clone()), Found { name, facts, meta });
                }
            }
        }
        if forgotten > 0 {
            tracing::info!(
                source = self.name,
                files = forgotten,
                "files left alone: older than what is remembered (files.remember); move them away once read"
            );
        }
        Ok((found.into_values().collect(), pending))
    }

    fn is_ready(
        &self,
        name: &str,
        meta: &ObjectMeta,
        names: &BTreeSet<String>,
        cursor: &mut Cursor,
        now: DateTime<Utc>,
    ) -> bool {
        match &self.files.ready {
            Ready::Rename => true,
            Ready::Marker(suffix) => names.contains(&format!("{name}{suffix}")),
            Ready::Stable(apart) => cursor.is_stable(name, meta, *apart, now),
        }
    }

    fn unmatched(&mut self, name: &str) {
        let marker = match &self.files.ready {
            Ready::Marker(suffix) => name.ends_with(suffix),
            _ => false,
        };
        if !marker && self.unmatched.len() < UNMATCHED_MAX && self.unmatched.insert(name.to_owned()) {
            tracing::info!(
                source = self.name,
                file = redact_text(name),
                "left alone: its name has not the form of files.name"
            );
        }
    }

    /// Reads one file and notes it.
    async fn file(
        &self,
        found: &Found,
        cursor: &mut Cursor,
        emitter: &mut Emitter<'_>,
        now: DateTime<Utc>,
    ) -> Result<(), FileError> {
        let (sha256, encoding) = self.examine(found).await?;
        let done = |records, used| Done {
            size: found.meta.size,
            modified: found.meta.last_modified,
            sha256: sha256.clone(),
            records,
            used,
        };
        if let Some(known) = cursor.done.get_mut(&found.name)
            && known.sha256 == sha256
        {
            tracing::info!(file = found.name, "the same content as before");
            (known.size, known.modified) = (found.meta.size, found.meta.last_modified);
            cursor.waiting.remove(&found.name);
            return Ok(());
        }
        if self.files.same_name == SameName::Refuse
            && let Some(message) = cursor.conflict(&found.name, &sha256)
        {
            let refusal = Refusal::new(Reason::ConflictingRevision, format!("{message} (SHA-256 {sha256})"));
            emitter.dead_letter(&found.name, None, b"", &refusal).await?;
            cursor.refused(&found.name, done(0, false));
            return Ok(());
        }
        if Feed::needs_dry_run(&self.profile)
            && let Some(bad) = self.dry_run(found, encoding, now).await?
        {
            reject(emitter, found, &sha256, bad).await?;
            cursor.finished(&found.name, done(0, false));
            return Ok(());
        }
        let before = emitter.records;
        let used = match self.produce(found, encoding, &sha256, emitter, now).await? {
            Step::Used => true,
            Step::Rejected(bad) => {
                reject(emitter, found, &sha256, bad).await?;
                false
            }
        };
        cursor.finished(&found.name, done(emitter.records - before, used));
        Ok(())
    }

    /// First reading: fingerprint and encoding.
    async fn examine(&self, found: &Found) -> Result<(String, Encoding), FileError> {
        let mut digest = Sha256::new();
        let mut utf8 = Utf8Check::default();
        let mut bytes = 0;
        let mut pieces = self.pieces(found).await?;
        while let Some(piece) = pieces.next().await {
            let piece = piece?;
            bytes += piece.len() as u64;
            digest.update(&piece);
            utf8.piece(&piece);
        }
        self.still_the_same(found).await?;
        if bytes != found.meta.size {
            return Err(FileError::Later(format!("it ended after {bytes} of {} bytes", found.meta.size)));
        }
        let encoding = match self.profile.encoding {
            EncodingRule::Utf8 => Encoding::Utf8,
            EncodingRule::Windows1252 => Encoding::Windows1252,
            EncodingRule::Auto => utf8.encoding(),
        };
        Ok((hex::encode(digest.finalize()), encoding))
    }

    /// Reads without using anything: what rejects the whole file, if something does.
    async fn dry_run(
        &self,
        found: &Found,
        encoding: Encoding,
        now: DateTime<Utc>,
    ) -> Result<Option<Bad>, FileError> {
        let mut production = Production::new(self.feed(found, encoding, now), &found.name);
        let mut pieces = self.pieces(found).await?;
        while let Some(piece) = pieces.next().await {
            if let Step::Rejected(bad) = production.check(&piece?) {
                return Ok(Some(bad));
            }
        }
        Ok(match production.check_end() {
            Step::Rejected(bad) => Some(bad),
            Step::Used => None,
        })
    }

    /// Last reading: emits.
    async fn produce(
        &self,
        found: &Found,
        encoding: Encoding,
        sha256: &str,
        emitter: &mut Emitter<'_>,
        now: DateTime<Utc>,
    ) -> Result<Step, FileError> {
        let mut digest = Sha256::new();
        let mut production = Production::new(self.feed(found, encoding, now), &found.name);
        let mut pieces = self.pieces(found).await?;
        while let Some(piece) = pieces.next().await {
            let piece = piece?;
            digest.update(&piece);
            if let Step::Rejected(bad) = production.piece(&piece, emitter).await? {
                return Ok(Step::Rejected(bad));
            }
        }
        if hex::encode(digest.finalize()) != sha256 {
            return Err(FileError::Later(CHANGED.to_owned()));
        }
        Ok(production.end(emitter).await?)
    }

    fn feed(&self, found: &Found, encoding: Encoding, now: DateTime<Utc>) -> Feed<'_> {
        // By the header's rule too: a name that contradicts the header is found out.
        let municipality =
            found.facts.municipality.filter(|_| self.profile.municipality != MunicipalityRule::None);
        let named_at = found.facts.at.filter(|_| self.profile.recorded_at == RecordedAtRule::FileName);
        let feed = Feed::new(&self.profile, &self.key, encoding, &found.name, municipality, named_at, now);
        // A server that tells no time gives the beginning of time.
        let delivered_at = Some(found.meta.last_modified).filter(|at| *at > DateTime::UNIX_EPOCH);
        feed.delivered_at(delivered_at.unwrap_or(now))
    }

    /// The bytes of the file as it was listed.
    async fn pieces(
        &self,
        found: &Found,
    ) -> Result<BoxStream<'static, Result<Bytes, object_store::Error>>, FileError> {
        Ok(self.place.pieces(&found.meta).await?)
    }

    async fn still_the_same(&self, found: &Found) -> Result<(), FileError> {
        let meta = self.place.head(&found.meta).await?;
        if !place::is_same(&found.meta, &meta) {
            return Err(FileError::Later(CHANGED.to_owned()));
        }
        Ok(())
    }
}

/// The dead letter of a file that is not used. The file itself stays where it is.
async fn reject(emitter: &mut Emitter<'_>, found: &Found, sha256: &str, bad: Bad) -> Result<(), SinkError> {
    let message = format!("{}; nothing of the file is used (SHA-256 {sha256})", bad.refusal.message);
    let refusal = Refusal::new(bad.refusal.reason, message);
    emitter.dead_letter(&found.name, Some(bad.line).filter(|line| *line > 0), &bad.bytes, &refusal).await
}

/// How long ago a file may have been changed and still be remembered.
fn horizon(now: DateTime<Utc>, remembered_for: Duration) -> DateTime<Utc> {
    now.checked_sub_signed(remembered_for).unwrap_or(DateTime::<Utc>::MIN_UTC)
}
