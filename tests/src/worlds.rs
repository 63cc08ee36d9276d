//! Simulated areas with targets: what drift says of worlds whose truth is known.
//!
//! Each area has a level, a season, a straight path from zero point to target, and counts that spread more than chance alone. From some
//! month on some areas leave their path. Every month is evaluated as it would have been known then, by the model's SQL: official counts
//! as `targets`, percentages of spells as `local_drift`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, Date32Array, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use chrono::{DateTime, Days, Months, NaiveDate, Utc};
use rettidig_event::delivery;
use rettidig_model::calendar::month_of;
use rettidig_model::catalogue::Making;
use rettidig_model::contract::Table;
use rettidig_model::evaluation::disclosed_schema;
use rettidig_model::local::local_months;
use rettidig_model::persons::day_of;
use rettidig_model::{Model, SourceFile, TableInputs};

/// Months before the zero point.
const HISTORY: u32 = 48;
/// Months from the zero point to the target.
const WAY: u32 = 18;
const ZERO: &str = "2024-12-31";
const COUNT: &str = "full_time_unemployed";
const SHARE: &str = "local_employed_after_3";
/// The share of the spells that are counted, before the path.
const LEVEL: f64 = 0.45;

/// What the figures are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Figures {
    /// Official counts of persons; the target is 5 % fewer.
    Counts,
    /// Percentages of spells, made from records of persons; the target is 5 % more.
    Shares,
}

/// What a world is like.
#[derive(Debug, Clone, Copy)]
pub struct Truth {
    /// What the figures are.
    pub figures: Figures,
    /// Areas of each of the sizes.
    pub areas: usize,
    /// Sizes, in persons, or in spells a month.
    pub sizes: [f64; 3],
    /// How many times the figures spread more than chance alone.
    pub dispersion: f64,
    /// Standard deviation of what moves an area off its path and back, a share of its level; half of it is left a month later.
    pub wandering: f64,
    /// Share by which areas lie on the wrong side of their path from `off_from` on.
    pub off_by: f64,
    /// Every how many-th area leaves its path; none if 0.
    pub off_every: usize,
    /// Months after the zero point at which they leave it.
    pub off_from: u32,
}

impl Truth {
    /// Shares of spells, of 20, 200 and 2,000 a month.
    pub fn of_shares() -> Self {
        Self { figures: Figures::Shares, sizes: [20.0, 200.0, 2_000.0], ..Self::default() }
    }

    /// What a figure is on average where the path has got, with a season and something off it.
    fn mean(&self, size: f64, way: f64, times: f64, off: f64) -> f64 {
        match self.figures {
            Figures::Counts => size * (1.0 - 0.05 * way) * times * (1.0 + off),
            Figures::Shares => size * (LEVEL * (1.0 + 0.05 * way) * times * (1.0 - off)).clamp(0.0, 1.0),
        }
    }

    /// A figure drawn.
    #[allow(clippy::cast_possible_truncation, reason = "counts of persons")]
    fn drawn(&self, size: f64, mean: f64, normal: f64) -> i64 {
        let (variance, least, most) = match self.figures {
            Figures::Counts => (mean, 1.0, f64::MAX),
            Figures::Shares => (mean * (1.0 - mean / size), 0.0, size),
        };
        (mean + (self.dispersion * variance).sqrt() * normal).round().clamp(least, most) as i64
    }
}

impl Default for Truth {
    fn default() -> Self {
        Self {
            figures: Figures::Counts,
            areas: 93,
            sizes: [60.0, 700.0, 9_000.0],
            dispersion: 1.5,
            wandering: 0.0,
            off_by: 0.0,
            off_every: 0,
            off_from: 4,
        }
    }
}

/// The areas of one world, and their counts month by month from the first of the history to the target.
pub struct World {
    truth: Truth,
    /// Codes of the areas: jobcentres that there are.
    codes: Vec<String>,
    counts: Vec<Vec<i64>>,
}

