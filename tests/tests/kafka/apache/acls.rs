//! The rules of `helm/kafka-acls.yaml`: what each role does is allowed, and everything else is refused.
//!
//! Goal: a role that is taken over reaches no more than its own. Method: the file is applied to a broker that refuses
//! what no rule allows; then every role tries to read and to write every topic, to join every group, and to make
//! and delete topics. What it may do stands below once more, as a table.

use std::collections::BTreeMap;

use kafka_protocol::messages::create_acls_request::AclCreation;
use kafka_protocol::messages::delete_acls_request::DeleteAclsFilter;
use kafka_protocol::messages::{CreateAclsRequest, DeleteAclsRequest, DescribeAclsRequest};
use kafka_protocol::protocol::StrBytes;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{Consumer, StreamConsumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rettidig_event::Topic;
use rettidig_runtime::kafka::{KafkaConfig, create_topics};
use rettidig_runtime::letters::{Selection, replay};
use rettidig_tests::wire;
use serde::Deserialize;

use super::support::{CALL, Cluster, figure, limited, password, produce, worker};

/// Made for this test beside those of the contract.
const PROPOSALS: &str = "rettidig.proposals";
const FOREIGN: &str = "rettidig.foreign";

/// Who may read and write what.
const MAY: [(&str, &[&str], &[&str], &str); 5] = [
    (
        "connector",
        &[],
        &[
            "rettidig.payments",
            "rettidig.cases",
            "rettidig.income",
            "rettidig.official",
            "rettidig.deliveries",
            "rettidig.dead-letter",
        ],
        "",
    ),
    (
        "worker",
        &["rettidig.payments", "rettidig.cases", "rettidig.income", PROPOSALS],
        &["rettidig.payments", "rettidig.cases", "rettidig.income", PROPOSALS, "rettidig.dead-letter"],
        "rettidig-worker",
    ),
    (
        "committer",
        &["rettidig.official", "rettidig.deliveries", PROPOSALS],
        &[PROPOSALS, "rettidig.dead-letter"],
        "rettidig-committer",
    ),
    (
        "all",
        &[
            "rettidig.payments",
            "rettidig.cases",
            "rettidig.income",
            "rettidig.official",
            "rettidig.deliveries",
        ],
        &[
            "rettidig.payments",
            "rettidig.cases",
            "rettidig.income",
            "rettidig.official",
            "rettidig.deliveries",
            "rettidig.dead-letter",
        ],
        "rettidig",
    ),
    (
        "operator",
        &["rettidig.dead-letter"],
        &[
            "rettidig.payments",
            "rettidig.cases",
            "rettidig.income",
            "rettidig.official",
            "rettidig.deliveries",
            "rettidig.dead-letter",
        ],
        "rettidig-dead-letters",
    ),
];

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Role {
    principal: String,
    rules: Vec<Rule>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    resource: Resource,
    names: Vec<String>,
    operations: Vec<Operation>,
}

/// Numbers as the protocol has them.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Resource {
    Topic = 2,
    Group = 3,
}

/// Numbers as the protocol has them.
#[derive(Debug, Clone, Copy, Deserialize)]
enum Operation {
    Read = 3,
    Write = 4,
    Describe = 8,
    DescribeConfigs = 10,
}

const ANY: i8 = 1;
const LITERAL: i8 = 3;
const ALLOW: i8 = 3;

/// Replaces all rules of the broker by those of the file; `leave_out` names rules that are not made: principal, topic
/// and operation.
pub async fn apply(cluster: &Cluster, leave_out: Option<(&str, &str, &str)>) {
    let text = include_str!("../../../../helm/kafka-acls.yaml");
    let roles: Vec<Role> = serde_yaml_ng::from_str(text).expect("the file of the rules");
    let mut rules = Vec::new();
    for role in &roles {
        for rule in &role.rules {
            for (name, operation) in rule
                .names
                .iter()
                .flat_map(|name| rule.operations.iter().map(move |operation| (name, operation)))
            {
                let told = (role.principal.as_str(), name.as_str(), format!("{operation:?}"));
                if leave_out == Some((told.0, told.1, &told.2)) {
                    continue;
                }
                let rule = AclCreation::default()
                    .with_resource_type(rule.resource as i8)
                    .with_resource_name(StrBytes::from_string(name.clone()))
                    .with_resource_pattern_type(LITERAL)
                    .with_principal(StrBytes::from_string(role.principal.clone()))
                    .with_host(StrBytes::from_static_str("*"))
                    .with_operation(*operation as i8)
                    .with_permission_type(ALLOW);
                rules.push(rule);
            }
        }
    }
    let everything = DeleteAclsFilter::default()
        .with_resource_type_filter(ANY)
        .with_pattern_type_filter(ANY)
        .with_operation(ANY)
        .with_permission_type(ANY)
        .with_resource_name_filter(None)
        .with_principal_filter(None)
        .with_host_filter(None);
    let request = DeleteAclsRequest::default().with_filters(vec![everything]);
    let answer = wire::ask(&cluster.bootstrap(), &request, 3).await.expect("an answer");
    assert!(answer.filter_results.iter().all(|result| result.error_code == 0), "{answer:?}");
    until_rules(cluster, 0).await;
    let count = rules.len();
    let request = CreateAclsRequest::default().with_creations(rules);
    let answer = wire::ask(&cluster.bootstrap(), &request, 3).await.expect("an answer");
    assert!(answer.results.iter().all(|result| result.error_code == 0), "{answer:?}");
    until_rules(cluster, count).await;
}

