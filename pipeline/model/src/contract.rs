//! The contracts of the published tables: columns, types, units, descriptions, grain.
//!
//! One declaration serves the Arrow schema, the Parquet metadata, the JSON sidecar and the check of every SQL
//! result. Types are Utf8, Int64, Float64, Date32, Timestamp(µs, UTC) and Boolean only, so that any reader of
//! Parquet can use them.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

use crate::error::ModelError;

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

/// A published column.
#[derive(Debug)]
pub struct Column {
    /// Name.
    pub name: &'static str,
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
    /// What it says.
    pub description: &'static str,
    /// Columns that identify a row.
    pub grain: &'static [&'static str],
    /// Columns in order.
    pub columns: &'static [Column],
}

const fn column(name: &'static str, kind: Kind, unit: &'static str, description: &'static str) -> Column {
    Column { name, kind, nullable: false, unit, description }
}

const fn maybe(name: &'static str, kind: Kind, unit: &'static str, description: &'static str) -> Column {
    Column { name, kind, nullable: true, unit, description }
}

const INDICATOR: Column = column("indicator", Kind::Text, "", "code of the indicator");
const AREA_KIND: Column = column(
    "area_kind",
    Kind::Text,
    "",
    "municipality (kommune), jobcentre (jobcenter), cluster (klynge), region or country",
);
const AREA: Column =
    column("area", Kind::Text, "", "code of the area, leading zeros kept; 0000 is the country");
const BENEFIT: Column =
    column("benefit", Kind::Text, "", "code of the benefit (ydelse); total if it is not divided by benefit");
const PERIOD: Column = column("period", Kind::Text, "", "reference period: 2026-07, 2026-Q1 or 2026");
const BREAKDOWN: Column =
    column("breakdown", Kind::Text, "", "what the value is divided by; total if by nothing");
const BREAKDOWN_VALUE: Column =
    column("breakdown_value", Kind::Text, "", "value of the breakdown; total if none");
const UNIT: Column = column("unit", Kind::Text, "", "unit of the value");
const STATUS: Column = column("status", Kind::Text, "", "final, provisional, incomplete, hidden or missing");
const EPOCH: Column = column("epoch", Kind::Integer, "", "the epoch that first published this row");
const KNOWN_AT: Column = column("known_at", Kind::Instant, "", "since when this value has been known");

const CELL: &[&str] =
    &["indicator", "area_kind", "area", "benefit", "period", "breakdown", "breakdown_value"];

