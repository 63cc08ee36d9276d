//! Drives the library by hand: `simulate files|ndjson PERSONS MONTHS SEED DIR` or `simulate workload ROWS FILE`.
//! The pseudonym here is a plain hash and protects nobody; the command line uses a keyed one.

use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{BufWriter, Error, ErrorKind, Write};
use std::path::Path;
use std::time::Instant;

use rettidig_simulator::{Simulation, SimulationOptions, payments_workload, write_files, write_ndjson};

fn pseudonym(cpr: &str) -> [u8; 16] {
    let mut bytes = [0; 16];
    for (round, half) in bytes.chunks_exact_mut(8).enumerate() {
        let mut hasher = DefaultHasher::new();
        (round, cpr).hash(&mut hasher);
        half.copy_from_slice(&hasher.finish().to_be_bytes());
    }
    bytes
}

fn main() -> Result<(), Error> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let number = |text: &str| text.parse::<u64>().map_err(|error| Error::new(ErrorKind::InvalidInput, error));
    let started = Instant::now();
    let report = match arguments[..] {
        [form @ ("files" | "ndjson"), persons, months, seed, dir] => {
            let (persons, seed, months) = (number(persons)?, number(seed)?, number(months)? as u32);
            let simulation =
                Simulation::new(&SimulationOptions { persons, seed, months, ..SimulationOptions::default() });
            let write = if form == "files" { write_files } else { write_ndjson };
            format!("{:?}", write(simulation, Path::new(dir), &pseudonym)?)
        }
        ["workload", rows, path] => {
            let options = SimulationOptions { months: 120, ..SimulationOptions::default() };
            let mut out = BufWriter::new(File::create(path)?);
            format!("{:?}", payments_workload(&options, number(rows)?, &pseudonym, &mut out)?)
        }
        _ => return Err(Error::new(ErrorKind::InvalidInput, "see the first lines of the example")),
    };
    writeln!(std::io::stderr(), "{report} in {:.2} s", started.elapsed().as_secs_f64())
}
