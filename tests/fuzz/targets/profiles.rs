//! Profiles: any text is a profile or is refused with errors that say where, for each kind of source.
#![no_main]

use std::collections::BTreeMap;
use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use rettidig_connectors::http::tokio_pause;
use rettidig_connectors::pseudonym::PseudonymKey;
use rettidig_connectors::sources::{
    FeedOptions, Options, ProfileError, TableOptions, build_feed, build_table, build_with, names, token_names,
};
use secrecy::SecretString;

fn assert_explained<T>(built: Result<T, ProfileError>) {
    if let Err(error) = built {
        assert!(!error.errors.is_empty(), "a profile is refused without a reason");
        assert!(error.errors.iter().all(|error| !error.is_empty()));
    }
}

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    for name in names() {
        let token = Some(SecretString::from("token"));
        let options = Options { profile_yaml: Some(text), base_url: None, token, pause: tokio_pause() };
        assert_explained(build_with(name, &options));
        assert_explained(token_names(name, Some(text)));
    }
    let key = Arc::new(PseudonymKey::from_text(SecretString::from("key ".repeat(8))).expect("a key"));
    let storage = BTreeMap::new();
    assert_explained(build_feed(
        "feed",
        Some(text),
        &FeedOptions { place: "/", storage: &storage, key: key.clone() },
    ));
    let connection = SecretString::from("postgres://user:password@localhost/database");
    assert_explained(build_table("table", text, &TableOptions { connection, ca_file: None, key }));
});
