//! The oracle against histories worked out by hand.

mod days_and_money;
mod identities;
mod spells;
mod support;
