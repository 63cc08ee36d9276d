//! Web pages over one epoch, in Danish and English.
//!
//! | path | what |
//! |---|---|
//! | `/` | to the language that the browser asks for |
//! | `/da/`, `/en/` | freshness of every source, who drifts, what is late or incomplete, the jobcentres |
//! | `/da/jobcentre/0101` | scorecard, targets, vintages, completeness; `report.pdf` and `report.docx` below it |
//! | `/da/compare` | areas side by side |
//! | `/da/compose` | a measure, areas, periods, cuts: table, chart, and as `compose.csv`, `.xlsx`, `.parquet` |
//! | `/da/theory` | the theory of change |
//! | `/da/tables` | every table: what it says, its columns, its files; `/da/tables/indicators` one of them |
//! | `/login` | asks a browser for the name and the token of its reader, and leads to the start page |
//! | `/da/about` | method, states, disclosure, sources |
//!
//! Pages are made here, work without JavaScript, and load nothing from elsewhere. Each asks one [`View`] once: all its figures are of one
//! epoch, and are what its reader may see. Whatever a reader sends goes as a value into SQL and escaped into HTML.

mod about;
mod compare;
mod compose;
mod download;
mod economy;
mod find;
mod indicators;
mod jobcentre;
mod places;
mod rows;
mod start;
mod tables;
mod templates;
pub mod texts;
mod theory;

use axum::Router;
use axum::extract::{Extension, FromRequestParts, Path};
use axum::http::header::{
    ACCEPT_LANGUAGE, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LANGUAGE, CONTENT_SECURITY_POLICY,
    CONTENT_TYPE, ETAG, IF_NONE_MATCH, LOCATION, REFERRER_POLICY, VARY, WWW_AUTHENTICATE,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use minijinja::value::{Serde, Value};
use rettidig_model::ModelError;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use thiserror::Error;
use tokio::sync::Semaphore;

use crate::Shown;
use crate::access::{ASK_BROWSER, Reader};
use crate::forms::FormError;
use crate::view::{View, ViewError};
pub(crate) use jobcentre::Overview;
use places::Places;
use texts::Language;

/// What a page may load and do: its own style sheet and pictures, forms that come back here, nothing else.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; frame-ancestors 'none'; \
                      base-uri 'none'";

const STYLE: &str = include_str!("../../assets/rettidig.css");

/// Pages and charts that are drawn at the same time; others wait.
static DRAWING: Semaphore = Semaphore::const_new(2);

/// Reports and files, which take longer; pages do not wait for them.
static WRITING: Semaphore = Semaphore::const_new(1);

/// The pages; the caller lays a [`Reader`] beside each request.
pub(crate) fn router() -> Router<Shown> {
    let mut router = Router::new()
        .route("/", get(to_language))
        .route("/login", get(login))
        .route("/assets/rettidig.css", get(style));
    for language in Language::ALL {
        let at = |path: &str| format!("/{}{path}", language.code());
        let pages = Router::new()
            .route(&at("/"), get(start::page))
            .route(&at("/jobcentre"), get(find::page))
            .route(&at("/jobcentre/{area}"), get(jobcentre::page))
            .route(&at("/jobcentre/{area}/{report}"), get(jobcentre::report))
            .route(&at("/compare"), get(compare::page))
            .route(&at("/compose"), get(compose::page))
            .route(
                &at("/compose.csv"),
                get(async |page: Page| compose::file(page, download::Form::Csv).await),
            )
            .route(
                &at("/compose.xlsx"),
                get(async |page: Page| compose::file(page, download::Form::Xlsx).await),
            )
            .route(
                &at("/compose.parquet"),
                get(async |page: Page| compose::file(page, download::Form::Parquet).await),
            )
            .route(&at("/theory"), get(theory::page))
            .route(&at("/tables"), get(tables::list))
            .route(&at("/tables/{name}"), get(tables::one))
            .route(&at("/about"), get(about::page))
            .route(&at("/{*other}"), get(unknown))
            .layer(Extension(language));
        let home = at("/");
        router = router.merge(pages).route(
            &format!("/{}", language.code()),
            get(async move || (StatusCode::PERMANENT_REDIRECT, [(LOCATION, home)])),
        );
    }
    router
}

async fn to_language(headers: HeaderMap) -> Response {
    let asked = headers.get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let to = format!("/{}/", Language::accepted(asked).code());
    (StatusCode::TEMPORARY_REDIRECT, [(LOCATION, to.as_str()), (VARY, "accept-language")]).into_response()
}

/// Not below a language: a browser shows what it was given here to all paths beside this one.
async fn login(mut page: Page) -> Response {
    page.language = match page.asked("language") {
        Some("en") => Language::English,
        _ => Language::Danish,
    };
    if page.view.reader().name().is_some() {
        let start = format!("/{}/", page.language.code());
        return (StatusCode::SEE_OTHER, [(LOCATION, start)]).into_response();
    }
    let text = |key| page.language.text(key);
    if !page.has_tokens {
        let what = text("error-no-login");
        return page.answer(Err(Fault::NotFound { what, near: Vec::new() })).await;
    }
    // What is shown to who gives up.
    let asks = Failed { title: text("log-in"), what: text("log-in-how"), near: Vec::new() };
    match page.html("error.html", &asks).await {
        Ok(body) => {
            let reader = page.view.reader();
            let mut response =
                finished(&page.headers, StatusCode::UNAUTHORIZED, body, reader, Some(page.language));
            response.headers_mut().insert(WWW_AUTHENTICATE, ASK_BROWSER);
            response
        }
        Err(fault) => page.answer(Err(fault)).await,
    }
}

async fn style(headers: HeaderMap) -> Response {
    let body = Body { content_type: "text/css; charset=utf-8", name: None, bytes: STYLE.as_bytes().to_vec() };
    finished(&headers, StatusCode::OK, body, &Reader::Public, None)
}

async fn unknown(page: Page, Path(path): Path<String>) -> Response {
    let fault =
        Fault::NotFound { what: page.language.with("error-no-page", &[("path", &path)]), near: Vec::new() };
    page.answer(Err(fault)).await
}

/// Why there is no page.
#[derive(Debug, Error)]
pub(crate) enum Fault {
    /// What is asked for is not there; places that may be meant.
    #[error("{what}")]
    NotFound {
        /// What is not there, in the page's language.
        what: String,
        /// What may be meant: name and address.
        near: Vec<Link>,
    },
    /// The question is none; what was expected.
    #[error("{0}")]
    Refused(String),
    /// A fault of ours.
    #[error("{0}")]
    Broken(String),
}

impl From<ViewError> for Fault {
    fn from(error: ViewError) -> Self {
        Self::broken(&error)
    }
}

impl From<FormError> for Fault {
    fn from(error: FormError) -> Self {
        match error {
            FormError::TooLarge(why) => Self::Refused(why),
            error => Self::broken(&error),
        }
    }
}

impl From<ModelError> for Fault {
    fn from(error: ModelError) -> Self {
        Self::broken(&error)
    }
}

impl Fault {
    /// A fault of ours, with all that is behind it.
    pub(crate) fn broken(error: &dyn std::error::Error) -> Self {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            text = format!("{text}: {cause}");
            source = cause.source();
        }
        Self::Broken(text)
    }
}

