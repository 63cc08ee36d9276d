//! The pipeline on Apache Kafka: its tables, its ways in, what each role may do, what `check` finds, and what happens
//! while the broker is away. The broker is started by the tests (`scripts/kafka.sh`).

mod acls;
mod faults;
mod identity;
mod outage;
mod pipeline;
mod preflight;
mod security;
mod support;
