//! What is wrong with the way to Kafka, before anything runs: every finding in one line, with what to do.
//!
//! It connects with the settings of the pipeline and changes nothing at the broker. Reading is tried at the end of each
//! topic. Writing is tried with a record that is stamped in the far future, which a broker refuses, but only after it
//! has looked whether the user may write; so it is tried only on topics whose settings say that it will be refused
//! (Apache Kafka 3.6 or newer, by default). What the client tells only through its callbacks is kept and read.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, ConfigResource, OwnedResourceSpecifier, ResourceSpecifier};
use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::metadata::Metadata;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::RuntimeError;
use crate::kafka::{GROUP, KafkaConfig, Need, Part, TopicSpec, named};

/// How long the broker may take to answer for the first time.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);

/// How long the other brokers have after one has failed.
const OTHERS_WITHIN: Duration = Duration::from_secs(3);

/// How long one question may take after that.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// How long the client is listened to at a time.
const LISTEN: Duration = Duration::from_millis(200);

/// The time stamp of the records that are to be refused: the year 2200, in milliseconds.
const FAR_FUTURE_MS: i64 = 7_258_118_400_000;

/// A topic that accepts records this much ahead of its clock might take the record that is to be refused.
const AHEAD_MS_MAX: i64 = 10 * 365 * 86_400_000;

/// What the client has told through its callbacks.
#[derive(Debug, Clone, Default)]
struct Told(Arc<Mutex<Vec<(RDKafkaErrorCode, String)>>>);

impl Told {
    fn all(&self) -> Vec<(RDKafkaErrorCode, String)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Told {
    fn keep(&self, code: RDKafkaErrorCode, reason: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((code, reason.to_owned()));
    }
}

impl ClientContext for Told {
    fn log(&self, _: RDKafkaLogLevel, _: &str, _: &str) {}

    fn error(&self, error: KafkaError, reason: &str) {
        self.keep(error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown), reason);
    }
}

impl ConsumerContext for Told {}

/// Everything that is wrong between these settings and the broker for a part of the work; empty if it can run.
pub async fn findings(config: &KafkaConfig, part: Part) -> Vec<String> {
    let findings = match config.client() {
        Ok(client) => connected(&client, config, part).await.unwrap_or_else(|error| vec![error.to_string()]),
        Err(error) => vec![error.to_string()],
    };
    findings.into_iter().map(|finding| without_secrets(finding, config)).collect()
}

async fn connected(
    client: &ClientConfig,
    config: &KafkaConfig,
    part: Part,
) -> Result<Vec<String>, RuntimeError> {
    let told = Told::default();
    let mut reading = client.clone();
    reading
        // Who reads nothing joins no group; the client wants a name nevertheless.
        .set("group.id", part.group().unwrap_or(GROUP))
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "error")
        .set("enable.partition.eof", "true");
    let (context, brokers) = (told.clone(), config.brokers.clone());
    let user = config.settings.get("sasl.username").cloned();
    // librdkafka's calls block.
    let looked = tokio::task::spawn_blocking(move || {
        let consumer: BaseConsumer<Told> = match reading.create_with_context(context) {
            Ok(consumer) => consumer,
            Err(error) => return Err(format!("kafka.settings: {}: correct the setting", named(&error))),
        };
        let metadata = first_answer(&consumer, &told)
            .ok_or_else(|| cause_of_silence(&told.all(), &brokers, user.as_deref()))?;
        let (needs, mut findings) = topics(&consumer, &metadata, part);
        findings.extend(reads(&consumer, &needs, part));
        Ok((needs, findings))
    });
    let looked = looked.await.map_err(|error| RuntimeError::retry("looking at Kafka", error))?;
    let (needs, mut findings) = match looked {
        Ok(found) => found,
        Err(finding) => return Ok(vec![finding]),
    };
    // What was found so far is told whatever comes of the rest.
    match settings(client, &needs).await {
        Ok((settings, others)) => {
            findings.extend(others);
            match writes(client, &settings).await {
                Ok(others) => findings.extend(others),
                Err(error) => findings.push(error.to_string()),
            }
        }
        Err(error) => findings.push(error.to_string()),
    }
    Ok(findings)
}

