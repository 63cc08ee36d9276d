//! The profile of a source of person records: format, file names, columns, codes.
//!
//! It says how a delivered file (or a pushed body, or a table) is read and which column becomes which field of
//! an event, so that a municipality adds a source without code. Read strictly, like every profile: unknown keys
//! are errors with the nearest known name, all errors come at once, no value is repeated.

use std::collections::BTreeMap;

use chrono::Duration;
use rettidig_event::benefit;
use rettidig_event::municipality::is_municipality;
use serde_yaml_ng::Value;

use super::name::NameForm;
use super::values::{DateFormat, Decimal};
use crate::profile::{Errors, ProfileError, Section, nearest, parse};

/// The fields that a column can become. The name is the key in `columns`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field {
    Cpr,
    Revision,
    RecordedAt,
    Municipality,
    Deleted,
    Benefit,
    From,
    To,
    Hours,
    Amount,
    Refund,
    Month,
    Wage,
    Due,
    Held,
    Form,
    Offer,
    HoursAWeek,
    On,
    Level,
    Passed,
    Origin,
}

/// Every field under its name in a profile, in the order of the enum.
const FIELDS: [(&str, Field); 22] = [
    ("cpr", Field::Cpr),
    ("revision", Field::Revision),
    ("recorded_at", Field::RecordedAt),
    ("municipality", Field::Municipality),
    ("deleted", Field::Deleted),
    ("benefit", Field::Benefit),
    ("from", Field::From),
    ("to", Field::To),
    ("hours", Field::Hours),
    ("amount", Field::Amount),
    ("refund", Field::Refund),
    ("month", Field::Month),
    ("wage", Field::Wage),
    ("due", Field::Due),
    ("held", Field::Held),
    ("form", Field::Form),
    ("offer", Field::Offer),
    ("hours_a_week", Field::HoursAWeek),
    ("on", Field::On),
    ("level", Field::Level),
    ("passed", Field::Passed),
    ("origin", Field::Origin),
];

/// What a record becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Payment,
    Income,
    Registration,
    Contact,
    Activation,
    LanguageTest,
    Origin,
}

/// Name, kind, required and optional fields beside the common ones.
type KindRow = (&'static str, Kind, &'static [Field], &'static [Field]);

const KINDS: [KindRow; 7] = [
    (
        "payment",
        Kind::Payment,
        &[Field::Benefit, Field::From, Field::Amount],
        &[Field::To, Field::Hours, Field::Refund],
    ),
    ("income", Kind::Income, &[Field::Month, Field::Wage, Field::Hours], &[]),
    ("registration", Kind::Registration, &[Field::From], &[Field::To]),
    ("contact", Kind::Contact, &[Field::Due], &[Field::Held, Field::Form]),
    ("activation", Kind::Activation, &[Field::From, Field::HoursAWeek], &[Field::To, Field::Offer]),
    ("language_test", Kind::LanguageTest, &[Field::On, Field::Level, Field::Passed], &[]),
    ("origin", Kind::Origin, &[Field::Origin, Field::From], &[]),
];

const COMMON_OPTIONAL: [Field; 4] = [Field::Revision, Field::RecordedAt, Field::Municipality, Field::Deleted];

/// Fields whose values a profile may translate.
const CODED: [Field; 5] = [Field::Benefit, Field::Form, Field::Offer, Field::Level, Field::Origin];

impl Field {
    pub(crate) fn name(self) -> &'static str {
        FIELDS[self as usize].0
    }
}

/// How a file is cut into fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Format {
    /// The first line names the columns.
    Csv { separator: u8 },
    /// One JSON object a line.
    Ndjson,
    /// Rows of a table of a database.
    Table,
    /// The first field is the record's type; a header and a trailer enclose the file.
    Record { separator: u8, header: HeaderLine, trailer: TrailerLine },
}

/// The first line of the format `record`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct HeaderLine {
    pub record_type: String,
    /// Place of the municipality among the fields, where it is named.
    pub municipality: Option<usize>,
    /// Place of the date.
    pub date: Option<usize>,
    pub fields: usize,
}

/// The last line of the format `record`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct TrailerLine {
    pub record_type: String,
    pub records: Option<usize>,
    pub control_sum: Option<usize>,
    /// The column that `control_sum` is the sum of.
    pub sum_of: String,
    pub fields: usize,
}

