//! Movements of figures that others publish, from their vintages.
//!
//! What was known at an instant are the events retrieved until then. A figure that had not been told is late when it comes; one that
//! had been told and is told otherwise is corrected. A sum of municipalities of which one is hidden is not split: its parts might be
//! that one's figure.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use arrow::compute::{concat_batches, filter_record_batch};
use arrow::datatypes::{Date32Type, Int32Type, Int64Type, TimestampMicrosecondType};
use chrono::{DateTime, Utc};
use rettidig_event::{Topic, aside, municipality};
use rettidig_model::evaluation::disclosed_schema;
use rettidig_model::header::AddsOver;
use rettidig_model::{Model, SqlModel};

use super::epochs::Epochs;
use super::guard::{Behind, Cause, Events, Measured};
use super::split::{Point, STATES, split};
use super::{End, EventBehind, Found, MEMBER_NOTE, Question, RESTATED_NOTE, hidden};
use crate::RuntimeError;
use crate::committer::schema_of;
use crate::definitions::Shown;
use crate::groups::column;
use crate::manifest::Manifest;
use crate::recompute::comparable;
use crate::store::Store;

/// A vintage of a cell.
#[derive(Debug, Clone)]
struct Vintage {
    known_at: i64,
    epoch: u64,
    micro: Option<i64>,
    numerator: Option<i64>,
    denominator: Option<i64>,
    status: String,
}

impl Vintage {
    fn end(&self, period: &str) -> End {
        let end = End {
            numerator: self.numerator,
            denominator: self.denominator,
            status: self.status.clone(),
            ..hidden(period, DateTime::from_timestamp_micros(self.known_at).unwrap_or_default(), self.epoch)
        };
        end.with_micro(self.micro)
    }
}

/// The vintages of one cell, oldest first. `cell` is indicator, kind of area, area, benefit and period.
fn vintages(disclosed: &RecordBatch, cell: [&str; 5]) -> Result<Vec<Vintage>, RuntimeError> {
    let text = |name: &str| column(disclosed, name).map(|column| column.as_string::<i32>());
    let integer = |name: &str| column(disclosed, name).map(|column| column.as_primitive::<Int64Type>());
    let grain = [
        text("indicator")?,
        text("area_kind")?,
        text("area")?,
        text("benefit")?,
        text("period")?,
        text("breakdown")?,
    ];
    let [indicator, area_kind, area, benefit, period] = cell;
    let wanted = [indicator, area_kind, area, benefit, period, "total"];
    let (micro, numerator, denominator) =
        (integer("value_micro")?, integer("numerator")?, integer("denominator")?);
    let known_at = column(disclosed, "known_at")?.as_primitive::<TimestampMicrosecondType>();
    let status = text("status")?;
    // What was not committed has no epoch.
    let epoch = disclosed.column_by_name("epoch").map(|column| column.as_primitive::<Int64Type>());
    let is_wanted = |row: &usize| grain.iter().zip(wanted).all(|(column, want)| column.value(*row) == want);
    let optional =
        |column: &arrow::array::Int64Array, row: usize| column.is_valid(row).then(|| column.value(row));
    let mut found: Vec<Vintage> = (0..disclosed.num_rows())
        .filter(is_wanted)
        .map(|row| Vintage {
            known_at: known_at.value(row),
            epoch: epoch.and_then(|epoch| u64::try_from(epoch.value(row)).ok()).unwrap_or(0),
            micro: optional(micro, row),
            numerator: optional(numerator, row),
            denominator: optional(denominator, row),
            status: status.value(row).to_owned(),
        })
        .collect();
    found.sort_by_key(|vintage| vintage.known_at);
    Ok(found)
}

/// The one that was the newest at an instant.
fn at(vintages: &[Vintage], instant: i64) -> Option<&Vintage> {
    vintages.iter().rev().find(|vintage| vintage.known_at <= instant)
}

/// One period's events of the indicator's publisher.
struct Group {
    rows: RecordBatch,
    /// The log file and the row's place in it.
    files: Vec<String>,
    /// When each was retrieved.
    retrieved: Vec<i64>,
    /// What each tells: table, measure, area, breakdown.
    figures: Vec<[String; 5]>,
    /// What each says, and the order of revisions.
    contents: Vec<((i64, i64), Option<i64>, String)>,
}

