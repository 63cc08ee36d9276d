//! Simulated persons: payments, cases and wages as the source systems would deliver them.
//!
//! Nobody in here exists: every CPR number has an impossible date (day + 60). Levels of unemployment and cash
//! benefit follow the real figures of each municipality and month (Jobindsats.dk / STAR), scaled to the number
//! of persons; durations, amounts and everything else are round constants of ours.
//!
//! [`Simulation`] is an iterator over days; each [`Day`] holds the files that arrive on it, and each
//! [`SourceFile`] can be written twice: as the bytes of its source format, and as the canonical events those
//! bytes mean, with the ids a connector gives. [`write_files`] and [`write_ndjson`] put a whole simulation into a
//! folder. [`payments_workload`] writes payment events by the hundred million for load tests; it is a function of
//! the row number and keeps no simulation.
//!
//! What reality does to data is in it: additive corrections and retractions up to eight years back, revisions
//! and deletes that overtake what they revise, rows and files that come late, twice or out of order, encodings.
//! Language tests and origin have no source format; their files hold canonical events.
//!
//! The same options give the same bytes. Time and randomness come in with the options.

mod benefit;
mod cases;
mod event;
mod file;
mod format;
mod identity;
mod life;
mod payments;
mod person;
mod random;
mod reality;
mod record;
mod simulation;
mod text;
mod wages;
mod workload;
mod write;

pub use benefit::Benefit;
pub use file::{Pseudonym, SourceFile, System};
pub use reality::{Series, full_time_persons};
pub use simulation::{Day, Simulation, SimulationOptions};
pub use workload::{PaymentsWorkload, WorkloadSummary, payments_workload};
pub use write::{Written, write_files, write_ndjson};
