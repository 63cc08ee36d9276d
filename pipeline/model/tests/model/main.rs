//! The model from outside.

mod catalogue;
mod contracts;
mod disclosure;
mod embedded;
mod goals;
mod page;
mod theory;
