//! Loading the model: SQL files in five folders, one layer each, ordered by what they read.
//!
//! | folder | layer | may read |
//! |---|---|---|
//! | `staging` | S | events |
//! | `spells` | L local | S, L |
//! | `measures` | A additive | L, A, reference |
//! | `indicators` | P published | A, P, reference |
//! | `tables` | T tables | `disclosed` (P after disclosure control), T, public models, reference |
//!
//! A table never reads what has not passed disclosure control, unless its header says that it carries no
//! number of persons. The order comes from the SQL's own table references; a cycle, an unknown name and a
//! forbidden reference are errors with file, line and the nearest known name.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use arrow::array::{AsArray, RecordBatch};
use datafusion::error::DataFusionError;
use datafusion::sql::parser::{DFParser, Statement};
use datafusion::sql::resolve::resolve_table_references;
use include_dir::{Dir, include_dir};
use sha2::{Digest, Sha256};

use crate::clauses;
use crate::error::{ModelError, Problem, nearest};
use crate::header::{self, Better, Header};
use crate::persons::Cells;
use crate::plan::KeptPlan;
use crate::{codes, like, reference, theory};

/// The layer of a model; the order is the way of the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Layer {
    /// S: renames, casts, converts units.
    Staging,
    /// L: any deterministic SQL that is local to its key.
    Local,
    /// A: integer sums and counts by grain.
    Additive,
    /// P: indicators.
    Published,
    /// T: published tables over indicators that passed disclosure control.
    Table,
}

impl Layer {
    /// Every layer, in order.
    pub const ALL: [Self; 5] = [Self::Staging, Self::Local, Self::Additive, Self::Published, Self::Table];

    /// The letter in the header.
    pub fn letter(self) -> &'static str {
        match self {
            Self::Staging => "S",
            Self::Local => "L",
            Self::Additive => "A",
            Self::Published => "P",
            Self::Table => "T",
        }
    }

    /// The folder under `sql/`.
    pub fn folder(self) -> &'static str {
        match self {
            Self::Staging => "staging",
            Self::Local => "spells",
            Self::Additive => "measures",
            Self::Published => "indicators",
            Self::Table => "tables",
        }
    }
}

/// Events as the staging layer sees them.
pub const EVENT_OFFICIAL: &str = "event_official";
/// Deliveries as the staging layer sees them.
pub const EVENT_DELIVERIES: &str = "event_deliveries";
/// Figures that were sent but put aside, as the staging layer sees them.
pub const EVENT_PUT_ASIDE: &str = "event_put_aside";
/// Events about persons as the staging layer sees them, see [`crate::persons`].
pub const EVENT_PERSON: &str = "event_person";
/// One row: the as-of date as `as_of_day`, days since 1970.
pub const AS_OF: &str = "as_of";
/// Newest month whose wages are delivered, by municipality; 0 stands for the whole country.
pub const INCOME_DELIVERED: &str = "income_delivered";
/// The areas that a municipality counts in, month by month: `area_kind`, `area`, `municipality`, `month`. Of the months only
/// those that are to be made.
pub const MONTH_AREAS: &str = "month_areas";
/// Indicators after disclosure control, with everything that was ever known.
pub const DISCLOSED: &str = "disclosed";
/// Indicators of persons after disclosure control, as they are shown.
pub const LOCAL_DISCLOSED: &str = "local_disclosed";
/// What the headers of the indicators say, as a table.
pub const INDICATOR_CATALOGUE: &str = "indicator_catalogue";
/// One row: the as-of date and the instant of the evaluation.
pub const EVALUATION: &str = "evaluation";

/// The published table that says what has arrived of each month; of it, what is made month by month may read
/// [`COMPLETENESS_COLUMNS`].
pub const COMPLETENESS: &str = "completeness";
/// The columns of [`COMPLETENESS`] that do not change with every delivery.
pub const COMPLETENESS_COLUMNS: [&str; 5] = ["source", "area", "period", "expected", "state"];

/// What an indicator made of persons says that it is fed by.
const LOCAL_PERSONS: &str = "local-persons";

/// SQL reads `reference/areas.csv` as `ref_areas`.
pub const REFERENCE: &str = "ref_";

