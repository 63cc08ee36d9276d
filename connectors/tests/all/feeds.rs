//! Files with person records: readiness, repeats, rejected files, size, and that no CPR number gets out.

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt as _;
use std::sync::Arc;

use rettidig_connectors::driver::chain;
use rettidig_connectors::pseudonym::{Cpr, PseudonymKey};
use rettidig_connectors::sources::{default_feed_profile, feed_names};
use rettidig_event::person::format_person;
use rettidig_event::{Clock as _, DeadLetter, Origin, Reason, Topic};
use zeroize::Zeroizing;

use crate::golden::{FEEDS, raw};
use crate::support::{
    AtFirst, FeedBench, MemorySink, by_rename, edited, feed, feed_at, income_rows, logged, watch_the_log,
    within,
};

const YR: &str = "yr-ydelsesrefusion-beregning-101-0017-2026-08-19.csv";
const YR_NEXT: &str = "yr-ydelsesrefusion-beregning-101-0018-2026-08-26.csv";
const AMANDA: &str = "amanda-101-2026-08-19-17.txt";
const INCOME: &str = "income-101-2026-08-19.csv";

fn income(rows: &str) -> String {
    format!("cpr;maaned;loen_kr;timer;indberetning_id;revision\n{rows}")
}

#[test]
fn the_shipped_profiles_are_built_and_named() {
    let names: Vec<_> = feed_names().collect();
    assert_eq!(names, ["amanda", "income", "ky", "yr"]);
    let folder = tempfile::tempdir().expect("folder");
    std::fs::create_dir(folder.path().join("drop")).expect("folder");
    for name in names {
        assert_eq!(feed(name, None, folder.path()).name(), name);
    }
    let unknown = default_feed_profile("yrr").expect_err("refused").to_string();
    assert!(unknown.contains("amanda, income, ky, yr"), "{unknown}");
}

fn refused(yaml: &str) -> String {
    let folder = tempfile::tempdir().expect("folder");
    let place = folder.path().to_str().expect("path");
    feed_at("own", Some(yaml), place, &[]).err().expect("refused")
}

#[test]
fn every_error_of_a_profile_at_once_and_no_second_use_of_the_cpr_column() {
    let yaml = "
source: YR
format: csw
decimal: komma
dates: [YYYY/MM/DD]
municipality: file_name
recorded_at: header
files: { name: 'yr-{date}.csv', redy: rename, same_name: refuse }
codes: { benefit: { kontanthjælp: chas } }
records:
  - event: payment
    op: add
    id: '{cpr nr}'
    columns: { cpr: cpr nr, benefit: ydelse, form: cpr nr, from: uge, revision: rev, amuont: beloeb }
";
    let text = refused(yaml);
    for expected in [
        "source: expected at most 40 characters",
        "format: expected one of csv, ndjson, record, table; nearest: csv",
        "decimal: expected one of comma, point; nearest: comma",
        "dates[0]: expected one of YYYY-MM-DD, DD-MM-YYYY, DDMMYYYY; nearest: YYYY-MM-DD",
        "files.redy: unknown key; nearest known: ready",
        "municipality: neither files.name nor header",
        "recorded_at: neither files.name nor header",
        "codes.benefit.kontanthjælp: no benefit code; nearest: cash",
        "records[0].columns.form: unknown key",
        "records[0].columns.amuont: unknown key; nearest known: amount",
        "records[0].columns.amount: missing",
        "records[0].columns.revision: only with op: upsert",
        "records[0].columns.cpr: this column can be nothing else, nor an id",
        "records[0].days: expected either days or a column to",
    ] {
        assert!(text.contains(expected), "{expected:?} is not in:\n{text}");
    }
    let text = feed_at("yr", None, "/no/such/folder", &[]).err().expect("refused");
    assert!(text.contains("no folder that can be read"), "{text}");
}

