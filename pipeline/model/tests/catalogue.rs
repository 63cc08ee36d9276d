//! What the loader refuses: every problem at once, with file, line and the nearest known name.

use rettidig_model::{Model, SourceFile};

fn with(path: &str, from: &str, to: &str) -> String {
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
    let error = with("tables/settlement.sql", "FROM ranked", "FROM ranked, comparisons");
    assert!(error.contains("reads itself in a circle"), "{error}");
    let error = with("tables/targets.sql", "NULL AS DOUBLE", "now() AS DOUBLE");
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
