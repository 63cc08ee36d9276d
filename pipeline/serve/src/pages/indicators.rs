//! What the indicators are called: the official Danish term, and in English the code in words with that term beside it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::texts::Language;
use super::{Fault, Page};

/// What an indicator is.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub(crate) struct Indicator {
    pub(crate) indicator: String,
    pub(crate) danish: String,
    pub(crate) unit: String,
    pub(crate) better: String,
    pub(crate) why: String,
    pub(crate) source: String,
}

/// The catalogue.
#[derive(Debug)]
pub(crate) struct Indicators(pub(crate) BTreeMap<String, Indicator>);

/// Codes of the benefits with their Danish terms.
#[derive(Debug, Deserialize)]
struct Benefit {
    code: String,
    danish: String,
}

impl Indicators {
    /// The name of an indicator; its code if the catalogue does not have it.
    pub(crate) fn name(&self, language: Language, code: &str) -> String {
        match (language, self.0.get(code)) {
            (Language::Danish, Some(indicator)) => indicator.danish.clone(),
            _ => spoken(code),
        }
    }

    /// The official Danish term, where the name does not say it.
    pub(crate) fn term(&self, language: Language, code: &str) -> Option<&str> {
        let indicator = self.0.get(code).filter(|_| language == Language::English)?;
        Some(&indicator.danish)
    }
}

/// A code in words: `local_open_spells` is "Open spells (own records)".
fn spoken(code: &str) -> String {
    let (words, own) = match code.strip_prefix("local_") {
        Some(rest) => (rest, " (own records)"),
        None => (code, ""),
    };
    let mut words = words.replace('_', " ");
    if let Some(first) = words.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    words + own
}

impl Page {
    /// The catalogue of the indicators.
    pub(crate) async fn indicators(&self) -> Result<Indicators, Fault> {
        let rows: Vec<Indicator> = self.rows("catalogue_shown", "SELECT * FROM catalogue", &[]).await?;
        Ok(Indicators(rows.into_iter().map(|row| (row.indicator.clone(), row)).collect()))
    }

    /// Names of the benefits by code.
    pub(crate) async fn benefits(&self) -> Result<BTreeMap<String, String>, Fault> {
        let rows: Vec<Benefit> =
            self.rows("benefits_shown", "SELECT DISTINCT code, danish FROM benefits", &[]).await?;
        let language = self.language;
        let name = |benefit: Benefit| match language {
            Language::Danish => (benefit.code, benefit.danish),
            Language::English => {
                (benefit.code.clone(), format!("{} ({})", spoken(&benefit.code), benefit.danish))
            }
        };
        let mut benefits: BTreeMap<String, String> = rows.into_iter().map(name).collect();
        benefits.insert("total".to_owned(), language.text("benefit-total"));
        Ok(benefits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_spoken_in_words() {
        assert_eq!(spoken("full_time_unemployed"), "Full time unemployed");
        assert_eq!(spoken("local_open_spells"), "Open spells (own records)");
        assert_eq!(spoken(""), "");
    }
}
