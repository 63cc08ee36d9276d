//! The configuration of `run`: `default.yaml`, overlaid by the user's file.
//!
//! Unknown keys are errors with the nearest known name; all errors of a file come at once.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use rettidig_connectors::sources;
use rettidig_runtime::kafka::KafkaConfig;
use secrecy::SecretString;
use serde::Deserialize;
use serde_yaml_ng::{Mapping, Value};

const DEFAULT: &str = include_str!("../default.yaml");

/// Everything `run` needs to know.
#[derive(Debug, Clone, Deserialize)]
pub struct Config {
    /// The data folder.
    pub data: PathBuf,
    /// Address of the HTTP server.
    pub listen: SocketAddr,
    kafka: Kafka,
    /// The connectors by name.
    pub connectors: BTreeMap<String, Connector>,
}

#[derive(Debug, Clone, Deserialize)]
struct Kafka {
    brokers: Option<String>,
    #[serde(default)]
    settings: BTreeMap<String, String>,
    password_file: Option<PathBuf>,
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
        let mut merged: Value = serde_yaml_ng::from_str(DEFAULT).map_err(|error| vec![error.to_string()])?;
        if let Some(file) = file {
            let named = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
            let text = std::fs::read_to_string(file).map_err(|error| vec![named(&error)])?;
            let given: Value = serde_yaml_ng::from_str(&text).map_err(|error| vec![named(&error)])?;
            match given {
                Value::Null => {}
                Value::Mapping(given) => overlay(&mut merged, given, "", &mut errors),
                _ => errors.push("expected keys and values, got something else".to_owned()),
            }
            errors = errors.iter().map(|error| named(error)).collect();
        }
        let config: Option<Self> = match serde_yaml_ng::from_value(merged) {
            Ok(config) => Some(config),
            Err(error) => {
                errors.push(error.to_string());
                None
            }
        };
        if let Some(config) = &config {
            for (name, connector) in config.connectors.iter().filter(|(_, connector)| connector.enabled) {
                if let Err(error) = connector.source(name) {
                    errors.push(format!("connectors.{name}: {error}"));
                }
            }
        }
        match config {
            Some(config) if errors.is_empty() => Ok(config),
            _ => Err(errors),
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

fn overlay(known: &mut Value, given: Mapping, path: &str, errors: &mut Vec<String>) {
    let Value::Mapping(known) = known else { return };
    for (key, value) in given {
        let name = key.as_str().unwrap_or("?").to_owned();
        let place = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        match (known.get_mut(&key), value) {
            (None, value) if FREE.contains(&path) => drop(known.insert(key, value)),
            (None, _) => {
                let names = known.keys().filter_map(Value::as_str);
                let near = names.min_by_key(|candidate| strsim::damerau_levenshtein(candidate, &name));
                let hint = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
                errors.push(format!("unknown key {place}{hint}"));
            }
            (Some(inner @ Value::Mapping(_)), Value::Mapping(value)) => overlay(inner, value, &place, errors),
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
}
