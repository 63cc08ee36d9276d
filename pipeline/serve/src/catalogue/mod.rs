//! What there is, for machines that have never heard of us: a data package and a DCAT-AP catalogue, made from the contracts.

pub(crate) mod dcat;
pub(crate) mod package;

/// Whom the figures come from, as every form of the tables says it.
pub(crate) const ATTRIBUTION: &str = "Jobindsats.dk / Styrelsen for Arbejdsmarked og Rekruttering; Danmarks Statistik; egne \
    beregninger med Rettidig";

/// Licence of what is published: both sources ask for their name and nothing else.
pub(crate) const LICENCE: &str = "https://creativecommons.org/licenses/by/4.0/";
