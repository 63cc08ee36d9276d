use super::*;
use crate::{Message, Reason};
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Date32Type, Int32Type, Int64Type};

const PERSON: &str = "ffc0112233445566778899aabbccddee";

const PAYMENT: &str = r#"{"source":"yr-101","id":"f:2","op":"add","revision":0,"recorded_at":"2026-08-19T06:00:00Z",
    "person":"ffc0112233445566778899aabbccddee","birth":"1990-02","sex":"male","municipality":101,"benefit":"cash",
    "from":"2026-08-03","to":"2026-08-09","minutes":null,"amount_oere":300000,"refund_oere":60000}"#;

const CONTACT: &str = r#"{"source":"amanda-101","id":"contact-7","op":"upsert","revision":3,
    "recorded_at":"2026-08-19T06:00:00Z","person":"ffc0112233445566778899aabbccddee","birth":null,"municipality":101,
    "kind":"contact","due":"2026-08-10","held":null,"form":"meeting"}"#;

fn message(payload: &[u8]) -> Message<'_> {
    Message { partition: 2, offset: 7, payload }
}

fn one(topic: Topic, payload: &str) -> RecordBatch {
    let decoded = decode(topic, [message(payload.as_bytes())]);
    assert_eq!(decoded.rejected, []);
    assert_eq!((decoded.batch.num_rows(), decoded.unknown_fields), (1, 0));
    decoded.batch
}

fn int(batch: &RecordBatch, name: &str) -> Option<i64> {
    let column = batch.column_by_name(name).expect(name);
    if column.is_null(0) {
        return None;
    }
    column
        .as_primitive_opt::<Int64Type>()
        .map(|column| column.value(0))
        .or_else(|| column.as_primitive_opt::<Int32Type>().map(|column| i64::from(column.value(0))))
        .or_else(|| column.as_primitive_opt::<Date32Type>().map(|column| i64::from(column.value(0))))
}

#[test]
fn a_payment_a_contact_and_a_wage_become_rows() {
    let payment = one(Topic::Payments, PAYMENT);
    assert_eq!(int(&payment, "benefit"), Some(2));
    assert_eq!(int(&payment, "amount_oere"), Some(300_000));
    assert_eq!(int(&payment, "birth_month"), Some(20 * 12 + 1));
    let to = int(&payment, "to_day").expect("day");
    assert_eq!(to - int(&payment, "from_day").expect("day"), 6);
    let contact = one(Topic::Cases, CONTACT);
    assert_eq!((int(&contact, "kind"), int(&contact, "to_day")), (Some(2), None));
    let wage = r#"{"source":"income-101","id":"1","op":"upsert","revision":1,"recorded_at":"2026-08-19T06:00:00Z",
        "person":"ffc0112233445566778899aabbccddee","birth":null,"municipality":101,"month":"2024-02",
        "wage_oere":100,"minutes":0}"#;
    let wage = one(Topic::Income, wage);
    assert_eq!(int(&wage, "to_day").expect("day") - int(&wage, "from_day").expect("day"), 28, "a leap year");
}

#[test]
fn a_delete_needs_its_identity_only() {
    let delete = r#"{"source":"ky-101","id":"u","op":"delete","revision":2,"recorded_at":"2026-08-19T06:00:00Z",
        "person":"ffc0112233445566778899aabbccddee","birth":null,"municipality":101}"#;
    for topic in TOPICS {
        assert_eq!(int(&one(topic, delete), "op"), Some(2));
    }
}

