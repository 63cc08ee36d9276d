//! Goal: readers get one epoch, within limits, and cannot do anything but read. Method: a real driver (tokio-postgres) against an endpoint over
//! snapshots made by hand; what drivers of other languages see is checked in tests/python/test_sql.py.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use arrow::array::{
    ArrayRef, Date32Array, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::array::{BooleanArray, new_null_array};
use arrow::datatypes::DataType;
use rettidig_event::ManualClock;
use rettidig_model::Model;
use rettidig_model::contract::Table;
use rettidig_runtime::metrics::Metrics;
use rettidig_runtime::reads::{self, Log};
use rettidig_runtime::{Manifest, Snapshot};
use tokio::sync::watch;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

use super::{Limits, SqlServer};
use crate::access::Access;
use crate::catalogue::Publisher;
use crate::{Ready, Shown, tests_manifest};

const NOW: &str = "2026-08-25T10:00:00Z";

/// SHA-256 of "secret".
const SECRET: &str = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";

/// Rows of a table: `area` and `value` (where the table has it) as given, the others 0, empty or null.
fn rows(name: &str, areas: &[&str], values: &[f64]) -> (&'static str, RecordBatch) {
    let table = Table::named(name).expect("a table");
    let count = areas.len();
    let columns = table.columns.iter().map(|column| -> ArrayRef {
        match (column.name, column.kind.data_type()) {
            ("area", _) => Arc::new(StringArray::from(areas.to_vec())),
            ("value", _) => Arc::new(Float64Array::from(values.to_vec())),
            (_, kind) if column.nullable => new_null_array(&kind, count),
            (_, DataType::Utf8) => Arc::new(StringArray::from(vec![""; count])),
            (_, DataType::Int64) => Arc::new(Int64Array::from(vec![0; count])),
            (_, DataType::Float64) => Arc::new(Float64Array::from(vec![0.0; count])),
            (_, DataType::Date32) => Arc::new(Date32Array::from(vec![0; count])),
            (_, DataType::Boolean) => Arc::new(BooleanArray::from(vec![false; count])),
            (_, _) => Arc::new(TimestampMicrosecondArray::from(vec![0; count]).with_timezone("UTC")),
        }
    });
    (table.name, RecordBatch::try_new(table.schema(), columns.collect()).expect("rows"))
}

/// An epoch in which every value is the number of the epoch.
fn snapshot(model: &Model, epoch: u32, count: usize) -> Arc<Snapshot> {
    let areas = vec!["0101"; count];
    let tables = BTreeMap::from([
        rows("indicators", &areas, &vec![f64::from(epoch); count]),
        rows("vintages", &areas, &vec![f64::from(epoch); count]),
        rows("refund_watch", &["0101", "0147"], &[1.0, 2.0]),
    ]);
    Arc::new(Snapshot::of_tables(model, Manifest { epoch: u64::from(epoch), ..tests_manifest() }, tables))
}

struct Bench {
    server: SqlServer,
    snapshots: watch::Sender<Option<Arc<Snapshot>>>,
    model: Arc<Model>,
    folder: tempfile::TempDir,
}

impl Bench {
    async fn start(limits: Limits, count: usize) -> Self {
        let folder = tempfile::tempdir().expect("folder");
        let tokens = folder.path().join("tokens.yaml");
        let text = format!("- {{name: koebenhavn, sha256: {SECRET}, role: jobcentre, areas: ['0101']}}\n");
        std::fs::write(&tokens, text).expect("tokens");
        let model = Arc::new(Model::embedded().expect("the model"));
        let snapshots = watch::Sender::new(Some(snapshot(&model, 1, count)));
        let shown = Shown {
            snapshots: snapshots.subscribe(),
            metrics: Arc::new(Metrics::new().expect("metrics")),
            clock: Arc::new(ManualClock::new(NOW.parse().expect("an instant"))),
            folder: PathBuf::from(folder.path()),
            ready: Ready::Shows(Arc::new(AtomicBool::new(true))),
            model: Arc::clone(&model),
            access: Access::from_file(&tokens).expect("tokens"),
            publisher: Publisher::default(),
        };
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let server = SqlServer::start(any, shown, limits, None).await.expect("a server");
        Self { server, snapshots, model, folder }
    }

