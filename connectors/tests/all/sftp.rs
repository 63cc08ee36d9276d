//! A folder on an SFTP server, against a small server in this program that only reads.

use std::collections::{BTreeMap, HashMap};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use rettidig_connectors::driver::{CursorStore, chain, poll_once};
use rettidig_connectors::sources::{FeedOptions, build_feed, default_feed_profile};
use rettidig_event::{ManualClock, Source, Topic};
use russh::keys::ssh_key::private::Ed25519Keypair;
use russh::keys::{HashAlg, PrivateKey};
use russh::server::{Auth, ChannelOpenHandle, Config, Msg, Server as _, Session};
use russh::{Channel, ChannelId};
use russh_sftp::protocol::{Attrs, Data, File, FileAttributes, Handle, Name, OpenFlags, Status, StatusCode};

use crate::support::{MemorySink, test_key, within};

#[derive(Clone)]
struct Server(PathBuf);

struct Connection {
    folder: PathBuf,
    channels: HashMap<ChannelId, Channel<Msg>>,
}

impl russh::server::Server for Server {
    type Handler = Connection;

    fn new_client(&mut self, _: Option<SocketAddr>) -> Connection {
        Connection { folder: self.0.clone(), channels: HashMap::new() }
    }
}

impl russh::server::Handler for Connection {
    type Error = russh::Error;

    async fn auth_password(&mut self, user: &str, password: &str) -> Result<Auth, Self::Error> {
        Ok(if (user, password) == ("kommune", "hemmelig") { Auth::Accept } else { Auth::reject() })
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        self.channels.insert(channel.id(), channel);
        reply.accept().await;
        Ok(())
    }

    async fn subsystem_request(
        &mut self,
        id: ChannelId,
        _: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        if let Some(channel) = self.channels.remove(&id) {
            session.channel_success(id)?;
            let files = Files { folder: self.folder.clone(), listed: false };
            russh_sftp::server::run(channel.into_stream(), files).await;
        }
        Ok(())
    }
}

struct Files {
    folder: PathBuf,
    listed: bool,
}

impl Files {
    fn path(&self, path: &str) -> PathBuf {
        self.folder.join(path.trim_start_matches("/drop").trim_start_matches('/'))
    }

    fn attributes(&self, path: &str) -> Result<FileAttributes, StatusCode> {
        std::fs::metadata(self.path(path))
            .map(|meta| FileAttributes::from(&meta))
            .map_err(|_| StatusCode::NoSuchFile)
    }
}

impl russh_sftp::server::Handler for Files {
    type Error = StatusCode;

    fn unimplemented(&self) -> StatusCode {
        StatusCode::OpUnsupported
    }

    async fn opendir(&mut self, id: u32, path: String) -> Result<Handle, StatusCode> {
        self.listed = false;
        Ok(Handle { id, handle: path })
    }

    async fn readdir(&mut self, id: u32, _: String) -> Result<Name, StatusCode> {
        if std::mem::replace(&mut self.listed, true) {
            return Err(StatusCode::Eof);
        }
        let names = std::fs::read_dir(&self.folder).map_err(|_| StatusCode::Failure)?.flatten();
        let names = names.map(|entry| entry.file_name().to_string_lossy().into_owned());
        let files = names.map(|name| Ok(File::new(name.clone(), self.attributes(&name)?)));
        Ok(Name { id, files: files.collect::<Result<_, StatusCode>>()? })
    }

    async fn stat(&mut self, id: u32, path: String) -> Result<Attrs, StatusCode> {
        Ok(Attrs { id, attrs: self.attributes(&path)? })
    }

    async fn open(
        &mut self,
        id: u32,
        path: String,
        _: OpenFlags,
        _: FileAttributes,
    ) -> Result<Handle, StatusCode> {
        self.attributes(&path)?;
        Ok(Handle { id, handle: path })
    }

    async fn read(&mut self, id: u32, handle: String, offset: u64, len: u32) -> Result<Data, StatusCode> {
        let mut file = std::fs::File::open(self.path(&handle)).map_err(|_| StatusCode::Failure)?;
        file.seek(SeekFrom::Start(offset)).map_err(|_| StatusCode::Failure)?;
        let mut data = Vec::new();
        file.take(u64::from(len)).read_to_end(&mut data).map_err(|_| StatusCode::Failure)?;
        if data.is_empty() { Err(StatusCode::Eof) } else { Ok(Data { id, data }) }
    }

