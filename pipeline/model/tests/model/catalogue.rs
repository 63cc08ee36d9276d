//! What the loader refuses: every problem at once, with file, line and the nearest known name.

use rettidig_model::{Model, SourceFile};

pub(crate) fn with(path: &str, from: &str, to: &str) -> String {
    let mut files: Vec<SourceFile> = Model::embedded_files();
    let file = files.iter_mut().find(|file| file.path == path).expect("the file");
    assert!(file.text.contains(from), "{path} holds {from}");
    file.text = file.text.replace(from, to);
    Model::load(files).expect_err("the loader refuses it").to_string()
}

#[test]
fn unknown_tables_forbidden_layers_circles_and_clocks_are_refused() {
    let indicator = "indicators/full_time_unemployed.sql";
    let error = with(indicator, "FROM official_cells", "FROM oficial_cells");
    assert!(
        error.contains(
            "full_time_unemployed.sql:12: unknown table oficial_cells; did you mean official_cells?"
        ),
        "{error}"
    );
    let error = with(indicator, "FROM official_cells", "FROM official_figures");
    assert!(error.contains("layer P may not read official_figures"), "{error}");
    let error = with("tables/vintages.sql", "FROM disclosed\n)", "FROM official_cells\n)");
    assert!(error.contains("layer T may not read official_cells"), "past disclosure control: {error}");
    let monthly = "tables/local_indicators.sql";
    for other in ["indicators", "freshness"] {
        let error = with(monthly, "FROM evaluation", &format!("FROM evaluation, {other}"));
        assert!(error.contains(&format!("layer T may not read {other}")), "months are made alone: {error}");
    }
    let error = with("tables/settlement.sql", "FROM ranked", "FROM ranked, local_indicators");
    let after = "layer T may not read disclosed: see";
    assert!(error.contains(after), "what reads tables of persons reads no others' sources: {error}");
    let error = with("tables/settlement.sql", "FROM ranked", "FROM ranked, comparisons");
    assert!(error.contains("reads itself in a circle"), "{error}");
    let error = with("tables/freshness.sql", "NULL AS published", "now() AS published");
    assert!(error.contains("now depends on when it runs"), "{error}");
    let error = with(indicator, "-- feeds: ", "-- feed: ");
    assert!(error.contains("unknown header key \"feed\"; did you mean feeds?"), "{error}");
    let error = with(
        "indicators/full_time_unemployed_rate.sql",
        "-- counts: full_time_unemployed",
        "-- counts: full_time_employed",
    );
    assert!(error.contains("did you mean full_time_unemployed?"), "{error}");
}

#[test]
fn a_measure_may_say_nothing_that_does_not_add_up() {
    let measure = "measures/amounts.sql";
    for (from, to, line, part) in [
        ("sum(amount_oere)", "avg(amount_oere)", 10, "AVG: its result is no integer"),
        ("sum(amount_oere)", "max(amount_oere)", 10, "MAX: only SUM and COUNT"),
        ("sum(amount_oere)", "MIN(amount_oere)", 10, "MIN: only SUM and COUNT"),
        ("sum(amount_oere)", "count(DISTINCT person)", 10, "DISTINCT: make rows unique in a local model"),
        ("sum(amount_oere)", "sum(amount_oere) OVER ()", 10, "window functions: order rows in a local model"),
        ("sum(amount_oere)", "sum(CAST(amount_oere AS DOUBLE))", 10, "the type double: cells are integers"),
        ("sum(amount_oere)", "sum(amount_oere * 1.5)", 10, "the float 1.5: cells are integers"),
        (
            "GROUP BY municipality, benefit, \"month\"",
            "GROUP BY municipality, benefit, \"month\" LIMIT 5",
            12,
            "LIMIT",
        ),
        ("FROM interval_months", "FROM payments", 8, "layer A may not read payments"),
        ("FROM interval_months", "FROM interval_months CROSS JOIN as_of", 8, "layer A may not read as_of"),
    ] {
        let error = with(measure, from, to);
        assert!(error.contains(&format!("amounts.sql:{line}: ")) && error.contains(part), "{to}: {error}");
    }
    // A derived measure is made whole every time and may, but it may not reach past the cells.
    let error = with("measures/spell_stocks.sql", "FROM spell_changes", "FROM spells");
    assert!(error.contains("layer A may not read spells"), "{error}");
    let error = with("spells/intervals.sql", "sum(amount_oere)", "avg(amount_oere)");
    assert!(error.contains("layer L may not use AVG"), "{error}");
    let error = with("spells/intervals.sql", "-- local: person", "-- derived: yes\n-- local: person");
    assert!(error.contains("only measures (layer A) can be derived"), "{error}");
}