impl Group {
    async fn read(
        store: &Store,
        manifest: &Manifest,
        publisher: &str,
        period: &str,
    ) -> Result<Self, RuntimeError> {
        let schema = schema_of(Topic::Official);
        let (mut parts, mut files) = (Vec::new(), Vec::new());
        for entry in manifest.log.get(Topic::Official.name()).into_iter().flatten() {
            let rows = store.get_parquet(entry, schema.clone()).await?;
            let of = |name: &str| column(&rows, name).map(|column| column.as_string::<i32>());
            let (publishers, periods) = (of("publisher")?, of("period")?);
            let keep: BooleanArray = (0..rows.num_rows())
                .map(|row| Some(publishers.value(row) == publisher && periods.value(row) == period))
                .collect();
            files.extend(std::iter::repeat_n(entry.path.clone(), keep.true_count()));
            parts.push(filter_record_batch(&rows, &keep)?);
        }
        let rows = concat_batches(&schema, &parts)?;
        let text = |name: &str| column(&rows, name).map(|column| column.as_string::<i32>());
        let instant =
            |name: &str| column(&rows, name).map(|column| column.as_primitive::<TimestampMicrosecondType>());
        let (table, measure) = (text("table_id")?, text("measure")?);
        let (breakdown, value, status) = (text("breakdown")?, text("breakdown_value")?, text("status")?);
        let area = column(&rows, "area")?.as_primitive::<Int32Type>();
        let micro = column(&rows, "value_micro")?.as_primitive::<Int64Type>();
        let (published, retrieved) = (instant("published_at")?, instant("retrieved_at")?);
        let figure = |row: usize| {
            let area = municipality::area_text(area.value(row));
            let texts = [table.value(row), measure.value(row), &area, breakdown.value(row), value.value(row)];
            texts.map(str::to_owned)
        };
        let content = |row: usize| {
            let micro = micro.is_valid(row).then(|| micro.value(row));
            ((published.value(row), retrieved.value(row)), micro, status.value(row).to_owned())
        };
        Ok(Self {
            files,
            retrieved: retrieved.values().to_vec(),
            figures: (0..rows.num_rows()).map(figure).collect(),
            contents: (0..rows.num_rows()).map(content).collect(),
            rows,
        })
    }

    /// Which events are late and which are corrections, of those retrieved after one instant and until another.
    fn told(&self, from: i64, to: i64) -> (BTreeSet<usize>, BTreeSet<usize>) {
        let mut figures: BTreeMap<&[String; 5], Vec<usize>> = BTreeMap::new();
        for (row, figure) in self.figures.iter().enumerate() {
            figures.entry(figure).or_default().push(row);
        }
        let (mut late, mut corrections) = (BTreeSet::new(), BTreeSet::new());
        for rows in figures.values_mut() {
            rows.sort_by_key(|row| self.contents[*row].0);
            let is_known = rows.iter().any(|row| self.retrieved[*row] <= from);
            let is_new = |row: &&usize| from < self.retrieved[**row] && self.retrieved[**row] <= to;
            let first = rows.iter().find(is_new).copied().filter(|_| !is_known);
            late.extend(first);
            corrections.extend(rows.iter().filter(is_new).filter(|row| Some(**row) != first));
        }
        (late, corrections)
    }

    /// Which of these say something else than what was said before.
    fn changing(&self, of: &BTreeSet<usize>, until: i64) -> Vec<usize> {
        let differs = |row: &&usize| {
            let (order, micro, status) = &self.contents[**row];
            let before = (0..self.figures.len())
                .filter(|other| {
                    self.figures[*other] == self.figures[**row] && self.retrieved[*other] <= until
                })
                .filter(|other| self.contents[*other].0 < *order)
                .max_by_key(|other| self.contents[*other].0);
            before.is_none_or(|before| {
                let (_, micro_before, status_before) = &self.contents[before];
                (micro_before, status_before) != (micro, status)
            })
        };
        of.iter().filter(differs).copied().collect()
    }

    /// The cells that some of the events give.
    async fn evaluate(
        &self,
        model: &Model,
        is_known: impl Fn(usize) -> bool,
    ) -> Result<RecordBatch, RuntimeError> {
        let keep: BooleanArray = (0..self.rows.num_rows()).map(|row| Some(is_known(row))).collect();
        let rows = filter_record_batch(&self.rows, &keep)?;
        let none = RecordBatch::new_empty(aside::schema());
        let groups = model.evaluate_groups(rows, none, &BTreeMap::new()).await?;
        Ok(concat_batches(&disclosed_schema(false), groups.vintages.values())?)
    }

