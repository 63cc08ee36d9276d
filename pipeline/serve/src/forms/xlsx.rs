//! A table as a workbook: the rows, the columns explained in English and Danish, and what it is.
//!
//! Codes are text and keep their zeros; nothing is a formula. Excel knows no time zones and keeps an instant to about a microsecond: all
//! are UTC, and shown to the millisecond. A table that a sheet cannot hold is refused whole.

use arrow::array::RecordBatch;
use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use rettidig_model::contract::{CHANGE_POLICY, Table};
use rettidig_runtime::{Manifest, publish};
use rust_xlsxwriter::{DocProperties, ExcelDateTime, Format, Workbook, Worksheet, XlsxError};

use super::FormError;
use super::cells::{Cell, Cells};

/// Rows of a sheet beside the header.
const ROWS_MAX: usize = 1_048_575;

/// Whole numbers up to here are the same in a sheet, where every number is a float.
const WHOLE_MAX: u64 = 1 << 53;

/// Day 0 of Excel's serial numbers after February 1900.
const DAY_0: NaiveDate = NaiveDate::from_ymd_opt(1899, 12, 30).expect("a date");

/// Seconds of a day.
const DAY_SECONDS: f64 = 86_400.0;

/// The workbook's bytes.
///
/// # Errors
/// [`FormError::TooLarge`] if it does not fit into a sheet.
pub(super) fn encode(table: &Table, rows: &RecordBatch, manifest: &Manifest) -> Result<Vec<u8>, FormError> {
    let broken = |error: XlsxError| FormError::Broken(format!("writing a workbook: {error}"));
    let mut workbook = Workbook::new();
    let made = ExcelDateTime::from_timestamp(manifest.committed_at.timestamp()).map_err(broken)?;
    let properties = DocProperties::new().set_title(table.danish).set_creation_datetime(&made);
    workbook.set_properties(&properties);
    let sheet = workbook.add_worksheet_with_constant_memory().map_err(broken)?;
    sheet.set_name(table.name).map_err(broken)?;
    write_rows(sheet, rows)?;
    explain(workbook.add_worksheet(), table).map_err(broken)?;
    tell(workbook.add_worksheet(), table, manifest).map_err(broken)?;
    workbook.save_to_buffer().map_err(broken)
}

/// Writes rows under the names of their columns.
///
/// # Errors
/// [`FormError::TooLarge`] if they do not fit into a sheet.
pub(crate) fn write_rows(sheet: &mut Worksheet, rows: &RecordBatch) -> Result<(), FormError> {
    if rows.num_rows() > ROWS_MAX {
        return Err(FormError::TooLarge(format!(
            "a sheet holds {ROWS_MAX} rows and this selection has {}: choose fewer, e.g. ?area=0101, or take CSV or Parquet",
            rows.num_rows()
        )));
    }
    let (cells, schema) = (Cells::of(rows)?, rows.schema());
    let broken = |error: XlsxError| FormError::Broken(format!("writing a workbook: {error}"));
    let bold = Format::new().set_bold();
    let day = Format::new().set_num_format("yyyy-mm-dd");
    let time = Format::new().set_num_format("yyyy-mm-dd hh:mm:ss.000");
    sheet.set_freeze_panes(1, 0).map_err(broken)?;
    for (field, number) in schema.fields().iter().zip(0_u16..) {
        let characters = field.name().len().max(12);
        sheet.set_column_width(number, f64::from(u16::try_from(characters).unwrap_or(12))).map_err(broken)?;
    }
    for (field, number) in schema.fields().iter().zip(0_u16..) {
        sheet.write_string_with_format(0, number, field.name(), &bold).map_err(broken)?;
    }
    for (row, line) in (0..rows.num_rows()).zip(1_u32..) {
        for (column, number) in (0..rows.num_columns()).zip(0_u16..) {
            match cells.cell(row, column) {
                Cell::Null => continue,
                Cell::Text(text) => sheet.write_string(line, number, text),
                Cell::Integer(whole) if whole.unsigned_abs() > WHOLE_MAX => {
                    return Err(FormError::TooLarge(format!(
                        "{whole} in column {} has more digits than a sheet keeps: take CSV or Parquet",
                        schema.field(column).name()
                    )));
                }
                Cell::Integer(whole) => sheet.write_number(line, number, whole as f64),
                Cell::Float(float) => sheet.write_number(line, number, float),
                Cell::Date(date) => sheet.write_number_with_format(line, number, serial(date), &day),
                Cell::Instant(at) => sheet.write_number_with_format(line, number, serial_of(at), &time),
                Cell::Boolean(is) => sheet.write_boolean(line, number, is),
            }
            .map_err(broken)?;
        }
    }
    Ok(())
}

