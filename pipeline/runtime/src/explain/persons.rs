//! Movements of figures that are made of persons, from the log.
//!
//! What was known at an instant is what the newest epoch committed by then had read. The value of each state is made of the
//! histories of everybody who ever had a record in the area: as they were known at the first instant; after time had passed (a
//! later as-of date: days that had not come, spells that could still be bridged), which is real change; with late data (records and
//! deliveries of wages); with corrections; and for another period. Of the newest epoch the value must be the one that is shown.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::Int32Type;
use chrono::{DateTime, Days, NaiveDate};
use rettidig_event::benefit;
use rettidig_event::person::{BUCKETS, PersonId};
use rettidig_model::calendar::{month_first, month_last, month_of, month_text};
use rettidig_model::disclosure::{CellKey, Content, Status};
use rettidig_model::local::{self, from_rows, local_months};
use rettidig_model::persons::{Parameters, day_of, unique};
use rettidig_model::{Model, SqlModel};
use tokio::task::JoinSet;

use super::behind::{Search, Sought};
use super::epochs::Epochs;
use super::guard::{Behind, Cause, Events, Measured, alone};
use super::knowledge::{Arrived, Told, told};
use super::labels::{Chunk, Given, Moved, Place, State};
use super::official::members_of;
use super::records::{Wanted, arrived, is_concerned, kinds_of};
use super::split::{Point, STATES, split};
use super::{End, Found, MEMBER_NOTE, Question, RESTATED_NOTE, hidden};
use crate::RuntimeError;
use crate::definitions::Shown;
use crate::groups::column;
use crate::manifest::Manifest;
use crate::persons::{CellStore, Limits, Owned, PersonLog, index_of, parameters_of};
use crate::recompute::comparable;
use crate::store::Store;

/// Evaluations side by side.
const THREADS: usize = 2;

/// The states before the other period: what is known in each.
const KNOWN: [&[Told]; STATES - 1] = [
    &[Told::Before],
    &[Told::Before],
    &[Told::Before, Told::Late],
    &[Told::Before, Told::Late, Told::Otherwise],
];

/// The note of an indicator whose persons nobody can tell apart.
const WHOLE_NOTE: &str = "the indicator is of the whole country alone, so how many persons are behind a part is not known: only the whole \
     difference is told";

/// What is shown of a value.
#[derive(Debug, Clone, Copy)]
struct Shows {
    content: Content,
    known_at: i64,
    epoch: i64,
}

/// The question with its words understood.
struct Asked<'a> {
    question: &'a Question,
    indicator: &'a SqlModel,
    months: [i64; 2],
}

impl Asked<'_> {
    fn key(&self) -> CellKey {
        CellKey {
            indicator: self.indicator.name.as_str().into(),
            area_kind: self.question.area_kind.as_str().into(),
            area: self.question.area.as_str().into(),
            benefit: self.question.benefit.as_str().into(),
            breakdown: "total".into(),
            breakdown_value: "total".into(),
        }
    }

    fn period(&self, place: usize) -> &str {
        if place == 0 { &self.question.period } else { self.question.last_period() }
    }

    /// What rows show of the value.
    fn shows(&self, rows: &RecordBatch) -> Option<Shows> {
        let months = from_rows(rows);
        let value = months.values().find_map(|month| month.shown.get(&self.key()))?;
        Some(Shows { content: value.content, known_at: value.known_at, epoch: value.epoch })
    }

    /// Whether rows have the indicator by municipality: who is behind a part is found by those figures.
    fn is_by_municipality(&self, rows: &RecordBatch) -> bool {
        let is_such =
            |cell: &CellKey| cell.indicator == self.indicator.name && cell.area_kind == "municipality";
        from_rows(rows).values().any(|month| month.shown.keys().any(is_such))
    }

    /// Whether rows hide the value of one of several municipalities that the area consists of. The country, without `members`,
    /// has so many that some are always hidden, and a part of its movement is nobody's in particular.
    fn hides_a_member(&self, rows: &RecordBatch, members: &BTreeSet<i32>) -> bool {
        let key = self.key();
        let is_member = |area: &str| area.parse().is_ok_and(|code| members.contains(&code));
        members.len() > 1
            && from_rows(rows).values().flat_map(|month| &month.shown).any(|(cell, value)| {
                value.content.status == Status::Hidden
                    && cell.area_kind == "municipality"
                    && is_member(&cell.area)
                    && CellKey { area_kind: key.area_kind, area: key.area, ..*cell } == key
            })
    }

    /// The rows that an epoch shows of a period.
    async fn rows(
        &self,
        store: &Store,
        manifest: &Manifest,
        place: usize,
    ) -> Result<Option<RecordBatch>, RuntimeError> {
        match manifest.local.get(self.period(place)) {
            Some(file) => Ok(Some(store.get_parquet(file, local::schema()).await?)),
            None => Ok(None),
        }
    }

    /// Codes of the area's municipalities in each period; none for the country.
    fn members(&self, model: &Model) -> [BTreeSet<i32>; 2] {
        self.months.map(|month| {
            if self.question.area_kind == "country" {
                return BTreeSet::new();
            }
            let day = i32::try_from(month_last(month)).unwrap_or(i32::MAX);
            let members = members_of(model, &self.question.area_kind, &self.question.area, day);
            members.iter().filter_map(|code| code.parse().ok()).collect()
        })
    }
}