/// How the encoding is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EncodingRule {
    Utf8,
    Windows1252,
    /// UTF-8 if the whole file is, else Windows-1252.
    Auto,
}

/// Where the municipality of a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MunicipalityRule {
    FileName,
    Header,
    /// Nowhere; each record has its own.
    None,
}

/// Where `recorded_at` of a record comes from that has no column for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RecordedAtRule {
    FileName,
    Header,
    Poll,
}

/// What one unusable line does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BadLine {
    DeadLetter,
    RejectFile,
}

/// A piece of an event's id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum IdPart {
    Literal(String),
    File,
    Line,
    /// Index into [`RecordMap::names`].
    Column(usize),
}

/// One kind of record.
#[derive(Debug, Clone)]
pub(crate) struct RecordMap {
    pub kind: Kind,
    /// The type in the first field; format `record` only.
    pub record_type: String,
    pub add: bool,
    pub id: Vec<IdPart>,
    /// Length of the interval if there is no column `to`, days.
    pub days: Option<i64>,
    /// The columns that are read.
    pub names: Vec<String>,
    /// By [`Field`]: index into `names`.
    pub columns: [Option<usize>; FIELDS.len()],
    /// Names of the fields after the type; format `record` only.
    pub layout: Vec<String>,
}

impl RecordMap {
    /// Index of a field's column in `names`.
    pub(crate) fn column(&self, field: Field) -> Option<usize> {
        self.columns[field as usize]
    }
}

/// When a file is complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ready {
    /// The same size and modification time at two polls this far apart.
    Stable(Duration),
    /// It gets its final name when it is complete.
    Rename,
    /// A file of this suffix stands beside it.
    Marker(String),
}

/// What a known name with other content means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SameName {
    Refuse,
    Process,
}

/// Where files come from.
#[derive(Debug, Clone)]
pub(crate) struct Files {
    pub name: NameForm,
    pub ready: Ready,
    pub same_name: SameName,
    /// The most files that are remembered.
    pub remembered_max: usize,
    /// How long a file is remembered, counted from its modification.
    pub remembered_for: Duration,
}

/// A table that is polled.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    /// Name, with its schema where it needs one.
    pub relation: Vec<String>,
    /// The column that only ever grows.
    pub key: String,
    /// Whether rows wait for older transactions, see [`crate::sources`].
    pub settled: bool,
    pub batch_rows: i64,
    pub municipality: Option<i32>,
}

/// A profile.
#[derive(Debug, Clone)]
pub(crate) struct Profile {
    /// Prefix of `source` in the events.
    pub source: String,
    pub format: Format,
    pub encoding: EncodingRule,
    pub decimal: Decimal,
    pub dates: Vec<DateFormat>,
    pub on_bad_line: BadLine,
    pub municipality: MunicipalityRule,
    pub recorded_at: RecordedAtRule,
    pub files: Option<Files>,
    pub table: Option<Table>,
    pub every: Duration,
    /// By [`Field`] name: lower-case value of the source to the event's.
    pub codes: BTreeMap<&'static str, BTreeMap<String, String>>,
    pub records: Vec<RecordMap>,
}

impl Profile {
    /// Reads a profile; `name` is for the error.
    pub(crate) fn read(name: &str, yaml: &str) -> Result<Self, ProfileError> {
        let mut errors = Errors::default();
        let profile = parse(yaml, &mut errors).map(|value| read(&value, &mut errors));
        errors.into_result(name, profile)
    }
}

