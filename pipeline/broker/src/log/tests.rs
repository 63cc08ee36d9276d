//! The log as a whole: appending, reading, recovery after a crash at any byte, limits, a full disk.

use super::partition::{AppendError, Limits, Partition, ReadError};
use super::samples::Sample;
use super::segment;
use crate::error::{BrokerError, BrokerErrorKind};
use crate::producers::Verdict;
use std::fs::{self, OpenOptions};
use std::path::Path;

const LIMITS: Limits = Limits {
    segment_bytes: 1 << 20,
    log_bytes_max: 1 << 30,
    retention_bytes: -1,
    retention_ms: -1,
    batch_bytes_max: 1 << 20,
    sync_each_batch: false,
};

fn open(dir: &Path, limits: Limits) -> Partition {
    Partition::open(dir.to_path_buf(), limits).expect("the partition opens")
}

fn append(partition: &Partition, sample: Sample) -> i64 {
    partition.append(&sample.bytes()).expect("the batch is appended").base_offset
}

/// Reads everything and checks that the offsets have no gap; returns the number of batches.
fn read_all(partition: &Partition) -> usize {
    let bounds = partition.bounds();
    let (mut offset, mut batches) = (bounds.start, 0);
    while offset < bounds.end {
        let (bytes, _) = partition.read(offset, 1000).expect("readable");
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let header = super::batch::BatchHeader::verify(rest).expect("a whole batch");
            assert_eq!(header.base_offset, offset, "no gap");
            offset = header.last_offset() + 1;
            rest = &rest[header.bytes..];
            batches += 1;
        }
    }
    batches
}

/// Goal: a write torn at any byte costs that batch and nothing else. Method: three batches, the file cut at
/// every length between the second and the third, opened, and appended to again.
#[test]
fn torn_write_is_cut_at_every_byte() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = segment::path(dir.path(), 0, "log");
    let partition = open(dir.path(), LIMITS);
    append(&partition, Sample { records: 3, ..Sample::default() });
    append(&partition, Sample { records: 2, ..Sample::default() });
    let kept = fs::metadata(&file).expect("the file").len();
    append(&partition, Sample { records: 4, ..Sample::default() });
    drop(partition);
    let whole = fs::read(&file).expect("the file");
    for cut in usize::try_from(kept).expect("small")..whole.len() {
        fs::write(&file, &whole[..cut]).expect("cut");
        let partition = open(dir.path(), LIMITS);
        assert_eq!(partition.bounds().end, 5, "cut at {cut}");
        assert_eq!(fs::metadata(&file).expect("the file").len(), kept, "cut at {cut}");
        assert_eq!(append(&partition, Sample::default()), 5, "cut at {cut}");
        assert_eq!(read_all(&partition), 3, "cut at {cut}");
    }
}

/// Goal: a flipped byte in the checksummed part of the last batch is found at start.
#[test]
fn corrupt_last_batch_is_cut() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = segment::path(dir.path(), 0, "log");
    let partition = open(dir.path(), LIMITS);
    append(&partition, Sample::default());
    let kept = usize::try_from(fs::metadata(&file).expect("the file").len()).expect("small");
    append(&partition, Sample::default());
    drop(partition);
    let whole = fs::read(&file).expect("the file");
    for at in kept + 16..whole.len() {
        let mut broken = whole.clone();
        broken[at] ^= 0x40;
        fs::write(&file, &broken).expect("write");
        assert_eq!(open(dir.path(), LIMITS).bounds().end, 1, "byte {at}");
    }
}

#[test]
fn damage_in_an_earlier_segment_stops_the_start() {
    let dir = tempfile::tempdir().expect("a folder");
    let small = Limits { segment_bytes: 1024, ..LIMITS };
    let partition = open(dir.path(), small);
    for _ in 0..50 {
        append(&partition, Sample::default());
    }
    drop(partition);
    let file = segment::path(dir.path(), 0, "log");
    let whole = fs::read(&file).expect("the file");
    fs::write(&file, &whole[..whole.len() - 1]).expect("cut");
    let error = Partition::open(dir.path().to_path_buf(), small).expect_err("refused");
    assert_eq!(error.kind(), BrokerErrorKind::Repair);
    assert!(matches!(error, BrokerError::Damaged { position: 1.., .. }), "{error}");
    fs::remove_file(&file).expect("removed");
    assert_eq!(read_all(&open(dir.path(), small)), 50 - removed(&whole), "the log begins later");
    let second = fs::read_dir(dir.path()).expect("list").filter_map(|entry| {
        let path = entry.expect("an entry").path();
        path.extension().is_some_and(|kind| kind == "log").then_some(path)
    });
    let mut files: Vec<_> = second.collect();
    files.sort();
    fs::remove_file(&files[1]).expect("removed");
    let error = Partition::open(dir.path().to_path_buf(), small).expect_err("a gap is refused");
    assert!(matches!(error, BrokerError::Damaged { position: 0, .. }), "{error}");
}

