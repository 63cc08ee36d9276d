//! The person-level SQL against an implementation of its own kind (`tests/oracle`: plain loops, no SQL).
//!
//! Goal: the definitions are what the decision page says, whatever the history. Method: seeded random histories full of
//! corrections, overlaps and boundaries; every cell of every measure is compared, at as-of dates that move over the
//! boundaries of months, spells and statuses.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use arrow::array::{AsArray, RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::Int64Type;
use chrono::{Days, NaiveDate};
use rettidig_event::{Message, person};
use rettidig_model::persons::{Histories, Parameters, prepare, unique};
use rettidig_model::{Model, SourceFile};
use rettidig_oracle::{Inputs, Options, random_rows, shuffled};
use rettidig_simulator::{Simulation, SimulationOptions};
use rettidig_tests::cells::{Shown, comparable, differences, shown};

/// The files of the model, read from the checkout.
static MODEL: LazyLock<Model> = LazyLock::new(|| {
    let sql = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../sql");
    let mut files = Vec::new();
    for folder in std::fs::read_dir(&sql).expect("sql").map(|entry| entry.expect("entry").path()) {
        for file in std::fs::read_dir(&folder).into_iter().flatten().map(|entry| entry.expect("entry").path())
        {
            let path = file.strip_prefix(&sql).expect("below").to_string_lossy().into_owned();
            if !path.ends_with(".md") {
                files.push(SourceFile { path, text: std::fs::read_to_string(&file).expect("text") });
            }
        }
    }
    Model::load(files).unwrap_or_else(|error| panic!("{error}"))
});

fn benefits_csv() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../sql/reference/benefits.csv");
    std::fs::read_to_string(path).expect("benefits.csv")
}

fn date(text: &str) -> NaiveDate {
    text.parse().expect("date")
}

fn in_order(rows: &RecordBatch) -> RecordBatch {
    let unique = unique(rows);
    assert!(unique.conflicts.is_empty(), "the histories hold no conflicts");
    take_record_batch(rows, &UInt32Array::from(unique.order)).expect("rows")
}

async fn of_sql(inputs: &Inputs) -> Shown {
    let with = Parameters {
        as_of: inputs.as_of,
        income_delivered: inputs.income_delivered.iter().copied().collect::<BTreeMap<_, _>>(),
    };
    let histories = prepare(&in_order(&inputs.rows)).expect("histories");
    let result = MODEL.evaluate_persons(&histories, &with).await.unwrap_or_else(|error| panic!("{error:?}"));
    let mut cells = result.cells;
    cells.extend(MODEL.derive(&cells, &with).await.unwrap_or_else(|error| panic!("{error:?}")));
    shown(&MODEL, &cells)
}

/// The oracle under the names of the SQL, without what only the SQL has.
fn of_oracle(inputs: &Inputs) -> Shown {
    let names = [("contacts", "contacts_held"), ("language_tests", "danish_tests")];
    let mut cells = rettidig_oracle::evaluate(inputs);
    for (theirs, ours) in names {
        let rows = cells.remove(theirs).expect("measure");
        cells.insert(ours.to_owned(), rows);
    }
    cells
}

async fn compare(inputs: &Inputs, what: &str) {
    let oracle = of_oracle(inputs);
    let sql = comparable(of_sql(inputs).await);
    let found = differences(&sql, &oracle);
    let count: usize = oracle.values().map(BTreeMap::len).sum();
    assert!(count > 100, "{what}: only {count} cells");
    assert!(
        found.is_empty(),
        "{what}: {} of {count} cells differ\n{}",
        found.len(),
        found[..found.len().min(40)].join("\n")
    );
}

fn inputs(seed: u64, persons: usize, as_of: NaiveDate) -> Inputs {
    Inputs {
        rows: random_rows(seed, persons, &Options::default()),
        income_delivered: vec![(0, 12 * 56 + 2), (101, 12 * 56 + 4), (751, 12 * 55)],
        benefits_csv: benefits_csv(),
        as_of,
    }
}

#[tokio::test]
async fn sql_equals_the_oracle_on_random_histories() {
    for (seed, as_of) in
        [(1, "2026-08-25"), (2, "2026-03-31"), (3, "2024-02-29"), (4, "2026-10-31"), (5, "2025-12-31")]
    {
        compare(&inputs(seed, 120, date(as_of)), &format!("seed {seed} as of {as_of}")).await;
    }
}

#[tokio::test]
async fn sql_equals_the_oracle_while_the_as_of_date_moves_day_by_day() {
    let mut inputs = inputs(6, 40, date("2026-01-25"));
    for _ in 0..40 {
        compare(&inputs, &format!("seed 6 as of {}", inputs.as_of)).await;
        inputs.as_of = inputs.as_of + Days::new(1);
    }
}

/// Rows of a simulated country, decoded from the events that its files mean.
fn country(persons: u64, months: u32) -> RecordBatch {
    let pseudonym = |cpr: &str| {
        let mut person = [0; 16];
        person.copy_from_slice(&cpr.bytes().chain(cpr.bytes()).take(16).collect::<Vec<_>>());
        person
    };
    let options = SimulationOptions { persons, months, seed: 3, ..SimulationOptions::default() };
    let mut batches = Vec::new();
    for day in Simulation::new(&options) {
        for file in &day.files {
            let mut payloads: Vec<Vec<u8>> = Vec::new();
            file.for_each_event(&pseudonym, &mut |_, event| payloads.push(event.to_vec()));
            let messages =
                payloads.iter().zip(0..).map(|(payload, offset)| Message { partition: 0, offset, payload });
            let decoded = person::decode(file.topic(), messages);
            assert_eq!(decoded.rejected, [], "{}", file.name());
            batches.push(decoded.batch);
        }
    }
    concat_batches(&person::schema(), &batches).expect("rows")
}

