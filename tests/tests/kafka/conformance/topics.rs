//! Topics and their settings.

use anyhow::{Context, Result, ensure};
use rdkafka::admin::{AdminOptions, NewPartitions, ResourceSpecifier};
use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::support::{CALL, Cluster, send, unique, until};

pub async fn topic_with_configs_is_described(cluster: Cluster) -> Result<()> {
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
}

pub async fn existing_topic_and_bad_requests_are_refused(cluster: Cluster) -> Result<()> {
    let topic = cluster.topic("twice", 1, &[]).await?;
    let again = cluster.create(&topic, 1, &[]).await?;
    ensure!(again == Some(RDKafkaErrorCode::TopicAlreadyExists), "{again:?}");
    let bad = cluster.create(&unique("bad"), 1, &[("retention.ms", "soon")]).await?;
    ensure!(bad == Some(RDKafkaErrorCode::InvalidConfig), "{bad:?}");
    let name = cluster.create("no/slashes", 1, &[]).await?;
    ensure!(name == Some(RDKafkaErrorCode::InvalidTopic), "{name:?}");
    Ok(())
}

pub async fn recreated_topic_has_another_id(cluster: Cluster) -> Result<()> {
    let topic = cluster.topic("recreated", 1, &[]).await?;
    let id = |seen: Option<(u128, usize)>| seen.map(|(id, _)| id);
    let before = until("the topic is there", async || cluster.topic_id(&topic).await.map(id)).await?;
    let producer = cluster.producer(&[])?;
    send(&producer, &topic, 0, None, b"old").await?;
    let deleted = cluster.admin()?.delete_topics(&[&topic], &AdminOptions::new()).await?;
    ensure!(deleted.iter().all(Result::is_ok), "{deleted:?}");
    until("the topic is gone", async || Ok(cluster.topic_id(&topic).await?.is_none().then_some(()))).await?;
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
}

pub async fn partitions_are_added(cluster: Cluster) -> Result<()> {
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
}
