//! The areas of an epoch's day: jobcentres with their municipalities, cluster and region, and names for codes.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::texts::Language;
use super::{Fault, Link, rows};
use crate::view::View;

const SQL: &str = "SELECT municipality, name, jobcentre, jobcentre_name, \"cluster\", region, region_name FROM areas \
     WHERE valid_from <= CAST($as_of AS DATE) AND (valid_to IS NULL OR valid_to >= CAST($as_of AS DATE)) ORDER BY municipality";

/// A name is near another one from this similarity on (Jaro-Winkler).
const NEAR_MIN: f64 = 0.75;

/// Names that are offered in place of one that is not there.
const NEAR_MAX: usize = 5;

#[derive(Debug, Deserialize)]
struct Row {
    municipality: String,
    name: String,
    jobcentre: String,
    jobcentre_name: String,
    cluster: String,
    region: String,
    region_name: String,
}

/// A jobcentre.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Jobcentre {
    pub(crate) code: String,
    pub(crate) name: String,
    pub(crate) cluster: String,
    pub(crate) region: String,
    pub(crate) region_name: String,
    /// Codes and names of its municipalities.
    pub(crate) municipalities: Vec<(String, String)>,
}

/// The areas in force on the as-of date.
#[derive(Debug)]
pub(crate) struct Places {
    /// By code.
    pub(crate) jobcentres: BTreeMap<String, Jobcentre>,
    /// Names by kind and code.
    names: BTreeMap<(&'static str, String), String>,
}

impl Places {
    /// The areas that a view's epoch knows.
    pub(crate) async fn of(view: &View) -> Result<Self, Fault> {
        let as_of = view.manifest().as_of.to_string();
        let batch = view.query("areas", SQL, &[("as_of", &as_of)]).await?;
        let found: Vec<Row> = rows::rows(&batch)?;
        let mut places = Self { jobcentres: BTreeMap::new(), names: BTreeMap::new() };
        for row in found {
            let names = &mut places.names;
            names.insert(("municipality", row.municipality.clone()), row.name.clone());
            names.insert(("jobcentre", row.jobcentre.clone()), row.jobcentre_name.clone());
            names.insert(("region", row.region.clone()), row.region_name.clone());
            names.insert(("cluster", row.cluster.clone()), String::new());
            let jobcentre = places.jobcentres.entry(row.jobcentre.clone()).or_insert_with(|| Jobcentre {
                code: row.jobcentre,
                name: row.jobcentre_name,
                cluster: row.cluster,
                region: row.region,
                region_name: row.region_name,
                municipalities: Vec::new(),
            });
            jobcentre.municipalities.push((row.municipality, row.name));
        }
        Ok(places)
    }

    /// The name of an area; its code if it is not known on the day.
    pub(crate) fn name(&self, language: Language, kind: &str, code: &str) -> String {
        match kind {
            "country" => language.text("country"),
            "cluster" => language.with("cluster-of", &[("cluster", code)]),
            _ => {
                let found = self.names.iter().find(|((of, with), _)| *of == kind && with == code);
                found.map_or_else(|| code.to_owned(), |(_, name)| name.clone())
            }
        }
    }

    /// Codes of the areas of a kind; `None` if there is no such kind.
    pub(crate) fn codes(&self, kind: &str) -> Option<Vec<String>> {
        match kind {
            "country" => Some(vec!["0000".to_owned()]),
            "municipality" | "jobcentre" | "cluster" | "region" => {
                let mut codes: Vec<String> =
                    self.names.keys().filter(|(of, _)| *of == kind).map(|(_, code)| code.clone()).collect();
                codes.sort_by_key(|code| (code.len(), code.clone()));
                Some(codes)
            }
            _ => None,
        }
    }

    /// Codes of the areas of a kind that lie in `region-CODE` or `cluster-CODE`; `None` for all.
    pub(crate) fn inside(&self, kind: &str, within: &str) -> Option<BTreeSet<String>> {
        let (of, code) = within.split_once('-')?;
        let inside = self.jobcentres.values().filter(|jobcentre| match of {
            "region" => jobcentre.region == code,
            _ => jobcentre.cluster == code,
        });
        Some(match kind {
            "municipality" => {
                inside.flat_map(|found| found.municipalities.iter().map(|(code, _)| code.clone())).collect()
            }
            _ => inside.map(|found| found.code.clone()).collect(),
        })
    }

    /// The jobcentre of a code, or what may be meant.
    ///
    /// # Errors
    /// [`Fault::NotFound`] with the nearest names.
    pub(crate) fn jobcentre(&self, language: Language, code: &str) -> Result<&Jobcentre, Fault> {
        self.jobcentres.get(code).ok_or_else(|| Fault::NotFound {
            what: language.with("error-no-jobcentre", &[("code", code)]),
            near: self.near(code).into_iter().map(|found| link(language, found)).collect(),
        })
    }

    /// Jobcentres whose name, code or a municipality has these letters, or else the nearest ones, best first.
    pub(crate) fn near(&self, text: &str) -> Vec<&Jobcentre> {
        let wanted = text.trim().to_lowercase();
        let mut found: Vec<(f64, &Jobcentre)> = self
            .jobcentres
            .values()
            .map(|jobcentre| {
                let likeness = |name: &str| match name.to_lowercase() {
                    name if name == wanted => 2.0,
                    name if !wanted.is_empty() && name.starts_with(&wanted) => 1.5,
                    name => strsim::jaro_winkler(&name, &wanted),
                };
                let of_members = jobcentre.municipalities.iter().flat_map(|(code, name)| [code, name]);
                let names = [&jobcentre.name, &jobcentre.code].into_iter().chain(of_members);
                (names.map(|name| likeness(name)).fold(0.0, f64::max), jobcentre)
            })
            .filter(|(likeness, _)| *likeness >= NEAR_MIN)
            .collect();
        found.sort_by(|(one, a), (other, b)| other.total_cmp(one).then_with(|| a.code.cmp(&b.code)));
        let certain = found.iter().filter(|(likeness, _)| *likeness > 1.0).count();
        let kept = if certain > 0 { certain } else { NEAR_MAX };
        found.into_iter().take(kept).map(|(_, jobcentre)| jobcentre).collect()
    }
}

/// A link to a jobcentre's page.
pub(crate) fn link(language: Language, jobcentre: &Jobcentre) -> Link {
    Link { name: jobcentre.name.clone(), href: format!("/{}/jobcentre/{}", language.code(), jobcentre.code) }
}
