//! The contracts of the published tables: columns, types, units, descriptions, Danish names, grain, how often a table changes and
//! how its contract may.
//!
//! One declaration serves the Arrow schema, the Parquet metadata, the JSON sidecar, the catalogues, every other form of a table, and
//! the check of every SQL result. `contracts.json` beside this crate is what was promised; a test (`tests/model/contracts.rs`) refuses
//! what breaks it. Types are Utf8, Int64, Float64, Date32, Timestamp(µs, UTC) and Boolean only, so that any reader of
//! Parquet can use them.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

use crate::error::ModelError;

mod budget;
mod drift;
mod figures;
mod persons;
mod sources;
mod steering;
mod theory;

/// Type of a published column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    Text,
    /// 64-bit integer.
    Integer,
    /// 64-bit float.
    Float,
    /// Civil date.
    Date,
    /// Instant, microseconds, UTC.
    Instant,
    /// Truth value.
    Boolean,
}

impl Kind {
    /// The name in sidecars.
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "Utf8",
            Self::Integer => "Int64",
            Self::Float => "Float64",
            Self::Date => "Date32",
            Self::Instant => "Timestamp",
            Self::Boolean => "Boolean",
        }
    }

    /// The Arrow type.
    pub fn data_type(self) -> DataType {
        match self {
            Self::Text => DataType::Utf8,
            Self::Integer => DataType::Int64,
            Self::Float => DataType::Float64,
            Self::Date => DataType::Date32,
            Self::Instant => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Self::Boolean => DataType::Boolean,
        }
    }
}

/// When a table changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changes {
    /// With each release of a publisher of official figures, within seconds.
    Release,
    /// With each delivery of a municipality's own systems and each release, within seconds.
    Delivery,
    /// With each epoch: it tells about the sources at that instant.
    Epoch,
}

impl Changes {
    /// The words of the contract.
    pub fn text(self) -> &'static str {
        match self {
            Self::Release => {
                "with each release of official figures, seconds after it was retrieved; most figures are monthly"
            }
            Self::Delivery => {
                "with each delivery of a municipality's own systems, and with each release of official figures that it uses; daily"
            }
            Self::Epoch => "with each epoch: whenever anything arrives, and at least daily",
        }
    }

    /// Code of the EU's list of frequencies, <http://publications.europa.eu/resource/authority/frequency>.
    pub fn frequency(self) -> &'static str {
        match self {
            Self::Release => "MONTHLY",
            Self::Delivery => "DAILY",
            Self::Epoch => "UPDATE_CONT",
        }
    }
}

/// How the contract of a table may change.
pub const CHANGE_POLICY: &str = "The version is that of the contract. New tables, new columns at the end of a table and new words in a \
    column may come at any time: choose columns by name. Removing or renaming a table or a column, another type, unit or grain, or nulls \
    where there were none need a new version, which is announced in CHANGELOG.md one release before.";

/// A published column.
#[derive(Debug)]
pub struct Column {
    /// Name.
    pub name: &'static str,
    /// Its Danish name: the official term where there is one.
    pub danish: &'static str,
    /// Type.
    pub kind: Kind,
    /// Whether it may be null.
    pub nullable: bool,
    /// Unit, or empty.
    pub unit: &'static str,
    /// What it says, with the Danish term where there is an official one.
    pub description: &'static str,
}

/// A published table.
#[derive(Debug)]
pub struct Table {
    /// Name; also the name of its SQL model and of its file.
    pub name: &'static str,
    /// Its Danish name: the official term where there is one.
    pub danish: &'static str,
    /// What it says, in Danish.
    pub danish_description: &'static str,
    /// Version of its contract, from 1; see [`CHANGE_POLICY`].
    pub version: u32,
    /// When it changes.
    pub changes: Changes,
    /// The one column that is measured, if the grain and it make a cube; all grain columns of such a table are text or whole numbers.
    pub measure: Option<&'static str>,
    /// Whether a row is for those who steer its area, and not for everybody: the economy of a municipality.
    pub closed: bool,
    /// What it says.
    pub description: &'static str,
    /// Columns that identify a row.
    pub grain: &'static [&'static str],
    /// Columns in order.
    pub columns: &'static [Column],
}

