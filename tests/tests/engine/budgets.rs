//! Budgets on made-up areas: what must add up does, and the forecast is as sure as it says.
//!
//! Method: the SQL files of the tables over rows of `local_indicators` that are made here, many areas at a time, each of them a
//! world of its own. Seeds are fixed, so the shares are the same in every run.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::Int64Type;
use rettidig_model::calendar::{month_first, month_last, month_of, month_text};
use rettidig_model::session::Session;
use rettidig_model::{Model, SourceFile};

/// January 2026 and its year.
const JANUARY: i64 = 56 * 12;

const SERVICES: &str = "service,danish,indicator,indicator_benefit,counted,activity_unit,client_benefits,note\n\
                        contact,Kontakt,local_contacts_in_time,total,numerator,contacts,cash,test\n\
                        mediation,Formidling,local_started_spells,cash,value,spells,cash,test\n";

/// A row of `local_indicators`: indicator, area, benefit, month, numerator, denominator.
type Figure = (&'static str, String, &'static str, i64, i64, Option<i64>);

/// As many areas as statistics need; there are not so many municipalities.
const AREAS: usize = 400;
/// The code of the first of them.
const FIRST: usize = 1_001;

fn area(number: usize) -> String {
    format!("{:04}", number + FIRST)
}

fn figures(rows: &[Figure], hidden: &dyn Fn(usize) -> bool) -> RecordBatch {
    let text = |of: &dyn Fn(&Figure) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(rows.iter().map(of)))
    };
    let shown = |of: &dyn Fn(&Figure) -> Option<i64>| -> Int64Array {
        rows.iter().enumerate().map(|(place, row)| of(row).filter(|_| !hidden(place))).collect()
    };
    let values: Float64Array =
        shown(&|row| Some(row.4)).iter().map(|value| value.map(|v| v as f64)).collect();
    let statuses = (0..rows.len()).map(|place| if hidden(place) { "hidden" } else { "final" });
    RecordBatch::try_from_iter_with_nullable([
        ("indicator", text(&|row| row.0.to_owned()), false),
        ("area_kind", text(&|_| "municipality".to_owned()), false),
        ("area", text(&|row| row.1.clone()), false),
        ("benefit", text(&|row| row.2.to_owned()), false),
        ("period", text(&|row| month_text(row.3)), false),
        ("breakdown", text(&|_| "total".to_owned()), false),
        ("breakdown_value", text(&|_| "total".to_owned()), false),
        ("value", Arc::new(values), true),
        ("numerator", Arc::new(shown(&|row| Some(row.4))), true),
        ("denominator", Arc::new(shown(&|row| row.5)), true),
        ("status", Arc::new(StringArray::from_iter_values(statuses)), false),
    ])
    .expect("rows")
}

/// The two tables as of the last day of a month.
async fn tables(
    references: &[(&str, String)],
    rows: RecordBatch,
    month: i64,
) -> BTreeMap<String, RecordBatch> {
    let mut files: Vec<SourceFile> = Model::embedded_files();
    for (name, text) in references {
        let path = format!("reference/{name}.csv");
        files.iter_mut().find(|file| file.path == path).expect("a reference file").text.clone_from(text);
    }
    let areas = files.iter_mut().find(|file| file.path == "reference/areas.csv").expect("areas");
    for number in 0..AREAS {
        let code = area(number);
        areas.text += &format!("{code},Test,{code},Test,1,Test,1084,Test,2007-01-01,\n");
    }
    let model = Model::load(files).expect("the model");
    let session = Session::default();
    session.register("local_indicators", rows).expect("rows");
    let day: ArrayRef = Arc::new(Int64Array::from(vec![month_last(month)]));
    let day = RecordBatch::try_from_iter([("as_of_day", day)]).expect("a day");
    session.register("as_of", day).expect("a day");
    for (name, batch) in &model.reference {
        session.register(&format!("ref_{name}"), batch.clone()).expect("a reference table");
    }
    let mut tables = BTreeMap::new();
    for name in ["budget_follow_up", "year_accounts"] {
        let sql = &model.models.iter().find(|model| model.name == name).expect("a table").sql;
        let batch = session.query(name, sql).await.unwrap_or_else(|error| panic!("{name}: {error:?}"));
        session.register(name, batch.clone()).expect("a table");
        tables.insert(name.to_owned(), batch);
    }
    tables
}

