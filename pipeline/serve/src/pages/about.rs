//! Method: what the states mean, what is hidden and why, where figures come from, what an epoch is.

use axum::response::Response;
use serde::Serialize;

use super::indicators::Indicator;
use super::{Fault, Page};

#[derive(Serialize)]
struct Row {
    code: String,
    name: String,
    term: Option<String>,
    about: Indicator,
}

#[derive(Serialize)]
struct About {
    statuses: [&'static str; 5],
    targets: [&'static str; 5],
    indicators: Vec<Row>,
    sql_sha256: String,
    reference_sha256: String,
}

/// `/about`
pub(crate) async fn page(page: Page) -> Response {
    let body = body(&page).await;
    page.answer(body).await
}

async fn body(page: &Page) -> Result<super::Body, Fault> {
    page.knows(&[])?;
    let catalogue = page.indicators().await?;
    let indicators = catalogue.0.iter().map(|(code, about)| Row {
        code: code.clone(),
        name: catalogue.name(page.language, code),
        term: catalogue.term(page.language, code).map(str::to_owned),
        about: about.clone(),
    });
    let manifest = page.view.manifest();
    let about = About {
        statuses: ["final", "provisional", "incomplete", "hidden", "missing"],
        targets: ["on_track", "drifting", "insufficient", "incomplete", "source_late"],
        indicators: indicators.collect(),
        sql_sha256: manifest.sql_sha256.clone(),
        reference_sha256: manifest.reference_sha256.clone(),
    };
    page.html("about.html", &about).await
}
