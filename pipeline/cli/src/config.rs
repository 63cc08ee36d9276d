//! The configuration of `run`: `default.yaml`, overlaid by the user's file.
//!
//! Unknown keys are errors with the nearest known name; all errors of a file come at once.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rettidig_connectors::driver::CursorStore;
use rettidig_connectors::pseudonym::{KeyError, PseudonymKey};
use rettidig_connectors::sources;
use rettidig_event::Source;
use rettidig_runtime::kafka::KafkaConfig;
use rettidig_serve::Door;
use rettidig_serve::access::{Access, Reader};
use rettidig_serve::catalogue::Publisher;
use rettidig_serve::tls::Tls;
use secrecy::SecretString;
use serde::Deserialize;
use serde_yaml_ng::{Mapping, Value};

use crate::door::DEMO_KEY;
use crate::persons::{self, CLIENT, FEED, Feed, KEY_VARIABLE, Push, TABLE, Table};
use crate::plant::Doors;

const DEFAULT: &str = include_str!("../default.yaml");

/// Everything `run` needs to know.
#[derive(Debug, Clone, Deserialize)]
pub struct Config {
    /// The data folder.
    pub data: PathBuf,
    /// Address of the HTTP server.
    pub listen: SocketAddr,
    kafka: Kafka,
    connectors: BTreeMap<String, Connector>,
    pseudonym_key_file: Option<PathBuf>,
    feeds: BTreeMap<String, Feed>,
    tables: BTreeMap<String, Table>,
    /// Pushed records.
    pub push: Push,
    access: Tokens,
    tls: TlsFiles,
    sql: Sql,
    publisher: Publisher,
    /// The key of the pseudonyms, if there is one; never none with a source of person records.
    #[serde(skip)]
    pub key: Option<Arc<PseudonymKey>>,
}

/// A source that is to be driven.
pub type Named = (String, Box<dyn Source>);

#[derive(Debug, Clone, Deserialize)]
struct Kafka {
    brokers: Option<String>,
    #[serde(default)]
    settings: BTreeMap<String, String>,
    password_file: Option<PathBuf>,
}

#[derive(Debug, Clone, Deserialize)]
struct Tokens {
    tokens_file: Option<PathBuf>,
    requests_per_minute: Option<NonZeroU32>,
}

#[derive(Debug, Clone, Deserialize)]
struct TlsFiles {
    certificate_file: Option<PathBuf>,
    key_file: Option<PathBuf>,
}

#[derive(Debug, Clone, Deserialize)]
struct Sql {
    listen: Option<SocketAddr>,
}

/// One connector.
#[derive(Debug, Clone, Deserialize)]
pub struct Connector {
    /// Whether it runs.
    pub enabled: bool,
    /// File of its profile; the shipped one if absent.
    pub profile: Option<PathBuf>,
    /// Address instead of the profile's.
    pub base_url: Option<String>,
    /// File with its token.
    pub token_file: Option<PathBuf>,
}

impl Config {
    /// Reads a file over the defaults; every error at once.
    pub fn load(file: Option<&Path>) -> Result<Self, Vec<String>> {
        let mut errors = Vec::new();
        match Self::read(file, &mut errors) {
            Some(mut config) => {
                errors.extend(config.complete(std::env::var(KEY_VARIABLE).ok()));
                if errors.is_empty() { Ok(config) } else { Err(errors) }
            }
            None => Err(errors),
        }
    }

    /// As [`Config::load`] for commands that use no source: no key and no token is asked for or read.
    pub fn without_sources(file: Option<&Path>) -> Result<Self, Vec<String>> {
        let mut errors = Vec::new();
        Self::read(file, &mut errors).filter(|_| errors.is_empty()).ok_or(errors)
    }

    /// What a file says over the defaults; `None` if it cannot be used at all.
    fn read(file: Option<&Path>, errors: &mut Vec<String>) -> Option<Self> {
        let Some(file) = file else { return Self::from_text("", "", errors) };
        let name = file.display().to_string();
        match std::fs::read_to_string(file) {
            Ok(text) => Self::from_text(&name, &text, errors),
            Err(error) => {
                errors.push(format!("{name}: {error}"));
                None
            }
        }
    }

