//! The log on disk: record batches as they came, in append-only segment files. `batch` knows the bytes of a
//! batch, `segment` one file, `partition` the run of files and who may append, `recovery` what is done at
//! start, `files` how small files are replaced whole. Offsets count messages; positions and sizes are bytes.

pub(crate) mod batch;
pub(crate) mod files;
pub(crate) mod partition;
pub(crate) mod recovery;
#[cfg(test)]
pub(crate) mod samples;
pub(crate) mod segment;
#[cfg(test)]
mod tests;
