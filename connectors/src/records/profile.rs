//! The profile of a source of person records: format, file names, columns, codes.
//!
//! It says how a delivered file (or a pushed body, or a table) is read and which column becomes which field of
//! an event, so that a municipality adds a source without code. Read strictly, like every profile: unknown keys
//! are errors with the nearest known name, all errors come at once, no value is repeated.

use std::collections::BTreeMap;

use chrono::Duration;

use super::name::NameForm;
use super::values::{DateFormat, Decimal};
use crate::profile::{Errors, ProfileError, parse};

mod read;

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
    School,
    Origin,
}

/// Every field under its name in a profile, in the order of the enum.
const FIELDS: [(&str, Field); 23] = [
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
    ("school", Field::School),
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
    ("language_test", Kind::LanguageTest, &[Field::On, Field::Level, Field::Passed], &[Field::School]),
    ("origin", Kind::Origin, &[Field::Origin, Field::From], &[]),
];

const COMMON_OPTIONAL: [Field; 4] = [Field::Revision, Field::RecordedAt, Field::Municipality, Field::Deleted];

/// Fields whose values a profile may translate.
const CODED: [Field; 6] =
    [Field::Benefit, Field::Form, Field::Offer, Field::Level, Field::School, Field::Origin];

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
        let profile = parse(yaml, &mut errors).map(|value| read::read(&value, &mut errors));
        errors.into_result(name, profile)
    }
}