/// Batches in the bytes of a segment.
fn removed(mut segment: &[u8]) -> usize {
    let mut batches = 0;
    while !segment.is_empty() {
        segment = &segment[super::batch::BatchHeader::parse(segment).expect("a batch").bytes..];
        batches += 1;
    }
    batches
}

#[test]
fn segments_are_read_across_and_found_again() {
    let dir = tempfile::tempdir().expect("a folder");
    let small = Limits { segment_bytes: 1024, ..LIMITS };
    let partition = open(dir.path(), small);
    for number in 0..100 {
        append(&partition, Sample { records: 3, timestamp: number * 100, ..Sample::default() });
    }
    for partition in [partition, open(dir.path(), small)] {
        assert_eq!(read_all(&partition), 100);
        assert_eq!(partition.find_timestamp(5_000).expect("readable"), Some((150, 5_000)));
        assert_eq!(partition.find_timestamp(5_015).expect("readable"), Some((152, 5_020)));
        assert_eq!(partition.find_timestamp(5_021).expect("readable"), Some((153, 5_100)));
        assert_eq!(partition.find_timestamp(10_000).expect("readable"), None);
        assert!(matches!(partition.read(301, 1), Err(ReadError::OutOfRange { start: 0, end: 300 })));
        assert!(partition.read(300, 1).expect("the end").0.is_empty());
    }
    let indexes = fs::read_dir(dir.path()).expect("list").filter(|entry| {
        entry.as_ref().is_ok_and(|entry| entry.path().extension().is_some_and(|kind| kind == "index"))
    });
    assert!(indexes.count() > 5, "full segments are noted");
}

/// Goal: the sparse index finds each offset in a segment with many entries.
#[test]
fn every_offset_of_a_large_segment_is_found() {
    let dir = tempfile::tempdir().expect("a folder");
    let partition = open(dir.path(), Limits { segment_bytes: 1 << 30, ..LIMITS });
    for _ in 0..300 {
        append(&partition, Sample { records: 2, value_bytes: 500, ..Sample::default() });
    }
    for offset in 0..600 {
        let (bytes, _) = partition.read(offset, 1).expect("readable");
        let header = super::batch::BatchHeader::verify(&bytes).expect("a whole batch");
        assert_eq!(header.bytes, bytes.len(), "one batch, because less does not exist");
        assert_eq!(header.base_offset, offset - offset % 2);
        assert!(partition.bytes_from(offset).is_some_and(|bytes| bytes > 0));
    }
    assert_eq!(partition.bytes_from(600), Some(0));
    assert_eq!(partition.bytes_from(601), None);
}

/// Goal: a batch sent again is written once, also when the broker restarted or began another segment
/// meanwhile, and a gap is refused.
#[test]
fn idempotent_batches_are_written_once() {
    let dir = tempfile::tempdir().expect("a folder");
    let batch =
        |sequence| Sample { records: 10, producer_id: 7, producer_epoch: 0, sequence, ..Sample::default() };
    for limits in [LIMITS, Limits { segment_bytes: 1024, sync_each_batch: true, ..LIMITS }] {
        let partition = open(dir.path(), limits);
        let start = partition.bounds().end;
        let next = i32::try_from(start).expect("small");
        for number in 0..3 {
            assert_eq!(append(&partition, batch(next + number * 10)), start + i64::from(number) * 10);
        }
        for partition in [partition, open(dir.path(), limits)] {
            assert_eq!(append(&partition, batch(next + 10)), start + 10, "sent again");
            assert_eq!(append(&partition, batch(next + 20)), start + 20, "sent again");
            let gap = partition.append(&batch(next + 40).bytes());
            assert!(matches!(gap, Err(AppendError::Sequence(Verdict::OutOfOrder))), "{gap:?}");
            let newer = Sample { producer_epoch: 1, ..batch(5) };
            let gap = partition.append(&newer.bytes());
            assert!(matches!(gap, Err(AppendError::Sequence(Verdict::OutOfOrder))), "{gap:?}");
            assert_eq!(partition.bounds().end, start + 30);
        }
    }
    let partition = open(dir.path(), LIMITS);
    append(&partition, Sample { producer_epoch: 1, ..batch(0) });
    let stale = partition.append(&batch(60).bytes());
    assert!(matches!(stale, Err(AppendError::Sequence(Verdict::StaleEpoch))), "{stale:?}");
}

#[test]
fn old_duplicates_and_wrapped_sequences() {
    let dir = tempfile::tempdir().expect("a folder");
    let partition = open(dir.path(), LIMITS);
    let batch = |sequence| Sample { producer_id: 7, producer_epoch: 0, sequence, ..Sample::default() };
    for sequence in 0..7 {
        append(&partition, batch(sequence));
    }
    let old = partition.append(&batch(1).bytes());
    assert!(matches!(old, Err(AppendError::Sequence(Verdict::OldDuplicate))), "{old:?}");
    let other = |sequence| Sample { producer_id: 8, ..batch(sequence) };
    append(&partition, other(i32::MAX));
    append(&partition, other(0));
    assert_eq!(partition.bounds().end, 9);
}

