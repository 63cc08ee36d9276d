//! SQL over committed epochs on PostgreSQL's wire protocol, so that psql, Grafana, Power BI, Excel and R connect with the driver they have.
//!
//! * A statement sees one epoch, the newest when it is planned; a prepared statement is planned again when a newer one has come.
//! * The database `rettidig` is the newest epoch; `rettidig@2026-08-19T06:00:00Z` the tables as they were known at that instant.
//! * The user `public` needs no password and sees what is public. Any other user is the name of a token, with the token as password; it
//!   is asked for over TLS, or on this machine itself.
//! * It is read-only: queries, `EXPLAIN`, and what drivers say to greet. Time, rows, memory and connections have limits ([`Limits`]).
//! * Who reads a closed table is written to the audit log before anything is told.

mod connection;
mod epoch;
mod guard;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use datafusion_postgres::pgwire::api::ConnectionManager;
use datafusion_postgres::pgwire::tokio::{TlsAcceptor, process_socket};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::sql::connection::Handlers;
use crate::sql::epoch::Epochs;
use crate::{ServeError, Shown};

/// What one reader may use up.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at a time; one more is closed at once.
    pub connections: usize,
    /// Time of a statement, its rows told included.
    pub statement: Duration,
    /// Rows of a statement.
    pub rows: usize,
    /// Memory of a connection's statements, in bytes.
    pub memory_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connections: 64, statement: Duration::from_secs(30), rows: 1_000_000, memory_bytes: 256 << 20 }
    }
}

/// A running SQL endpoint.
#[derive(Debug)]
pub struct SqlServer {
    address: SocketAddr,
    task: tokio::task::JoinHandle<()>,
    shutdown: CancellationToken,
}

impl SqlServer {
    /// Listens and serves until [`SqlServer::stop`].
    ///
    /// # Errors
    /// [`ServeError::Listen`] if the address cannot be had.
    pub async fn start(
        address: SocketAddr,
        shown: Shown,
        limits: Limits,
        tls: Option<TlsAcceptor>,
    ) -> Result<Self, ServeError> {
        let failed = |source| ServeError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let shutdown = CancellationToken::new();
        let task =
            tokio::spawn(accept(listener, Arc::new(Epochs::new(shown, limits)), tls, shutdown.clone()));
        Ok(Self { address, task, shutdown })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes all connections and stops.
    pub async fn stop(self) {
        self.shutdown.cancel();
        // It ends when it is told to; that it broke down before is in the log.
        drop(self.task.await);
    }
}

async fn accept(
    listener: TcpListener,
    epochs: Arc<Epochs>,
    tls: Option<TlsAcceptor>,
    shutdown: CancellationToken,
) {
    let places = Arc::new(Semaphore::new(epochs.limits().connections));
    let manager = Arc::new(ConnectionManager::new());
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
            () = shutdown.cancelled() => break,
        };
        let (socket, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection to the SQL endpoint could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            tracing::warn!(%peer, "the SQL endpoint has all the connections it may have");
            continue;
        };
        let handlers = Arc::new(Handlers::new(Arc::clone(&epochs), Arc::clone(&manager)));
        let tls = tls.clone();
        connections.spawn(async move {
            if let Err(error) = process_socket(socket, tls, handlers).await {
                tracing::debug!(%peer, %error, "a connection to the SQL endpoint broke");
            }
            drop(place);
        });
    }
    connections.shutdown().await;
}
