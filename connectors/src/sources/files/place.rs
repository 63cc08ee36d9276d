//! Where files are: a folder, or (feature `cloud`) a bucket of S3, Azure or Google.

use std::collections::BTreeMap;
use std::sync::Arc;

use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use object_store::path::Path;

/// Opens a place: the path of a folder, or `s3://bucket/prefix`, `az://…`, `gs://…`. `settings` are the storage
/// crate's options (`aws_region`, …) by name; they may hold secrets and are not repeated.
pub(super) fn open(
    place: &str,
    settings: &BTreeMap<String, String>,
) -> Result<(Arc<dyn ObjectStore>, Path), String> {
    if let Some((scheme, _)) = place.split_once("://").filter(|(scheme, _)| *scheme != "file") {
        return bucket(place, scheme, settings);
    }
    let folder = place.strip_prefix("file://").unwrap_or(place);
    if !settings.is_empty() {
        return Err("storage: settings are for buckets, this is a folder".to_owned());
    }
    let store = LocalFileSystem::new_with_prefix(folder).map_err(|_| {
        format!(
            "place: {folder:?} is no folder that can be read; make it, or name the one that files arrive in"
        )
    })?;
    Ok((Arc::new(store), Path::default()))
}

#[cfg(feature = "cloud")]
fn bucket(
    place: &str,
    _scheme: &str,
    settings: &BTreeMap<String, String>,
) -> Result<(Arc<dyn ObjectStore>, Path), String> {
    let url = reqwest::Url::parse(place)
        .ok()
        .filter(|url| url.password().is_none())
        .ok_or("place: expected an address such as s3://bucket/prefix, without a password")?;
    let (store, path) = object_store::parse_url_opts(&url, settings)
        .map_err(|_| "place: no such kind of storage, or a setting in `storage` that it does not know")?;
    Ok((Arc::from(store), path))
}

#[cfg(not(feature = "cloud"))]
fn bucket(
    _place: &str,
    scheme: &str,
    _settings: &BTreeMap<String, String>,
) -> Result<(Arc<dyn ObjectStore>, Path), String> {
    Err(format!("place: {scheme}:// needs a build with the feature `cloud`; this one reads folders"))
}
