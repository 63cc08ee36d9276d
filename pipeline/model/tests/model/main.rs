//! The model from outside.

mod catalogue;
mod disclosure;
mod embedded;
mod page;
mod theory;
