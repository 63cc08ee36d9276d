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

/// Writes an error with its causes to stderr, each once: some errors say no more than what they wrap.
pub fn error(error: &anyhow::Error) {
    remark(&format!("error: {error}"));
    let mut causes: Vec<String> = error.chain().skip(1).map(ToString::to_string).collect();
    causes.dedup();
    causes.iter().for_each(|cause| remark(&format!("  because: {cause}")));
}
