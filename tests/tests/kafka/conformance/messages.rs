//! Writing, reading, groups.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rdkafka::consumer::{CommitMode, Consumer, StreamConsumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::producer::{FutureRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};
use tokio::time::timeout;

use super::support::{CALL, Cluster, place, receive, send, unique, until};

/// Goal: what an idempotent producer sends comes back equal and in order, in every compression.
/// Method: 5,000 numbered messages to each of four partitions, read back by an assigned consumer.
async fn round_trip(cluster: &Cluster, compression: &str) -> Result<()> {
    const PARTITIONS: i32 = 4;
    const MESSAGES: usize = 20_000;
    let topic = cluster.topic(compression, PARTITIONS, &[]).await?;
    let producer = cluster.producer(&[("enable.idempotence", "true"), ("compression.type", compression)])?;
    let mut sent: BTreeMap<i32, Vec<String>> = BTreeMap::new();
    let mut deliveries = Vec::with_capacity(MESSAGES);
    for (number, partition) in (0..MESSAGES).zip((0..PARTITIONS).cycle()) {
        let value = format!("{number} {}", "payload ".repeat(20));
        let record = FutureRecord::<str, str>::to(&topic).partition(partition).key("k").payload(&value);
        deliveries.push(producer.send_result(record).map_err(|(error, _)| error)?);
        sent.entry(partition).or_default().push(value);
    }
    for delivery in deliveries {
        delivery.await?.map_err(|(error, _)| error)?;
    }
    let consumer = cluster.consumer(&unique("group"), &[])?;
    let mut all = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        all.add_partition_offset(&topic, partition, Offset::Beginning)?;
    }
    consumer.assign(&all)?;
    let mut received: BTreeMap<i32, Vec<String>> = BTreeMap::new();
    for message in receive(&consumer, MESSAGES).await? {
        let values = received.entry(message.partition()).or_default();
        ensure!(message.offset() == i64::try_from(values.len())?, "a gap at {}", message.offset());
        values.push(message.payload_view::<str>().context("no value")??.to_owned());
    }
    ensure!(received == sent, "not what was sent");
    Ok(())
}

pub async fn round_trip_uncompressed(cluster: Cluster) -> Result<()> {
    round_trip(&cluster, "none").await
}

pub async fn round_trip_gzip(cluster: Cluster) -> Result<()> {
    round_trip(&cluster, "gzip").await
}

pub async fn round_trip_snappy(cluster: Cluster) -> Result<()> {
    round_trip(&cluster, "snappy").await
}

pub async fn round_trip_lz4(cluster: Cluster) -> Result<()> {
    round_trip(&cluster, "lz4").await
}

pub async fn round_trip_zstd(cluster: Cluster) -> Result<()> {
    round_trip(&cluster, "zstd").await
}

pub async fn every_acks_setting_writes(cluster: Cluster) -> Result<()> {
    let topic = cluster.topic("acks", 1, &[]).await?;
    for acks in ["0", "1", "all"] {
        let producer = cluster.producer(&[("acks", acks)])?;
        for number in 0..10 {
            send(&producer, &topic, 0, None, format!("{acks} {number}").as_bytes()).await?;
        }
        producer.flush(CALL)?;
    }
    let consumer = cluster.consumer(&unique("group"), &[])?;
    consumer.assign(&place(&topic, 0, Offset::Beginning)?)?;
    ensure!(receive(&consumer, 30).await?.len() == 30);
    Ok(())
}

