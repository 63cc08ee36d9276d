//! The model from outside.

mod catalogue;
mod disclosure;
mod embedded;
mod goals;
mod page;
mod theory;