#[test]
fn bad_batches_are_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    let partition = open(dir.path(), Limits { batch_bytes_max: 1000, ..LIMITS });
    let good = Sample::default().bytes();
    for at in 0..good.len() {
        let mut broken = good.clone();
        broken[at] ^= 0x55;
        // Base offset and leader epoch are the broker's; all else is checked.
        let ours = at < 8 || (12..16).contains(&at);
        assert_eq!(partition.append(&broken).is_ok(), ours, "byte {at}");
        assert!(partition.append(&good[..at]).is_err(), "{at} bytes");
    }
    assert!(matches!(partition.append(&[good.clone(), good].concat()), Err(AppendError::NotOneBatch)));
    let large = Sample { value_bytes: 1000, ..Sample::default() }.bytes();
    assert!(matches!(partition.append(&large), Err(AppendError::TooLarge { bytes_max: 1000, .. })));
}

fn log_bytes(dir: &Path) -> u64 {
    let logs = fs::read_dir(dir).expect("list").filter_map(|entry| {
        let path = entry.expect("an entry").path();
        path.extension().is_some_and(|kind| kind == "log").then(|| path.metadata().expect("a file").len())
    });
    logs.sum()
}

#[test]
fn the_log_never_grows_beyond_its_limit() {
    let dir = tempfile::tempdir().expect("a folder");
    let limits = Limits { segment_bytes: 2_000, log_bytes_max: 10_000, ..LIMITS };
    let partition = open(dir.path(), limits);
    for _ in 0..1_000 {
        append(&partition, Sample::default());
        assert!(log_bytes(dir.path()) <= 10_000);
    }
    let bounds = partition.bounds();
    assert!(bounds.start > 0 && bounds.end == 1_000, "{bounds:?}");
    drop(partition);
    let partition = open(dir.path(), limits);
    assert_eq!(partition.bounds(), bounds, "the start is durable");
    assert!(matches!(partition.read(0, 1), Err(ReadError::OutOfRange { .. })));
    read_all(&partition);
}

#[test]
fn retention_by_bytes_keeps_that_much() {
    let dir = tempfile::tempdir().expect("a folder");
    let limits = Limits { segment_bytes: 1_000, retention_bytes: 3_000, ..LIMITS };
    let partition = open(dir.path(), limits);
    for _ in 0..200 {
        append(&partition, Sample::default());
    }
    partition.apply_retention(0).expect("applied");
    assert!((3_000..4_100).contains(&log_bytes(dir.path())), "{}", log_bytes(dir.path()));
}

#[test]
fn retention_by_time_deletes_what_is_too_old() {
    let dir = tempfile::tempdir().expect("a folder");
    let limits = Limits { segment_bytes: 1_000, retention_ms: 5_000, ..LIMITS };
    let partition = open(dir.path(), limits);
    for number in 0..100 {
        append(&partition, Sample { timestamp: number * 100, ..Sample::default() });
    }
    partition.apply_retention(0).expect("applied");
    assert_eq!(partition.bounds().start, 0, "nothing is too old yet");
    partition.apply_retention(10_000).expect("applied");
    let start = partition.bounds().start;
    assert!((1..=50).contains(&start), "whole segments whose last message is too old: {start}");
    partition.apply_retention(20_000).expect("applied");
    assert_eq!((partition.bounds().start, partition.bounds().end), (100, 100));
    assert_eq!(append(&open(dir.path(), limits), Sample::default()), 100, "offsets go on");
}

/// Goal: a full disk fails the append and nothing else. Method: for one append the file is `/dev/full`, which
/// answers each write with "no space left".
#[test]
fn full_disk_fails_the_append_and_the_log_goes_on() {
    let dir = tempfile::tempdir().expect("a folder");
    let partition = open(dir.path(), LIMITS);
    for _ in 0..5 {
        append(&partition, Sample::default());
    }
    let file = segment::path(dir.path(), 0, "log");
    let before = fs::read(&file).expect("the file");
    partition.replace_file(OpenOptions::new().read(true).write(true).open("/dev/full").expect("/dev/full"));
    let failed = partition.append(&Sample::default().bytes());
    assert!(matches!(failed, Err(AppendError::Storage { .. })), "{failed:?}");
    partition.replace_file(OpenOptions::new().read(true).write(true).open(&file).expect("the file"));
    assert_eq!(fs::read(&file).expect("the file"), before, "nothing was left behind");
    assert_eq!(append(&partition, Sample::default()), 5, "the failed batch took no offset");
    assert_eq!(read_all(&partition), 6);
}
