//! The codes that the model knows: an event with another one is put aside until the model knows it.
//!
//! The event types check codes against the lists they are compiled with. The model has reference tables of its own; a
//! payment of a benefit that has no row there has no gap rule, and would go missing in silence.

use std::collections::BTreeSet;

use arrow::array::{Array, AsArray, BooleanArray};
use arrow::compute::filter_record_batch;
use arrow::datatypes::Int32Type;
use rettidig_event::{Decoded, Message, Reason, Rejected, Topic, benefit, person};
use rettidig_model::Model;

use crate::RuntimeError;
use crate::groups::column;

/// The codes of a model.
#[derive(Debug)]
pub struct Codes {
    benefits: BTreeSet<i32>,
}

impl Codes {
    /// Reads the reference tables; without a table of benefits none is known.
    pub fn of(model: &Model) -> Self {
        let numbers = model.reference.get("benefits").and_then(|benefits| benefits.column_by_name("number"));
        let numbers = numbers.and_then(|column| column.as_primitive_opt::<Int32Type>());
        Self { benefits: numbers.into_iter().flatten().flatten().collect() }
    }

    /// Decodes events about persons; those with a code that the model does not know are rejected.
    ///
    /// # Errors
    /// Only if Arrow fails, which is a bug.
    pub(crate) fn decode<'m>(
        &self,
        topic: Topic,
        messages: impl IntoIterator<Item = Message<'m>>,
    ) -> Result<Decoded, RuntimeError> {
        let mut decoded = person::decode(topic, messages);
        let number = column(&decoded.batch, "benefit")?.as_primitive::<Int32Type>();
        let is_known = |row| number.is_null(row) || self.benefits.contains(&number.value(row));
        let keep: BooleanArray = (0..number.len()).map(is_known).map(Some).collect();
        if keep.false_count() == 0 {
            return Ok(decoded);
        }
        let mut refused = decoded.rejected.iter().map(|rejected| rejected.index).peekable();
        let accepted = (0_usize..).filter(|index| refused.next_if_eq(index).is_none());
        let mut unknown = Vec::new();
        for (row, index) in (0..number.len()).zip(accepted) {
            if !keep.value(row) {
                let code = benefit::BENEFITS.iter().find(|(_, known)| *known == number.value(row));
                let message = format!(
                    "benefit: {} has no row in sql/reference/benefits.csv; send it again when it has",
                    code.map_or("the code", |(code, _)| code)
                );
                unknown.push(Rejected { index, reason: Reason::InvalidValue, message });
            }
        }
        decoded.batch = filter_record_batch(&decoded.batch, &keep)?;
        decoded.rejected.extend(unknown);
        decoded.rejected.sort_by_key(|rejected| rejected.index);
        Ok(decoded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payment(benefit: &str) -> Vec<u8> {
        format!(
            r#"{{"source":"yr-101","id":"1","op":"add","recorded_at":"2026-08-19T07:00:00Z","person":"00ff00ff00ff00ff00ff00ff00ff00ff","birth":null,"municipality":101,"benefit":"{benefit}","from":"2026-07-06","to":"2026-07-12","minutes":null,"amount_oere":1,"refund_oere":0}}"#
        )
        .into_bytes()
    }

    #[test]
    fn a_benefit_without_a_row_is_rejected_at_its_place_among_the_others() {
        let mut files = Model::embedded_files();
        for file in files.iter_mut().filter(|file| file.path == "reference/benefits.csv") {
            file.text = file
                .text
                .lines()
                .filter(|line| !line.starts_with("flex_job,"))
                .fold(String::new(), |text, line| text + line + "\n");
        }
        let codes = Codes::of(&Model::load(files).expect("the model loads"));
        let payloads =
            [&b"{"[..], &payment("flex_job"), &payment("cash"), &payment("none"), &payment("flex_job")];
        let messages =
            || payloads.iter().zip(0..).map(|(payload, offset)| Message { partition: 0, offset, payload });
        let decoded = codes.decode(Topic::Payments, messages()).expect("decoded");
        let rejected: Vec<(usize, Reason)> = decoded.rejected.iter().map(|r| (r.index, r.reason)).collect();
        let invalid = Reason::InvalidValue;
        assert_eq!(rejected, [(0, Reason::MalformedJson), (1, invalid), (3, invalid), (4, invalid)]);
        assert!(decoded.rejected[1].message.contains("flex_job has no row"), "{:?}", decoded.rejected[1]);
        assert_eq!(decoded.batch.num_rows(), 1);
        let embedded = Codes::of(&Model::embedded().expect("model"));
        assert_eq!(embedded.decode(Topic::Payments, messages()).expect("decoded").batch.num_rows(), 3);
    }
}