/// A name and where it leads.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Link {
    /// What is read.
    pub(crate) name: String,
    /// The address.
    pub(crate) href: String,
}

/// What is sent.
pub(crate) struct Body {
    /// Its type.
    pub(crate) content_type: &'static str,
    /// The name of the file, if it is one to be kept.
    pub(crate) name: Option<String>,
    /// It.
    pub(crate) bytes: Vec<u8>,
}

/// A request for a page, and the epoch that answers it.
pub(crate) struct Page {
    pub(crate) language: Language,
    pub(crate) view: View,
    pub(crate) places: Places,
    /// The query, in its order.
    pub(crate) query: Vec<(String, String)>,
    /// The address without language.
    path: String,
    raw_query: String,
    headers: HeaderMap,
    /// Whether anybody can show a token.
    has_tokens: bool,
}

impl FromRequestParts<Shown> for Page {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, shown: &Shown) -> Result<Self, Response> {
        let language = parts.extensions.get::<Language>().copied().unwrap_or(Language::Danish);
        let reader = parts.extensions.get::<Reader>().cloned().unwrap_or(Reader::Public);
        let broken = |fault: &Fault| {
            tracing::error!(path = %parts.uri.path(), "a page could not be made: {fault}");
            (StatusCode::INTERNAL_SERVER_ERROR, format!("{}\n", language.text("error-broken")))
                .into_response()
        };
        let view = match shown.view(reader) {
            Ok(Some(view)) => view,
            Ok(None) => return Err(not_yet(language, parts).await),
            Err(error) => return Err(broken(&error.into())),
        };
        let raw_query = parts.uri.query().unwrap_or_default().to_owned();
        let query = match axum::extract::Query::try_from_uri(&parts.uri) {
            Ok(axum::extract::Query(query)) => query,
            Err(error) => return Err((StatusCode::BAD_REQUEST, format!("{error}\n")).into_response()),
        };
        let places = Places::of(&view).await.map_err(|fault| broken(&fault))?;
        let path = parts.uri.path();
        let path = path
            .strip_prefix('/')
            .and_then(|path| path.strip_prefix(language.code()))
            .unwrap_or(path)
            .to_owned();
        let headers = parts.headers.clone();
        let has_tokens = shown.access.has_tokens();
        Ok(Self { language, view, places, query, path, raw_query, headers, has_tokens })
    }
}

