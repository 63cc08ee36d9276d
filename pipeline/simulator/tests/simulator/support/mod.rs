//! What the tests share: a pseudonym that can be read back, typed events, and a reader of the four source
//! formats that shares no code with the writer.

use std::collections::HashMap;

use chrono::{Datelike, NaiveDate};
use encoding_rs::WINDOWS_1252;
use rettidig_simulator::{Benefit, Day, Simulation, SimulationOptions, SourceFile, System};
use serde::Deserialize;
use serde_json::{Value, json};

/// The digits themselves, so that a test can read them back.
pub fn pseudonym(cpr: &str) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..10].copy_from_slice(cpr.as_bytes());
    bytes
}

/// The hex form of [`pseudonym`].
pub fn person(cpr: &str) -> String {
    pseudonym(cpr).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The digits of a [`person`].
pub fn digits(person: &str) -> String {
    (0..10).map(|at| u8::from_str_radix(&person[at * 2..at * 2 + 2], 16).expect("hex") as char).collect()
}

/// Any event of a person; the fields of other topics are none.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Event {
    pub source: String,
    pub id: String,
    pub op: String,
    pub revision: u32,
    pub recorded_at: String,
    pub person: String,
    pub birth: String,
    pub sex: String,
    pub municipality: i32,
    pub benefit: Option<String>,
    pub from: Option<NaiveDate>,
    pub to: Option<NaiveDate>,
    pub minutes: Option<i64>,
    pub amount_oere: Option<i64>,
    pub refund_oere: Option<i64>,
    pub kind: Option<String>,
    pub due: Option<NaiveDate>,
    pub held: Option<NaiveDate>,
    pub month: Option<String>,
    pub wage_oere: Option<i64>,
}

pub fn options(persons: u64, months: u32, seed: u64) -> SimulationOptions {
    SimulationOptions { persons, months, seed, ..SimulationOptions::default() }
}

pub fn days(options: &SimulationOptions) -> Vec<Day> {
    Simulation::new(options).collect()
}

pub fn bytes(file: &SourceFile) -> Vec<u8> {
    let mut out = Vec::new();
    file.write_bytes(&pseudonym, &mut out);
    out
}

pub fn event_lines(file: &SourceFile) -> String {
    let mut out = Vec::new();
    file.write_events(&pseudonym, &mut out);
    String::from_utf8(out).expect("utf-8")
}