    fn event(&self, row: usize, source: &str) -> Result<EventBehind, RuntimeError> {
        let place = column(&self.rows, "topic_offset")?.as_primitive::<Int64Type>().value(row);
        let partition = column(&self.rows, "topic_partition")?.as_primitive::<Int32Type>().value(row);
        let [_, measure, area, breakdown, value] = &self.figures[row];
        let id = match breakdown.as_str() {
            "total" => format!("{measure}/{area}"),
            _ => format!("{measure}/{area}/{breakdown}={value}"),
        };
        let file = Some(self.files[row].clone());
        let source = source.to_owned();
        Ok(EventBehind { source, id, file, ..EventBehind::at(Topic::Official, partition, place) })
    }
}

/// What the splits of a period are made of.
struct Cells<'a> {
    model: &'a Model,
    indicator: &'a SqlModel,
    question: &'a Question,
}

impl Cells<'_> {
    fn of<'c>(&'c self, indicator: &'c str, period: &'c str) -> [&'c str; 5] {
        [indicator, &self.question.area_kind, &self.question.area, &self.question.benefit, period]
    }

    /// The state that some vintages end in; `None` if it is hidden or not there.
    fn point(&self, vintages_of: &RecordBatch, period: &str) -> Result<Option<Point>, RuntimeError> {
        let found = vintages(vintages_of, self.of(&self.indicator.name, period))?;
        let Some(newest) = found.last() else { return Ok(None) };
        let Some(value_micro) = newest.micro else { return Ok(None) };
        let mut numerator = newest.numerator;
        if let (None, Some(counts)) = (numerator, &self.indicator.header.counts) {
            numerator = vintages(vintages_of, self.of(counts, period))?.last().and_then(|count| count.micro);
        }
        Ok(Some(Point { value_micro, numerator, denominator: newest.denominator }))
    }

    /// Codes of the municipalities of the area at the end of a period.
    fn members(&self, group: &Group) -> BTreeSet<String> {
        let ends = column(&group.rows, "period_end").ok();
        let end = ends.and_then(|ends| ends.as_primitive::<Date32Type>().values().first().copied());
        members_of(self.model, &self.question.area_kind, &self.question.area, end.unwrap_or(i32::MAX))
    }

    /// Whether an event is of the cell.
    fn is_relevant(&self, figure: &[String; 5], members: &BTreeSet<String>) -> bool {
        let [table, measure, area, breakdown, value] = figure;
        let names = |model: &SqlModel| {
            model.sql.contains(&format!("'{measure}'")) && model.sql.contains(&format!("'{table}'"))
        };
        let counts = self.indicator.header.counts.as_ref().and_then(|counts| self.model.indicator(counts));
        // The benefit is a breakdown of the event; tables of one benefit have none.
        let benefit_fits =
            breakdown == "total" || (breakdown == "benefit" && *value == self.question.benefit);
        let total_fits = breakdown != "total"
            || self.question.benefit == "total"
            || self.indicator.header.adds_over != AddsOver::Benefit;
        members.contains(area)
            && (names(self.indicator) || counts.is_some_and(names))
            && benefit_fits
            && total_fits
    }
}

/// Codes of the municipalities of an area at a day; of the country its own.
pub(super) fn members_of(model: &Model, area_kind: &str, area: &str, day: i32) -> BTreeSet<String> {
    if area_kind == "country" {
        return BTreeSet::from(["0000".to_owned()]);
    }
    let Some(areas) = model.reference.get("areas") else { return BTreeSet::new() };
    let text = |name: &str| areas.column_by_name(name).and_then(|column| column.as_string_opt::<i32>());
    let date =
        |name: &str| areas.column_by_name(name).and_then(|column| column.as_primitive_opt::<Date32Type>());
    let (Some(areas_of), Some(municipality), Some(from), Some(to)) =
        (text(area_kind), text("municipality"), date("valid_from"), date("valid_to"))
    else {
        return BTreeSet::new();
    };
    (0..areas.num_rows())
        .filter(|row| areas_of.value(*row) == area && from.value(*row) <= day)
        .filter(|row| to.is_null(*row) || to.value(*row) >= day)
        .map(|row| municipality.value(row).to_owned())
        .collect()
}

