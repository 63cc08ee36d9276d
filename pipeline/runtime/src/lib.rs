//! The crate with IO: Kafka, log, evaluation, epochs, dead letters, metrics, clock.