fn read(value: &Value, errors: &mut Errors) -> Profile {
    let known = [
        "source",
        "format",
        "separator",
        "encoding",
        "decimal",
        "dates",
        "on_bad_line",
        "municipality",
        "recorded_at",
        "header",
        "trailer",
        "files",
        "table",
        "poll",
        "codes",
        "records",
    ];
    let top = Section::open(value, "", &known, errors);
    let source = top.text("source", errors);
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    if !source.is_empty() && (source.len() > 40 || !source.bytes().all(plain)) {
        errors.add("source", "expected at most 40 characters of [a-z0-9_-]");
    }
    let format = read_format(&top, errors);
    let encodings = [
        ("auto", EncodingRule::Auto),
        ("utf-8", EncodingRule::Utf8),
        ("windows-1252", EncodingRule::Windows1252),
    ];
    let municipalities = [
        ("file_name", MunicipalityRule::FileName),
        ("header", MunicipalityRule::Header),
        ("none", MunicipalityRule::None),
    ];
    let instants = [
        ("file_name", RecordedAtRule::FileName),
        ("header", RecordedAtRule::Header),
        ("poll", RecordedAtRule::Poll),
    ];
    let bad_lines = [("dead_letter", BadLine::DeadLetter), ("reject_file", BadLine::RejectFile)];
    let decimals = [("comma", Decimal::Comma), ("point", Decimal::Point)];
    let mut dates = Vec::new();
    for (index, text) in top.texts_required("dates", errors).iter().enumerate() {
        dates.extend(named(text, &format!("dates[{index}]"), &DateFormat::NAMES, errors));
    }
    let profile = Profile {
        source,
        encoding: choice(&top, "encoding", Some("auto"), &encodings, errors).unwrap_or(EncodingRule::Auto),
        decimal: choice(&top, "decimal", None, &decimals, errors).unwrap_or(Decimal::Comma),
        dates,
        on_bad_line: choice(&top, "on_bad_line", Some("dead_letter"), &bad_lines, errors)
            .unwrap_or(BadLine::DeadLetter),
        municipality: choice(&top, "municipality", None, &municipalities, errors)
            .unwrap_or(MunicipalityRule::None),
        recorded_at: choice(&top, "recorded_at", None, &instants, errors).unwrap_or(RecordedAtRule::Poll),
        files: read_files(&top, errors),
        table: read_table(&top, &format, errors),
        every: read_every(&top, errors),
        codes: read_codes(&top, errors),
        records: read_records(&top, &format, errors),
        format,
    };
    check(&profile, errors);
    profile
}

/// What no single key can tell.
fn check(profile: &Profile, errors: &mut Errors) {
    let name = profile.files.as_ref().map(|files| &files.name);
    let header = match &profile.format {
        Format::Record { header, .. } => Some(header),
        _ => None,
    };
    let municipality = match profile.municipality {
        MunicipalityRule::FileName => name.is_none_or(NameForm::has_municipality),
        MunicipalityRule::Header => header.is_some_and(|header| header.municipality.is_some()),
        MunicipalityRule::None => true,
    };
    if !municipality {
        errors
            .add("municipality", "neither files.name nor header has a municipality where this looks for it");
    }
    let instant = match profile.recorded_at {
        RecordedAtRule::FileName => name.is_none_or(NameForm::has_instant),
        RecordedAtRule::Header => header.is_some_and(|header| header.date.is_some()),
        RecordedAtRule::Poll => true,
    };
    if !instant {
        errors.add("recorded_at", "neither files.name nor header has a date where this looks for it");
    }
    for (index, map) in profile.records.iter().enumerate() {
        let fixed = profile.table.as_ref().is_some_and(|table| table.municipality.is_some());
        if profile.municipality == MunicipalityRule::None
            && !fixed
            && map.column(Field::Municipality).is_none()
        {
            let path = format!("records[{index}].columns.municipality");
            errors.add(&path, "missing, and the delivery has none either");
        }
        if map.kind == Kind::Payment && !profile.codes.contains_key(Field::Benefit.name()) {
            errors.add("codes.benefit", "missing; expected a map from the source's benefits to codes");
        }
    }
}

fn named<T: Copy>(text: &str, path: &str, known: &[(&str, T)], errors: &mut Errors) -> Option<T> {
    if text.is_empty() {
        return None;
    }
    let found = known.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
    if found.is_none() {
        let names: Vec<_> = known.iter().map(|(name, _)| *name).collect();
        let hint = nearest(text, names.iter().copied()).map(|near| format!("; nearest: {near}"));
        errors.add(path, format!("expected one of {}{}", names.join(", "), hint.unwrap_or_default()));
    }
    found
}

fn choice<T: Copy>(
    section: &Section<'_>,
    key: &str,
    default: Option<&str>,
    known: &[(&str, T)],
    errors: &mut Errors,
) -> Option<T> {
    let text = match default {
        Some(default) => section.text_or(key, default, errors),
        None => section.text(key, errors),
    };
    named(&text, &section.at(key), known, errors)
}