/// Columns of integers, row by row.
fn integers<const N: usize>(batch: &RecordBatch, names: [&str; N]) -> Vec<[Option<i64>; N]> {
    let columns = names.map(|name| {
        let column = batch.column_by_name(name).unwrap_or_else(|| panic!("no column {name}"));
        column.as_primitive::<Int64Type>().clone()
    });
    let value = |column: &Int64Array, row: usize| column.is_valid(row).then(|| column.value(row));
    (0..batch.num_rows()).map(|row| columns.each_ref().map(|column| value(column, row))).collect()
}

fn texts(batch: &RecordBatch, name: &str) -> Vec<String> {
    let column =
        arrow::compute::cast(batch.column_by_name(name).expect(name), &arrow::datatypes::DataType::Utf8);
    column.expect("text").as_string::<i32>().iter().map(|text| text.unwrap_or_default().to_owned()).collect()
}

/// Goal: activity and price explain the whole difference, to the øre, by service, in total and to date, whatever the numbers, and
/// nothing is said where something is hidden. Method: random clients, activities, prices and hidden figures.
#[tokio::test]
async fn activity_and_price_are_the_whole_difference_to_the_oere() {
    let mut random = fastrand::Rng::with_seed(1);
    let (mut rows, mut budgets, mut prices) = (Vec::new(), String::new(), String::new());
    for number in 0..60 {
        let area = area(number);
        for service in ["contact", "mediation"] {
            let fixed = random.bool();
            let (per_clients, per_month) = match fixed {
                true => (String::new(), random.i64(1..5_000).to_string()),
                false => (random.i64(1..5_000).to_string(), String::new()),
            };
            let clients = random.i64(1..20_000);
            let (planned, paid) = (random.i64(1..1_000_000), random.i64(1..1_000_000));
            budgets += &format!(
                "municipality,{area},2026,{service},Unit,{clients},{per_clients},{per_month},{planned},test\n"
            );
            prices += &format!("municipality,{area},{service},{paid},2025-01-01,,test\n");
        }
        for month in JANUARY..JANUARY + 12 {
            let days = month_last(month) - month_first(month) + 1;
            let covered = random.i64(0..days * 20_000);
            rows.push(("local_full_time_persons", area.clone(), "cash", month, covered, Some(days)));
            rows.push((
                "local_contacts_in_time",
                area.clone(),
                "total",
                month,
                random.i64(0..9_999),
                Some(9_999),
            ));
            rows.push(("local_started_spells", area.clone(), "cash", month, random.i64(0..9_999), None));
        }
    }
    let hidden: Vec<bool> = rows.iter().map(|_| random.u8(0..60) == 0).collect();
    let rows = figures(&rows, &|place| hidden[place]);
    let references = [
        ("services", SERVICES.to_owned()),
        (
            "budgets",
            "area_kind,area,year,service,contract_unit,base_clients,activity_per_1000_clients,activity_per_month,price_oere,note\n"
                .to_owned()
                + &budgets,
        ),
        ("unit_prices", "area_kind,area,service,price_oere,valid_from,valid_to,note\n".to_owned() + &prices),
    ];
    let tables = tables(&references, rows, JANUARY + 11).await;
    let follow_up = &tables["budget_follow_up"];
    assert_eq!(follow_up.num_rows(), 60 * 3 * 12);
    let names = ["budget_oere", "actual_oere", "activity_variance_oere", "price_variance_oere"];
    let to_date = names.map(|name| name.replace("_oere", "_to_date_oere"));
    let months = integers(follow_up, names);
    let sums = integers(follow_up, to_date.each_ref().map(String::as_str));
    let (areas, services, periods) =
        (texts(follow_up, "area"), texts(follow_up, "service"), texts(follow_up, "period"));
    let mut of: BTreeMap<(&str, &str, &str), [Option<i64>; 4]> = BTreeMap::new();
    let mut known = 0;
    for (row, month) in months.iter().enumerate() {
        of.insert((&areas[row], &services[row], &periods[row]), *month);
        for [budget, actual, by_activity, by_price] in [*month, sums[row]] {
            match (budget, actual) {
                (Some(budget), Some(actual)) => {
                    let explained = by_activity.expect("explained") + by_price.expect("explained");
                    assert_eq!(
                        actual - budget,
                        explained,
                        "{} {} {}",
                        areas[row],
                        services[row],
                        periods[row]
                    );
                    known += 1;
                }
                _ => assert_eq!(by_activity, None),
            }
        }
    }
    assert!(known > 2_000, "{known} rows are known");
    let sum = |parts: &[[Option<i64>; 4]]| -> [Option<i64>; 4] {
        std::array::from_fn(|place| parts.iter().map(|part| part[place]).sum())
    };
    for ((area, service, period), total) in &of {
        if *service == "total" {
            let parts = ["contact", "mediation"].map(|service| of[&(*area, service, *period)]);
            assert_eq!(*total, sum(&parts), "{area} {period}: the services");
        }
    }
    for (row, to_date) in sums.iter().enumerate() {
        let key = (areas[row].as_str(), services[row].as_str());
        let months = of
            .iter()
            .filter(|((area, service, period), _)| (*area, *service) == key && *period <= &*periods[row]);
        let months: Vec<_> = months.map(|(_, month)| *month).collect();
        let sums = sum(&months);
        assert_eq!(to_date[..2], sums[..2], "{key:?} {}: the months", periods[row]);
        let both = to_date[0].is_some() && to_date[1].is_some();
        assert_eq!(to_date[2], sums[2].filter(|_| both), "{key:?} {}: the months", periods[row]);
    }
}

