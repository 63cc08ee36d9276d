//! The routes below `/data` over a small epoch, as each kind of reader gets them.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use axum::body::to_bytes;
use axum::http::HeaderMap;
use rettidig_event::ManualClock;
use rettidig_model::Model;
use rettidig_model::contract::{self, Kind};
use rettidig_runtime::Store;
use rettidig_runtime::metrics::Metrics;
use rettidig_runtime::reads::{self, Log};
use serde_json::Value;
use tokio::sync::watch;
use tower::ServiceExt;

use super::*;
use crate::access::Access;
use crate::catalogue::Publisher;
use crate::{Ready, tests_manifest};

/// A manifest without tables.
pub(super) fn manifest() -> Manifest {
    tests_manifest()
}

fn column(table: &Table, name: &str, rows: &[Row<'_>]) -> ArrayRef {
    let kind = table.column(name).expect("a column").kind;
    let texts = |of: &dyn Fn(&Row<'_>) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(rows.iter().map(of)))
    };
    match (name, kind) {
        ("value" | "expected_oere", Kind::Float) => {
            Arc::new(Float64Array::from_iter(rows.iter().map(|row| row.value)))
        }
        ("indicator", _) => texts(&|row| row.indicator.to_owned()),
        ("area", _) => texts(&|row| row.area.to_owned()),
        ("area_kind", _) => texts(&|_| "municipality".to_owned()),
        ("period", _) => texts(&|_| "2026-07".to_owned()),
        ("status", _) => texts(&|row| row.status.to_owned()),
        ("unit", _) => texts(&|_| "full-time persons".to_owned()),
        (_, Kind::Text) => texts(&|_| "total".to_owned()),
        (_, Kind::Integer) => Arc::new(Int64Array::from(vec![1; rows.len()])),
        (_, Kind::Float) => Arc::new(Float64Array::from(vec![None::<f64>; rows.len()])),
        (_, Kind::Instant) => {
            Arc::new(TimestampMicrosecondArray::from(vec![0; rows.len()]).with_timezone("UTC"))
        }
        (_, Kind::Date) => Arc::new(arrow::array::Date32Array::from_iter_values((20_000..).take(rows.len()))),
        (_, Kind::Boolean) => Arc::new(arrow::array::BooleanArray::from(vec![true; rows.len()])),
    }
}

struct Row<'a> {
    indicator: &'a str,
    area: &'a str,
    value: Option<f64>,
    status: &'a str,
}