/// What stands on every page.
#[derive(Debug, Serialize)]
struct Frame {
    lang: &'static str,
    other: &'static str,
    /// This page in the other language.
    other_href: String,
    path: String,
    epoch: Option<Epoch>,
    reader: Option<String>,
    /// Whether a reader can say who he is.
    login: bool,
    version: &'static str,
}

#[derive(Debug, Serialize)]
struct Epoch {
    number: u64,
    as_of: String,
    committed_at: String,
}

#[derive(Serialize)]
struct Whole<'a, T> {
    frame: &'a Frame,
    page: &'a T,
}

#[derive(Serialize)]
struct Failed {
    title: String,
    what: String,
    near: Vec<Link>,
}

impl Page {
    /// Rows of a query, as [`View::query`].
    pub(crate) async fn rows<T: DeserializeOwned>(
        &self,
        name: &str,
        sql: &str,
        values: &[(&str, &str)],
    ) -> Result<Vec<T>, Fault> {
        rows::rows(&self.view.query(name, sql, values).await?)
    }

    /// The first value of a name in the query that is not empty.
    pub(crate) fn asked(&self, name: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(key, value)| key == name && !value.is_empty())
            .map(|(_, value)| value.as_str())
    }

    /// Refuses names in the query that the page does not know: a misspelt one must not silently mean nothing.
    pub(crate) fn knows(&self, names: &[&str]) -> Result<(), Fault> {
        match self.query.iter().find(|(name, _)| !names.contains(&name.as_str())) {
            Some((name, _)) => {
                let values = [("name", name.as_str()), ("names", &names.join(", "))];
                Err(Fault::Refused(self.language.with("error-parameter", &values)))
            }
            None => Ok(()),
        }
    }

    /// Refuses a value that is none of those that are there.
    pub(crate) fn refuse<'a>(
        &self,
        name: &str,
        value: &str,
        choices: impl IntoIterator<Item = &'a str>,
    ) -> Fault {
        let choices: Vec<&str> = choices.into_iter().collect();
        let shown = choices.iter().take(60).copied().collect::<Vec<_>>().join(", ");
        let values = [("name", name), ("value", value), ("choices", shown.as_str())];
        Fault::Refused(self.language.with("error-value", &values))
    }

    fn frame(&self) -> Frame {
        let manifest = self.view.manifest();
        let epoch = Epoch {
            number: manifest.epoch,
            as_of: self.language.date(manifest.as_of),
            committed_at: self.language.instant(manifest.committed_at),
        };
        let login = self.has_tokens && self.view.reader().name().is_none();
        Frame {
            login,
            ..frame(self.language, &self.path, &self.raw_query, Some(epoch), self.view.reader().name())
        }
    }

    /// A template filled with what `page` holds, drawn on a thread of its own.
    pub(crate) async fn html(&self, template: &'static str, page: &impl Serialize) -> Result<Body, Fault> {
        let (language, whole) = (self.language, Value::from(Serde(&Whole { frame: &self.frame(), page })));
        drawn(move || html(language, template, whole)).await
    }

    /// The response to a result, errors as pages too.
    pub(crate) async fn answer(&self, result: Result<Body, Fault>) -> Response {
        let (status, body) = match result {
            Ok(body) => (StatusCode::OK, body),
            Err(fault) => {
                let (status, title, what, near) = self.failed(fault);
                match self.html("error.html", &Failed { title, what, near }).await {
                    Ok(body) => (status, body),
                    Err(fault) => {
                        tracing::error!(path = self.path, "the page of an error could not be made: {fault}");
                        return (StatusCode::INTERNAL_SERVER_ERROR, self.language.text("error-broken"))
                            .into_response();
                    }
                }
            }
        };
        finished(&self.headers, status, body, self.view.reader(), Some(self.language))
    }

    fn failed(&self, fault: Fault) -> (StatusCode, String, String, Vec<Link>) {
        let text = |key| self.language.text(key);
        match fault {
            Fault::NotFound { what, near } => (StatusCode::NOT_FOUND, text("error-not-found"), what, near),
            Fault::Refused(what) => (StatusCode::BAD_REQUEST, text("error-refused"), what, Vec::new()),
            Fault::Broken(why) => {
                // What broke is for who runs the service, not for the reader.
                tracing::error!(path = self.path, "a page could not be made: {why}");
                (StatusCode::INTERNAL_SERVER_ERROR, text("error-ours"), text("error-broken"), Vec::new())
            }
        }
    }
}

