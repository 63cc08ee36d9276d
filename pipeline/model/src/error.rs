//! Errors of the model. A problem in a file names file and line and what to do; all of them come at once.

use std::fmt;

use thiserror::Error;

/// One thing that is wrong in one file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// File, relative to the model's folder.
    pub file: String,
    /// Line, counted from 1; 0 if it is about the whole file.
    pub line: usize,
    /// What was expected and what to do.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.message)
    }
}

/// Why the model could not be loaded or evaluated.
#[derive(Debug, Error)]
pub enum ModelError {
    /// Files of the model are wrong: a person must mend them.
    #[error("the model has {} problem(s):\n{}", .0.len(), .0.iter().map(|p| format!("  {p}")).collect::<Vec<_>>().join("\n"))]
    Invalid(Vec<Problem>),
    /// A model that passed the checks failed while running: a bug in its SQL or in this program.
    #[error("evaluating {model}")]
    Evaluation {
        /// Name of the SQL model.
        model: String,
        /// What DataFusion says.
        #[source]
        source: Box<datafusion::error::DataFusionError>,
    },
    /// A result does not have the columns that its contract promises: a bug.
    #[error("{model}: {message}")]
    Contract {
        /// Name of the SQL model.
        model: String,
        /// What was expected.
        message: String,
    },
}

impl ModelError {
    /// What DataFusion says of a model.
    pub fn evaluation(model: &str, source: impl Into<datafusion::error::DataFusionError>) -> Self {
        Self::Evaluation { model: model.to_owned(), source: Box::new(source.into()) }
    }
}

/// The known word nearest to an unknown one, if any is near.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len() / 4)
        .min()
        .map(|(_, candidate)| candidate)
}
