//! `rettidig key`: the file with the key of the pseudonyms, made, and a person cut out of it.
//!
//! CPR numbers come on stdin, never as arguments, which other users of the machine can see. They are all read before anything
//! is changed, and an error names the line alone.

use std::fs::File;
use std::io::{BufRead as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use rettidig_connectors::pseudonym::{Cpr, NODE_BYTES, PseudonymKey};
use zeroize::Zeroizing;

use crate::output::line;

/// What is done to a key.
#[derive(Debug, Subcommand)]
pub enum Key {
    /// Make a key from which single persons can be erased, in a file that only its owner may read. Pseudonyms depend on the key: choose
    /// before the first record is read.
    New(KeyFile),
    /// Erase persons: no pseudonym can be made of their CPR numbers any more, so nobody finds their events again, while all others keep
    /// theirs. Reads the numbers from stdin, one a line. Connectors take the key when they start; what they deliver of those erased is passed
    /// over. Destroy all copies of the file as it was.
    Erase(KeyFile),
}

/// The file of a key.
#[derive(Debug, Args)]
pub struct KeyFile {
    /// The file with the key.
    file: PathBuf,
}

/// Writes a file that only its owner may read: there is the old one or the whole new one, whenever it is stopped.
pub fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let new = path.with_extension("key.new");
    let mut file = File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&new)
        .with_context(|| format!("making {}", new.display()))?;
    file.write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .and_then(|()| std::fs::rename(&new, path))
        .with_context(|| format!("making {}", path.display()))?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .with_context(|| format!("making {}: writing its folder", path.display()))
}

/// Random bytes from the system.
pub fn random() -> anyhow::Result<Zeroizing<[u8; NODE_BYTES]>> {
    let mut random = Zeroizing::new([0; NODE_BYTES]);
    getrandom::fill(random.as_mut_slice()).context("drawing a key from the system's random numbers")?;
    Ok(random)
}

/// Does what is asked.
///
/// # Errors
/// If the file cannot be read or written, or a line is no CPR number; nothing is changed then.
pub fn key(key: &Key) -> anyhow::Result<()> {
    match key {
        Key::New(KeyFile { file }) => {
            anyhow::ensure!(
                !file.exists(),
                "{} is there already; a key that was used is needed as long as its pseudonyms are",
                file.display()
            );
            let key = PseudonymKey::tree(random()?);
            write_key(file, &key)?;
            line(&format!("{} (key_id {})", file.display(), key.key_id()))?;
        }
        Key::Erase(KeyFile { file }) => {
            let mut key = PseudonymKey::from_file(file)?;
            let numbers = numbers()?;
            anyhow::ensure!(!numbers.is_empty(), "no CPR number on stdin; expected one a line");
            let mut erased = 0;
            for cpr in &numbers {
                erased += u64::from(key.erase(cpr)?);
            }
            if erased > 0 {
                let mut old = File::options().write(true).open(file)?;
                write_key(file, &key)?;
                wipe(&mut old).with_context(|| format!("wiping what {} was", file.display()))?;
            }
            let before = numbers.len() as u64 - erased;
            let all = key.erased().unwrap_or_default();
            line(&format!("{erased} erased, {before} were before; {all} in all (key_id {})", key.key_id()))?;
        }
    }
    Ok(())
}

fn write_key(file: &Path, key: &PseudonymKey) -> anyhow::Result<()> {
    write(file, &key.to_text().context("this key is not written")?)
}

/// Writes zeros over a file that no name leads to any more. A disk may have other copies of its blocks.
fn wipe(file: &mut File) -> std::io::Result<()> {
    let mut left = file.metadata()?.len();
    file.rewind()?;
    let zeros = [0; 4096];
    while left > 0 {
        let size = left.min(4096);
        file.write_all(&zeros[..usize::try_from(size).unwrap_or_default()])?;
        left -= size;
    }
    file.sync_all()
}

/// The CPR numbers on stdin.
fn numbers() -> anyhow::Result<Vec<Cpr>> {
    let mut numbers = Vec::new();
    for (index, text) in std::io::stdin().lock().lines().enumerate() {
        let place = || format!("line {} of stdin", index + 1);
        let text = Zeroizing::new(text.with_context(place)?);
        if !text.trim().is_empty() {
            numbers.push(Cpr::parse(&text).with_context(place)?);
        }
    }
    Ok(numbers)
}