/// The first answer of any broker; none if the client has told why there will be none.
fn first_answer(consumer: &BaseConsumer<Told>, told: &Told) -> Option<Metadata> {
    let begun = Instant::now();
    while begun.elapsed() < CONNECT_WITHIN {
        if let Ok(metadata) = consumer.fetch_metadata(None, Duration::from_secs(1)) {
            return Some(metadata);
        }
        while consumer.poll(LISTEN).is_some() {}
        let told = told.all();
        let is_final = |code: &RDKafkaErrorCode| {
            matches!(code, RDKafkaErrorCode::Authentication | RDKafkaErrorCode::SSL)
        };
        // Another broker of the list may answer yet.
        let is_enough = !told.is_empty() && begun.elapsed() > OTHERS_WITHIN;
        if is_enough || told.iter().any(|(code, _)| is_final(code)) {
            return None;
        }
    }
    None
}

/// Why no broker answered.
fn cause_of_silence(told: &[(RDKafkaErrorCode, String)], brokers: &str, user: Option<&str>) -> String {
    let reasons =
        |code: RDKafkaErrorCode| told.iter().filter(move |(found, _)| *found == code).map(|(_, text)| text);
    if let Some(reason) = reasons(RDKafkaErrorCode::Authentication).next() {
        let user = user.map(|user| format!(" {user}")).unwrap_or_default();
        return format!(
            "kafka: the broker refuses the user{user} ({reason}): wrong password or unknown user; correct \
             sasl.username and the file of kafka.password_file, or the token's settings"
        );
    }
    let told_of_tls = |text: &&String| text.contains("SSL") || text.contains("ssl");
    let mut of_tls = told.iter().map(|(_, text)| text).filter(told_of_tls);
    if let Some(reason) = of_tls.clone().find(|text| text.contains("certificate verify failed")) {
        return format!(
            "kafka: the broker's certificate comes from an authority that is not trusted ({reason}): name the right \
             one in ssl.ca.location"
        );
    }
    if let Some(reason) =
        of_tls.clone().find(|text| text.contains("certificate required") || text.contains("alert"))
    {
        return format!(
            "kafka: the broker wants a client certificate and was given none that it accepts ({reason}): name one in \
             ssl.certificate.location and its key in ssl.key.location"
        );
    }
    if let Some(reason) = of_tls.next() {
        return format!(
            "kafka: no TLS with the broker ({reason}): correct security.protocol and the ssl settings"
        );
    }
    let failures = [RDKafkaErrorCode::Resolve, RDKafkaErrorCode::BrokerTransportFailure];
    let reason = failures.into_iter().find_map(|code| reasons(code).next());
    let reason =
        reason.cloned().unwrap_or_else(|| format!("no answer within {} s", CONNECT_WITHIN.as_secs()));
    format!(
        "kafka: no broker of {brokers} is reachable ({reason}): start them, or correct kafka.brokers or \
         security.protocol"
    )
}

/// Which topics are there, and what is wrong with their number of partitions.
fn topics(consumer: &BaseConsumer<Told>, metadata: &Metadata, part: Part) -> (Vec<Need>, Vec<String>) {
    let (mut there, mut findings) = (Vec::new(), Vec::new());
    for need in part.needs() {
        let (name, wanted) = (need.topic.name, need.topic.partitions);
        let Some(found) = metadata.topics().iter().find(|found| found.name() == name) else {
            let asked = consumer.fetch_metadata(Some(name), ANSWER_WITHIN);
            let code = asked.as_ref().ok().and_then(|found| found.topics().first()?.error());
            let is_refused =
                code.map(RDKafkaErrorCode::from) == Some(RDKafkaErrorCode::TopicAuthorizationFailed);
            findings.push(if is_refused { unseen(&need) } else { unknown(&need.topic) });
            continue;
        };
        there.push(need);
        let count = found.partitions().len();
        if i32::try_from(count).is_ok_and(|count| count < wanted) {
            findings.push(format!(
                "topic {name} has {count} partitions, fewer than {wanted}: add some before anything is written to it, or \
                 delete it and create it with {wanted}"
            ));
        }
    }
    (there, findings)
}

fn unknown(topic: &TopicSpec) -> String {
    format!(
        "topic {} does not exist: create it with {} partitions, retention.ms={} and max.message.bytes={}, or let this \
         user create topics",
        topic.name, topic.partitions, topic.retention_ms, topic.max_message_bytes
    )
}

