//! What there is, for machines that have never heard of us: a data package and a DCAT-AP catalogue, made from the contracts.

use axum::http::Uri;
use serde::Deserialize;

pub(crate) mod dcat;
pub(crate) mod package;

/// Whom the figures come from, as every form of the tables says it.
pub(crate) const ATTRIBUTION: &str = "Jobindsats.dk / Styrelsen for Arbejdsmarked og Rekruttering; Danmarks Statistik; egne \
    beregninger med Rettidig";

/// Who publishes the tables, and under which terms: what the catalogues say to machines.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Publisher {
    /// Name of the authority.
    pub name: String,
    /// Its address; `/` is this server.
    pub url: String,
    /// Address of the licence's text.
    pub licence: String,
}

impl Default for Publisher {
    /// Both sources ask for their name and nothing else, which is what this licence asks for.
    fn default() -> Self {
        Self {
            name: "Rettidig".to_owned(),
            url: "/".to_owned(),
            licence: "https://creativecommons.org/licenses/by/4.0/".to_owned(),
        }
    }
}

impl Publisher {
    /// What is wrong with it.
    pub fn errors(&self) -> Vec<String> {
        let is_http = |uri: &Uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some();
        let is_address = |text: &str| text.parse::<Uri>().is_ok_and(|uri| is_http(&uri));
        let mut errors = Vec::new();
        if self.name.trim().is_empty() {
            errors.push("name: expected the name of the publisher, got nothing".to_owned());
        }
        if self.url != "/" && !is_address(&self.url) {
            errors.push(format!(
                "url: expected an address such as https://kommune.example/, or /, got {:?}",
                self.url
            ));
        }
        if !is_address(&self.licence) {
            let expected = Self::default().licence;
            errors.push(format!(
                "licence: expected the address of a licence such as {expected}, got {:?}",
                self.licence
            ));
        }
        errors
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_publisher_has_a_name_and_addresses() {
        assert_eq!(Publisher::default().errors(), [""; 0]);
        let publisher = |name: &str, url: &str, licence: &str| Publisher {
            name: name.to_owned(),
            url: url.to_owned(),
            licence: licence.to_owned(),
        };
        let own = publisher("Prøve Kommune", "https://kommune.example/", "https://kommune.example/vilkaar");
        assert_eq!(own.errors(), [""; 0]);
        let told = publisher(" ", "kommune", "CC-BY-4.0").errors();
        let keys: Vec<&str> = told.iter().map(|error| error.split(':').next().unwrap_or_default()).collect();
        assert_eq!(keys, ["name", "url", "licence"], "{told:?}");
    }
}
