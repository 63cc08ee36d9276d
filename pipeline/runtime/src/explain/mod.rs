//! Why a published value differs from another: of two instants at which one period was known, or of two periods.
//!
//! The difference splits exactly, in millionths, into real change, late data, corrections, definition change and the change of the
//! denominator ([`split`]), with the ids of the events behind each part. Figures that others publish are explained from their
//! vintages ([`official`]), figures made of persons from the log ([`persons`]): the same SQL makes the value of each state on the way,
//! and the first and the last must be what was published. What would tell of few persons is told together with other parts or
//! not at all ([`guard`]); of a hidden value nothing is told. Nobody's pseudonym, birth or municipality leaves this module.

mod behind;
mod epochs;
mod guard;
mod knowledge;
mod labels;
mod official;
mod persons;
mod records;
mod split;

use std::path::Path;

use chrono::{DateTime, Utc};
use rettidig_event::{Topic, benefit, units};
use rettidig_model::catalogue::Domain;
use rettidig_model::error::nearest;
use rettidig_model::{Layer, Model, SqlModel};
use serde::{Deserialize, Serialize};

pub use guard::{Cause, Part};
pub use split::{Point, STATES, Split, split};

use crate::RuntimeError;
use crate::manifest::Manifest;
use crate::reads::{self, Log, Reader};
use crate::store::Store;
pub(crate) use epochs::Epochs;
use guard::Measured;
pub(crate) use records::arrived;

/// Kinds of areas.
const AREA_KINDS: [&str; 5] = ["municipality", "jobcentre", "cluster", "region", "country"];

/// The movement asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// Indicator.
    pub indicator: String,
    /// Kind of area.
    pub area_kind: String,
    /// Code of the area.
    pub area: String,
    /// Benefit.
    pub benefit: String,
    /// Period as published.
    pub period: String,
    /// The period that the value moves to, if it is another one.
    pub to_period: Option<String>,
    /// When the first value was known. Absent: of one period, when it was first known; of two, the same as the second.
    pub known_at: Option<DateTime<Utc>>,
    /// When the second value was known. Absent: of one period now; of two, the same as the first, or now.
    pub and_known_at: Option<DateTime<Utc>>,
}

impl Question {
    fn attempt(&self) -> String {
        format!("explaining {} of {} {}", self.indicator, self.area_kind, self.area)
    }

    fn stop(&self, cause: impl std::fmt::Display, remedy: impl Into<String>) -> RuntimeError {
        RuntimeError::stop(self.attempt(), cause, remedy)
    }

    /// The period that the value moves to.
    fn last_period(&self) -> &str {
        self.to_period.as_deref().unwrap_or(&self.period)
    }

    /// The instants: `None` is the beginning, or now.
    fn instants(&self) -> (Option<DateTime<Utc>>, Option<DateTime<Utc>>) {
        match (&self.to_period, self.known_at, self.and_known_at) {
            (Some(_), first, last) => (first.or(last), last.or(first)),
            (None, first, last) => (first, last),
        }
    }
}

/// A value at one end of the movement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct End {
    /// Period.
    pub period: String,
    /// Since when it was known; for persons, when the epoch was committed that is looked at.
    pub known_at: DateTime<Utc>,
    /// The epoch that first published it; for persons, the one that is looked at.
    pub epoch: u64,
    /// The value; `None` if it is hidden or missing.
    pub value: Option<String>,
    /// The same in millionths.
    pub micro: Option<i64>,
    /// Numerator.
    pub numerator: Option<i64>,
    /// Denominator.
    pub denominator: Option<i64>,
    /// Status.
    pub status: String,
}

impl End {
    fn with_micro(self, micro: Option<i64>) -> Self {
        Self { micro, value: micro.map(units::format_micro), ..self }
    }

    fn hide(&self) -> Self {
        hidden(&self.period, self.known_at, self.epoch)
    }
}

