//! A folder on an SFTP server, against OpenSSH, started for the test on a free port.
//!
//! The server comes with the system's packages (scripts/setup.sh). The user who runs the test logs in to it with a key;
//! passwords would need an account of the machine, they are tried in `sftp.rs`.

use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use rettidig_connectors::driver::chain;
use rettidig_connectors::sources::feed_names;
use rettidig_event::{Source, Topic};

use crate::golden::{FEEDS, raw};
use crate::program::{Program, free_port, is_root};
use crate::support::{
    AtFirst, FeedBench, MemorySink, Poller, by_rename, feed_at, feed_start, income_rows, within,
};

const INCOME: &str = "income-101-2026-08-19.csv";

/// The files of a server, which is started and stopped with [`Server::start`] and by dropping what it returns.
struct Server {
    folder: tempfile::TempDir,
    port: u16,
    user: String,
    host_key: String,
}

fn run(command: &mut Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}; `make setup` installs what is missing"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}

/// Makes a key pair.
fn key(file: &Path, kind: &str, passphrase: &str) {
    run(Command::new("ssh-keygen").args(["-q", "-t", kind, "-N", passphrase, "-f"]).arg(file));
}

impl Server {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("folder");
        let path = |name: &str| folder.path().join(name);
        key(&path("host"), "ed25519", "");
        key(&path("stranger"), "ed25519", "");
        let mut known = String::new();
        for (name, kind, passphrase) in
            [("ed25519", "ed25519", ""), ("locked", "ed25519", "hemmelig"), ("ecdsa", "ecdsa", "")]
        {
            key(&path(name), kind, passphrase);
            known += &std::fs::read_to_string(path(&format!("{name}.pub"))).expect("public key");
        }
        std::fs::write(path("known"), known).expect("write");
        std::fs::create_dir(path("drop ø")).expect("folder");
        let fingerprint = run(Command::new("ssh-keygen").arg("-lf").arg(path("host.pub")));
        let host_key = fingerprint.split_whitespace().nth(1).expect("fingerprint").to_owned();
        if is_root() {
            // Where sshd puts its unprivileged part; the system makes it when it starts the service.
            std::fs::DirBuilder::new().recursive(true).mode(0o755).create("/run/sshd").expect("/run/sshd");
        }
        let user = run(Command::new("id").arg("-un"));
        Self { folder, port: free_port(), user, host_key }
    }

    async fn start(&self) -> Program {
        let mut command = Command::new("/usr/sbin/sshd");
        command.args(["-D", "-e", "-f", "/dev/null", "-p", &self.port.to_string()]);
        command.arg("-h").arg(self.path("host"));
        for option in [
            "ListenAddress=127.0.0.1",
            "PidFile=none",
            "UsePAM=no",
            "StrictModes=no",
            "PasswordAuthentication=no",
            "KbdInteractiveAuthentication=no",
            "Subsystem=sftp internal-sftp",
            "LogLevel=VERBOSE",
        ] {
            command.args(["-o", option]);
        }
        command.arg("-o").arg(format!("AuthorizedKeysFile={}", self.path("known").display()));
        Program::start(&mut command, "-TERM", "Server listening on").await.0
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn drop_file(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.path("drop ø").join(name), bytes).expect("write");
    }

    /// A source that reads the folder; `changed` are settings other than those that are right.
    fn source(&self, name: &str, yaml: Option<&str>, changed: &[(&str, &str)]) -> Box<dyn Source> {
        let place = format!("sftp://{}@127.0.0.1:{}{}", self.user, self.port, self.path("drop ø").display());
        let own = self.path("ed25519");
        let mut settings =
            vec![("host_key", self.host_key.as_str()), ("private_key_file", own.to_str().expect("path"))];
        settings.retain(|(key, _)| changed.iter().all(|(other, _)| other != key));
        settings.extend(changed);
        feed_at(name, yaml, &place, &settings).expect("source")
    }
}

