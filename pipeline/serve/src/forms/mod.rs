//! Every published table in the forms that portals and offices take: CSV, XLSX, JSON-stat, Parquet, and its contract.
//!
//! | path below `/data` | what |
//! |---|---|
//! | `TABLE.csv` `.xlsx` `.json` `.parquet` | the newest epoch's rows that the reader may see; all but Parquet take `?COLUMN=VALUE` |
//! | `TABLE.schema.json` | its contract |
//! | `epoch.json` | the newest epoch: its tables, their checksums, and the addresses below |
//! | `epochs/N/TABLE.parquet` | the file of one epoch, which never changes; ranges. 410 when it is no longer kept |
//! | `epochs/N/_epoch.json` | the same as `epoch.json` for that epoch |
//! | `datapackage.json` | a Frictionless data package of all of it |
//! | `catalog.jsonld` | a DCAT-AP catalogue of all of it |
//!
//! An answer is of one epoch, which its header `rettidig-epoch` names. Its `ETag` changes with the rows, the form, the selection, and, of
//! closed tables, with whose rows they are. A closed table gives a jobcentre the rows of its own areas and the public none, in every form.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Extension, Path, Query, Request, State};
use axum::http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, ETAG, IF_NONE_MATCH, RETRY_AFTER, VARY,
};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use rettidig_model::contract::Table;
use rettidig_runtime::publish;
use rettidig_runtime::store::{sha256_hex, to_parquet};
use rettidig_runtime::{Manifest, Snapshot};
use thiserror::Error;
use tokio::sync::Semaphore;

use crate::access::Reader;
use crate::catalogue::{dcat, package};
use crate::view::View;
use crate::{Shown, files, newest};

mod cells;
pub(crate) mod csv;
mod epochs;
mod jsonstat;
mod labels;
#[cfg(test)]
mod samples;
mod select;
#[cfg(test)]
mod tests;
pub(crate) mod xlsx;

pub(crate) use cells::instant;
pub(crate) use epochs::describe;
pub(crate) use labels::Labels;
use select::Selection;

/// Forms of a table, as file names end.
pub(crate) const FORMS: [Form; 5] = [Form::Csv, Form::Xlsx, Form::JsonStat, Form::Parquet, Form::Schema];

/// Workbooks and cubes that are made at a time: each may take some hundred megabytes.
static MAKING: Semaphore = Semaphore::const_new(2);

/// How long a reader waits for a place among them.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// A form of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Comma-separated values.
    Csv,
    /// Workbook.
    Xlsx,
    /// JSON-stat 2.0.
    JsonStat,
    /// Parquet.
    Parquet,
    /// The contract.
    Schema,
}

impl Form {
    /// What follows the table's name and a dot.
    pub(crate) fn ending(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Xlsx => "xlsx",
            Self::JsonStat => "json",
            Self::Parquet => "parquet",
            Self::Schema => "schema.json",
        }
    }

    /// The media type.
    pub(crate) fn media_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::Xlsx => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            Self::JsonStat | Self::Schema => "application/json",
            Self::Parquet => "application/vnd.apache.parquet",
        }
    }

    /// Whether a table has it.
    pub(crate) fn fits(self, table: &Table) -> bool {
        self != Self::JsonStat || table.measure.is_some()
    }
}

/// Why there is no answer in a form.
#[derive(Debug, Error)]
pub(crate) enum FormError {
    /// The selection names what is not there.
    #[error("{0}")]
    Selection(String),
    /// The table has no such form.
    #[error("{0}")]
    NoSuchForm(String),
    /// The form cannot hold the rows.
    #[error("{0}")]
    TooLarge(String),
    /// The reader may not.
    #[error("{0}")]
    Closed(String),
    /// Too many ask at once.
    #[error(
        "many are asking for workbooks and cubes just now: ask again in a minute, or take CSV or Parquet"
    )]
    Busy,
    /// A fault of ours.
    #[error("{0}")]
    Broken(String),
}

impl IntoResponse for FormError {
    fn into_response(self) -> Response {
        let status = match &self {
            Self::Selection(_) => StatusCode::BAD_REQUEST,
            Self::NoSuchForm(_) => StatusCode::NOT_FOUND,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Closed(_) => StatusCode::FORBIDDEN,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::Broken(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let text = if let Self::Broken(message) = &self {
            tracing::error!(%message, "a table cannot be shown");
            "this table cannot be shown: see the log of the service\n".to_owned()
        } else {
            format!("{self}\n")
        };
        let mut response = (status, text).into_response();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("60"));
        }
        response
    }
}