/// Every published table.
pub const TABLES: &[Table] = &[
    Table {
        name: "indicators",
        description: "The newest known value of every indicator",
        grain: CELL,
        columns: &[
            INDICATOR,
            AREA_KIND,
            AREA,
            BENEFIT,
            PERIOD,
            BREAKDOWN,
            BREAKDOWN_VALUE,
            maybe("value", Kind::Float, "column unit", "the value; null if hidden or missing"),
            maybe("numerator", Kind::Integer, "count", "what the value was made of"),
            maybe("denominator", Kind::Integer, "count", "what the value was divided by"),
            UNIT,
            STATUS,
            KNOWN_AT,
            EPOCH,
        ],
    },
    Table {
        name: "vintages",
        description: "Every published value with the time in which it was the newest one known",
        grain: &[
            "indicator",
            "area_kind",
            "area",
            "benefit",
            "period",
            "breakdown",
            "breakdown_value",
            "known_at",
        ],
        columns: &[
            INDICATOR,
            AREA_KIND,
            AREA,
            BENEFIT,
            PERIOD,
            BREAKDOWN,
            BREAKDOWN_VALUE,
            maybe("value", Kind::Float, "unit of the indicator", "the value; null if hidden or missing"),
            maybe("numerator", Kind::Integer, "count", "what the value was made of"),
            maybe("denominator", Kind::Integer, "count", "what the value was divided by"),
            STATUS,
            KNOWN_AT,
            maybe(
                "known_to",
                Kind::Instant,
                "",
                "until when it was the newest one known; null if it still is",
            ),
            EPOCH,
        ],
    },
    Table {
        name: "local_indicators",
        description: "The newest value of every indicator made from payments, cases and wages, for the newest 25 months",
        grain: &["period", "indicator", "area_kind", "area", "benefit"],
        columns: &[
            INDICATOR,
            AREA_KIND,
            AREA,
            BENEFIT,
            PERIOD,
            maybe("value", Kind::Float, "column unit", "the value; null if hidden or missing"),
            maybe("numerator", Kind::Integer, "count", "what the value was made of"),
            maybe("denominator", Kind::Integer, "count", "what the value was divided by"),
            UNIT,
            STATUS,
            KNOWN_AT,
            EPOCH,
        ],
    },
    Table {
        name: "revisions",
        description: "Every change of a published value",
        grain: &[
            "indicator",
            "area_kind",
            "area",
            "benefit",
            "period",
            "breakdown",
            "breakdown_value",
            "new_known_at",
        ],
        columns: &[
            INDICATOR,
            AREA_KIND,
            AREA,
            BENEFIT,
            PERIOD,
            BREAKDOWN,
            BREAKDOWN_VALUE,
            maybe(
                "old",
                Kind::Float,
                "unit of the indicator",
                "value before; null if there was none to show",
            ),
            maybe("new", Kind::Float, "unit of the indicator", "value after; null if it is hidden since"),
            maybe("old_known_at", Kind::Instant, "", "since when the old value had been known"),
            column("new_known_at", Kind::Instant, "", "since when the new value has been known"),
            EPOCH,
            column("cause", Kind::Text, "", "first, late, correction, official_release or definition"),
        ],
    },
    Table {
        name: "comparisons",
        description: "Each value beside the same period last year, its cluster and what it is expected to settle at",
        grain: CELL,
        columns: &[
            INDICATOR,
            AREA_KIND,
            AREA,
            BENEFIT,
            PERIOD,
            BREAKDOWN,
            BREAKDOWN_VALUE,
            maybe("value", Kind::Float, "column unit", "the value"),
            UNIT,
            STATUS,
            maybe("last_year", Kind::Float, "column unit", "value of the same period last year"),
            maybe(
                "change_1y",
                Kind::Float,
                "percent; points if unit is percent",
                "development (udvikling) since last year",
            ),
            maybe("cluster", Kind::Text, "", "cluster (klynge) of the jobcentre"),
            column(
                "compared_by",
                Kind::Text,
                "",
                "which column the cluster columns compare: value or change_1y",
            ),
            maybe(
                "cluster_mean",
                Kind::Float,
                "as compared_by",
                "mean of the cluster; for counts the development of its sum",
            ),
            maybe("cluster_best", Kind::Float, "as compared_by", "best of the cluster"),
            maybe("cluster_worst", Kind::Float, "as compared_by", "worst of the cluster"),
            maybe(
                "settled_estimate",
                Kind::Float,
                "column unit",
                "what a provisional value is expected to settle at",
            ),
            maybe("settled_low", Kind::Float, "column unit", "5th percentile of the settled value"),
            maybe("settled_high", Kind::Float, "column unit", "95th percentile of the settled value"),
        ],
    },
    Table {
        name: "settlement",
        description: "How much the newest month grew at the next release, over the vintages seen so far",
        grain: &["indicator", "benefit"],
        columns: &[
            INDICATOR,
            BENEFIT,
            column(
                "observations",
                Kind::Integer,
                "count",
                "municipal months seen as newest and then settled",
            ),
            column(
                "ratio",
                Kind::Float,
                "ratio",
                "sum of the settled values over sum of the first published ones",
            ),
            column("ratio_low", Kind::Float, "ratio", "5th percentile over municipalities, nearest rank"),
            column("ratio_high", Kind::Float, "ratio", "95th percentile over municipalities, nearest rank"),
        ],
    },
    Table {
        name: "seasons",
        description: "How much a month of the year usually lies above or below its year (sæsonudsving)",
        grain: &["area_kind", "area", "indicator", "benefit", "month_of_year"],
        columns: &[
            AREA_KIND,
            AREA,
            INDICATOR,
            BENEFIT,
            column("month_of_year", Kind::Integer, "", "1 is January"),
            column("factor", Kind::Float, "ratio", "value over the mean of the year around it"),
            column("years", Kind::Integer, "count", "years that it was learned from"),
        ],
    },
    Table {
        name: "adjusted",
        description: "Values without their season (sæsonkorrigerede tal) of areas that have targets",
        grain: &["area_kind", "area", "indicator", "benefit", "period"],
        columns: &[
            AREA_KIND,
            AREA,
            INDICATOR,
            BENEFIT,
            PERIOD,
            column("factor", Kind::Float, "ratio", "season of the period; 1 until two years are known"),
            column(
                "adjusted",
                Kind::Float,
                "unit of the indicator",
                "what the value is judged by, over the factor",
            ),
            maybe(
                "underlying",
                Kind::Float,
                "unit of the indicator",
                "straight line through the year that ends here, at its end",
            ),
            maybe(
                "jump",
                Kind::Float,
                "ratio",
                "second difference as the variance of a value, over the mean",
            ),
            maybe("growth", Kind::Float, "logarithm a month", "mean change of the last twelve months"),
            maybe("spread", Kind::Float, "logarithm a month", "standard deviation of these changes"),
        ],
    },
    Table {
        name: "targets",
        description: "Where each area stands on the path from its zero point to its target (resultatmål)",
        grain: &["area_kind", "area", "indicator", "benefit", "period"],
        columns: &[
            AREA_KIND,
            AREA,
            INDICATOR,
            BENEFIT,
            PERIOD,
            column("zero_value", Kind::Float, "unit of the indicator", "zero point (nulpunkt)"),
            column("zero_date", Kind::Date, "", "date of the zero point"),
            column("target_value", Kind::Float, "unit of the indicator", "target (mål)"),
            column("target_date", Kind::Date, "", "date of the target"),
            column("direction", Kind::Text, "", "down or up: which way is better"),
            maybe("value", Kind::Float, "unit of the indicator", "the value (status)"),
            STATUS,
            column(
                "expected",
                Kind::Float,
                "unit of the indicator",
                "value on the straight path at the end of the period",
            ),
            maybe(
                "level",
                Kind::Float,
                "unit of the indicator",
                "mean of the newest three months after the zero point, in the season (sæsonudsving) of this one",
            ),
            maybe(
                "expected_level",
                Kind::Float,
                "unit of the indicator",
                "the same of an area on its path from where it really stood at the zero point",
            ),
            maybe("realised_ratio", Kind::Float, "ratio", "realised share of the way (realiseret andel)"),
            maybe("deviation", Kind::Float, "unit of the indicator", "value minus expected"),
            maybe(
                "dispersion",
                Kind::Float,
                "ratio",
                "how many times a count spreads more than chance alone; null until a year is known",
            ),
            maybe(
                "lower_limit",
                Kind::Float,
                "unit of the indicator",
                "below it lies one of forty levels of an area on its path",
            ),
            maybe(
                "upper_limit",
                Kind::Float,
                "unit of the indicator",
                "above it lies one of forty levels of an area on its path",
            ),
            maybe(
                "p_value",
                Kind::Float,
                "ratio",
                "how likely chance takes the level of an area on its path as far to the wrong side",
            ),
            maybe(
                "probability",
                Kind::Float,
                "ratio",
                "probability of reaching the target if it goes on as in the last year",
            ),
            column("newest", Kind::Boolean, "", "whether this is the newest period of the indicator"),
            column("state", Kind::Text, "", "on_track, drifting, insufficient, incomplete or source_late"),
        ],
    },
    Table {
        name: "rhythms",
        description: "When each source delivered last, and when its next delivery is overdue by its own habit",
        grain: &["source"],
        columns: &[
            column("source", Kind::Text, "", "delivering system and table"),
            column("newest_delivery", Kind::Instant, "", "when its newest delivery came"),
            column("newest_period_end", Kind::Date, "", "last day of the newest period in its deliveries"),
            maybe(
                "usual_days",
                Kind::Integer,
                "days",
                "95th percentile of the days between two deliveries; null until six days of deliveries are known",
            ),
            maybe("next_due", Kind::Date, "", "when the next one is overdue; null until the habit is known"),
        ],
    },
    Table {
        name: "completeness",
        description: "What has arrived of what is expected, per source, area and period of the last 400 days",
        grain: &["source", "area", "period"],
        columns: &[
            column("source", Kind::Text, "", "delivering system and table"),
            AREA,
            PERIOD,
            column(
                "expected",
                Kind::Integer,
                "figures, or records in tens",
                "the most that one of this period and the two before it had; of a municipality's own system what the \
                 twelve months before usually had by then",
            ),
            column("received", Kind::Integer, "figures, or records in tens", "what has arrived"),
            maybe("ratio", Kind::Float, "ratio", "received over expected; null below ten records"),
            column("state", Kind::Text, "", "complete or incomplete"),
        ],
    },
    Table {
        name: "freshness",
        description: "How old each source is and whether its next period or delivery is overdue",
        grain: &["source"],
        columns: &[
            column("source", Kind::Text, "", "delivering system and table"),
            column(
                "newest_event",
                Kind::Instant,
                "",
                "when its newest figure was retrieved, its newest records delivered",
            ),
            maybe("newest_delivery", Kind::Instant, "", "when its newest delivery ended"),
            maybe(
                "published",
                Kind::Instant,
                "",
                "when the publisher published it; null if it is no publisher",
            ),
            column(
                "age_seconds",
                Kind::Integer,
                "seconds",
                "age of the newest event when the epoch was evaluated",
            ),
            maybe(
                "official_lag_days",
                Kind::Integer,
                "days",
                "the official lag that it replaces: end of period to publication; null if it replaces none",
            ),
            column("newest_period_end", Kind::Date, "", "last day of the newest period"),
            maybe(
                "next_due",
                Kind::Date,
                "",
                "when the next period or delivery is overdue; null until a habit is known",
            ),
            column("late", Kind::Boolean, "", "whether that day is over at the as-of date"),
        ],
    },
];

impl Table {
    /// The table of a name.
    pub fn named(name: &str) -> Option<&'static Self> {
        TABLES.iter().find(|table| table.name == name)
    }

    /// The Arrow schema, units and descriptions in the fields' metadata.
    pub fn schema(&self) -> SchemaRef {
        let fields = self.columns.iter().map(|column| {
            let metadata = HashMap::from([
                ("unit".to_owned(), column.unit.to_owned()),
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
