//! The table poller against a real PostgreSQL, started for the test in a temporary folder on a free port.
//!
//! The server comes with the system's packages (scripts/setup.sh); without it the tests fail and say so. It refuses
//! to run as root: the test then hands the folder to the user `postgres` and starts it as that one.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rettidig_connectors::driver::chain;
use rettidig_connectors::sources::{TableOptions, build_table};
use rettidig_event::Topic;
use secrecy::SecretString;
use tokio_postgres::{Client, NoTls};

use crate::program::{Program, free_port, is_root};
use crate::support::{MemorySink, Poller, feed_start, test_key, within};

const PROFILE: &str = "
source: fagsystem
format: table
decimal: point
dates: [YYYY-MM-DD]
municipality: none
recorded_at: poll
table: { relation: borger.ydelse, key: lbnr, batch_rows: 2, municipality: 101 }
records:
  - event: payment
    op: upsert
    id: \"{uuid}\"
    columns:
      cpr: cpr
      revision: revision
      deleted: slettet
      recorded_at: registreret
      benefit: ydelse
      from: fra
      to: til
      amount: beløb
      hours: timer
codes: { benefit: { kontanthjælp: cash } }
";

const SCHEMA: &str = "
create schema borger;
create table borger.ydelse (
  lbnr bigint generated always as identity primary key, uuid uuid not null default gen_random_uuid(),
  cpr text, revision int not null default 1, slettet boolean not null default false,
  registreret timestamptz not null default '2026-08-02 09:30:00+02', ydelse text default 'Kontanthjælp',
  fra date, til date, \"beløb\" numeric(12,2), timer numeric(6,2));
";

/// A program of the server.
fn server_program(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    if let Ok(versions) = std::fs::read_dir("/usr/lib/postgresql") {
        folders.extend(versions.flatten().map(|version| version.path().join("bin")));
    }
    let found = folders.into_iter().map(|folder| folder.join(name)).find(|program| program.is_file());
    found.unwrap_or_else(|| panic!("no PostgreSQL server (program {name}): `make setup` installs one"))
}

struct Server {
    _program: Program,
    port: u16,
    _folder: tempfile::TempDir,
}

/// As the user `postgres` if this is root: the program takes that one's place, so its id is the server's.
fn command(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]).arg(program);
    command
}

/// A certificate for a name from an authority of its own, and its key, in PEM; the authority's certificate comes last.
fn certificate(name: &str) -> [String; 3] {
    let mut authority = rcgen::CertificateParams::new(Vec::new()).expect("parameters");
    authority.distinguished_name.push(rcgen::DnType::CommonName, format!("authority for {name}"));
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority_key = rcgen::KeyPair::generate().expect("a key");
    let authority_certificate = authority.self_signed(&authority_key).expect("an authority");
    let issuer = rcgen::Issuer::new(authority, authority_key);
    let key = rcgen::KeyPair::generate().expect("a key");
    let server = rcgen::CertificateParams::new(vec![name.to_owned()]).expect("parameters");
    let certificate = server.signed_by(&key, &issuer).expect("a certificate");
    [certificate.pem(), key.serialize_pem(), authority_certificate.pem()]
}

async fn start() -> Server {
    start_with(None).await
}

/// With a certificate and its key nobody is let in without TLS.
async fn start_with(tls: Option<[&str; 2]>) -> Server {
    let (initdb, postgres) = (server_program("initdb"), server_program("postgres"));
    let folder = tempfile::tempdir().expect("folder");
    if is_root() {
        let owned = Command::new("chown").arg("postgres").arg(folder.path()).status().expect("chown");
        assert!(owned.success(), "the user postgres comes with the server's package");
    }
    let data = folder.path().join("data");
    let made = command(&initdb)
        .current_dir(folder.path())
        .args(["--auth=trust", "--username=test", "--encoding=UTF8", "--locale=C", "--no-sync", "-D"])
        .arg(&data)
        .stdout(Stdio::null())
        .status()
        .expect("initdb");
    assert!(made.success(), "initdb");
    let port = free_port();
    let mut command = command(&postgres);
    command.current_dir(folder.path()).arg("-D").arg(&data);
    if let Some(tls) = tls {
        for (name, text) in ["server.crt", "server.key"].into_iter().zip(tls) {
            let file = data.join(name);
            std::fs::write(&file, text).expect("written");
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).expect("permissions");
            if is_root() {
                let owned = Command::new("chown").arg("postgres").arg(&file).status().expect("chown");
                assert!(owned.success());
            }
        }
        std::fs::write(data.join("pg_hba.conf"), "hostssl all all 127.0.0.1/32 trust\n").expect("written");
        command.args(["-c", "ssl=on"]);
    }
    command.args(["-h", "127.0.0.1", "-p", &port.to_string(), "-k", "", "-c", "fsync=off"]);
    // Its own words, whatever language the machine speaks.
    command.env("LC_ALL", "C").args(["-c", "lc_messages=C"]);
    let ready = "database system is ready to accept connections";
    let (program, _) = Program::start(&mut command, "-INT", ready).await;
    Server { _program: program, port, _folder: folder }
}