/// Stable: a file that still grows is waited for; once read and unchanged it is not read again, also not after
/// a restart; sent again with the same content it adds nothing.
#[test]
fn a_growing_file_is_waited_for_and_a_known_one_is_not_read_again() {
    within(60, async {
        let mut bench = FeedBench::new("yr", None);
        let whole = raw("yr/raw.csv");
        bench.drop_file(YR, &whole[..300]);
        let mut sink = MemorySink::default();
        let outcome = bench.poll(&mut sink).await.expect("poll");
        assert_eq!((outcome.next_poll - bench.clock.now()).num_seconds(), 60);
        bench.later(60);
        bench.drop_file(YR, &whole);
        bench.poll(&mut sink).await.expect("poll");
        assert!(sink.sent.is_empty(), "it has grown: waited for again");
        bench.later(60);
        let outcome = bench.poll(&mut sink).await.expect("poll");
        assert_eq!((outcome.records, outcome.dead_letters), (7, 7));
        assert_eq!((outcome.next_poll - bench.clock.now()).num_seconds(), 300);

        bench.source = feed("yr", None, bench.folder.path());
        let mut sink = MemorySink::default();
        let cursor = bench.cursor();
        bench.poll(&mut sink).await.expect("poll");
        assert_eq!(bench.cursor(), cursor);
        // The same bytes, a new time.
        bench.drop_file(YR, &whole);
        let file = std::fs::File::options().write(true).open(bench.path(YR)).expect("file");
        file.set_modified(std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1))
            .expect("time");
        for _ in 0..3 {
            bench.later(60);
            bench.poll(&mut sink).await.expect("poll");
        }
        assert!(sink.sent.is_empty());
    });
}

/// Rows identified by file name and line cannot be replaced: the file is refused once, loudly. The same content
/// under another name would be counted twice, and is refused too. A source of records with revisions takes both.
#[test]
fn a_known_name_with_other_content() {
    within(60, async {
        let mut bench = FeedBench::new("yr", None);
        let whole = raw("yr/raw.csv");
        bench.drop_file(YR, &whole);
        bench.polled().await;
        bench.drop_file(YR, &whole[..600]);
        bench.drop_file(YR_NEXT, &whole);
        let mut sink = MemorySink::default();
        for _ in 0..4 {
            bench.later(60);
            bench.poll(&mut sink).await.expect("poll");
        }
        let letters = sink.dead_letters();
        assert_eq!((sink.sent.len(), letters.len()), (2, 2), "{letters:?}");
        assert!(letters.iter().all(|letter| letter.reason == Reason::ConflictingRevision));
        assert!(letters[0].message.contains("have it sent again under a new name"), "{letters:?}");
        assert!(letters[1].message.contains(&format!("read as {YR}")), "{letters:?}");

        let mut bench = FeedBench::new("income", None);
        bench.drop_file(INCOME, income("6101701234;2026-07;1,00;1;A;1\n").as_bytes());
        bench.polled().await;
        bench.drop_file(INCOME, income("6101701234;2026-07;2,00;1;A;2\n").as_bytes());
        let (outcome, sink) = bench.polled().await;
        assert_eq!((outcome.records, outcome.dead_letters), (2, 0));
        assert_eq!(sink.of(Topic::Income)[0]["wage_oere"], 200);
    });
}

#[test]
fn ready_by_rename_and_by_marker() {
    within(60, async {
        let mut bench = FeedBench::new("income", Some(&by_rename("income")));
        let body = income("6101701234;2026-07;1,00;1;A;1\n");
        bench.drop_file(&format!("{INCOME}.part"), body.as_bytes());
        // What does not belong there is left alone and stops nothing: other names, no text at all, folders.
        for name in [&b"readme.txt"[..], b"m\xf8de 610170-1234.csv", "møde #1%20.csv".as_bytes(), b"a\nb"] {
            let name = std::ffi::OsStr::from_bytes(name);
            std::fs::write(bench.path("").join(name), b"6101701234").expect("write");
        }
        std::fs::create_dir(bench.path("income-101-2026-08-18.csv")).expect("folder");
        let mut sink = MemorySink::default();
        bench.poll(&mut sink).await.expect("poll");
        assert!(sink.sent.is_empty());
        std::fs::rename(bench.path(&format!("{INCOME}.part")), bench.path(INCOME)).expect("rename");
        bench.poll(&mut sink).await.expect("poll");
        assert_eq!(sink.of(Topic::Income).len(), 1);

        let marker = edited("income", "{ stable_seconds: 60 }", "{ marker: .done }");
        let mut bench = FeedBench::new("income", Some(&marker));
        bench.drop_file(INCOME, body.as_bytes());
        let mut sink = MemorySink::default();
        bench.poll(&mut sink).await.expect("poll");
        assert!(sink.sent.is_empty());
        bench.drop_file(&format!("{INCOME}.done"), b"");
        bench.poll(&mut sink).await.expect("poll");
        assert_eq!(sink.of(Topic::Income).len(), 1);
    });
}

