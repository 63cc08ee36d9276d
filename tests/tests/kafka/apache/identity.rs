//! A topic that is no longer what was read is refused with the cause and what to do; what can be read is never passed over.

use rdkafka::admin::{AdminOptions, NewPartitions};
use rdkafka::config::ClientConfig;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rettidig_event::Topic;
use rettidig_runtime::kafka::{KafkaConfig, create_topics};
use rettidig_runtime::{EpochReport, RuntimeError, Worker};
use tokio_util::sync::CancellationToken;

use super::support::{Cluster, figure, limited, produce, worker};

fn figures(areas: &[i32]) -> Vec<(Topic, String, Vec<u8>)> {
    areas.iter().map(|area| (Topic::Official, "y25i01".to_owned(), figure(*area, 500))).collect()
}

/// Deletes the topic of the figures and makes it again, empty.
async fn make_again(cluster: &Cluster, kafka: &KafkaConfig) {
    let gone = cluster.admin().delete_topics(&[Topic::Official.name()], &AdminOptions::new()).await;
    assert!(gone.expect("deleted").iter().all(Result::is_ok));
    // As long as the old one is being deleted there can be no new one.
    while create_topics(kafka).await.is_err() {}
}

fn refused(connected: Result<Worker, RuntimeError>) -> String {
    match connected {
        Err(error @ RuntimeError::Stop { .. }) => error.to_string(),
        Err(error) => panic!("not a final refusal: {error}"),
        Ok(_) => panic!("it goes on as if nothing had happened"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn retention_that_deletes_unread_messages_is_refused_and_so_is_a_topic_made_again() {
    limited(async {
        let cluster = Cluster::fresh().await;
        let kafka = cluster.open();
        let folder = tempfile::tempdir().expect("folder");
        create_topics(&kafka).await.expect("topics");
        produce(&kafka, &figures(&[101, 147])).await;
        let mut first = worker(folder.path(), &kafka).await.expect("worker");
        let position = first.catch_up().await.expect("catch up").expect("an epoch");
        assert_eq!(position.events, 2);
        let (partition, next) = {
            let positions = &first.engine().positions()[Topic::Official.name()];
            let (partition, position) = positions.iter().next().expect("a partition");
            (*partition, position.next)
        };
        drop(first);
        // More comes, and is deleted before it is read.
        produce(&kafka, &figures(&[151, 153, 155])).await;
        let mut until = TopicPartitionList::new();
        until
            .add_partition_offset(Topic::Official.name(), partition, Offset::Offset(next + 2))
            .expect("a place");
        cluster.admin().delete_records(&until, &AdminOptions::new()).await.expect("deleted");
        let error = refused(worker(folder.path(), &kafka).await);
        assert!(
            error.contains("2 were deleted unread") && error.contains("start with an empty data folder"),
            "{error}"
        );
        make_again(&cluster, &kafka).await;
        let error = refused(worker(folder.path(), &kafka).await);
        assert!(error.contains("made again"), "{error}");
    })
    .await;
}

/// Goal: a reader notices that the topic under it is another one, although it goes on where the reader stands. Method: the
/// topic is deleted and made again with more messages than were read, while the reader lives.
#[tokio::test(flavor = "multi_thread")]
async fn a_topic_made_again_with_more_messages_under_a_reader_is_refused() {
    limited(async {
        let cluster = Cluster::fresh().await;
        let kafka = cluster.open();
        let folder = tempfile::tempdir().expect("folder");
        create_topics(&kafka).await.expect("topics");
        produce(&kafka, &figures(&[101, 147])).await;
        let mut reader = worker(folder.path(), &kafka).await.expect("worker");
        assert_eq!(reader.catch_up().await.expect("catch up").expect("an epoch").events, 2);
        make_again(&cluster, &kafka).await;
        produce(&kafka, &figures(&[151, 153, 155, 157, 159, 161])).await;
        let stop = CancellationToken::new();
        let mut epochs = 0;
        let mut watch = |step: Result<&EpochReport, &RuntimeError>| epochs += u32::from(step.is_ok());
        let error = reader.run(&stop, &mut watch).await.expect_err("refused");
        assert!(matches!(error, RuntimeError::Stop { .. }) && epochs == 0, "{epochs} epochs, {error}");
        let error = error.to_string();
        assert!(error.contains("made again") && error.contains("start with an empty data folder"), "{error}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn new_partitions_stop_who_does_not_read_them_and_are_read_from_their_beginning() {
    limited(async {
        let cluster = Cluster::fresh().await;
        let kafka = cluster.open();
        let folder = tempfile::tempdir().expect("folder");
        create_topics(&kafka).await.expect("topics");
        produce(&kafka, &figures(&[101])).await;
        let mut first = worker(folder.path(), &kafka).await.expect("worker");
        first.catch_up().await.expect("catch up").expect("an epoch");
        first.check_partitions().await.expect("all are read");
        let more = [NewPartitions::new(Topic::Official.name(), 6)];
        let made = cluster.admin().create_partitions(&more, &AdminOptions::new()).await.expect("made");
        assert!(made.iter().all(Result::is_ok));
        let producer: rdkafka::producer::FutureProducer =
            ClientConfig::new().set("bootstrap.servers", &kafka.brokers).create().expect("producer");
        let payload = figure(151, 7);
        let record = rdkafka::producer::FutureRecord::to(Topic::Official.name()).partition(5).key("y25i01");
        let sent = producer.send(record.payload(&payload), std::time::Duration::from_secs(20)).await;
        sent.map_err(|(error, _)| error).expect("acknowledged");
        let error = loop {
            // The broker tells of new partitions when it knows them.
            if let Err(error) = first.check_partitions().await {
                break error.to_string();
            }
        };
        assert!(error.contains("6 partitions now, 4 are read") && error.contains("start again"), "{error}");
        drop(first);
        let mut again = worker(folder.path(), &kafka).await.expect("worker");
        let report = again.catch_up().await.expect("catch up").expect("an epoch");
        assert_eq!(report.events, 1, "what stands on a new partition is read");
    })
    .await;
}
