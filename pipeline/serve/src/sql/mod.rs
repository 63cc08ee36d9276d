//! SQL over committed epochs on PostgreSQL's wire protocol, so that psql, Grafana, Power BI, Excel and R connect with the driver they have.
//!
//! * A statement sees one epoch, the newest when it is planned; a prepared statement is planned again when a newer one has come.
//! * The database `rettidig` is the newest epoch; `rettidig@2026-08-19T06:00:00Z` the tables as they were known at that instant.
//! * The user `public` needs no password and sees what is public. Any other user is the name of a token, with the token as password; it
//!   is asked for over TLS, or on this machine itself.
//! * It is read-only: queries, `EXPLAIN`, and what drivers say to greet. Time, rows, memory and connections have limits ([`Limits`]).
//! * Who reads a closed table is written to the audit log before anything is told.

mod cancel;
mod connection;
mod epoch;
mod guard;
mod memory;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use datafusion_postgres::pgwire::tokio::process_socket;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::sql::cancel::Cancels;
use crate::sql::connection::Handlers;
use crate::sql::epoch::Epochs;
use crate::tls::Tls;
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
    /// Memory of all connections' statements, in bytes. What would need more is refused: nothing is written to a disk instead.
    pub memory_total_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 64,
            statement: Duration::from_secs(30),
            rows: 1_000_000,
            memory_bytes: 256 << 20,
            memory_total_bytes: 1 << 30,
        }
    }
}

/// Threads of the endpoint. They are its own: whatever readers ask for, epochs are committed and pages shown.
const THREADS: usize = 2;

/// A running SQL endpoint.
#[derive(Debug)]
pub struct SqlServer {
    address: SocketAddr,
    runtime: Option<Runtime>,
    task: Option<tokio::task::JoinHandle<()>>,
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
        tls: Option<Tls>,
    ) -> Result<Self, ServeError> {
        let failed = |source| ServeError::Listen { address, source };
        let listener = std::net::TcpListener::bind(address).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let mut builder = Builder::new_multi_thread();
        let runtime =
            builder.worker_threads(THREADS).thread_name("sql").enable_all().build().map_err(failed)?;
        let listener = {
            let _within = runtime.enter();
            TcpListener::from_std(listener).map_err(failed)?
        };
        let shutdown = CancellationToken::new();
        let accepting = accept(listener, Arc::new(Epochs::new(shown, limits)), tls, shutdown.clone());
        let task = runtime.spawn(accepting);
        Ok(Self { address, runtime: Some(runtime), task: Some(task), shutdown })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes all connections and stops.
    pub async fn stop(mut self) {
        self.shutdown.cancel();
        if let Some(task) = self.task.take() {
            // It ends when it is told to; that it broke down before is in the log.
            drop(task.await);
        }
    }
}

impl Drop for SqlServer {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // A statement that does not pause is left to itself.
            runtime.shutdown_background();
        }
    }
}

async fn accept(listener: TcpListener, epochs: Arc<Epochs>, tls: Option<Tls>, shutdown: CancellationToken) {
    let places = Arc::new(Semaphore::new(epochs.limits().connections));
    let cancels = Arc::new(Cancels::default());
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
        let handlers = Arc::new(Handlers::new(Arc::clone(&epochs), Arc::clone(&cancels)));
        let tls = tls.as_ref().map(Tls::sql);
        connections.spawn(async move {
            if let Err(error) = process_socket(socket, tls, handlers).await {
                tracing::debug!(%peer, %error, "a connection to the SQL endpoint broke");
            }
            drop(place);
        });
    }
    connections.shutdown().await;
}
