//! The model: what an indicator is.
//!
//! SQL files ([`catalogue`]) with checked headers ([`header`]), reference tables ([`reference`]), disclosure
//! control ([`disclosure`]), the contracts of the published tables ([`contract`]) and the pure evaluations that turn
//! events into tables: of official figures ([`evaluation`]), of persons ([`persons`], [`local`]), and the tables of both
//! ([`tables`]). Nothing here does IO, reads a clock or knows Kafka: Arrow batches in, Arrow batches out.

pub mod calendar;
pub mod catalogue;
pub mod chance;
mod clauses;
mod codes;
pub mod contract;
pub mod disclosure;
pub mod error;
pub mod evaluation;
pub mod functions;
pub mod header;
mod like;
pub mod local;
pub mod membership;
pub mod persons;
pub mod plan;
pub mod reference;
pub mod session;
pub mod tables;
mod theory;

pub use catalogue::{Layer, Model, SourceFile, SqlModel};
pub use error::{ModelError, Problem};
pub use evaluation::Groups;
pub use tables::TableInputs;
