//! TLS for HTTP and SQL: one certificate, read again when its file changes, so that whoever renews it need not restart anything.

use std::path::PathBuf;
use std::sync::Arc;

use axum_server::tls_rustls::RustlsConfig;
use datafusion_postgres::pgwire::tokio::TlsAcceptor;
use rustls::ServerConfig;

use crate::changes::Changes;

/// The protocol's name where TLS asks for one.
const POSTGRESQL: &[u8] = b"postgresql";

/// A certificate with its key.
#[derive(Debug, Clone)]
pub struct Tls {
    http: RustlsConfig,
}

impl Tls {
    /// Reads the certificate (with those above it) and the key, both PEM, and follows their files from now on.
    ///
    /// # Errors
    /// What is wrong with the files; the key is not told.
    pub async fn load(certificate_file: PathBuf, key_file: PathBuf) -> Result<Self, String> {
        // It stays if another part of the program has chosen before.
        drop(rustls::crypto::ring::default_provider().install_default());
        let failed = |error: std::io::Error| {
            format!(
                "tls: {} with {}: {error}; expected a certificate and its key in PEM",
                certificate_file.display(),
                key_file.display()
            )
        };
        let http = RustlsConfig::from_pem_file(&certificate_file, &key_file).await.map_err(failed)?;
        tokio::spawn(follow(http.clone(), certificate_file, key_file));
        Ok(Self { http })
    }

    /// For HTTP.
    pub(crate) fn http(&self) -> RustlsConfig {
        self.http.clone()
    }

    /// For SQL: the same certificate under the protocol's own name.
    pub(crate) fn sql(&self) -> TlsAcceptor {
        let mut config = ServerConfig::clone(&self.http.get_inner());
        config.alpn_protocols = vec![POSTGRESQL.to_vec()];
        TlsAcceptor::from(Arc::new(config))
    }
}

async fn follow(http: RustlsConfig, certificate_file: PathBuf, key_file: PathBuf) {
    let mut changes = Changes::of(vec![certificate_file.clone(), key_file.clone()]);
    loop {
        changes.next().await;
        match http.reload_from_pem_file(&certificate_file, &key_file).await {
            Ok(()) => {
                changes.take();
                tracing::info!(file = %certificate_file.display(), "the certificate was read again");
            }
            // Certificate and key are replaced one after the other: the next look finds both.
            Err(error) => tracing::warn!(%error, "the new certificate cannot be used; the old one stays"),
        }
    }
}
