//! The sources of person records of `run`: files, tables and pushed records, and the key without which none is built.
//!
//! Building touches neither the network nor the data folder, so `check` builds what `run` builds. Errors name the
//! place in the configuration; neither key nor token nor connection is repeated in them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rettidig_connectors::pseudonym::{KeyError, PseudonymKey};
use rettidig_connectors::push::{self, PushClient, PushError, PushLimits, PushOptions};
use rettidig_connectors::sources::{self, FeedOptions, TableOptions};
use rettidig_event::{Clock, Source, SystemClock};
use secrecy::SecretString;
use serde::Deserialize;

/// The environment variable with the key, used if no file is named.
pub const KEY_VARIABLE: &str = "RETTIDIG_PSEUDONYM_KEY";

/// Names the route of pushed records, `/push/ky`, and their shipped profile.
const PUSHED: &str = "ky";

/// What a feed is if it does not say otherwise; its keys are the known ones.
pub const FEED: &str = "{profile: null, place: null, storage: {}, enabled: true}";

/// As [`FEED`], of a table.
pub const TABLE: &str = "{profile: null, connection_file: null, ca_file: null, enabled: true}";

/// As [`FEED`], of one that may push.
pub const CLIENT: &str = "{municipality: null, token_file: null}";

/// A place that files arrive in.
#[derive(Debug, Clone, Deserialize)]
pub struct Feed {
    /// Name of a shipped profile, or a file; the shipped one of the feed's own name if absent.
    profile: Option<String>,
    place: Option<String>,
    storage: BTreeMap<String, String>,
    /// Whether it is read.
    pub enabled: bool,
}

/// A table that is polled.
#[derive(Debug, Clone, Deserialize)]
pub struct Table {
    profile: Option<PathBuf>,
    connection_file: Option<PathBuf>,
    ca_file: Option<PathBuf>,
    /// Whether it is read.
    pub enabled: bool,
}

/// Pushed records.
#[derive(Debug, Clone, Deserialize)]
pub struct Push {
    /// Whether `/push/ky` is there.
    pub enabled: bool,
    profile: Option<String>,
    clients: Vec<Client>,
}

#[derive(Debug, Clone, Deserialize)]
struct Client {
    municipality: Option<i32>,
    token_file: Option<PathBuf>,
}

/// The key of a file or, if none is named, of the environment.
pub fn key(file: Option<&Path>, variable: Option<String>) -> Result<PseudonymKey, KeyError> {
    match (file, variable.filter(|text| !text.is_empty())) {
        (Some(file), _) => PseudonymKey::from_file(file),
        (None, Some(text)) => PseudonymKey::from_text(SecretString::from(text)),
        (None, None) => Err(KeyError::Missing),
    }
}

fn read(file: &Path) -> Result<String, String> {
    std::fs::read_to_string(file).map_err(|error| format!("reading {}: {error}", file.display()))
}

fn secret(file: &Path) -> Result<SecretString, String> {
    read(file).map(|text| SecretString::from(text.trim().to_owned()))
}

/// The text of a profile that is named or stands in a file.
fn profile(profile: &str) -> Result<String, String> {
    if sources::feed_names().any(|name| name == profile) {
        return sources::default_feed_profile(profile).map(str::to_owned).map_err(|error| error.to_string());
    }
    read(Path::new(profile)).map_err(|error| {
        let known: Vec<_> = sources::feed_names().collect();
        format!("profile: neither a file nor one of {}: {error}", known.join(", "))
    })
}

impl Feed {
    /// Builds the source.
    pub fn source(&self, name: &str, key: &Arc<PseudonymKey>) -> Result<Box<dyn Source>, String> {
        let yaml = self.profile.as_deref().map(profile).transpose()?;
        let place = self.place.as_deref().ok_or("place: missing; name the folder that files arrive in")?;
        let options = FeedOptions { place, storage: &self.storage, key: Arc::clone(key) };
        sources::build_feed(name, yaml.as_deref(), &options).map_err(|error| error.to_string())
    }
}

impl Table {
    /// Builds the source.
    pub fn source(&self, name: &str, key: &Arc<PseudonymKey>) -> Result<Box<dyn Source>, String> {
        let yaml = self.profile.as_deref().ok_or("profile: missing; name the file of the table's profile")?;
        let connection = self.connection_file.as_deref().ok_or(
            "connection_file: missing; name the file that holds postgres://user:password@localhost/database",
        )?;
        let connection = secret(connection)?;
        let options = TableOptions { connection, ca_file: self.ca_file.clone(), key: Arc::clone(key) };
        sources::build_table(name, &read(yaml)?, &options).map_err(|error| error.to_string())
    }
}

impl Push {
    /// Builds the route and what works behind it. `folder` is that of the cursors.
    pub fn router(
        &self,
        key: &Arc<PseudonymKey>,
        clock: Arc<dyn Clock>,
        folder: PathBuf,
    ) -> Result<(rettidig_serve::Router, push::Worker), Vec<String>> {
        let mut errors = Vec::new();
        let mut clients = Vec::new();
        for (index, client) in self.clients.iter().enumerate() {
            let place = format!("clients[{index}]");
            let token = match &client.token_file {
                Some(file) => secret(file).map_err(|error| format!("{place}.token_file: {error}")),
                None => Err(format!("{place}.token_file: missing")),
            };
            match (client.municipality, token) {
                (Some(municipality), Ok(token)) => clients.push(PushClient { municipality, token }),
                (municipality, token) => {
                    errors.extend(
                        municipality.is_none().then(|| format!("{place}.municipality: missing; its code")),
                    );
                    errors.extend(token.err());
                }
            }
        }
        let yaml = self.profile.as_deref().map(profile).transpose().unwrap_or_else(|error| {
            errors.push(error);
            None
        });
        if !errors.is_empty() {
            return Err(errors);
        }
        let (name, profile_yaml, limits) = (PUSHED, yaml.as_deref(), PushLimits::default());
        let key = Arc::clone(key);
        push::router(PushOptions { name, profile_yaml, clients, key, clock, folder, limits }).map_err(
            |error| match error {
                PushError::Profile(error) => vec![error.to_string()],
                error => vec![rettidig_connectors::driver::chain(&error)],
            },
        )
    }

    /// What is wrong with it, found without writing anything.
    pub fn errors(&self, key: &Arc<PseudonymKey>) -> Vec<String> {
        // The folder of the ids is opened last of all: one that cannot be means that the rest is well.
        let nowhere = Path::new("/dev/null/nowhere");
        match self.router(key, Arc::new(SystemClock), nowhere.to_owned()) {
            Err(errors) if !errors.iter().any(|error| error.contains("/dev/null/nowhere")) => errors,
            _ => Vec::new(),
        }
    }
}
