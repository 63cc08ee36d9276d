//! Fetch: whole batches from the files. A request that finds less than `min_bytes` waits for an append, for
//! `max_wait_ms` at most; the append itself wakes it. An answer holds at most 16 MiB, except that one batch
//! is always given, however large. Refused: fetch sessions (each request names its partitions).

use crate::log::partition::{Partition, ReadError};
use crate::node::Node;
use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::fetch_request::FetchPartition;
use kafka_protocol::messages::fetch_response::{FetchableTopicResponse, PartitionData};
use kafka_protocol::messages::{FetchRequest, FetchResponse, TopicName};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

/// Longest wait that is granted.
const WAIT_MS_MAX: i32 = 30_000;
/// Largest answer, but for a single larger batch.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// A partition that is asked for.
struct Wanted {
    request: FetchPartition,
    partition: Option<Arc<Partition>>,
}

/// Reads, waiting first if there is not enough.
pub(super) async fn fetch(node: &Node, request: FetchRequest) -> FetchResponse {
    if request.session_id != 0 {
        return FetchResponse::default().with_error_code(ResponseError::FetchSessionIdNotFound.code());
    }
    let mut wanted: Vec<(TopicName, Vec<Wanted>)> = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let known = node.topics.get(&topic.topic);
        let partitions = topic.partitions.into_iter().map(|request| {
            let partition = known.as_ref().and_then(|known| known.partition(request.partition));
            Wanted { request, partition }
        });
        wanted.push((topic.topic, partitions.collect()));
    }
    wait_for_bytes(node, &wanted, request.min_bytes, request.max_wait_ms).await;

    let mut left = usize::try_from(request.max_bytes).unwrap_or(0).min(ANSWER_BYTES_MAX);
    let mut given = false;
    let mut topics = Vec::with_capacity(wanted.len());
    for (name, partitions) in wanted {
        let mut read = Vec::with_capacity(partitions.len());
        for wanted in partitions {
            let data = read_partition(&wanted, left, given);
            let bytes = data.records.as_ref().map_or(0, Bytes::len);
            left = left.saturating_sub(bytes);
            given |= bytes > 0;
            read.push(data);
        }
        topics.push(FetchableTopicResponse::default().with_topic(name).with_partitions(read));
    }
    FetchResponse::default().with_responses(topics)
}

/// Returns when there is enough to read, an error to report, or no time left.
async fn wait_for_bytes(node: &Node, wanted: &[(TopicName, Vec<Wanted>)], min_bytes: i32, wait_ms: i32) {
    let wait = Duration::from_millis(u64::try_from(wait_ms.min(WAIT_MS_MAX)).unwrap_or(0));
    let deadline = Instant::now() + wait;
    let enough = u64::try_from(min_bytes).unwrap_or(0);
    let waiter = Arc::new(Notify::new());
    let partitions = || wanted.iter().flat_map(|(_, partitions)| partitions);
    loop {
        // Registered before looking, so that an append in between is not missed.
        for partition in partitions().filter_map(|wanted| wanted.partition.as_ref()) {
            partition.wake_on_change(&waiter);
        }
        let mut bytes = 0;
        for wanted in partitions() {
            let partition = wanted.partition.as_ref();
            match partition.and_then(|partition| partition.bytes_from(wanted.request.fetch_offset)) {
                Some(more) => bytes += more,
                None => return,
            }
        }
        if bytes >= enough {
            return;
        }
        tokio::select! {
            woken = timeout_at(deadline, waiter.notified()) => if woken.is_err() { return },
            () = node.stop.cancelled() => return,
        }
    }
}

fn read_partition(wanted: &Wanted, left: usize, given: bool) -> PartitionData {
    let data = PartitionData::default()
        .with_partition_index(wanted.request.partition)
        .with_aborted_transactions(None)
        .with_preferred_read_replica((-1).into())
        .with_records(Some(Bytes::new()));
    let failed = |error: ResponseError| {
        data.clone()
            .with_error_code(error.code())
            .with_high_watermark(-1)
            .with_last_stable_offset(-1)
            .with_log_start_offset(-1)
    };
    let Some(partition) = &wanted.partition else { return failed(ResponseError::UnknownTopicOrPartition) };
    let bytes_max = usize::try_from(wanted.request.partition_max_bytes).unwrap_or(0).min(left);
    let read = if given && left == 0 {
        Ok((Bytes::new(), partition.bounds()))
    } else {
        partition.read(wanted.request.fetch_offset, bytes_max)
    };
    match read {
        Ok((batches, bounds)) => data
            .with_high_watermark(bounds.end)
            .with_last_stable_offset(bounds.end)
            .with_log_start_offset(bounds.start)
            .with_records(Some(batches)),
        Err(ReadError::OutOfRange { start, end }) => failed(ResponseError::OffsetOutOfRange)
            .with_high_watermark(end)
            .with_last_stable_offset(end)
            .with_log_start_offset(start),
        Err(ReadError::Deleted) => failed(ResponseError::UnknownTopicOrPartition),
        Err(error @ ReadError::Storage { .. }) => {
            tracing::error!(cause = ?error, "{error}: look at that file");
            failed(ResponseError::KafkaStorageError)
        }
    }
}