fn date(day: i64) -> NaiveDate {
    let days = u64::try_from(day).unwrap_or(0);
    NaiveDate::default().checked_add_days(Days::new(days)).unwrap_or(NaiveDate::MAX)
}

fn month(question: &Question, period: &str) -> Result<i64, RuntimeError> {
    let first: Option<NaiveDate> = format!("{period}-01").parse().ok();
    let month = first.map(|first| month_of(day_of(first))).filter(|month| month_text(*month) == period);
    month.ok_or_else(|| question.stop(format!("the period {period} is no month"), "write it as 2026-07"))
}

pub(super) async fn find(
    store: &Store,
    model: &Model,
    newest: &Manifest,
    indicator: &SqlModel,
    question: &Question,
    events_max: usize,
    note: &(dyn Fn() -> Result<(), RuntimeError> + Sync),
) -> Result<Found, RuntimeError> {
    comparable(newest, model)?;
    let months = [month(question, &question.period)?, month(question, question.last_period())?];
    let asked = Asked { question, indicator, months };
    let (mut shown, mut whole) = (Vec::new(), None);
    for (place, members) in asked.members(model).iter().enumerate() {
        let rows = asked.rows(store, newest, place).await?;
        if let Some(rows) = &rows {
            whole = whole
                .or_else(|| asked.hides_a_member(rows, members).then_some(MEMBER_NOTE))
                .or_else(|| (!asked.is_by_municipality(rows)).then_some(WHOLE_NOTE));
        }
        let shows = rows.and_then(|rows| asked.shows(&rows)).ok_or_else(|| {
            let remedy = "look for it with `rettidig query \"SELECT … FROM local_indicators\"`; the newest 48 months are there";
            question.stop(format!("no value of {} is shown for this area and benefit", asked.period(place)), remedy)
        })?;
        shown.push(shows);
    }
    // What was hidden once stays hidden, so what is visible now was so at every instant before.
    if shown.iter().any(|shows| shows.content.status == Status::Hidden) {
        let end = |place: usize| {
            let shows: &Shows = &shown[place];
            let known_at = DateTime::from_timestamp_micros(shows.known_at).unwrap_or_default();
            hidden(asked.period(place), known_at, u64::try_from(shows.epoch).unwrap_or(0))
        };
        return Ok(Found::hidden(end(0), end(1)));
    }
    let (first, last) = ends(store, newest, &asked).await?;
    note()?;
    let way = evaluate(store, model, newest, &asked, (&first, &last)).await?;
    let mut found = tell(store, model, newest, &asked, (&first, &last), &way, shown[1]).await?;
    match (whole, &mut found.parts) {
        (Some(why), _) => found.unsplit(why),
        (None, Some(parts)) => way.name_events(model, &asked, parts, events_max).await?,
        (None, None) => {}
    }
    Ok(found)
}

