//! What `rettidig check --online` finds at a real broker, cause by cause, in words; and what it never says.

use rdkafka::admin::{AdminOptions, NewTopic, TopicReplication};
use rettidig_event::Topic;
use rettidig_runtime::kafka::{KafkaConfig, Part, create_topics, create_topics_of_roles};
use rettidig_runtime::preflight;
use rettidig_tests::apache::free_port;

use super::acls::apply;
use super::support::{Cluster, limited, password};

/// The findings of one process that does everything; none of them holds a password.
async fn findings(kafka: &KafkaConfig) -> Vec<String> {
    findings_of(kafka, Part::All).await
}

async fn findings_of(kafka: &KafkaConfig, part: Part) -> Vec<String> {
    let findings = preflight::findings(kafka, part).await;
    let text = findings.join("\n");
    assert!(!text.contains("hemmelig"), "a secret is told: {text}");
    findings
}

/// The one finding, with these words in it.
async fn finds(kafka: &KafkaConfig, words: &[&str]) {
    let findings = findings(kafka).await;
    assert!(
        findings.len() == 1 && words.iter().all(|word| findings[0].contains(word)),
        "{words:?}: {findings:#?}"
    );
}

fn set(mut kafka: KafkaConfig, key: &str, value: &str) -> KafkaConfig {
    kafka.settings.insert(key.to_owned(), value.to_owned());
    kafka
}