/// Goal: the identities hold, and SQL and oracle agree, on what ten years of a whole country look like.
#[tokio::test]
async fn identities_hold_on_a_simulated_decade() {
    let rows = country(150, 120);
    assert!(rows.num_rows() > 10_000, "{} rows", rows.num_rows());
    let inputs = Inputs {
        rows,
        income_delivered: vec![(0, 12 * 56 + 6)],
        benefits_csv: benefits_csv(),
        as_of: date("2026-07-31"),
    };
    compare(&inputs, "a simulated decade").await;
    let cells = of_sql(&inputs).await;
    // By benefit, month and breakdown for the whole country, where moving does not matter.
    let mut country: BTreeMap<Vec<String>, [i64; 4]> = BTreeMap::new();
    for (key, values) in &cells["spell_stocks"] {
        let cell = country.entry(key[1..].to_vec()).or_default();
        (cell[0], cell[3]) = (cell[0] + values[0], cell[3] + values[1]);
    }
    for (key, values) in &cells["spell_flows"] {
        let cell = country.entry(key[1..].to_vec()).or_default();
        (cell[1], cell[2]) = (cell[1] + values[0], cell[2] + values[1]);
    }
    assert!(country.len() > 1_000, "{} cells", country.len());
    for (key, [open_start, started, ended, open_end]) in &country {
        assert_eq!(open_start + started - ended, *open_end, "{key:?}");
    }
    for name in ["covered", "spell_flows", "spell_stocks", "activated"] {
        let mut sums: BTreeMap<(&[String], &str), Vec<i64>> = BTreeMap::new();
        for (key, values) in &cells[name] {
            let sum = sums.entry((&key[..3], &key[3])).or_insert_with(|| vec![0; values.len()]);
            sum.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
        }
        for ((cell, breakdown), sum) in &sums {
            assert_eq!(Some(sum), sums.get(&(*cell, "total")), "{name} {cell:?}: the parts of {breakdown}");
        }
    }
    // Booked refund is the same money by weeks as by months.
    let sums = |name: &str, place: usize| {
        let mut sums: BTreeMap<&str, i64> = BTreeMap::new();
        for (key, values) in &cells[name] {
            *sums.entry(&key[0]).or_default() += values[place];
        }
        sums.retain(|_, sum| *sum != 0);
        sums
    };
    assert!(!sums("refund_weeks", 1).is_empty());
    assert_eq!(sums("refund_weeks", 1), sums("amounts", 1), "by municipality");
}

/// Cuts histories into parts of about as many rows; a person is never cut. Numbers stay: they index the same persons.
fn split(histories: Histories, parts: usize) -> Vec<Histories> {
    let rows = histories.rows.num_rows();
    let number = histories.rows.column(0).as_primitive::<Int64Type>().clone();
    let mut from = 0;
    let mut split = Vec::with_capacity(parts);
    for part in 1..=parts {
        let mut to = (rows * part / parts).max(from);
        while to > from && to < rows && number.value(to) == number.value(to - 1) {
            to += 1;
        }
        split.push(Histories {
            rows: histories.rows.slice(from, to - from),
            persons: histories.persons.clone(),
        });
        from = to;
    }
    split
}

#[tokio::test]
async fn neither_order_nor_the_division_of_persons_matters() {
    let inputs = inputs(7, 90, date("2026-08-25"));
    let whole = of_sql(&inputs).await;
    let turned = Inputs { rows: shuffled(&inputs.rows, 11), ..inputs.clone() };
    assert_eq!(differences(&whole, &of_sql(&turned).await), Vec::<String>::new(), "shuffled");

    // Cells of disjoint sets of persons add up: the promise of the layers L and A.
    let with = Parameters {
        as_of: inputs.as_of,
        income_delivered: inputs.income_delivered.iter().copied().collect(),
    };
    let parts = split(prepare(&in_order(&inputs.rows)).expect("histories"), 4);
    assert!(parts.iter().all(|part| part.rows.num_rows() > 0));
    let mut sums = Shown::new();
    for part in parts {
        let cells = MODEL.evaluate_persons(&part, &with).await.expect("part").cells;
        for (name, rows) in shown(&MODEL, &cells) {
            let sum = sums.entry(name).or_default();
            for (key, values) in rows {
                let cell = sum.entry(key).or_insert_with(|| vec![0; values.len()]);
                cell.iter_mut().zip(values).for_each(|(cell, value)| *cell += value);
            }
        }
    }
    sums.values_mut().for_each(|rows| rows.retain(|_, values| values.iter().any(|value| *value != 0)));
    let additive: Shown =
        whole.into_iter().filter(|(name, _)| MODEL.additive().any(|model| &model.name == name)).collect();
    assert_eq!(differences(&sums, &additive), Vec::<String>::new(), "sum of parts");
}
