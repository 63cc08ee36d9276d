//! The same SQL over the whole log, all at once: on this machine, or on a Ballista cluster.
//!
//! The engine evaluates persons whose histories it has in memory. Here nothing is incremental: `event_person` is a query over the
//! Parquet files of the log, and each model of `sql/` that a question needs is made of it as Parquet in a scratch folder, so
//! that a cluster shares out the work. A recomputation this way is a second check of the first: it shares with it the SQL of the
//! models and the list of files, but not the code that tells events apart and orders them.
//!
//! All processes of a cluster are this program, because they must know the functions of [`rettidig_model::functions`], and see the
//! data folder under the same path.

mod engine;
mod log;
mod processes;
mod stages;

pub use engine::On;
pub use log::WholeLog;
pub use processes::{Executor, run_executor, run_scheduler};