    /// What the text of the file `name` says over the defaults; `None` if it cannot be used at all. What is wrong with it
    /// goes to `errors`; neither a key nor a file that it names is looked at.
    pub fn from_text(name: &str, text: &str, errors: &mut Vec<String>) -> Option<Self> {
        let mut failed = |error: String| errors.push(error);
        let named = |error: &dyn std::fmt::Display| format!("{name}: {error}");
        let mut merged: Value =
            serde_yaml_ng::from_str(DEFAULT).map_err(|error| failed(error.to_string())).ok()?;
        let given: Value = serde_yaml_ng::from_str(text).map_err(|error| failed(named(&error))).ok()?;
        let mut wrong = Vec::new();
        match given {
            Value::Null => {}
            Value::Mapping(given) => overlay(&mut merged, given, "", &mut wrong),
            _ => wrong.push("expected keys and values, got something else".to_owned()),
        }
        wrong.iter().for_each(|error| failed(named(error)));
        serde_yaml_ng::from_value(merged).map_err(|error| failed(error.to_string())).ok()
    }

    /// Reads the key; what is wrong with it and the sources.
    fn complete(&mut self, key_variable: Option<String>) -> Vec<String> {
        let mut errors = Vec::new();
        let wanted = self.push.enabled
            || self.feeds.values().any(|feed| feed.enabled)
            || self.tables.values().any(|table| table.enabled);
        match persons::key(self.pseudonym_key_file.as_deref(), key_variable) {
            Ok(key) => self.key = Some(Arc::new(key)),
            Err(KeyError::Missing) if !wanted => {}
            Err(KeyError::Missing) => {
                errors.push(format!("{} (pseudonym_key_file, or {KEY_VARIABLE})", KeyError::Missing));
            }
            Err(error) => {
                errors.push(format!("pseudonym_key_file: {}", rettidig_connectors::driver::chain(&error)))
            }
        }
        errors.extend(self.door_errors());
        // Without a key the rest is still looked at; what is built here is dropped, and tells nothing.
        let stand_in = PseudonymKey::from_text(SecretString::from(DEMO_KEY)).ok().map(Arc::new);
        if let Some(key) = self.key.clone().or(stand_in) {
            let quiet = tracing::subscriber::NoSubscriber::default();
            tracing::subscriber::with_default(quiet, || {
                errors.extend(self.built(&key).into_iter().filter_map(Result::err));
                if self.push.enabled {
                    errors.extend(self.push.errors(&key).iter().map(|error| format!("push: {error}")));
                }
            });
        }
        errors
    }

    fn built(&self, key: &Arc<PseudonymKey>) -> Vec<Result<Named, String>> {
        let mut built = Vec::new();
        let mut add = |section: &str, name: &str, source: Result<Box<dyn Source>, String>| {
            let source = source.and_then(|source| {
                CursorStore::new("").path(name).map_err(|error| error.to_string())?;
                Ok((name.to_owned(), source))
            });
            built.push(source.map_err(|error| format!("{section}.{name}: {error}")));
        };
        let taken = |place: bool| if place { Err("another source has this name".to_owned()) } else { Ok(()) };
        for (name, connector) in self.connectors.iter().filter(|(_, connector)| connector.enabled) {
            add("connectors", name, connector.source(name));
        }
        for (name, feed) in self.feeds.iter().filter(|(_, feed)| feed.enabled) {
            let free = taken(self.connectors.contains_key(name));
            add("feeds", name, free.and_then(|()| feed.source(name, key)));
        }
        for (name, table) in self.tables.iter().filter(|(_, table)| table.enabled) {
            let free = taken(self.connectors.contains_key(name) || self.feeds.contains_key(name));
            add("tables", name, free.and_then(|()| table.source(name, key)));
        }
        built
    }

    /// Builds all sources that are polled.
    pub fn sources(&self) -> Result<Vec<Named>, String> {
        match &self.key {
            Some(key) => self.built(key).into_iter().collect(),
            // Without a key there are connectors only.
            None => {
                let enabled = self.connectors.iter().filter(|(_, connector)| connector.enabled);
                enabled.map(|(name, connector)| Ok((name.clone(), connector.source(name)?))).collect()
            }
        }
    }

    /// Where and to whom everything is shown.
    pub async fn doors(&self) -> anyhow::Result<Doors> {
        let tls = match (&self.tls.certificate_file, &self.tls.key_file) {
            (Some(certificate), Some(key)) => {
                let loaded = Tls::load(certificate.clone(), key.clone()).await;
                Some(loaded.map_err(anyhow::Error::msg)?)
            }
            _ => None,
        };
        let requests_per_minute = self.access.requests_per_minute;
        let http = Door { listen: self.listen, tls, requests_per_minute };
        Ok(Doors { http, sql: self.sql.listen, access: self.access()?, publisher: self.publisher.clone() })
    }

