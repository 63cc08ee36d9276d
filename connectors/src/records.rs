//! stub

mod lines;
mod name;
mod row;
mod values;
