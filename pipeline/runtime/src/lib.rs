//! The crate with IO: Kafka, the log, evaluation, epochs, dead letters, metrics.
//!
//! One way for the data: [`kafka`] brings messages, [`ingest`] decodes and dedupes them; a shard of [`persons`] evaluates whom they
//! touch, the [`committer`] evaluates the groups of figures and commits an epoch through [`store`] and [`manifest`], [`publish`]
//! replaces the files that plain readers open. [`engine`] is both in one process, driven by [`worker`]; [`roles`] are processes of
//! their own. [`load`] is the door beside Kafka, [`letters`] the way back for what was put aside. [`recompute`] and [`explain`] read
//! committed epochs only, [`follow`] shows the newest; who reads records of persons is written down in [`reads`].

pub mod as_known;
pub mod aside;
pub mod codes;
pub mod committer;
mod definitions;
pub mod engine;
pub mod error;
pub mod explain;
pub mod follow;
mod gather;
mod groups;
pub mod ingest;
pub mod kafka;
pub mod letters;
pub mod load;
mod local;
pub mod manifest;
pub mod metrics;
mod orphans;
pub mod persons;
pub mod preflight;
pub mod publish;
pub mod reads;
pub mod recompute;
pub mod roles;
pub mod store;
pub mod worker;

pub use committer::{Committer, EpochReport, Snapshot};
pub use engine::Engine;
pub use error::RuntimeError;
pub use manifest::Manifest;
pub use store::Store;
pub use worker::Worker;