/// A form of names may hold any text, also what an address would have to escape.
#[test]
fn a_name_that_is_not_plain_is_found() {
    within(60, async {
        let profile = edited("income", "\"income-{", "\"løn #1 [50%]-{");
        let mut bench = FeedBench::new("income", Some(&profile));
        bench.drop_file(
            "løn #1 [50%]-101-2026-08-19.csv",
            income("6101701234;2026-07;1,00;1;A;1\n").as_bytes(),
        );
        assert_eq!(bench.polled().await.1.of(Topic::Income).len(), 1);
    });
}

/// A school's own file of tests. A code that cannot be published is put aside with its line; no school is none.
#[test]
fn tests_of_a_language_school_carry_its_code() {
    within(60, async {
        let records = edited("income", "event: income", "event: language_test")
            .replace(
                "columns: { cpr: cpr, month: maaned, wage: loen_kr, hours: timer, revision: revision }",
                "columns: { cpr: cpr, on: dag, level: trin, passed: bestaaet, school: skole }",
            )
            .replace("{indberetning_id}", "{id}")
            .replace("op: upsert", "op: add");
        let profile = format!(
            "{records}codes: {{ school: {{ sprogcenter vest: sprogcenter-vest, nr. 6: \"Nr. 6\" }} }}\n"
        );
        let mut bench = FeedBench::new("income", Some(&profile));
        let rows = "6101701234;2026-06-01;pd2;ja;Sprogcenter Vest;1\n6101701234;2026-06-02;pd3;nej;;2\n\
                    6101701234;2026-06-03;pd3;ja;nr. 6;3\n6101701234;2026-06-03;pd3;ja;ukendt;4\n";
        let file = format!("cpr;dag;trin;bestaaet;skole;id\n{rows}");
        bench.drop_file("income-101-2026-08-19.csv", file.as_bytes());
        let (_, sink) = bench.polled().await;
        let sent = sink.of(Topic::Cases);
        let told: Vec<(&str, Option<&str>)> = sent
            .iter()
            .map(|event| (event["on"].as_str().expect("a day"), event["school"].as_str()))
            .collect();
        assert_eq!(told, [("2026-06-01", Some("sprogcenter-vest")), ("2026-06-02", None)]);
        let letters = sink.dead_letters();
        let messages: Vec<&str> = letters.iter().map(|letter| letter.message.as_str()).collect();
        assert_eq!(messages.len(), 2, "{messages:?}");
        assert!(
            messages[0].contains("school") && messages[0].contains("e.g. sprogcenter-101"),
            "{messages:?}"
        );
        assert!(
            messages[1].contains("school") && messages[1].contains("not among the codes"),
            "{messages:?}"
        );
    });
}

async fn only_dead_letter(
    source: &str,
    yaml: Option<&str>,
    name: &str,
    bytes: &[u8],
) -> (Reason, Option<u64>, String) {
    let mut bench = FeedBench::new(source, yaml);
    bench.drop_file(name, bytes);
    let (_, sink) = bench.polled().await;
    let mut letters = sink.dead_letters();
    assert_eq!((sink.sent.len(), letters.len()), (1, 1), "nothing but one dead letter: {letters:?}");
    let letter = letters.remove(0);
    assert!(letter.message.contains("nothing of the file is used"), "{letter:?}");
    let line = match letter.origin {
        rettidig_event::Origin::File { line, .. } => line,
        rettidig_event::Origin::Message { .. } => None,
    };
    // And it is not tried again.
    bench.later(60);
    let mut sink = MemorySink::default();
    bench.poll(&mut sink).await.expect("poll");
    assert!(sink.sent.is_empty());
    (letter.reason, line, letter.message)
}

