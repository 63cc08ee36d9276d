//! The sources against the replay server: goldens, faults, cursors, the four steps of August 2026.
//!
//! Nothing here reaches the live services. Every test runs under a hard time limit ([`support::within`]), and
//! waits between attempts are recorded instead of waited for.

mod program;
mod support;

mod bucket;
mod driver;
mod faults;
mod feeds;
mod golden;
mod openssh;
mod profiles;
mod push;
mod sftp;
mod simulated;
mod steps;
mod table;