/// The epochs at both ends.
async fn ends(
    store: &Store,
    newest: &Manifest,
    asked: &Asked<'_>,
) -> Result<(Manifest, Manifest), RuntimeError> {
    let question = asked.question;
    let epochs = Epochs::of(store).await?;
    let (known_at, and_known_at) = question.instants();
    let at = async |instant: DateTime<chrono::Utc>| {
        epochs.at(instant).await?.ok_or_else(|| {
            question.stop(
                format!("there was no epoch at {instant}"),
                "name a later instant; `ls epochs` in the data folder shows how far back it goes",
            )
        })
    };
    let last = match and_known_at {
        Some(instant) => at(instant).await?,
        None => newest.clone(),
    };
    let first = match (known_at, &question.to_period) {
        (Some(instant), _) => at(instant).await?,
        (None, Some(_)) => last.clone(),
        (None, None) => {
            let (from, after) = (date(month_first(asked.months[0])), date(month_last(asked.months[0])));
            epochs.of_day(after, from).await?.unwrap_or_else(|| last.clone())
        }
    };
    if first.epoch > last.epoch {
        return Err(question.stop(
            format!("{} was first known whole at {}, which is later", question.period, first.committed_at),
            "name the first instant with --known-at",
        ));
    }
    for manifest in [&first, &last] {
        let shown = local_months(manifest.as_of);
        if let Some(month) = asked.months.iter().find(|month| !shown.contains(month)) {
            let cause = format!("{} was not shown on {}", month_text(*month), manifest.as_of);
            return Err(question.stop(cause, "name a later instant with --known-at or --and-known-at"));
        }
        // What the records gave there was withheld: its parts would tell it.
        if let Some(month) =
            asked.months.iter().find(|month| manifest.frozen.contains_key(&month_text(**month)))
        {
            let (month, epoch) = (month_text(*month), manifest.epoch);
            let cause = format!("{month} was not shown anew at epoch {epoch}, to give no hidden number away");
            return Err(
                question.stop(cause, "name an instant before or after with --known-at or --and-known-at")
            );
        }
    }
    Ok((first, last))
}

/// What the way from the first to the last value is made of.
struct Way {
    points: [Option<Content>; STATES],
    /// Who moved it at each step; the denominator is everybody's if it is a number of days.
    moved: Vec<Moved>,
    days: [i64; 2],
    log: PersonLog,
    from: Arrived,
    to: Arrived,
    states: Arc<Vec<State>>,
    place: Arc<Place>,
    members: Arc<[BTreeSet<i32>; 2]>,
}

impl Way {
    /// Whether everybody is divided by the same, the days of the month.
    fn is_constant(&self) -> bool {
        let is_of_days = |content: &Content| self.days.iter().any(|days| content.denominator == Some(*days));
        self.points.iter().flatten().all(is_of_days)
    }

    /// Who moved the value at some steps.
    fn behind(&self, steps: &[usize]) -> BTreeSet<PersonId> {
        let is_constant = self.is_constant();
        let mut persons = BTreeSet::new();
        for (step, moved) in self.moved.iter().enumerate().filter(|(step, _)| steps.contains(step)) {
            persons.extend(&moved.numerator);
            // Between periods everybody's denominator is another one.
            if !is_constant && step + 2 < STATES {
                persons.extend(&moved.denominator);
            }
        }
        persons
    }

    /// Gives the parts that are told alone their events.
    async fn name_events(
        &self,
        model: &Model,
        asked: &Asked<'_>,
        parts: &mut [Measured],
        kept: usize,
    ) -> Result<(), RuntimeError> {
        let search = Search {
            model,
            log: &self.log,
            from: &self.from,
            to: &self.to,
            place: Arc::clone(&self.place),
            members: Arc::clone(&self.members),
            wanted: &Wanted {
                benefit: benefit::number_of(&asked.question.benefit),
                months: asked.months,
                kinds: kinds_of(model, asked.indicator),
            },
            is_constant: self.is_constant(),
            kept,
        };
        for place in alone(parts) {
            let part = &mut parts[place];
            let (step, what, state) = match part.cause {
                // That time passes is no event.
                Cause::Real if asked.question.to_period.is_some() => (3, KNOWN[STATES - 2], None),
                Cause::Late => (1, &[Told::Late][..], Some(&self.states[2])),
                Cause::Correction => (2, &[Told::Otherwise][..], Some(&self.states[3])),
                _ => continue,
            };
            part.events = search.events(&Sought { persons: self.behind(&[step]), what, state }).await?;
        }
        Ok(())
    }
}

/// Adds up what persons give.
struct Sums {
    cells: Vec<CellStore>,
    moved: Vec<Moved>,
    needed: BTreeSet<String>,
}

impl Sums {
    fn take(&mut self, given: Given) -> Result<(), RuntimeError> {
        for (store, mut cells) in self.cells.iter_mut().zip(given.cells) {
            cells.retain(|name, _| self.needed.contains(name));
            store.add(&cells, 1)?;
        }
        for (all, moved) in self.moved.iter_mut().zip(given.moved) {
            all.numerator.extend(moved.numerator);
            all.denominator.extend(moved.denominator);
        }
        Ok(())
    }
}

