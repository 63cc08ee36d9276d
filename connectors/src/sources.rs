//! The one list of sources.
//!
//! A source is one module below, one default profile, one fixture folder and one line in [`SOURCES`]. The
//! default profile is embedded, so that the binary runs without files; a user's profile replaces it whole.
//!
//! Sources of person records are one module ([`files`]) and many profiles: [`FEEDS`] lists those that are shipped,
//! and a municipality adds one of its own by its text alone. They are built with the pseudonym key or not at all.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use rettidig_event::Source;
use secrecy::SecretString;

use crate::http::{Pause, tokio_pause};
pub use crate::profile::{ProfileError, TokenNames};

use crate::pseudonym::PseudonymKey;

mod files;
mod jobindsats;
mod statbank;
mod table;

/// What a source is built from.
#[derive(Clone)]
pub struct Options<'a> {
    /// The profile's text; the embedded one if none is given.
    pub profile_yaml: Option<&'a str>,
    /// Replaces the profile's address: a replay server, a gateway.
    pub base_url: Option<&'a str>,
    /// The token, where the source needs one.
    pub token: Option<SecretString>,
    /// How to wait between attempts.
    pub pause: Pause,
}

type Build = fn(&str, &Options<'_>) -> Result<Box<dyn Source>, ProfileError>;

struct Entry {
    name: &'static str,
    profile: &'static str,
    build: Build,
    token: fn(&str) -> Result<TokenNames, ProfileError>,
}

const SOURCES: [Entry; 2] = [
    Entry {
        name: jobindsats::NAME,
        profile: include_str!("../profiles/jobindsats.yaml"),
        build: jobindsats::build,
        token: jobindsats::token_names,
    },
    Entry {
        name: statbank::NAME,
        profile: include_str!("../profiles/statbank.yaml"),
        build: statbank::build,
        token: |_| Ok(TokenNames::default()),
    },
];

/// The names of all sources.
pub fn names() -> impl Iterator<Item = &'static str> {
    SOURCES.iter().map(|entry| entry.name)
}

fn entry(name: &str) -> Result<&'static Entry, ProfileError> {
    SOURCES.iter().find(|entry| entry.name == name).ok_or_else(|| {
        let known: Vec<_> = names().collect();
        ProfileError {
            source: name.to_owned(),
            errors: vec![format!("no such source; known: {}", known.join(", "))],
        }
    })
}

/// The embedded profile of a source: the place to start one's own from.
///
/// # Errors
/// If there is no such source.
pub fn default_profile(name: &str) -> Result<&'static str, ProfileError> {
    Ok(entry(name)?.profile)
}

/// Where a source's profile says its token is to be found; the caller reads it and hands it to [`build`].
///
/// # Errors
/// If there is no such source, or its profile has errors.
pub fn token_names(name: &str, profile_yaml: Option<&str>) -> Result<TokenNames, ProfileError> {
    let entry = entry(name)?;
    (entry.token)(profile_yaml.unwrap_or(entry.profile))
}

/// Builds a source from its embedded profile or the given one.
///
/// # Errors
/// If there is no such source, or with everything that is wrong with its profile.
pub fn build(
    name: &str,
    profile_yaml: Option<&str>,
    base_url: Option<&str>,
    token: Option<SecretString>,
) -> Result<Box<dyn Source>, ProfileError> {
    build_with(name, &Options { profile_yaml, base_url, token, pause: tokio_pause() })
}

/// As [`build`], with every capability given.
///
/// # Errors
/// As [`build`].
pub fn build_with(name: &str, options: &Options<'_>) -> Result<Box<dyn Source>, ProfileError> {
    let entry = entry(name)?;
    (entry.build)(options.profile_yaml.unwrap_or(entry.profile), options)
}

/// What a source of person records is built from.
#[derive(Clone)]
pub struct FeedOptions<'a> {
    /// Where its files arrive: a folder, `s3://bucket/prefix` (or `az://…`, `gs://…`), or `sftp://user@host/folder`.
    pub place: &'a str,
    /// Options of the storage: `aws_region` and the like; of SFTP `host_key` and `password` or
    /// `private_key_file`. Empty for a folder. They may be secrets.
    pub storage: &'a BTreeMap<String, String>,
    /// The key of the pseudonyms.
    pub key: Arc<PseudonymKey>,
}

/// The shipped profiles of person records.
const FEEDS: [(&str, &str); 4] = [
    ("amanda", include_str!("../profiles/feeds/amanda.yaml")),
    ("income", include_str!("../profiles/feeds/income.yaml")),
    ("ky", include_str!("../profiles/feeds/ky.yaml")),
    ("yr", include_str!("../profiles/feeds/yr.yaml")),
];

/// The names of the shipped profiles of person records.
pub fn feed_names() -> impl Iterator<Item = &'static str> {
    FEEDS.iter().map(|(name, _)| *name)
}

/// A shipped profile of person records: the place to start one's own from.
///
/// # Errors
/// If there is none of this name.
pub fn default_feed_profile(name: &str) -> Result<&'static str, ProfileError> {
    FEEDS.iter().find(|(known, _)| *known == name).map(|(_, profile)| *profile).ok_or_else(|| {
        let known: Vec<_> = feed_names().collect();
        ProfileError {
            source: name.to_owned(),
            errors: vec![format!("no such profile; known: {}", known.join(", "))],
        }
    })
}

/// Builds a source of files with person records. `name` names its cursor and the shipped profile that is used
/// if none is given.
///
/// # Errors
/// With everything that is wrong with the profile, or if the place cannot be opened.
pub fn build_feed(
    name: &str,
    profile_yaml: Option<&str>,
    options: &FeedOptions<'_>,
) -> Result<Box<dyn Source>, ProfileError> {
    let yaml = match profile_yaml {
        Some(yaml) => yaml,
        None => default_feed_profile(name)?,
    };
    files::build(name, yaml, options)
}

/// What a source that polls a table of person records is built from.
#[derive(Clone)]
pub struct TableOptions {
    /// The connection, `postgres://user:password@host/database`: a secret.
    pub connection: SecretString,
    /// A file with the certificate authorities that are trusted (PEM); without it those of the system.
    pub ca_file: Option<PathBuf>,
    /// The key of the pseudonyms.
    pub key: Arc<PseudonymKey>,
}

/// Builds a source that polls a table of a PostgreSQL database by a profile with `format: table`. `name` names its
/// cursor.
///
/// # Errors
/// With everything that is wrong with the profile or the connection's address.
pub fn build_table(
    name: &str,
    profile_yaml: &str,
    options: &TableOptions,
) -> Result<Box<dyn Source>, ProfileError> {
    table::build(name, profile_yaml, options)
}