fn unseen(need: &Need) -> String {
    let name = need.topic.name;
    let needed = match (need.reads, need.writes) {
        (true, true) => "Read and Write",
        (true, false) => "Read",
        (false, true) => "Write",
        (false, false) => "Describe",
    };
    format!(
        "topic {name}: this user may not even see it: allow {needed} on the topic {name} (helm/kafka-acls.yaml)"
    )
}

fn missing(operation: &str, resource: &str, name: &str) -> String {
    format!(
        "{resource} {name}: this user lacks the right {operation}: allow the operation {operation} on the {resource} \
         {name} (helm/kafka-acls.yaml)"
    )
}

/// Which topics and group may not be read. Errors do not say which topic they are about: one is asked after the other.
fn reads(consumer: &BaseConsumer<Told>, needs: &[Need], part: Part) -> Vec<String> {
    let mut findings = Vec::new();
    let mut group_refused = false;
    let mut place = TopicPartitionList::new();
    for need in needs.iter().filter(|need| need.reads) {
        let name = need.topic.name;
        place = TopicPartitionList::new();
        let assigned =
            place.add_partition_offset(name, 0, Offset::End).and_then(|()| consumer.assign(&place));
        let read = assigned.and_then(|()| end_of_partition(consumer, &mut group_refused));
        match read.err().map(|error| (error.rdkafka_error_code(), error)) {
            None => {}
            Some((Some(RDKafkaErrorCode::TopicAuthorizationFailed), _)) => {
                findings.push(missing("Read", "topic", name));
            }
            Some((_, error)) => findings.push(format!("topic {name}: cannot be read: {error}")),
        }
    }
    if place.count() > 0 && !group_refused && consumer.committed_offsets(place, ANSWER_WITHIN).is_err() {
        let _ = end_of_partition(consumer, &mut group_refused);
    }
    if let (true, Some(group)) = (group_refused, part.group()) {
        findings.push(missing("Read", "group", group));
    }
    findings
}

/// Waits until the assigned partition has been read to its end; notes a refusal of the group beside it.
fn end_of_partition(consumer: &BaseConsumer<Told>, group_refused: &mut bool) -> Result<(), KafkaError> {
    let deadline = Instant::now() + ANSWER_WITHIN;
    while Instant::now() < deadline {
        match consumer.poll(LISTEN) {
            None => {}
            Some(Ok(_) | Err(KafkaError::PartitionEOF(_))) => return Ok(()),
            Some(Err(KafkaError::MessageConsumption(RDKafkaErrorCode::GroupAuthorizationFailed))) => {
                *group_refused = true;
            }
            Some(Err(error)) => return Err(error),
        }
    }
    Err(KafkaError::MessageConsumption(RDKafkaErrorCode::OperationTimedOut))
}

/// The settings of each topic, and what is wrong with them.
async fn settings(
    client: &ClientConfig,
    needs: &[Need],
) -> Result<(BTreeMap<&'static str, (Need, ConfigResource)>, Vec<String>), RuntimeError> {
    // Whose number of partitions alone matters may keep its settings to itself.
    let needs: Vec<Need> = needs.iter().copied().filter(|need| need.reads || need.writes).collect();
    if needs.is_empty() {
        return Ok((BTreeMap::new(), Vec::new()));
    }
    let attempt = "asking for the topics' settings";
    let retry = |error: KafkaError| RuntimeError::retry(attempt, named(&error));
    let admin: AdminClient<Told> = client.create_with_context(Told::default()).map_err(retry)?;
    let asked: Vec<_> = needs.iter().map(|need| ResourceSpecifier::Topic(need.topic.name)).collect();
    let options = AdminOptions::new().request_timeout(Some(ANSWER_WITHIN));
    let answers = admin.describe_configs(&asked, &options).await.map_err(retry)?;
    let (mut settings, mut findings) = (BTreeMap::new(), Vec::new());
    for answer in answers {
        let found = answer.map_err(|code| retry(KafkaError::AdminOp(code)))?;
        let OwnedResourceSpecifier::Topic(name) = &found.specifier else { continue };
        let Some(need) = needs.iter().find(|need| need.topic.name == name) else { continue };
        // The client passes a refusal on as an answer with nothing in it.
        if found.entries.is_empty() {
            let lacks = missing("DescribeConfigs", "topic", name);
            findings.push(format!("{lacks}; until then its settings and the right Write are not checked"));
        } else {
            findings.extend(wrong_settings(&need.topic, &found));
            settings.insert(need.topic.name, (*need, found));
        }
    }
    Ok((settings, findings))
}