/// The routes below `/data`.
pub(crate) fn routes(shown: &Shown) -> Router<Shown> {
    let labels = Arc::new(Labels::of_model(&shown.model));
    Router::new()
        .route("/data/{file}", get(form))
        .layer(Extension(labels))
        .merge(epochs::routes())
        .route("/data/datapackage.json", get(data_package))
        .route("/data/catalog.jsonld", get(catalogue))
}

pub(crate) fn no_epoch() -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, "no epoch has been committed yet\n").into_response()
}

/// Whether the reader sees other rows of a table than others do.
pub(crate) fn sees_part(table: &Table, reader: &Reader) -> bool {
    table.closed && reader.areas().is_some()
}

/// Refuses the public what is not public.
pub(crate) fn may_read(table: &Table, reader: &Reader) -> Result<(), FormError> {
    if table.closed && *reader == Reader::Public {
        return Err(FormError::Closed(format!(
            "{} is for those who steer its areas: ask with the token of a jobcentre or an operator (Authorization: Bearer TOKEN); \
             {0}.schema.json says what it holds",
            table.name
        )));
    }
    Ok(())
}

/// The table and the form that a file name means.
fn named(file: &str, manifest: &Manifest) -> Result<(&'static Table, Form), FormError> {
    let (name, ending) = file.split_once('.').unwrap_or((file, ""));
    let Some(table) = Table::named(name).filter(|table| manifest.tables.contains_key(table.name)) else {
        let names: Vec<_> = manifest.tables.keys().map(String::as_str).collect();
        let text = format!("no table {name:?}: choose one of {}", names.join(", "));
        return Err(FormError::NoSuchForm(text));
    };
    match FORMS.into_iter().find(|form| form.ending() == ending && form.fits(table)) {
        Some(form) => Ok((table, form)),
        None => {
            let forms = FORMS.iter().filter(|form| form.fits(table));
            let names: Vec<_> = forms.map(|form| format!("{}.{}", table.name, form.ending())).collect();
            let text = format!("{} has no form {ending:?}: choose one of {}", table.name, names.join(", "));
            Err(FormError::NoSuchForm(text))
        }
    }
}

async fn form(
    State(shown): State<Shown>,
    Path(file): Path<String>,
    Query(asked): Query<Vec<(String, String)>>,
    Extension(reader): Extension<Reader>,
    Extension(labels): Extension<Arc<Labels>>,
    request: Request,
) -> Response {
    let Some(snapshot) = newest(&shown) else { return no_epoch() };
    if file == "epoch.json" {
        let folder = epochs::folder(snapshot.manifest.epoch);
        return Json(epochs::describe(&snapshot.manifest, &folder)).into_response();
    }
    match answer(&shown, &snapshot, &file, asked, reader, labels, request).await {
        Ok(response) => response,
        Err(error) => error.into_response(),
    }
}

async fn answer(
    shown: &Shown,
    snapshot: &Arc<Snapshot>,
    file: &str,
    asked: Vec<(String, String)>,
    reader: Reader,
    labels: Arc<Labels>,
    request: Request,
) -> Result<Response, FormError> {
    let manifest = &snapshot.manifest;
    let (table, form) = named(file, manifest)?;
    let selection = Selection::of(table, asked)?;
    if matches!(form, Form::Schema | Form::Parquet) && !selection.is_all() {
        let text = format!(
            "{file} comes whole: choose rows of {0}.csv or {0}.xlsx, or filter what you read",
            table.name
        );
        return Err(FormError::Selection(text));
    }
    if form == Form::Schema {
        let etag =
            etag_of(&[form.ending(), &manifest.epoch.to_string(), table.name, env!("CARGO_PKG_VERSION")]);
        return respond(&request, table, form, manifest, &etag, || {
            Ok(Body::from(format!("{:#}\n", publish::sidecar(table, manifest.epoch))))
        });
    }
    may_read(table, &reader)?;
    let entry = &manifest.tables[table.name];
    if form == Form::Parquet && !sees_part(table, &reader) {
        let mut response = files::send(shown, table, entry, manifest.epoch, &reader, request).await;
        mark(&mut response, table, manifest);
        return Ok(response);
    }
    let areas = reader.areas().filter(|_| table.closed).map(|areas| format!("{areas:?}"));
    let epoch = manifest.epoch.to_string();
    let etag = etag_of(&[
        form.ending(),
        // What tells the epoch changes with it.
        if matches!(form, Form::Csv) { "" } else { &epoch },
        &entry.sha256,
        &shown.model.reference_sha256,
        &selection.query(),
        areas.as_deref().unwrap_or("all"),
        env!("CARGO_PKG_VERSION"),
    ]);
    if is_known(&request, &etag) || request.method() == Method::HEAD {
        return respond(&request, table, form, manifest, &etag, || Ok(Body::empty()));
    }
    let body = body(shown, snapshot, table, form, selection, reader, labels).await?;
    respond(&request, table, form, manifest, &etag, || Ok(body))
}

