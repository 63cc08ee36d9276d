//! The published tables as they would have been known at an instant.
//!
//! Official figures tell when they were retrieved, so their tables are made of those retrieved until then. Records of persons are those that the
//! newest epoch of then had read, for manifests stay and tell its positions. Both with the definitions of today. What is hidden today is hidden
//! in what was known earlier: a cell that was hidden once stays so, so nothing is told that was hidden then.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::RecordBatch;
use chrono::{DateTime, Utc};
use rettidig_event::clock::danish_date;
use rettidig_model::Model;
use rettidig_model::catalogue::{COMPLETENESS, Making};
use rettidig_model::local::{LocalMonths, ShownValue, from_rows, local_months, to_rows};
use rettidig_model::tables::arrivals_of;

use crate::RuntimeError;
use crate::explain::{Epochs, arrived};
use crate::local::shown_rows;
use crate::manifest::Manifest;
use crate::persons::{Limits, Owned, PersonLog, cells_of, parameters_of};
use crate::recompute::{newest, tables_of_log};
use crate::store::Store;

/// Tables by name.
type Tables = BTreeMap<&'static str, RecordBatch>;

/// Whether one of these tables is made of records of persons, which all have to be evaluated again to know what it was.
pub fn are_of_persons(model: &Model, tables: &BTreeSet<String>) -> bool {
    [Making::Monthly, Making::AfterMonths]
        .into_iter()
        .flat_map(|making| model.made(making))
        .any(|made| tables.contains(&made.name))
}

/// The published tables at an instant; without those `of_persons` it is much quicker. Of persons only months that are shown today, too.
///
/// # Errors
/// [`RuntimeError::Stop`] if there is no epoch, a file is damaged, or nobody knows any more which loaded records were there.
pub async fn as_known(
    store: &Store,
    model: &Model,
    at: DateTime<Utc>,
    of_persons: bool,
) -> Result<Tables, RuntimeError> {
    let (today, _) = newest(store).await?;
    let mut tables = tables_of_log(store, model, &today, Some(at)).await?;
    if of_persons {
        let (then, shown) = match Epochs::of(store).await?.at(at).await? {
            Some(then) => (then.as_of, shown_then(store, model, &today, &then).await?),
            None => (danish_date(at), LocalMonths::new()),
        };
        let arrivals = arrivals_of(tables.get(COMPLETENESS))?;
        let months = model.evaluate_months(to_rows(&shown)?, arrivals, then).await?;
        let parts = months.iter().map(|(name, rows)| (*name, vec![rows.clone()])).collect();
        let after = model.evaluate_after_months(&tables, &parts, then, &BTreeMap::new()).await?;
        tables.extend(months.into_iter().chain(after));
    }
    Ok(tables)
}

/// What an epoch showed of persons, as far as it may be shown today.
async fn shown_then(
    store: &Store,
    model: &Model,
    today: &Manifest,
    then: &Manifest,
) -> Result<LocalMonths, RuntimeError> {
    let hidden = from_rows(&shown_rows(store, today).await?);
    if then.epoch == today.epoch {
        return Ok(hidden);
    }
    let with = parameters_of(then);
    let files = today.persons.log_files(store).await?;
    let limits = Limits { audit_rows: 400_000, ..Limits::default() };
    let log = PersonLog::open(store.clone(), limits, Owned::all(), &files).await?;
    let stop = |cause: String, remedy: &str| {
        RuntimeError::stop(format!("finding what was known at epoch {}", then.epoch), cause, remedy)
    };
    let knew = arrived(&log, today, then, &stop).await?;
    let cells = cells_of(&log, &Arc::new(model.clone()), &with, |rows| knew.mask(rows)).await?;
    let of_today = local_months(today.as_of);
    let months: BTreeSet<i64> = local_months(then.as_of).filter(|month| of_today.contains(month)).collect();
    let derived = model.derive_published(&cells.shown(model, i64::MIN)?.cells()?, &with, &months).await?;
    let known = (then.committed_at.timestamp_micros(), then.epoch);
    let mut shown = model.continue_local(&derived, &hidden, &months, then.as_of, known).await?;
    // Of a month that would give something away nothing is told.
    shown.retain(|_, month| month.frozen.is_none());
    // What is the same today may have been another in between: then it is known from a later instant on.
    let epoch = i64::try_from(then.epoch).unwrap_or(i64::MAX);
    for month in shown.values_mut() {
        let is_later = |value: &ShownValue| value.known_at > known.0;
        if month.shown.values().any(is_later) {
            for value in Arc::make_mut(month).shown.values_mut().filter(|value| is_later(value)) {
                (value.known_at, value.epoch) = (known.0, epoch);
            }
        }
    }
    Ok(shown)
}
