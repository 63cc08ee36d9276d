//! What OpenSSH (`openssh.rs`) cannot show of SFTP: logging in with a password, which would need an account of the
//! machine, and a server that gives less of a file than it says it has. Against a small server in this program.

use std::collections::HashMap;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rettidig_connectors::driver::chain;
use rettidig_event::{Source, Topic};
use russh::keys::ssh_key::private::Ed25519Keypair;
use russh::keys::{HashAlg, PrivateKey};
use russh::server::{Auth, ChannelOpenHandle, Config, Msg, Server as _, Session};
use russh::{Channel, ChannelId};
use russh_sftp::protocol::{Attrs, Data, File, FileAttributes, Handle, Name, OpenFlags, Status, StatusCode};

use crate::support::{MemorySink, Poller, by_rename, feed_at, feed_start, income_rows, within};

/// A server of this folder; of each file it gives so many bytes at most.
#[derive(Clone)]
struct Server {
    folder: PathBuf,
    bytes_max: Arc<AtomicU64>,
}

struct Connection {
    server: Server,
    channels: HashMap<ChannelId, Channel<Msg>>,
}

impl russh::server::Server for Server {
    type Handler = Connection;

    fn new_client(&mut self, _: Option<SocketAddr>) -> Connection {
        Connection { server: self.clone(), channels: HashMap::new() }
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
            let files = Files { server: self.server.clone(), listed: false };
            russh_sftp::server::run(channel.into_stream(), files).await;
        }
        Ok(())
    }
}

struct Files {
    server: Server,
    listed: bool,
}

impl Files {
    fn path(&self, path: &str) -> PathBuf {
        self.server.folder.join(path.trim_start_matches("/drop").trim_start_matches('/'))
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
        let names = std::fs::read_dir(&self.server.folder).map_err(|_| StatusCode::Failure)?.flatten();
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
        let left = self.server.bytes_max.load(Ordering::Relaxed).saturating_sub(offset);
        file.take(left.min(u64::from(len))).read_to_end(&mut data).map_err(|_| StatusCode::Failure)?;
        if data.is_empty() { Err(StatusCode::Eof) } else { Ok(Data { id, data }) }
    }

    async fn close(&mut self, id: u32, _: String) -> Result<Status, StatusCode> {
        let (error_message, language_tag) = ("Ok".to_owned(), "en".to_owned());
        Ok(Status { id, status_code: StatusCode::Ok, error_message, language_tag })
    }
}

fn source(port: u16, settings: &[(&str, &str)]) -> Result<Box<dyn Source>, String> {
    let place = format!("sftp://kommune@127.0.0.1:{port}/drop");
    feed_at("income", Some(&by_rename("income")), &place, settings)
}

#[test]
fn a_password_opens_it_and_less_than_the_whole_file_is_not_used() {
    within(60, async {
        let folder = tempfile::tempdir().expect("folder");
        let key = PrivateKey::from(Ed25519Keypair::from_seed(&[7; 32]));
        let fingerprint = key.public_key().fingerprint(HashAlg::Sha256).to_string();
        let config =
            Config { keys: vec![key], auth_rejection_time: std::time::Duration::ZERO, ..Config::default() };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("socket");
        let port = listener.local_addr().expect("address").port();
        let bytes_max = Arc::new(AtomicU64::new(500));
        let mut server = Server { folder: folder.path().to_owned(), bytes_max: Arc::clone(&bytes_max) };
        let serving = tokio::spawn(async move { server.run_on_socket(Arc::new(config), &listener).await });

        std::fs::write(folder.path().join("income-101-2026-08-19.csv"), income_rows(100)).expect("write");
        let good = [("host_key", fingerprint.as_str()), ("password", "hemmelig")];
        let mut poller = Poller::new(source(port, &good).expect("source"), feed_start());
        let (outcome, sink) = poller.polled().await;
        assert!(sink.sent.is_empty());
        let failure = chain(outcome.failures.first().expect("a failure"));
        assert!(failure.contains("500 of 3"), "{failure}");
        bytes_max.store(u64::MAX, Ordering::Relaxed);
        assert_eq!(poller.polled().await.1.of(Topic::Income).len(), 100);

        let wrong = [("host_key", fingerprint.as_str()), ("password", "forkert")];
        let mut poller = Poller::new(source(port, &wrong).expect("source"), feed_start());
        let error = poller.poll(&mut MemorySink::default()).await.expect_err("refused");
        let text = chain(&error);
        assert!(text.contains("refused; check user") && !text.contains("forkert"), "{text}");
        serving.abort();
    });
}

#[test]
fn settings_that_cannot_be_right_are_refused() {
    let other = "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    for (settings, expected) in [
        (&[("password", "hemmelig")][..], "storage.host_key"),
        (&[("host_key", other)][..], "either password or private_key_file"),
        (&[("host_key", other), ("pasword", "hemmelig")][..], "storage: expected host_key"),
        (&[("host_key", other), ("private_key_file", "/no/such/key")][..], "no key that can be read"),
    ] {
        let text = source(22, settings).err().expect("refused");
        assert!(text.contains(expected) && !text.contains("hemmelig"), "{text}");
    }
}
