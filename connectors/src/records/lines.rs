//! Cuts a stream of bytes into lines, whatever pieces it comes in, and turns a line into text.
//!
//! A record is one line: `\n` or `\r\n` ends it, the last one may be without. Line numbers count from 1. Lines
//! are cut before they are decoded, which is the same in both encodings that are read, so that a line which is
//! no text can still be put aside with its bytes. Memory is bounded by [`LINE_BYTES_MAX`].

use std::borrow::Cow;

use encoding_rs::WINDOWS_1252;
use rettidig_event::Reason;

use crate::emit::Refusal;

/// The longest line, bytes; what is longer is put aside with its beginning.
pub(crate) const LINE_BYTES_MAX: usize = 256 << 10;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// How a file's text is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    Utf8,
    Windows1252,
}

impl Encoding {
    /// The text of a line.
    pub(crate) fn decode<'l>(self, line: &'l [u8]) -> Result<Cow<'l, str>, Refusal> {
        match self {
            Self::Windows1252 => Ok(WINDOWS_1252.decode_without_bom_handling(line).0),
            Self::Utf8 => std::str::from_utf8(line).map(Cow::Borrowed).map_err(|error| {
                let message = format!("expected UTF-8; byte {} of the line is not", error.valid_up_to());
                Refusal::new(Reason::WrongEncoding, message)
            }),
        }
    }
}

/// One line without its end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Line<'a> {
    /// Counted from 1.
    pub number: u64,
    /// The bytes; only the first [`LINE_BYTES_MAX`] of a longer one.
    pub bytes: &'a [u8],
    /// Whether it is longer than that.
    pub cut: bool,
}

/// The state between pieces.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    line: Vec<u8>,
    number: u64,
    cut: bool,
    complete: bool,
}

impl Lines {
    /// Takes the next line's bytes off the piece; `None` once the piece is used up in the middle of a line.
    pub(crate) fn next<'a>(&'a mut self, piece: &mut &[u8]) -> Option<Line<'a>> {
        if self.complete {
            self.line.clear();
            (self.complete, self.cut) = (false, false);
        }
        let end = piece.iter().position(|b| *b == b'\n');
        let (bytes, rest) = piece.split_at(end.unwrap_or(piece.len()));
        let room = LINE_BYTES_MAX - self.line.len();
        self.cut |= bytes.len() > room;
        self.line.extend_from_slice(&bytes[..bytes.len().min(room)]);
        *piece = rest;
        end?;
        *piece = &piece[1..];
        Some(self.complete())
    }

    /// The last line, if it had no end.
    pub(crate) fn finish(&mut self) -> Option<Line<'_>> {
        (!self.complete && !self.line.is_empty()).then(|| self.complete())
    }

    fn complete(&mut self) -> Line<'_> {
        self.complete = true;
        self.number += 1;
        let mut bytes = self.line.as_slice();
        if !self.cut {
            bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
        }
        if self.number == 1 {
            bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
        }
        Line { number: self.number, bytes, cut: self.cut }
    }
}

/// Whether a stream is UTF-8, seen in pieces.
#[derive(Debug, Default)]
pub(crate) struct Utf8Check {
    /// The beginning of a character that the next piece goes on with.
    open: Vec<u8>,
    invalid: bool,
}

impl Utf8Check {
    pub(crate) fn piece(&mut self, mut piece: &[u8]) {
        while !self.invalid && !self.open.is_empty() && !piece.is_empty() {
            self.open.push(piece[0]);
            piece = &piece[1..];
            match std::str::from_utf8(&self.open) {
                Ok(_) => self.open.clear(),
                Err(error) => self.invalid = error.error_len().is_some(),
            }
        }
        if self.invalid {
            return;
        }
        if let Err(error) = std::str::from_utf8(piece) {
            self.invalid = error.error_len().is_some();
            self.open.extend_from_slice(&piece[error.valid_up_to()..]);
        }
    }

    /// The verdict once everything was seen.
    pub(crate) fn encoding(&self) -> Encoding {
        if self.invalid || !self.open.is_empty() { Encoding::Windows1252 } else { Encoding::Utf8 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lines(pieces: &[&[u8]]) -> Vec<(u64, Vec<u8>, bool)> {
        let mut state = Lines::default();
        let mut found = Vec::new();
        for piece in pieces {
            let mut piece = *piece;
            while let Some(line) = state.next(&mut piece) {
                found.push((line.number, line.bytes.to_vec(), line.cut));
            }
        }
        found.extend(state.finish().map(|line| (line.number, line.bytes.to_vec(), line.cut)));
        found
    }

    fn texts(bytes: &[u8]) -> Vec<String> {
        lines(&[bytes]).into_iter().map(|(_, line, _)| String::from_utf8(line).expect("text")).collect()
    }

    #[test]
    fn ends_and_the_mark() {
        assert_eq!(texts(b"\xef\xbb\xbfa\r\nb\n\nc"), ["a", "b", "", "c"]);
        assert_eq!(texts(b"a\n"), ["a"]);
        assert!(texts(b"").is_empty());
    }

    #[test]
    fn a_line_that_is_too_long_is_cut_and_the_next_one_is_whole() {
        let mut bytes = vec![b'x'; LINE_BYTES_MAX + 5];
        bytes.extend_from_slice(b"\nnext\n");
        let found = lines(&[&bytes[..100], &bytes[100..]]);
        assert_eq!((found[0].1.len(), found[0].2), (LINE_BYTES_MAX, true));
        assert_eq!(found[1], (2, b"next".to_vec(), false));
    }

    proptest! {
        /// Any cut into pieces gives the same lines and the same verdict on the encoding.
        #[test]
        fn pieces_do_not_matter(
            bytes in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), Just(0xc3), Just(0xa6), any::<u8>()], 0..80),
            cuts in proptest::collection::vec(0_usize..80, 0..6),
        ) {
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
            prop_assert_eq!(lines(&pieces), lines(&[&bytes]));
            let mut check = Utf8Check::default();
            pieces.iter().for_each(|piece| check.piece(piece));
            let expected = std::str::from_utf8(&bytes).map_or(Encoding::Windows1252, |_| Encoding::Utf8);
            prop_assert_eq!(check.encoding(), expected);
        }
    }
}
