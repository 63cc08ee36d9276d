//! The crate with IO: Kafka, the log, evaluation, epochs, dead letters, metrics.
//!
//! One way for the data: [`kafka`] brings messages, [`ingest`] decodes and dedupes them, [`engine`] evaluates
//! the groups of figures and the [`persons`] they touch and commits an epoch through [`store`] and [`manifest`], [`publish`] replaces the
//! files that plain readers open. [`load`] is the door beside Kafka. [`recompute`] and [`explain`] read committed epochs only.

pub mod engine;
pub mod error;
pub mod explain;
mod groups;
pub mod ingest;
pub mod kafka;
pub mod load;
mod local;
pub mod manifest;
pub mod metrics;
mod orphans;
pub mod persons;
pub mod preflight;
pub mod publish;
pub mod recompute;
pub mod store;
pub mod worker;

pub use engine::{Engine, EpochReport, Snapshot};
pub use error::RuntimeError;
pub use manifest::Manifest;
pub use store::Store;
pub use worker::Worker;
