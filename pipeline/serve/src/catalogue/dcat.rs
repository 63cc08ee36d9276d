//! The tables as a catalogue by DCAT-AP 3.0.0 and DCAT-AP-DK 2.0.2: JSON-LD with its context inside.
//!
//! A table is a dataset with one distribution for each form. Addresses are relative to the catalogue, so it is right behind any host
//! name. A closed table is listed as restricted; its distributions are listed for those who may read it. What is named from lists of
//! others (languages, frequencies, licences) says its class here, so that a validator needs no other document.
//!
//! Where the profiles disagree (the type of `dcat:byteSize`, algorithms of checksums), it is DCAT-AP's, which is the newer one.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{AsArray, RecordBatch};
use chrono::{Months, NaiveDate};
use rettidig_model::contract::{self, CHANGE_POLICY, Table};
use rettidig_runtime::{Manifest, Snapshot};
use serde_json::{Value, json};

use super::{ATTRIBUTION, Publisher};
use crate::access::Reader;
use crate::forms::{FORMS, Form, instant, may_read};

/// The EU's lists of codes.
const AUTHORITY: &str = "http://publications.europa.eu/resource/authority";

/// First and last day of the periods of a table.
type Span = (NaiveDate, NaiveDate);

/// The catalogue of an epoch as a reader may see it.
pub(crate) fn describe(snapshot: &Snapshot, reader: &Reader, publisher: &Publisher) -> Value {
    let manifest = &snapshot.manifest;
    let spans = spans(snapshot);
    let tables = contract::tables().filter(|table| manifest.tables.contains_key(table.name));
    let datasets: Vec<Value> =
        tables.map(|table| dataset(table, manifest, spans.get(table.name), reader, publisher)).collect();
    json!({
        "@context": context(),
        "@id": "catalog.jsonld#catalog",
        "@type": "dcat:Catalog",
        "dct:title": languages("Rettidig: tal om beskæftigelsesindsatsen", "Rettidig: figures about employment policy"),
        "dct:description": languages(
            "Offentliggjorte tabeller om beskæftigelsesindsatsen: officielle og kommunale tal, med alle tidligere værdier.",
            "Published tables about Danish employment policy: official and municipal figures, with every earlier value.",
        ),
        "dct:publisher": { "@id": "catalog.jsonld#publisher" },
        "dct:language": languages_used(),
        "dct:license": licence(publisher),
        "dct:rights": rights(),
        "dct:modified": typed("xsd:dateTime", instant(manifest.committed_at)),
        "dct:spatial": authority("country/DNK", "dct:Location"),
        "foaf:homepage": { "@id": "../da/", "@type": "foaf:Document" },
        "dcat:themeTaxonomy": {
            "@id": format!("{AUTHORITY}/data-theme"),
            "@type": "skos:ConceptScheme",
            "dct:title": languages("EU's emner for datasæt", "Data themes of the EU"),
        },
        "dcat:dataset": datasets,
        "@included": [{
            "@id": "catalog.jsonld#publisher",
            "@type": ["foaf:Agent", "vcard:Kind", "vcard:Organization"],
            "foaf:name": publisher.name,
            "vcard:fn": publisher.name,
            "vcard:hasURL": { "@id": publisher.url },
        }],
    })
}

fn context() -> Value {
    json!({
        "dcat": "http://www.w3.org/ns/dcat#",
        "dct": "http://purl.org/dc/terms/",
        "foaf": "http://xmlns.com/foaf/0.1/",
        "vcard": "http://www.w3.org/2006/vcard/ns#",
        "adms": "http://www.w3.org/ns/adms#",
        "owl": "http://www.w3.org/2002/07/owl#",
        "skos": "http://www.w3.org/2004/02/skos/core#",
        "dcatap": "http://data.europa.eu/r5r/",
        "spdx": "http://spdx.org/rdf/terms#",
        "rdfs": "http://www.w3.org/2000/01/rdf-schema#",
        "xsd": "http://www.w3.org/2001/XMLSchema#",
    })
}

/// A code of one of the EU's lists, of a class.
fn authority(code: &str, class: &str) -> Value {
    json!({ "@id": format!("{AUTHORITY}/{code}"), "@type": class })
}

