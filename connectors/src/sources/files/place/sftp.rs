//! A folder on an SFTP server.
//!
//! `sftp://user@host:port/folder`; `storage` holds `host_key` (the server's fingerprint, `SHA256:…`, as `ssh-keygen -lf`
//! prints it) and either `password` or `private_key_file` (with `passphrase` where it has one). A server with another
//! key is never talked to. Keys are Ed25519 or ECDSA; RSA is not built in. One session serves a poll; after an
//! error, or at the next poll, a new one is made.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::StreamExt as _;
use futures::stream::BoxStream;
use object_store::{Error, ObjectMeta};
use reqwest::Url;
use russh::client::{Handle, Handler};
use russh::keys::{HashAlg, PrivateKey, PrivateKeyWithHashAlg, PublicKeyOrCertificate, load_secret_key};
use russh_sftp::client::SftpSession;
use russh_sftp::client::error::Error as SftpError;
use russh_sftp::protocol::{FileAttributes, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::io::AsyncReadExt as _;
use tokio_util::io::ReaderStream;

use super::{Listing, NAMES_MAX, location, too_many};

/// Time to connect and log in, and for one answer.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(30);
const ANSWER_SECONDS_MAX: u64 = 60;

/// Size of the pieces that a file is read in.
const PIECE_BYTES: usize = 128 << 10;

enum Login {
    Password(SecretString),
    Key(Arc<PrivateKey>),
}

pub(in crate::sources::files) struct Server {
    host: String,
    port: u16,
    user: String,
    folder: String,
    host_key: String,
    login: Login,
}

/// A session, with the connection that carries it.
pub(in crate::sources::files) struct Session {
    _connection: Handle<Trust>,
    sftp: SftpSession,
}

/// Knows the server by its key's fingerprint.
struct Trust(String);

impl Handler for Trust {
    type Error = russh::Error;

    async fn check_server_key(&mut self, key: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        Ok(match key {
            PublicKeyOrCertificate::PublicKey { key, .. } => {
                key.fingerprint(HashAlg::Sha256).to_string() == self.0
            }
            PublicKeyOrCertificate::Certificate(_) => false,
        })
    }
}

impl Server {
    pub(super) fn open(place: &str, settings: &BTreeMap<String, String>) -> Result<Self, String> {
        let url = Url::parse(place).ok().filter(|url| url.password().is_none() && !url.username().is_empty());
        let url =
            url.ok_or("place: expected an address such as sftp://user@host/folder, without a password")?;
        let known = ["host_key", "password", "private_key_file", "passphrase"];
        if settings.keys().any(|key| !known.contains(&key.as_str())) {
            return Err(format!("storage: expected {}", known.join(", ")));
        }
        let host_key = settings.get("host_key").filter(|key| key.starts_with("SHA256:"));
        let host_key = host_key
            .ok_or("storage.host_key: expected the server's fingerprint, SHA256:…, from its owner")?;
        let login = match (settings.get("password"), settings.get("private_key_file")) {
            (Some(password), None) => Login::Password(SecretString::from(password.clone())),
            (None, Some(file)) => {
                let key = load_secret_key(file, settings.get("passphrase").map(String::as_str)).map_err(|_| {
                    format!("storage.private_key_file: {file:?} holds no key that can be read (Ed25519 or ECDSA)")
                })?;
                Login::Key(Arc::new(key))
            }
            _ => return Err("storage: expected either password or private_key_file".to_owned()),
        };
        Ok(Self {
            host: url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned(),
            port: url.port().unwrap_or(22),
            user: decoded(url.username())?,
            folder: decoded(url.path().trim_end_matches('/'))?,
            host_key: host_key.trim().to_owned(),
            login,
        })
    }

    pub(super) async fn connect(&self) -> Result<Session, String> {
        let session = tokio::time::timeout(CONNECT_TIME_MAX, self.log_in()).await;
        session.map_err(|_| format!("{}:{}: no answer in time", self.host, self.port))?
    }

    async fn log_in(&self) -> Result<Session, String> {
        let named = |what: &str, error: &dyn std::fmt::Display| {
            format!("{}:{}: {what}: {error}", self.host, self.port)
        };
        let config = russh::client::Config {
            inactivity_timeout: Some(Duration::from_secs(600)),
            ..russh::client::Config::default()
        };
        let trust = Trust(self.host_key.clone());
        let address = (self.host.as_str(), self.port);
        let mut connection =
            russh::client::connect(Arc::new(config), address, trust).await.map_err(|error| match error {
                russh::Error::UnknownKey => {
                    named("connecting", &"the server's key is another one than storage.host_key")
                }
                error => named("connecting", &error),
            })?;
        let answer = match &self.login {
            Login::Password(password) => {
                connection.authenticate_password(&self.user, password.expose_secret()).await
            }
            Login::Key(key) => {
                let key = PrivateKeyWithHashAlg::new(Arc::clone(key), None);
                connection.authenticate_publickey(&self.user, key).await
            }
        };
        if !answer.map_err(|error| named("logging in", &error))?.success() {
            return Err(named("logging in", &"refused; check user and password or key"));
        }
        let channel = connection.channel_open_session().await.map_err(|error| named("opening", &error))?;
        channel.request_subsystem(true, "sftp").await.map_err(|error| named("opening SFTP", &error))?;
        let sftp =
            SftpSession::new(channel.into_stream()).await.map_err(|error| named("opening SFTP", &error))?;
        sftp.set_timeout(ANSWER_SECONDS_MAX);
        Ok(Session { _connection: connection, sftp })
    }

    fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.folder)
    }

    pub(super) async fn list(
        &self,
        session: &Session,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<Listing, String> {
        let folder = if self.folder.is_empty() { "/" } else { &self.folder };
        let entries = session.sftp.read_dir(folder).await.map_err(|error| error.to_string())?;
        let mut listing = Listing::default();
        for entry in entries.take(NAMES_MAX + 1) {
            let name = entry.file_name();
            if wanted(&name) && entry.file_type().is_file() {
                listing.files.push((name.clone(), meta(&name, &entry.metadata())));
            }
            listing.names.insert(name);
        }
        if listing.names.len() > NAMES_MAX {
            return Err(too_many());
        }
        Ok(listing)
    }

    pub(super) async fn head(&self, session: &Session, name: &str) -> Result<ObjectMeta, Error> {
        let attributes = session.sftp.metadata(self.path(name)).await.map_err(|error| failed(name, error))?;
        Ok(meta(name, &attributes))
    }

    /// The bytes that were listed, no more.
    pub(super) async fn pieces(
        &self,
        session: &Session,
        listed: &ObjectMeta,
    ) -> Result<BoxStream<'static, Result<Bytes, Error>>, Error> {
        let name = listed.location.filename().unwrap_or_default().to_owned();
        let file = session.sftp.open(self.path(&name)).await.map_err(|error| failed(&name, error))?;
        let stream = ReaderStream::with_capacity(file.take(listed.size), PIECE_BYTES);
        Ok(stream.map(|piece| piece.map_err(|error| generic(error.into()))).boxed())
    }
}

/// Part of an address as the server knows it: `%40` is `@`, and `ø` is `ø` again.
fn decoded(text: &str) -> Result<String, String> {
    let decoded = percent_encoding::percent_decode_str(text).decode_utf8();
    decoded.map(Into::into).map_err(|_| "place: what is percent-encoded in it is no UTF-8".to_owned())
}

fn meta(name: &str, attributes: &FileAttributes) -> ObjectMeta {
    let modified = attributes.mtime.and_then(|seconds| DateTime::from_timestamp(i64::from(seconds), 0));
    ObjectMeta {
        location: location(name),
        last_modified: modified.unwrap_or(DateTime::<Utc>::UNIX_EPOCH),
        size: attributes.len(),
        e_tag: None,
        version: None,
    }
}

fn generic(source: Box<dyn std::error::Error + Send + Sync>) -> Error {
    Error::Generic { store: "sftp", source }
}

fn failed(name: &str, error: SftpError) -> Error {
    match error {
        SftpError::Status(status) if status.status_code == StatusCode::NoSuchFile => {
            Error::NotFound { path: name.to_owned(), source: "no such file".into() }
        }
        error => generic(error.into()),
    }
}
