//! A table of a PostgreSQL database with person records, polled by a profile.
//!
//! One poll reads, in batches, the rows whose key column is greater than the one in the cursor, in its order. All
//! columns come as text and go the way of a file's. `settled` (the default) leaves rows alone that were written
//! while an older transaction is still running: keys are given out before they are committed, and a smaller one
//! that shows up late would be passed over for ever. It needs a table; for a view it has to be off, and then the
//! view must see to that itself. The session only reads.
//!
//! A server on another machine is connected to over TLS only, and only if its certificate holds: for its name, and
//! from an authority of the system or of `ca_file`. One on this machine, or a tunnel's end on it, may do without.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rettidig_event::{Clock, PollOutcome, Sink, Source, SourceError};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::{Client, Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::TableOptions;
use crate::emit::{Emitter, not_a_cursor};
use crate::profile::ProfileError;
use crate::pseudonym::{PseudonymKey, redact_digits};
use crate::records::Production;
use crate::records::feed::Feed;
use crate::records::lines::Encoding;
use crate::records::profile::{IdPart, Profile, Table};

/// What one poll reads at most before its cursor is stored, rows.
const POLL_ROWS_MAX: u64 = 200_000;

/// Time to connect, and for one batch.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(30);
const BATCH_TIME_MAX: Duration = Duration::from_secs(120);

/// What the session is set to: texts of dates and instants have one form, and nothing is ever written.
const SESSION: &str = "-c TimeZone=UTC -c DateStyle=ISO -c default_transaction_read_only=on \
                       -c statement_timeout=110s -c client_encoding=UTF8";

pub(super) fn build(name: &str, yaml: &str, options: &TableOptions) -> Result<Box<dyn Source>, ProfileError> {
    let failed = |error: &str| ProfileError { source: name.to_owned(), errors: vec![error.to_owned()] };
    let profile = Profile::read(name, yaml)?;
    let Some(table) = profile.table.clone() else {
        return Err(failed("format: this source reads a table"));
    };
    let by_file = |part: &IdPart| matches!(part, IdPart::File | IdPart::Line);
    if profile.records[0].id.iter().any(by_file) {
        return Err(failed(
            "records[0].id: a row has neither file nor line; its id must come from its columns",
        ));
    }
    let connection =
        connection(options.connection.expose_secret(), options.ca_file.is_some()).map_err(failed)?;
    let tls = match connection.get_ssl_mode() {
        SslMode::Require => Some(tls(options.ca_file.as_deref()).map_err(|error| failed(&error))?),
        _ => None,
    };
    let key = Arc::clone(&options.key);
    tracing::info!(
        source = name,
        key_id = key.key_id(),
        erased = key.erased(),
        "person source, its pseudonyms made with this key"
    );
    let sql = sql(&table, &profile.records[0].names);
    Ok(Box::new(TableSource { name: name.to_owned(), profile, table, sql, connection, tls, key }))
}

/// The connection's settings; the address itself is never repeated. With `needs_tls` a server on this machine has to
/// speak TLS too.
fn connection(address: &str, needs_tls: bool) -> Result<Config, &'static str> {
    let mut config: Config = address
        .parse()
        .map_err(|_| "connection: expected an address such as postgres://user:password@localhost/database")?;
    let here = |host: &Host| match host {
        Host::Tcp(name) => name == "localhost" || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback()),
        #[cfg(unix)]
        Host::Unix(_) => true,
    };
    if config.get_hosts().is_empty() {
        return Err("connection: expected a host");
    }
    let is_here =
        config.get_hosts().iter().all(here) && config.get_hostaddrs().iter().all(IpAddr::is_loopback);
    match config.get_ssl_mode() {
        SslMode::Disable if !is_here || needs_tls => {
            return Err(
                "connection: only a server or a tunnel on this machine is connected to without TLS, and not \
                        with ca_file: leave sslmode=disable away",
            );
        }
        mode if !is_here || needs_tls || mode == SslMode::Require => config.ssl_mode(SslMode::Require),
        // Whether a server on this machine offers it or not, the same happens every time.
        _ => config.ssl_mode(SslMode::Disable),
    };
    config.options(SESSION).application_name("rettidig").connect_timeout(CONNECT_TIME_MAX);
    Ok(config)
}

