//! From rows back to payloads.

use arrow::array::RecordBatch;
use chrono::{DateTime, Datelike, NaiveDate, SecondsFormat};

use super::{PersonId, format_person, kind};
use crate::benefit;

/// The event that a row was decoded from, without fields that its kind does not have.
///
/// # Panics
/// If the row has not the schema of [`schema`].
pub fn to_json(rows: &RecordBatch, row: usize) -> Vec<u8> {
    use arrow::array::{Array, AsArray};
    use arrow::datatypes::{Date32Type, Int32Type, Int64Type, TimestampMicrosecondType};
    use serde_json::{Value, json};
    let column = |name: &str| rows.column_by_name(name).expect("a column of the schema");
    let text = |name: &str| -> Value {
        let column = column(name).as_string::<i32>();
        if column.is_null(row) { Value::Null } else { column.value(row).into() }
    };
    let int = |name: &str| -> Option<i32> {
        let column = column(name).as_primitive::<Int32Type>();
        column.is_valid(row).then(|| column.value(row))
    };
    let long = |name: &str| -> Option<i64> {
        let column = column(name).as_primitive::<Int64Type>();
        column.is_valid(row).then(|| column.value(row))
    };
    let date = |name: &str| -> Value {
        let column = column(name).as_primitive::<Date32Type>();
        let day =
            column.is_valid(row).then(|| NaiveDate::from_num_days_from_ce_opt(column.value(row) + 719_163));
        day.flatten().map_or(Value::Null, |day| day.to_string().into())
    };
    let month = |months: i32| format!("{:04}-{:02}", 1970 + months.div_euclid(12), months.rem_euclid(12) + 1);
    let mut person = PersonId::default();
    person.copy_from_slice(column("person").as_fixed_size_binary().value(row));
    let recorded = column("recorded_at").as_primitive::<TimestampMicrosecondType>().value(row);
    let recorded = DateTime::from_timestamp_micros(recorded).unwrap_or_default();
    let op =
        ["add", "upsert", "delete"][int("op").and_then(|op| usize::try_from(op).ok()).unwrap_or(0).min(2)];
    let mut event = json!({
        "source": text("source"), "id": text("id"), "op": op, "revision": long("revision"),
        "recorded_at": recorded.to_rfc3339_opts(SecondsFormat::AutoSi, true),
        "person": format_person(&person), "birth": int("birth_month").map(month),
        "sex": int("sex").map(|sex| if sex == 1 { "female" } else { "male" }),
        "municipality": int("municipality"),
    });
    let own = match int("kind").unwrap_or(kind::PAYMENT) {
        _ if op == "delete" => json!({}),
        kind::PAYMENT => json!({
            "benefit": int("benefit").and_then(benefit::code_of), "from": date("from_day"), "to": date("to_day"),
            "minutes": long("minutes"), "amount_oere": long("amount_oere"), "refund_oere": long("refund_oere"),
        }),
        kind::REGISTRATION => {
            json!({ "kind": "registration", "from": date("from_day"), "to": date("to_day") })
        }
        kind::CONTACT => json!({
            "kind": "contact", "due": date("from_day"), "held": date("to_day"), "form": text("detail"),
        }),
        kind::ACTIVATION => json!({
            "kind": "activation", "from": date("from_day"), "to": date("to_day"), "offer": text("detail"),
            "minutes_per_week": long("minutes"),
        }),
        kind::LANGUAGE_TEST => json!({
            "kind": "language_test", "on": date("from_day"), "level": text("detail"),
            "passed": column("passed").as_boolean().value(row), "school": text("school"),
        }),
        kind::ORIGIN => json!({ "kind": "origin", "from": date("from_day"), "origin": text("detail") }),
        _ => {
            let first = column("from_day").as_primitive::<Date32Type>();
            let first = NaiveDate::from_num_days_from_ce_opt(first.value(row) + 719_163).unwrap_or_default();
            json!({
                "month": format!("{:04}-{:02}", first.year(), first.month()),
                "wage_oere": long("amount_oere"), "minutes": long("minutes"),
            })
        }
    };
    if let (Some(event), Value::Object(own)) = (event.as_object_mut(), own) {
        event.extend(own);
    }
    event.to_string().into_bytes()
}