fn read_format(top: &Section<'_>, errors: &mut Errors) -> Format {
    let formats = [("csv", 0), ("ndjson", 1), ("record", 2), ("table", 3)];
    let format = choice(top, "format", None, &formats, errors);
    let separator = match top.text_or("separator", ";", errors).as_bytes() {
        [byte]
            if byte.is_ascii() && !byte.is_ascii_alphanumeric() && !matches!(byte, b'"' | b'\n' | b'\r') =>
        {
            *byte
        }
        _ => {
            errors.add("separator", "expected one sign such as \";\"");
            b';'
        }
    };
    if format != Some(2) {
        for key in ["header", "trailer"] {
            if top.get(key).is_some() {
                errors.add(key, "only with format: record");
            }
        }
    }
    match format {
        Some(1) => Format::Ndjson,
        Some(2) => {
            let (header_type, layout, _) = read_enclosing(top, "header", errors);
            let at = |layout: &[String], name: &str| layout.iter().position(|field| field == name);
            let header = HeaderLine {
                record_type: header_type,
                municipality: at(&layout, "municipality"),
                date: at(&layout, "date"),
                fields: layout.len(),
            };
            let (record_type, layout, sum_of) = read_enclosing(top, "trailer", errors);
            let trailer = TrailerLine {
                record_type,
                records: at(&layout, "records"),
                control_sum: at(&layout, "control_sum"),
                fields: layout.len(),
                sum_of: sum_of.unwrap_or_default(),
            };
            if trailer.control_sum.is_some() == trailer.sum_of.is_empty() {
                errors
                    .add("trailer.sum_of", "expected the column that control_sum is the sum of, or neither");
            }
            Format::Record { separator, header, trailer }
        }
        Some(3) => Format::Table,
        _ => Format::Csv { separator },
    }
}

fn read_table(top: &Section<'_>, format: &Format, errors: &mut Errors) -> Option<Table> {
    let value = match (top.get("table"), *format == Format::Table) {
        (Some(value), true) => value,
        (None, false) => return None,
        (Some(_), false) => {
            errors.add("table", "only with format: table");
            return None;
        }
        (None, true) => {
            errors.add("table", "missing");
            return None;
        }
    };
    for (key, expected) in [("municipality", "none"), ("recorded_at", "poll")] {
        if top.get(key).and_then(Value::as_str).is_some_and(|given| given != expected) {
            errors.add(key, format!("a table has no file; expected {expected}"));
        }
    }
    if top.get("on_bad_line").and_then(Value::as_str) == Some("reject_file") || top.get("files").is_some() {
        errors.add("format", "a table has neither files nor on_bad_line: reject_file");
    }
    let known = ["relation", "key", "settled", "batch_rows", "municipality"];
    let section = Section::open(value, "table", &known, errors);
    let relation: Vec<String> = section.text("relation", errors).split('.').map(str::to_owned).collect();
    if relation.len() > 2 || relation.iter().any(String::is_empty) {
        errors.add("table.relation", "expected a table, or schema.table");
    }
    let municipality = section.number("municipality", 0, 101..=860, errors);
    let municipality = i32::try_from(municipality).ok().filter(|code| *code > 0);
    if municipality.is_some_and(|code| !is_municipality(code)) {
        errors.add("table.municipality", "expected one of the 98 codes");
    }
    Some(Table {
        relation,
        key: section.text("key", errors),
        settled: section.get("settled").is_none() || section.flag("settled", errors),
        batch_rows: i64::try_from(section.number("batch_rows", 2_000, 1..=20_000, errors)).unwrap_or(2_000),
        municipality,
    })
}

/// Type, layout and summed column of a header or trailer.
fn read_enclosing(
    top: &Section<'_>,
    key: &str,
    errors: &mut Errors,
) -> (String, Vec<String>, Option<String>) {
    let Some(value) = top.get(key) else {
        errors.add(key, "missing");
        return Default::default();
    };
    let known: &[&str] = if key == "trailer" { &["type", "layout", "sum_of"] } else { &["type", "layout"] };
    let section = Section::open(value, key, known, errors);
    let layout = section.texts_required("layout", errors);
    (section.text("type", errors), layout, section.text_maybe("sum_of", errors))
}

