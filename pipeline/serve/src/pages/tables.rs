//! The published tables: which there are, what their columns mean, and in which forms a reader may take them.

use axum::extract::Path;
use axum::response::Response;
use rettidig_model::contract::{self, Changes, Column, Kind, Table};
use serde::Serialize;

use super::texts::Language;
use super::{Body, Fault, Link, Page};
use crate::forms::{FORMS, Form, may_read, sees_part};

/// Names that are offered for one that is not there.
const NEAR: usize = 5;

/// A table in the list of all.
#[derive(Serialize)]
struct Row {
    code: &'static str,
    name: String,
    about: &'static str,
    changes: &'static str,
    closed: bool,
    /// Rows of the epoch; none where the reader sees only some of them.
    rows: Option<u64>,
}

#[derive(Serialize)]
struct List {
    tables: Vec<Row>,
}

#[derive(Serialize)]
struct One {
    table: Row,
    version: u32,
    grain: &'static [&'static str],
    columns: Vec<ColumnRow>,
    /// Files that the reader may take.
    files: Vec<Link>,
}

#[derive(Serialize)]
struct ColumnRow {
    name: &'static str,
    danish: &'static str,
    kind: &'static str,
    nullable: bool,
    unit: Option<&'static str>,
    description: &'static str,
}

/// `/tables`
pub(crate) async fn list(page: Page) -> Response {
    let body = all(&page).await;
    page.answer(body).await
}

/// `/tables/NAME`
pub(crate) async fn one(page: Page, Path(name): Path<String>) -> Response {
    let body = described(&page, &name).await;
    page.answer(body).await
}

async fn all(page: &Page) -> Result<Body, Fault> {
    page.knows(&[])?;
    let mut tables: Vec<Row> = published(page).map(|table| row(page, table)).collect();
    // What most readers cannot have comes last.
    tables.sort_by_key(|table| table.closed);
    page.html("tables.html", &List { tables }).await
}

async fn described(page: &Page, name: &str) -> Result<Body, Fault> {
    page.knows(&[])?;
    let Some(table) = published(page).find(|table| table.name == name) else {
        let what = page.language.with("error-no-table", &[("name", name)]);
        return Err(Fault::NotFound { what, near: near(page, name) });
    };
    let forms = FORMS.into_iter().filter(|form| form.fits(table));
    let may_take = may_read(table, page.view.reader()).is_ok();
    let files = forms.filter(|form| may_take || *form == Form::Schema).map(|form| {
        let file = format!("{}.{}", table.name, form.ending());
        Link { href: format!("/data/{file}"), name: file }
    });
    let one = One {
        version: table.version,
        grain: table.grain,
        columns: table.columns.iter().map(column).collect(),
        files: files.collect(),
        table: row(page, table),
    };
    page.html("table.html", &one).await
}

/// Tables of the epoch that have a contract.
fn published(page: &Page) -> impl Iterator<Item = &'static Table> {
    let there = &page.view.manifest().tables;
    contract::tables().filter(|table| there.contains_key(table.name))
}

fn row(page: &Page, table: &'static Table) -> Row {
    let reader = page.view.reader();
    let is_whole = may_read(table, reader).is_ok() && !sees_part(table, reader);
    let entry = page.view.manifest().tables.get(table.name).filter(|_| is_whole);
    Row {
        code: table.name,
        name: name(page.language, table),
        about: match page.language {
            Language::Danish => table.danish_description,
            Language::English => table.description,
        },
        changes: match table.changes {
            Changes::Release => "release",
            Changes::Delivery => "delivery",
            Changes::Epoch => "epoch",
        },
        closed: table.closed,
        rows: entry.map(|entry| entry.rows),
    }
}

fn name(language: Language, table: &Table) -> String {
    match language {
        Language::Danish => table.danish.to_owned(),
        Language::English => table.title(),
    }
}

fn link(page: &Page, table: &Table) -> Link {
    let (language, code) = (page.language, table.name);
    Link { name: name(language, table), href: format!("/{}/tables/{code}", language.code()) }
}

/// Tables whose name may have been meant.
fn near(page: &Page, name: &str) -> Vec<Link> {
    let mut tables: Vec<_> = published(page).collect();
    tables.sort_by_cached_key(|table| strsim::damerau_levenshtein(table.name, name));
    tables.into_iter().take(NEAR).map(|table| link(page, table)).collect()
}

fn column(column: &'static Column) -> ColumnRow {
    ColumnRow {
        name: column.name,
        danish: column.danish,
        kind: match column.kind {
            Kind::Text => "text",
            Kind::Integer => "integer",
            Kind::Float => "decimal",
            Kind::Date => "date",
            Kind::Instant => "instant",
            Kind::Boolean => "truth",
        },
        nullable: column.nullable,
        unit: Some(column.unit).filter(|unit| !unit.is_empty()),
        description: column.description,
    }
}
