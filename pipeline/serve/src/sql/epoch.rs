//! The sessions of the SQL endpoint: one epoch, one reader.

use std::sync::Arc;

use chrono::{DateTime, SecondsFormat, Utc};
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::GreedyMemoryPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion_postgres::datafusion_pg_catalog::pg_catalog::context::EmptyContextProvider;
use datafusion_postgres::datafusion_pg_catalog::pg_catalog::setup_pg_catalog;
use datafusion_postgres::hooks::set_show::SetShowHook;
use datafusion_postgres::hooks::transactions::TransactionStatementHook;
use datafusion_postgres::{DfSessionService, QueryHook};
use rettidig_model::session::{Session, plain_texts};
use rettidig_runtime::{Snapshot, Store, as_known};
use tokio::sync::Mutex;

use super::Limits;
use super::guard::Guard;
use super::memory::Share;
use crate::access::Reader;
use crate::{Shown, newest, view};

/// The only database, and its only schema.
const DATABASE: &str = "rettidig";
const SCHEMA: &str = "public";

/// Snapshots as known at an instant that are kept; making one reads the whole log.
const KEPT: usize = 4;

/// What was known: when, and whether with what is made of persons.
type Known = (DateTime<Utc>, bool);

/// What a connection looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum At {
    /// The newest epoch.
    Newest,
    /// What was known at an instant.
    Known(DateTime<Utc>),
}

impl At {
    /// What a database's name means.
    ///
    /// # Errors
    /// What is wrong with the name.
    pub(super) fn of_database(name: &str, now: DateTime<Utc>) -> Result<Self, String> {
        let expected = format!(
            "expected the database {DATABASE}, or {DATABASE}@INSTANT for the tables as they were known then, e.g. \
             {DATABASE}@2026-08-19T06:00:00Z"
        );
        match name.split_once('@') {
            None if name == DATABASE => Ok(Self::Newest),
            Some((DATABASE, instant)) => match instant.parse::<DateTime<Utc>>() {
                Ok(at) if at <= now => Ok(Self::Known(at)),
                Ok(_) => Err(format!(
                    "{instant} is not over: what will be known then is not known yet; it is {}",
                    now.to_rfc3339_opts(SecondsFormat::Secs, true)
                )),
                Err(error) => Err(format!("{instant:?} is no instant ({error}): {expected}")),
            },
            _ => Err(format!("there is no database {name:?}: {expected}")),
        }
    }
}

/// What was made, the newest last.
type Made = Vec<(Known, Arc<Snapshot>)>;

/// Sessions over epochs.
pub(super) struct Epochs {
    shown: Shown,
    limits: Limits,
    memory: Arc<GreedyMemoryPool>,
    /// The lock is held while one is made, so that one is made at a time.
    known: Arc<Mutex<Made>>,
}

impl Epochs {
    pub(super) fn new(shown: Shown, limits: Limits) -> Self {
        let memory = Arc::new(GreedyMemoryPool::new(limits.memory_total_bytes));
        Self { shown, limits, memory, known: Arc::default() }
    }

    pub(super) fn shown(&self) -> &Shown {
        &self.shown
    }

    pub(super) fn limits(&self) -> Limits {
        self.limits
    }

    /// The number of the newest epoch.
    ///
    /// # Errors
    /// Before the first.
    pub(super) fn newest(&self) -> Result<u64, String> {
        Ok(self.newest_snapshot()?.manifest.epoch)
    }

    fn newest_snapshot(&self) -> Result<Arc<Snapshot>, String> {
        newest(&self.shown).ok_or_else(|| "no epoch has been committed yet: try again soon".to_owned())
    }

    /// A session for a reader, and the number of its epoch.
    ///
    /// # Errors
    /// If there is no epoch, or its files cannot be read.
    pub(super) async fn open(&self, at: At, reader: &Reader) -> Result<(u64, Arc<DfSessionService>), String> {
        let snapshot = match at {
            At::Newest => self.newest_snapshot()?,
            // Everybody's records are evaluated again for the tables of persons: not for a reader whom nobody knows.
            At::Known(at) => self.as_known((at, reader.name().is_some())).await?,
        };
        let service = self.service(&snapshot, at, reader).map_err(|error| error.to_string())?;
        Ok((snapshot.manifest.epoch, service))
    }

    /// What was known. To make it may take longer than a statement may: it goes on when nobody waits for it any more.
    async fn as_known(&self, wanted: Known) -> Result<Arc<Snapshot>, String> {
        let manifest = self.newest_snapshot()?.manifest.clone();
        let mut known = Arc::clone(&self.known).lock_owned().await;
        if let Some((_, snapshot)) = known.iter().find(|(known, _)| *known == wanted) {
            return Ok(Arc::clone(snapshot));
        }
        let store = Store::local(&self.shown.folder).map_err(|error| error.to_string())?;
        let model = Arc::clone(&self.shown.model);
        let making = tokio::spawn(async move {
            let (at, of_persons) = wanted;
            let tables = as_known::as_known(&store, &model, at, of_persons).await;
            let tables = tables.map_err(|error| error.to_string())?;
            let snapshot = Arc::new(Snapshot::of_tables(&model, manifest, tables));
            if known.len() == KEPT {
                known.remove(0);
            }
            known.push((wanted, Arc::clone(&snapshot)));
            Ok(snapshot)
        });
        making.await.map_err(|error| error.to_string())?
    }

    fn service(
        &self,
        snapshot: &Snapshot,
        at: At,
        reader: &Reader,
    ) -> Result<Arc<DfSessionService>, Box<dyn std::error::Error>> {
        // One thread a statement: floats are added up in one order, and nobody takes all processors.
        let config = SessionConfig::new()
            .with_target_partitions(1)
            .with_information_schema(true)
            .with_default_catalog_and_schema(DATABASE, SCHEMA);
        let memory = Arc::new(Share::new(self.limits.memory_bytes, Arc::clone(&self.memory)));
        let no_disk = DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled);
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(memory)
            .with_disk_manager_builder(no_disk)
            .build_arc()?;
        let context = SessionContext::new_with_config_rt(plain_texts(config), runtime);
        view::register(&Session::over(context.clone()), snapshot, &self.shown.model, reader)?;
        setup_pg_catalog(&context, DATABASE, EmptyContextProvider)?;
        let guard = Guard::new(&self.shown, reader.clone(), snapshot.manifest.epoch, at);
        let hooks: Vec<Arc<dyn QueryHook>> =
            vec![Arc::new(guard), Arc::new(SetShowHook), Arc::new(TransactionStatementHook)];
        Ok(Arc::new(DfSessionService::new_with_hooks(Arc::new(context), hooks)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_is_the_newest_epoch_or_an_instant() {
        let now = "2026-08-25T10:00:00Z".parse().expect("instant");
        let at = |name: &str| At::of_database(name, now);
        assert_eq!(at("rettidig"), Ok(At::Newest));
        let known = At::Known("2026-08-19T06:00:00Z".parse().expect("instant"));
        assert_eq!(at("rettidig@2026-08-19T06:00:00Z"), Ok(known));
        assert_eq!(at("rettidig@2026-08-19T08:00:00+02:00"), Ok(known));
        for (name, told) in [
            ("postgres", "expected the database rettidig"),
            ("rettidig@yesterday", "no instant"),
            ("rettidig@2026-08-26T06:00:00Z", "is not over"),
        ] {
            let error = at(name).expect_err(name);
            assert!(error.contains(told), "{error}");
        }
    }
}
