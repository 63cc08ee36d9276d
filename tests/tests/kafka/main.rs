//! Everything that needs a broker other than the pipeline's own usual one: what any broker must do, and the pipeline on
//! Apache Kafka. One program, because each one more takes as long to link as all of its tests to run.

mod apache;
mod conformance;