const EVENTS: [&str; 4] = [EVENT_OFFICIAL, EVENT_DELIVERIES, EVENT_PUT_ASIDE, EVENT_PERSON];
/// What person-local SQL may read beside the events.
const PARAMETERS: [&str; 2] = [AS_OF, INCOME_DELIVERED];
const TABLE_INPUTS: [&str; 4] = [DISCLOSED, LOCAL_DISCLOSED, INDICATOR_CATALOGUE, EVALUATION];

/// SQL functions that depend on when or how often they are called.
const IMPURE: [&str; 7] =
    ["now", "current_date", "current_time", "current_timestamp", "random", "uuid", "today"];

/// A file of the model: path below `sql/` and text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// e.g. `indicators/full_time_unemployed.sql`.
    pub path: String,
    /// Its text.
    pub text: String,
}

/// What a model is about: decides which of the two evaluations runs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Domain {
    /// Published figures.
    Official,
    /// Persons.
    Person,
    /// Neither: made of reference tables, and of use to both.
    Reference,
}

/// One checked SQL model.
#[derive(Debug, Clone)]
pub struct SqlModel {
    /// The file's stem; the name other models read it by.
    pub name: String,
    /// Path below `sql/`.
    pub path: String,
    /// Its header.
    pub header: Header,
    /// The statement.
    pub sql: String,
    /// Names it reads.
    pub reads: BTreeSet<String>,
    /// What it is about.
    pub domain: Domain,
    /// How it is made, if it is a published table.
    pub making: Making,
    /// Its plan, once it has run.
    pub plan: KeptPlan,
}

/// How a published table is made; the order is that of the steps of [`crate::tables`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Making {
    /// At once, from official figures and deliveries.
    Whole,
    /// Month by month: it reads what is shown of persons. Beside that it may read nothing that changes from epoch to epoch
    /// but what has arrived of the month.
    Monthly,
    /// At once, after the months: it reads tables of persons, directly or not, and nothing but published tables, reference
    /// files and the day.
    AfterMonths,
}

/// The whole model.
#[derive(Debug, Clone)]
pub struct Model {
    /// SQL models; each comes after everything it reads.
    pub models: Vec<SqlModel>,
    /// Reference tables by name.
    pub reference: BTreeMap<String, RecordBatch>,
    /// SHA-256 over all SQL files, hex.
    pub sql_sha256: String,
    /// SHA-256 over all reference files, hex.
    pub reference_sha256: String,
    /// Cells of nobody, made once: planning every measure takes a while.
    pub(crate) empty_cells: Arc<OnceLock<Cells>>,
    pub(crate) empty_public: Arc<OnceLock<BTreeMap<String, RecordBatch>>>,
}

static EMBEDDED: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../sql");

impl Model {
    /// The model that the binary carries.
    ///
    /// # Errors
    /// [`ModelError::Invalid`] with every problem of every file.
    pub fn embedded() -> Result<Self, ModelError> {
        Self::load(Self::embedded_files())
    }

    /// The files of the model that the binary carries.
    pub fn embedded_files() -> Vec<SourceFile> {
        let files = EMBEDDED.dirs().flat_map(Dir::files);
        files
            .filter_map(|file| {
                let path = file.path().to_string_lossy().replace('\\', "/");
                // What is not UTF-8 fails to parse, with its path.
                let text = String::from_utf8_lossy(file.contents()).into_owned();
                (!path.ends_with(".md")).then_some(SourceFile { path, text })
            })
            .collect()
    }

