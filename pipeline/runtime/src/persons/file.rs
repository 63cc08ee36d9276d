//! Parquet files of the person log: rows sorted by person, found without reading the file.
//!
//! A bucket's file carries in its metadata where each person's rows end, and its pages are small, so that the history of
//! one person is read without decoding the bucket. Runs, which a bulk load sorts and spills, are cut by bucket instead.

use std::ops::Range;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::concat_batches;
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder, RowSelection,
};
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::metadata::{KeyValue, PageIndexPolicy};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use rettidig_event::person::{self, BUCKETS, PersonId, bucket_of};

use crate::RuntimeError;
use crate::store::conform;

/// Rows of a page: about as many as eight persons have in ten years.
const PAGE_ROWS: usize = 1_024;

/// Key of the index in the file's metadata: 32 hexadecimal digits of the person, 8 of the row after its last.
const INDEX: &str = "rettidig.persons";

/// The person of a row.
pub(crate) fn person_at(rows: &RecordBatch, row: usize) -> PersonId {
    let mut person = PersonId::default();
    person.copy_from_slice(rows.column(0).as_fixed_size_binary().value(row));
    person
}

/// Where each person's rows end, of rows sorted by person.
pub(crate) fn index_of(rows: &RecordBatch) -> Vec<(PersonId, u32)> {
    let mut index: Vec<(PersonId, u32)> = Vec::new();
    let column = rows.column(0).as_fixed_size_binary();
    for (row, end) in (0..rows.num_rows()).zip(1_u32..) {
        match index.last_mut().filter(|(person, _)| person == column.value(row)) {
            Some((_, last)) => *last = end,
            None => index.push((person_at(rows, row), end)),
        }
    }
    index
}

/// Where each bucket's rows end, of rows sorted by person.
pub(crate) fn bucket_ends(rows: &RecordBatch) -> Vec<u32> {
    let column = rows.column(0).as_fixed_size_binary();
    let mut ends = vec![0_u32; BUCKETS];
    for row in 0..column.len() {
        let mut person = PersonId::default();
        person.copy_from_slice(column.value(row));
        ends[bucket_of(&person)] += 1;
    }
    let mut total = 0;
    for end in &mut ends {
        total += *end;
        *end = total;
    }
    ends
}

/// Encodes rows sorted by person; with `index`, one that finds single persons.
pub(crate) fn encode(rows: &RecordBatch, index: Option<&[(PersonId, u32)]>) -> Result<Bytes, RuntimeError> {
    let bug = |error: ParquetError| RuntimeError::stop("encoding the log", error, "report this as a bug");
    let mut builder = WriterProperties::builder()
        // Pages are small: what sets up a decoder for each would take longer than decoding.
        .set_compression(Compression::LZ4_RAW)
        .set_created_by("rettidig".to_owned())
        .set_statistics_enabled(EnabledStatistics::None)
        .set_write_batch_size(PAGE_ROWS)
        .set_data_page_row_count_limit(PAGE_ROWS)
        // Ids hardly repeat: a dictionary would have to be read whole for one person.
        .set_column_dictionary_enabled(ColumnPath::from("id"), false)
        .set_column_dictionary_enabled(ColumnPath::from("topic_offset"), false);
    if let Some(index) = index {
        let text: String =
            index.iter().map(|(person, end)| format!("{}{end:08x}", hex::encode(person))).collect();
        builder = builder.set_key_value_metadata(Some(vec![KeyValue::new(INDEX.to_owned(), text)]));
    }
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, rows.schema(), Some(builder.build())).map_err(bug)?;
    writer.write(rows).map_err(bug)?;
    writer.close().map_err(bug)?;
    Ok(bytes.into())
}

/// What is known of a file before its rows are read.
#[derive(Debug)]
pub(crate) struct Opened {
    metadata: ArrowReaderMetadata,
    index: Vec<(PersonId, u32)>,
}

impl Opened {
    /// Reads metadata and index.
    pub(crate) fn open(bytes: &Bytes) -> Result<Self, String> {
        let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Optional);
        let metadata = ArrowReaderMetadata::load(bytes, options).map_err(|error| error.to_string())?;
        let pairs = metadata.metadata().file_metadata().key_value_metadata();
        let text =
            pairs.into_iter().flatten().find(|pair| pair.key == INDEX).and_then(|pair| pair.value.as_ref());
        let mut index = Vec::new();
        for entry in text.map_or(&[][..], |text| text.as_bytes()).chunks(40) {
            let entry = std::str::from_utf8(entry).map_err(|error| error.to_string())?;
            let (person, end) = entry.split_at_checked(32).ok_or("the index of persons is damaged")?;
            let person = person::parse_person(person).ok_or("the index of persons is damaged")?;
            index.push((person, u32::from_str_radix(end, 16).map_err(|error| error.to_string())?));
        }
        Ok(Self { metadata, index })
    }

    /// Rows of the given persons, which come sorted.
    pub(crate) fn ranges(&self, persons: &[PersonId]) -> Vec<Range<usize>> {
        let mut ranges: Vec<Range<usize>> = Vec::new();
        for person in persons {
            let Ok(place) = self.index.binary_search_by(|(known, _)| known.cmp(person)) else { continue };
            let start = place.checked_sub(1).map_or(0, |before| self.index[before].1 as usize);
            let end = self.index[place].1 as usize;
            match ranges.last_mut().filter(|range| range.end == start) {
                Some(range) => range.end = end,
                None => ranges.push(start..end),
            }
        }
        ranges
    }

    /// Reads some ranges of rows.
    pub(crate) fn read(&self, bytes: Bytes, ranges: &[Range<usize>]) -> Result<RecordBatch, String> {
        let total = usize::try_from(self.metadata.metadata().file_metadata().num_rows()).unwrap_or(0);
        let wanted: usize = ranges.iter().map(Range::len).sum();
        let mut builder = ParquetRecordBatchReaderBuilder::new_with_metadata(bytes, self.metadata.clone())
            .with_batch_size(wanted.clamp(1, 1 << 16));
        if wanted < total {
            builder = builder
                .with_row_selection(RowSelection::from_consecutive_ranges(ranges.iter().cloned(), total));
        }
        let reader = builder.build().map_err(|error| error.to_string())?;
        let schema = person::schema();
        let batches: Vec<RecordBatch> = reader
            .map(|batch| batch.and_then(|batch| conform(&batch, &schema)))
            .collect::<Result<_, _>>()
            .map_err(|error| error.to_string())?;
        concat_batches(&schema, &batches).map_err(|error| error.to_string())
    }
}