/// Waits until the broker goes by this many rules: a moment after the controller has taken them.
async fn until_rules(cluster: &Cluster, count: usize) {
    let everything = DescribeAclsRequest::default()
        .with_resource_type_filter(ANY)
        .with_pattern_type_filter(ANY)
        .with_operation(ANY)
        .with_permission_type(ANY)
        .with_resource_name_filter(None)
        .with_principal_filter(None)
        .with_host_filter(None);
    let deadline = tokio::time::Instant::now() + CALL;
    loop {
        let answer = wire::ask(&cluster.bootstrap(), &everything, 3).await.expect("an answer");
        if answer.resources.iter().map(|resource| resource.acls.len()).sum::<usize>() == count {
            return;
        }
        assert!(tokio::time::Instant::now() < deadline, "not {count} rules: {answer:?}");
    }
}

fn client(kafka: &KafkaConfig, user: &str) -> ClientConfig {
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", &kafka.brokers).set("sasl.password", password(user));
    for (key, value) in &kafka.settings {
        client.set(key, value);
    }
    client
}

/// One role at the broker.
struct Tried {
    client: ClientConfig,
    producer: FutureProducer,
    admin: AdminClient<DefaultClientContext>,
}

/// For want of rights.
const REFUSED: [RDKafkaErrorCode; 3] = [
    RDKafkaErrorCode::TopicAuthorizationFailed,
    RDKafkaErrorCode::GroupAuthorizationFailed,
    RDKafkaErrorCode::ClusterAuthorizationFailed,
];

/// Whether it was done; only a refusal for want of rights counts as refused.
fn allowed(result: Result<(), KafkaError>) -> bool {
    match result {
        Ok(()) => true,
        Err(
            KafkaError::MessageProduction(code)
            | KafkaError::MessageConsumption(code)
            | KafkaError::ConsumerCommit(code)
            | KafkaError::AdminOp(code),
        ) if REFUSED.contains(&code) => false,
        Err(error) => panic!("neither done nor refused: {error}"),
    }
}

impl Tried {
    fn new(kafka: &KafkaConfig, user: &str) -> Self {
        let client = client(kafka, user);
        let mut producing = client.clone();
        producing.set("enable.idempotence", "true").set("acks", "all");
        Self {
            producer: producing.create().expect("producer"),
            admin: client.create().expect("admin"),
            client,
        }
    }

    async fn writes(&self, topic: &str) -> bool {
        let record = FutureRecord::to(topic).key("key").payload("{}").partition(0);
        allowed(self.producer.send(record, CALL).await.map(drop).map_err(|(error, _)| error))
    }

    fn consumer(&self, group: Option<&str>) -> StreamConsumer {
        let mut client = self.client.clone();
        client.set("group.id", group.unwrap_or("none")).set("enable.auto.commit", "false");
        client.set("auto.offset.reset", "earliest").create().expect("consumer")
    }

    /// With the role's own group; one that has none is refused for the group's sake, and again for the topic's.
    async fn reads(&self, topic: &str, group: Option<&str>) -> bool {
        let consumer = self.consumer(group);
        // Of a topic that may not even be described, a consumer of assigned partitions hears nothing at all.
        let metadata = consumer.fetch_metadata(Some(topic), CALL).expect("metadata");
        if let Some(error) = metadata.topics().first().and_then(|topic| topic.error()) {
            return allowed(Err(KafkaError::MessageConsumption(error.into())));
        }
        let mut place = TopicPartitionList::new();
        place.add_partition_offset(topic, 0, Offset::Beginning).expect("a place");
        consumer.assign(&place).expect("assigned");
        let answered = async {
            loop {
                let received = consumer.recv().await;
                let code = received.as_ref().err().and_then(KafkaError::rdkafka_error_code);
                if code != Some(RDKafkaErrorCode::GroupAuthorizationFailed) {
                    return allowed(received.map(drop));
                }
            }
        };
        let answered = tokio::time::timeout(CALL, answered).await;
        answered.unwrap_or_else(|_| panic!("{topic} for {group:?}: no answer"))
    }

    /// Joins a group and reads a topic as its only member.
    async fn joins(&self, group: &str, topic: &str) -> bool {
        let consumer = self.consumer(Some(group));
        consumer.subscribe(&[topic]).expect("subscribed");
        let received = tokio::time::timeout(CALL, consumer.recv()).await;
        allowed(received.unwrap_or_else(|_| panic!("{topic} for {group}: no answer")).map(drop))
    }

