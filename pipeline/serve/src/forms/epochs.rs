//! Immutable addresses: the Parquet files of one epoch, so that a reader who takes several tables takes them of one state.
//!
//! An epoch's files stay until later epochs have replaced them all and nobody keeps them; then the answer is 410 and names the newest
//! epoch. A file is never half gone: its bytes are those of its checksum, which is its `ETag`, or there is no answer.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::{Extension, Path, Request, State};
use axum::http::header::CACHE_CONTROL;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use rettidig_model::contract::Table;
use rettidig_runtime::{Manifest, RuntimeError, Store};
use serde_json::{Value, json};

use super::{FormError, mark, may_read, no_epoch, sees_part};
use crate::access::Reader;
use crate::{Shown, files, newest};

/// Manifests that are remembered: they never change, and a reader asks for many ranges of one epoch's files.
const REMEMBERED: usize = 16;

type Known = Arc<Mutex<BTreeMap<u64, Arc<Manifest>>>>;

pub(super) fn routes() -> Router<Shown> {
    Router::new().route("/data/epochs/{epoch}/{file}", get(file)).layer(Extension(Known::default()))
}

/// Where the files of an epoch never change.
pub(super) fn folder(epoch: u64) -> String {
    format!("/data/epochs/{epoch}")
}

/// The tables of an epoch, their checksums and where they are in a folder.
pub(crate) fn describe(manifest: &Manifest, folder: &str) -> Value {
    let tables: Vec<Value> = manifest
        .tables
        .iter()
        .map(|(name, entry)| {
            json!({
                "table": name,
                "path": format!("{folder}/{name}.parquet"),
                "closed": Table::named(name).is_some_and(|table| table.closed),
                "rows": entry.rows,
                "bytes": entry.bytes,
                "sha256": entry.sha256,
            })
        })
        .collect();
    json!({
        "epoch": manifest.epoch,
        "committed_at": manifest.committed_at,
        "as_of": manifest.as_of,
        "tables": tables,
    })
}

async fn manifest_of(shown: &Shown, known: &Known, epoch: u64) -> Result<Option<Arc<Manifest>>, FormError> {
    let remembered = known.lock().unwrap_or_else(PoisonError::into_inner).get(&epoch).cloned();
    if remembered.is_some() {
        return Ok(remembered);
    }
    let broken = |error: RuntimeError| FormError::Broken(error.to_string());
    let store = Store::local(&shown.folder).map_err(broken)?;
    let manifest = match Manifest::read(&store, epoch).await {
        Ok((manifest, _)) => Arc::new(manifest),
        // There is none of this number, or it is damaged: nobody can say what it was.
        Err(RuntimeError::Stop { .. }) => return Ok(None),
        Err(error) => return Err(broken(error)),
    };
    let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
    known.insert(epoch, manifest.clone());
    while known.len() > REMEMBERED {
        known.pop_first();
    }
    Ok(Some(manifest))
}

fn gone(epoch: u64, newest: u64) -> Response {
    let text = format!(
        "the files of epoch {epoch} are no longer kept: the newest is {newest}, begin again with /data/epoch.json\n"
    );
    (StatusCode::GONE, text).into_response()
}

async fn file(
    State(shown): State<Shown>,
    Path((epoch, file)): Path<(u64, String)>,
    Extension(reader): Extension<Reader>,
    Extension(known): Extension<Known>,
    request: Request,
) -> Response {
    answer(&shown, epoch, &file, &reader, &known, request).await.unwrap_or_else(FormError::into_response)
}

async fn answer(
    shown: &Shown,
    epoch: u64,
    file: &str,
    reader: &Reader,
    known: &Known,
    request: Request,
) -> Result<Response, FormError> {
    let Some(snapshot) = newest(shown) else { return Ok(no_epoch()) };
    let newest = snapshot.manifest.epoch;
    if epoch == 0 || epoch > newest {
        return Err(FormError::NoSuchForm(format!("there is no epoch {epoch} yet: the newest is {newest}")));
    }
    let Some(manifest) = manifest_of(shown, known, epoch).await? else { return Ok(gone(epoch, newest)) };
    if file == "_epoch.json" {
        let paths = manifest.tables.values().map(|entry| shown.folder.join(&entry.path));
        let is_kept = paths.into_iter().all(|path| path.is_file());
        return Ok(if is_kept {
            Json(describe(&manifest, &folder(epoch))).into_response()
        } else {
            gone(epoch, newest)
        });
    }
    let table = file.strip_suffix(".parquet").and_then(Table::named);
    let Some((table, entry)) = table.and_then(|table| Some((table, manifest.tables.get(table.name)?))) else {
        let names: Vec<_> = manifest.tables.keys().map(|name| format!("{name}.parquet")).collect();
        let text = format!("epoch {epoch} has no {file}: choose _epoch.json or one of {}", names.join(", "));
        return Err(FormError::NoSuchForm(text));
    };
    may_read(table, reader)?;
    if sees_part(table, reader) {
        return Err(FormError::Closed(format!(
            "the whole of {0} is for operators: your areas' rows of the newest epoch are at /data/{0}.parquet",
            table.name
        )));
    }
    let mut response = files::send(shown, table, entry, epoch, reader, request).await;
    // A collector takes files one by one: this one may be gone while others are there.
    if response.status() == StatusCode::NOT_FOUND {
        return Ok(gone(epoch, newest));
    }
    mark(&mut response, table, &manifest);
    if !table.closed {
        let forever = HeaderValue::from_static("public, max-age=31536000, immutable");
        response.headers_mut().insert(CACHE_CONTROL, forever);
    }
    Ok(response)
}