/// Goal: of a hundred forecasts ninety hold, as stated. Method: areas with a season, a level of this year against last year's, and
/// chance of a few percent in every month of both; what the year really cost is known here.
#[tokio::test]
async fn nine_of_ten_intervals_hold_the_years_cost() {
    let mut random = fastrand::Rng::with_seed(2);
    // The sum of twelve uniform numbers is nearly normal.
    let mut normal = move || (0..12).map(|_| random.f64()).sum::<f64>() - 6.0;
    let mut costs: Vec<[i64; 24]> = Vec::new();
    for _ in 0..AREAS {
        let growth = 1.0 + 0.1 * normal();
        costs.push(std::array::from_fn(|month| {
            let season = 1.0 + 0.1 * (month as f64 * std::f64::consts::TAU / 12.0).sin();
            let level = if month < 12 { 1.0 } else { growth };
            (100_000.0 * season * level * (1.0 + 0.03 * normal())) as i64
        }));
    }
    let mut budgets =
        "area_kind,area,year,service,contract_unit,base_clients,activity_per_1000_clients,activity_per_month,price_oere,note\n"
            .to_owned();
    let mut prices = "area_kind,area,service,price_oere,valid_from,valid_to,note\n".to_owned();
    for number in 0..AREAS {
        let area = area(number);
        for year in [2025, 2026] {
            budgets += &format!("municipality,{area},{year},mediation,Unit,1,,100000,100,test\n");
        }
        prices += &format!("municipality,{area},mediation,100,2025-01-01,,test\n");
    }
    let references = [("services", SERVICES.to_owned()), ("budgets", budgets), ("unit_prices", prices)];
    for months in [3, 6, 9] {
        let mut rows: Vec<Figure> = Vec::new();
        for (number, costs) in costs.iter().enumerate() {
            for (month, cost) in (JANUARY - 12..).zip(costs).take(12 + months) {
                rows.push(("local_started_spells", area(number), "cash", month, *cost, None));
            }
        }
        let newest = JANUARY - 1 + i64::try_from(months).expect("a few");
        assert_eq!(month_of(month_last(newest)), newest);
        let accounts = &tables(&references, figures(&rows, &|_| false), newest).await["year_accounts"];
        let intervals = integers(accounts, ["forecast_low_oere", "forecast_high_oere"]);
        let (areas, years, services) =
            (texts(accounts, "area"), texts(accounts, "year"), texts(accounts, "service"));
        let (mut held, mut width) = (0, 0.0);
        for (row, interval) in intervals.iter().enumerate() {
            if years[row] != "2026" || services[row] != "mediation" {
                continue;
            }
            let costs = &costs[areas[row].parse::<usize>().expect("a number") - FIRST];
            let cost = 100 * costs[12..].iter().sum::<i64>();
            let [Some(low), Some(high)] = *interval else { panic!("{}: no interval", areas[row]) };
            held += usize::from((low..=high).contains(&cost));
            width += (high - low) as f64 / cost as f64 / 2.0 / AREAS as f64;
        }
        let share = held * 1000 / AREAS;
        assert!(
            (880..=950).contains(&share),
            "{months} months: {held} of {AREAS} hold, half as wide as {:.2} % of the year",
            width * 100.0
        );
    }
}
