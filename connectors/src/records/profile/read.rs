//! Reads the profile of a source of person records, section by section.

use std::collections::BTreeMap;

use chrono::Duration;
use rettidig_event::benefit;
use rettidig_event::municipality::is_municipality;
use serde_yaml_ng::Value;

use super::*;
use crate::profile::{Section, nearest};

/// Reads a parsed profile; what is wrong is noted, and read as a harmless default.
pub(super) fn read(value: &Value, errors: &mut Errors) -> Profile {
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