/// TLS that trusts the authorities of a file or, without one, of the system.
fn tls(ca_file: Option<&Path>) -> Result<MakeRustlsConnect, String> {
    let mut roots = RootCertStore::empty();
    match ca_file {
        Some(file) => {
            let unusable = |error: &dyn std::fmt::Display| {
                format!("ca_file: {}: expected certificates in PEM: {error}", file.display())
            };
            let certificates = CertificateDer::pem_file_iter(file).map_err(|error| unusable(&error))?;
            for certificate in certificates {
                let certificate = certificate.map_err(|error| unusable(&error))?;
                roots.add(certificate).map_err(|error| unusable(&error))?;
            }
            if roots.is_empty() {
                return Err(unusable(&"there is none in it"));
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if roots.is_empty() {
                return Err("connection: this system trusts no certificate authority; name one with ca_file"
                    .to_owned());
            }
        }
    }
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("connection: {error}"))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn sql(table: &Table, names: &[String]) -> String {
    let columns: String = names.iter().map(|name| format!(", {}::text", quoted(name))).collect();
    let relation: Vec<_> = table.relation.iter().map(|part| quoted(part)).collect();
    let (key, relation) = (quoted(&table.key), relation.join("."));
    let settled = if table.settled {
        // Written by a transaction older than every running one; age() counts back over the wrap of numbers.
        " AND age(xmin) > age(pg_snapshot_xmin(pg_current_snapshot())::xid)"
    } else {
        ""
    };
    format!("SELECT {key}::bigint{columns} FROM {relation} WHERE {key} > $1{settled} ORDER BY {key} LIMIT $2")
}

struct TableSource {
    name: String,
    profile: Profile,
    table: Table,
    sql: String,
    connection: Config,
    tls: Option<MakeRustlsConnect>,
    key: Arc<PseudonymKey>,
}

#[async_trait]
impl Source for TableSource {
    fn name(&self) -> &str {
        &self.name
    }

    async fn poll(
        &mut self,
        cursor: &Value,
        clock: &dyn Clock,
        sink: &mut dyn Sink,
    ) -> Result<PollOutcome, SourceError> {
        let now = clock.now();
        let mut last = self.read_cursor(cursor)?;
        let client = tokio::time::timeout(CONNECT_TIME_MAX, self.connect())
            .await
            .map_err(|_| self.retry("connecting", "no answer in time"))?
            .map_err(|error| self.failed("connecting", &error))?;

        let mut emitter = Emitter::new(sink, &self.profile.source, &self.profile.source, now);
        let file = format!("table {}", self.table.relation.join("."));
        let municipality = self.table.municipality;
        let feed = Feed::new(&self.profile, &self.key, Encoding::Utf8, &file, municipality, None, now);
        let mut production = Production::new(feed, &file);
        let mut rows_read = 0;
        let mut more = true;
        while more && rows_read < POLL_ROWS_MAX {
            let rows = self.batch(&client, last).await?;
            more = i64::try_from(rows.len()).is_ok_and(|count| count == self.table.batch_rows);
            for (key, texts) in &rows {
                let texts: Vec<&str> = texts.iter().map(|text| text.as_deref().unwrap_or("")).collect();
                production.row(&texts, u64::try_from(*key).unwrap_or(0), &mut emitter).await?;
                last = Some(*key);
                rows_read += 1;
            }
        }
        if rows_read > 0 {
            // A table has no header and no trailer: nothing rejects the whole.
            let _ = production.end(&mut emitter).await?;
        }
        let next_poll = if more { now } else { now + self.profile.every };
        let cursor = last.map_or(Value::Null, |key| json!({ "key": key }));
        Ok(emitter.outcome(cursor, next_poll, Vec::new()))
    }
}

type KeyedRow = (i64, Vec<Option<String>>);

impl TableSource {
    /// A client; what carries it ends by itself when it is dropped.
    async fn connect(&self) -> Result<Client, tokio_postgres::Error> {
        if let Some(tls) = &self.tls {
            let (client, connection) = self.connection.connect(tls.clone()).await?;
            tokio::spawn(connection);
            return Ok(client);
        }
        let (client, connection) = self.connection.connect(NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    async fn batch(&self, client: &Client, last: Option<i64>) -> Result<Vec<KeyedRow>, SourceError> {
        const READING: &str = "reading rows";
        let after = last.unwrap_or(i64::MIN);
        let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 2] = [&after, &self.table.batch_rows];
        let rows = tokio::time::timeout(BATCH_TIME_MAX, client.query(&self.sql, &parameters)).await;
        let rows = rows
            .map_err(|_| self.retry(READING, "no answer in time"))?
            .map_err(|error| self.failed(READING, &error))?;
        let width = self.profile.records[0].names.len();
        let read = rows.iter().map(|row| {
            let key = row.try_get(0)?;
            let texts: Result<Vec<Option<String>>, _> = (1..=width).map(|at| row.try_get(at)).collect();
            Ok((key, texts?))
        });
        read.collect::<Result<_, tokio_postgres::Error>>().map_err(|error| self.failed(READING, &error))
    }

    fn attempt(&self, doing: &str) -> String {
        format!("{doing}, table {} of {}", self.table.relation.join("."), self.name)
    }

    fn retry(&self, doing: &str, cause: &str) -> SourceError {
        SourceError::Retry { attempt: self.attempt(doing), cause: cause.to_owned() }
    }

    /// The server's own text may quote a value: its code is told, and what it says without digits.
    fn failed(&self, doing: &str, error: &tokio_postgres::Error) -> SourceError {
        let Some(answer) = error.as_db_error() else {
            let cause = crate::driver::chain(error);
            return self.retry(doing, &String::from_utf8_lossy(&redact_digits(cause.as_bytes())));
        };
        let code = answer.code().code();
        let text = redact_digits(answer.message().as_bytes());
        let cause = format!("SQLSTATE {code}: {}", String::from_utf8_lossy(&text));
        // Login, unknown database, and what is wrong with the statement or its rights.
        if ["28", "3D", "42"].iter().any(|class| code.starts_with(class)) {
            return SourceError::Stop {
                attempt: self.attempt(doing),
                cause,
                remedy:
                    "correct the connection, the table section and the columns, or the rights of the user"
                        .to_owned(),
            };
        }
        self.retry(doing, &cause)
    }

    fn read_cursor(&self, cursor: &Value) -> Result<Option<i64>, SourceError> {
        if cursor.is_null() {
            return Ok(None);
        }
        let key = cursor.get("key").and_then(Value::as_i64);
        key.map(Some).ok_or_else(|| not_a_cursor(&self.name))
    }
}
