//! From a CPR number to a pseudonym, and the guard that no CPR number goes further than this.
//!
//! `person` is the first 128 bits of HMAC-SHA256(key, the ten digits), as 32 lower-case hex digits: the same
//! person has the same pseudonym in every source that uses the same key, and without the key it can neither be
//! made nor reversed. The key is this crate's alone. It is at least 32 bytes, wiped from memory when dropped,
//! never printed; what may be printed is its [`PseudonymKey::key_id`]. Without a key no person source can be
//! built. What has to be put aside goes through [`redact`] first.
//!
//! The key is one for all, or a [`tree`] of keys, one for each person, of which single persons can be cut out; then each
//! pseudonym is made with the person's own key.

use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use hmac::{Hmac, KeyInit as _, Mac as _};
use rettidig_event::PersonId;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use thiserror::Error;
use zeroize::Zeroizing;

pub use self::cpr::{Cpr, CprError};
pub use self::redact::{contains_cpr, redact};
pub(crate) use self::redact::{redact_digits, redact_text};
pub use self::tree::NODE_BYTES;
use self::tree::{KeyTree, is_tree, mentions_tree};

mod cpr;
mod redact;
mod tree;

/// The shortest key that is accepted, bytes.
pub const KEY_BYTES_MIN: usize = 32;

/// The longest key that is read, bytes; a longer file is something else.
const KEY_BYTES_MAX: usize = 4096;

/// The longest file of a tree that is read, bytes: some twenty thousand persons were erased of it.
const TREE_BYTES_MAX: usize = 64 << 20;

/// Why there is no key to work with.
#[derive(Debug, Error)]
pub enum KeyError {
    /// None was given.
    #[error(
        "no pseudonym key is configured, and person data are never read without one; make one with \
         `openssl rand -hex 32`, keep it in a file that only this service may read, and name that file"
    )]
    Missing,
    /// Too short to be one.
    #[error(
        "the pseudonym key has {bytes} bytes, at least {KEY_BYTES_MIN} are needed; make one with \
         `openssl rand -hex 32`"
    )]
    TooShort {
        /// Its length without the line end.
        bytes: usize,
    },
    /// Too long to be one.
    #[error("the pseudonym key is longer than {KEY_BYTES_MAX} bytes; is this the right file?")]
    TooLong,
    /// A key that everybody guesses.
    #[error(
        "the pseudonym key is one byte again and again: it was wiped, or is no key; take the file that `rettidig key erase` wrote in its place"
    )]
    Guessable,
    /// A tree of keys that cannot be read.
    #[error(
        "line {line} of the key tree: {expected}; take a whole copy from which the same persons, or more, were erased"
    )]
    Tree {
        /// Line of the file.
        line: usize,
        /// What is expected there.
        expected: String,
    },
    /// No more persons can be cut out.
    #[error(
        "a key tree of more than {TREE_BYTES_MAX} bytes is not read: nobody was erased; begin a new tree for new persons"
    )]
    Full,
    /// Nobody can be cut out of a key for all.
    #[error(
        "this key is one for all: a person cannot be erased by it; `rettidig key new` makes a tree, which gives everybody other \
         pseudonyms"
    )]
    OneForAll,
    /// The file cannot be read.
    #[error("reading the pseudonym key from {}; make one with `openssl rand -hex 32`", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
}

/// The key of the pseudonyms.
#[derive(Clone)]
pub struct PseudonymKey(Kind);

#[derive(Clone)]
enum Kind {
    /// The key for all, already taken in; the state is wiped when dropped.
    OneForAll {
        mac: Hmac<Sha256>,
        key_id: String,
    },
    Tree(KeyTree),
}

/// There is no pseudonym: the person was erased.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the person's key was destroyed")]
pub struct Erased;

impl fmt::Debug for PseudonymKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PseudonymKey").field("key_id", &self.key_id()).finish_non_exhaustive()
    }
}

fn key_id(key: &[u8]) -> String {
    let mut digest = Sha256::new();
    digest.update(b"key-id");
    digest.update(key);
    hex::encode(&digest.finalize()[..4])
}

impl PseudonymKey {
    /// The key in a file: all its bytes but the line end.
    ///
    /// # Errors
    /// If the file cannot be read, or its key is too short or too long.
    pub fn from_file(path: &Path) -> Result<Self, KeyError> {
        let failed = |source| KeyError::File { path: path.to_owned(), source };
        let file = std::fs::File::open(path).map_err(failed)?;
        // With its final capacity, so that no copy of the key is left behind by growing.
        let size = file.metadata().map_or(0, |meta| usize::try_from(meta.len()).unwrap_or(usize::MAX));
        let mut bytes = Zeroizing::new(Vec::with_capacity(size.clamp(KEY_BYTES_MAX, TREE_BYTES_MAX) + 2));
        file.take(TREE_BYTES_MAX as u64 + 2).read_to_end(&mut bytes).map_err(failed)?;
        Self::from_bytes(&bytes)
    }