    /// How an address of the HTTP server begins.
    pub fn scheme(&self) -> &'static str {
        if self.tls.certificate_file.is_some() { "https" } else { "http" }
    }

    /// What is wrong with the doors, as far as it can be told without opening them.
    fn door_errors(&self) -> Vec<String> {
        let mut errors: Vec<String> =
            self.access().err().map(|error| error.to_string()).into_iter().collect();
        errors.extend(self.publisher.errors().iter().map(|error| format!("publisher.{error}")));
        let files = [("certificate_file", &self.tls.certificate_file), ("key_file", &self.tls.key_file)];
        for (name, file) in files {
            match file {
                Some(file) if !file.is_file() => {
                    errors.push(format!("tls.{name}: {} is no file", file.display()));
                }
                None if files.iter().any(|(_, file)| file.is_some()) => {
                    errors.push(format!("tls.{name}: missing; a certificate and its key go together"));
                }
                _ => {}
            }
        }
        errors
    }

    /// Who may read what.
    fn access(&self) -> anyhow::Result<Access> {
        match &self.access.tokens_file {
            Some(file) => Access::from_file(file)
                .map_err(|errors| anyhow::anyhow!("access.tokens_file: {}", errors.join("; "))),
            None => Ok(Access::all(Reader::Public)),
        }
    }

    /// The cluster to use; `None` for the embedded broker.
    pub fn kafka(&self) -> Option<KafkaConfig> {
        let brokers = self.kafka.brokers.clone()?;
        let (settings, password_file) = (self.kafka.settings.clone(), self.kafka.password_file.clone());
        Some(KafkaConfig { brokers, settings, password_file })
    }
}

impl Connector {
    /// Builds the source: profile, address, token.
    pub fn source(&self, name: &str) -> Result<Box<dyn rettidig_event::Source>, String> {
        let read = |file: &PathBuf| {
            std::fs::read_to_string(file).map_err(|error| format!("reading {}: {error}", file.display()))
        };
        let profile = self.profile.as_ref().map(read).transpose()?;
        let names = sources::token_names(name, profile.as_deref()).map_err(|error| error.to_string())?;
        let from_file = |file: &PathBuf| read(file).map(|text| SecretString::from(text.trim().to_owned()));
        let token = match (&self.token_file, names.env.and_then(|name| std::env::var(name).ok())) {
            (Some(file), _) => Some(from_file(file)?),
            (None, Some(token)) => Some(SecretString::from(token)),
            (None, None) => names.file.map(PathBuf::from).as_ref().map(from_file).transpose()?,
        };
        sources::build(name, profile.as_deref(), self.base_url.as_deref(), token)
            .map_err(|error| error.to_string())
    }
}

/// Keys whose values are free.
const FREE: [&str; 1] = ["kafka.settings"];

/// Keys with free names below, and what stands under each name.
const NAMED: [(&str, &str); 2] = [("feeds", FEED), ("tables", TABLE)];

/// Lists, and what each entry is.
const LISTS: [(&str, &str); 1] = [("push.clients", CLIENT)];

/// An entry over its template.
fn entry(template: &str, given: Value, place: &str, errors: &mut Vec<String>) -> Value {
    // The templates are ours; one that is no YAML leaves the entry as it was given.
    let Ok(mut known) = serde_yaml_ng::from_str::<Value>(template) else { return given };
    match given {
        Value::Mapping(given) => overlay(&mut known, given, place, errors),
        _ => errors.push(format!("{place}: expected keys and values")),
    }
    known
}