    /// Loads and checks a model from its files.
    ///
    /// # Errors
    /// [`ModelError::Invalid`] with every problem of every file.
    pub fn load(mut files: Vec<SourceFile>) -> Result<Self, ModelError> {
        files.sort_by(|a, b| a.path.cmp(&b.path));
        let mut problems = Vec::new();
        let mut models: BTreeMap<String, SqlModel> = BTreeMap::new();
        let mut reference = BTreeMap::new();
        let mut theory = None;
        let (mut sql_digest, mut reference_digest) = (Sha256::new(), Sha256::new());
        for file in &files {
            let (folder, name) = file.path.split_once('/').unwrap_or(("", &file.path));
            let digest = if folder == "reference" { &mut reference_digest } else { &mut sql_digest };
            digest.update(format!("{}\0{}\0", file.path, file.text));
            if folder == "reference" {
                if name == theory::FILE {
                    match theory::read(&file.text) {
                        Ok(read) => theory = Some((file, read)),
                        Err(found) => {
                            problems.extend(found.into_iter().map(|(line, why)| at(file, line, why)))
                        }
                    }
                    continue;
                }
                match reference::read(name, &file.text) {
                    Ok((table, batch)) => drop(reference.insert(table, batch)),
                    Err(message) => problems.push(at(file, 0, message)),
                }
                continue;
            }
            let Some(layer) = Layer::ALL.into_iter().find(|layer| layer.folder() == folder) else {
                let folders = Layer::ALL.map(Layer::folder).join(", ");
                problems.push(at(file, 0, format!("expected a folder of {folders} or reference")));
                continue;
            };
            let loaded = match like::expanded(file, &files) {
                Ok(None) => load_model(file, layer, name),
                Ok(Some(expanded)) => load_model(&expanded, layer, name),
                Err(problem) => Err(vec![problem]),
            };
            match loaded {
                Ok(model) => match models.get(&model.name) {
                    Some(other) => {
                        problems.push(at(file, 0, format!("the name is taken by {}", other.path)));
                    }
                    None => drop(models.insert(model.name.clone(), model)),
                },
                Err(found) => problems.extend(found),
            }
        }
        let wrong = codes::check(&reference, &of_persons(&models));
        problems.extend(wrong.into_iter().map(|(table, line, message)| Problem {
            file: format!("reference/{table}.csv"),
            line,
            message,
        }));
        if let Some((file, theory)) = &theory {
            match theory.tables() {
                Ok(tables) => reference.extend(tables),
                Err(message) => problems.push(at(file, 0, message)),
            }
            let found = theory.check(&directions(&models), &benefits(&reference));
            problems.extend(found.into_iter().map(|(line, why)| at(file, line, why)));
        }
        set_makings(&mut models);
        for model in models.values() {
            check_reads(model, &models, &reference, &mut problems);
            check_counts(model, &models, &mut problems);
        }
        if !problems.is_empty() {
            problems.sort();
            return Err(ModelError::Invalid(problems));
        }
        let mut models = in_order(models)?;
        set_domains(&mut models);
        Ok(Self {
            models,
            reference,
            sql_sha256: hex::encode(sql_digest.finalize()),
            reference_sha256: hex::encode(reference_digest.finalize()),
            empty_cells: Arc::default(),
            empty_public: Arc::default(),
        })
    }

    /// The models of one layer, in order.
    pub fn layer(&self, layer: Layer) -> impl Iterator<Item = &SqlModel> {
        self.models.iter().filter(move |model| model.header.layer == layer)
    }

    /// The indicator of a name.
    pub fn indicator(&self, name: &str) -> Option<&SqlModel> {
        self.layer(Layer::Published).find(|model| model.name == name)
    }
}

/// Every indicator with the direction that its header calls better.
fn directions(models: &BTreeMap<String, SqlModel>) -> BTreeMap<&str, Better> {
    let indicators = models.values().filter(|model| model.header.layer == Layer::Published);
    indicators.map(|model| (model.name.as_str(), model.header.better)).collect()
}

/// Every indicator, and whether it is made of persons.
fn of_persons(models: &BTreeMap<String, SqlModel>) -> BTreeMap<&str, bool> {
    let indicators = models.values().filter(|model| model.header.layer == Layer::Published);
    indicators
        .map(|model| (model.name.as_str(), model.header.feeds.as_deref() == Some(LOCAL_PERSONS)))
        .collect()
}

/// The codes in `benefits.csv`.
fn benefits(reference: &BTreeMap<String, RecordBatch>) -> Vec<&str> {
    let codes = reference.get("benefits").and_then(|batch| batch.column_by_name("code"));
    codes
        .and_then(|codes| codes.as_string_opt::<i32>())
        .into_iter()
        .flat_map(|codes| codes.iter().flatten())
        .collect()
}

/// Names of the tables that a statement reads.
pub(crate) fn tables_of(statement: &Statement) -> Result<BTreeSet<String>, DataFusionError> {
    let (tables, _) = resolve_table_references(statement, true)?;
    Ok(tables.iter().map(|table| table.table().to_owned()).collect())
}

fn at(file: &SourceFile, line: usize, message: String) -> Problem {
    Problem { file: file.path.clone(), line, message }
}