    /// The key as a text; a line end is not part of it.
    ///
    /// # Errors
    /// If it is too short or too long.
    pub fn from_text(text: SecretString) -> Result<Self, KeyError> {
        Self::from_bytes(text.expose_secret().as_bytes())
    }

    /// A new tree of keys, from 32 random bytes.
    pub fn tree(root: Zeroizing<[u8; NODE_BYTES]>) -> Self {
        Self(Kind::Tree(KeyTree::of_root(root)))
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        if is_tree(bytes) {
            let text = std::str::from_utf8(bytes).ok().filter(|text| text.len() <= TREE_BYTES_MAX);
            return Ok(Self(Kind::Tree(KeyTree::from_text(text.ok_or(KeyError::TooLong)?)?)));
        }
        let end = bytes.iter().rposition(|b| !matches!(b, b'\r' | b'\n')).map_or(0, |last| last + 1);
        let key = &bytes[..end];
        if mentions_tree(key) {
            let expected =
                "expected the file to begin with this version's opening, without anything before it";
            return Err(KeyError::Tree { line: 1, expected: expected.to_owned() });
        }
        if key.len() < KEY_BYTES_MIN {
            return Err(KeyError::TooShort { bytes: key.len() });
        }
        if key.len() > KEY_BYTES_MAX {
            return Err(KeyError::TooLong);
        }
        if key.iter().all(|byte| *byte == key[0]) {
            return Err(KeyError::Guessable);
        }
        // HMAC takes keys of any length; the error is of the trait.
        let mac = Hmac::new_from_slice(key).map_err(|_| KeyError::TooLong)?;
        Ok(Self(Kind::OneForAll { mac, key_id: key_id(key) }))
    }

    /// The key's name: eight hex digits that say which key it is without telling it. For logs, and to notice
    /// that two deployments use different keys. A tree keeps its name when persons are erased.
    pub fn key_id(&self) -> &str {
        match &self.0 {
            Kind::OneForAll { key_id, .. } => key_id,
            Kind::Tree(tree) => tree.key_id(),
        }
    }

    /// The pseudonym of a person.
    ///
    /// # Errors
    /// If the person was erased.
    pub fn person(&self, cpr: &Cpr) -> Result<PersonId, Erased> {
        let mut mac = match &self.0 {
            Kind::OneForAll { mac, .. } => mac.clone(),
            // HMAC takes keys of any length.
            Kind::Tree(tree) => {
                Hmac::new_from_slice(tree.key_of(cpr).ok_or(Erased)?.as_slice()).map_err(|_| Erased)?
            }
        };
        mac.update(cpr.digits());
        let mut person = PersonId::default();
        person.copy_from_slice(&mac.finalize().into_bytes()[..16]);
        Ok(person)
    }

    /// Erases a person: no pseudonym can be made any more of the number. Whether one could be before.
    ///
    /// # Errors
    /// If the key is one for all.
    pub fn erase(&mut self, cpr: &Cpr) -> Result<bool, KeyError> {
        match &mut self.0 {
            Kind::OneForAll { .. } => Err(KeyError::OneForAll),
            Kind::Tree(tree) => Ok(tree.erase(cpr)),
        }
    }

    /// Persons erased so far; `None` if nobody can be.
    pub fn erased(&self) -> Option<u64> {
        match &self.0 {
            Kind::OneForAll { .. } => None,
            Kind::Tree(tree) => Some(tree.erased()),
        }
    }