#[tokio::test(flavor = "multi_thread")]
async fn why_there_is_no_connection_is_told() {
    limited(async {
        let cluster = Cluster::fresh().await;
        let folder = tempfile::tempdir().expect("folder");
        create_topics(&cluster.open()).await.expect("topics");

        let nobody = format!("127.0.0.1:{}", free_port());
        let gone = KafkaConfig { brokers: nobody.clone(), ..KafkaConfig::default() };
        finds(&gone, &[&nobody, "Connection refused", "correct kafka.brokers"]).await;
        let nowhere = KafkaConfig { brokers: "broker.invalid:9092".to_owned(), ..KafkaConfig::default() };
        finds(&nowhere, &["broker.invalid:9092", "resolve", "correct kafka.brokers"]).await;

        let stranger = set(cluster.tls(), "ssl.ca.location", &cluster.file("other-ca.pem"));
        finds(&stranger, &["authority that is not trusted", "ssl.ca.location"]).await;
        let plain = KafkaConfig { brokers: cluster.tls().brokers, ..KafkaConfig::default() };
        finds(&plain, &["no answer within", "security.protocol"]).await;
        let wrapped = KafkaConfig { brokers: cluster.bootstrap(), ..cluster.tls() };
        finds(&wrapped, &["no TLS with the broker", "correct security.protocol"]).await;
        let nameless = KafkaConfig { brokers: cluster.mtls("all").brokers, ..cluster.tls() };
        finds(&nameless, &["client certificate", "ssl.certificate.location", "ssl.key.location"]).await;

        let mut wrong = cluster.scram("all", folder.path());
        let file = folder.path().join("wrong");
        std::fs::write(&file, "hemmelig-and-wrong").expect("written");
        wrong.password_file = Some(file);
        finds(&wrong, &["refuses the user all", "wrong password", "kafka.password_file"]).await;
        let mut missing = cluster.scram("all", folder.path());
        missing.password_file = Some(folder.path().join("nothing"));
        finds(&missing, &["reading the Kafka password from", "make the file readable"]).await;

        let unknown = set(cluster.open(), "security.protocoll", &password("all"));
        finds(&unknown, &["No such configuration property: \"security.protocoll\"", "correct the setting"])
            .await;
        let refused = create_topics(&unknown).await.expect_err("no such setting").to_string();
        assert!(refused.contains("security.protocoll") && !refused.contains("hemmelig"), "{refused}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_missing_right_is_named_with_its_topic() {
    limited(async {
        let cluster = Cluster::fresh().await;
        let folder = tempfile::tempdir().expect("folder");
        create_topics(&cluster.open()).await.expect("topics");
        let kafka = cluster.scram("all", folder.path());
        apply(&cluster, None).await;
        assert_eq!(findings(&kafka).await, Vec::<String>::new(), "nothing is wrong");
        for (name, operation) in [
            ("rettidig.payments", "Read"),
            ("rettidig.cases", "Write"),
            ("rettidig.official", "DescribeConfigs"),
            ("rettidig", "Read"),
        ] {
            apply(&cluster, Some(("User:all", name, operation))).await;
            let kind = if name == "rettidig" { "group" } else { "topic" };
            let right = format!("the right {operation}");
            let what = format!("allow the operation {operation} on the {kind} {name} ");
            finds(&kafka, &[&right, &what]).await;
        }
        apply(&cluster, Some(("User:all", "rettidig.dead-letter", "Write"))).await;
        finds(&kafka, &["rettidig.dead-letter: this user may not even see it: allow Write on the topic"])
            .await;
        let nobody = cluster.oauth("somebody");
        let all = findings(&nobody).await;
        assert_eq!(all.len(), Topic::ALL.len(), "{all:#?}");
        assert!(all.iter().all(|finding| finding.contains("may not even see it: allow ")), "{all:#?}");
    })
    .await;
}

/// Goal: each role is told what it lacks and nothing else. Method: with the rules of `helm/kafka-acls.yaml` no role lacks anything;
/// without one of them its role misses just that.
#[tokio::test(flavor = "multi_thread")]
async fn each_role_is_told_what_it_lacks() {
    limited(async {
        let cluster = Cluster::fresh().await;
        let folder = tempfile::tempdir().expect("folder");
        create_topics(&cluster.open()).await.expect("topics");
        apply(&cluster, None).await;
        let worker = cluster.scram("worker", folder.path());
        let missing = findings_of(&worker, Part::Worker).await;
        assert!(missing.len() == 1 && missing[0].contains("rettidig.proposals"), "{missing:#?}");
        create_topics_of_roles(&cluster.open()).await.expect("topics");
        for (user, part) in
            [("connector", Part::Connectors), ("worker", Part::Worker), ("committer", Part::Committer)]
        {
            let kafka = cluster.scram(user, folder.path());
            assert_eq!(findings_of(&kafka, part).await, Vec::<String>::new(), "{user} lacks nothing");
        }
        for (user, part, name, operation, kind) in [
            ("connector", Part::Connectors, "rettidig.official", "DescribeConfigs", "topic"),
            ("worker", Part::Worker, "rettidig.proposals", "Write", "topic"),
            ("worker", Part::Worker, "rettidig-worker", "Read", "group"),
        ] {
            apply(&cluster, Some((&format!("User:{user}"), name, operation))).await;
            let found = findings_of(&cluster.scram(user, folder.path()), part).await;
            let what = format!("allow the operation {operation} on the {kind} {name} ");
            assert!(found.len() == 1 && found[0].contains(&what), "{what}: {found:#?}");
        }
        // Without any other right on it, a topic is not even seen.
        for (name, operation) in [("rettidig.cases", "Describe"), ("rettidig.official", "Read")] {
            apply(&cluster, Some(("User:committer", name, operation))).await;
            let found = findings_of(&cluster.scram("committer", folder.path()), Part::Committer).await;
            let what = format!("allow {operation} on the topic {name} ");
            assert!(found.len() == 1 && found[0].contains(&what), "{what}: {found:#?}");
        }
        let foreign = findings_of(&cluster.scram("connector", folder.path()), Part::Worker).await;
        assert!(foreign.iter().any(|finding| finding.contains("rettidig.proposals")), "{foreign:#?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_that_are_not_as_they_must_be_are_all_told() {
    limited(async {
        let cluster = Cluster::fresh().await;
        let new = |topic: Topic, partitions: i32| {
            let bytes = if topic == Topic::Cases { "1000" } else { "40000000" };
            let policy = if topic == Topic::Official { "compact" } else { "delete" };
            let retention = if topic == Topic::Income { "3600000" } else { "-1" };
            NewTopic::new(topic.name(), partitions, TopicReplication::Fixed(1))
                .set("max.message.bytes", bytes)
                .set("cleanup.policy", policy)
                .set("retention.ms", retention)
        };
        // Deliveries are not there at all.
        let topics: Vec<NewTopic<'_>> = Topic::ALL
            .into_iter()
            .filter(|topic| *topic != Topic::Deliveries)
            .map(|topic| new(topic, if topic == Topic::Payments { 1 } else { topic.partitions() }))
            .collect();
        let made = cluster.admin().create_topics(&topics, &AdminOptions::new()).await.expect("an answer");
        assert!(made.iter().all(Result::is_ok), "{made:?}");
        let findings = findings(&cluster.open()).await;
        let expected = [
            "topic rettidig.payments has 1 partitions, fewer than 16: add some",
            "topic rettidig.deliveries does not exist: create it with 1 partitions, retention.ms=34560000000",
            "topic rettidig.cases: max.message.bytes is 1000: raise it to 16777216",
            "topic rettidig.income: retention.ms is 3600000, shorter than an outage may be: raise it to 7776000000",
            "topic rettidig.official: cleanup.policy is compact, which deletes events that are still needed: set it to delete",
        ];
        assert_eq!(findings.len(), expected.len(), "{findings:#?}");
        for (finding, expected) in findings.iter().zip(expected) {
            assert!(finding.starts_with(expected), "{finding}\nis not\n{expected}");
        }
    })
    .await;
}
