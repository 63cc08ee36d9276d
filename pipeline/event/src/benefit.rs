//! The benefits (ydelser) of the contract: codes and the dense numbers they have inside the log.
//!
//! Names, gap rules and validity are reference data of the model (`sql/reference/benefits.csv`); a test there
//! holds both lists together. The numbers stand in files: never reuse one.

/// Code and number of every benefit.
pub const BENEFITS: [(&str, i32); 13] = [
    ("unemployment", 1),
    ("cash", 2),
    ("education_help", 3),
    ("start_help", 4),
    ("sickness", 5),
    ("job_clarification", 6),
    ("rehabilitation", 7),
    ("pre_rehabilitation", 8),
    ("resource", 9),
    ("unemployment_flex", 10),
    ("flex_job", 11),
    ("early_pension", 12),
    ("early_retirement", 13),
];

/// The number of a code.
pub fn number_of(code: &str) -> Option<i32> {
    BENEFITS.iter().find(|(known, _)| *known == code).map(|(_, number)| *number)
}

/// The code of a number.
pub fn code_of(number: i32) -> Option<&'static str> {
    BENEFITS.iter().find(|(_, known)| *known == number).map(|(code, _)| *code)
}
