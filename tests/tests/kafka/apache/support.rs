//! One broker with every way in for all tests of the process, and certificates for it. The topics of the contract have
//! fixed names, so one test has them at a time and finds none of them there.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use chrono::{DateTime, Utc};
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rettidig_event::{ManualClock, Topic};
use rettidig_model::Model;
use rettidig_runtime::kafka::{KafkaConfig, KafkaSink};
use rettidig_runtime::metrics::Metrics;
use rettidig_runtime::{Engine, RuntimeError, Store, Worker};
use rettidig_tests::apache::{Apache, Settings};
use tokio::sync::{Mutex, MutexGuard};

/// Limit of one test, with the start of the broker.
pub const LIMIT: Duration = Duration::from_secs(400);

/// Limit of one call to a client.
pub const CALL: Duration = Duration::from_secs(20);

/// Users with a password, for SCRAM; the passwords must never be told.
pub const USERS: [&str; 5] = ["connector", "worker", "committer", "all", "operator"];

/// The password of a user.
pub fn password(user: &str) -> String {
    format!("hemmelig-{user}-7Qx")
}

/// Runs a test with its time limit.
pub async fn limited(test: impl Future<Output = ()>) {
    limited_to(LIMIT, test).await;
}

/// As [`limited`], with a limit of its own.
pub async fn limited_to(limit: Duration, test: impl Future<Output = ()>) {
    tokio::time::timeout(limit, test).await.expect("the test took longer than its limit");
}

/// Certificates: an authority of our own, what it has signed, and an authority that has signed nothing here.
struct Certificates {
    folder: PathBuf,
}

impl Certificates {
    fn make() -> Self {
        // Each run writes them anew, at one place: the process ends without tidying up.
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("apache");
        std::fs::create_dir_all(&folder).expect("folder");
        let issuer = authority("authority of the tests", &folder.join("ca.pem"));
        authority("another authority", &folder.join("other-ca.pem"));
        for (name, names) in [("broker", vec!["127.0.0.1".to_owned()]), ("all", vec![])] {
            let mut parameters = rcgen::CertificateParams::new(names).expect("parameters");
            parameters.distinguished_name = rcgen::DistinguishedName::new();
            parameters.distinguished_name.push(rcgen::DnType::CommonName, name);
            let key = rcgen::KeyPair::generate().expect("a key");
            let certificate = parameters.signed_by(&key, &issuer).expect("a certificate").pem();
            let key = key.serialize_pem();
            std::fs::write(folder.join(format!("{name}.pem")), format!("{key}{certificate}"))
                .expect("written");
        }
        Self { folder }
    }

    fn path(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }
}

fn authority(name: &str, file: &Path) -> rcgen::Issuer<'static, rcgen::KeyPair> {
    let mut parameters = rcgen::CertificateParams::new(Vec::new()).expect("parameters");
    parameters.distinguished_name.push(rcgen::DnType::CommonName, name);
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let key = rcgen::KeyPair::generate().expect("a key");
    std::fs::write(file, parameters.self_signed(&key).expect("an authority").pem()).expect("written");
    rcgen::Issuer::new(parameters, key)
}

struct Shared {
    broker: Apache,
    certificates: Certificates,
}

fn shared() -> &'static Shared {
    static SHARED: OnceLock<Shared> = OnceLock::new();
    SHARED.get_or_init(|| {
        let certificates = Certificates::make();
        let broker =
            Apache::start_for_the_process(&settings(&certificates)).unwrap_or_else(|e| panic!("{e:#}"));
        Shared { broker, certificates }
    })
}

/// Nobody may do anything without a rule, except the tests, which come in without saying who they are.
fn settings(certificates: &Certificates) -> Settings {
    let properties = [
        ("ssl.keystore.type", "PEM".to_owned()),
        ("ssl.keystore.location", certificates.path("broker.pem")),
        ("ssl.truststore.type", "PEM".to_owned()),
        ("ssl.truststore.location", certificates.path("ca.pem")),
        ("ssl.principal.mapping.rules", "RULE:^CN=(.*?)$/$1/".to_owned()),
        ("listener.name.mtls.ssl.client.auth", "required".to_owned()),
        ("listener.name.scram.sasl.enabled.mechanisms", "SCRAM-SHA-512".to_owned()),
        (
            "listener.name.scram.scram-sha-512.sasl.jaas.config",
            "org.apache.kafka.common.security.scram.ScramLoginModule required;".to_owned(),
        ),
        ("listener.name.oauth.sasl.enabled.mechanisms", "OAUTHBEARER".to_owned()),
        (
            "listener.name.oauth.oauthbearer.sasl.jaas.config",
            "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required \
             unsecuredLoginStringClaim_sub=\"broker\";"
                .to_owned(),
        ),
        ("authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer".to_owned()),
        ("allow.everyone.if.no.acl.found", "false".to_owned()),
        ("super.users", "User:ANONYMOUS".to_owned()),
    ];
    Settings {
        listeners: vec![("TLS", "SSL"), ("MTLS", "SSL"), ("SCRAM", "SASL_SSL"), ("OAUTH", "SASL_SSL")],
        properties: properties.map(|(key, value)| (key.to_owned(), value)).to_vec(),
        users: USERS.map(|user| (user.to_owned(), password(user))).to_vec(),
    }
}

/// The broker for one test: without topics of the contract and without rules.
pub struct Cluster {
    shared: &'static Shared,
    _turn: MutexGuard<'static, ()>,
}

impl Cluster {
    /// Waits for its turn.
    pub async fn fresh() -> Self {
        static TURN: Mutex<()> = Mutex::const_new(());
        let turn = TURN.lock().await;
        let shared = tokio::task::spawn_blocking(shared).await.expect("a broker");
        let cluster = Self { shared, _turn: turn };
        cluster.clear().await;
        cluster
    }

