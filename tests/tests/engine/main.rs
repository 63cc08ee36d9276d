//! The engine from outside: definitions against goldens and another implementation, faults, processes with roles. One
//! program, because each one more takes as long to link as all of its tests to run.

mod architecture;
mod as_known;
mod budgets;
mod dead_letters;
mod drift;
mod explain;
mod faults;
mod frozen;
mod golden;
mod measure_goldens;
mod measures;
mod merged_numbers;
mod persons;
mod pipeline;
mod roles;
mod silence;

/// As in the program; planning SQL is mostly allocating.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