fn options(address: String) -> TableOptions {
    TableOptions { connection: SecretString::from(address), ca_file: None, key: test_key() }
}

struct Bench {
    server: Server,
    client: Client,
    poller: Poller,
}

impl Server {
    fn address(&self) -> String {
        format!("postgres://test@127.0.0.1:{}/postgres", self.port)
    }

    async fn connect(&self) -> Client {
        let (client, connection) = tokio_postgres::connect(&self.address(), NoTls).await.expect("connection");
        tokio::spawn(connection);
        client
    }
}

impl Bench {
    async fn new(profile: &str) -> Self {
        let server = start().await;
        let client = server.connect().await;
        client.batch_execute(SCHEMA).await.expect("schema");
        let source = build_table("fagsystem", profile, &options(server.address())).expect("source");
        Self { server, client, poller: Poller::new(source, feed_start()) }
    }

    async fn insert(&self, cpr: &str, amount: &str) {
        let sql = format!(
            "insert into borger.ydelse (cpr, fra, til, \"beløb\", timer) \
             values ('{cpr}', '2026-07-01', '2026-07-31', {amount}, 160.33)"
        );
        self.client.batch_execute(&sql).await.expect("insert");
    }
}

#[test]
fn rows_are_read_once_in_batches_and_bad_ones_put_aside() {
    within(300, async {
        let mut bench = Bench::new(PROFILE).await;
        let mut sink = MemorySink::default();
        let outcome = bench.poller.poll(&mut sink).await.expect("poll");
        assert_eq!((outcome.records, sink.sent.len()), (0, 0), "an empty table is no delivery");
        for cpr in ["610170-1234", "7112991235", "610170 1234", "101701234", "8902360004"] {
            bench.insert(cpr, "12500.50").await;
        }
        bench.insert("6101701234", "null").await;
        let outcome = bench.poller.poll(&mut sink).await.expect("poll");
        sink.assert_decodable();
        // Three payments and a delivery; two bad numbers and a missing amount.
        assert_eq!((outcome.records, outcome.dead_letters), (4, 3));
        let payments = sink.of(Topic::Payments);
        assert_eq!(payments[0]["source"], "fagsystem-101");
        assert_eq!(payments[0]["amount_oere"], 1_250_050);
        assert_eq!(payments[0]["minutes"], 9620);
        assert_eq!(payments[0]["recorded_at"], "2026-08-02T07:30:00Z");
        assert_eq!(payments[0]["person"], "fba9276978fad4fb3e89eaece68f10e3");
        for letter in sink.dead_letters() {
            let bytes = letter.original_bytes().expect("base64");
            let text = format!("{} {letter:?}", String::from_utf8_lossy(&bytes));
            assert!(
                text.contains("**********") && !text.contains("01701234") && !text.contains("1234\""),
                "{text}"
            );
        }
        assert_eq!(outcome.cursor["key"], 6);

        // Nothing new, then one more; after a restart of the source the cursor goes on.
        let mut sink = MemorySink::default();
        bench.poller.poll(&mut sink).await.expect("poll");
        assert!(sink.sent.is_empty());
        bench
            .client
            .batch_execute(
                "insert into borger.ydelse (uuid, cpr, revision, slettet) \
            select uuid, cpr, 2, true from borger.ydelse where lbnr = 1",
            )
            .await
            .expect("insert");
        let options = options(bench.server.address());
        bench.poller.source = build_table("fagsystem", PROFILE, &options).expect("source");
        bench.poller.poll(&mut sink).await.expect("poll");
        assert_eq!((sink.of(Topic::Payments).len(), sink.sent.len()), (1, 2));
        assert_eq!(sink.of(Topic::Payments)[0]["op"], "delete");
    });
}

/// Goal: a row whose key is smaller than one already committed is not passed over. Method: a transaction takes a
/// key and stays open while a later one commits.
#[test]
fn a_row_that_is_committed_late_is_not_lost() {
    within(300, async {
        let mut bench = Bench::new(PROFILE).await;
        let slow = bench.server.connect().await;
        slow.batch_execute(
            "begin; insert into borger.ydelse (cpr, fra, til, \"beløb\") values ('6101701234', '2026-07-01', '2026-07-31', 1)",
        )
        .await
        .expect("insert");
        bench.insert("7112991235", "2").await;
        let mut sink = MemorySink::default();
        bench.poller.poll(&mut sink).await.expect("poll");
        assert!(sink.sent.is_empty(), "the second row waits for the first");
        slow.batch_execute("commit").await.expect("commit");
        bench.poller.poll(&mut sink).await.expect("poll");
        let amounts: Vec<_> =
            sink.of(Topic::Payments).iter().map(|event| event["amount_oere"].clone()).collect();
        assert_eq!(amounts, [100, 200]);
    });
}

