//! The bulk door through the binary: files of canonical events into a data folder, without Kafka.

use std::fs::File;
use std::io::{BufReader, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use arrow::array::RecordBatch;
use arrow::json::reader::{ReaderBuilder, infer_json_schema};
use arrow::util::pretty::pretty_format_batches;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use rettidig_event::{DeadLetter, Origin, Reason};
use serde_json::Value;

const TOPICS: [&str; 4] = ["payments", "cases", "income", "deliveries"];

fn rettidig(arguments: &[&str], paths: &[PathBuf]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rettidig"));
    command.env_remove("RETTIDIG_LOG").args(arguments).args(paths).output().expect("the binary runs")
}

fn load(files: &[PathBuf], data: &Path) -> Value {
    let output = rettidig(&["load", "--json", "--data", data.to_str().expect("path")], files);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// Writes a simulated country as NDJSON.
fn simulated(folder: &Path) -> Vec<PathBuf> {
    let options = ["--persons", "300", "--months", "8", "--seed", "5", "--as", "ndjson", "--out"];
    let output = rettidig(&[&["simulate"], options.as_slice()].concat(), &[folder.to_owned()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    TOPICS.iter().map(|topic| folder.join(format!("{topic}-0001.ndjson"))).collect()
}

/// The same rows as Parquet, in row groups that are smaller than the file.
fn as_parquet(file: &Path, folder: &Path) -> PathBuf {
    let mut reader = BufReader::new(File::open(file).expect("file"));
    let (schema, _) = infer_json_schema(&mut reader, None).expect("schema");
    reader.rewind().expect("rewound");
    let rows = ReaderBuilder::new(schema.clone().into()).with_batch_size(700).build(reader).expect("reader");
    let target = folder.join(file.with_extension("parquet").file_name().expect("name"));
    let mut writer =
        ArrowWriter::try_new(File::create(&target).expect("file"), schema.into(), None).expect("writer");
    for batch in rows {
        writer.write(&batch.expect("rows")).expect("written");
        writer.flush().expect("row group");
    }
    writer.close().expect("closed");
    target
}

/// What is shown of the indicators, without the time at which it became known.
fn shown(data: &Path) -> String {
    let file = File::open(data.join("tables/latest/local_indicators.parquet")).expect("table");
    let reader =
        ParquetRecordBatchReaderBuilder::try_new(file).and_then(ParquetRecordBatchReaderBuilder::build);
    let batches: Vec<RecordBatch> = reader.expect("table").map(|batch| batch.expect("rows")).collect();
    assert!(batches.iter().map(RecordBatch::num_rows).sum::<usize>() > 1_000);
    let known: Vec<RecordBatch> = batches
        .iter()
        .map(|batch| {
            let places: Vec<usize> = (0..batch.num_columns())
                .filter(|place| batch.schema().field(*place).name() != "known_at")
                .collect();
            batch.project(&places).expect("columns")
        })
        .collect();
    pretty_format_batches(&known).expect("text").to_string()
}

fn recomputed(data: &Path) {
    let output = rettidig(&["recompute", "--data"], &[data.to_owned()]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.trim().ends_with("mismatches=0"), "{text}");
}

/// Goal: what is wrong is put aside with its place and its bytes, and the rest counts once however often it comes.
/// Method: three bad lines among a simulated country, the same files again, and the same rows as Parquet elsewhere.
#[test]
fn bad_lines_are_put_aside_and_the_rest_counts_once() {
    let folder = tempfile::tempdir().expect("folder");
    let (source, data, other) =
        (folder.path().join("source"), folder.path().join("data"), folder.path().join("other"));
    for folder in [&source, &data, &other] {
        std::fs::create_dir(folder).expect("folder");
    }
    let files = simulated(&source);
    let parquet: Vec<PathBuf> = files.iter().map(|file| as_parquet(file, &source)).collect();

    let payments = std::fs::read_to_string(&files[0]).expect("payments");
    let lines = payments.lines().count();
    let added = |line: &&str| line.contains("\"op\":\"add\"") && line.contains("\"refund_oere\":0}");
    let conflict =
        payments.lines().find(added).expect("a row").replace("\"refund_oere\":0}", "\"refund_oere\":1}");
    let bad: [&[u8]; 3] = [b"{\"source\":\"yr-101\"", b"\xff\xfe", conflict.as_bytes()];
    let mut file = File::options().append(true).open(&files[0]).expect("payments");
    for line in bad {
        file.write_all(line).and_then(|()| file.write_all(b"\n")).expect("appended");
    }
    drop(file);

    let first = load(&files, &data);
    assert_eq!((&first["epoch"], &first["rejected"]), (&1.into(), &3.into()), "{first}");
    let (all, events) = (first["lines"].as_u64(), first["events"].as_u64().expect("events"));
    assert_eq!(all.map(|all| all - events - 3), first["duplicates"].as_u64(), "{first}");
    assert!(events > 4_000, "{first}");
    let letters = std::fs::read_to_string(data.join("dead-letters.ndjson")).expect("dead letters");
    let letters: Vec<DeadLetter> =
        letters.lines().map(|letter| serde_json::from_str(letter).expect("a dead letter")).collect();
    assert_eq!(letters.len(), 3, "{letters:?}");
    for (letter, number) in letters.iter().zip(1..) {
        let place = Origin::File { file: files[0].display().to_string(), line: Some(lines as u64 + number) };
        assert_eq!(letter.origin, place);
    }
    for (letter, bytes) in letters[..2].iter().zip(bad) {
        assert_eq!(letter.original_bytes().expect("bytes"), bytes);
    }
    assert_eq!(letters[2].reason, Reason::ConflictingRevision);
    recomputed(&data);

    let again = load(&files, &data);
    assert_eq!((&again["events"], &again["persons"].as_u64().is_some()), (&0.into(), &true), "{again}");

    let turned = load(&parquet, &other);
    assert_eq!((&turned["events"], &turned["rejected"]), (&first["events"], &0.into()), "{turned}");
    recomputed(&other);
    assert_eq!(shown(&other), shown(&data), "Parquet says the same as NDJSON");
}

/// Goal: a file that is not what its name says stops the load, commits nothing, and the message says what to do.
#[test]
fn what_cannot_be_read_stops_the_load() {
    let folder = tempfile::tempdir().expect("folder");
    let data = folder.path().join("data");
    std::fs::create_dir(&data).expect("folder");
    let torn = folder.path().join("payments-torn.parquet");
    std::fs::write(&torn, b"PAR1 and no more").expect("file");
    let unnamed = folder.path().join("figures.ndjson");
    std::fs::write(&unnamed, b"").expect("file");
    let gone = folder.path().join("cases-gone.ndjson");
    for (file, said) in
        [(torn, "whole and readable"), (unnamed, "name it after its topic"), (gone, "that the file is there")]
    {
        let name = file.display().to_string();
        let output = rettidig(&["load", "--data", data.to_str().expect("path")], &[file]);
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && text.contains(&name) && text.contains(said), "{text}");
    }
    assert!(
        !data.join("epochs").exists() || std::fs::read_dir(data.join("epochs")).expect("epochs").count() == 0
    );
}
