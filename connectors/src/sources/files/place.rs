//! Where files are: a folder, a bucket of S3, Azure or Google, or a folder on an SFTP server.
//!
//! A folder is listed here and not by the storage crate, which gives up a whole listing for one name that is no
//! text; such names, and whatever else lies there, must not keep the others from being read.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{Error, GetOptions, ObjectMeta, ObjectStore, ObjectStoreExt as _};

mod sftp;

/// The most names of one listing; a folder that holds more needs tidying first.
const NAMES_MAX: usize = 200_000;

/// A place that files arrive in.
pub(super) enum Place {
    Folder { store: LocalFileSystem, folder: PathBuf },
    Bucket { store: Arc<dyn ObjectStore>, prefix: Path },
    Sftp { server: sftp::Server, session: tokio::sync::Mutex<Option<Arc<sftp::Session>>> },
}

/// What lies there: the names that are text, and the files whose names are wanted.
#[derive(Default)]
pub(super) struct Listing {
    pub names: BTreeSet<String>,
    pub files: Vec<(String, ObjectMeta)>,
}

impl Place {
    /// Opens a place: the path of a folder, or `s3://bucket/prefix`, `az://…`, `gs://…`, `sftp://…`. `settings` are the storage
    /// crate's options (`aws_region`, …) by name; they may hold secrets and are not repeated.
    pub(super) fn open(place: &str, settings: &BTreeMap<String, String>) -> Result<Self, String> {
        if place.starts_with("sftp://") {
            let server = sftp::Server::open(place, settings)?;
            return Ok(Self::Sftp { server, session: tokio::sync::Mutex::default() });
        }
        if place.split_once("://").is_some_and(|(scheme, _)| scheme != "file") {
            return bucket(place, settings);
        }
        let folder = place.strip_prefix("file://").unwrap_or(place);
        if !settings.is_empty() {
            return Err("storage: settings are for buckets, this is a folder".to_owned());
        }
        let store = LocalFileSystem::new_with_prefix(folder).map_err(|_| {
            format!("place: {folder:?} is no folder that can be read; make it, or name the one that files arrive in")
        })?;
        Ok(Self::Folder { store, folder: PathBuf::from(folder) })
    }

    /// Lists the place, not what is in folders below it.
    pub(super) async fn list(&self, wanted: impl Fn(&str) -> bool) -> Result<Listing, String> {
        match self {
            Self::Folder { store, folder } => list_folder(store, folder, wanted).await,
            Self::Bucket { store, prefix } => {
                let prefix = (!prefix.as_ref().is_empty()).then_some(prefix);
                let listed = store.list_with_delimiter(prefix).await.map_err(|error| error.to_string())?;
                let mut listing = Listing::default();
                for meta in listed.objects {
                    let Some(name) = meta.location.filename().map(str::to_owned) else { continue };
                    if wanted(&name) {
                        listing.files.push((name.clone(), meta));
                    }
                    listing.names.insert(name);
                }
                Ok(listing)
            }
            Self::Sftp { server, session } => {
                // Each poll begins with a listing: with a session of its own.
                let new = Arc::new(server.connect().await?);
                *session.lock().await = Some(Arc::clone(&new));
                server.list(&new, wanted).await
            }
        }
    }

    /// How a listed file looks now.
    pub(super) async fn head(&self, listed: &ObjectMeta) -> Result<ObjectMeta, Error> {
        match self {
            Self::Folder { store, .. } => store.head(&listed.location).await,
            Self::Bucket { store, .. } => store.head(&listed.location).await,
            Self::Sftp { server, session } => {
                let name = listed.location.filename().unwrap_or_default();
                server.head(&*current(session).await?, name).await
            }
        }
    }

    /// The bytes of a file as it was listed.
    pub(super) async fn pieces(
        &self,
        listed: &ObjectMeta,
    ) -> Result<BoxStream<'static, Result<Bytes, Error>>, Error> {
        let options = GetOptions { if_match: listed.e_tag.clone(), ..GetOptions::default() };
        Ok(match self {
            Self::Folder { store, .. } => store.get_opts(&listed.location, options).await?.into_stream(),
            Self::Bucket { store, .. } => store.get_opts(&listed.location, options).await?.into_stream(),
            Self::Sftp { server, session } => server.pieces(&*current(session).await?, listed).await?,
        })
    }
}

async fn current(
    session: &tokio::sync::Mutex<Option<Arc<sftp::Session>>>,
) -> Result<Arc<sftp::Session>, Error> {
    let none = || Error::Generic { store: "sftp", source: "no session; the next poll makes one".into() };
    session.lock().await.clone().ok_or_else(none)
}

async fn list_folder(
    store: &LocalFileSystem,
    folder: &std::path::Path,
    wanted: impl Fn(&str) -> bool,
) -> Result<Listing, String> {
    let mut listing = Listing::default();
    let mut entries = tokio::fs::read_dir(folder).await.map_err(|error| error.to_string())?;
    let mut seen = 0;
    while let Some(entry) = entries.next_entry().await.map_err(|error| error.to_string())? {
        seen += 1;
        if seen > NAMES_MAX {
            return Err(format!("more than {NAMES_MAX} names; move away what was read"));
        }
        if let Ok(name) = entry.file_name().into_string() {
            listing.names.insert(name);
        }
    }
    for name in listing.names.iter().filter(|name| wanted(name)) {
        // A wanted name is plain; a folder or a file that has gone meanwhile has no head.
        match store.head(&Path::from(name.as_str())).await {
            Ok(meta) => listing.files.push((name.clone(), meta)),
            Err(Error::NotFound { .. }) => {}
            Err(error) => return Err(error.to_string()),
        }
    }
    Ok(listing)
}

fn bucket(place: &str, settings: &BTreeMap<String, String>) -> Result<Place, String> {
    let url = reqwest::Url::parse(place)
        .ok()
        .filter(|url| url.password().is_none())
        .ok_or("place: expected an address such as s3://bucket/prefix, without a password")?;
    let (store, path) = object_store::parse_url_opts(&url, settings)
        .map_err(|_| "place: no such kind of storage, or a setting in `storage` that it does not know")?;
    Ok(Place::Bucket { store: Arc::from(store), prefix: path })
}
