//! What a client of Kafka may rely on, asked of a broker through librdkafka. The same tests run against the
//! embedded broker (default) and against any cluster (`KAFKA_BROKERS=host:port`), so that what the pipeline
//! is tested with behaves like what it runs on. Tests of stopping and starting are for the embedded broker
//! alone and pass at once elsewhere. Each test has its own topics, a time limit, and no sleeps.

mod support;

use anyhow::{Context, Result, ensure};
use rdkafka::admin::{AdminOptions, NewPartitions, ResourceSpecifier};
use rdkafka::consumer::{CommitMode, Consumer, StreamConsumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::producer::{FutureRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};
use rettidig_broker::{Broker, BrokerErrorKind};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;
use support::{CALL, Cluster, limited, receive, send, unique, until};
use tokio::time::timeout;

fn place(topic: &str, partition: i32, offset: Offset) -> Result<TopicPartitionList> {
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, partition, offset)?;
    Ok(list)
}

fn embedded_only() -> bool {
    std::env::var_os("KAFKA_BROKERS").is_none()
}

#[tokio::test(flavor = "multi_thread")]
async fn topic_with_configs_is_described() -> Result<()> {
    limited(async {
        let cluster = Cluster::start()?;
        let settings =
            [("retention.ms", "86400000"), ("max.message.bytes", "2000000"), ("cleanup.policy", "delete")];
        let topic = cluster.topic("described", 3, &settings).await?;
        let admin = cluster.admin()?;
        let metadata = admin.inner().fetch_metadata(Some(&topic), CALL)?;
        let partitions = metadata.topics().iter().map(|topic| topic.partitions().len()).sum::<usize>();
        ensure!(partitions == 3, "{partitions} partitions");
        let resource = ResourceSpecifier::Topic(&topic);
        let described = admin.describe_configs([&resource], &AdminOptions::new()).await?;
        let config = described.into_iter().next().context("one answer")?.map_err(KafkaError::AdminOp)?;
        for (name, value) in settings {
            let entry = config.get(name).with_context(|| format!("{name} is missing"))?;
            ensure!(entry.value.as_deref() == Some(value), "{name} is {:?}", entry.value);
        }
        let ours = config.get("retention.ms").is_some_and(|entry| !entry.is_default);
        let default = config.get("retention.bytes").is_some_and(|entry| entry.is_default);
        ensure!(ours && default, "the source of a value is told");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn existing_topic_and_bad_requests_are_refused() -> Result<()> {
    limited(async {
        let cluster = Cluster::start()?;
        let topic = cluster.topic("twice", 1, &[]).await?;
        let again = cluster.create(&topic, 1, &[]).await?;
        ensure!(again == Some(RDKafkaErrorCode::TopicAlreadyExists), "{again:?}");
        let bad = cluster.create(&unique("bad"), 1, &[("retention.ms", "soon")]).await?;
        ensure!(bad == Some(RDKafkaErrorCode::InvalidConfig), "{bad:?}");
        let name = cluster.create("no/slashes", 1, &[]).await?;
        ensure!(name == Some(RDKafkaErrorCode::InvalidTopic), "{name:?}");
        Ok(())
    })
    .await
}

/// Goal: what an idempotent producer sends comes back equal and in order, in every compression.
/// Method: 5,000 numbered messages to each of four partitions, read back by an assigned consumer.
async fn round_trip(compression: &str) -> Result<()> {
    limited(async {
        const PARTITIONS: i32 = 4;
        const MESSAGES: usize = 20_000;
        let cluster = Cluster::start()?;
        let topic = cluster.topic(compression, PARTITIONS, &[]).await?;
        let producer =
            cluster.producer(&[("enable.idempotence", "true"), ("compression.type", compression)])?;
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
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn round_trip_uncompressed() -> Result<()> {
    round_trip("none").await
}

#[tokio::test(flavor = "multi_thread")]
async fn round_trip_gzip() -> Result<()> {
    round_trip("gzip").await
}

#[tokio::test(flavor = "multi_thread")]
async fn round_trip_snappy() -> Result<()> {
    round_trip("snappy").await
}

#[tokio::test(flavor = "multi_thread")]
async fn round_trip_lz4() -> Result<()> {
    round_trip("lz4").await
}

#[tokio::test(flavor = "multi_thread")]
async fn round_trip_zstd() -> Result<()> {
    round_trip("zstd").await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_acks_setting_writes() -> Result<()> {
    limited(async {
        let cluster = Cluster::start()?;
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
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn large_message_passes_and_too_large_is_refused() -> Result<()> {
    limited(async {
        let cluster = Cluster::start()?;
        let raised = cluster.topic("large", 1, &[("max.message.bytes", "16000000")]).await?;
        let usual = cluster.topic("usual", 1, &[]).await?;
        let producer = cluster.producer(&[("message.max.bytes", "16000000")])?;
        let value: Vec<u8> =
            (0u32..10 << 20).map(|at| at.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
        send(&producer, &raised, 0, None, &value).await?;
        let refused = send(&producer, &usual, 0, None, &value).await;
        ensure!(refused == Err(RDKafkaErrorCode::MessageSizeTooLarge), "{refused:?}");
        // The consumer's own limits are smaller than the message: it must come nevertheless.
        let consumer = cluster.consumer(&unique("group"), &[("max.partition.fetch.bytes", "100000")])?;
        consumer.assign(&place(&raised, 0, Offset::Beginning)?)?;
        let received = receive(&consumer, 1).await?;
        ensure!(received[0].payload() == Some(value.as_slice()), "not what was sent");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn seek_timestamps_and_watermarks() -> Result<()> {
    limited(async {
        const START_MS: i64 = 1_700_000_000_000;
        let cluster = Cluster::start()?;
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
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn empty_partition_has_an_end() -> Result<()> {
    limited(async {
        let cluster = Cluster::start()?;
        let topic = cluster.topic("empty", 1, &[]).await?;
        let consumer = cluster.consumer(&unique("group"), &[("enable.partition.eof", "true")])?;
        ensure!(consumer.fetch_watermarks(&topic, 0, CALL)? == (0, 0));
        consumer.assign(&place(&topic, 0, Offset::Beginning)?)?;
        let end = timeout(CALL, consumer.recv()).await?.map(|message| message.offset());
        ensure!(matches!(end, Err(KafkaError::PartitionEOF(0))), "{end:?}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn offset_out_of_range_is_an_error() -> Result<()> {
    limited(async {
        let cluster = Cluster::start()?;
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
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_reader_gets_a_message_at_once() -> Result<()> {
    limited(async {
        // A fetch may wait four seconds: the message must end the wait, not the time.
        let cluster = Cluster::start()?;
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
    })
    .await
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
#[tokio::test(flavor = "multi_thread")]
async fn group_shares_rebalances_and_commits() -> Result<()> {
    limited(async {
        let cluster = Cluster::start()?;
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
        until("the first member takes over", async || {
            Ok((assigned(&first).await? == [0, 1, 2, 3]).then_some(()))
        })
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
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn recreated_topic_has_another_id() -> Result<()> {
    limited(async {
        let cluster = Cluster::start()?;
        let topic = cluster.topic("recreated", 1, &[]).await?;
        let id = |seen: Option<(u128, usize)>| seen.map(|(id, _)| id);
        let before = until("the topic is there", async || cluster.topic_id(&topic).await.map(id)).await?;
        let producer = cluster.producer(&[])?;
        send(&producer, &topic, 0, None, b"old").await?;
        let deleted = cluster.admin()?.delete_topics(&[&topic], &AdminOptions::new()).await?;
        ensure!(deleted.iter().all(Result::is_ok), "{deleted:?}");
        until("the topic is gone", async || Ok(cluster.topic_id(&topic).await?.is_none().then_some(())))
            .await?;
        until("the topic is made again", async || {
            let refused = cluster.create(&topic, 1, &[]).await?;
            ensure!(matches!(refused, None | Some(RDKafkaErrorCode::TopicAlreadyExists)), "{refused:?}");
            Ok(refused.is_none().then_some(()))
        })
        .await?;
        let after = until("the new topic is there", async || cluster.topic_id(&topic).await.map(id)).await?;
        ensure!(before != after && after != 0, "{before:x} {after:x}");
        let consumer = cluster.consumer(&unique("group"), &[])?;
        ensure!(consumer.fetch_watermarks(&topic, 0, CALL)? == (0, 0), "the new topic is empty");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_are_added() -> Result<()> {
    limited(async {
        let cluster = Cluster::start()?;
        let topic = cluster.topic("grown", 1, &[]).await?;
        let admin = cluster.admin()?;
        let grow = async |count| {
            let new = NewPartitions::new(&topic, count);
            let results = admin.create_partitions([&new], &AdminOptions::new()).await?;
            anyhow::Ok(results.into_iter().find_map(|result| result.err().map(|(_, code)| code)))
        };
        ensure!(grow(3).await?.is_none());
        until("there are three partitions", async || {
            let seen = cluster.topic_id(&topic).await?;
            Ok(seen.filter(|(_, partitions)| *partitions == 3))
        })
        .await?;
        let refused = grow(2).await?;
        ensure!(refused == Some(RDKafkaErrorCode::InvalidPartitions), "{refused:?}");
        let producer = cluster.producer(&[])?;
        ensure!(send(&producer, &topic, 2, None, b"value").await? == 0);
        Ok(())
    })
    .await
}

/// Goal: nothing that was acknowledged is lost by a restart, graceful or not. Method: the same checks after
/// a shutdown and after dropping the broker with its connections open.
#[tokio::test(flavor = "multi_thread")]
async fn restart_keeps_everything() -> Result<()> {
    if !embedded_only() {
        return Ok(());
    }
    limited(async {
        let cluster = Cluster::start()?;
        let topic = cluster.topic("durable", 2, &[("retention.ms", "-1")]).await?;
        let group = unique("group");
        let id = cluster.topic_id(&topic).await?;
        let cluster_id = cluster.admin()?.inner().fetch_cluster_id(CALL);
        ensure!(id.is_some() && cluster_id.is_some());
        write_and_commit(&cluster, &topic, &group, 0).await?;
        let cluster = Cluster::embedded_in(cluster.stop().await?)?;
        write_and_commit(&cluster, &topic, &group, 500).await?;
        let dir = cluster.kill()?;
        // The threads of a killed process end by themselves; until then the folder is locked.
        until("the folder is free", async || match Broker::start(support::embedded_config(dir.path())) {
            Ok(broker) => broker.shutdown().await.map(Some).map_err(Into::into),
            Err(error) if error.kind() == BrokerErrorKind::Retry => Ok(None),
            Err(error) => Err(error.into()),
        })
        .await?;
        let cluster = Cluster::embedded_in(dir)?;
        ensure!(cluster.topic_id(&topic).await? == id, "another topic id");
        ensure!(cluster.admin()?.inner().fetch_cluster_id(CALL) == cluster_id, "another cluster id");
        write_and_commit(&cluster, &topic, &group, 1_000).await
    })
    .await
}

/// Checks that `before` messages and that commit are there, and writes 500 more.
async fn write_and_commit(cluster: &Cluster, topic: &str, group: &str, before: i64) -> Result<()> {
    let consumer = cluster.consumer(group, &[])?;
    ensure!(consumer.fetch_watermarks(topic, 1, CALL)? == (0, before));
    let asked = place(topic, 1, Offset::Invalid)?;
    let committed = consumer.committed_offsets(asked, CALL)?.elements()[0].offset();
    let expected = if before == 0 { Offset::Invalid } else { Offset::Offset(before) };
    ensure!(committed == expected, "{committed:?} is committed");
    if before > 0 {
        consumer.assign(&place(topic, 1, Offset::Beginning)?)?;
        for (number, message) in receive(&consumer, usize::try_from(before)?).await?.iter().enumerate() {
            ensure!(message.payload() == Some(number.to_string().as_bytes()), "message {number} differs");
        }
    }
    let producer = cluster.producer(&[("enable.idempotence", "true"), ("compression.type", "zstd")])?;
    let sends = (before..before + 500).map(|number| {
        let value = number.to_string();
        let record = FutureRecord::<(), str>::to(topic).partition(1).payload(&value);
        producer.send_result(record).map_err(|(error, _)| error)
    });
    for delivery in sends.collect::<Result<Vec<_>, _>>()? {
        delivery.await?.map_err(|(error, _)| error)?;
    }
    consumer.commit(&place(topic, 1, Offset::Offset(before + 500))?, CommitMode::Sync)?;
    Ok(())
}

/// Goal: clients that were connected go on after a restart, and an idempotent producer neither loses nor
/// doubles a message. Method: messages are sent without waiting while the broker stops and starts at the
/// same address; a reader must get each number once, in order.
#[tokio::test(flavor = "multi_thread")]
async fn connected_clients_survive_a_restart() -> Result<()> {
    if !embedded_only() {
        return Ok(());
    }
    limited(async {
        const MESSAGES: usize = 2_000;
        let cluster = Cluster::start()?;
        let topic = cluster.topic("survive", 1, &[]).await?;
        let settings = [("enable.idempotence", "true"), ("linger.ms", "0"), ("batch.num.messages", "10")];
        let producer = cluster.producer(&settings)?;
        let consumer = cluster.consumer(&unique("group"), &[])?;
        consumer.assign(&place(&topic, 0, Offset::Beginning)?)?;
        send(&producer, &topic, 0, None, b"0").await?;
        ensure!(receive(&consumer, 1).await?[0].payload() == Some(b"0".as_slice()));
        let mut deliveries = Vec::new();
        for number in 1..MESSAGES {
            let value = number.to_string();
            let record = FutureRecord::<(), str>::to(&topic).partition(0).payload(&value);
            deliveries.push(producer.send_result(record).map_err(|(error, _)| error)?);
        }
        let cluster = cluster.restart().await?;
        for delivery in deliveries {
            delivery.await?.map_err(|(error, _)| error)?;
        }
        let mut next = 1;
        while next < MESSAGES {
            match timeout(CALL, consumer.recv()).await? {
                Ok(message) => {
                    let expected = next.to_string();
                    ensure!(message.payload() == Some(expected.as_bytes()), "not number {next}");
                    next += 1;
                }
                // The lost connection is told, then the client connects again.
                Err(KafkaError::MessageConsumption(
                    RDKafkaErrorCode::BrokerTransportFailure | RDKafkaErrorCode::AllBrokersDown,
                )) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let bounds = consumer.fetch_watermarks(&topic, 0, CALL)?;
        ensure!(bounds == (0, i64::try_from(MESSAGES)?), "{bounds:?}");
        drop(cluster);
        Ok(())
    })
    .await
}

/// Folder of the broker process that `killed_process_loses_nothing` starts.
const CHILD_DIR: &str = "CONFORMANCE_CHILD_DIR";

/// Not a test of its own: the process that is killed below. It also ends when its parent is gone.
#[test]
fn child_broker_process() -> Result<()> {
    let Some(dir) = std::env::var_os(CHILD_DIR) else { return Ok(()) };
    let dir = Path::new(&dir);
    let broker = Broker::start(support::embedded_config(&dir.join("data")))?;
    std::fs::write(dir.join("address.new"), broker.address().to_string())?;
    std::fs::rename(dir.join("address.new"), dir.join("address"))?;
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

/// Goal: each message that was acknowledged is there after kill -9, at its offset. Method: a broker in a
/// process of its own is killed in the middle of 20,000 messages; a new one opens its folder.
#[tokio::test(flavor = "multi_thread")]
async fn killed_process_loses_nothing() -> Result<()> {
    if !embedded_only() {
        return Ok(());
    }
    limited(async {
        const MESSAGES: usize = 20_000;
        let dir = tempfile::tempdir()?;
        let mut child = Command::new(std::env::current_exe()?)
            .args(["child_broker_process", "--exact"])
            .env(CHILD_DIR, dir.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let address =
            until(
                "the process serves",
                async || Ok(std::fs::read_to_string(dir.path().join("address")).ok()),
            )
            .await?;
        let cluster = Cluster::at(address);
        let topic = cluster.topic("killed", 1, &[("segment.bytes", "100000")]).await?;
        let settings = [("linger.ms", "0"), ("batch.num.messages", "100"), ("message.timeout.ms", "3000")];
        let producer = cluster.producer(&settings)?;
        let mut deliveries = Vec::with_capacity(MESSAGES);
        for number in 0..MESSAGES {
            let value = format!("{number:0100}");
            let record = FutureRecord::<(), str>::to(&topic).partition(0).payload(&value);
            let delivery = producer.send_result(record).map_err(|(error, _)| error)?;
            deliveries.push((value, delivery));
        }
        let mut acknowledged = BTreeMap::new();
        for (value, delivery) in deliveries {
            if let Ok(delivery) = delivery.await? {
                acknowledged.insert(delivery.offset, value);
                if acknowledged.len() == 1_000 {
                    child.kill()?;
                    child.wait()?;
                }
            }
        }
        ensure!(acknowledged.len() >= 1_000, "{} messages were acknowledged", acknowledged.len());

        let broker = Broker::start(support::embedded_config(&dir.path().join("data")))?;
        let cluster = Cluster::at(broker.address().to_string());
        let consumer = cluster.consumer(&unique("group"), &[])?;
        let (start, end) = consumer.fetch_watermarks(&topic, 0, CALL)?;
        ensure!(start == 0, "the log starts at {start}");
        consumer.assign(&place(&topic, 0, Offset::Beginning)?)?;
        for message in receive(&consumer, usize::try_from(end)?).await? {
            if let Some(value) = acknowledged.remove(&message.offset()) {
                ensure!(message.payload() == Some(value.as_bytes()), "offset {} differs", message.offset());
            }
        }
        ensure!(acknowledged.is_empty(), "{} acknowledged messages are lost", acknowledged.len());
        drop(consumer);
        broker.shutdown().await?;
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn second_broker_on_a_folder_is_refused() -> Result<()> {
    if !embedded_only() {
        return Ok(());
    }
    limited(async {
        let cluster = Cluster::start()?;
        let dir = cluster.stop().await?;
        let first = Broker::start(support::embedded_config(dir.path()))?;
        let second = Broker::start(support::embedded_config(dir.path()));
        let refused = second.err().context("the second broker started")?;
        ensure!(refused.kind() == BrokerErrorKind::Retry, "{refused}");
        ensure!(refused.to_string().contains("in use by another broker"), "{refused}");
        first.shutdown().await?;
        Ok(())
    })
    .await
}

/// Goal: a client that asks for what the embedded broker does not have is told so, and does not wait.
#[tokio::test(flavor = "multi_thread")]
async fn transactions_are_refused() -> Result<()> {
    if !embedded_only() {
        return Ok(());
    }
    limited(async {
        let cluster = Cluster::start()?;
        let producer = cluster.producer(&[("transactional.id", "any")])?;
        let refused = tokio::task::spawn_blocking(move || producer.init_transactions(CALL)).await?;
        let code = refused.as_ref().err().and_then(KafkaError::rdkafka_error_code);
        ensure!(code == Some(RDKafkaErrorCode::TransactionalIdAuthorizationFailed), "{refused:?}");
        let compacted = cluster.create(&unique("compacted"), 1, &[("cleanup.policy", "compact")]).await?;
        ensure!(compacted == Some(RDKafkaErrorCode::InvalidConfig), "{compacted:?}");
        Ok(())
    })
    .await
}
