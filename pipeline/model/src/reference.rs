//! Reference tables: dated CSV files under `sql/reference`. The one that is no CSV file, the tree of the theory of
//! change, is read by [`crate::theory`].
//!
//! Each has a declared schema; a missing or unknown column, or a value of the wrong type, is an error with the
//! line. Codes stay text with their leading zeros.

use std::io::Cursor;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::csv::ReaderBuilder;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use crate::theory;

/// Declares a reference table: name and columns. A trailing `?` marks a column that may be blank.
const TABLES: [(&str, &[(&str, DataType)]); 16] = [
    (
        "areas",
        &[
            ("municipality", DataType::Utf8),
            ("name", DataType::Utf8),
            ("jobcentre", DataType::Utf8),
            ("jobcentre_name", DataType::Utf8),
            ("cluster", DataType::Utf8),
            ("cluster_name", DataType::Utf8),
            ("region", DataType::Utf8),
            ("region_name", DataType::Utf8),
            ("valid_from", DataType::Date32),
            ("valid_to?", DataType::Date32),
        ],
    ),
    (
        "benefit_costs",
        &[
            ("benefit", DataType::Utf8),
            ("administration_oere", DataType::Int64),
            ("activity_oere", DataType::Int64),
            ("valid_from", DataType::Date32),
            ("valid_to?", DataType::Date32),
            ("note", DataType::Utf8),
        ],
    ),
    (
        "benefits",
        &[
            ("code", DataType::Utf8),
            ("number", DataType::Int32),
            ("danish", DataType::Utf8),
            ("jobindsats_family?", DataType::Utf8),
            ("gap_rule", DataType::Utf8),
            ("in_refund_ladder", DataType::Boolean),
            ("net_yearly_cost_oere?", DataType::Int64),
            ("valid_from", DataType::Date32),
            ("valid_to?", DataType::Date32),
        ],
    ),
    (
        "budgets",
        &[
            ("area_kind", DataType::Utf8),
            ("area", DataType::Utf8),
            ("year", DataType::Int64),
            ("service", DataType::Utf8),
            ("contract_unit", DataType::Utf8),
            ("base_clients", DataType::Int64),
            ("activity_per_1000_clients?", DataType::Int64),
            ("activity_per_month?", DataType::Int64),
            ("price_oere", DataType::Int64),
            ("note", DataType::Utf8),
        ],
    ),
    (
        "contract_goals",
        &[
            ("area_kind", DataType::Utf8),
            ("area", DataType::Utf8),
            ("year", DataType::Int64),
            ("contract_unit", DataType::Utf8),
            ("perspective", DataType::Utf8),
            ("goal", DataType::Utf8),
            ("danish", DataType::Utf8),
            ("indicator?", DataType::Utf8),
            ("benefit?", DataType::Utf8),
            ("zero_value?", DataType::Float64),
            ("target_value?", DataType::Float64),
            ("direction?", DataType::Utf8),
            ("note", DataType::Utf8),
        ],
    ),
    (
        "hardest_groups",
        &[
            ("indicator", DataType::Utf8),
            ("hardest", DataType::Utf8),
            ("hardest_benefit?", DataType::Utf8),
            ("note", DataType::Utf8),
        ],
    ),
    (
        "investments",
        &[
            ("investment", DataType::Utf8),
            ("danish", DataType::Utf8),
            ("area_kind", DataType::Utf8),
            ("area", DataType::Utf8),
            ("benefit", DataType::Utf8),
            ("scenario", DataType::Utf8),
            ("effort_months", DataType::Int64),
            ("extra_activity_per_1000_clients", DataType::Int64),
            ("price_oere", DataType::Int64),
            ("effect_permille", DataType::Int64),
            ("delay_months", DataType::Int64),
            ("effect_months", DataType::Int64),
            ("valid_from", DataType::Date32),
            ("source", DataType::Utf8),
        ],
    ),
    (
        "language_goals",
        &[
            ("valid_from", DataType::Date32),
            ("valid_to?", DataType::Date32),
            ("pass_percent", DataType::Int64),
            ("note", DataType::Utf8),
        ],
    ),
    (
        "refund_ladder",
        &[
            ("valid_from", DataType::Date32),
            ("valid_to?", DataType::Date32),
            ("first_day", DataType::Int32),
            ("last_day?", DataType::Int32),
            ("percent", DataType::Int32),
        ],
    ),
    (
        "rewards",
        &[
            ("area_kind", DataType::Utf8),
            ("area", DataType::Utf8),
            ("rest_regions", DataType::Utf8),
            ("benefits", DataType::Utf8),
            ("amount_oere", DataType::Int64),
            ("valid_from", DataType::Date32),
            ("valid_to?", DataType::Date32),
            ("note", DataType::Utf8),
        ],
    ),
    (
        "services",
        &[
            ("service", DataType::Utf8),
            ("danish", DataType::Utf8),
            ("indicator", DataType::Utf8),
            ("indicator_benefit", DataType::Utf8),
            ("counted", DataType::Utf8),
            ("activity_unit", DataType::Utf8),
            ("client_benefits", DataType::Utf8),
            ("note", DataType::Utf8),
        ],
    ),
    (
        "sources",
        &[
            ("source", DataType::Utf8),
            ("publisher", DataType::Utf8),
            ("table_id", DataType::Utf8),
            ("danish_title", DataType::Utf8),
            ("cadence", DataType::Utf8),
            ("official_lag_days", DataType::Int32),
            ("tolerance_days", DataType::Int32),
            ("replaced_lag?", DataType::Utf8),
        ],
    ),
    (
        "local_targets",
        &[
            ("area_kind", DataType::Utf8),
            ("area", DataType::Utf8),
            ("indicator", DataType::Utf8),
            ("benefit", DataType::Utf8),
            ("zero_date", DataType::Date32),
            ("zero_value", DataType::Float64),
            ("target_date", DataType::Date32),
            ("target_value", DataType::Float64),
            ("direction", DataType::Utf8),
            ("owner", DataType::Utf8),
            ("note?", DataType::Utf8),
        ],
    ),
    (
        "official_pairs",
        &[
            ("indicator", DataType::Utf8),
            ("benefit", DataType::Utf8),
            ("official", DataType::Utf8),
            ("official_benefit", DataType::Utf8),
            ("difference", DataType::Utf8),
        ],
    ),
    (
        "targets",
        &[
            ("area_kind", DataType::Utf8),
            ("area", DataType::Utf8),
            ("indicator", DataType::Utf8),
            ("benefit", DataType::Utf8),
            ("zero_date", DataType::Date32),
            ("zero_value", DataType::Float64),
            ("target_date", DataType::Date32),
            ("target_value", DataType::Float64),
            ("direction", DataType::Utf8),
            ("owner", DataType::Utf8),
            ("note?", DataType::Utf8),
        ],
    ),
    (
        "unit_prices",
        &[
            ("area_kind", DataType::Utf8),
            ("area", DataType::Utf8),
            ("service", DataType::Utf8),
            ("price_oere", DataType::Int64),
            ("valid_from", DataType::Date32),
            ("valid_to?", DataType::Date32),
            ("note", DataType::Utf8),
        ],
    ),
];

