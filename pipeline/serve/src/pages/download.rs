//! A selection as a file: one function a form.

use arrow::array::RecordBatch;
use rettidig_runtime::store::to_parquet;
use rust_xlsxwriter::{Format, Workbook, XlsxError};

use super::{Body, Fault};
use crate::forms::csv;
use crate::forms::xlsx::write_rows;

/// A form of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Text, one row a line.
    Csv,
    /// A workbook.
    Xlsx,
    /// Parquet.
    Parquet,
}

/// What a file says of itself.
#[derive(Debug, Clone)]
pub(crate) struct About {
    /// Name without ending: letters, digits, hyphens.
    pub(crate) name: String,
    /// Names and values that stand in the file where the form has a place for them.
    pub(crate) facts: Vec<(String, String)>,
}

impl Form {
    /// Rows as a file of this form.
    pub(crate) fn file(self, rows: &RecordBatch, about: &About) -> Result<Body, Fault> {
        let (content_type, ending, bytes) = match self {
            Self::Csv => ("text/csv; charset=utf-8; header=present", "csv", csv::whole(rows.clone())?),
            Self::Xlsx => (
                "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
                "xlsx",
                xlsx(rows, about)?,
            ),
            Self::Parquet => ("application/vnd.apache.parquet", "parquet", parquet(rows, about)?),
        };
        Ok(Body { content_type, name: Some(format!("{}.{ending}", about.name)), bytes })
    }
}

fn parquet(rows: &RecordBatch, about: &About) -> Result<Vec<u8>, Fault> {
    let bytes = to_parquet(rows, about.facts.clone()).map_err(|error| Fault::broken(&error))?;
    Ok(bytes.to_vec())
}

/// A sheet with the rows and one that says where they are from.
fn xlsx(rows: &RecordBatch, about: &About) -> Result<Vec<u8>, Fault> {
    let failed = |error: XlsxError| Fault::broken(&error);
    let mut book = Workbook::new();
    let sheet = book.add_worksheet();
    sheet.set_name("data").map_err(failed)?;
    write_rows(sheet, rows)?;
    let sheet = book.add_worksheet();
    sheet.set_name("about").map_err(failed)?;
    let bold = Format::new().set_bold();
    for (row, (name, value)) in (0_u32..).zip(&about.facts) {
        sheet.write_string_with_format(row, 0, name, &bold).map_err(failed)?;
        sheet.write_string(row, 1, value).map_err(failed)?;
    }
    sheet.autofit();
    book.save_to_buffer().map_err(failed)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Float64Array, StringArray};

    use super::*;

    #[test]
    fn a_hidden_value_is_empty_in_every_form_and_codes_keep_their_zeros() {
        let rows = RecordBatch::try_from_iter([
            ("area", Arc::new(StringArray::from(vec!["0101", "0147"])) as arrow::array::ArrayRef),
            ("value", Arc::new(Float64Array::from(vec![Some(12.5), None]))),
            ("status", Arc::new(StringArray::from(vec!["final", "hidden"]))),
        ])
        .expect("rows");
        let about = About { name: "selection".to_owned(), facts: vec![("epoch".to_owned(), "6".to_owned())] };
        let text = Form::Csv.file(&rows, &about).expect("csv");
        assert_eq!(
            String::from_utf8_lossy(&text.bytes),
            "area,value,status\r\n0101,12.5,final\r\n0147,,hidden\r\n"
        );
        assert_eq!(text.name.as_deref(), Some("selection.csv"));
        let file = Form::Parquet.file(&rows, &about).expect("parquet").bytes;
        assert_eq!(&file[..4], b"PAR1");
        assert_eq!(&Form::Xlsx.file(&rows, &about).expect("xlsx").bytes[..2], b"PK");
    }
}
