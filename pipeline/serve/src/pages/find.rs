//! Finding a jobcentre by name: one that is certain is shown at once.

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::{Link, Page, places};
use crate::Shown;

#[derive(Serialize)]
struct Found {
    asked: String,
    found: Vec<Link>,
}

/// `/jobcentre?q=NAME`.
pub(crate) async fn page(State(_): State<Shown>, page: Page) -> Response {
    if let Err(fault) = page.knows(&["q"]) {
        return page.answer(Err(fault)).await;
    }
    let asked = page.asked("q").unwrap_or_default();
    let found = page.places.near(asked);
    if let [one] = found.as_slice() {
        return (StatusCode::SEE_OTHER, [(LOCATION, places::link(page.language, one).href)]).into_response();
    }
    let found = found.into_iter().map(|found| places::link(page.language, found)).collect();
    let body = page.html("find.html", &Found { asked: asked.to_owned(), found }).await;
    page.answer(body).await
}