    async fn close(&mut self, id: u32, _: String) -> Result<Status, StatusCode> {
        let (error_message, language_tag) = ("Ok".to_owned(), "en".to_owned());
        Ok(Status { id, status_code: StatusCode::Ok, error_message, language_tag })
    }
}

fn source(port: u16, settings: &[(&str, &str)]) -> Result<Box<dyn Source>, String> {
    let storage: BTreeMap<String, String> =
        settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let profile =
        default_feed_profile("income").expect("profile").replace("{ stable_seconds: 60 }", "rename");
    let place = format!("sftp://kommune@127.0.0.1:{port}/drop");
    let options = FeedOptions { place: &place, storage: &storage, key: test_key() };
    build_feed("income", Some(&profile), &options).map_err(|error| error.to_string())
}

#[test]
fn files_on_a_server_are_read_and_only_from_the_right_one() {
    within(60, async {
        let folder = tempfile::tempdir().expect("folder");
        let key = PrivateKey::from(Ed25519Keypair::from_seed(&[7; 32]));
        let fingerprint = key.public_key().fingerprint(HashAlg::Sha256).to_string();
        let config =
            Config { keys: vec![key], auth_rejection_time: std::time::Duration::ZERO, ..Config::default() };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("socket");
        let port = listener.local_addr().expect("address").port();
        let mut server = Server(folder.path().to_owned());
        let serving = tokio::spawn(async move { server.run_on_socket(Arc::new(config), &listener).await });

        let mut body = "cpr;maaned;loen_kr;timer;indberetning_id;revision\n".to_owned();
        for row in 0..20_000 {
            body.push_str(&format!("6101701234;2026-07;28,00;1;A{row};1\n"));
        }
        std::fs::write(folder.path().join("income-101-2026-08-19.csv"), &body).expect("write");
        std::fs::create_dir(folder.path().join("income-101-2026-08-20.csv")).expect("folder");
        let cursors = tempfile::tempdir().expect("folder");
        let store = CursorStore::new(cursors.path());
        let clock = ManualClock::new("2026-08-20T06:00:00Z".parse().expect("instant"));
        let good = [("host_key", fingerprint.as_str()), ("password", "hemmelig")];
        let mut own = source(port, &good).expect("source");
        for expected in [20_000, 0] {
            let mut sink = MemorySink::default();
            let outcome = poll_once(own.as_mut(), &store, &clock, &mut sink).await.expect("poll");
            assert!(outcome.failures.is_empty(), "{:?}", outcome.failures);
            sink.assert_decodable();
            assert_eq!(sink.of(Topic::Income).len(), expected);
        }
        std::fs::write(folder.path().join("income-101-2026-08-21.csv"), &body[..500]).expect("write");
        let mut sink = MemorySink::default();
        poll_once(own.as_mut(), &store, &clock, &mut sink).await.expect("poll");
        assert!(!sink.sent.is_empty());

        let other = "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        for (settings, expected) in [
            ([("host_key", other), ("password", "hemmelig")], "another one than storage.host_key"),
            ([("host_key", fingerprint.as_str()), ("password", "forkert")], "refused; check user"),
        ] {
            let mut wrong = source(port, &settings).expect("source");
            let error = poll_once(wrong.as_mut(), &store, &clock, &mut MemorySink::default()).await;
            let text = chain(&error.expect_err("refused"));
            assert!(text.contains(expected) && !text.contains("forkert"), "{text}");
        }
        for (settings, expected) in [
            (&[("password", "hemmelig")][..], "storage.host_key"),
            (&[("host_key", other)][..], "either password or private_key_file"),
            (&[("host_key", other), ("pasword", "hemmelig")][..], "storage: expected host_key"),
            (&[("host_key", other), ("private_key_file", "/no/such/key")][..], "no key that can be read"),
        ] {
            let text = source(port, settings).err().expect("refused");
            assert!(text.contains(expected) && !text.contains("hemmelig"), "{text}");
        }
        serving.abort();
    });
}