fn wrong_settings(topic: &TopicSpec, found: &ConfigResource) -> Vec<String> {
    let name = topic.name;
    let text = |key: &str| found.get(key).and_then(|entry| entry.value.as_deref());
    let number = |key: &str| text(key).and_then(|value| value.parse::<i64>().ok());
    let mut findings = Vec::new();
    if let Some(policy) = text("cleanup.policy").filter(|policy| policy.contains("compact")) {
        findings.push(format!(
            "topic {name}: cleanup.policy is {policy}, which deletes events that are still needed: set it to delete"
        ));
    }
    let bytes = i64::from(topic.max_message_bytes);
    if let Some(found) = number("max.message.bytes").filter(|found| *found < bytes) {
        findings.push(format!("topic {name}: max.message.bytes is {found}: raise it to {bytes}"));
    }
    // -1 keeps everything.
    let retention = topic.retention_ms;
    if let Some(found) = number("retention.ms").filter(|found| (0..retention).contains(found)) {
        findings.push(format!(
            "topic {name}: retention.ms is {found}, shorter than an outage may be: raise it to {retention}"
        ));
    }
    findings
}

/// Which topics may not be written.
async fn writes(
    client: &ClientConfig,
    settings: &BTreeMap<&'static str, (Need, ConfigResource)>,
) -> Result<Vec<String>, RuntimeError> {
    let mut producing = client.clone();
    producing
        .set("acks", "all")
        .set("linger.ms", "0")
        .set("message.timeout.ms", ANSWER_WITHIN.as_millis().to_string());
    let retry = |error: KafkaError| RuntimeError::retry("trying to write", named(&error));
    let producer: FutureProducer<Told> = producing.create_with_context(Told::default()).map_err(retry)?;
    let mut findings = Vec::new();
    let tried = settings.iter().filter(|(_, (need, settings))| need.writes && refuses_the_future(settings));
    for (name, _) in tried {
        let record = FutureRecord::<(), [u8]>::to(name).partition(0).timestamp(FAR_FUTURE_MS).payload(b"");
        match producer.send(record, ANSWER_WITHIN).await {
            // Of the two, a compacted topic answers with the second: a record has to have a key there.
            Err((
                KafkaError::MessageProduction(
                    RDKafkaErrorCode::InvalidTimestamp | RDKafkaErrorCode::InvalidRecord,
                ),
                _,
            )) => {}
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::TopicAuthorizationFailed), _)) => {
                findings.push(missing("Write", "topic", name));
            }
            Err((error, _)) => findings.push(format!("topic {name}: cannot be written: {error}")),
            Ok(_) => findings.push(format!(
                "topic {name}: took a record of the year 2200: set message.timestamp.after.max.ms"
            )),
        }
    }
    Ok(findings)
}

fn refuses_the_future(settings: &ConfigResource) -> bool {
    let text = |key: &str| settings.get(key).and_then(|entry| entry.value.as_deref());
    let ahead = text("message.timestamp.after.max.ms").and_then(|value| value.parse::<i64>().ok());
    text("message.timestamp.type") == Some("CreateTime") && ahead.is_some_and(|ahead| ahead <= AHEAD_MS_MAX)
}

/// A finding without anything that nobody may read: the password, and settings that hold one.
fn without_secrets(finding: String, config: &KafkaConfig) -> String {
    let is_secret = |key: &str| {
        ["password", "secret", "oauthbearer.config", ".pem", "token"].iter().any(|part| key.contains(part))
    };
    let settings = config.settings.iter().filter(|(key, _)| is_secret(key)).map(|(_, value)| value.clone());
    let file = config.password_file.as_ref().and_then(|file| std::fs::read_to_string(file).ok());
    let secrets = settings.chain(file.map(|text| text.trim().to_owned())).filter(|secret| !secret.is_empty());
    secrets.fold(finding, |finding, secret| finding.replace(&secret, "***"))
}