fn rows(table: &Table, rows: &[Row<'_>]) -> RecordBatch {
    let columns = table.columns.iter().map(|one| column(table, one.name, rows)).collect();
    RecordBatch::try_new(table.schema(), columns).expect("rows")
}

/// A data folder with epochs of an open and a closed table, and the server's routes over the newest.
struct Fixture {
    folder: tempfile::TempDir,
    store: Store,
    snapshots: watch::Sender<Option<Arc<Snapshot>>>,
    shown: Shown,
}

const OPEN: &str = "indicators";
const CLOSED: &str = "refund_watch";

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::local(folder.path()).expect("a store");
        let (snapshots, receiver) = watch::channel(None);
        let shown = Shown {
            snapshots: receiver,
            metrics: Arc::new(Metrics::new().expect("metrics")),
            clock: Arc::new(ManualClock::new("2026-08-19T07:58:44Z".parse().expect("an instant"))),
            folder: folder.path().to_owned(),
            ready: Ready::Shows(Arc::default()),
            model: Arc::new(Model::embedded().expect("the model")),
            access: Access::all(Reader::Public),
            publisher: Publisher::default(),
        };
        Self { folder, store, snapshots, shown }
    }

    /// Commits and shows an epoch in which the first figure is `value`.
    async fn commit(&self, epoch: u64, value: f64) {
        let open = rows(
            Table::named(OPEN).expect("a table"),
            &[
                Row {
                    indicator: "full_time_unemployed",
                    area: "0101",
                    value: Some(value),
                    status: "provisional",
                },
                Row { indicator: "full_time_unemployed", area: "0147", value: None, status: "hidden" },
                Row { indicator: "cash_recipients", area: "0101", value: Some(2.5), status: "final" },
            ],
        );
        let closed = rows(
            Table::named(CLOSED).expect("a table"),
            &[
                Row { indicator: "", area: "0101", value: None, status: "final" },
                Row { indicator: "", area: "0147", value: None, status: "final" },
            ],
        );
        let mut manifest = Manifest { epoch, ..tests_manifest() };
        for (name, rows) in [(OPEN, &open), (CLOSED, &closed)] {
            let metadata = publish::metadata(name, epoch);
            let entry = self.store.put_parquet("tables/files", name, rows, metadata).await.expect("written");
            manifest.tables.insert(name.to_owned(), entry);
        }
        assert!(manifest.commit(&self.store).await.expect("committed"));
        let snapshot = Snapshot::read(&self.store, &self.shown.model, manifest).await.expect("read");
        self.snapshots.send_replace(Some(Arc::new(snapshot)));
    }

    async fn get(
        &self,
        reader: Reader,
        path: &str,
        headers: &[(&str, &str)],
    ) -> (StatusCode, HeaderMap, Vec<u8>) {
        let mut request = Request::builder().uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let router = routes(&self.shown).layer(Extension(reader)).with_state(self.shown.clone());
        let response =
            router.oneshot(request.body(Body::empty()).expect("a request")).await.expect("an answer");
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, 1 << 24).await.expect("a body");
        (parts.status, parts.headers, bytes.to_vec())
    }

    async fn text(&self, reader: Reader, path: &str) -> (StatusCode, String) {
        let (status, _, bytes) = self.get(reader, path, &[]).await;
        (status, String::from_utf8(bytes).expect("text"))
    }
}

fn jobcentre(area: &str) -> Reader {
    Reader::Jobcentre { name: "one".to_owned(), areas: Arc::new(BTreeSet::from([area.to_owned()])) }
}

fn operator() -> Reader {
    Reader::Operator { name: "duty".to_owned() }
}

#[tokio::test]
async fn the_cube_keeps_hidden_apart_and_says_what_is_measured() {
    let fixture = Fixture::new();
    let (status, text) = fixture.text(Reader::Public, "/data/indicators.json").await;
    assert_eq!(
        (status, text.as_str()),
        (StatusCode::SERVICE_UNAVAILABLE, "no epoch has been committed yet\n")
    );
    fixture.commit(1, 10.0).await;
    let (status, text) = fixture.text(Reader::Public, "/data/indicators.json").await;
    assert_eq!(status, StatusCode::OK);
    let cube: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(cube["id"], serde_json::json!(["indicator", "area", "benefit", "period", "breakdown"]));
    assert_eq!(cube["size"], serde_json::json!([2, 2, 1, 1, 1]));
    assert_eq!(cube["value"], serde_json::json!({ "0": 2.5, "2": 10.0 }));
    assert_eq!(cube["status"], serde_json::json!({ "2": "provisional", "3": "hidden" }));
    let dimension = &cube["dimension"];
    assert_eq!(dimension["area"]["category"]["label"]["municipality:0101"], "København (kommune)");
    assert_eq!(
        dimension["indicator"]["category"]["unit"]["full_time_unemployed"]["label"],
        "full-time persons"
    );
    assert_eq!(dimension["breakdown"]["category"]["label"]["total"], "i alt");
    assert_eq!(cube["role"]["metric"], serde_json::json!(["indicator"]));

    let (_, text) = fixture.text(Reader::Public, "/data/indicators.json?indicator=cash_recipients").await;
    let cube: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(
        (&cube["size"], &cube["value"]),
        (&serde_json::json!([1; 5].as_slice()), &serde_json::json!({ "0": 2.5 }))
    );
    let (_, text) = fixture.text(Reader::Public, "/data/indicators.json?indicator=none").await;
    let cube: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(
        (&cube["size"], &cube["value"]),
        (&serde_json::json!([0, 0, 0, 0, 0]), &serde_json::json!({}))
    );
}

