//! Who read what is not for everybody: `audit/` in the data folder. [`Log::Explain`] has the readings of records of persons,
//! [`Log::Closed`] those of closed tables.
//!
//! One JSON line a reading: who asked, when, what, of which epoch; never the answer. A line is on the disk before anything of
//! the answer is told, and where it cannot be written there is no answer. Lines are chained: each carries the SHA-256 of the bytes
//! of the one before, so that a line that is changed, taken out or put in breaks the chain from there on. Whoever may write the file
//! can make the chain anew, cut its end off, or change the last line: to notice that, the newest hash is kept elsewhere, where
//! nobody changes it, and [`verify`] is asked to find it again.
//!
//! A line without its end is what a power cut leaves of a reading that was never answered. The next line follows it and
//! carries its hash; [`verify`] counts it apart.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

use crate::RuntimeError;
use crate::store::sha256_hex;

/// What was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Log {
    /// Records of persons, by `explain`.
    Explain,
    /// Closed tables, over HTTP and SQL.
    Closed,
}

impl Log {
    /// Both of them.
    pub const ALL: [Self; 2] = [Self::Explain, Self::Closed];

    /// Where the lines are, in the data folder.
    pub fn file(self) -> &'static str {
        match self {
            Self::Explain => "audit/explain.jsonl",
            Self::Closed => "audit/closed.jsonl",
        }
    }
}

/// What the first line carries as the hash of the one before.
const BEGINNING: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reader {
    /// The user of the operating system.
    pub user: String,
    /// The name that was given beside it.
    #[serde(rename = "as")]
    pub name: Option<String>,
}

/// A line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// SHA-256 of the line before, hex.
    pub previous_sha256: String,
    /// When.
    pub at: String,
    /// Who.
    #[serde(flatten)]
    pub reader: Reader,
    /// What was asked.
    pub question: serde_json::Value,
    /// The newest epoch then.
    pub epoch: u64,
}

/// What [`verify`] found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// Lines.
    pub lines: u64,
    /// Of them those without an end, of readings that were never answered.
    pub unfinished: u64,
    /// SHA-256 of the last line.
    pub last_sha256: String,
    /// The first line, counted from 1, that does not fit the one before it; `None` if all do.
    pub broken_at: Option<u64>,
}

fn stop(attempt: &str, error: impl std::fmt::Display) -> RuntimeError {
    let remedy = "nothing of persons is told without it: see that this user may write there and that the disk is not full";
    RuntimeError::stop(attempt, error, remedy)
}

/// Who runs this process, by name or, if the name is not known, by number.
///
/// # Errors
/// [`RuntimeError::Stop`] if the system does not tell.
pub fn operating_system_user() -> Result<String, RuntimeError> {
    let attempt = "finding out who asks";
    let uid = fs::metadata("/proc/self").map_err(|error| stop(attempt, error))?.uid();
    let accounts = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let of_uid = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    };
    Ok(accounts.lines().find_map(of_uid).unwrap_or_else(|| format!("uid {uid}")))
}

/// The last line of a file and whether it has its end.
fn last_line(file: &mut File) -> std::io::Result<Option<(Vec<u8>, bool)>> {
    let length = file.seek(SeekFrom::End(0))?;
    let mut window = 1 << 12;
    loop {
        let from = length.saturating_sub(window);
        file.seek(SeekFrom::Start(from))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        if bytes.is_empty() {
            return Ok(None);
        }
        let is_whole = bytes.last() == Some(&b'\n');
        let line = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
        match line.iter().rposition(|byte| *byte == b'\n') {
            Some(place) => return Ok(Some((line[place + 1..].to_vec(), is_whole))),
            None if from == 0 => return Ok(Some((line.to_vec(), is_whole))),
            None => window *= 2,
        }
    }
}

