//! The tables as a Frictionless data package (Data Package 2.0): one resource for the CSV of each table and one for its Parquet file.
//!
//! Paths are relative to the package. The CSV is that of the newest epoch; the Parquet path names the epoch, and its checksum is that of
//! the file.

use rettidig_model::contract::{self, CHANGE_POLICY, Kind, Table};
use rettidig_runtime::{Manifest, publish};
use serde_json::{Value, json};

use super::{ATTRIBUTION, Publisher};
use crate::access::Reader;
use crate::forms::{Form, instant, may_read};

/// The package of an epoch as a reader may see it.
pub(crate) fn describe(manifest: &Manifest, reader: &Reader, publisher: &Publisher) -> Value {
    let seen = contract::tables()
        .filter(|table| manifest.tables.contains_key(table.name) && may_read(table, reader).is_ok());
    let resources: Vec<Value> = seen.flat_map(|table| resources(table, manifest, reader)).collect();
    json!({
        "$schema": "https://datapackage.org/profiles/2.0/datapackage.json",
        "name": "rettidig",
        "title": "Rettidig: tal om beskæftigelsesindsatsen",
        "description": "Published tables of one epoch: official and municipal figures about Danish employment policy. \
            status keeps hidden, missing, provisional and final apart; a missing value is empty and never 0.",
        "version": format!("0.0.{}", manifest.epoch),
        "created": instant(manifest.committed_at),
        "licenses": [{ "path": publisher.licence }],
        "contributors": [{ "title": publisher.name, "roles": ["publisher"] }],
        "sources": [{ "title": ATTRIBUTION }],
        "rettidig": { "epoch": manifest.epoch, "as_of": manifest.as_of, "change_policy": CHANGE_POLICY },
        "resources": resources,
    })
}

fn resources(table: &Table, manifest: &Manifest, reader: &Reader) -> Vec<Value> {
    let entry = &manifest.tables[table.name];
    let csv = json!({
        "name": table.name,
        "type": "table",
        "path": format!("{}.csv", table.name),
        "title": table.danish,
        "description": table.description,
        "format": "csv",
        "mediatype": "text/csv",
        "encoding": "utf-8",
        "dialect": { "delimiter": ",", "lineTerminator": "\r\n", "quoteChar": "\"", "doubleQuote": true },
        "schema": schema(table),
        "rettidig": {
            "version": table.version,
            "changes": table.changes.text(),
            "description_da": table.danish_description,
            "closed": table.closed,
        },
    });
    let mut resources = vec![csv];
    // The file holds the rows of all areas.
    if !table.closed || reader.areas().is_none() {
        resources.push(json!({
            "name": format!("{}-parquet", table.name),
            "path": format!("epochs/{}/{}.parquet", manifest.epoch, table.name),
            "title": table.danish,
            "description": table.description,
            "format": Form::Parquet.ending(),
            "mediatype": Form::Parquet.media_type(),
            "bytes": entry.bytes,
            "hash": format!("sha256:{}", entry.sha256),
        }));
    }
    resources
}

fn schema(table: &Table) -> Value {
    let fields: Vec<Value> = table
        .columns
        .iter()
        .map(|column| {
            let (kind, format) = match column.kind {
                Kind::Text => ("string", None),
                Kind::Integer => ("integer", None),
                Kind::Float => ("number", None),
                Kind::Date => ("date", None),
                Kind::Instant => ("datetime", Some("any")),
                Kind::Boolean => ("boolean", None),
            };
            let mut field = json!({
                "name": column.name,
                "type": kind,
                "format": format.unwrap_or("default"),
                "title": column.danish,
                "description": column.description,
                "unit": publish::unit(column),
                "constraints": { "required": !column.nullable },
            });
            if column.kind == Kind::Boolean {
                field["trueValues"] = json!(["true"]);
                field["falseValues"] = json!(["false"]);
            }
            field
        })
        .collect();
    json!({
        "$schema": "https://datapackage.org/profiles/2.0/tableschema.json",
        "fields": fields,
        "missingValues": [""],
        "primaryKey": table.grain,
    })
}