async fn joined(
    running: &mut JoinSet<Result<Given, RuntimeError>>,
    sums: &mut Sums,
    at_most: usize,
) -> Result<(), RuntimeError> {
    while running.len() > at_most {
        match running.join_next().await {
            Some(Ok(given)) => sums.take(given?)?,
            Some(Err(error)) => {
                return Err(RuntimeError::stop("evaluating persons", error, "report this as a bug"));
            }
            None => {}
        }
    }
    Ok(())
}

async fn evaluate(
    store: &Store,
    model: &Model,
    newest: &Manifest,
    asked: &Asked<'_>,
    (first, last): (&Manifest, &Manifest),
) -> Result<Way, RuntimeError> {
    let limits = Limits::default();
    let files = newest.persons.log_files(store).await?;
    let log = PersonLog::open(store.clone(), limits, Owned::all(), &files).await?;
    let stop = |cause: String, remedy: &str| asked.question.stop(cause, remedy);
    let from = arrived(&log, newest, first, &stop).await?;
    let to = arrived(&log, newest, last, &stop).await?;
    let (before, after) = (parameters_of(first), parameters_of(last));
    let passed = Parameters { as_of: after.as_of, ..before.clone() };
    let withs = [before, passed, after.clone(), after];
    let states: Vec<State> = KNOWN.into_iter().zip(withs).map(|(told, with)| State { told, with }).collect();
    let states = Arc::new(states);
    let members = Arc::new(asked.members(model));
    let [month, last_month] = asked.months;
    let (indicator, benefit) = (asked.indicator.name.clone(), asked.question.benefit.clone());
    let number = benefit::number_of(&benefit);
    let place = Arc::new(Place { indicator, benefit, month, last_month });
    let definitions = Arc::new(model.clone());
    let mut sums = Sums {
        cells: Vec::new(),
        moved: vec![Moved::default(); STATES - 1],
        needed: model.published_inputs().into_iter().map(str::to_owned).collect(),
    };
    for _ in 0..states.len() {
        sums.cells.push(CellStore::new(model).await?);
    }
    let mut running: JoinSet<Result<Given, RuntimeError>> = JoinSet::new();
    // Persons of whom nothing was told in between, and the others: the former need fewer evaluations.
    let mut chunks = [Chunk::default(), Chunk::default()];
    let run = |chunk: Chunk, running: &mut JoinSet<_>| {
        let (states, place, members) = (Arc::clone(&states), Arc::clone(&place), Arc::clone(&members));
        running.spawn(chunk.evaluate(Arc::clone(&definitions), states, place, members));
    };
    for bucket in 0..BUCKETS {
        let rows = log.bucket(bucket).await?;
        let rows = take_record_batch(&rows, &UInt32Array::from(unique(&rows).order))?;
        let what = told(&rows, &from, &to)?;
        let mut start = 0;
        for (person, end) in index_of(&rows) {
            let end = end as usize;
            let (own, what) = (rows.slice(start, end - start), &what[start..end]);
            start = end;
            if !is_concerned(&own, number, &members)? {
                continue;
            }
            let is_changed = what.iter().any(|what| matches!(what, Told::Late | Told::Otherwise));
            let codes: BTreeSet<i32> =
                column(&own, "municipality")?.as_primitive::<Int32Type>().values().iter().copied().collect();
            let chunk = &mut chunks[usize::from(is_changed)];
            if !chunk.has_room_for(codes.len()) {
                run(std::mem::take(chunk), &mut running);
                joined(&mut running, &mut sums, THREADS).await?;
            }
            chunks[usize::from(is_changed)].push(person, own, what)?;
        }
    }
    for chunk in chunks.into_iter().filter(|chunk| !chunk.is_empty()) {
        run(chunk, &mut running);
    }
    joined(&mut running, &mut sums, 0).await?;
    let mut points = [None; STATES];
    let key = asked.key();
    for (number, (state, cells)) in states.iter().zip(&sums.cells).enumerate() {
        let totals = cells.shown(model, i64::MIN)?.cells()?;
        let derived = model.derive_published(&totals, &state.with, &asked.months.into()).await?;
        let contents = model.local_contents(&derived, &key.indicator).await?;
        let of = |month: i64| contents.get(&month).and_then(|contents| contents.get(&key)).copied();
        points[number] = of(month);
        points[STATES - 1] = of(last_month);
    }
    let days = asked.months.map(|month| month_last(month) - month_first(month) + 1);
    Ok(Way { points, moved: sums.moved, days, log, from, to, states, place, members })
}