/// Writes down a reading; it is on the disk when this returns.
///
/// # Errors
/// [`RuntimeError::Stop`] if it cannot be written: then nothing may be told.
pub fn note(
    folder: &Path,
    log: Log,
    reader: &Reader,
    question: serde_json::Value,
    epoch: u64,
    at: DateTime<Utc>,
) -> Result<(), RuntimeError> {
    let path = folder.join(log.file());
    let attempt = format!("writing down in {} who asks", path.display());
    append(&path, |previous_sha256| Reading {
        previous_sha256,
        at: at.to_rfc3339_opts(SecondsFormat::Micros, true),
        reader: reader.clone(),
        question,
        epoch,
    })
    .map_err(|error| stop(&attempt, error))
}

fn append(path: &Path, line: impl FnOnce(String) -> Reading) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let is_new = !path.exists();
    let mut file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
    // Two who ask at once stand in line; the lock goes with the file.
    file.lock()?;
    let (previous, is_whole) = match last_line(&mut file)? {
        Some((line, is_whole)) => (sha256_hex(&line), is_whole),
        None => (BEGINNING.to_owned(), true),
    };
    let mut bytes = if is_whole { Vec::new() } else { vec![b'\n'] };
    serde_json::to_writer(&mut bytes, &line(previous))?;
    bytes.push(b'\n');
    file.write_all(&bytes)?;
    file.sync_all()?;
    if is_new {
        // The names of the file and of its folder must last too.
        File::open(folder)?.sync_all()?;
        if let Some(above) = folder.parent() {
            File::open(above)?.sync_all()?;
        }
    }
    Ok(())
}

