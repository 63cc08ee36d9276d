//! Errors of the runtime. The variant names the action.

use rettidig_model::ModelError;
use thiserror::Error;

/// Why the runtime could not go on.
#[derive(Debug, Error)]
pub enum RuntimeError {
    /// The broker or the storage may recover: try again.
    #[error("{attempt}: {cause}")]
    Retry {
        /// What was being attempted, on which topic or file.
        attempt: String,
        /// What went wrong.
        cause: String,
    },
    /// A person must act.
    #[error("{attempt}: {cause}; {remedy}")]
    Stop {
        /// What was being attempted.
        attempt: String,
        /// What is wrong.
        cause: String,
        /// What to do.
        remedy: String,
    },
    /// Another writer has committed the epoch: nothing of this one's is visible, and it may not go on as it is.
    #[error(
        "committing epoch {epoch}: another writer has committed this epoch; make sure that only one rettidig without a \
         role, or one group of committers, writes to this data folder, then start again"
    )]
    Superseded {
        /// Its number.
        epoch: u64,
    },
    /// The model is wrong or a result breaks its contract.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// Arrow refused what cannot be refused: a bug.
    #[error("handling Arrow data")]
    Arrow(#[from] arrow::error::ArrowError),
}

impl RuntimeError {
    /// A failure that may pass.
    pub fn retry(attempt: impl Into<String>, cause: impl std::fmt::Display) -> Self {
        Self::Retry { attempt: attempt.into(), cause: cause.to_string() }
    }

    /// A failure that a person must mend.
    pub fn stop(
        attempt: impl Into<String>,
        cause: impl std::fmt::Display,
        remedy: impl Into<String>,
    ) -> Self {
        Self::Stop { attempt: attempt.into(), cause: cause.to_string(), remedy: remedy.into() }
    }
}