#[test]
fn a_file_that_is_not_whole_is_rejected_whole() {
    within(60, async {
        let whole = raw("amanda/raw.txt");
        let (body, _) = whole.split_at(whole.len() - "99;11;2100021\r\n".len());
        let with = |trailer: &str| [body, trailer.as_bytes()].concat();
        for (bytes, expected, line) in [
            (body.to_vec(), "without its trailer", None),
            (body[..body.len() - 20].to_vec(), "without its trailer", None),
            (with("99;10;2100021\r\n"), "its count of records is not the 11", Some(13)),
            (with("99;11;2100022\r\n"), "its sum is not that of \"case_id\"", Some(13)),
            (with("99;11\r\n"), "trailer: expected 2 fields", Some(13)),
            (with("99;11;2100021\r\n10;1;1;6101701234;03082026;\r\n"), "after the trailer", Some(14)),
            (with("10;x;1;6101701234;03082026;\r\n99;12;2100021\r\n"), "sum cannot be checked", Some(13)),
            (
                whole["00;AMANDA;101;19082026;17\r\n".len()..].to_vec(),
                "expected a header of type 00",
                Some(1),
            ),
            (whole.iter().map(|b| if *b == b'M' { b'N' } else { *b }).skip(3).collect(), "header", Some(1)),
            (Vec::new(), "expected a header of type 00", None),
        ] {
            let (_, at, message) = only_dead_letter("amanda", None, AMANDA, &bytes).await;
            assert!(message.contains(expected) && at == line, "{expected}: {at:?} {message}");
        }
        let other = String::from_utf8_lossy(&whole).replace(";101;19082026", ";147;19082026");
        let (_, _, message) = only_dead_letter("amanda", None, AMANDA, other.as_bytes()).await;
        assert!(message.contains("another one than in the file name"), "{message}");
    });
}

/// What no event can carry is put aside alone: `polled` asserts that everything else decodes.
#[test]
fn values_out_of_all_range_are_put_aside() {
    const KY: &str = "ky-101-2026-08-19.ndjson";
    for (source, name, file, from, to, expected) in [
        // The row is about the week that begins on this day.
        ("yr", YR, "yr/raw.csv", "2026-08-03", "2199-12-30", "ends before 2200"),
        ("ky", KY, "ky/raw.ndjson", "2026-08-02T09:30:00+02:00", "+12026-08-02T09:30:00Z", "an instant"),
        ("ky", KY, "ky/raw.ndjson", "2026-08-02T09:30:00+02:00", "+262142-12-31T23:59:59Z", "an instant"),
        ("ky", KY, "ky/raw.ndjson", "\"kommune\":101", "\"kommune\":99999999999", "98 municipalities"),
    ] {
        within(60, async {
            let mut bench = FeedBench::new(source, None);
            let text = String::from_utf8(raw(file)).expect("UTF-8");
            assert!(text.contains(from), "{from}");
            bench.drop_file(name, text.replacen(from, to, 1).as_bytes());
            let (_, sink) = bench.polled().await;
            let letters = sink.dead_letters();
            assert!(letters.iter().any(|letter| letter.message.contains(expected)), "{to}: {letters:?}");
        });
    }
}

#[test]
fn a_bad_line_or_header_rejects_the_file_where_that_is_the_rule() {
    within(60, async {
        let strict = edited("income", "on_bad_line: dead_letter", "on_bad_line: reject_file");
        let rows = income("6101701234;2026-07;1,00;1;A;1\n6101701234;2026-07;x;1;B;1\n");
        let (reason, line, _) = only_dead_letter("income", Some(&strict), INCOME, rows.as_bytes()).await;
        assert_eq!((reason, line), (Reason::InvalidValue, Some(3)));
        // A first line that is no header may be a person's row; its words are not repeated.
        let (reason, line, message) =
            only_dead_letter("income", None, INCOME, b"6101701234;2026-07;1,00;1;A;1\n").await;
        assert_eq!((reason, line), (Reason::UnknownShape, Some(1)));
        assert!(message.contains("\"loen_kr\"") && !message.contains("610170"), "{message}");
        let (reason, ..) = only_dead_letter("income", None, INCOME, b"").await;
        assert_eq!(reason, Reason::Empty);
    });
}

