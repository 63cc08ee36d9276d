//! Rows as CSV: UTF-8 without a mark, a header, RFC 4180, nulls empty, numbers with the digits that give them back exactly.
//!
//! Rows are written as the reader takes them, so a large table needs no memory. A spreadsheet takes a cell that begins with `=`, `+`,
//! `-` or `@` as a formula, whatever the quotes. Text of ours comes from fixed lists and begins with none of them; should one ever do, it
//! gets an apostrophe in front here, which spreadsheets hide. Parquet has it as it is. Numbers keep their minus.

use arrow::array::RecordBatch;
use bytes::Bytes;
use futures::stream::{self, Stream};

use super::FormError;
use super::cells::{Cell, Cells, instant};

/// Rows that are encoded at a time.
const ROWS: usize = 4_096;

/// All rows, piece by piece.
pub(super) fn stream(rows: RecordBatch) -> impl Stream<Item = Result<Bytes, FormError>> + Send {
    stream::iter(pieces(rows))
}

/// All rows at once.
///
/// # Errors
/// If a column has a type that no published table has.
pub(crate) fn whole(rows: RecordBatch) -> Result<Vec<u8>, FormError> {
    Ok(pieces(rows).collect::<Result<Vec<Bytes>, _>>()?.concat())
}

fn pieces(rows: RecordBatch) -> impl Iterator<Item = Result<Bytes, FormError>> + Send {
    let header = header(&rows);
    let pieces = (0..rows.num_rows())
        .step_by(ROWS)
        .map(move |from| encode(&rows.slice(from, ROWS.min(rows.num_rows() - from))));
    std::iter::once(header).chain(pieces)
}

fn writer() -> csv::Writer<Vec<u8>> {
    csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new())
}

fn bytes_of(writer: csv::Writer<Vec<u8>>) -> Result<Bytes, FormError> {
    writer.into_inner().map(Bytes::from).map_err(|error| FormError::Broken(error.to_string()))
}

fn header(rows: &RecordBatch) -> Result<Bytes, FormError> {
    let mut writer = writer();
    let schema = rows.schema();
    writer
        .write_record(schema.fields().iter().map(|field| field.name()))
        .map_err(|error| FormError::Broken(error.to_string()))?;
    bytes_of(writer)
}

fn encode(rows: &RecordBatch) -> Result<Bytes, FormError> {
    let cells = Cells::of(rows)?;
    let mut writer = writer();
    let broken = |error: csv::Error| FormError::Broken(error.to_string());
    for row in 0..rows.num_rows() {
        for column in 0..rows.num_columns() {
            match cells.cell(row, column) {
                Cell::Null => writer.write_field(b""),
                Cell::Text(text) if is_formula(text) => writer.write_field(format!("'{text}")),
                Cell::Text(text) => writer.write_field(text),
                Cell::Integer(number) => writer.write_field(number.to_string()),
                Cell::Float(number) => writer.write_field(number.to_string()),
                Cell::Date(date) => writer.write_field(date.to_string()),
                Cell::Instant(at) => writer.write_field(instant(at)),
                Cell::Boolean(is) => writer.write_field(if is { "true" } else { "false" }),
            }
            .map_err(broken)?;
        }
        writer.write_record(None::<&[u8]>).map_err(broken)?;
    }
    bytes_of(writer)
}

fn is_formula(text: &str) -> bool {
    text.starts_with(['=', '+', '-', '@', '\t', '\r'])
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt;

    use super::super::samples::{self, TABLE};
    use super::*;

    async fn text(rows: RecordBatch) -> String {
        let pieces: Vec<Bytes> = stream(rows).try_collect().await.expect("encoded");
        String::from_utf8(pieces.concat()).expect("UTF-8")
    }

    #[tokio::test]
    async fn every_kind_of_cell_is_written_as_rfc_4180_says() {
        let expected = "area,count,value,day,known_at,newest,status\r\n\
            0101,3,0.1,2026-07-31,2026-08-19T07:58:44Z,true,final\r\n\
            0147,,,,,,hidden\r\n\
            \"a \"\"b\"\",\nc\",-9007199254740993,-1.5,1969-12-31,1969-12-31T23:59:59.999999Z,false,final\r\n\
            '=1+1,0,100000000000000000000,2026-02-28,2026-08-19T07:58:44.500Z,true,final\r\n";
        assert_eq!(text(samples::rows()).await, expected);
    }

    #[tokio::test]
    async fn an_empty_table_is_its_header() {
        let rows = RecordBatch::new_empty(TABLE.schema());
        assert_eq!(text(rows).await, "area,count,value,day,known_at,newest,status\r\n");
    }

    #[tokio::test]
    async fn pieces_join_without_a_seam_and_floats_come_back() {
        let rows = samples::many(ROWS * 2 + 1);
        let text = text(rows).await;
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let values: Vec<f64> = reader
            .records()
            .map(|record| record.expect("a record").get(2).expect("a value").parse().expect("a number"))
            .collect();
        assert_eq!(values, samples::values(ROWS * 2 + 1));
    }
}
