//! Stopping, killing and starting the embedded broker, and what it refuses.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use rdkafka::Offset;
use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::producer::{FutureRecord, Producer};
use rettidig_broker::{Broker, BrokerErrorKind};
use tokio::time::timeout;

use super::support::{CALL, Cluster, embedded_config, limited, place, receive, send, unique, until};

/// Goal: nothing that was acknowledged is lost by a restart, graceful or not. Method: the same checks after
/// a shutdown and after dropping the broker with its connections open.
#[tokio::test(flavor = "multi_thread")]
async fn restart_keeps_everything() -> Result<()> {
    limited(async {
        let cluster = Cluster::embedded()?;
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
        until("the folder is free", async || match Broker::start(embedded_config(dir.path())) {
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
    limited(async {
        const MESSAGES: usize = 2_000;
        let cluster = Cluster::embedded()?;
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
    let broker = Broker::start(embedded_config(&dir.join("data")))?;
    std::fs::write(dir.join("address.new"), broker.address().to_string())?;
    std::fs::rename(dir.join("address.new"), dir.join("address"))?;
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

/// Goal: each message that was acknowledged is there after kill -9, at its offset. Method: a broker in a
/// process of its own is killed in the middle of 20,000 messages; a new one opens its folder.
#[tokio::test(flavor = "multi_thread")]
async fn killed_process_loses_nothing() -> Result<()> {
    limited(async {
        const MESSAGES: usize = 20_000;
        let dir = tempfile::tempdir()?;
        let mut child = Command::new(std::env::current_exe()?)
            .args(["conformance::restarts::child_broker_process", "--exact"])
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

        let broker = Broker::start(embedded_config(&dir.path().join("data")))?;
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
    limited(async {
        let cluster = Cluster::embedded()?;
        let dir = cluster.stop().await?;
        let first = Broker::start(embedded_config(dir.path()))?;
        let second = Broker::start(embedded_config(dir.path()));
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
    limited(async {
        let cluster = Cluster::embedded()?;
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