    async fn connect(
        &self,
        user: &str,
        password: &str,
        database: &str,
    ) -> Result<Client, tokio_postgres::Error> {
        let mut config = tokio_postgres::Config::new();
        config.host("127.0.0.1").port(self.server.address().port());
        config.user(user).password(password).dbname(database);
        let (client, connection) = config.connect(NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    async fn public(&self) -> Client {
        self.connect("public", "", "rettidig").await.expect("connected")
    }
}

fn code(error: &tokio_postgres::Error) -> &str {
    error.code().map_or("", |code| code.code())
}

/// The code of the error with which a statement is refused.
async fn refusal(client: &Client, sql: &str) -> String {
    match client.simple_query(sql).await {
        Ok(_) => panic!("{sql} was answered"),
        Err(error) => code(&error).to_owned(),
    }
}

const SUM: &str = "SELECT min(value), max(value) FROM (SELECT value FROM indicators UNION ALL SELECT value FROM vintages) AS both_of_them";

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_sees_one_epoch_and_a_prepared_one_the_newest() {
    let bench = Bench::start(Limits::default(), 3).await;
    let client = bench.public().await;
    let prepared = client.prepare(SUM).await.expect("prepared");
    let filtered = client
        .prepare("SELECT count(*) FROM indicators WHERE area = $1 AND value >= $2")
        .await
        .expect("prepared with values");
    for epoch in 1..=4_u32 {
        bench.snapshots.send_replace(Some(snapshot(&bench.model, epoch, 3)));
        let row = client.query_one(&prepared, &[]).await.expect("a row");
        assert_eq!((row.get::<_, f64>(0), row.get::<_, f64>(1)), (f64::from(epoch), f64::from(epoch)));
        let row = client.query_one(&filtered, &[&"0101", &f64::from(epoch)]).await.expect("a row");
        assert_eq!(row.get::<_, i64>(0), 3, "epoch {epoch}");
    }
    // Epochs come while statements are planned: never two in one.
    let sender = bench.snapshots.clone();
    let model = Arc::clone(&bench.model);
    let committing = tokio::task::spawn_blocking(move || {
        for epoch in 5..200 {
            sender.send_replace(Some(snapshot(&model, epoch, 3)));
            std::thread::sleep(Duration::from_millis(5));
        }
    });
    let mut seen = std::collections::BTreeSet::new();
    while !committing.is_finished() {
        let row = client.query_one(&prepared, &[]).await.expect("a row");
        assert_eq!(row.get::<_, f64>(0), row.get::<_, f64>(1), "two epochs in one answer");
        seen.insert(row.get::<_, f64>(0).to_string());
    }
    committing.await.expect("committed");
    assert!(seen.len() > 3, "{seen:?}");
    bench.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_but_reading_is_answered() {
    let bench = Bench::start(Limits::default(), 3).await;
    let client = bench.public().await;
    let outside = bench.folder.path().join("outside.parquet").display().to_string();
    for sql in [
        "INSERT INTO indicators SELECT * FROM indicators",
        "DELETE FROM indicators",
        "UPDATE indicators SET value = 0",
        "CREATE TABLE mine AS SELECT 1",
        "CREATE VIEW mine AS SELECT 1",
        "DROP TABLE indicators",
        "TRUNCATE indicators",
        "ALTER TABLE indicators RENAME TO mine",
        "SELECT 1 AS one INTO mine",
        "DECLARE mine CURSOR FOR SELECT 1",
        "PREPARE mine AS SELECT 1",
        "EXPLAIN ANALYZE INSERT INTO indicators SELECT * FROM indicators",
        &format!("COPY indicators TO '{outside}'"),
        &format!("CREATE EXTERNAL TABLE mine STORED AS PARQUET LOCATION '{outside}'"),
        "SET datafusion.runtime.memory_limit = '100G'",
        "SET DATAFUSION.execution.batch_size = 1",
        "SELECT 1; DROP TABLE indicators",
    ] {
        let code = refusal(&client, sql).await;
        assert!(["25006", "42501", "42601", "XX000"].contains(&code.as_str()), "{sql}: {code}");
        let prepared = client.prepare(sql).await.is_err();
        let is_first_answered = sql.starts_with("SELECT 1;");
        assert!(prepared || is_first_answered, "{sql} was prepared");
    }
    assert!(!std::path::Path::new(&outside).exists());
    assert!(client.simple_query(&format!("SELECT * FROM '{outside}'")).await.is_err(), "files are no tables");
    // It still answers, with what drivers say to greet.
    for sql in [
        "BEGIN",
        "SET application_name = 'grafana'",
        "SHOW server_version",
        "SELECT count(*) FROM indicators",
        "COMMIT",
    ] {
        client.simple_query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }
    let plan = client.simple_query("EXPLAIN SELECT * FROM indicators").await.expect("a plan");
    assert!(plan.iter().any(|message| matches!(message, SimpleQueryMessage::Row(_))));
    bench.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn closed_tables_are_for_who_shows_a_token_and_it_is_written_down() {
    let bench = Bench::start(Limits::default(), 3).await;
    let public = bench.public().await;
    let asked = "SELECT area FROM refund_watch ORDER BY area";
    assert_eq!(refusal(&public, asked).await, "42501");
    let behind = "WITH r AS (SELECT * FROM refund_watch) SELECT count(*) FROM indicators WHERE EXISTS (SELECT 1 FROM r)";
    assert_eq!(refusal(&public, behind).await, "42501");
    for (user, password) in
        [("koebenhavn", "wrong"), ("koebenhavn", ""), ("other", "secret"), ("koebenhavn", SECRET)]
    {
        let error = bench.connect(user, password, "rettidig").await.map(drop).expect_err("refused");
        assert_eq!(code(&error), "28P01", "{user}");
    }
    let verified = |lines: u64| {
        let found = reads::verify(bench.folder.path(), Log::Closed, &mut BTreeSet::new()).expect("verified");
        assert_eq!((found.lines, found.broken_at), (lines, None));
    };
    verified(0);
    let own = bench.connect("koebenhavn", "secret", "rettidig").await.expect("connected");
    let rows = own.query(asked, &[]).await.expect("own rows");
    assert_eq!(rows.iter().map(|row| row.get::<_, String>(0)).collect::<Vec<_>>(), ["0101"]);
    verified(1);
    own.simple_query("SELECT count(*) FROM indicators").await.expect("public rows");
    verified(1);
    own.simple_query(behind).await.expect("own rows");
    verified(2);
    // Where it cannot be written down nothing is told.
    let file = bench.folder.path().join(Log::Closed.file());
    std::fs::remove_file(&file).expect("removed");
    std::fs::create_dir(&file).expect("in the way");
    assert_eq!(refusal(&own, asked).await, "58030");
    bench.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_end_a_statement_with_an_error_and_not_with_half_an_answer() {
    let limits = Limits {
        connections: 2,
        statement: Duration::from_millis(1_500),
        rows: 1_000,
        memory_bytes: 4 << 20,
        ..Limits::default()
    };
    let bench = Bench::start(limits, 1_000).await;
    let client = bench.public().await;
    let all = client.query("SELECT value FROM indicators", &[]).await.expect("a thousand rows");
    assert_eq!(all.len(), 1_000);
    let more = "SELECT value FROM indicators UNION ALL SELECT value FROM vintages";
    assert_eq!(refusal(&client, more).await, "54000");
    assert_eq!(code(&client.query(more, &[]).await.expect_err("too many rows")), "54000");
    let long = "SELECT sum(value) FROM generate_series(1, 1000000000000)";
    let pairs = "SELECT count(*) FROM indicators AS a, indicators AS b, indicators AS c, indicators AS d WHERE a.value + b.value + c.value + d.value > 1e9";
    assert_eq!(refusal(&client, pairs).await, "54001");
    assert_eq!(code(&client.query(pairs, &[]).await.expect_err("too many pairs")), "54001");
    client
        .simple_query("SELECT count(*) FROM indicators AS a, indicators AS b")
        .await
        .expect("a million pairs");
    assert_eq!(refusal(&client, long).await, "57014");
    let large = "SELECT array_agg(a.area || b.area) FROM indicators AS a, indicators AS b";
    // Neither kept in memory nor written to a disk.
    let sorted = "SELECT a.area || b.area AS x FROM indicators AS a, indicators AS b ORDER BY x";
    for large in [large, sorted] {
        let error = client.simple_query(large).await.expect_err("too much memory");
        let told = error.as_db_error().expect("told by the server").message().to_owned();
        assert!(told.to_lowercase().contains("memory") || told.contains("Resources exhausted"), "{told}");
    }
    // Two are connected: a third is closed at once.
    let _second = bench.public().await;
    assert!(bench.connect("public", "", "rettidig").await.is_err());
    bench.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_database_says_which_there_are() {
    let bench = Bench::start(Limits::default(), 3).await;
    for database in ["postgres", "rettidig@tomorrow"] {
        let error = bench.connect("public", "", database).await.map(drop).expect_err("refused");
        assert_eq!(code(&error), "3D000", "{database}");
        let told = error.as_db_error().expect("told by the server").message().to_owned();
        assert!(told.contains("rettidig@2026-08-19T06:00:00Z"), "{told}");
    }
    bench.server.stop().await;
}

/// What the clock ends and what the reader ends have the same code; the words tell them apart.
#[tokio::test(flavor = "multi_thread")]
async fn a_statement_is_canceled_by_who_asked_for_it() {
    let bench = Bench::start(Limits::default(), 3).await;
    let client = bench.public().await;
    let token = client.cancel_token();
    let asked = tokio::spawn(async move {
        let long = "SELECT sum(value) FROM generate_series(1, 1000000000000)";
        client.simple_query(long).await.map(drop).expect_err("canceled")
    });
    // Whoever cancels before it runs cancels nothing.
    while !asked.is_finished() {
        token.cancel_query(NoTls).await.expect("told");
        tokio::task::yield_now().await;
    }
    let error = asked.await.expect("ended");
    let told = error.as_db_error().expect("told by the server").message().to_owned();
    assert_eq!(code(&error), "57014");
    assert!(told.contains("user request"), "{told}");
    bench.server.stop().await;
}
