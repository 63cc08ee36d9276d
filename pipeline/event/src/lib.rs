//! Events, their Arrow schemas, units, and the traits at the edges.
//!
//! This is the leaf crate: every other crate knows it and it knows none of them. It holds what crosses a
//! boundary and nothing else: the JSON events that travel on Kafka ([`person`], [`official`], [`delivery`],
//! [`dead_letter`]; [`refused`] and [`aside`] are what of unusable ones can be told), the topics they travel on ([`topic`]), the units they are counted in ([`units`],
//! [`period`]), the clock ([`clock`]) and the two traits a connector is written against ([`source`]).
//! It does no IO.

pub mod aside;
pub mod benefit;
pub mod clock;
pub mod dead_letter;
pub mod decode;
pub mod delivery;
pub mod municipality;
pub mod official;
pub mod period;
pub mod person;
pub mod refused;
pub mod source;
pub mod topic;
pub mod units;

pub use clock::{Clock, ManualClock, SystemClock};
pub use dead_letter::{DeadLetter, Origin, Reason};
pub use decode::{Decoded, Message, Rejected};
pub use delivery::DeliveryEvent;
pub use official::{OfficialEvent, OfficialStatus};
pub use period::Period;
pub use person::{CaseEvent, CaseStep, IncomeEvent, Op, PaymentEvent, PersonFields, PersonId, Sex};
pub use source::{PollOutcome, Sink, SinkError, Source, SourceError};
pub use topic::Topic;
