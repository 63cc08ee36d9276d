//! The client side of Kafka: topics, producer, consumer; the same code for Apache Kafka and the embedded broker.
//!
//! Producing is idempotent with acks=all; a record counts as handed over when the broker has acknowledged it.
//! Consuming is by explicit assignment and offset from the manifest: group offsets are advisory, and an offset
//! that the broker no longer has is an error, never a silent jump.

mod letters;
mod membership;
mod sink;
mod source;
mod topics;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rettidig_event::Topic;

pub use letters::{Letter, Letters, Place, letters};
pub use membership::Membership;
pub use sink::KafkaSink;
pub use source::{KafkaSource, TopicMessage};
pub use topics::Part;
pub(crate) use topics::{Need, TopicSpec};

use crate::RuntimeError;

/// How long one request to the broker may take.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);

/// Group of the consumer; its offsets are informative only.
pub(crate) const GROUP: &str = "rettidig";

/// Features that librdkafka must have been built with; they go missing silently.
const FEATURES: [&str; 6] = ["ssl", "sasl_scram", "sasl_oauthbearer", "zstd", "gzip", "snappy"];

/// How to reach a cluster.
#[derive(Debug, Clone, Default)]
pub struct KafkaConfig {
    /// `host:port`, comma separated.
    pub brokers: String,
    /// Further librdkafka settings, e.g. `security.protocol`.
    pub settings: BTreeMap<String, String>,
    /// File with the SASL password; read at start, never logged.
    pub password_file: Option<PathBuf>,
}

impl KafkaConfig {
    pub(crate) fn client(&self) -> Result<ClientConfig, RuntimeError> {
        let mut config = ClientConfig::new();
        for (key, value) in &self.settings {
            config.set(key, value);
        }
        config.set("bootstrap.servers", &self.brokers).set("client.id", "rettidig");
        config.set("message.max.bytes", Topic::DeadLetter.max_message_bytes().to_string());
        if let Some(file) = &self.password_file {
            let password = std::fs::read_to_string(file).map_err(|error| {
                let remedy = "make the file readable for this user, or correct kafka.password_file";
                RuntimeError::stop(
                    format!("reading the Kafka password from {}", file.display()),
                    error,
                    remedy,
                )
            })?;
            config.set("sasl.password", password.trim_end_matches(['\r', '\n']));
        }
        Ok(config)
    }
}

/// What the client says is wrong, without the value of a setting that it does not know: that may be a secret.
pub(crate) fn named(error: &KafkaError) -> String {
    match error {
        KafkaError::ClientConfig(_, what, _, _) => what.clone(),
        _ => error.to_string(),
    }
}

/// Asserts that TLS, SASL and the codecs are really compiled in.
///
/// # Errors
/// [`RuntimeError::Stop`] naming what is missing.
pub fn assert_features() -> Result<(), RuntimeError> {
    let attempt = "checking librdkafka's built-in features";
    let remedy = "build with the features ssl-vendored, curl-static and zstd of rdkafka";
    let features = ClientConfig::new()
        .create_native_config()
        .and_then(|config| config.get("builtin.features"))
        .map_err(|error| RuntimeError::stop(attempt, error, remedy))?;
    let features: Vec<&str> = features.split(',').map(str::trim).collect();
    match FEATURES.iter().find(|feature| !features.contains(feature)) {
        Some(missing) => Err(RuntimeError::stop(attempt, format!("{missing} is not there"), remedy)),
        None => Ok(()),
    }
}

/// Creates the topics of the contract that are not there yet. With all of them there, no right to create any is needed.
///
/// # Errors
/// [`RuntimeError::Retry`] if the broker does not answer, [`RuntimeError::Stop`] if it refuses.
pub async fn create_topics(config: &KafkaConfig) -> Result<(), RuntimeError> {
    create(config, false).await
}

/// As [`create_topics`], with the topic on which workers and committers talk to each other.
///
/// # Errors
/// As [`create_topics`].
pub async fn create_topics_of_roles(config: &KafkaConfig) -> Result<(), RuntimeError> {
    create(config, true).await
}

async fn create(config: &KafkaConfig, with_proposals: bool) -> Result<(), RuntimeError> {
    let attempt = || format!("creating topics at {}", config.brokers);
    let admin: AdminClient<DefaultClientContext> =
        config.client()?.create().map_err(|error| RuntimeError::retry(attempt(), named(&error)))?;
    // librdkafka's metadata calls block.
    let (admin, metadata) = tokio::task::spawn_blocking(move || {
        let metadata = admin.inner().fetch_metadata(None, REQUEST_TIMEOUT);
        (admin, metadata)
    })
    .await
    .map_err(|error| RuntimeError::retry(attempt(), error))?;
    let metadata = metadata.map_err(|error| RuntimeError::retry(attempt(), error))?;
    let proposals = with_proposals.then(TopicSpec::proposals);
    let mut wanted: Vec<TopicSpec> = TopicSpec::of_contract().chain(proposals).collect();
    wanted.retain(|wanted| !metadata.topics().iter().any(|found| found.name() == wanted.name));
    let texts: Vec<(String, String)> = wanted
        .iter()
        .map(|wanted| (wanted.retention_ms.to_string(), wanted.max_message_bytes.to_string()))
        .collect();
    let topics: Vec<NewTopic<'_>> = wanted
        .iter()
        .zip(&texts)
        .map(|(wanted, (retention_ms, max_message_bytes))| {
            NewTopic::new(wanted.name, wanted.partitions, TopicReplication::Fixed(-1))
                .set("retention.ms", retention_ms)
                .set("max.message.bytes", max_message_bytes)
        })
        .collect();
    if topics.is_empty() {
        return Ok(());
    }
    let options =
        AdminOptions::new().operation_timeout(Some(REQUEST_TIMEOUT)).request_timeout(Some(REQUEST_TIMEOUT));
    let results = admin.create_topics(&topics, &options).await;
    for result in results.map_err(|error| RuntimeError::retry(attempt(), error))? {
        match result {
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((topic, code)) => {
                let remedy = "create the topic by hand, or give this user the right to create topics";
                return Err(RuntimeError::stop(format!("creating the topic {topic}"), code, remedy));
            }
        }
    }
    Ok(())
}