pub fn events(file: &SourceFile) -> Vec<Event> {
    event_lines(file).lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

/// Birth month and sex as a number tells, by the rules of real ones.
pub fn told(cpr: &str) -> (String, &'static str) {
    let number = |range: std::ops::Range<usize>| cpr[range].parse::<i32>().expect("digits");
    let (month, year, seventh) = (number(2..4), number(4..6), number(6..7));
    let century = match (seventh, year) {
        (0..=3, _) | (4 | 9, 37..) => 1900,
        (4 | 9, _) | (5..=8, 0..=57) => 2000,
        _ => 1800,
    };
    let sex = if number(9..10) % 2 == 1 { "male" } else { "female" };
    (format!("{:04}-{month:02}", century + year), sex)
}

/// The fields that all events of a file have.
fn common(file: &SourceFile, id: String, op: &str, revision: u64, recorded_at: String, cpr: &str) -> Value {
    let (birth, sex) = told(cpr);
    json!({
        "source": file.source(), "id": id, "op": op, "revision": revision, "recorded_at": recorded_at,
        "person": person(cpr), "birth": birth, "sex": sex, "municipality": file.municipality(),
    })
}

fn with(mut event: Value, fields: Value) -> Value {
    let (Value::Object(event_fields), Value::Object(fields)) = (&mut event, fields) else { unreachable!() };
    event_fields.extend(fields);
    event
}

fn oere(text: &str) -> i64 {
    let (whole, cents) = text.split_once(['.', ',']).expect("two decimals");
    assert_eq!(cents.len(), 2, "{text}");
    let sign = if text.starts_with('-') { -1 } else { 1 };
    sign * (whole.trim_start_matches('-').parse::<i64>().expect("kr") * 100
        + cents.parse::<i64>().expect("øre"))
}

fn iso(text: &str) -> Option<NaiveDate> {
    NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()
}

fn danish(text: &str) -> Option<NaiveDate> {
    (!text.is_empty()).then(|| NaiveDate::parse_from_str(text, "%d%m%Y").expect(text))
}

/// What a connector would make of the file, as JSON.
pub fn read_back(file: &SourceFile) -> Vec<Value> {
    let midnight = format!("{}T00:00:00Z", file.made_on());
    match file.system() {
        System::Yr => read_yr(file, &midnight),
        System::Ky => read_ky(file),
        System::Amanda => read_amanda(file, &midnight),
        System::Income => read_income(file, &midnight),
        System::Language | System::Origin => {
            let text = String::from_utf8(bytes(file)).expect("utf-8");
            text.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
        }
    }
}

/// UTF-8 with a mark, else Windows-1252.
pub fn decode(bytes: &[u8]) -> String {
    match bytes.strip_prefix(b"\xef\xbb\xbf") {
        Some(rest) => String::from_utf8(rest.to_vec()).expect("utf-8"),
        None => WINDOWS_1252.decode(bytes).0.into_owned(),
    }
}

fn read_yr(file: &SourceFile, midnight: &str) -> Vec<Value> {
    let text = decode(&bytes(file));
    let mut reader = csv::ReaderBuilder::new().delimiter(b';').from_reader(text.as_bytes());
    let column: HashMap<String, usize> = reader
        .headers()
        .expect("header")
        .iter()
        .enumerate()
        .map(|(at, name)| (name.to_owned(), at))
        .collect();
    assert_eq!(column.len(), 10);
    let name = file.name();
    let mut events = Vec::new();
    for (index, row) in reader.records().enumerate() {
        let row = row.expect("row");
        let field = |name: &str| &row[column[name]];
        let week = iso(field("Uge"))
            .unwrap_or_else(|| NaiveDate::parse_from_str(field("Uge"), "%d-%m-%Y").expect("date"));
        assert_eq!(week.weekday(), chrono::Weekday::Mon);
        let benefit =
            Benefit::ALL.into_iter().find(|one| one.danish_name() == field("Ydelse")).expect("benefit");
        let cpr = field("CPR nummer").replace('-', "");
        let (amount, refund) = (oere(field("Beregnet udbetalingsbeløb")), oere(field("Refusionsbeløb")));
        assert_eq!(oere(field("Medfinansieringsbeløb")), amount - refund);
        assert_eq!(oere(field("Refusionssats")) + oere(field("Medfinansieringssats")), 10_000);
        let id = format!("{name}:{}", index + 2);
        events.push(with(
            common(file, id, "add", 0, midnight.to_owned(), &cpr),
            json!({
                "benefit": benefit.code(), "from": week, "to": week + chrono::Days::new(6), "minutes": null,
                "amount_oere": amount, "refund_oere": refund,
            }),
        ));
    }
    events
}

fn read_ky(file: &SourceFile) -> Vec<Value> {
    let text = String::from_utf8(bytes(file)).expect("utf-8");
    let read = |line: &str| {
        let row: Value = serde_json::from_str(line).expect(line);
        let text = |name: &str| row[name].as_str().expect(name).to_owned();
        let op = if row["slettet"].as_bool().expect("bool") { "delete" } else { "upsert" };
        assert_eq!(row["kommune"], file.municipality());
        let hundredths = |name: &str| row[name].as_f64().map(|value| (value * 100.0).round() as i64);
        let revision = row["revision"].as_u64().expect("revision");
        with(
            common(file, text("uuid"), op, revision, text("registreret"), &text("cpr")),
            json!({
                "benefit": text("ydelseskode"), "from": text("startdato"), "to": text("slutdato"),
                "minutes": hundredths("timer").map(|hours| hours * 60 / 100),
                "amount_oere": hundredths("beloeb"), "refund_oere": 0,
            }),
        )
    };
    text.lines().map(read).collect()
}

fn read_amanda(file: &SourceFile, midnight: &str) -> Vec<Value> {
    let text = WINDOWS_1252.decode(&bytes(file)).0.into_owned();
    let lines: Vec<Vec<&str>> = text.split_terminator("\r\n").map(|line| line.split(';').collect()).collect();
    let (header, trailer) = (&lines[0], &lines[lines.len() - 1]);
    let body = &lines[1..lines.len() - 1];
    assert_eq!(header[..2], ["00", "AMANDA"]);
    assert_eq!(header[2], format!("{:03}", file.municipality()));
    assert_eq!(danish(header[3]), Some(file.made_on()));
    assert!(file.name().ends_with(&format!("-{}.txt", header[4])));
    let sum: u64 = body.iter().map(|line| line[1].parse::<u64>().expect("case id")).sum();
    assert_eq!(trailer[..], ["99", &body.len().to_string(), &sum.to_string()]);
    let read = |line: &Vec<&str>| {
        let revision = line[2].parse().expect("revision");
        let event = |prefix: &str| {
            common(file, format!("{prefix}-{}", line[1]), "upsert", revision, midnight.to_owned(), line[3])
        };
        match line[0] {
            "10" => {
                assert_eq!((line.len(), line[5]), (6, ""));
                with(event("reg"), json!({"kind": "registration", "from": danish(line[4]), "to": null}))
            }
            "20" => {
                let (due, held) = (danish(line[4]), danish(line[5]));
                assert_eq!(line.len(), 7);
                let forms = HashMap::from([("møde", "meeting"), ("telefon", "phone"), ("video", "video")]);
                let form = forms[line[6]];
                with(event("contact"), json!({"kind": "contact", "due": due, "held": held, "form": form}))
            }
            "30" => {
                assert_eq!(line.len(), 8);
                let (from, to, hours) =
                    (danish(line[4]), danish(line[5]), line[7].parse::<i64>().expect("h"));
                let fields = json!({
                    "kind": "activation", "from": from, "to": to, "offer": line[6],
                    "minutes_per_week": hours * 60,
                });
                with(event("activation"), fields)
            }
            "40" => {
                assert!(line.len() == 7 && !line[6].is_empty());
                let (from, to) = (danish(line[4]), danish(line[5]));
                assert!(to >= from);
                with(event("reg"), json!({"kind": "registration", "from": from, "to": to}))
            }
            other => panic!("{other}"),
        }
    };
    body.iter().map(read).collect()
}

fn read_income(file: &SourceFile, midnight: &str) -> Vec<Value> {
    let text = String::from_utf8(bytes(file)).expect("utf-8");
    let mut reader = csv::ReaderBuilder::new().delimiter(b';').from_reader(text.as_bytes());
    let header: Vec<&str> = vec!["cpr", "maaned", "loen_kr", "timer", "indberetning_id", "revision"];
    assert_eq!(reader.headers().expect("header").iter().collect::<Vec<_>>(), header);
    let read = |row: Result<csv::StringRecord, csv::Error>| {
        let row = row.expect("row");
        let number = |at: usize| row[at].parse::<i64>().expect("number");
        let revision = row[5].parse().expect("revision");
        let fields = json!({
            "month": &row[1], "wage_oere": number(2) * 100, "minutes": number(3) * 60,
        });
        with(common(file, row[4].to_owned(), "upsert", revision, midnight.to_owned(), &row[0]), fields)
    };
    reader.records().map(read).collect()
}