#[tokio::test]
async fn a_cube_too_large_to_lay_out_is_a_collection_of_smaller_ones() {
    let table = Table::named(OPEN).expect("a table");
    let areas: Vec<String> = (0..1_100).map(|area| format!("{area:04}")).collect();
    let indicators: Vec<String> = (0..1_100).map(|number| format!("i{number}")).collect();
    let figures: Vec<Row<'_>> = areas
        .iter()
        .zip(&indicators)
        .map(|(area, indicator)| Row { indicator, area, value: Some(1.0), status: "final" })
        .collect();
    let (rows, labels) = (rows(table, &figures), Labels::of_model(&Model::embedded().expect("the model")));
    let selection = Selection::of(table, vec![("period".to_owned(), "2026-07".to_owned())]).expect("one");
    let bytes = jsonstat::encode(table, &rows, &manifest(), &labels, &selection).expect("encoded");
    let collection: Value = serde_json::from_slice(&bytes).expect("JSON");
    assert_eq!(collection["class"], "collection");
    let items = collection["link"]["item"].as_array().expect("items");
    assert_eq!(items.len(), 1_100);
    assert_eq!(items[0]["href"], "indicators.json?indicator=i0&period=2026-07");
}

#[tokio::test]
async fn a_closed_table_gives_each_reader_its_own_rows_in_every_form() {
    let fixture = Fixture::new();
    fixture.commit(1, 10.0).await;
    for ending in ["csv", "xlsx", "parquet"] {
        let path = format!("/data/{CLOSED}.{ending}");
        let (status, text) = fixture.text(Reader::Public, &path).await;
        assert_eq!(status, StatusCode::FORBIDDEN);
        assert!(text.contains("token of a jobcentre or an operator"), "{text}");
        let mut seen = Vec::new();
        for reader in [jobcentre("0101"), jobcentre("0147"), operator()] {
            let (status, headers, bytes) = fixture.get(reader.clone(), &path, &[]).await;
            assert_eq!(status, StatusCode::OK, "{path} {reader:?}");
            assert_eq!(headers[CACHE_CONTROL], "private, no-cache");
            assert_eq!(headers[VARY], "authorization");
            let etag = headers[ETAG].clone();
            let known = [("if-none-match", etag.to_str().expect("text"))];
            assert_eq!(fixture.get(reader, &path, &known).await.0, StatusCode::NOT_MODIFIED);
            seen.push((etag, bytes));
        }
        assert!(seen[0] != seen[1] && seen[0].0 != seen[1].0, "one's answer is not another's: {ending}");
        assert!(seen[1].0 != seen[2].0, "{ending}");
    }
    let lines = async |reader| {
        let (_, text) = fixture.text(reader, "/data/refund_watch.csv").await;
        text.lines().skip(1).map(|line| line[..4].to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(lines(jobcentre("0147")).await, ["0147"]);
    assert_eq!(lines(jobcentre("0999")).await, Vec::<String>::new());
    assert_eq!(lines(operator()).await, ["0101", "0147"]);
    let (status, text) = fixture.text(jobcentre("0101"), "/data/refund_watch.csv?area=0147").await;
    assert_eq!((status, text.lines().count()), (StatusCode::OK, 1), "a selection widens nothing");

    let whole = "/data/epochs/1/refund_watch.parquet";
    assert_eq!(fixture.get(Reader::Public, whole, &[]).await.0, StatusCode::FORBIDDEN);
    assert_eq!(fixture.get(jobcentre("0101"), whole, &[]).await.0, StatusCode::FORBIDDEN);
    let lines =
        || reads::verify(fixture.folder.path(), Log::Closed, &mut BTreeSet::new()).expect("verified").lines;
    let before = lines();
    assert_eq!(fixture.get(operator(), whole, &[]).await.0, StatusCode::OK);
    assert_eq!(lines(), before + 1, "who reads a closed file is written down");
    assert_eq!(fixture.get(Reader::Public, "/data/refund_watch.schema.json", &[]).await.0, StatusCode::OK);
}

#[tokio::test]
async fn an_epochs_files_stay_what_they_were_and_say_when_they_are_gone() {
    let fixture = Fixture::new();
    fixture.commit(1, 10.0).await;
    let (_, text) = fixture.text(Reader::Public, "/data/epoch.json").await;
    let described: Value = serde_json::from_str(&text).expect("JSON");
    let table = described["tables"].as_array().expect("tables").iter().find(|one| one["table"] == OPEN);
    let (path, sha256) =
        (table.expect("it")["path"].as_str().expect("a path"), &table.expect("it")["sha256"]);
    assert_eq!(path, "/data/epochs/1/indicators.parquet");
    fixture.commit(2, 11.0).await;
    let (status, headers, whole) = fixture.get(Reader::Public, path, &[]).await;
    assert_eq!((status, sha256_hex(&whole).as_str()), (StatusCode::OK, sha256.as_str().expect("text")));
    assert_eq!(
        (&headers["rettidig-epoch"], &headers[CACHE_CONTROL]),
        (
            &"1".parse().expect("a value"),
            &"public, max-age=31536000, immutable".parse::<HeaderValue>().expect("a value")
        )
    );
    let (status, headers, part) = fixture.get(Reader::Public, path, &[("range", "bytes=4-9")]).await;
    assert_eq!((status, part.as_slice()), (StatusCode::PARTIAL_CONTENT, &whole[4..10]));
    assert_eq!(headers["content-range"], format!("bytes 4-9/{}", whole.len()));
    let (_, newest) = fixture.text(Reader::Public, "/data/epochs/2/_epoch.json").await;
    assert!(newest.contains("/data/epochs/2/indicators.parquet"), "{newest}");

    assert_eq!(
        fixture.get(Reader::Public, "/data/epochs/3/indicators.parquet", &[]).await.0,
        StatusCode::NOT_FOUND
    );
    assert_eq!(
        fixture.get(Reader::Public, "/data/epochs/1/other.parquet", &[]).await.0,
        StatusCode::NOT_FOUND
    );
    let manifest = Manifest::read(&fixture.store, 1).await.expect("read").0;
    std::fs::remove_file(fixture.folder.path().join(&manifest.tables[OPEN].path)).expect("collected");
    for path in [path, "/data/epochs/1/_epoch.json"] {
        let (status, text) = fixture.text(Reader::Public, path).await;
        assert_eq!(status, StatusCode::GONE);
        assert!(text.contains("epoch 1 are no longer kept: the newest is 2"), "{text}");
    }
}

#[tokio::test]
async fn validators_follow_the_rows_and_not_the_epoch() {
    let fixture = Fixture::new();
    fixture.commit(1, 10.0).await;
    let etag = async |path: &str| {
        let (status, headers, _) = fixture.get(Reader::Public, path, &[]).await;
        assert_eq!(status, StatusCode::OK, "{path}");
        headers[ETAG].clone()
    };
    let first = etag("/data/indicators.csv").await;
    let chosen = etag("/data/indicators.csv?area=0101").await;
    assert_ne!(first, chosen);
    assert_ne!(first, etag("/data/indicators.xlsx").await);
    fixture.commit(2, 11.0).await;
    assert_ne!(first, etag("/data/indicators.csv").await, "a figure changed");
    let request = Request::builder().method(Method::HEAD).uri("/data/indicators.xlsx");
    let router = routes(&fixture.shown).layer(Extension(Reader::Public)).with_state(fixture.shown.clone());
    let head = router.oneshot(request.body(Body::empty()).expect("a request")).await.expect("an answer");
    assert_eq!((head.status(), &head.headers()["rettidig-epoch"]), (StatusCode::OK, &HeaderValue::from(2)));
    assert_eq!(head.headers()[CONTENT_DISPOSITION], "attachment; filename=\"indicators-2.xlsx\"");
}

#[tokio::test]
async fn what_is_not_there_says_what_is() {
    let fixture = Fixture::new();
    fixture.commit(1, 10.0).await;
    for (path, expected, words) in [
        ("/data/nothing.csv", StatusCode::NOT_FOUND, "choose one of indicators, refund_watch"),
        ("/data/indicators.ods", StatusCode::NOT_FOUND, "indicators.csv, indicators.xlsx, indicators.json"),
        ("/data/indicators.csv?omraade=0101", StatusCode::BAD_REQUEST, "one of indicator, area_kind, area"),
        ("/data/indicators.parquet?area=0101", StatusCode::BAD_REQUEST, "comes whole"),
    ] {
        let (status, text) = fixture.text(Reader::Public, path).await;
        assert_eq!(status, expected, "{path}");
        assert!(text.contains(words), "{text}");
    }
    let (status, text) = fixture.text(operator(), "/data/refund_watch.json").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(text.contains("refund_watch.csv, refund_watch.xlsx, refund_watch.parquet"), "{text}");
}

/// Goal: the catalogues name what a reader gets, and nothing else. Method: every address of the two documents is asked for, as each
/// kind of reader.
#[tokio::test]
async fn every_address_of_the_catalogues_answers_its_reader() {
    let fixture = Fixture::new();
    fixture.commit(1, 10.0).await;
    for (reader, closed) in [(Reader::Public, 0), (jobcentre("0101"), 3), (operator(), 3)] {
        let (_, text) = fixture.text(reader.clone(), "/data/catalog.jsonld").await;
        let catalogue: Value = serde_json::from_str(&text).expect("JSON");
        let datasets = catalogue["dcat:dataset"].as_array().expect("datasets");
        assert_eq!(datasets.len(), 2);
        let none = Vec::new();
        let mut addresses = Vec::new();
        for dataset in datasets {
            let distributions = dataset["dcat:distribution"].as_array().unwrap_or(&none);
            if dataset["@id"] == "catalog.jsonld#refund_watch" {
                assert_eq!(distributions.len(), closed, "{reader:?}");
            }
            addresses.extend(distributions.iter().map(|one| one["dcat:downloadURL"]["@id"].clone()));
            addresses.push(dataset["dct:conformsTo"]["@id"].clone());
        }
        let (_, text) = fixture.text(reader.clone(), "/data/datapackage.json").await;
        let package: Value = serde_json::from_str(&text).expect("JSON");
        let resources = package["resources"].as_array().expect("resources");
        addresses.extend(resources.iter().map(|resource| resource["path"].clone()));
        for address in &addresses {
            let path = format!("/data/{}", address.as_str().expect("an address"));
            assert_eq!(fixture.get(reader.clone(), &path, &[]).await.0, StatusCode::OK, "{path} {reader:?}");
        }
    }
}

#[test]
fn every_measure_and_every_grain_is_a_column_of_its_table() {
    for table in contract::tables() {
        for name in table.grain.iter().copied().chain(table.measure) {
            assert!(table.column(name).is_some(), "{}.{name}", table.name);
        }
        if let Some(measure) = table.measure {
            let kind = table.column(measure).expect("a column").kind;
            assert!(matches!(kind, Kind::Float | Kind::Integer), "{}.{measure}", table.name);
            let kinds = table.grain.iter().map(|name| table.column(name).expect("a column").kind);
            assert!(
                kinds.into_iter().all(|kind| matches!(kind, Kind::Text | Kind::Integer)),
                "{}",
                table.name
            );
        }
    }
}