fn load_model(file: &SourceFile, layer: Layer, name: &str) -> Result<SqlModel, Vec<Problem>> {
    let Some(name) = name.strip_suffix(".sql") else {
        return Err(vec![at(file, 0, "expected a file that ends in .sql".to_owned())]);
    };
    let mut problems = Vec::new();
    let header = header::parse(&file.path, &file.text).map_err(|found| problems.extend(found)).ok();
    if let Some(header) = &header
        && header.layer != layer
    {
        let message =
            format!("layer {} does not belong into the folder {}", header.layer.letter(), layer.folder());
        problems.push(at(file, 1, message));
    }
    let statements = DFParser::parse_sql(&file.text).map_err(|error| {
        problems.push(at(file, line_in(&error.to_string()), format!("not valid SQL: {error}")));
    });
    let mut reads = BTreeSet::new();
    if let Ok(statements) = &statements {
        match (statements.len(), statements.front()) {
            (1, Some(statement)) => match tables_of(statement) {
                Ok(tables) => reads = tables,
                Err(error) => problems.push(at(file, 0, error.to_string())),
            },
            (count, _) => {
                problems.push(at(file, 0, format!("expected one SELECT, found {count} statements")))
            }
        }
    }
    if let (Some(header), Ok(statements)) = (&header, &statements) {
        for (word, message) in clauses::refused(header, statements) {
            problems.push(at(file, line_of(&file.text, &word), message));
        }
    }
    for (number, line) in file.text.lines().enumerate() {
        let code = line.split("--").next().unwrap_or_default().to_ascii_lowercase();
        let words = code.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        for word in words.filter(|word| IMPURE.contains(word)) {
            let message =
                format!("{word} depends on when it runs: read the as-of date from {AS_OF} or {EVALUATION}");
            problems.push(at(file, number + 1, message));
        }
    }
    match header {
        Some(header) if problems.is_empty() => Ok(SqlModel {
            name: name.to_owned(),
            path: file.path.clone(),
            header,
            sql: file.text.clone(),
            reads,
            domain: Domain::Official,
            making: Making::Whole,
            plan: KeptPlan::default(),
        }),
        _ => Err(problems),
    }
}

/// The line that a parser error names ("… at Line: 3, Column: 7"), or 0.
fn line_in(message: &str) -> usize {
    message
        .split_once("Line: ")
        .and_then(|(_, rest)| rest.split(|c: char| !c.is_ascii_digit()).next())
        .and_then(|digits| digits.parse().ok())
        .unwrap_or(0)
}

/// The first line on which a name stands as a whole word, or 0.
fn line_of(text: &str, name: &str) -> usize {
    let is_word = |line: &str| {
        line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .any(|word| word.eq_ignore_ascii_case(name))
    };
    text.lines().position(|line| !line.starts_with("--") && is_word(line)).map_or(0, |index| index + 1)
}

fn check_reads(
    model: &SqlModel,
    models: &BTreeMap<String, SqlModel>,
    reference: &BTreeMap<String, RecordBatch>,
    problems: &mut Vec<Problem>,
) {
    let layer = model.header.layer;
    for name in &model.reads {
        let allowed = if EVENTS.contains(&name.as_str()) {
            layer == Layer::Staging
        } else if PARAMETERS.contains(&name.as_str()) {
            layer == Layer::Local
                || model.header.derived
                || (name == AS_OF && layer == Layer::Table && model.making != Making::Monthly)
        } else if name == MONTH_AREAS {
            model.header.derived
        } else if name == DISCLOSED {
            layer == Layer::Table && model.making == Making::Whole
        } else if name == EVALUATION {
            layer == Layer::Table && model.making != Making::AfterMonths
        } else if TABLE_INPUTS.contains(&name.as_str()) {
            layer == Layer::Table
        } else if name.strip_prefix(REFERENCE).is_some_and(|stem| reference.contains_key(stem)) {
            layer >= Layer::Local
        } else if let Some(read) = models.get(name) {
            let from = read.header.layer;
            match layer {
                Layer::Staging => false,
                Layer::Local => from <= Layer::Local,
                // What is made anew from cells reads cells only.
                Layer::Additive if model.header.derived => from == Layer::Additive,
                Layer::Additive => from == Layer::Local || from == Layer::Additive,
                Layer::Published => from == Layer::Additive || from == Layer::Published,
                Layer::Table => match model.making {
                    Making::Whole => from == Layer::Table || read.header.public,
                    Making::Monthly => name == COMPLETENESS,
                    Making::AfterMonths => from == Layer::Table,
                },
            }
        } else {
            let known = models
                .keys()
                .chain(reference.keys())
                .map(String::as_str)
                .chain(EVENTS)
                .chain(PARAMETERS)
                .chain([MONTH_AREAS])
                .chain(TABLE_INPUTS);
            let hint = nearest(name, known).map(|near| format!("; did you mean {near}?")).unwrap_or_default();
            problems.push(Problem {
                file: model.path.clone(),
                line: line_of(&model.sql, name),
                message: format!("unknown table {name}{hint}"),
            });
            continue;
        };
        if !allowed {
            problems.push(Problem {
                file: model.path.clone(),
                line: line_of(&model.sql, name),
                message: format!(
                    "layer {} may not read {name}: see the table of layers in sql/README.md",
                    layer.letter()
                ),
            });
        }
    }
}