pub async fn large_message_passes_and_too_large_is_refused(cluster: Cluster) -> Result<()> {
    let raised = cluster.topic("large", 1, &[("max.message.bytes", "16000000")]).await?;
    let usual = cluster.topic("usual", 1, &[]).await?;
    let producer = cluster.producer(&[("message.max.bytes", "16000000")])?;
    let value: Vec<u8> = (0u32..10 << 20).map(|at| at.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    send(&producer, &raised, 0, None, &value).await?;
    let refused = send(&producer, &usual, 0, None, &value).await;
    ensure!(refused == Err(RDKafkaErrorCode::MessageSizeTooLarge), "{refused:?}");
    // The consumer's own limits are smaller than the message: it must come nevertheless.
    let consumer = cluster.consumer(&unique("group"), &[("max.partition.fetch.bytes", "100000")])?;
    consumer.assign(&place(&raised, 0, Offset::Beginning)?)?;
    let received = receive(&consumer, 1).await?;
    ensure!(received[0].payload() == Some(value.as_slice()), "not what was sent");
    Ok(())
}

pub async fn seek_timestamps_and_watermarks(cluster: Cluster) -> Result<()> {
    const START_MS: i64 = 1_700_000_000_000;
    let topic = cluster.topic("seek", 1, &[("retention.ms", "-1")]).await?;
    let producer = cluster.producer(&[("linger.ms", "20")])?;
    let sends = (0..100i64).map(|number| {
        let record = FutureRecord::<(), str>::to(&topic).partition(0).payload("value");
        producer.send_result(record.timestamp(START_MS + number * 10)).map_err(|(error, _)| error)
    });
    for delivery in sends.collect::<Result<Vec<_>, _>>()? {
        delivery.await?.map_err(|(error, _)| error)?;
    }
    let consumer = cluster.consumer(&unique("group"), &[])?;
    ensure!(consumer.fetch_watermarks(&topic, 0, CALL)? == (0, 100));
    for (asked_ms, expected) in [
        (START_MS - 5, Offset::Offset(0)),
        (START_MS + 545, Offset::Offset(55)),
        (START_MS + 550, Offset::Offset(55)),
        (START_MS + 990, Offset::Offset(99)),
        (START_MS + 991, Offset::End),
    ] {
        let found = consumer.offsets_for_times(place(&topic, 0, Offset::Offset(asked_ms))?, CALL)?;
        let offset = found.elements().first().context("one answer")?.offset();
        ensure!(offset == expected, "{asked_ms}: {offset:?}");
    }
    consumer.assign(&place(&topic, 0, Offset::Offset(90))?)?;
    let first = receive(&consumer, 1).await?;
    ensure!(first[0].offset() == 90 && first[0].timestamp().to_millis() == Some(START_MS + 900));
    consumer.seek(&topic, 0, Offset::Offset(7), CALL)?;
    ensure!(receive(&consumer, 1).await?[0].offset() == 7);
    consumer.seek(&topic, 0, Offset::OffsetTail(3), CALL)?;
    ensure!(receive(&consumer, 1).await?[0].offset() == 97);
    Ok(())
}

pub async fn empty_partition_has_an_end(cluster: Cluster) -> Result<()> {
    let topic = cluster.topic("empty", 1, &[]).await?;
    let consumer = cluster.consumer(&unique("group"), &[("enable.partition.eof", "true")])?;
    ensure!(consumer.fetch_watermarks(&topic, 0, CALL)? == (0, 0));
    consumer.assign(&place(&topic, 0, Offset::Beginning)?)?;
    let end = timeout(CALL, consumer.recv()).await?.map(|message| message.offset());
    ensure!(matches!(end, Err(KafkaError::PartitionEOF(0))), "{end:?}");
    Ok(())
}

pub async fn offset_out_of_range_is_an_error(cluster: Cluster) -> Result<()> {
    let topic = cluster.topic("range", 1, &[]).await?;
    let producer = cluster.producer(&[])?;
    for _ in 0..3 {
        send(&producer, &topic, 0, None, b"value").await?;
    }
    let consumer = cluster.consumer(&unique("group"), &[("auto.offset.reset", "error")])?;
    consumer.assign(&place(&topic, 0, Offset::Offset(1_000))?)?;
    let refused = timeout(CALL, consumer.recv()).await?.map(|message| message.offset());
    let code = refused.as_ref().err().and_then(KafkaError::rdkafka_error_code);
    ensure!(code == Some(RDKafkaErrorCode::AutoOffsetReset), "{refused:?}");
    Ok(())
}

pub async fn waiting_reader_gets_a_message_at_once(cluster: Cluster) -> Result<()> {
    // A fetch may wait four seconds: the message must end the wait, not the time.
    let topic = cluster.topic("wake", 1, &[]).await?;
    let settings = [("fetch.wait.max.ms", "4000"), ("enable.partition.eof", "true")];
    let consumer = cluster.consumer(&unique("group"), &settings)?;
    consumer.assign(&place(&topic, 0, Offset::Beginning)?)?;
    let end = timeout(CALL, consumer.recv()).await?.map(|message| message.offset());
    ensure!(matches!(end, Err(KafkaError::PartitionEOF(0))), "{end:?}");
    let producer = cluster.producer(&[("linger.ms", "0")])?;
    send(&producer, &topic, 0, None, b"value").await?;
    let message = timeout(Duration::from_secs(2), consumer.recv()).await??;
    ensure!(message.offset() == 0);
    Ok(())
}

/// Partitions of one member, after serving its events for a moment.
async fn assigned(consumer: &StreamConsumer) -> Result<Vec<i32>> {
    if let Ok(message) = timeout(Duration::from_millis(50), consumer.recv()).await {
        message?;
    }
    let mut partitions: Vec<i32> =
        consumer.assignment()?.elements().iter().map(|element| element.partition()).collect();
    partitions.sort_unstable();
    Ok(partitions)
}

/// Goal: two members share the partitions, the survivor takes over, commits outlive the members.
pub async fn group_shares_rebalances_and_commits(cluster: Cluster) -> Result<()> {
    let topic = cluster.topic("group", 4, &[]).await?;
    let group = unique("group");
    let first = cluster.consumer(&group, &[])?;
    first.subscribe(&[&topic])?;
    until("the first member has all partitions", async || {
        Ok((assigned(&first).await? == [0, 1, 2, 3]).then_some(()))
    })
    .await?;
    let second = cluster.consumer(&group, &[])?;
    second.subscribe(&[&topic])?;
    until("two members share the partitions", async || {
        let (mut ours, theirs) = (assigned(&first).await?, assigned(&second).await?);
        let both = ours.len() == 2 && theirs.len() == 2;
        ours.extend(theirs);
        ours.sort_unstable();
        Ok((both && ours == [0, 1, 2, 3]).then_some(()))
    })
    .await?;
    drop(second);
    until(
        "the first member takes over",
        async || Ok((assigned(&first).await? == [0, 1, 2, 3]).then_some(())),
    )
    .await?;

    let mut offsets = TopicPartitionList::new();
    for partition in 0..4 {
        offsets.add_partition_offset(&topic, partition, Offset::Offset(10 + i64::from(partition)))?;
    }
    first.commit(&offsets, CommitMode::Sync)?;
    drop(first);
    let third = cluster.consumer(&group, &[])?;
    let mut asked = TopicPartitionList::new();
    asked.add_partition_range(&topic, 0, 3);
    let committed = third.committed_offsets(asked, CALL)?;
    for element in committed.elements() {
        let expected = Offset::Offset(10 + i64::from(element.partition()));
        ensure!(element.offset() == expected, "{element:?}");
    }
    let other = cluster.consumer(&unique("group"), &[])?;
    let none = other.committed_offsets(place(&topic, 0, Offset::Invalid)?, CALL)?;
    ensure!(none.elements()[0].offset() == Offset::Invalid, "another group has no offsets");
    Ok(())
}