/// An event behind a part.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct EventBehind {
    /// The delivering system, or publisher and table.
    pub source: String,
    /// Its id there; of a published figure what it counts, where and of what.
    pub id: String,
    /// Revision of the record; 0 for a row of a ledger or a figure.
    pub revision: i64,
    /// Its topic.
    pub topic: String,
    /// Its place: partition; `None` if it came through the bulk door.
    pub partition: Option<i32>,
    /// Its place: offset.
    pub offset: Option<i64>,
    /// Of an event from the bulk door: the how manieth file of the load.
    pub loaded_file: Option<i64>,
    /// The line in that file.
    pub loaded_line: Option<i64>,
    /// The log file that holds it; not told of persons, because such a file is named after a part of the pseudonym.
    pub file: Option<String>,
}

impl EventBehind {
    /// An event at a place of a topic, or of a file that was loaded: such a file stands in the log as a partition below zero.
    fn at(topic: Topic, partition: i32, offset: i64) -> Self {
        let is_loaded = partition < 0;
        let on_topic = |place| (!is_loaded).then_some(place);
        let in_file = |place| is_loaded.then_some(place);
        Self {
            source: String::new(),
            id: String::new(),
            revision: 0,
            topic: topic.name().to_owned(),
            partition: (!is_loaded).then_some(partition),
            offset: on_topic(offset),
            loaded_file: in_file(i64::from(partition) - i64::from(i32::MIN) + 1),
            loaded_line: in_file(offset),
            file: None,
        }
    }
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// What was asked.
    pub question: Question,
    /// The Danish term.
    pub danish: String,
    /// Unit of the values.
    pub unit: String,
    /// The source that feeds the indicator.
    pub source: String,
    /// SQL file that defines it.
    pub definition: String,
    /// The first value.
    pub from: End,
    /// The second value.
    pub to: End,
    /// The difference, millionths; `None` if one of them is hidden.
    pub difference_micro: Option<i64>,
    /// The parts, which add up to it; none if a value is hidden.
    pub parts: Vec<Part>,
    /// What a reader must know beside.
    pub notes: Vec<String>,
}

/// What was found before it is told.
struct Found {
    from: End,
    to: End,
    /// Real change, late data, corrections and definition change; `None` if a value is hidden.
    parts: Option<Vec<Measured>>,
    /// `None` if there is no denominator that is known.
    denominator: Option<i64>,
    /// What the definitions did is not known.
    definition_unknown: bool,
    /// Only the whole may be told.
    unsplit: bool,
    notes: Vec<String>,
}

/// Where the data are, who asks, and how much is to be told.
#[derive(Debug, Clone, Copy)]
pub struct Asking<'a> {
    /// The data folder.
    pub folder: &'a Path,
    /// Who.
    pub reader: &'a Reader,
    /// When.
    pub at: DateTime<Utc>,
    /// Most events that are named of each part.
    pub events_max: usize,
}

