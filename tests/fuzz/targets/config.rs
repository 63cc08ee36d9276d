//! A configuration file. Whatever it holds, reading it ends, and either it can be used or something is said to be wrong; what
//! is said is bounded by what stands there, whatever its aliases unfold to.
#![no_main]
// Of the program's modules only the reading of a text is called.
#![allow(dead_code)]

use libfuzzer_sys::fuzz_target;

#[path = "../../../pipeline/cli/src/config.rs"]
mod config;
#[path = "../../../pipeline/cli/src/persons.rs"]
mod persons;

// What the two need beside of the program, and of crates that would bring DataFusion.
extern crate self as rettidig_runtime;
extern crate self as rettidig_serve;

use axum::Router;

mod door {
    pub const DEMO_KEY: &str = "never used: no source is built";
}

mod kafka {
    use std::collections::BTreeMap;
    use std::path::PathBuf;

    pub struct KafkaConfig {
        pub brokers: String,
        pub settings: BTreeMap<String, String>,
        pub password_file: Option<PathBuf>,
    }
}

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut errors = Vec::new();
    let config = config::Config::from_text("given.yaml", text, &mut errors);
    assert!(config.is_some() || !errors.is_empty(), "it is of no use and nobody says why");
    // The parser lets aliases unfold to a hundred times what stands there.
    assert!(errors.len() <= 100 * (text.len() + 1), "{} errors", errors.len());
});