fn read_every(top: &Section<'_>, errors: &mut Errors) -> Duration {
    let seconds = top.get("poll").map_or(300, |value| {
        Section::open(value, "poll", &["every_seconds"], errors).number(
            "every_seconds",
            300,
            1..=86_400,
            errors,
        )
    });
    Duration::seconds(i64::try_from(seconds).unwrap_or(300))
}

fn read_files(top: &Section<'_>, errors: &mut Errors) -> Option<Files> {
    let value = top.get("files")?;
    let section = Section::open(value, "files", &["name", "ready", "same_name", "remember"], errors);
    let text = section.text("name", errors);
    let name = NameForm::parse(&text).unwrap_or_else(|expected| {
        errors.add("files.name", expected);
        NameForm::default()
    });
    let ready = match section.get("ready") {
        Some(Value::String(text)) if text == "rename" => Ready::Rename,
        Some(value) => {
            let ready = Section::open(value, "files.ready", &["stable_seconds", "marker"], errors);
            match ready.text_maybe("marker", errors) {
                Some(suffix) => {
                    if ready.get("stable_seconds").is_some() || !suffix.starts_with('.') {
                        errors.add("files.ready", "either stable_seconds or a marker such as \".done\"");
                    }
                    Ready::Marker(suffix)
                }
                None => {
                    let seconds = ready.number("stable_seconds", 60, 0..=86_400, errors);
                    Ready::Stable(Duration::seconds(i64::try_from(seconds).unwrap_or(60)))
                }
            }
        }
        None => Ready::Stable(Duration::seconds(60)),
    };
    let names = [("refuse", SameName::Refuse), ("process", SameName::Process)];
    let same_name = choice(&section, "same_name", None, &names, errors).unwrap_or(SameName::Refuse);
    let (mut files_max, mut days) = (3_000, 800);
    if let Some(value) = section.get("remember") {
        let remember = Section::open(value, "files.remember", &["files_max", "days"], errors);
        files_max = remember.number("files_max", files_max, 10..=4_000, errors);
        days = remember.number("days", days, 1..=36_500, errors);
    }
    Some(Files {
        name,
        ready,
        same_name,
        remembered_max: usize::try_from(files_max).unwrap_or(3_000),
        remembered_for: Duration::days(i64::try_from(days).unwrap_or(800)),
    })
}

