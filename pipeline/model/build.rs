//! Recompiles the crate when a file of the embedded model changes.
fn main() {
    println!("cargo:rerun-if-changed=../../sql");
}