fn template(list: &[(&str, &'static str)], path: &str) -> Option<&'static str> {
    list.iter().find(|(known, _)| *known == path).map(|(_, template)| *template)
}

fn is_free(path: &str) -> bool {
    FREE.contains(&path) || (path.starts_with("feeds.") && path.ends_with(".storage"))
}

fn overlay(known: &mut Value, given: Mapping, path: &str, errors: &mut Vec<String>) {
    let Value::Mapping(known) = known else { return };
    for (key, value) in given {
        let name = key.as_str().unwrap_or("?").to_owned();
        let place = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        match (known.get_mut(&key), value) {
            (None, value) if is_free(path) => drop(known.insert(key, value)),
            (None, value) if template(&NAMED, path).is_some() => {
                let template = template(&NAMED, path).unwrap_or_default();
                known.insert(key, entry(template, value, &place, errors));
            }
            (None, _) => {
                let names = known.keys().filter_map(Value::as_str);
                let near = names.min_by_key(|candidate| strsim::damerau_levenshtein(candidate, &name));
                let hint = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
                errors.push(format!("unknown key {place}{hint}"));
            }
            (Some(inner @ Value::Mapping(_)), Value::Mapping(value)) => overlay(inner, value, &place, errors),
            (Some(inner @ Value::Sequence(_)), Value::Sequence(entries)) => {
                let template = template(&LISTS, &place).unwrap_or_default();
                let one = |(index, given)| entry(template, given, &format!("{place}[{index}]"), errors);
                *inner = Value::Sequence(entries.into_iter().enumerate().map(one).collect());
            }
            (Some(Value::Sequence(_)), _) => errors.push(format!("{place}: expected a list")),
            (Some(Value::Mapping(_)), _) => errors.push(format!("{place}: expected keys and values")),
            (Some(inner), value) => *inner = value,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn load(text: &str) -> Result<Config, Vec<String>> {
        let mut file = tempfile::NamedTempFile::new().expect("file");
        file.write_all(text.as_bytes()).expect("write");
        Config::load(Some(file.path()))
    }

    #[test]
    fn the_defaults_hold_and_are_overlaid_key_by_key() {
        let config = load("kafka: {brokers: 'a:9092', settings: {security.protocol: ssl}}\nconnectors: {jobindsats: {enabled: false}}")
            .expect("config");
        let kafka = config.kafka().expect("cluster");
        assert_eq!((kafka.brokers.as_str(), kafka.settings["security.protocol"].as_str()), ("a:9092", "ssl"));
        assert_eq!(config.listen.port(), 9464);
        assert!(config.connectors["statbank"].enabled && !config.connectors["jobindsats"].enabled);
        assert!(load("").expect("an empty file changes nothing").kafka().is_none());
    }

    #[test]
    fn every_error_is_told_at_once_with_the_nearest_key() {
        let errors = load("dada: x\nkafka: {broker: y}\nconnectors: {statbank: {profile: /does/not/exist}}")
            .expect_err("errors")
            .join("\n");
        assert!(errors.contains("unknown key dada; did you mean data?"), "{errors}");
        assert!(errors.contains("unknown key kafka.broker; did you mean brokers?"), "{errors}");
        assert!(errors.contains("connectors.statbank: reading /does/not/exist"), "{errors}");
    }

    const KEY: &str = "a key of the tests, at least 32 bytes long";

    /// As [`load`], with the environment's key.
    fn with_key(text: &str) -> Vec<String> {
        let mut merged: Value = serde_yaml_ng::from_str(DEFAULT).expect("default");
        let mut errors = Vec::new();
        let Value::Mapping(given) = serde_yaml_ng::from_str(text).expect("yaml") else { panic!("mapping") };
        overlay(&mut merged, given, "", &mut errors);
        let mut config: Config = serde_yaml_ng::from_value(merged).expect("config");
        errors.extend(config.complete(Some(KEY.to_owned())));
        errors
    }

    #[test]
    fn person_sources_need_a_key_and_every_one_is_looked_at() {
        let errors = load(
            "feeds: {yr: {place: /does/not/exist}, west: {plaec: x, profile: none}}\n\
             tables: {cases: {profile: /does/not/exist}}\n\
             push: {enabled: true, clients: [{municipality: 101, token: x}]}",
        )
        .expect_err("errors")
        .join("\n");
        for expected in [
            "no pseudonym key is configured",
            "feeds.yr: ",
            "unknown key feeds.west.plaec; did you mean place?",
            "feeds.west: profile: neither a file nor one of amanda, income, ky, yr",
            "tables.cases: connection_file: missing",
            "unknown key push.clients[0].token; did you mean token_file?",
            "push: clients[0].token_file: missing",
        ] {
            assert!(errors.contains(expected), "{expected} is not in\n{errors}");
        }
        assert!(load("feeds: {yr: {enabled: false}}").is_ok(), "what does not run needs no key");
    }

    #[test]
    fn person_sources_that_are_well_configured_are_accepted_and_nothing_is_written() {
        let folder = tempfile::tempdir().expect("folder");
        let token = folder.path().join("token");
        std::fs::write(&token, "0123456789abcdef0123456789abcdef\n").expect("token");
        let (place, token) = (folder.path().display(), token.display());
        let text = format!(
            "feeds: {{yr: {{place: {place}}}, west: {{profile: ky, place: {place}}}}}\n\
             push: {{enabled: true, clients: [{{municipality: 101, token_file: {token}}}]}}"
        );
        assert_eq!(with_key(&text), Vec::<String>::new());
        let count = std::fs::read_dir(folder.path()).expect("folder").count();
        assert_eq!(count, 1, "the token alone");
        let errors = with_key(&format!(
            "feeds: {{statbank: {{profile: ky, place: {place}}}, A_B: {{profile: ky, place: {place}}}}}\n\
             push: {{enabled: true, clients: [{{municipality: 999, token_file: {token}}}]}}"
        ))
        .join("\n");
        assert!(errors.contains("feeds.statbank: another source has this name"), "{errors}");
        assert!(errors.contains("expected [a-z0-9-]"), "{errors}");
        assert!(errors.contains("expected one of the 98 codes"), "{errors}");
    }
}