/// A file that is written to while it is read is left for the next poll.
#[test]
fn a_file_that_changes_while_it_is_read_is_left() {
    within(60, async {
        let mut bench = FeedBench::new("income", None);
        bench.drop_file(INCOME, income_rows(20_000).as_bytes());
        let path = bench.path(INCOME);
        let mut sink = AtFirst::new(async move {
            let text = std::fs::read_to_string(&path).expect("read");
            std::fs::write(&path, text.replace("28,00", "29,00")).expect("write");
        });
        let mut failed = 0;
        for _ in 0..2 {
            bench.later(60);
            let outcome = bench.poll(&mut sink).await.expect("poll");
            failed += outcome.failures.len();
            if let Some(failure) = outcome.failures.first() {
                assert!(chain(failure).contains("changes while it is read"), "{failure:?}");
            }
        }
        assert_eq!(failed, 1);
        assert!(sink.sink.of(Topic::Deliveries).is_empty());
        // Stable again: read whole.
        let (_, sink) = bench.polled().await;
        assert_eq!((sink.of(Topic::Income).len(), sink.of(Topic::Deliveries).len()), (20_000, 1));
    });
}

/// Every CPR number of the fixtures and of the lines below, in both spellings.
fn spellings(texts: &[String]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for text in texts {
        let digits: Vec<char> = text.chars().collect();
        for start in 0..digits.len() {
            let plain: String = digits[start..].iter().filter(|c| **c != '-').take(10).collect();
            let own = digits[start].is_ascii_digit() && (start == 0 || !digits[start - 1].is_ascii_digit());
            if own
                && plain.len() == 10
                && plain.chars().all(|c| c.is_ascii_digit())
                && plain.as_bytes()[0] >= b'6'
            {
                found.insert(format!("{}-{}", &plain[..6], &plain[6..]));
                found.insert(plain);
            }
        }
    }
    found
}

/// Goal: no CPR number leaves the connector. Method: the fixtures, and files whose lines are broken in many ways
/// around numbers, through all four profiles; then every topic, key, payload, decoded dead letter, error, cursor
/// and log line is searched for every number in both spellings, and for its last nine digits (a spreadsheet's
/// way with a leading zero).
#[test]
fn no_cpr_number_gets_out() {
    watch_the_log();
    let broken = [
        "6101701234",
        "610170-1234;610170-1234;610170-1234;610170-1234;610170-1234;610170-1234",
        "10;610170-1234;1;6101701234;03082026;",
        "10;1;1;61 01 70 1234;03082026;",
        "20;1;1;6101701234;610170-1234;6101701234;6101701234",
        "\"6101701234;\"610170-1234",
        "{\"cpr\":\"6101701234\",\"uuid\":\"610170-1234\",\"6101701234\":\"6101701234\"}",
        "{\"cpr\":6101701234,\"revision\":\"610170-1234\"}",
        "{\"cpr\":{\"nr\":\"6101701234\"}}",
        "{\"cpr\":\"6101701234\"",
        "2026-08-17;101701234;610170-1234;6101701234;1,00;610170-1234;30,00;0,30;0,00;0,00",
        "101701234;610170-1234;1,00;1;6101701234;1",
        "6101701234;2026-07;610170-1234;6101701234;610170-1234;6101701234",
        "7112991235;2026-07;1,00;1;X 7112991235;1",
    ];
    within(60, async {
        for (source, name, file) in FEEDS {
            let mut whole = raw(file);
            let trailer = whole.windows(4).position(|w| w == b"\n99;").map(|at| at + 1);
            let tail = trailer.map(|at| whole.split_off(at)).unwrap_or_default();
            for broken in &broken {
                whole.extend_from_slice(broken.as_bytes());
                whole.extend_from_slice(b"\xff\n");
                whole.extend_from_slice(broken.as_bytes());
                whole.push(b'\n');
            }
            whole.extend_from_slice(&tail);
            let mut numbers: Vec<String> = broken.iter().map(|text| (*text).to_owned()).collect();
            numbers.push(String::from_utf8_lossy(&whole).into_owned());
            let numbers = spellings(&numbers);
            assert!(numbers.len() >= 6, "{numbers:?}");

            let mut seen: Vec<u8> = Vec::new();
            // As delivered (a wrong trailer), and without header.
            for bytes in [whole.clone(), raw(file), [b"6101701234;610170-1234\n", whole.as_slice()].concat()]
            {
                let mut bench = FeedBench::new(source, None);
                bench.drop_file(name, &bytes);
                bench.drop_file("6101701234.csv", &bytes);
                let (outcome, sink) = bench.polled().await;
                for failure in &outcome.failures {
                    seen.extend_from_slice(chain(failure).as_bytes());
                }
                for (_, key, payload) in &sink.sent {
                    seen.extend_from_slice(key.as_bytes());
                    seen.push(b'\n');
                    seen.extend_from_slice(payload);
                    seen.push(b'\n');
                }
                for letter in sink.dead_letters() {
                    seen.extend_from_slice(&letter.original_bytes().expect("base64"));
                    seen.push(b'\n');
                }
                seen.extend_from_slice(bench.cursor().to_string().as_bytes());
            }
            seen.extend_from_slice(&logged());
            let seen = String::from_utf8_lossy(&seen);
            for number in &numbers {
                assert!(!seen.contains(number.as_str()), "{source}: {number} got out");
                assert!(!seen.contains(&number[1..]), "{source}: most of {number} got out");
            }
        }
        assert!(!logged().is_empty(), "the log was watched");
    });
}

