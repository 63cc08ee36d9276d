//! Connectors: fetch, parse and produce what official sources publish; they keep only a cursor.
//!
//! A source is one module under [`sources`], one profile (YAML: which tables, which measures, which labels),
//! one fixture folder and one line in the list. Sources of person records share their module and differ by
//! profile alone; files, a pushed body ([`push`]) and a table go the same way, and none is built without the key
//! that makes the pseudonyms ([`pseudonym`]). [`driver`] polls a source and stores its cursor once everything is
//! acknowledged; [`http`] is the only way out to the network, bounded in every direction; [`replay`] is a
//! local server that speaks the recorded shapes, for the demo and the tests.
//!
//! The crate reads neither the environment nor the command line, holds no wall clock, and knows nothing of
//! what becomes of the events.

mod emit;
mod numbers;

pub mod driver;
pub mod http;
pub mod profile;
pub mod pseudonym;
pub mod push;
mod records;
pub mod replay;
pub mod sources;
