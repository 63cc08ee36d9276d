//! Writing for people and machines: stdout is data, stderr is everything else.

use std::io::{self, Write};

/// Writes a line to stdout. A reader that went away (`| head`) is no failure.
pub fn line(text: &str) -> io::Result<()> {
    match writeln!(io::stdout().lock(), "{text}") {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// Writes a remark to stderr; there is nowhere to tell if that fails.
pub fn remark(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Writes an error with its causes to stderr.
pub fn error(error: &anyhow::Error) {
    remark(&format!("error: {error}"));
    for cause in error.chain().skip(1) {
        remark(&format!("  because: {cause}"));
    }
}