const fn column(
    name: &'static str,
    danish: &'static str,
    kind: Kind,
    unit: &'static str,
    description: &'static str,
) -> Column {
    Column { name, danish, kind, nullable: false, unit, description }
}

const fn maybe(
    name: &'static str,
    danish: &'static str,
    kind: Kind,
    unit: &'static str,
    description: &'static str,
) -> Column {
    Column { name, danish, kind, nullable: true, unit, description }
}

const INDICATOR: Column = column("indicator", "indikator", Kind::Text, "", "code of the indicator");
const AREA_KIND: Column = column(
    "area_kind",
    "områdetype",
    Kind::Text,
    "",
    "municipality (kommune), jobcentre (jobcenter), cluster (klynge), region or country",
);
const AREA: Column =
    column("area", "område", Kind::Text, "", "code of the area, leading zeros kept; 0000 is the country");
const BENEFIT: Column = column(
    "benefit",
    "ydelse",
    Kind::Text,
    "",
    "code of the benefit (ydelse); total if it is not divided by benefit",
);
const PERIOD: Column =
    column("period", "periode", Kind::Text, "", "reference period: 2026-07, 2026-Q1 or 2026");
const BREAKDOWN: Column =
    column("breakdown", "opdeling", Kind::Text, "", "what the value is divided by; total if by nothing");
const BREAKDOWN_VALUE: Column =
    column("breakdown_value", "værdi af opdeling", Kind::Text, "", "value of the breakdown; total if none");
const UNIT: Column = column("unit", "enhed", Kind::Text, "", "unit of the value");
const STATUS: Column =
    column("status", "status", Kind::Text, "", "final, provisional, incomplete, hidden or missing");
const EPOCH: Column = column("epoch", "epoke", Kind::Integer, "", "the epoch that first published this row");
const KNOWN_AT: Column =
    column("known_at", "kendt fra", Kind::Instant, "", "since when this value has been known");

const CELL: &[&str] =
    &["indicator", "area_kind", "area", "benefit", "period", "breakdown", "breakdown_value"];

/// Every published table, by what it is about.
const GROUPS: [&[Table]; 7] = [
    budget::TABLES,
    figures::TABLES,
    drift::TABLES,
    persons::TABLES,
    sources::TABLES,
    steering::TABLES,
    theory::TABLES,
];

/// Every published table.
pub fn tables() -> impl Iterator<Item = &'static Table> {
    GROUPS.into_iter().flatten()
}

impl Table {
    /// The table of a name.
    pub fn named(name: &str) -> Option<&'static Self> {
        tables().find(|table| table.name == name)
    }

    /// A column by name.
    pub fn column(&self, name: &str) -> Option<&'static Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// The English name: the name in words.
    pub fn title(&self) -> String {
        let words = self.name.replace('_', " ");
        let mut letters = words.chars();
        letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
    }

    /// The Arrow schema, units and descriptions in the fields' metadata.
    pub fn schema(&self) -> SchemaRef {
        let fields = self.columns.iter().map(|column| {
            let metadata = HashMap::from([
                ("unit".to_owned(), column.unit.to_owned()),
                ("danish".to_owned(), column.danish.to_owned()),
                ("description".to_owned(), column.description.to_owned()),
            ]);
            Field::new(column.name, column.kind.data_type(), column.nullable).with_metadata(metadata)
        });
        Arc::new(Schema::new(fields.collect::<Vec<_>>()))
    }

    /// Brings a SQL result into the promised form: these columns, these types, nulls only where allowed.
    ///
    /// # Errors
    /// [`ModelError::Contract`] if it does not fit.
    pub fn conform(&self, batch: &RecordBatch) -> Result<RecordBatch, ModelError> {
        let broken = |message: String| ModelError::Contract { model: self.name.to_owned(), message };
        let mut columns = Vec::with_capacity(self.columns.len());
        for column in self.columns {
            let found = batch
                .column_by_name(column.name)
                .ok_or_else(|| broken(format!("column {} is missing from the result", column.name)))?;
            let wanted = column.kind.data_type();
            columns.push(
                cast(found, &wanted).map_err(|error| broken(format!("column {}: {error}", column.name)))?,
            );
        }
        RecordBatch::try_new(self.schema(), columns).map_err(|error| broken(error.to_string()))
    }
}
