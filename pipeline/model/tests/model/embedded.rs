//! The embedded model loads, and evaluates nothing to empty tables with the promised columns.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use rettidig_event::{aside, delivery, official};
use rettidig_model::contract;
use rettidig_model::evaluation::disclosed_schema;
use rettidig_model::tables::arrivals_of;
use rettidig_model::{Model, TableInputs};

#[tokio::test]
async fn no_events_give_empty_tables_of_the_promised_form() {
    let model = Model::embedded().expect("the embedded model loads");
    let groups = model
        .evaluate_groups(
            RecordBatch::new_empty(official::schema()),
            RecordBatch::new_empty(aside::schema()),
            &BTreeMap::new(),
        )
        .await
        .expect("no events can be evaluated");
    assert_eq!(groups.vintages, BTreeMap::new());
    let inputs = TableInputs {
        disclosed: RecordBatch::new_empty(disclosed_schema(true)),
        public: model.empty_public().await.expect("empty inputs"),
        deliveries: RecordBatch::new_empty(delivery::schema()),
        as_of: "2026-08-19".parse().expect("date"),
        evaluated_at: "2026-08-19T05:03:20Z".parse().expect("instant"),
        kept: BTreeMap::new(),
    };
    let as_of = inputs.as_of;
    let mut tables = model.evaluate_tables(inputs).await.expect("empty tables");
    let nothing = RecordBatch::new_empty(rettidig_model::local::schema());
    let arrived = arrivals_of(tables.get("completeness")).expect("nothing");
    let months = model.evaluate_months(nothing, arrived, as_of).await.expect("no months");
    let parts = months.iter().map(|(name, rows)| (*name, vec![rows.clone()])).collect();
    let kept = BTreeMap::new();
    let after = model.evaluate_after_months(&tables, &parts, as_of, &kept).await.expect("nothing after them");
    tables.extend(months);
    tables.extend(after);
    assert_eq!(tables.len(), contract::tables().count());
    for table in contract::tables() {
        let batch = &tables[table.name];
        // The tree of goals stands without any figure.
        let stands = matches!(table.name, "theory_of_change" | "goals");
        assert_eq!(batch.num_rows() > 0, stands, "{}", table.name);
        assert_eq!(batch.schema(), table.schema(), "{}", table.name);
    }
}