/// The schema of a reference table.
pub fn schema(table: &str) -> Option<SchemaRef> {
    let (_, columns) = TABLES.iter().find(|(name, _)| *name == table)?;
    let fields = columns.iter().map(|(name, kind)| {
        let bare = name.trim_end_matches('?');
        Field::new(bare, kind.clone(), bare.len() < name.len())
    });
    Some(Arc::new(Schema::new(fields.collect::<Vec<_>>())))
}

/// Reads a reference file; returns the table's name and its rows.
pub(crate) fn read(file: &str, text: &str) -> Result<(String, RecordBatch), String> {
    let known = || format!("{}, {}", TABLES.map(|(name, _)| format!("{name}.csv")).join(", "), theory::FILE);
    let table = file.strip_suffix(".csv").ok_or_else(|| format!("expected one of {}", known()))?;
    let schema =
        schema(table).ok_or_else(|| format!("unknown reference table: expected one of {}", known()))?;
    let expected = schema.fields().iter().map(|field| field.name().as_str()).collect::<Vec<_>>().join(",");
    let header = text.lines().next().unwrap_or_default();
    if header != expected {
        return Err(format!("expected the columns {expected}, got {header}"));
    }
    let reader = ReaderBuilder::new(schema.clone())
        .with_header(true)
        .build(Cursor::new(text.as_bytes()))
        .map_err(|error| error.to_string())?;
    let batches =
        reader.collect::<Result<Vec<_>, _>>().map_err(|error| with_file_line(&error.to_string()))?;
    let batch = concat_batches(&schema, &batches).map_err(|error| error.to_string())?;
    Ok((table.to_owned(), batch))
}

/// Arrow counts rows after the header; people count lines of the file.
fn with_file_line(message: &str) -> String {
    let counted = message.split_once(" at line ").and_then(|(before, after)| {
        let digits = after.bytes().take_while(u8::is_ascii_digit).count();
        let row: usize = after[..digits].parse().ok()?;
        Some(format!("{before} at line {}{}", row + 1, &after[digits..]))
    });
    counted.unwrap_or_else(|| message.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_columns_and_wrong_values_are_refused() {
        let header =
            "source,publisher,table_id,danish_title,cadence,official_lag_days,tolerance_days,replaced_lag";
        let good = format!("{header}\njobindsats-y25i01,jobindsats,y25i01,Ledige,M,19,3,\n");
        let (table, batch) = read("sources.csv", &good).expect("table");
        assert_eq!((table.as_str(), batch.num_rows()), ("sources", 1));
        let error = read("sources.csv", &good.replace("cadence", "rhythm")).expect_err("columns");
        assert!(error.contains("expected the columns"), "{error}");
        let error = read("sources.csv", &good.replace(",19,", ",soon,")).expect_err("value");
        assert!(error.contains("soon") && error.contains("line 2"), "{error}");
        assert!(read("prices.csv", "").expect_err("unknown").contains("areas.csv"));
    }
}
