//! Polls a source and keeps its cursor.
//!
//! The order is poll, flush, store: the cursor file moves only after the sink has acknowledged everything, so
//! a crash at any point sends records twice at worst. A cursor file is written beside its place and renamed
//! over it; one that cannot be read stops the source with the file's name, never a silent start from nothing,
//! which would send years of figures again.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::{DateTime, Utc};
use rettidig_event::{Clock, PollOutcome, Sink, Source, SourceError};
use serde_json::Value;
use thiserror::Error;
use tokio_util::sync::CancellationToken;

use crate::http::Pause;

/// The largest cursor file that is read, bytes; a real one has some kilobytes.
const CURSOR_BYTES_MAX: u64 = 4 << 20;

/// The cursors of all sources: one file each, `<source>.cursor.json`, in one folder.
#[derive(Debug, Clone)]
pub struct CursorStore {
    folder: PathBuf,
}

/// A cursor could not be read or written.
#[derive(Debug, Error)]
pub enum CursorError {
    /// The file is there but is no cursor.
    #[error(
        "cursor file {} is not readable as JSON; put its last good copy back, or delete it to have \
         everything sent again (harmless: the same figure counts once)", path.display()
    )]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What the parser says.
        source: serde_json::Error,
    },
    /// The file system refuses.
    #[error("{doing} cursor file {}; check that the folder exists and may be written", path.display())]
    Io {
        /// Reading or writing.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The name cannot be a file name.
    #[error("source name {0:?} cannot name a file; expected [a-z0-9-]")]
    Name(String),
}

impl CursorStore {
    /// A store in `folder`, which is made when the first cursor is written.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// The file of a source.
    ///
    /// # Errors
    /// If the name is not of the form `[a-z0-9-]`.
    pub fn path(&self, source: &str) -> Result<PathBuf, CursorError> {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if source.is_empty() || !source.bytes().all(plain) {
            return Err(CursorError::Name(source.to_owned()));
        }
        Ok(self.folder.join(format!("{source}.cursor.json")))
    }

    /// The stored cursor; null if there is none yet.
    ///
    /// # Errors
    /// If the file cannot be read or is no JSON.
    pub fn load(&self, source: &str) -> Result<Value, CursorError> {
        let path = self.path(source)?;
        let io = |source| CursorError::Io { doing: "reading", path: path.clone(), source };
        let bytes = match std::fs::metadata(&path) {
            Ok(meta) if meta.len() > CURSOR_BYTES_MAX => {
                return Err(io(std::io::Error::other("larger than any cursor")));
            }
            Ok(_) => std::fs::read(&path).map_err(io)?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Value::Null),
            Err(error) => return Err(io(error)),
        };
        serde_json::from_slice(&bytes).map_err(|source| CursorError::Corrupt { path: path.clone(), source })
    }

    /// Replaces the stored cursor, durably.
    ///
    /// # Errors
    /// If the file cannot be written; the old cursor is then still there.
    pub fn store(&self, source: &str, cursor: &Value) -> Result<(), CursorError> {
        let path = self.path(source)?;
        self.write(&path, cursor).map_err(|source| CursorError::Io {
            doing: "writing",
            path: path.clone(),
            source,
        })
    }

    fn write(&self, path: &Path, cursor: &Value) -> std::io::Result<()> {
        std::fs::create_dir_all(&self.folder)?;
        let temporary = path.with_extension("json.new");
        let mut file = std::fs::File::create(&temporary)?;
        serde_json::to_writer_pretty(&mut file, cursor)?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        drop(file);
        std::fs::rename(&temporary, path)?;
        // The rename itself is durable only once the folder is.
        std::fs::File::open(&self.folder)?.sync_all()
    }
}

/// One poll did not come to its end; the stored cursor has not moved.
#[derive(Debug, Error)]
pub enum PollError {
    /// The source or the sink.
    #[error("polling {name}")]
    Source {
        /// Name of the source.
        name: String,
        /// What it says.
        source: SourceError,
    },
    /// The cursor.
    #[error(transparent)]
    Cursor(#[from] CursorError),
}

impl PollError {
    /// Whether a person must act before another poll can succeed.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Cursor(_) | Self::Source { source: SourceError::Stop { .. }, .. })
    }
}