/// Explains a movement. A reading of records of persons is written down before anything is told.
///
/// # Errors
/// [`RuntimeError::Stop`] if there is no such indicator or value, if its past is not known any more, or if the reading cannot be
/// written down.
pub async fn explain(
    store: &Store,
    model: &Model,
    question: &Question,
    asking: Asking<'_>,
) -> Result<Explanation, RuntimeError> {
    let indicator = checked(model, question)?;
    let (newest, _) = Manifest::newest(store).await?.ok_or_else(|| {
        question.stop("this data folder holds no epoch", "run `rettidig demo --once` first")
    })?;
    let found = if indicator.domain == Domain::Person {
        let note = || {
            let asked = serde_json::to_value(question).unwrap_or_default();
            reads::note(asking.folder, Log::Explain, asking.reader, asked, newest.epoch, asking.at)
        };
        persons::find(store, model, &newest, indicator, question, asking.events_max, &note).await?
    } else {
        official::find(store, model, &newest, indicator, question, asking.events_max).await?
    };
    let difference_micro = match (&found.parts, found.from.micro, found.to.micro) {
        (Some(_), Some(from), Some(to)) => Some(to - from),
        _ => None,
    };
    let mut parts = match &found.parts {
        None => Vec::new(),
        Some(parts) if found.unsplit => guard::unsplit(parts),
        Some(parts) => guard::told(parts),
    };
    if found.parts.is_some() {
        if found.definition_unknown {
            let alone = |part: &&mut Part| part.causes == [Cause::Definition];
            parts.iter_mut().filter(alone).for_each(|part| part.micro = None);
        }
        parts.push(Part {
            causes: vec![Cause::Denominator],
            micro: found.denominator,
            persons_at_least: None,
            is_few: false,
            events_total: None,
            events: Vec::new(),
        });
    }
    Ok(Explanation {
        question: question.clone(),
        danish: indicator.header.danish.clone(),
        unit: indicator.header.unit.clone(),
        source: indicator.header.feeds.clone().unwrap_or_default(),
        definition: format!("sql/{}", indicator.path),
        from: found.from,
        to: found.to,
        difference_micro,
        parts,
        notes: found.notes,
    })
}

/// The indicator, if the question has words that are known.
fn checked<'m>(model: &'m Model, question: &Question) -> Result<&'m SqlModel, RuntimeError> {
    let unknown = |what: &str, word: &str, known: Vec<&str>| {
        let remedy = match nearest(word, known.iter().copied()) {
            Some(near) => format!("did you mean {near}? choose one of {}", known.join(", ")),
            None => format!("choose one of {}", known.join(", ")),
        };
        question.stop(format!("there is no {what} {word}"), remedy)
    };
    let indicators = || model.layer(Layer::Published).map(|model| model.name.as_str()).collect();
    let indicator = model
        .indicator(&question.indicator)
        .filter(|model| model.header.layer == Layer::Published)
        .ok_or_else(|| unknown("indicator", &question.indicator, indicators()))?;
    if !AREA_KINDS.contains(&question.area_kind.as_str()) {
        return Err(unknown("kind of area", &question.area_kind, AREA_KINDS.to_vec()));
    }
    if question.benefit != "total" && benefit::number_of(&question.benefit).is_none() {
        let known = ["total"].into_iter().chain(benefit::BENEFITS.map(|(code, _)| code)).collect();
        return Err(unknown("benefit", &question.benefit, known));
    }
    if let (Some(first), Some(last)) = question.instants()
        && first > last
    {
        return Err(question.stop(
            "the second instant comes before the first",
            "exchange --known-at and --and-known-at, and the periods with them",
        ));
    }
    Ok(indicator)
}

/// What is told of a value that disclosure control hides.
fn hidden(period: &str, known_at: DateTime<Utc>, epoch: u64) -> End {
    End {
        period: period.to_owned(),
        known_at,
        epoch,
        value: None,
        micro: None,
        numerator: None,
        denominator: None,
        status: "hidden".to_owned(),
    }
}

/// The note that stands beside it.
const HIDDEN_NOTE: &str =
    "disclosure control hides the value: neither a split nor the number of events behind it is told";

/// The note of an area of which one municipality is hidden.
const MEMBER_NOTE: &str = "one of the area's municipalities is hidden: only the whole difference is told, for a part of it might be that one's";

/// The note of a definition change that nobody knows.
const RESTATED_NOTE: &str = "the first value was published by other definitions, and what they said then is not kept: both values are those \
     of today's definitions, and what the change of definition did is not known";

impl Found {
    fn hidden(from: End, to: End) -> Self {
        Self {
            from,
            to,
            parts: None,
            denominator: None,
            definition_unknown: false,
            unsplit: false,
            notes: vec![HIDDEN_NOTE.to_owned()],
        }
    }

    /// No part is told, but the whole, and why.
    fn unsplit(&mut self, why: &str) {
        self.unsplit = true;
        self.notes.push(why.to_owned());
    }
}
