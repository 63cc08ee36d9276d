//! The program as its users start it.

mod cluster;
mod dead_letters;
mod demo;
mod keys;
mod load;
mod outside;
mod persons;
mod roles;
