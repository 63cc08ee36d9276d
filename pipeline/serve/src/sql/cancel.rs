//! Canceling: another connection names a statement's connection by its number and its secret, and the statement ends.
//!
//! The protocol's library listens while a statement is planned. Rows are made while they are told, so its own part ends too early.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use datafusion_postgres::pgwire::api::cancel::CancelHandler;
use datafusion_postgres::pgwire::messages::cancel::CancelRequest;
use datafusion_postgres::pgwire::messages::startup::SecretKey;
use tokio::sync::Notify;

type Key = (i32, Bytes);

/// The connections that are open.
#[derive(Debug, Default)]
pub(super) struct Cancels {
    open: Mutex<HashMap<Key, Arc<Notify>>>,
}

/// A connection's place among them, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    key: Key,
    /// Tells whatever runs now; nothing is kept for what runs later.
    pub(super) canceled: Arc<Notify>,
    cancels: Arc<Cancels>,
}

impl Cancels {
    /// Makes a connection known.
    pub(super) fn register(self: &Arc<Self>, pid: i32, secret: &SecretKey) -> Place {
        let (key, canceled) = ((pid, secret.to_bytes()), Arc::new(Notify::new()));
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.insert(key.clone(), Arc::clone(&canceled));
        Place { key, canceled, cancels: Arc::clone(self) }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.cancels.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

#[async_trait]
impl CancelHandler for Cancels {
    async fn on_cancel_request(&self, request: CancelRequest) {
        let key = (request.pid, request.secret_key.to_bytes());
        if let Some(canceled) = self.open.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            canceled.notify_waiters();
        }
    }
}