#[test]
fn what_is_wrong_is_told_without_values() {
    within(300, async {
        let wrong = PROFILE.replace("amount: beløb", "amount: beloeb");
        let mut bench = Bench::new(&wrong).await;
        let error = bench.poller.poll(&mut MemorySink::default()).await.expect_err("no such column");
        assert!(error.is_final() && chain(&error).contains("SQLSTATE 42703"), "{}", chain(&error));
        let port = bench.server.port;
        drop(bench);
        let options = options(format!("postgres://test:hemmelig@127.0.0.1:{port}/postgres"));
        let source = build_table("fagsystem", PROFILE, &options).expect("source");
        let mut poller = Poller::new(source, feed_start());
        let error = poller.poll(&mut MemorySink::default()).await.expect_err("nobody there");
        assert!(!error.is_final() && !chain(&error).contains("hemmelig"), "{}", chain(&error));
    });
}

/// Goal: rows cross the network encrypted, and only from a server that is the one it should be. Method: a PostgreSQL that lets
/// nobody in without TLS; the right authority, another one, none but the system's, and a certificate for another name.
#[test]
fn a_server_is_believed_over_tls_only_with_a_certificate_that_holds() {
    within(300, async {
        let folder = tempfile::tempdir().expect("folder");
        let [of_server, key, authority] = certificate("127.0.0.1");
        let [of_other, other_key, other_authority] = certificate("db.example.org");
        let (ca_file, other_ca_file) = (folder.path().join("ca.pem"), folder.path().join("other.pem"));
        std::fs::write(&ca_file, authority).expect("written");
        std::fs::write(&other_ca_file, other_authority).expect("written");
        let read = async |server: &Server, suffix: &str, ca_file: Option<&Path>| {
            let address = format!("{}{suffix}", server.address());
            let options = TableOptions { ca_file: ca_file.map(Path::to_owned), ..options(address) };
            let source = build_table("fagsystem", PROFILE, &options).expect("source");
            Poller::new(source, feed_start()).poll(&mut MemorySink::default()).await
        };
        let server = start_with(Some([&of_server, &key])).await;
        // The table is not there: whoever hears that has come in.
        let error = read(&server, "", Some(&ca_file)).await.expect_err("no table");
        assert!(chain(&error).contains("SQLSTATE 42P01"), "{}", chain(&error));
        let error = read(&server, "", None).await.expect_err("no TLS");
        assert!(error.is_final() && chain(&error).contains("SQLSTATE 28000"), "{}", chain(&error));
        for (suffix, ca_file) in [("", Some(other_ca_file.as_path())), ("?sslmode=require", None)] {
            let error = chain(&read(&server, suffix, ca_file).await.expect_err("not trusted"));
            assert!(error.contains("UnknownIssuer"), "{error}");
        }
        let server = start_with(Some([&of_other, &other_key])).await;
        let error = chain(&read(&server, "", Some(&other_ca_file)).await.expect_err("another name"));
        assert!(error.contains("not valid for name"), "{error}");

        for (suffix, file, expected) in [
            ("?sslmode=disable", ca_file, "leave sslmode=disable away"),
            ("", folder.path().join("none.pem"), "ca_file: "),
        ] {
            let address = format!("{}{suffix}", server.address());
            let options = TableOptions { ca_file: Some(file), ..options(address) };
            let error = build_table("fagsystem", PROFILE, &options).err().expect("refused").to_string();
            assert!(error.contains(expected), "{error}");
        }
    });
}

#[test]
fn only_this_machine_is_connected_to_without_tls() {
    for address in [
        "postgres://u:hemmelig@db.example.org/x?sslmode=disable",
        "postgres://u@localhost,10.0.0.1/x?sslmode=disable",
        "user=u password=hemmelig",
        "nonsense",
    ] {
        let text =
            build_table("x", PROFILE, &options(address.to_owned())).err().expect("refused").to_string();
        assert!(text.contains("connection: ") && !text.contains("hemmelig"), "{text}");
    }
    let options = options("host=localhost".to_owned());
    for (from, to, expected) in [
        ("format: table", "format: csv", "only with format: table"),
        ("municipality: 101", "municipality: 102", "table.municipality"),
        (", municipality: 101", "", "missing, and the delivery has none either"),
        ("{uuid}", "{uuid}-{line}", "its id must come from its columns"),
        ("recorded_at: poll", "recorded_at: file_name", "a table has no file"),
    ] {
        let text = build_table("x", &PROFILE.replace(from, to), &options).err().expect("refused").to_string();
        assert!(text.contains(expected), "{expected:?} is not in:\n{text}");
    }
}