/// What an end was published as, if other definitions held then.
enum Published {
    /// By those of today.
    AsToday,
    /// By others: as this.
    As(Vintage),
    /// By others, and nobody knows any more as what.
    Unknown,
}

async fn published(
    store: &Store,
    model: &Model,
    epochs: &Epochs<'_>,
    cell: [&str; 5],
    instant: Option<i64>,
) -> Result<Published, RuntimeError> {
    let Some(instant) = instant else { return Ok(Published::AsToday) };
    let known_at = DateTime::from_timestamp_micros(instant).unwrap_or_default();
    let Some(epoch) = epochs.from(known_at).await?.filter(|epoch| !epoch.is_of(model)) else {
        return Ok(Published::AsToday);
    };
    let Some(disclosed) = Shown::of(store, &epoch).await?.disclosed().await? else {
        return Ok(Published::Unknown);
    };
    Ok(at(&vintages(&disclosed, cell)?, instant).cloned().map_or(Published::Unknown, Published::As))
}

pub(super) async fn find(
    store: &Store,
    model: &Model,
    manifest: &Manifest,
    indicator: &SqlModel,
    question: &Question,
    events_max: usize,
) -> Result<Found, RuntimeError> {
    comparable(manifest, model)?;
    let cells = Cells { model, indicator, question };
    let disclosed = store.get_parquet(&manifest.disclosed, disclosed_schema(true)).await?;
    let (first, last) = (question.period.as_str(), question.last_period());
    let of_first = vintages(&disclosed, cells.of(&indicator.name, first))?;
    let of_last = vintages(&disclosed, cells.of(&indicator.name, last))?;
    let none = |period: &str, of: &[Vintage]| match of.first() {
        Some(oldest) => question.stop(
            format!("no value of {period} was known then"),
            format!(
                "the first was known at {}: name that instant or a later one",
                instant_text(oldest.known_at)
            ),
        ),
        None => question.stop(
            format!("no value of {period} was published for this area and benefit"),
            "look for it with `rettidig query \"SELECT … FROM indicators\"`",
        ),
    };
    let micros = |instant: Option<DateTime<Utc>>| instant.map(|instant| instant.timestamp_micros());
    let (known_at, and_known_at) = question.instants();
    let begins = match (&question.to_period, micros(known_at)) {
        (_, Some(instant)) => Some(instant),
        (Some(_), None) => None,
        (None, None) => Some(of_first.first().map_or(i64::MAX, |vintage| vintage.known_at)),
    };
    let (from_instant, to_instant) = (begins.unwrap_or(i64::MAX), micros(and_known_at).unwrap_or(i64::MAX));
    let from = at(&of_first, from_instant).ok_or_else(|| none(first, &of_first))?;
    let to = at(&of_last, to_instant).ok_or_else(|| none(last, &of_last))?;
    if of_first.iter().chain(&of_last).any(|vintage| vintage.status == "hidden") {
        let hide = |vintage: &Vintage, period: &str| {
            Vintage {
                status: "hidden".to_owned(),
                micro: None,
                numerator: None,
                denominator: None,
                ..vintage.clone()
            }
            .end(period)
        };
        return Ok(Found::hidden(hide(from, first), hide(to, last)));
    }
    let (Some(from_micro), Some(to_micro)) = (from.micro, to.micro) else {
        let period = if from.micro.is_none() { first } else { last };
        let remedy = "there is nothing to compare; choose other instants with --known-at and --and-known-at";
        return Err(question.stop(format!("the value of {period} was missing then"), remedy));
    };

    let publisher =
        indicator.header.feeds.as_deref().unwrap_or_default().split('-').next().unwrap_or_default();
    let group = Group::read(store, manifest, publisher, first).await?;
    let (late, corrections) = group.told(from_instant, to_instant);
    let known = |row: usize| group.retrieved[row] <= from_instant;
    let states = [
        group.evaluate(model, known).await?,
        group.evaluate(model, |row| known(row) || late.contains(&row)).await?,
        group.evaluate(model, |row| group.retrieved[row] <= to_instant).await?,
    ];
    let mut points = Vec::with_capacity(states.len());
    for state in &states {
        points.push(cells.point(state, first)?);
    }
    let last_point = match &question.to_period {
        None => points[2],
        Some(period) => {
            let group = Group::read(store, manifest, publisher, period).await?;
            cells.point(&group.evaluate(model, |row| group.retrieved[row] <= to_instant).await?, period)?
        }
    };
    let is_right = |point: Option<Point>, micro| point.is_some_and(|point| point.value_micro == micro);
    if !is_right(points[0], from_micro) || !is_right(last_point, to_micro) {
        return Err(question.stop(
            "the published values are not what the events give",
            "run `rettidig recompute`, and report this as a bug if it finds no difference",
        ));
    }
    // A state that would be hidden gives no parts.
    let of = |point: Option<Point>| point.or(points[0]).unwrap_or_default();
    let unknown_state = points.iter().any(Option::is_none);
    let path: [Point; STATES] = [of(points[0]), of(points[0]), of(points[1]), of(points[2]), of(last_point)];

    let epochs = Epochs::of(store).await?;
    let mut found = Found { notes: Vec::new(), ..Found::hidden(from.end(first), to.end(last)) };
    let (mut first_micro, mut last_micro) = (from_micro, to_micro);
    let ends = [(first, Some(from_instant).filter(|at| *at != i64::MAX)), (last, micros(and_known_at))];
    for (place, (period, instant)) in ends.into_iter().enumerate() {
        let (micro, end) =
            if place == 0 { (&mut first_micro, &mut found.from) } else { (&mut last_micro, &mut found.to) };
        match published(store, model, &epochs, cells.of(&indicator.name, period), instant).await? {
            Published::AsToday => {}
            Published::As(vintage) if vintage.status == "hidden" => {
                return Ok(Found::hidden(found.from.hide(), found.to.hide()));
            }
            Published::As(vintage) => match vintage.micro {
                Some(published) => (*micro, *end) = (published, vintage.end(period)),
                None => found.definition_unknown = true,
            },
            Published::Unknown => found.definition_unknown = true,
        }
    }
    if found.definition_unknown {
        // Both ends by the same definitions, or the parts would not be what they say.
        (first_micro, last_micro) = (from_micro, to_micro);
        (found.from, found.to) = (from.end(first), to.end(last));
        found.notes.push(RESTATED_NOTE.to_owned());
    }
    let parts = split(&path, first_micro, last_micro);
    let members = cells.members(&group);
    let events = |rows: &BTreeSet<usize>| -> Result<Events, RuntimeError> {
        let rows = group.changing(rows, to_instant);
        let rows = rows.into_iter().filter(|row| cells.is_relevant(&group.figures[*row], &members));
        let feeds = indicator.header.feeds.as_deref().unwrap_or_default();
        let distinct: BTreeSet<EventBehind> =
            rows.map(|row| group.event(row, feeds)).collect::<Result<_, _>>()?;
        let mut events = Events::default();
        distinct.into_iter().for_each(|event| events.add(event, events_max));
        Ok(events)
    };
    let measured = |cause, micro, events| Measured { cause, micro, behind: Behind::Figures, events };
    found.parts = Some(vec![
        measured(Cause::Real, parts.real, Events::default()),
        measured(Cause::Late, parts.late, events(&late)?),
        measured(Cause::Correction, parts.correction, events(&corrections)?),
        measured(Cause::Definition, parts.definition, Events::default()),
    ]);
    found.denominator = parts.denominator;
    let hides_a_member = |period: &str| -> Result<bool, RuntimeError> {
        for member in members.iter().filter(|_| members.len() > 1) {
            let cell = [indicator.name.as_str(), "municipality", member, &question.benefit, period];
            if vintages(&disclosed, cell)?.iter().any(|vintage| vintage.micro.is_none()) {
                return Ok(true);
            }
        }
        Ok(false)
    };
    if unknown_state || hides_a_member(first)? || hides_a_member(last)? {
        found.unsplit(MEMBER_NOTE);
    }
    if found.denominator.is_none() && indicator.header.unit == "percent" {
        found.notes.push(
            "the publisher gives the percentage alone: what numerator and denominator did is not known apart"
                .to_owned(),
        );
    }
    Ok(found)
}

fn instant_text(micros: i64) -> String {
    DateTime::from_timestamp_micros(micros)
        .unwrap_or_default()
        .to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true)
}