/// The days since [`DAY_0`].
fn serial(date: NaiveDate) -> f64 {
    (date - DAY_0).num_days() as f64
}

fn serial_of(at: DateTime<Utc>) -> f64 {
    let day = at.date_naive();
    let into = at.time() - NaiveTime::MIN;
    let seconds = into.num_microseconds().unwrap_or_default() as f64 / 1e6;
    serial(day) + seconds / DAY_SECONDS
}

/// The sheet that says what the columns are.
fn explain(sheet: &mut Worksheet, table: &Table) -> Result<(), XlsxError> {
    sheet.set_name("columns")?;
    sheet.set_freeze_panes(1, 0)?;
    let bold = Format::new().set_bold();
    let header = ["column", "kolonne", "type", "unit", "may be null", "description"];
    for ((text, number), width) in header.into_iter().zip(0_u16..).zip([24, 32, 12, 24, 12, 90]) {
        sheet.set_column_width(number, width)?;
        sheet.write_string_with_format(0, number, text, &bold)?;
    }
    for (column, line) in table.columns.iter().zip(1_u32..) {
        let texts = [column.name, column.danish, column.kind.name(), publish::unit(column)];
        for (text, number) in texts.into_iter().zip(0_u16..) {
            sheet.write_string(line, number, text)?;
        }
        sheet.write_boolean(line, 4, column.nullable)?;
        sheet.write_string(line, 5, column.description)?;
    }
    Ok(())
}

/// The sheet that says what the table is.
fn tell(sheet: &mut Worksheet, table: &Table, manifest: &Manifest) -> Result<(), XlsxError> {
    sheet.set_name("about")?;
    sheet.set_column_width(0, 20)?;
    sheet.set_column_width(1, 120)?;
    let lines = [
        ("table", table.name.to_owned()),
        ("navn", table.danish.to_owned()),
        ("description", table.description.to_owned()),
        ("beskrivelse", table.danish_description.to_owned()),
        ("epoch", manifest.epoch.to_string()),
        ("committed at", super::cells::instant(manifest.committed_at)),
        ("one row is", table.grain.join(", ")),
        ("changes", table.changes.text().to_owned()),
        ("version", table.version.to_string()),
        ("how it may change", CHANGE_POLICY.to_owned()),
        ("sources", crate::catalogue::ATTRIBUTION.to_owned()),
    ];
    for ((name, text), line) in lines.iter().zip(0_u32..) {
        sheet.write_string(line, 0, *name)?;
        sheet.write_string(line, 1, text)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::samples::{self, TABLE};
    use super::*;

    #[test]
    fn a_day_is_what_excel_takes_it_for() {
        let date = NaiveDate::from_ymd_opt(2026, 7, 31).expect("a date");
        assert_eq!(serial(date), 46_234.0);
        let noon = date.and_hms_opt(12, 0, 0).expect("a time").and_utc();
        assert_eq!(serial_of(noon), 46_234.5);
    }

    #[test]
    fn what_a_sheet_cannot_hold_is_refused_with_what_to_do() {
        let manifest = crate::forms::tests::manifest();
        let error = encode(&TABLE, &samples::rows(), &manifest).expect_err("too many digits").to_string();
        assert!(error.contains("-9007199254740993 in column count"), "{error}");
        let many = samples::many(ROWS_MAX + 1);
        let error = encode(&TABLE, &many, &manifest).expect_err("too many rows").to_string();
        assert!(error.contains("1048575 rows and this selection has 1048576"), "{error}");
        assert!(error.contains("take CSV or Parquet"), "{error}");
    }

    #[test]
    fn the_same_epoch_gives_the_same_bytes_and_an_empty_table_a_workbook() {
        let manifest = crate::forms::tests::manifest();
        let rows = samples::rows().slice(0, 2);
        let first = encode(&TABLE, &rows, &manifest).expect("encoded");
        assert_eq!(first, encode(&TABLE, &rows, &manifest).expect("encoded"));
        let empty = encode(&TABLE, &rows.slice(0, 0), &manifest).expect("encoded");
        assert!(empty.starts_with(b"PK"), "a zip file");
        assert_ne!(first, empty);
    }
}