fn point(content: Content) -> Point {
    Point {
        value_micro: content.value_micro.unwrap_or(0),
        numerator: content.numerator,
        denominator: content.denominator,
    }
}

fn end(period: &str, manifest: &Manifest, content: &Content) -> End {
    let end = End {
        numerator: content.numerator,
        denominator: content.denominator,
        status: content.status.code().to_owned(),
        ..hidden(period, manifest.committed_at, manifest.epoch)
    };
    end.with_micro(content.value_micro)
}

async fn tell(
    store: &Store,
    model: &Model,
    newest: &Manifest,
    asked: &Asked<'_>,
    (first, last): (&Manifest, &Manifest),
    way: &Way,
    shown: Shows,
) -> Result<Found, RuntimeError> {
    let question = asked.question;
    let missing = |place: usize, manifest: &Manifest| {
        question.stop(
            format!("no value of {} was known at epoch {}", asked.period(place), manifest.epoch),
            format!(
                "that was {}; name a later instant with --known-at or --and-known-at",
                manifest.committed_at
            ),
        )
    };
    let mut contents = way.points;
    if last.epoch == newest.epoch {
        // What was shown and is not any more is shown as nobody.
        let is_same = |content: &Content| {
            (content.value_micro, content.numerator, content.denominator)
                == (shown.content.value_micro, shown.content.numerator, shown.content.denominator)
        };
        match &contents[STATES - 1] {
            Some(content) if is_same(content) => {}
            None if shown.content.value_micro.is_none_or(|micro| micro == 0) => {
                contents[STATES - 1] = Some(shown.content);
            }
            _ => {
                let remedy = "run `rettidig recompute`, and report this as a bug if it finds no difference";
                return Err(question.stop("the value shown is not what the records give", remedy));
            }
        }
    }
    let ends = [(0, first, contents[0]), (1, last, contents[STATES - 1])];
    let mut known = Vec::with_capacity(2);
    for (place, manifest, content) in ends {
        let content = content.filter(|content| content.value_micro.is_some());
        known.push((place, manifest, content.ok_or_else(|| missing(place, manifest))?));
    }
    // In between somebody who is not there counts as nothing.
    let nobody = Point { value_micro: 0, numerator: Some(0), denominator: None };
    let points = contents.map(|content| content.map_or(nobody, point));
    let mut found = Found {
        notes: Vec::new(),
        ..Found::hidden(end(asked.period(0), first, &known[0].2), end(asked.period(1), last, &known[1].2))
    };
    let mut micros = [points[0].value_micro, points[STATES - 1].value_micro];
    for (place, manifest, _) in &known {
        if manifest.is_of(model) {
            continue;
        }
        let rows = Shown::of(store, manifest).await?.local(asked.period(*place)).await?;
        let shows = rows.and_then(|rows| asked.shows(&rows));
        let shows = shows.filter(|shows| shows.known_at <= manifest.committed_at.timestamp_micros());
        match shows {
            Some(shows) if shows.content.status == Status::Hidden => {
                return Ok(Found::hidden(found.from.hide(), found.to.hide()));
            }
            Some(Shows { content: content @ Content { value_micro: Some(micro), .. }, .. }) => {
                micros[*place] = micro;
                let end = end(asked.period(*place), manifest, &content);
                if *place == 0 { found.from = end } else { found.to = end }
            }
            _ => found.definition_unknown = true,
        }
    }
    if found.definition_unknown {
        micros = [points[0].value_micro, points[STATES - 1].value_micro];
        found.from = end(asked.period(0), first, &known[0].2);
        found.to = end(asked.period(1), last, &known[1].2);
        found.notes.push(RESTATED_NOTE.to_owned());
    }
    let parts = split(&points, micros[0], micros[1]);
    let measured = |cause, micro, behind| Measured { cause, micro, behind, events: Events::default() };
    let persons = |steps: &[usize]| Behind::Persons(way.behind(steps));
    found.parts = Some(vec![
        measured(Cause::Real, parts.real, persons(&[0, 3])),
        measured(Cause::Late, parts.late, persons(&[1])),
        measured(Cause::Correction, parts.correction, persons(&[2])),
        measured(Cause::Definition, parts.definition, Behind::Unknown),
    ]);
    found.denominator = parts.denominator;
    Ok(found)
}
