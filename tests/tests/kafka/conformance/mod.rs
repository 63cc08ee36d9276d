//! What a client of Kafka may rely on, asked of a broker through librdkafka. The same tests run against the embedded
//! broker and against Apache Kafka, so that what the pipeline is tested with behaves like what it runs on. Apache
//! Kafka is started by the tests (`scripts/kafka.sh`), or is the cluster at `KAFKA_BROKERS=host:port`, of which
//! nothing is assumed to be fresh. Each test has its own topics, a time limit, and no sleeps.

mod messages;
mod restarts;
mod support;
mod topics;

use anyhow::Result;
use support::{Cluster, limited};

/// Makes a test of each function, on a cluster that an expression starts.
macro_rules! on {
    ($cluster:expr; $($module:ident: $($name:ident)+;)+) => {
        $($(
            #[tokio::test(flavor = "multi_thread")]
            async fn $name() -> Result<()> {
                limited(async { $crate::conformance::$module::$name($cluster?).await }).await
            }
        )+)+
    };
}

/// The whole suite.
macro_rules! suite {
    ($cluster:expr) => {
        on! {
            $cluster;
            topics: topic_with_configs_is_described
                existing_topic_and_bad_requests_are_refused
                recreated_topic_has_another_id
                partitions_are_added;
            messages: round_trip_uncompressed
                round_trip_gzip
                round_trip_snappy
                round_trip_lz4
                round_trip_zstd
                every_acks_setting_writes
                large_message_passes_and_too_large_is_refused
                seek_timestamps_and_watermarks
                empty_partition_has_an_end
                offset_out_of_range_is_an_error
                waiting_reader_gets_a_message_at_once
                group_shares_rebalances_and_commits;
        }
    };
}

mod embedded {
    use super::*;

    suite!(Cluster::embedded());
}

mod apache {
    use super::*;

    suite!(Cluster::apache());
}
