//! A file of the model: header, statement and what it may say, or a reference file. Whatever it holds, loading it ends, and a
//! problem names a line that the file has. The first byte says in which folder it lies.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rettidig_model::{Model, ModelError, SourceFile};

const PATHS: [&str; 8] = [
    "staging/payments.sql",
    "spells/intervals.sql",
    "measures/covered.sql",
    "indicators/newly_registered.sql",
    "tables/freshness.sql",
    "reference/areas.csv",
    "reference/benefits.csv",
    "reference/targets.csv",
];

fuzz_target!(|data: &[u8]| {
    let Some((place, text)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let path = PATHS[usize::from(*place) % PATHS.len()];
    let file = SourceFile { path: path.to_owned(), text: text.to_owned() };
    if let Err(ModelError::Invalid(problems)) = Model::load(vec![file]) {
        for problem in problems.iter().filter(|problem| problem.file == path) {
            assert!(problem.line <= text.lines().count() + 1, "{problem:?}");
        }
    }
});
