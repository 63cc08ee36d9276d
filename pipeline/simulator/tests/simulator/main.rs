//! What is simulated, from outside.

mod formats;
mod reality;
mod support;
mod workload;
