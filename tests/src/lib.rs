//! Tests that cross crates: goldens, faults, contracts of the sources, tables read by other engines.