/// The rows that the reader may see and has chosen, in a form.
async fn body(
    shown: &Shown,
    snapshot: &Arc<Snapshot>,
    table: &'static Table,
    form: Form,
    selection: Selection,
    reader: Reader,
    labels: Arc<Labels>,
) -> Result<Body, FormError> {
    let view = View::new(snapshot.clone(), shown, reader).map_err(broken)?;
    let rows = view.table(table).await.map_err(broken)?;
    let rows =
        rows.ok_or_else(|| FormError::Broken(format!("the epoch names {} and lacks it", table.name)))?;
    if form == Form::Csv {
        return Ok(Body::from_stream(csv::stream(selection.choose(table, rows)?)));
    }
    let place = tokio::time::timeout(WAIT_MAX, MAKING.acquire()).await;
    let place = place.map_err(|_| FormError::Busy)?.map_err(broken)?;
    let snapshot = snapshot.clone();
    let made = tokio::task::spawn_blocking(move || {
        // Kept until it is made, even if the reader goes away.
        let _place = place;
        let manifest = &snapshot.manifest;
        let rows = selection.choose(table, rows)?;
        match form {
            Form::Xlsx => xlsx::encode(table, &rows, manifest),
            Form::JsonStat => jsonstat::encode(table, &rows, manifest, &labels, &selection),
            Form::Csv | Form::Parquet | Form::Schema => {
                to_parquet(&rows, publish::metadata(table.name, manifest.epoch))
                    .map(Into::into)
                    .map_err(broken)
            }
        }
    });
    Ok(Body::from(made.await.map_err(broken)??))
}

fn broken(error: impl std::fmt::Display) -> FormError {
    FormError::Broken(error.to_string())
}

pub(crate) fn etag_of(parts: &[&str]) -> String {
    let digest = sha256_hex(parts.join("\u{1f}").as_bytes());
    format!("\"{}\"", &digest[..32])
}

fn is_known(request: &Request, etag: &str) -> bool {
    files::names_etag(request.headers(), IF_NONE_MATCH.as_str(), etag)
}

/// The answer with its validators; 304 if the reader has it.
fn respond(
    request: &Request,
    table: &Table,
    form: Form,
    manifest: &Manifest,
    etag: &str,
    body: impl FnOnce() -> Result<Body, FormError>,
) -> Result<Response, FormError> {
    let mut response = if is_known(request, etag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let mut response = Response::new(body()?);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(form.media_type()));
        headers.insert(ACCEPT_RANGES, HeaderValue::from_static("none"));
        if matches!(form, Form::Csv | Form::Xlsx) {
            let name =
                format!("attachment; filename=\"{}-{}.{}\"", table.name, manifest.epoch, form.ending());
            headers.extend(HeaderValue::from_str(&name).ok().map(|name| (CONTENT_DISPOSITION, name)));
        }
        response
    };
    response.headers_mut().extend(HeaderValue::from_str(etag).ok().map(|etag| (ETAG, etag)));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    mark(&mut response, table, manifest);
    Ok(response)
}

/// Says which epoch it is, and keeps what is one reader's from others.
fn mark(response: &mut Response, table: &Table, manifest: &Manifest) {
    let headers = response.headers_mut();
    headers.insert(HeaderName::from_static("rettidig-epoch"), HeaderValue::from(manifest.epoch));
    if table.closed {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
        headers.insert(VARY, HeaderValue::from_static("authorization"));
    }
}

async fn data_package(State(shown): State<Shown>, Extension(reader): Extension<Reader>) -> Response {
    let Some(snapshot) = newest(&shown) else { return no_epoch() };
    Json(package::describe(&snapshot.manifest, &reader, &shown.publisher)).into_response()
}

async fn catalogue(State(shown): State<Shown>, Extension(reader): Extension<Reader>) -> Response {
    let Some(snapshot) = newest(&shown) else { return no_epoch() };
    let document = dcat::describe(&snapshot, &reader, &shown.publisher);
    ([(CONTENT_TYPE, "application/ld+json")], Json(document).0.to_string()).into_response()
}