/// A concept of one of the EU's lists, which the profiles want by name.
fn concept(code: &str, danish: &str, english: &str) -> Value {
    let mut concept = authority(code, "skos:Concept");
    concept["skos:prefLabel"] = languages(danish, english);
    concept
}

fn languages_used() -> [Value; 2] {
    ["language/DAN", "language/ENG"].map(|code| authority(code, "dct:LinguisticSystem"))
}

fn licence(publisher: &Publisher) -> Value {
    json!({ "@id": publisher.licence, "@type": "dct:LicenseDocument" })
}

fn rights() -> Value {
    json!({ "@type": "dct:RightsStatement", "rdfs:label": ATTRIBUTION })
}

/// The page of a table.
fn page(table: &Table) -> Value {
    json!({ "@id": format!("../da/tables/{}", table.name), "@type": "foaf:Document" })
}

/// The contract of a table.
fn standard(table: &Table) -> Value {
    json!({ "@id": format!("{}.schema.json", table.name), "@type": "dct:Standard" })
}

fn typed(kind: &str, value: impl Into<String>) -> Value {
    json!({ "@type": kind, "@value": value.into() })
}

fn languages(danish: &str, english: &str) -> Value {
    json!([{ "@language": "da", "@value": danish }, { "@language": "en", "@value": english }])
}

fn dataset(
    table: &Table,
    manifest: &Manifest,
    span: Option<&Span>,
    reader: &Reader,
    publisher: &Publisher,
) -> Value {
    let access = if table.closed { "RESTRICTED" } else { "PUBLIC" };
    let mut dataset = json!({
        "@id": format!("catalog.jsonld#{}", table.name),
        "@type": "dcat:Dataset",
        "dct:identifier": format!("rettidig:{}", table.name),
        "dct:title": languages(table.danish, &table.title()),
        "dct:description": languages(table.danish_description, table.description),
        "dct:publisher": { "@id": "catalog.jsonld#publisher" },
        "dcat:contactPoint": { "@id": "catalog.jsonld#publisher" },
        "dct:accessRights": authority(&format!("access-right/{access}"), "dct:RightsStatement"),
        "dct:accrualPeriodicity": authority(&format!("frequency/{}", table.changes.frequency()), "dct:Frequency"),
        "dct:language": languages_used(),
        "dct:spatial": authority("country/DNK", "dct:Location"),
        "dct:modified": typed("xsd:dateTime", instant(manifest.committed_at)),
        "dct:provenance": { "@type": "dct:ProvenanceStatement", "rdfs:label": ATTRIBUTION },
        "dcat:theme": [
            concept("data-theme/SOCI", "Befolkning og samfund", "Population and society"),
            concept("data-theme/ECON", "Økonomi og finans", "Economy and finance"),
        ],
        "dcat:keyword": [
            { "@language": "da", "@value": "beskæftigelse" },
            { "@language": "da", "@value": "ledighed" },
            { "@language": "en", "@value": "employment" },
        ],
        "dcat:landingPage": page(table),
        "foaf:page": page(table),
        "dct:conformsTo": standard(table),
        "dcat:version": table.version.to_string(),
        "owl:versionInfo": table.version.to_string(),
        "adms:versionNotes": { "@language": "en", "@value": CHANGE_POLICY },
    });
    if let Some((from, to)) = span {
        dataset["dct:temporal"] = json!({
            "@type": "dct:PeriodOfTime",
            "dcat:startDate": typed("xsd:date", from.to_string()),
            "dcat:endDate": typed("xsd:date", to.to_string()),
        });
    }
    if may_read(table, reader).is_ok() {
        let forms = FORMS.into_iter().filter(|form| *form != Form::Schema && form.fits(table));
        let distributions: Vec<Value> =
            forms.map(|form| distribution(table, form, manifest, reader, publisher)).collect();
        dataset["dcat:distribution"] = Value::Array(distributions);
    }
    dataset
}