/// Goal: a file on the server becomes the events that it becomes in a folder, whatever else lies there, and is read
/// once. Method: the shipped profiles with their fixtures, read from both.
#[test]
fn files_become_the_same_events_as_from_a_folder() {
    within(300, async {
        let server = Server::new();
        let mut sshd = server.start().await;
        for name in [&b"m\xf8de.csv"[..], b"a\nb", "løn #1%20.csv".as_bytes()] {
            std::fs::write(server.path("drop ø").join(std::ffi::OsStr::from_bytes(name)), b"x")
                .expect("write");
        }
        std::fs::create_dir(server.path("drop ø").join("income-101-2026-08-18.csv")).expect("folder");
        symlink("/no/such/file", server.path("drop ø").join("income-101-2026-08-17.csv")).expect("link");
        for (source, name, file) in FEEDS {
            let mut folder = FeedBench::new(source, None);
            folder.drop_file(name, &raw(file));
            server.drop_file(name, &raw(file));
            let mut poller = Poller::new(server.source(source, None, &[]), feed_start());
            poller.reads_as_from(&mut folder, source).await;
        }
        // No session is left behind: each poll had one of its own.
        for _ in 0..3 * feed_names().count() {
            sshd.says("Connection closed by 127.0.0.1").await;
        }
    });
}

#[test]
fn only_the_right_server_is_talked_to_and_only_with_a_known_key() {
    within(300, async {
        let server = Server::new();
        let sshd = server.start().await;
        server.drop_file(INCOME, income_rows(3).as_bytes());
        let profile = by_rename("income");
        let path = |name: &str| server.path(name).to_str().expect("path").to_owned();
        let (locked, ecdsa, stranger) = (path("locked"), path("ecdsa"), path("stranger"));
        for good in [
            vec![("private_key_file", locked.as_str()), ("passphrase", "hemmelig")],
            vec![("private_key_file", ecdsa.as_str())],
        ] {
            let mut poller = Poller::new(server.source("income", Some(&profile), &good), feed_start());
            assert_eq!(poller.polled().await.1.of(Topic::Income).len(), 3);
        }
        let other = "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        for (wrong, expected) in [
            (("host_key", other), "another one than storage.host_key"),
            (("private_key_file", stranger.as_str()), "refused; check user and password or key"),
        ] {
            let mut poller = Poller::new(server.source("income", Some(&profile), &[wrong]), feed_start());
            let error = poller.poll(&mut MemorySink::default()).await.expect_err("refused");
            assert!(chain(&error).contains(expected), "{}", chain(&error));
        }
        drop(sshd);
    });
}

/// Goal: nothing is lost or half noted when the server goes away, in the middle of a file or between polls. Method:
/// it is stopped with its sessions as the first event of a file comes that is larger than what is fetched ahead.
#[test]
fn a_server_that_goes_away_is_an_error_and_nothing_is_lost() {
    const ROWS: usize = 200_000;
    within(300, async {
        let server = Server::new();
        let sshd = server.start().await;
        let body = income_rows(ROWS);
        server.drop_file(INCOME, body.as_bytes());
        let profile = by_rename("income");
        let mut poller = Poller::new(server.source("income", Some(&profile), &[]), feed_start());

        let mut sink = AtFirst::new(async move { drop(sshd) });
        let outcome = poller.poll(&mut sink).await.expect("poll");
        assert_eq!(outcome.failures.len(), 1, "{:?}", outcome.failures);
        let text = chain(&outcome.failures[0]);
        assert!(text.contains(&format!("reading {INCOME}")), "{text}");
        assert!(sink.sink.of(Topic::Income).len() < ROWS && sink.sink.of(Topic::Deliveries).is_empty());
        let error = poller.poll(&mut MemorySink::default()).await.expect_err("nobody there");
        assert!(!error.is_final() && chain(&error).contains("connecting"), "{}", chain(&error));

        let _sshd = server.start().await;
        let (outcome, sink) = poller.polled().await;
        assert!(outcome.failures.is_empty(), "{:?}", outcome.failures);
        let mut folder = FeedBench::new("income", Some(&profile));
        folder.drop_file(INCOME, body.as_bytes());
        let mut expected = MemorySink::default();
        folder.poll(&mut expected).await.expect("poll");
        assert!(sink.of(Topic::Income).len() == ROWS && sink.told() == expected.told());
        assert!(poller.polled().await.1.sent.is_empty());
    });
}