/// A standard normal number.
fn normal(random: &mut fastrand::Rng) -> f64 {
    let (u, v) = (1.0 - random.f64(), random.f64());
    (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}

impl World {
    /// A world drawn by a seed.
    pub fn new(seed: u64, truth: Truth) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let counts = (0..truth.areas).map(|area| {
            let phase = random.f64();
            let mut wandered = 0.0;
            let months = 0..HISTORY + WAY + 1;
            let mut month_of = |month: u32| {
                let season = 1.0 + 0.06 * (std::f64::consts::TAU * (f64::from(month) / 12.0 + phase)).sin();
                let way = f64::from(month.saturating_sub(HISTORY)) / f64::from(WAY);
                wandered = 0.5 * wandered + truth.wandering * normal(&mut random);
                let is_off =
                    truth.off_every > 0 && area % truth.off_every == 0 && month >= HISTORY + truth.off_from;
                let off = if is_off { truth.off_by } else { 0.0 };
                let size = truth.sizes[area % 3];
                let mean = truth.mean(size, way, season * (1.0 + wandered), off);
                truth.drawn(size, mean, normal(&mut random))
            };
            months.map(&mut month_of).collect()
        });
        Self { truth, codes: jobcentres(), counts: counts.collect() }
    }

    /// Whether an area leaves its path.
    pub fn is_off(&self, area: usize) -> bool {
        self.truth.off_every > 0 && area.is_multiple_of(self.truth.off_every)
    }

    /// Which of the sizes an area has.
    pub fn size(&self, area: usize) -> usize {
        area % 3
    }

    /// Last day of a month.
    fn end(month: u32) -> NaiveDate {
        let first = NaiveDate::from_ymd_opt(2020, 12, 1).expect("date") + Months::new(month);
        first + Months::new(1) - Days::new(1)
    }

    /// The value of a figure in millionths of its unit.
    #[allow(clippy::cast_possible_truncation, reason = "spells")]
    fn micro(&self, area: usize, month: u32) -> i64 {
        let count = self.counts[area][month as usize];
        match self.truth.figures {
            Figures::Counts => count * 1_000_000,
            Figures::Shares => count * 100_000_000 / self.truth.sizes[area % 3] as i64,
        }
    }

    /// The model with the targets of these areas: what it is in truth, five per cent less or more at the end.
    ///
    /// # Panics
    /// If the model does not load.
    pub fn model(&self) -> Model {
        let (path, indicator, benefit, times, direction) = match self.truth.figures {
            Figures::Counts => ("reference/targets.csv", COUNT, "total", 0.95, "down"),
            Figures::Shares => ("reference/local_targets.csv", SHARE, "cash", 1.05, "up"),
        };
        let mut files: Vec<SourceFile> = Model::embedded_files();
        let targets = files.iter_mut().find(|file| file.path == path).expect("targets");
        let head = "area_kind,area,indicator,benefit,zero_date,zero_value,target_date,target_value,direction,owner,note\n";
        let lines = (0..self.truth.areas).map(|area| {
            // As people do: the figure of the month is the zero point, chance and season included.
            let zero = self.micro(area, HISTORY) as f64 / 1_000_000.0;
            let target = zero * times;
            let end = Self::end(HISTORY + WAY);
            format!(
                "jobcentre,{},{indicator},{benefit},{ZERO},{zero},{end},{target},{direction},test,\n",
                self.codes[area].clone()
            )
        });
        targets.text = head.to_owned() + &lines.collect::<String>();
        Model::load(files).expect("the model loads")
    }

    fn disclosed(&self, months: u32) -> RecordBatch {
        let rows: Vec<(usize, u32)> =
            (0..self.truth.areas).flat_map(|area| (0..months).map(move |month| (area, month))).collect();
        let text = |of: &dyn Fn(usize, u32) -> String| -> ArrayRef {
            Arc::new(StringArray::from_iter_values(rows.iter().map(|(area, month)| of(*area, *month))))
        };
        let number = |of: &dyn Fn(usize, u32) -> Option<i64>| -> ArrayRef {
            Arc::new(rows.iter().map(|(area, month)| of(*area, *month)).collect::<Int64Array>())
        };
        let instant = |of: &dyn Fn(u32) -> Option<i64>| -> ArrayRef {
            let instants: TimestampMicrosecondArray = rows.iter().map(|(_, month)| of(*month)).collect();
            Arc::new(instants.with_timezone("UTC"))
        };
        let days = |month: u32| rettidig_model::persons::day_of(Self::end(month));
        let ends: Date32Array = rows.iter().map(|(_, month)| i32::try_from(days(*month)).ok()).collect();
        let columns: BTreeMap<&str, ArrayRef> = [
            ("indicator", text(&|_, _| COUNT.to_owned())),
            ("area_kind", text(&|_, _| "jobcentre".to_owned())),
            ("area", text(&|area, _| self.codes[area].clone())),
            ("benefit", text(&|_, _| "total".to_owned())),
            ("period", text(&|_, month| Self::end(month).format("%Y-%m").to_string())),
            ("period_end", Arc::new(ends) as ArrayRef),
            ("breakdown", text(&|_, _| "total".to_owned())),
            ("breakdown_value", text(&|_, _| "total".to_owned())),
            ("known_at", instant(&|month| Some((days(month) + 19) * 86_400_000_000))),
            ("known_to", instant(&|_| None)),
            ("value_micro", number(&|area, month| Some(self.micro(area, month)))),
            ("numerator", number(&|_, _| None)),
            ("denominator", number(&|_, _| None)),
            ("status", text(&|_, _| "final".to_owned())),
            ("old_value_micro", number(&|_, _| None)),
            ("old_known_at", instant(&|_| None)),
            ("epoch", number(&|_, _| Some(1))),
        ]
        .into();
        let schema = disclosed_schema(true);
        let columns = schema.fields().iter().map(|field| columns[field.name().as_str()].clone()).collect();
        RecordBatch::try_new(schema, columns).expect("rows")
    }

    /// The table `targets` when a month was the newest.
    async fn targets(&self, model: &Model, month: u32) -> RecordBatch {
        let as_of = Self::end(month) + Days::new(20);
        let inputs = TableInputs {
            disclosed: self.disclosed(month + 1),
            public: model.empty_public().await.expect("empty inputs"),
            deliveries: RecordBatch::new_empty(delivery::schema()),
            as_of,
            evaluated_at: noon(as_of),
            kept: BTreeMap::new(),
        };
        model.evaluate_tables(inputs).await.expect("tables")["targets"].clone()
    }

    /// The table `local_drift` when a month was the newest that was judged: of what is shown by then.
    async fn local_drift(&self, model: &Model, month: u32) -> RecordBatch {
        const MADE: [&str; 4] = ["local_history", "local_seasons", "local_adjusted", "local_drift"];
        let as_of = Self::end(month) + Days::new(62);
        let newest = *local_months(as_of).start();
        let first = (0..month).find(|month| month_of(day_of(Self::end(*month))) >= newest).expect("months");
        let rows: Vec<(usize, u32)> =
            (0..self.truth.areas).flat_map(|area| (first..=month).map(move |month| (area, month))).collect();
        let text = |of: &dyn Fn(usize, u32) -> String| -> ArrayRef {
            Arc::new(StringArray::from_iter_values(rows.iter().map(|(area, month)| of(*area, *month))))
        };
        let number = |of: &dyn Fn(usize, u32) -> i64| -> ArrayRef {
            Arc::new(Int64Array::from_iter_values(rows.iter().map(|(area, month)| of(*area, *month))))
        };
        let of = |name: &'static str| Table::named(name).expect(name);
        #[allow(clippy::cast_possible_truncation, reason = "spells")]
        let columns: BTreeMap<&str, ArrayRef> = [
            ("indicator", text(&|_, _| SHARE.to_owned())),
            ("area_kind", text(&|_, _| "jobcentre".to_owned())),
            ("area", text(&|area, _| self.codes[area].clone())),
            ("benefit", text(&|_, _| "cash".to_owned())),
            ("period", text(&|_, month| Self::end(month).format("%Y-%m").to_string())),
            ("breakdown", text(&|_, _| "total".to_owned())),
            ("breakdown_value", text(&|_, _| "total".to_owned())),
            (
                "value",
                Arc::new(Float64Array::from_iter_values(
                    rows.iter().map(|(area, month)| self.micro(*area, *month) as f64 / 1_000_000.0),
                )) as ArrayRef,
            ),
            ("numerator", number(&|area, month| self.counts[area][month as usize])),
            ("denominator", number(&|area, _| self.truth.sizes[area % 3] as i64)),
            ("unit", text(&|_, _| "percent".to_owned())),
            ("status", text(&|_, _| "final".to_owned())),
            ("known_at", {
                let instants = TimestampMicrosecondArray::from(vec![0; rows.len()]);
                Arc::new(instants.with_timezone("UTC"))
            }),
            ("epoch", number(&|_, _| 1)),
        ]
        .into();
        let shown = of("local_indicators").schema();
        let columns = shown.fields().iter().map(|field| columns[field.name().as_str()].clone()).collect();
        let shown = RecordBatch::try_new(shown, columns).expect("rows");
        let kept: BTreeMap<&'static str, RecordBatch> = model
            .made(Making::AfterMonths)
            .filter(|made| !MADE.contains(&made.name.as_str()))
            .map(|made| {
                let table = Table::named(&made.name).expect("a contract");
                (table.name, RecordBatch::new_empty(table.schema()))
            })
            .collect();
        let tables = [("freshness", RecordBatch::new_empty(of("freshness").schema()))].into();
        let months = [("local_indicators", vec![shown])].into();
        let made = model.evaluate_after_months(&tables, &months, as_of, &kept).await.expect("tables");
        made["local_drift"].clone()
    }

    /// The state of each area in each month after the zero point, as it was said when that month was the newest.
    ///
    /// # Panics
    /// If the model fails.
    pub async fn states(&self) -> Vec<Vec<String>> {
        let model = self.model();
        let mut states = vec![Vec::new(); self.truth.areas];
        for month in HISTORY + 1..=HISTORY + WAY {
            let targets = match self.truth.figures {
                Figures::Counts => self.targets(&model, month).await,
                Figures::Shares => self.local_drift(&model, month).await,
            };
            let text = |name: &str| targets.column_by_name(name).expect(name).as_string::<i32>();
            let newest = targets.column_by_name("newest").expect("newest").as_boolean();
            for row in (0..targets.num_rows()).filter(|row| newest.value(*row)) {
                let code = text("area").value(row);
                let area = self.codes.iter().position(|known| known == code).expect("an area");
                states[area].push(text("state").value(row).to_owned());
            }
        }
        assert!(states.iter().all(|states| states.len() == WAY as usize), "each area, each month");
        states
    }
}

