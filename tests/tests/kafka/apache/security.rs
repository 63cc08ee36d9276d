//! Every way into Apache Kafka that the settings offer: a figure goes in through it and comes out.

use rettidig_event::Topic;
use rettidig_runtime::engine::TOPICS;
use rettidig_runtime::kafka::{KafkaConfig, KafkaSource, assert_features, create_topics};
use rettidig_runtime::manifest::Positions;

use super::acls::apply;
use super::support::{CALL, Cluster, figure, limited, produce};

/// What has been said so far, and one more.
async fn says_and_hears(kafka: &KafkaConfig, said: &mut Vec<Vec<u8>>) {
    let figure = figure(101, u32::try_from(said.len()).expect("few"));
    produce(kafka, &[(Topic::Deliveries, "security".to_owned(), figure.clone())]).await;
    said.push(figure);
    let source = KafkaSource::connect(kafka, "rettidig", &TOPICS, None, &Positions::default(), None)
        .await
        .expect("source");
    let mut heard = Vec::new();
    while heard.len() < said.len() {
        let next = tokio::time::timeout(CALL, source.next()).await.expect("in time").expect("a message");
        heard.push(next.1.payload);
    }
    assert_eq!(&heard, said);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_in_leads_to_the_topics() {
    limited(async {
        assert_features().expect("librdkafka has what it needs");
        let cluster = Cluster::fresh().await;
        create_topics(&cluster.open()).await.expect("topics");
        let mut said = Vec::new();
        says_and_hears(&cluster.open(), &mut said).await;
        says_and_hears(&cluster.tls(), &mut said).await;
        apply(&cluster, None).await;
        let folder = tempfile::tempdir().expect("folder");
        says_and_hears(&cluster.mtls("all"), &mut said).await;
        says_and_hears(&cluster.scram("all", folder.path()), &mut said).await;
        says_and_hears(&cluster.oauth("all"), &mut said).await;
    })
    .await;
}
