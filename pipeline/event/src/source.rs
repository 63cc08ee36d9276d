//! The two traits between a connector and the rest: it is polled ([`Source`]) and it emits ([`Sink`]).
//!
//! A connector holds no state but its cursor. The driver calls [`Source::poll`] with the stored cursor, waits
//! until everything emitted is acknowledged ([`Sink::flush`]), and only then stores the new cursor; so a crash
//! at any point sends records twice at worst, never not at all.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use thiserror::Error;

use crate::{Clock, Topic};

/// A delivering system that is polled.
#[async_trait]
pub trait Source: Send {
    /// Name of the source: metric label, cursor file name. Lower-case, `[a-z0-9-]`.
    fn name(&self) -> &str;

    /// Asks the delivering system once and emits what is new since `cursor` (`null` at the first poll).
    ///
    /// # Errors
    /// Only when nothing at all could be done; a failure of one table among several is reported in
    /// [`PollOutcome::failures`], and the cursor moves for the others.
    async fn poll(
        &mut self,
        cursor: &serde_json::Value,
        clock: &dyn Clock,
        sink: &mut dyn Sink,
    ) -> Result<PollOutcome, SourceError>;
}

/// What one poll brought.
#[derive(Debug)]
pub struct PollOutcome {
    /// The cursor to store once the sink has acknowledged everything emitted.
    pub cursor: serde_json::Value,
    /// Events emitted, dead letters not counted.
    pub records: u64,
    /// Dead letters emitted.
    pub dead_letters: u64,
    /// When the next poll is worth its while.
    pub next_poll: DateTime<Utc>,
    /// What failed although the poll as a whole went on.
    pub failures: Vec<SourceError>,
}

/// Where a connector's records go.
#[async_trait]
pub trait Sink: Send {
    /// Queues one record; waits while the queue is full.
    async fn send(&mut self, topic: Topic, key: &str, payload: Vec<u8>) -> Result<(), SinkError>;

    /// Waits until every record queued so far is acknowledged.
    ///
    /// # Errors
    /// When one of them was not; the caller then keeps its old cursor and polls again.
    async fn flush(&mut self) -> Result<(), SinkError>;
}

/// A record could not be handed over.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct SinkError(pub String);

/// Why a poll failed. The variant names the action.
#[derive(Debug, Error)]
pub enum SourceError {
    /// Try again; the delivering system or the network is at fault and may recover.
    #[error("{attempt}: {cause}")]
    Retry {
        /// What was being attempted, on which table or address.
        attempt: String,
        /// What the other side answered.
        cause: String,
    },
    /// A person must act first: wrong token, wrong profile, no permission.
    #[error("{attempt}: {cause}; {remedy}")]
    Stop {
        /// What was being attempted.
        attempt: String,
        /// What is wrong.
        cause: String,
        /// What to do about it.
        remedy: String,
    },
    /// The record could not be handed to the broker.
    #[error("handing records to the broker")]
    Sink(#[from] SinkError),
}