    /// The file's text.
    ///
    /// # Errors
    /// If the key is one for all, which is not written again, or so many persons were erased that the file would not be read.
    pub fn to_text(&self) -> Result<Zeroizing<String>, KeyError> {
        match &self.0 {
            Kind::OneForAll { .. } => Err(KeyError::OneForAll),
            Kind::Tree(tree) => {
                Some(tree.to_text()).filter(|text| text.len() <= TREE_BYTES_MAX).ok_or(KeyError::Full)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "rettidig test key, 32 bytes long!";

    fn key(text: &str) -> Result<PseudonymKey, KeyError> {
        PseudonymKey::from_text(SecretString::from(text.to_owned()))
    }

    /// Expected values: Python 3, `hmac.new(key, digits, hashlib.sha256).hexdigest()[:32]` and
    /// `hashlib.sha256(b"key-id" + key).hexdigest()[:8]`.
    #[test]
    fn vectors_of_another_implementation() {
        let key = key(KEY).expect("key");
        assert_eq!(key.key_id(), "380cd02b");
        for (cpr, person) in [
            ("6101701234", "fba9276978fad4fb3e89eaece68f10e3"),
            ("711299-1235", "8ec25f1d39715dcbc3e28bdf89f9decc"),
            ("8902360004", "f892d67e7b5013407bca656fe48a6401"),
        ] {
            let cpr = Cpr::parse(cpr).expect("a number");
            assert_eq!(
                rettidig_event::person::format_person(&key.person(&cpr).expect("a pseudonym")),
                person
            );
        }
    }

    /// Expected values: Python 3, a plain loop over the bits of `int(digits)` from the highest of 34 on, `node =
    /// hmac.new(node, bytes([bit]), hashlib.sha256).digest()`, then `hmac.new(node, digits, …).hexdigest()[:32]`.
    #[test]
    fn vectors_of_a_tree_from_another_implementation() {
        let mut key = PseudonymKey::tree(Zeroizing::new(*b"a root of a tree, 32 bytes long!"));
        assert_eq!((key.key_id(), key.erased()), ("2620fc7e", Some(0)));
        let vectors = [
            ("6101701234", "f9c41a3bd9c6cda39d94632bb037a319"),
            ("711299-1235", "bef3821e69ef58ec2ad3a642dba57df8"),
            ("8902360004", "48392db0de4aa32b8832f53843286eb8"),
        ];
        let gone = Cpr::parse(vectors[0].0).expect("a number");
        for is_erased in [false, true] {
            for (cpr, person) in vectors {
                let cpr = Cpr::parse(cpr).expect("a number");
                let made = key.person(&cpr).map(|person| rettidig_event::person::format_person(&person));
                let is_gone = is_erased && cpr.digits() == gone.digits();
                assert_eq!(made, if is_gone { Err(Erased) } else { Ok(person.to_owned()) });
            }
            assert!(key.erase(&gone).expect("a tree") || is_erased);
        }
        let text = key.to_text().expect("a tree");
        let read = PseudonymKey::from_text(SecretString::from(text.as_str().to_owned())).expect("key");
        assert_eq!((read.person(&gone), read.erased()), (Err(Erased), Some(1)));
        assert!(!format!("{read:?}").contains(&text[60..80]));
    }

    /// Goal: what is left of a tree is never taken for a key for all, which would give everybody, those erased too, other pseudonyms.
    #[test]
    fn a_wiped_or_damaged_tree_is_no_key() {
        let tree = PseudonymKey::tree(Zeroizing::new(*b"a root of a tree, 32 bytes long!"));
        let text = tree.to_text().expect("a tree");
        for wiped in [vec![0; text.len()], vec![0xff; KEY_BYTES_MIN], vec![b'0'; 64]] {
            assert!(matches!(PseudonymKey::from_bytes(&wiped), Err(KeyError::Guessable)));
        }
        for other in [format!("\u{feff}{}", *text), text.replacen("tree 1", "tree 2", 1), text.to_uppercase()]
        {
            assert!(matches!(key(&other), Err(KeyError::Tree { line: 1, .. })), "accepted");
        }
    }

    #[test]
    fn nobody_is_erased_from_a_key_for_all() {
        let cpr = Cpr::parse("6101701234").expect("a number");
        let error = key(KEY).expect("key").erase(&cpr).expect_err("refused");
        assert!(error.to_string().contains("rettidig key new"), "{error}");
    }

    #[test]
    fn the_line_end_is_not_part_of_the_key_and_nothing_prints_it() {
        let file = tempfile::NamedTempFile::new().expect("file");
        for end in ["", "\n", "\r\n"] {
            std::fs::write(file.path(), format!("{KEY}{end}")).expect("write");
            let from_file = PseudonymKey::from_file(file.path()).expect("key");
            assert_eq!(from_file.key_id(), "380cd02b");
            let shown = format!("{from_file:?}");
            assert!(shown.contains("380cd02b") && !shown.contains("rettidig"), "{shown}");
        }
    }

    #[test]
    fn a_missing_or_short_key_is_refused_with_what_to_do() {
        let file = tempfile::tempdir().expect("folder").path().join("none");
        let errors = [
            key("").expect_err("refused"),
            key("0123456789012345678901234567890\n").expect_err("31 bytes"),
            PseudonymKey::from_file(&file).expect_err("no file"),
            KeyError::Missing,
        ];
        for error in errors {
            let text = error.to_string();
            assert!(text.contains("openssl rand -hex 32") && !text.contains("0123456789"), "{text}");
        }
        assert!(matches!(key(&"x".repeat(5000)), Err(KeyError::TooLong)));
    }
}