fn check_counts(model: &SqlModel, models: &BTreeMap<String, SqlModel>, problems: &mut Vec<Problem>) {
    let Some(counts) = &model.header.counts else { return };
    if models.get(counts).is_none_or(|other| other.header.layer != Layer::Published) {
        let names = models.values().filter(|m| m.header.layer == Layer::Published).map(|m| m.name.as_str());
        let hint = nearest(counts, names).map(|near| format!("; did you mean {near}?")).unwrap_or_default();
        problems.push(Problem {
            file: model.path.clone(),
            line: 1,
            message: format!("counts: {counts} is no indicator{hint}"),
        });
    }
}

/// A table is made after the months if anything it reads is made of months.
fn set_makings(models: &mut BTreeMap<String, SqlModel>) {
    let is_table = |model: &SqlModel| model.header.layer == Layer::Table;
    let monthly: BTreeSet<String> = models
        .values_mut()
        .filter(|model| is_table(model) && model.reads.contains(LOCAL_DISCLOSED))
        .map(|model| {
            model.making = Making::Monthly;
            model.name.clone()
        })
        .collect();
    let mut of_months = monthly;
    loop {
        let mut more = models.values_mut().filter(|model| {
            is_table(model) && model.making == Making::Whole && !model.reads.is_disjoint(&of_months)
        });
        let Some(model) = more.next() else { return };
        model.making = Making::AfterMonths;
        of_months.insert(model.name.clone());
    }
}

/// A model is about persons if anything it reads is; about neither if it reads nothing but reference tables.
fn set_domains(models: &mut [SqlModel]) {
    let mut persons: BTreeSet<String> = [EVENT_PERSON.to_owned()].into();
    let mut neither: BTreeSet<String> = BTreeSet::new();
    for model in models {
        if model.reads.iter().any(|name| persons.contains(name)) {
            model.domain = Domain::Person;
            persons.insert(model.name.clone());
        } else if model.reads.iter().all(|name| name.starts_with(REFERENCE) || neither.contains(name)) {
            model.domain = Domain::Reference;
            neither.insert(model.name.clone());
        }
    }
}

fn in_order(mut models: BTreeMap<String, SqlModel>) -> Result<Vec<SqlModel>, ModelError> {
    let mut ordered: Vec<SqlModel> = Vec::new();
    let mut done: BTreeSet<String> = BTreeSet::new();
    while !models.is_empty() {
        let ready: Vec<String> = models
            .values()
            .filter(|model| model.reads.iter().all(|name| done.contains(name) || !models.contains_key(name)))
            .map(|model| model.name.clone())
            .collect();
        if ready.is_empty() {
            let problems = models.values().map(|model| Problem {
                file: model.path.clone(),
                line: 0,
                message: format!(
                    "reads itself in a circle with {}",
                    models
                        .keys()
                        .filter(|name| model.reads.contains(*name))
                        .cloned()
                        .collect::<Vec<_>>()
                        .join(", ")
                ),
            });
            return Err(ModelError::Invalid(problems.collect()));
        }
        for name in ready {
            if let Some(model) = models.remove(&name) {
                done.insert(name);
                ordered.push(model);
            }
        }
    }
    ordered.sort_by_key(|model| model.header.layer);
    Ok(ordered)
}
