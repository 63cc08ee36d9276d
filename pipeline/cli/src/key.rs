//! `rettidig key`: the file with the key of the pseudonyms, made, and a person cut out of it.
//!
//! CPR numbers come on stdin, never as arguments, which other users of the machine can see. They are all read before anything
//! is changed, and an error names the line alone.

use std::fs::File;
use std::io::{BufRead as _, ErrorKind, Seek as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, fchown};
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

/// Makes a file that only its owner may read; never over one that is there.
pub fn create(path: &Path, text: &str) -> anyhow::Result<()> {
    let making = || format!("making {}", path.display());
    let mut file = new_file(path).with_context(making)?;
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    if written.is_err() {
        // Half a key is none.
        let _ = std::fs::remove_file(path);
    }
    written.and_then(|()| sync_folder(path)).with_context(making)
}

/// Puts a file in the place of one, with its owner and rights: there is the old one or the whole new one, whenever it is stopped.
fn replace(path: &Path, text: &str) -> anyhow::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let new = PathBuf::from(name);
    let old = std::fs::metadata(path)?;
    // What a run left behind that was stopped.
    match std::fs::remove_file(&new) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    let mut file = new_file(&new).with_context(|| format!("making {}", new.display()))?;
    file.write_all(text.as_bytes())
        .and_then(|()| fchown(&file, Some(old.uid()), Some(old.gid())))
        .and_then(|()| file.set_permissions(old.permissions()))
        .and_then(|()| file.sync_all())
        .and_then(|()| std::fs::rename(&new, path))
        .and_then(|()| sync_folder(path))
        .with_context(|| format!("writing {} anew, with its owner and rights", path.display()))
}

fn new_file(path: &Path) -> std::io::Result<File> {
    File::options().write(true).create_new(true).mode(0o600).open(path)
}

fn folder(path: &Path) -> std::io::Result<File> {
    File::open(path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")))
}

/// A name that was given or taken lasts when its folder is on the disk.
fn sync_folder(path: &Path) -> std::io::Result<()> {
    folder(path)?.sync_all()
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
            create(file, &key.to_text()?)?;
            line(&format!("{} (key_id {})", file.display(), key.key_id()))?;
        }
        Key::Erase(KeyFile { file }) => {
            let numbers = numbers()?;
            anyhow::ensure!(!numbers.is_empty(), "no CPR number on stdin; expected one a line");
            let file = &file.canonicalize().with_context(|| format!("looking for {}", file.display()))?;
            // Two who erase at once stand in line: each begins with what the other left.
            let lock = folder(file)?;
            lock.lock().with_context(|| format!("waiting for the folder of {}", file.display()))?;
            let mut key = PseudonymKey::from_file(file)?;
            let mut erased = 0;
            for cpr in &numbers {
                erased += u64::from(key.erase(cpr)?);
            }
            if erased > 0 {
                let text = key.to_text()?;
                let mut old = File::options().write(true).open(file).with_context(|| {
                    format!("opening {}, which is written over when the new one stands", file.display())
                })?;
                replace(file, &text)?;
                wipe(&mut old).with_context(|| {
                    format!("the new {} stands, but what it was could not be written over", file.display())
                })?;
            }
            let before = numbers.len() as u64 - erased;
            let all = key.erased().unwrap_or_default();
            line(&format!("{erased} erased, {before} were before; {all} in all (key_id {})", key.key_id()))?;
        }
    }
    Ok(())
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
