//! What is remembered of files: `{"done":{…},"waiting":{…},"forgotten_until":…}`.
//!
//! Bounded: beyond a number or an age the files changed longest ago are forgotten, and whatever was changed
//! before them is left alone from then on, so that forgetting never makes an old file new.

use std::collections::BTreeMap;

use chrono::{DateTime, Duration, Utc};
use object_store::ObjectMeta;
use rettidig_event::SourceError;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::horizon;
use crate::emit::not_a_cursor;

/// A file that was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Done {
    pub size: u64,
    pub modified: DateTime<Utc>,
    pub sha256: String,
    /// Records emitted.
    pub records: u64,
    /// Whether it was used, not rejected.
    pub used: bool,
}

/// A file that may still grow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Seen {
    size: u64,
    modified: DateTime<Utc>,
    /// When it was first seen like this.
    since: DateTime<Utc>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Cursor {
    pub done: BTreeMap<String, Done>,
    pub waiting: BTreeMap<String, Seen>,
    /// Files changed until then are left alone unless they are among `done`.
    forgotten_until: Option<DateTime<Utc>>,
    /// Files under a known name that were refused.
    refused: BTreeMap<String, Done>,
}

impl Cursor {
    pub(super) fn read(name: &str, value: &Value) -> Result<Self, SourceError> {
        if value.is_null() {
            return Ok(Self::default());
        }
        serde_json::from_value(value.clone()).map_err(|_| not_a_cursor(name))
    }

    pub(super) fn write(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    /// Whether the file was read or refused as it is now.
    pub(super) fn is_known(&self, name: &str, meta: &ObjectMeta) -> bool {
        let same = |done: &Done| (done.size, done.modified) == (meta.size, meta.last_modified);
        self.done.get(name).is_some_and(same) || self.refused.get(name).is_some_and(same)
    }

    pub(super) fn is_forgotten(&self, name: &str, meta: &ObjectMeta) -> bool {
        !self.done.contains_key(name) && self.forgotten_until.is_some_and(|until| meta.last_modified <= until)
    }

    /// Whether the file looks the same as at a poll at least `apart` ago; remembers how it looks.
    pub(super) fn is_stable(
        &mut self,
        name: &str,
        meta: &ObjectMeta,
        apart: Duration,
        now: DateTime<Utc>,
    ) -> bool {
        let seen = self.waiting.get(name).filter(|seen| {
            (seen.size, seen.modified) == (meta.size, meta.last_modified) && seen.since <= now
        });
        match seen {
            Some(seen) => now - seen.since >= apart,
            None => {
                let seen = Seen { size: meta.size, modified: meta.last_modified, since: now };
                self.waiting.insert(name.to_owned(), seen);
                apart.is_zero()
            }
        }
    }

    /// Why rows that are identified by file name and line cannot be taken from this file.
    pub(super) fn conflict(&self, name: &str, sha256: &str) -> Option<String> {
        if self.done.get(name).is_some_and(|known| known.used) {
            let message = "a file of this name was read with other content, and its rows are identified by \
                           file name and line; have it sent again under a new name";
            return Some(message.to_owned());
        }
        // A delivery without rows is one record, its delivery.
        let twin = |done: &Done| done.used && done.records > 1 && done.sha256 == sha256;
        let (other, _) = self.done.iter().find(|(other, done)| *other != name && twin(done))?;
        Some(format!("the same content was read as {other}; counted twice it would be paid twice"))
    }

    pub(super) fn finished(&mut self, name: &str, done: Done) {
        self.waiting.remove(name);
        self.refused.remove(name);
        self.done.insert(name.to_owned(), done);
    }

    /// Notes a refused file; what was read under its name stays noted.
    pub(super) fn refused(&mut self, name: &str, done: Done) {
        self.waiting.remove(name);
        self.refused.insert(name.to_owned(), done);
    }

    /// Whether the file was read or refused when it was last changed at this instant.
    pub(super) fn was_read(&self, name: &str, modified: DateTime<Utc>) -> bool {
        let same = |done: &Done| done.modified == modified;
        self.done.get(name).is_some_and(same) || self.refused.get(name).is_some_and(same)
    }

    /// Forgets what is too old or too much, but nothing that is as new as a file not read yet: that one would be
    /// left alone for ever.
    pub(super) fn bound(
        &mut self,
        files_max: usize,
        remembered_for: Duration,
        oldest_unread: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
    ) {
        let old = horizon(now, remembered_for);
        let mut by_age: Vec<(DateTime<Utc>, String)> =
            self.done.iter().map(|(name, done)| (done.modified, name.clone())).collect();
        by_age.sort_unstable();
        let surplus = by_age.len().saturating_sub(files_max);
        for (at, (modified, name)) in by_age.into_iter().enumerate() {
            if (at >= surplus && modified >= old) || oldest_unread.is_some_and(|unread| modified >= unread) {
                break;
            }
            self.done.remove(&name);
            self.forgotten_until = self.forgotten_until.max(Some(modified));
        }
        self.refused.retain(|_, refused| refused.modified >= old);
        while self.refused.len() > files_max {
            self.refused.pop_first();
        }
        // Beyond the limit the rest has to wait for its turn anyway.
        while self.waiting.len() > files_max {
            self.waiting.pop_last();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(day: u32) -> DateTime<Utc> {
        format!("2026-08-{day:02}T00:00:00Z").parse().expect("instant")
    }

    fn meta(day: u32) -> ObjectMeta {
        let location = object_store::path::Path::from("x");
        ObjectMeta { location, last_modified: at(day), size: 1, e_tag: None, version: None }
    }

    fn done(day: u32) -> Done {
        Done { size: 1, modified: at(day), sha256: String::new(), records: 1, used: true }
    }

    /// Forgetting by number and by age never makes an old file new.
    #[test]
    fn what_is_forgotten_stays_left_alone() {
        let mut cursor = Cursor::default();
        for day in 1..=10 {
            cursor.finished(&format!("f{day:02}"), done(day));
        }
        cursor.bound(4, Duration::days(100), Some(at(3)), at(20));
        assert_eq!(cursor.done.len(), 8, "what is as new as an unread file is kept");
        cursor.bound(4, Duration::days(100), None, at(20));
        assert_eq!(cursor.done.keys().collect::<Vec<_>>(), ["f07", "f08", "f09", "f10"]);
        assert!(cursor.is_forgotten("f03", &meta(3)) && !cursor.is_forgotten("f11", &meta(11)));
        assert!(cursor.is_known("f07", &meta(7)) && !cursor.is_known("f07", &meta(8)));
        cursor.bound(4, Duration::days(11), None, at(20));
        assert_eq!(cursor.done.keys().collect::<Vec<_>>(), ["f09", "f10"]);
        assert!(cursor.is_forgotten("f08", &meta(8)));
        let read = Cursor::read("x", &cursor.write()).expect("cursor");
        assert_eq!(read.done, cursor.done);
        assert!(Cursor::read("x", &serde_json::json!({"done": 1})).is_err());
    }

    #[test]
    fn stable_means_the_same_at_two_polls_far_enough_apart() {
        let mut cursor = Cursor::default();
        let apart = Duration::days(2);
        assert!(!cursor.is_stable("f", &meta(1), apart, at(10)));
        assert!(!cursor.is_stable("f", &meta(1), apart, at(11)));
        // It was written to: the wait starts again.
        assert!(!cursor.is_stable("f", &meta(11), apart, at(12)));
        assert!(!cursor.is_stable("f", &meta(11), apart, at(13)));
        assert!(cursor.is_stable("f", &meta(11), apart, at(14)));
    }
}