    async fn makes_a_topic(&self) -> bool {
        let new = NewTopic::new("rettidig.new", 1, TopicReplication::Fixed(1));
        let made = self.admin.create_topics([&new], &AdminOptions::new()).await.expect("an answer");
        allowed(
            made.into_iter()
                .try_for_each(|made| made.map(drop).map_err(|(_, code)| KafkaError::AdminOp(code))),
        )
    }

    async fn deletes(&self, topic: &str) -> bool {
        let gone = self.admin.delete_topics(&[topic], &AdminOptions::new()).await.expect("an answer");
        allowed(
            gone.into_iter()
                .try_for_each(|gone| gone.map(drop).map_err(|(_, code)| KafkaError::AdminOp(code))),
        )
    }
}

/// Every topic, with one message in its first partition.
async fn topics(cluster: &Cluster) -> Vec<&'static str> {
    create_topics(&cluster.open()).await.expect("topics");
    let admin = cluster.admin();
    let others = [PROPOSALS, FOREIGN].map(|name| NewTopic::new(name, 1, TopicReplication::Fixed(1)));
    let made = admin.create_topics(&others, &AdminOptions::new()).await.expect("an answer");
    assert!(made.iter().all(Result::is_ok), "{made:?}");
    let producer: FutureProducer =
        ClientConfig::new().set("bootstrap.servers", cluster.bootstrap()).create().expect("producer");
    let topics: Vec<&str> = Topic::ALL.into_iter().map(Topic::name).chain([PROPOSALS, FOREIGN]).collect();
    for topic in &topics {
        let record = FutureRecord::to(topic).key("key").payload("{}").partition(0);
        producer.send(record, CALL).await.expect("sent");
    }
    topics
}

#[tokio::test(flavor = "multi_thread")]
async fn each_role_may_do_its_work_and_nothing_else() {
    limited(async {
        let cluster = Cluster::fresh().await;
        let folder = tempfile::tempdir().expect("folder");
        let topics = topics(&cluster).await;
        apply(&cluster, None).await;
        let groups: Vec<&str> =
            MAY.iter().map(|(_, _, _, group)| *group).filter(|group| !group.is_empty()).collect();
        let mut wrong = BTreeMap::new();
        for (user, reads, writes, own) in MAY {
            let tried = Tried::new(&cluster.scram(user, folder.path()), user);
            let group = Some(own).filter(|own| !own.is_empty());
            let mut expect = |what: String, did: bool, may: bool| {
                if did != may {
                    wrong.insert(format!("{user} {what}"), if did { "was allowed" } else { "was refused" });
                }
            };
            for topic in &topics {
                expect(format!("reads {topic}"), tried.reads(topic, group).await, reads.contains(topic));
                expect(format!("writes {topic}"), tried.writes(topic).await, writes.contains(topic));
                expect(format!("deletes {topic}"), tried.deletes(topic).await, false);
            }
            for group in &groups {
                let topic = reads.first().unwrap_or(&FOREIGN);
                expect(format!("joins {group}"), tried.joins(group, topic).await, *group == own);
            }
            expect("makes a topic".to_owned(), tried.makes_a_topic().await, false);
        }
        assert_eq!(wrong, BTreeMap::new());
    })
    .await;
}

/// The pipeline as one process, with the rights of `all`, on topics that somebody else has made; what it puts aside is sent
/// again with those of `operator`.
#[tokio::test(flavor = "multi_thread")]
async fn the_whole_pipeline_runs_with_the_rights_of_all() {
    limited(async {
        let cluster = Cluster::fresh().await;
        let folder = tempfile::tempdir().expect("folder");
        let kafka = cluster.scram("all", folder.path());
        apply(&cluster, None).await;
        let refused = create_topics(&kafka).await.expect_err("may not make topics").to_string();
        assert!(refused.contains("creating the topic rettidig.") && refused.contains("by hand"), "{refused}");
        create_topics(&cluster.open()).await.expect("topics");
        create_topics(&kafka).await.expect("there is nothing to make");
        let key = "y25i01".to_owned();
        let events =
            [(Topic::Official, key.clone(), figure(851, 4876)), (Topic::Official, key, b"no event".to_vec())];
        produce(&kafka, &events).await;
        let mut worker = worker(folder.path(), &kafka).await.expect("worker");
        let report = worker.catch_up().await.expect("catch up").expect("an epoch");
        assert_eq!((report.events, report.dead_letters), (1, 1));
        let operator = cluster.scram("operator", folder.path());
        let at = "2026-08-22T10:00:00Z".parse().expect("instant");
        for (sent, before) in [(Some(&1), 0), (None, 1)] {
            let replayed =
                replay(&operator, &Selection::default(), (false, false), at).await.expect("a replay");
            assert_eq!((replayed.sent.get(Topic::Official.name()), replayed.before), (sent, before));
        }
        let report = worker.catch_up().await.expect("catch up").expect("an epoch");
        assert_eq!((report.events, report.dead_letters), (0, 1), "it came again and is no event still");
    })
    .await;
}