/// Draws a page or a chart.
pub(crate) async fn drawn<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    at_turn(&DRAWING, work).await
}

/// Writes a report or a file.
pub(crate) async fn written<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    at_turn(&WRITING, work).await
}

/// Does work of the processor on a thread of its own, so that requests that only wait are not held up.
async fn at_turn<T: Send + 'static>(
    places: &'static Semaphore,
    work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    let turn = places.acquire().await.map_err(|error| Fault::broken(&error))?;
    let done = tokio::task::spawn_blocking(move || {
        let done = work();
        drop(turn);
        done
    });
    done.await.map_err(|error| Fault::broken(&error))?
}

fn html(language: Language, template: &str, context: Value) -> Result<Body, Fault> {
    let text = templates::render(language, template, context).map_err(|error| Fault::broken(&error))?;
    Ok(Body { content_type: "text/html; charset=utf-8", name: None, bytes: text.into_bytes() })
}

fn frame(language: Language, path: &str, query: &str, epoch: Option<Epoch>, reader: Option<&str>) -> Frame {
    let mark = if query.is_empty() { "" } else { "?" };
    Frame {
        lang: language.code(),
        other: language.other().code(),
        other_href: format!("/{}{path}{mark}{query}", language.other().code()),
        path: path.to_owned(),
        epoch,
        reader: reader.map(str::to_owned),
        login: false,
        version: env!("CARGO_PKG_VERSION"),
    }
}

/// Before the first epoch.
async fn not_yet(language: Language, parts: &Parts) -> Response {
    let text = |key| language.text(key);
    let failed = Failed { title: text("error-not-yet"), what: text("error-no-epoch"), near: Vec::new() };
    let frame = frame(language, "/", "", None, None);
    let whole = Value::from(Serde(&Whole { frame: &frame, page: &failed }));
    match html(language, "error.html", whole) {
        Ok(body) => {
            finished(&parts.headers, StatusCode::SERVICE_UNAVAILABLE, body, &Reader::Public, Some(language))
        }
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, format!("{}\n", text("error-no-epoch"))).into_response(),
    }
}

/// The response with what every page says of itself. The tag is that of its bytes: it changes with the epoch, the reader and the program.
fn finished(
    asked: &HeaderMap,
    status: StatusCode,
    body: Body,
    reader: &Reader,
    language: Option<Language>,
) -> Response {
    let etag = format!("\"{}\"", hex::encode(&Sha256::digest(&body.bytes)[..16]));
    let unchanged =
        status == StatusCode::OK && crate::files::names_etag(asked, IF_NONE_MATCH.as_str(), &etag);
    let mut response = if unchanged {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        (status, body.bytes).into_response()
    };
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(body.content_type));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(VARY, HeaderValue::from_static("authorization"));
    let shared = if reader.name().is_some() { "private, no-cache" } else { "no-cache" };
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(shared));
    if let Some(language) = language {
        headers.insert(CONTENT_LANGUAGE, HeaderValue::from_static(language.code()));
    }
    if status == StatusCode::OK
        && let Ok(etag) = HeaderValue::from_str(&etag)
    {
        headers.insert(ETAG, etag);
    }
    if let Some(name) = body.name
        && let Ok(value) = HeaderValue::from_str(&format!("attachment; filename=\"{name}\""))
    {
        headers.insert(CONTENT_DISPOSITION, value);
    }
    response
}