fn distribution(
    table: &Table,
    form: Form,
    manifest: &Manifest,
    reader: &Reader,
    publisher: &Publisher,
) -> Value {
    let address = format!("{}.{}", table.name, form.ending());
    let (danish, file_type) = match form {
        Form::Csv => ("CSV", "CSV"),
        Form::Xlsx => ("Excel", "XLSX"),
        Form::JsonStat => ("JSON-stat 2.0", "JSON"),
        Form::Parquet | Form::Schema => ("Parquet", "PARQUET"),
    };
    let media_type = form.media_type().split(';').next().unwrap_or_default();
    let mut distribution = json!({
        "@id": format!("catalog.jsonld#{}-{}", table.name, form.ending()),
        "@type": "dcat:Distribution",
        "dct:title": languages(&format!("{} som {danish}", table.danish), &format!("{} as {danish}", table.title())),
        "dct:description": languages(table.danish_description, table.description),
        "dcat:accessURL": { "@id": address },
        "dcat:downloadURL": { "@id": address },
        "dcat:mediaType": {
            "@id": format!("https://www.iana.org/assignments/media-types/{media_type}"),
            "@type": "dct:MediaType",
        },
        "dct:format": authority(&format!("file-type/{file_type}"), "dct:MediaTypeOrExtent"),
        "dcatap:availability": concept("planned-availability/STABLE", "stabil", "stable"),
        "dct:license": licence(publisher),
        "dct:rights": rights(),
        "dct:modified": typed("xsd:dateTime", instant(manifest.committed_at)),
        "dct:conformsTo": standard(table),
    });
    let is_whole = !table.closed || reader.areas().is_none();
    if form == Form::Parquet && is_whole {
        let entry = &manifest.tables[table.name];
        distribution["dcat:byteSize"] = typed("xsd:nonNegativeInteger", entry.bytes.to_string());
        distribution["spdx:checksum"] = json!({
            "@type": "spdx:Checksum",
            "spdx:algorithm": { "@id": "spdx:checksumAlgorithm_sha256", "@type": "spdx:ChecksumAlgorithm" },
            "spdx:checksumValue": typed("xsd:hexBinary", entry.sha256.clone()),
        });
    }
    distribution
}

/// The days that a table's periods cover, by table. Which months there are is no secret of a closed table.
fn spans(snapshot: &Snapshot) -> BTreeMap<&'static str, Span> {
    let whole = snapshot.tables.iter().map(|(name, rows)| (*name, std::slice::from_ref(rows)));
    let monthly = snapshot.monthly.iter().map(|(name, months)| (*name, months.as_slice()));
    whole.chain(monthly).filter_map(|(name, parts)| Some((name, span(parts)?))).collect()
}

fn span(parts: &[RecordBatch]) -> Option<Span> {
    let columns = parts.iter().filter_map(|rows| rows.column_by_name("period"));
    let texts = columns.filter_map(|column| column.as_string_opt::<i32>());
    let periods: BTreeSet<&str> = texts.flat_map(|column| column.iter().flatten()).collect();
    let days: Vec<Span> = periods.into_iter().filter_map(days).collect();
    Some((days.iter().map(|days| days.0).min()?, days.iter().map(|days| days.1).max()?))
}

/// First and last day of a period: `2026-07`, `2026-Q1` or `2026`.
fn days(period: &str) -> Option<Span> {
    let year = period.get(..4)?.parse().ok()?;
    let (month, months) = match period.get(4..)? {
        "" => (1, 12),
        rest => match rest.strip_prefix("-Q") {
            Some(quarter) => (quarter.parse::<u32>().ok()?.checked_sub(1)? * 3 + 1, 3),
            None => (rest.strip_prefix('-')?.parse().ok()?, 1),
        },
    };
    let first = NaiveDate::from_ymd_opt(year, month, 1)?;
    Some((first, first.checked_add_months(Months::new(months))?.pred_opt()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_is_its_days() {
        let shown = |period| days(period).map(|(from, to)| format!("{from} {to}"));
        assert_eq!(shown("2026-07").as_deref(), Some("2026-07-01 2026-07-31"));
        assert_eq!(shown("2026-12").as_deref(), Some("2026-12-01 2026-12-31"));
        assert_eq!(shown("2024-Q1").as_deref(), Some("2024-01-01 2024-03-31"));
        assert_eq!(shown("2026").as_deref(), Some("2026-01-01 2026-12-31"));
        for wrong in ["", "20", "2026-", "2026-13", "2026-Q0", "2026-Q5", "2026-Qx", "ø026"] {
            assert_eq!(shown(wrong), None, "{wrong}");
        }
    }
}