/// Goal: what is delivered of an erased person leaves no trace, not as a dead letter either, and keeps nothing else out, also
/// where one bad line rejects the whole. Method: each shipped file with one of its persons erased, beside the same file
/// with a key that knows all.
#[test]
fn records_of_an_erased_person_are_passed_over() {
    const PERSON: &str = "6101701234";
    within(60, async {
        let files = [
            ("yr", "yr/raw.csv", YR),
            ("amanda", "amanda/raw.txt", AMANDA),
            ("income", "income/raw.csv", INCOME),
        ];
        for (name, fixture, file) in files {
            let bytes = raw(fixture);
            let is_own: Vec<bool> = bytes
                .split(|byte| *byte == b'\n')
                .map(|line| line.windows(PERSON.len()).any(|text| text == PERSON.as_bytes()))
                .collect();
            let whole = PseudonymKey::tree(Zeroizing::new(*b"a root of a tree, 32 bytes long!"));
            let cpr = Cpr::parse(PERSON).expect("a number");
            let own = format_person(&whole.person(&cpr).expect("a pseudonym"));
            let mut cut = whole.clone();
            assert!(cut.erase(&cpr).expect("a tree"));
            let mut sent = Vec::new();
            for key in [whole, cut] {
                let mut bench = FeedBench::keyed(name, None, Arc::new(key));
                bench.drop_file(file, &bytes);
                let (_, sink) = bench.polled().await;
                sent.push(
                    sink.sent
                        .into_iter()
                        .filter(|(topic, ..)| *topic != Topic::Deliveries)
                        .collect::<Vec<_>>(),
                );
            }
            // Of a line that cannot be taken apart nobody knows whose it is: it is put aside, all its digits masked.
            let is_anybodys = |payload: &[u8]| {
                let letter: DeadLetter = serde_json::from_slice(payload).expect("a dead letter");
                let is_masked = !letter.original_bytes().expect("base64").iter().any(u8::is_ascii_digit);
                let Origin::File { line: Some(line), .. } = letter.origin else {
                    panic!("{:?}", letter.origin)
                };
                is_masked || !is_own[usize::try_from(line).expect("small") - 1]
            };
            let is_of_another = |(topic, key, payload): &&(Topic, String, Vec<u8>)| match topic {
                Topic::DeadLetter => is_anybodys(payload),
                _ => *key != own,
            };
            let expected: Vec<_> = sent[0].iter().filter(is_of_another).cloned().collect();
            assert!(!expected.is_empty() && expected.len() < sent[0].len(), "{name}");
            assert_eq!(sent[1], expected, "{name}: all of the others, and nothing more");
        }
    });
}
