//! Embedded single-node broker that speaks the Kafka protocol; for the demo, tests and one small machine.