/// Polls once: load the cursor, poll, flush, store the cursor.
///
/// # Errors
/// When nothing at all could be done, when the sink did not acknowledge, or when the cursor cannot be read
/// or written. The stored cursor has then not moved.
pub async fn poll_once(
    source: &mut dyn Source,
    store: &CursorStore,
    clock: &dyn Clock,
    sink: &mut dyn Sink,
) -> Result<PollOutcome, PollError> {
    let name = source.name().to_owned();
    let failed = |source| PollError::Source { name: name.clone(), source };
    let cursor = store.load(&name)?;
    let outcome = source.poll(&cursor, clock, sink).await.map_err(failed)?;
    sink.flush().await.map_err(|error| failed(error.into()))?;
    if outcome.cursor != cursor {
        store.store(&name, &outcome.cursor)?;
    }
    Ok(outcome)
}

/// How long [`run`] waits.
#[derive(Debug, Clone, Copy)]
pub struct RunLimits {
    /// The shortest wait between two polls.
    pub wait_min: Duration,
    /// The longest wait between two polls.
    pub wait_max: Duration,
    /// The first wait after a failed poll; doubles up to `failure_wait_max`.
    pub failure_wait_first: Duration,
    /// The longest wait after a failed poll.
    pub failure_wait_max: Duration,
}

impl Default for RunLimits {
    fn default() -> Self {
        Self {
            wait_min: Duration::from_secs(1),
            wait_max: Duration::from_secs(24 * 3600),
            failure_wait_first: Duration::from_secs(30),
            failure_wait_max: Duration::from_secs(15 * 60),
        }
    }
}

/// Polls until `shutdown` is cancelled, waiting through `pause` until each next poll is worth its while.
/// `watch` sees every result, for metrics. A poll in flight is dropped at shutdown, which is safe: its cursor
/// is not stored.
///
/// # Errors
/// When a person must act first ([`PollError::is_final`]); everything else is tried again.
#[allow(clippy::too_many_arguments, reason = "each is one capability that the caller decides on")]
pub async fn run(
    source: &mut dyn Source,
    store: &CursorStore,
    clock: &dyn Clock,
    sink: &mut dyn Sink,
    limits: RunLimits,
    pause: &Pause,
    shutdown: &CancellationToken,
    watch: &mut (dyn FnMut(&Result<PollOutcome, PollError>) + Send),
) -> Result<(), PollError> {
    let mut failures = 0_u32;
    loop {
        let result = tokio::select! {
            biased;
            () = shutdown.cancelled() => return Ok(()),
            result = poll_once(source, store, clock, sink) => result,
        };
        watch(&result);
        let wait = match result {
            Ok(outcome) => {
                failures = 0;
                tracing::info!(
                    source = source.name(),
                    records = outcome.records,
                    dead_letters = outcome.dead_letters,
                    next_poll = %outcome.next_poll,
                    "polled"
                );
                for failure in &outcome.failures {
                    tracing::warn!(source = source.name(), %failure, "one table failed, the others went on");
                }
                until(outcome.next_poll, clock.now()).clamp(limits.wait_min, limits.wait_max)
            }
            Err(error) if error.is_final() => {
                tracing::error!(source = source.name(), error = chain(&error), "stopped");
                return Err(error);
            }
            Err(error) => {
                let wait = limits.failure_wait_first.saturating_mul(1 << failures.min(20));
                failures = failures.saturating_add(1);
                tracing::warn!(source = source.name(), error = chain(&error), "poll failed");
                wait.min(limits.failure_wait_max)
            }
        };
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return Ok(()),
            () = pause(wait) => {}
        }
    }
}

fn until(next: DateTime<Utc>, now: DateTime<Utc>) -> Duration {
    (next - now).to_std().unwrap_or_default()
}

/// An error and its causes in one line, for the log.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}
