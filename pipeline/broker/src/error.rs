//! Errors of starting and running the broker. The kind names what the caller does next; the message says
//! what was being attempted, on which file, and what a person does about it. The source is never repeated
//! in the message. Errors of single requests are not here: they travel as Kafka error codes.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// What the caller does about a [`BrokerError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BrokerErrorKind {
    /// Something outside is in the way and may go away: try again later.
    Retry,
    /// The configuration is wrong: change it, then start.
    Configure,
    /// Data on disk is damaged: a person must look.
    Repair,
}

/// Why the broker did not start or did not stop cleanly.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// Another process holds the folder.
    #[error("broker folder {} is in use by another broker: stop that one or choose another folder", path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// A file operation failed.
    #[error("could not {attempt} {}: check that the disk is there, writable and not full, then start again", path.display())]
    Io {
        /// What was attempted, as a verb.
        attempt: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// The address could not be bound.
    #[error("could not listen on {address}: free that port or choose another address")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// Why it failed.
        source: io::Error,
    },
    /// The threads of the broker could not be started.
    #[error("could not start the broker's threads: raise the process limit, then start again")]
    Threads {
        /// Why it failed.
        source: io::Error,
    },
    /// A file holds what this broker never writes.
    #[error(
        "{} is damaged at byte {position} ({found}): restore it from a copy, or move it and the later files \
         of its folder away, which loses their messages, then start again",
        path.display()
    )]
    Damaged {
        /// The damaged file.
        path: PathBuf,
        /// Where the damage begins, in bytes.
        position: u64,
        /// What was found there.
        found: String,
    },
    /// A limit in the configuration makes no sense.
    #[error("configuration of the broker: {problem}")]
    Config {
        /// Which field, and what it must be.
        problem: &'static str,
    },
}

impl BrokerError {
    /// What the caller does about it.
    pub fn kind(&self) -> BrokerErrorKind {
        match self {
            Self::Locked { .. } | Self::Io { .. } | Self::Threads { .. } => BrokerErrorKind::Retry,
            Self::Listen { .. } | Self::Config { .. } => BrokerErrorKind::Configure,
            Self::Damaged { .. } => BrokerErrorKind::Repair,
        }
    }

    /// For `map_err`: names the attempt and the file.
    pub(crate) fn io(attempt: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_path_buf();
        move |source| Self::Io { attempt, path, source }
    }
}