    async fn clear(&self) {
        let admin = self.admin();
        let names = || {
            let metadata = admin.inner().fetch_metadata(None, CALL).expect("metadata");
            let names = metadata.topics().iter().map(|topic| topic.name().to_owned());
            names.filter(|name| name.starts_with("rettidig.")).collect::<Vec<_>>()
        };
        let topics = names();
        let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
        if !topics.is_empty() {
            let gone = admin.delete_topics(&topics, &AdminOptions::new()).await.expect("deleted");
            assert!(gone.iter().all(Result::is_ok), "{gone:?}");
        }
        let deadline = tokio::time::Instant::now() + CALL;
        while !names().is_empty() {
            assert!(tokio::time::Instant::now() < deadline, "the topics are still there");
            tokio::task::yield_now().await;
        }
    }

    /// Topics and settings, as one who may do everything.
    pub fn admin(&self) -> AdminClient<DefaultClientContext> {
        let config = self.open();
        ClientConfig::new().set("bootstrap.servers", config.brokers).create().expect("admin")
    }

    /// Where the listener without security is.
    pub fn bootstrap(&self) -> String {
        self.shared.broker.bootstrap()
    }

    /// Without security; may do everything.
    pub fn open(&self) -> KafkaConfig {
        KafkaConfig { brokers: self.bootstrap(), ..KafkaConfig::default() }
    }

    /// A listener with these settings.
    pub fn with(&self, listener: &str, settings: &[(&str, &str)]) -> KafkaConfig {
        let settings = settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let brokers = self.shared.broker.listener(listener);
        KafkaConfig { brokers, settings: settings.collect(), ..KafkaConfig::default() }
    }

    /// A file with a certificate.
    pub fn file(&self, name: &str) -> String {
        self.shared.certificates.path(name)
    }

    /// TLS that trusts the authority of the tests.
    pub fn tls(&self) -> KafkaConfig {
        self.with("TLS", &[("security.protocol", "ssl"), ("ssl.ca.location", &self.file("ca.pem"))])
    }

    /// TLS with a certificate of one's own.
    pub fn mtls(&self, name: &str) -> KafkaConfig {
        let file = self.file(&format!("{name}.pem"));
        let mut config = self.tls();
        config.brokers = self.shared.broker.listener("MTLS");
        config.settings.insert("ssl.certificate.location".to_owned(), file.clone());
        config.settings.insert("ssl.key.location".to_owned(), file);
        config
    }

    /// A user with a password, which lies in a file.
    pub fn scram(&self, user: &str, folder: &Path) -> KafkaConfig {
        let mut config = self.with(
            "SCRAM",
            &[
                ("security.protocol", "sasl_ssl"),
                ("ssl.ca.location", &self.file("ca.pem")),
                ("sasl.mechanism", "SCRAM-SHA-512"),
                ("sasl.username", user),
            ],
        );
        let file = folder.join(format!("{user}.password"));
        std::fs::write(&file, format!("{}\n", password(user))).expect("written");
        config.password_file = Some(file);
        config
    }

    /// A token, which nobody has signed.
    pub fn oauth(&self, user: &str) -> KafkaConfig {
        self.with(
            "OAUTH",
            &[
                ("security.protocol", "sasl_ssl"),
                ("ssl.ca.location", &self.file("ca.pem")),
                ("sasl.mechanism", "OAUTHBEARER"),
                ("enable.sasl.oauthbearer.unsecure.jwt", "true"),
                ("sasl.oauthbearer.config", &format!("principal={user}")),
            ],
        )
    }
}

/// A worker on a folder, with a clock that stands.
pub async fn worker(folder: &Path, kafka: &KafkaConfig) -> Result<Worker, RuntimeError> {
    let store = Store::local(folder)?;
    let model = Arc::new(Model::embedded()?);
    let now: DateTime<Utc> = "2026-08-22T10:00:00Z".parse().expect("instant");
    let metrics = Arc::new(Metrics::new().expect("metrics"));
    let engine = Engine::open(store, model, Arc::new(ManualClock::new(now)), metrics).await?;
    Worker::connect(engine, kafka).await
}

/// An official figure.
pub fn figure(area: i32, value: u32) -> Vec<u8> {
    format!(
        r#"{{"publisher":"jobindsats","table":"y25i01","measure":"full_time_unemployed","area":{area},"period":"2026M07","breakdown":{{}},"value":"{value}","status":"final","published_at":"2026-08-19T06:00:00Z","retrieved_at":"2026-08-19T07:00:00Z"}}"#
    )
    .into_bytes()
}

/// Produces and waits until it is acknowledged.
pub async fn produce(kafka: &KafkaConfig, events: &[(Topic, String, Vec<u8>)]) {
    use rettidig_event::Sink as _;
    let mut sink = KafkaSink::connect(kafka).expect("sink");
    for (topic, key, payload) in events {
        sink.send(*topic, key, payload.clone()).await.expect("sent");
    }
    sink.flush().await.expect("acknowledged");
}

/// Digests of the published Parquet files, by name.
pub fn digests(folder: &Path) -> BTreeMap<String, String> {
    let files = std::fs::read_dir(folder.join("tables/latest")).expect("tables");
    let files = files.map(|file| file.expect("file").path());
    let tables = files.filter(|path| path.extension().is_some_and(|extension| extension == "parquet"));
    let digest = |path: &PathBuf| rettidig_runtime::store::sha256_hex(&std::fs::read(path).expect("bytes"));
    let name = |path: &Path| path.file_name().and_then(|name| name.to_str()).expect("name").to_owned();
    tables.map(|path| (name(&path), digest(&path))).collect()
}