/// The codes of the jobcentres of today.
fn jobcentres() -> Vec<String> {
    let model = Model::embedded().expect("the model");
    let areas = &model.reference["areas"];
    let text = |name: &str| areas.column_by_name(name).expect(name).as_string::<i32>();
    let valid_to = areas.column_by_name("valid_to").expect("valid_to");
    let of_today = (0..areas.num_rows()).filter(|row| valid_to.is_null(*row));
    let codes: BTreeSet<String> = of_today.map(|row| text("jobcentre").value(row).to_owned()).collect();
    codes.into_iter().collect()
}

fn noon(date: NaiveDate) -> DateTime<Utc> {
    date.and_hms_opt(12, 0, 0).expect("time").and_utc()
}

/// What drift says of some worlds.
#[derive(Debug, Default, Clone)]
pub struct Verdict {
    /// Months of areas on their path, by size, and how many of them were said to drift.
    pub on_path: [(u32, u32); 3],
    /// Areas that left their path, by size: after how many months it was said, if it was.
    pub found: [Vec<Option<u32>>; 3],
    /// Findings in all, and how many were of areas on their path: newly said in a month.
    pub findings: (u32, u32),
}

impl Verdict {
    /// Adds a world.
    pub fn add(&mut self, world: &World, states: &[Vec<String>]) {
        let off_from = world.truth.off_from as usize;
        for (area, states) in states.iter().enumerate() {
            let size = world.size(area);
            let drifts: Vec<bool> = states.iter().map(|state| state == "drifting").collect();
            // Position 0 is the first month after the zero point.
            let until = if world.is_off(area) { off_from - 1 } else { drifts.len() };
            for month in 0..until {
                self.on_path[size].0 += 1;
                self.on_path[size].1 += u32::from(drifts[month]);
                if drifts[month] && (month == 0 || !drifts[month - 1]) {
                    self.findings.0 += 1;
                    self.findings.1 += 1;
                }
            }
            if world.is_off(area) {
                let found = drifts[until..].iter().position(|drifts| *drifts);
                self.findings.0 += u32::from(found.is_some());
                self.found[size].push(found.map(|months| u32::try_from(months).unwrap_or(u32::MAX)));
            }
        }
    }
}
