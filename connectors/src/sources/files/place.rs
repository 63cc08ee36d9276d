//! Where files are: a folder, a bucket of S3, Azure or Google, or a folder on an SFTP server.
//!
//! A folder is listed here and not by the storage crate, which gives up a whole listing for one name that is no
//! text; such names, and whatever else lies there, must not keep the others from being read. In a bucket they do:
//! a key with a control character or an empty part (`drop//x`) makes the listing an error until it is moved away.
//!
//! A bucket's file is fetched in ranges: each is one short request, so that neither a large file nor a slow receiver
//! of its events meets the storage crate's time limit, and each is of the version that was listed or an error.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    BackoffConfig, Error, GetOptions, ObjectMeta, ObjectStore, ObjectStoreExt as _, ObjectStoreScheme,
    RetryConfig,
};

mod sftp;

/// The most names of one listing; a folder that holds more needs tidying first.
const NAMES_MAX: usize = 200_000;

/// What one request to a bucket fetches at most; so much is in memory.
const RANGE_BYTES: u64 = 4 << 20;

/// Repeats of a request to a bucket; whoever polls tries again anyway, with longer waits.
const REQUEST_REPEATS_MAX: usize = 3;
const REQUEST_REPEATED_FOR: Duration = Duration::from_secs(60);

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
                if listed.objects.len() > NAMES_MAX {
                    return Err(too_many());
                }
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
        Ok(match self {
            Self::Folder { store, .. } => {
                let options = GetOptions { if_match: listed.e_tag.clone(), ..GetOptions::default() };
                store.get_opts(&listed.location, options).await?.into_stream()
            }
            Self::Bucket { store, .. } => ranges(Arc::clone(store), listed.clone()),
            Self::Sftp { server, session } => server.pieces(&*current(session).await?, listed).await?,
        })
    }
}

/// Whether a file is still the one that was listed. The tag decides where there is one: some servers give the time
/// in a listing finer than in an answer about one file (MinIO), and the tag with or without quotes (Azure).
pub(super) fn is_same(listed: &ObjectMeta, now: &ObjectMeta) -> bool {
    let same_version = match (&listed.e_tag, &now.e_tag) {
        (Some(listed), Some(now)) => tag(listed) == tag(now),
        _ => listed.last_modified == now.last_modified,
    };
    same_version && listed.size == now.size
}

/// A tag without its quotes.
fn tag(text: &str) -> &str {
    text.trim_start_matches("W/").trim_matches('"')
}

/// The bytes of an object, range after range.
fn ranges(store: Arc<dyn ObjectStore>, listed: ObjectMeta) -> BoxStream<'static, Result<Bytes, Error>> {
    let if_match = listed.e_tag.as_deref().map(|text| format!("\"{}\"", tag(text)));
    stream::try_unfold((store, listed, if_match, 0), |(store, listed, if_match, from)| async move {
        if from >= listed.size {
            return Ok(None);
        }
        let to = listed.size.min(from + RANGE_BYTES);
        let options = GetOptions {
            if_match: if_match.clone(),
            range: Some((from..to).into()),
            ..GetOptions::default()
        };
        let bytes = store.get_opts(&listed.location, options).await?.bytes().await?;
        Ok(Some((bytes, (store, listed, if_match, to))))
    })
    .boxed()
}

fn too_many() -> String {
    format!("more than {NAMES_MAX} names; move away what was read")
}

async fn current(
    session: &tokio::sync::Mutex<Option<Arc<sftp::Session>>>,
) -> Result<Arc<sftp::Session>, Error> {
    let none = || Error::Generic { store: "sftp", source: "no session; the next poll makes one".into() };
    session.lock().await.clone().ok_or_else(none)
}

/// A file's name as the storage crate's path. As it is: the usual way percent-encodes whatever is not plain ASCII.
fn location(name: &str) -> Path {
    Path::parse(name).unwrap_or_else(|_| Path::from(name))
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
            return Err(too_many());
        }
        if let Ok(name) = entry.file_name().into_string() {
            listing.names.insert(name);
        }
    }
    for name in listing.names.iter().filter(|name| wanted(name)) {
        // A folder or a file that has gone meanwhile has no head.
        match store.head(&location(name)).await {
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
    let (scheme, prefix) = ObjectStoreScheme::parse(&url).map_err(|_| NO_STORAGE)?;
    let retry = RetryConfig {
        backoff: BackoffConfig::default(),
        max_retries: REQUEST_REPEATS_MAX,
        retry_timeout: REQUEST_REPEATED_FOR,
    };
    // What a builder says may quote a setting.
    let unusable = |_| "storage: a setting that cannot be used, or one that is missing";
    let store: Arc<dyn ObjectStore> = match scheme {
        ObjectStoreScheme::AmazonS3 => {
            let builder = AmazonS3Builder::new().with_url(url).with_retry(retry);
            let builder = set(builder, settings, AmazonS3Builder::with_config)?;
            Arc::new(builder.build().map_err(unusable)?)
        }
        ObjectStoreScheme::MicrosoftAzure => {
            let builder = MicrosoftAzureBuilder::new().with_url(url).with_retry(retry);
            let builder = set(builder, settings, MicrosoftAzureBuilder::with_config)?;
            Arc::new(builder.build().map_err(unusable)?)
        }
        ObjectStoreScheme::GoogleCloudStorage => {
            let builder = GoogleCloudStorageBuilder::new().with_url(url).with_retry(retry);
            let builder = set(builder, settings, GoogleCloudStorageBuilder::with_config)?;
            Arc::new(builder.build().map_err(unusable)?)
        }
        _ => return Err(NO_STORAGE.to_owned()),
    };
    Ok(Place::Bucket { store, prefix })
}

const NO_STORAGE: &str = "place: expected a folder, s3://…, az://…, gs://… or sftp://…";

/// Applies the settings; one that is not known is an error, because a misspelt one would be missing in silence.
fn set<Builder, Key: FromStr>(
    mut builder: Builder,
    settings: &BTreeMap<String, String>,
    with: impl Fn(Builder, Key, String) -> Builder,
) -> Result<Builder, String> {
    for (name, value) in settings {
        let key = name.to_ascii_lowercase().parse();
        let key = key.map_err(|_| format!("storage.{name}: this kind of storage knows no such setting"))?;
        builder = with(builder, key, value.clone());
    }
    Ok(builder)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta(e_tag: Option<&str>, modified: &str, size: u64) -> ObjectMeta {
        let last_modified = modified.parse().expect("instant");
        ObjectMeta {
            location: Path::from("x"),
            last_modified,
            size,
            e_tag: e_tag.map(str::to_owned),
            version: None,
        }
    }

    #[test]
    fn the_tag_says_whether_it_is_the_same_file_and_else_the_time() {
        let (fine, coarse) = ("2026-08-20T06:00:00.123Z", "2026-08-20T06:00:00Z");
        let listed = meta(Some("\"a\""), fine, 1);
        assert!(is_same(&listed, &meta(Some("a"), coarse, 1)));
        assert!(!is_same(&listed, &meta(Some("\"b\""), fine, 1)));
        assert!(!is_same(&listed, &meta(Some("\"a\""), fine, 2)));
        assert!(!is_same(&listed, &meta(None, coarse, 1)) && is_same(&listed, &meta(None, fine, 1)));
    }
}