/// Checks the chain, and takes out of `kept` those hashes that a line has.
///
/// # Errors
/// [`RuntimeError::Stop`] if the file is there and cannot be read.
pub fn verify(folder: &Path, log: Log, kept: &mut BTreeSet<String>) -> Result<Verified, RuntimeError> {
    let path: PathBuf = folder.join(log.file());
    let mut found = Verified { lines: 0, unfinished: 0, last_sha256: BEGINNING.to_owned(), broken_at: None };
    let attempt = format!("checking {}", path.display());
    let readable = "check that this user may read the file";
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(found),
        Err(error) => return Err(RuntimeError::stop(attempt, error, readable)),
    };
    for line in BufReader::new(file).split(b'\n') {
        let line = line.map_err(|error| RuntimeError::stop(&attempt, error, readable))?;
        found.lines += 1;
        match serde_json::from_slice::<Reading>(&line) {
            Ok(reading) if reading.previous_sha256 == found.last_sha256 => {}
            // What is no line of ours may be the beginning of one; the next one must carry its hash.
            Err(error) if error.is_eof() => found.unfinished += 1,
            _ => {
                found.broken_at = Some(found.lines);
                return Ok(found);
            }
        }
        found.last_sha256 = sha256_hex(&line);
        kept.remove(&found.last_sha256);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ask(folder: &Path, number: u64) {
        let reader = Reader { user: "anna".to_owned(), name: None };
        let at = DateTime::from_timestamp_micros(1_000_000).expect("instant");
        note(
            folder,
            Log::Explain,
            &reader,
            json!({ "indicator": "x".repeat(3_000), "number": number }),
            number,
            at,
        )
        .expect("noted");
    }

    fn lines(folder: &Path) -> Vec<String> {
        let text = fs::read_to_string(folder.join(Log::Explain.file())).expect("the file");
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn every_change_breaks_the_chain() {
        let folder = tempfile::tempdir().expect("folder");
        let folder = folder.path();
        let verify = |folder: &Path, log| super::verify(folder, log, &mut BTreeSet::new());
        assert_eq!(verify(folder, Log::Explain).expect("nothing").lines, 0);
        (1..=4).for_each(|number| ask(folder, number));
        let whole = verify(folder, Log::Explain).expect("verified");
        assert_eq!((whole.lines, whole.unfinished, whole.broken_at), (4, 0, None));
        let lines = lines(folder);
        assert_eq!(whole.last_sha256, sha256_hex(lines[3].as_bytes()));
        let broken = |lines: &[&str]| {
            fs::write(folder.join(Log::Explain.file()), lines.join("\n") + "\n").expect("written");
            verify(folder, Log::Explain).expect("verified").broken_at
        };
        let [a, b, c, d] = [0, 1, 2, 3].map(|line| lines[line].as_str());
        assert_eq!(broken(&[a, c, d]), Some(2), "one is taken out");
        assert_eq!(broken(&[b, c, d]), Some(1), "the first is taken out");
        assert_eq!(broken(&[a, b, b, c, d]), Some(3), "one is put in");
        assert_eq!(broken(&[a, c, b, d]), Some(2), "two are exchanged");
        assert_eq!(broken(&[a, &b.replace("anna", "bent"), c, d]), Some(3), "one is changed");
        assert_eq!(broken(&[a, "", b, c, d]), Some(3), "an empty one is put in");
        assert_eq!(broken(&[a, b, c, d]), None);
    }

    /// Goal: a hash that was kept elsewhere tells what the chain alone cannot.
    #[test]
    fn a_hash_that_was_kept_is_found_again_or_missed() {
        let folder = tempfile::tempdir().expect("folder");
        let folder = folder.path();
        (1..=4).for_each(|number| ask(folder, number));
        let missed = || {
            let kept = [sha256_hex(lines(folder).last().map_or("", String::as_str).as_bytes())];
            move |folder: &Path| {
                let mut kept = BTreeSet::from(kept.clone());
                let verified = verify(folder, Log::Explain, &mut kept).expect("verified");
                (verified.broken_at, kept.len())
            }
        };
        let missed = missed();
        ask(folder, 5);
        assert_eq!(missed(folder), (None, 0), "lines that came later change nothing");
        let file = folder.join(Log::Explain.file());
        let whole = fs::read_to_string(&file).expect("the file");
        let cut = whole.lines().take(3).map(|line| format!("{line}\n")).collect::<String>();
        for (name, text) in [
            ("cut off", cut),
            (
                "the last line changed",
                whole
                    .lines()
                    .take(4)
                    .map(|line| format!("{line}\n").replace("\"number\":4", "\"number\":9"))
                    .collect(),
            ),
        ] {
            fs::write(&file, text).expect("written");
            assert_eq!(missed(folder), (None, 1), "{name}");
        }
        fs::remove_file(&file).expect("removed");
        assert_eq!(missed(folder), (None, 1), "taken away");
        (1..=5).for_each(|number| ask(folder, number + 1));
        assert_eq!(missed(folder), (None, 1), "made anew");
    }

    #[test]
    fn a_line_that_was_cut_off_is_followed_by_whole_ones() {
        let folder = tempfile::tempdir().expect("folder");
        let folder = folder.path();
        (1..=2).for_each(|number| ask(folder, number));
        let text = fs::read_to_string(folder.join(Log::Explain.file())).expect("the file");
        fs::write(folder.join(Log::Explain.file()), &text[..text.len() - 40]).expect("cut off");
        ask(folder, 3);
        let found = verify(folder, Log::Explain, &mut BTreeSet::new()).expect("verified");
        assert_eq!((found.lines, found.unfinished, found.broken_at), (3, 1, None));
    }

    #[test]
    fn without_a_line_there_is_no_answer() {
        let folder = tempfile::tempdir().expect("folder");
        fs::write(folder.path().join("audit"), "in the way").expect("a file in the way");
        let reader = Reader { user: operating_system_user().expect("a user"), name: Some("anna".to_owned()) };
        let at = DateTime::from_timestamp_micros(0).expect("instant");
        let error =
            note(folder.path(), Log::Explain, &reader, json!({}), 1, at).expect_err("refused").to_string();
        assert!(
            error.contains("audit/explain.jsonl") && error.contains("see that this user may write"),
            "{error}"
        );
    }
}