fn read_codes(top: &Section<'_>, errors: &mut Errors) -> BTreeMap<&'static str, BTreeMap<String, String>> {
    let mut codes = BTreeMap::new();
    let Some(value) = top.get("codes") else { return codes };
    let known = CODED.map(Field::name);
    let section = Section::open(value, "codes", &known, errors);
    for field in known {
        if section.get(field).is_none() {
            continue;
        }
        let mut map = BTreeMap::new();
        for (from, to) in section.text_map(field, errors) {
            let path = format!("codes.{field}.{from}");
            if field == Field::Benefit.name() && !to.is_empty() && benefit::number_of(&to).is_none() {
                let codes = benefit::BENEFITS.map(|(code, _)| code);
                let hint = nearest(&to, codes).map(|near| format!("; nearest: {near}")).unwrap_or_default();
                errors.add(&path, format!("no benefit code{hint}"));
            }
            if map.insert(from.trim().to_lowercase(), to).is_some() {
                errors.add(&path, "stands twice (upper and lower case are the same)");
            }
        }
        codes.insert(field, map);
    }
    codes
}

fn read_records(top: &Section<'_>, format: &Format, errors: &mut Errors) -> Vec<RecordMap> {
    let items = top.items("records", true, errors);
    let records: Vec<_> =
        items.iter().map(|(path, value)| read_record(value, path, format, errors)).collect();
    let typed = matches!(format, Format::Record { .. });
    if !typed && records.len() > 1 {
        errors.add("records", "more than one only with format: record");
    }
    for (index, map) in records.iter().enumerate() {
        if typed && records[..index].iter().any(|other| other.record_type == map.record_type) {
            errors.add(&format!("records[{index}].type"), "stands twice");
        }
    }
    records
}

fn read_record(value: &Value, path: &str, format: &Format, errors: &mut Errors) -> RecordMap {
    let typed = matches!(format, Format::Record { .. });
    let known: &[&str] = if typed {
        &["event", "op", "id", "days", "columns", "type", "layout"]
    } else {
        &["event", "op", "id", "days", "columns"]
    };
    let section = Section::open(value, path, known, errors);
    let kinds = KINDS.map(|(name, kind, ..)| (name, kind));
    let kind = choice(&section, "event", None, &kinds, errors).unwrap_or(Kind::Payment);
    let (_, _, required, optional) = KINDS[kind as usize];
    let add = choice(&section, "op", None, &[("add", true), ("upsert", false)], errors).unwrap_or(true);
    let layout = if typed { section.texts_required("layout", errors) } else { Vec::new() };
    let mut names: Vec<String> = Vec::new();
    let mut index_of = |name: String| {
        names.iter().position(|known| *known == name).unwrap_or_else(|| {
            names.push(name);
            names.len() - 1
        })
    };

    let mut columns = [None; FIELDS.len()];
    let allowed: Vec<Field> = [Field::Cpr]
        .into_iter()
        .chain(COMMON_OPTIONAL)
        .chain(required.iter().chain(optional).copied())
        .collect();
    if let Some(value) = section.get("columns") {
        let known: Vec<_> = allowed.iter().map(|field| field.name()).collect();
        let map = Section::open(value, &section.at("columns"), &known, errors);
        for field in &allowed {
            columns[*field as usize] = map.text_maybe(field.name(), errors).map(&mut index_of);
        }
    } else {
        errors.add(&section.at("columns"), "missing");
    }
    let mut must = vec![Field::Cpr];
    must.extend(required);
    if !add {
        must.push(Field::Revision);
    }
    for field in must {
        if section.get("columns").is_some() && columns[field as usize].is_none() {
            errors.add(&format!("{}.{}", section.at("columns"), field.name()), "missing");
        }
    }
    for field in [Field::Revision, Field::Deleted] {
        if add && columns[field as usize].is_some() {
            errors.add(&format!("{}.{}", section.at("columns"), field.name()), "only with op: upsert");
        }
    }
    let days = section.get("days").map(|_| section.number("days", 1, 1..=366, errors));
    if kind == Kind::Payment && days.is_some() == columns[Field::To as usize].is_some() {
        errors.add(&section.at("days"), "expected either days or a column to");
    }
    let id = read_id(&section, &mut index_of, errors);
    // Whatever else is made of the column with the CPR number would carry it further.
    let cpr = columns[Field::Cpr as usize];
    let used = columns.iter().filter(|column| cpr.is_some() && **column == cpr).count();
    if used > 1 || cpr.is_some_and(|cpr| id.contains(&IdPart::Column(cpr))) {
        errors.add(&format!("{}.cpr", section.at("columns")), "this column can be nothing else, nor an id");
    }
    for name in names.iter().filter(|name| typed && !layout.contains(name)) {
        let hint = nearest(name, layout.iter().map(String::as_str));
        let hint = hint.map(|near| format!("; nearest: {near}")).unwrap_or_default();
        errors.add(&section.at("layout"), format!("has not every column that is used{hint}"));
    }
    RecordMap {
        kind,
        record_type: if typed { section.text("type", errors) } else { String::new() },
        add,
        id,
        days: days.and_then(|days| i64::try_from(days).ok()),
        names,
        columns,
        layout,
    }
}

fn read_id(
    section: &Section<'_>,
    index_of: &mut impl FnMut(String) -> usize,
    errors: &mut Errors,
) -> Vec<IdPart> {
    let text = section.text("id", errors);
    let mut parts = Vec::new();
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (literal, after) = rest.split_at(rest.find('{').unwrap_or(rest.len()));
        if !literal.is_empty() {
            parts.push(IdPart::Literal(literal.to_owned()));
        }
        let Some(end) = after.find('}') else {
            if !after.is_empty() {
                errors.add(&section.at("id"), "a { without }");
            }
            break;
        };
        parts.push(match &after[1..end] {
            "file" => IdPart::File,
            "line" => IdPart::Line,
            column => IdPart::Column(index_of(column.to_owned())),
        });
        rest = &after[end + 1..];
    }
    let unique = parts.iter().any(|part| matches!(part, IdPart::Column(_)))
        || (parts.contains(&IdPart::File) && parts.contains(&IdPart::Line));
    if !text.is_empty() && !unique {
        errors.add(&section.at("id"), "expected {file} and {line}, or the column that identifies a record");
    }
    parts
}