#[test]
fn each_kind_of_garbage_is_refused_with_its_reason() {
    let edit = |text: &str, from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        text.replace(from, to)
    };
    let payment = |from: &str, to: &str| (Topic::Payments, edit(PAYMENT, from, to));
    let case = |from: &str, to: &str| (Topic::Cases, edit(CONTACT, from, to));
    let of_school = CONTACT.replace(
        r#""contact""#,
        r#""language_test","on":"2026-06-01","level":"3","passed":true,"school":"west""#,
    );
    let test = |from: &str, to: &str| (Topic::Cases, edit(&of_school, from, to));
    let cases = [
        (payment(r#""benefit":"cash","#, ""), Reason::InvalidField, "missing field `benefit`"),
        (payment("\"cash\"", "\"money\""), Reason::InvalidValue, "benefit: expected one of"),
        (payment("2026-08-09", "2026-08-02"), Reason::InvalidValue, "not before from"),
        (payment("2026-08-09", "2027-08-04"), Reason::InvalidValue, "366 days"),
        (payment("2026-08-09", "2026-02-30"), Reason::InvalidValue, "to: expected a date"),
        (payment("300000", "300000.5"), Reason::InvalidField, "invalid type"),
        (payment("300000", "1000000000001"), Reason::InvalidValue, "amount_oere"),
        (payment("\"add\"", "\"put\""), Reason::InvalidField, "unknown variant"),
        (payment(PERSON, "FFc0112233445566778899aabbccddee"), Reason::InvalidValue, "person"),
        (payment(PERSON, "0101010101"), Reason::InvalidValue, "person"),
        (payment(":101,", ":102,"), Reason::InvalidValue, "municipality"),
        (payment("1990-02", "1990-13"), Reason::InvalidValue, "birth"),
        (payment("\"male\"", "\"x\""), Reason::InvalidField, "unknown variant"),
        (payment("\"f:2\"", "\"\""), Reason::InvalidValue, "id"),
        (case("\"contact\"", "\"call\""), Reason::InvalidValue, "kind"),
        (case(r#""due":"2026-08-10","#, ""), Reason::InvalidField, "missing field `due`"),
        (case(r#","form":"meeting""#, ""), Reason::InvalidField, "missing field `form`"),
        (case("\"revision\":3", "\"revision\":-3"), Reason::InvalidValue, "revision"),
        (test("west", "West 1"), Reason::InvalidValue, "school: expected a code"),
        (test("west", "0101010101"), Reason::InvalidValue, "school: expected a code"),
        (test("west", "total"), Reason::InvalidValue, "school: expected a code"),
        (test("west", ""), Reason::InvalidValue, "school: expected a code"),
    ];
    for ((topic, text), reason, part) in cases {
        let decoded = decode(topic, [message(text.as_bytes())]);
        let [rejected] = &decoded.rejected[..] else { panic!("accepted: {text}") };
        assert_eq!(rejected.reason, reason, "{}", rejected.message);
        assert!(rejected.message.contains(part), "{part}: {}", rejected.message);
        assert!(!rejected.message.contains("0101010101"), "no error repeats what may be a CPR");
        assert_eq!(decoded.batch.num_rows(), 0);
    }
}

#[test]
fn produced_events_decode_and_keys_are_the_persons() {
    let common = PersonFields {
        source: "amanda-101".into(),
        id: "activation-1".into(),
        op: Op::Upsert,
        revision: 1,
        recorded_at: "2026-08-19T06:00:00Z".parse().expect("instant"),
        person: parse_person(PERSON).expect("person"),
        birth: Some("1990-02".into()),
        sex: Some(Sex::Female),
        municipality: 860,
    };
    let from = NaiveDate::from_ymd_opt(2026, 8, 1).expect("date");
    let steps = [
        CaseStep::Registration { from, to: None },
        CaseStep::Contact { due: from, held: Some(from), form: "phone".into() },
        CaseStep::Activation { from, to: None, offer: "company".into(), minutes_per_week: 2_220 },
        CaseStep::LanguageTest { on: from, level: "3".into(), passed: true, school: None },
        CaseStep::LanguageTest { on: from, level: "3".into(), passed: true, school: Some("vejle-1".into()) },
        CaseStep::Origin { origin: "western".into(), from },
    ];
    // What a row is written back to decodes to the same row.
    let again = |topic: Topic, payload: &[u8]| {
        let row = one(topic, std::str::from_utf8(payload).expect("text"));
        let back = to_json(&row, 0);
        assert_eq!(one(topic, std::str::from_utf8(&back).expect("text")), row);
    };
    for step in steps {
        let event = CaseEvent { common: common.clone(), step };
        assert_eq!(event.key(), PERSON);
        again(Topic::Cases, &event.to_json());
    }
    let payment = PaymentEvent {
        common: common.clone(),
        benefit: "sickness".into(),
        from,
        to: from,
        minutes: Some(60),
        amount_oere: -5,
        refund_oere: 0,
    };
    again(Topic::Payments, &payment.to_json());
    let income = IncomeEvent { common, month: "2026-08".into(), wage_oere: 1, minutes: 0 };
    again(Topic::Income, &income.to_json());
}

#[test]
fn buckets_and_partitions_follow_the_first_ten_bits() {
    let person = parse_person(PERSON).expect("person");
    assert_eq!(format_person(&person), PERSON);
    assert_eq!(bucket_of(&person), 1_023);
    assert_eq!((partition_of(&person, 16), partition_of(&[0; 16], 16)), (15, 0));
}
