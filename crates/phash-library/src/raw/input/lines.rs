//! Owns [`Lines`]: the lines of a text file, numbered, without their ends, none longer than a limit: a file without line
//! ends cannot fill the memory.

use std::io::{BufRead as _, BufReader, Read};

use super::{CodePlace, Source};
use crate::error::Result;

/// The greatest length of a line in bytes: a label of 64 KiB, each byte escaped in JSON, fits.
pub(super) const MAX_LINE_BYTES: usize = 1 << 20;
/// Bytes read at once.
const BUFFER_BYTES: usize = 1 << 18;

/// The lines of a file.
pub(super) struct Lines<R> {
    reader: BufReader<R>,
    line: Vec<u8>,
    number: u64,
}

impl<R: Read> Lines<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader: BufReader::with_capacity(BUFFER_BYTES, reader), line: Vec::new(), number: 0 }
    }

    /// The next line and its number, without its end (a newline, and a carriage return before it) and, if it is the
    /// first, without a byte order mark.
    pub(super) fn next(&mut self, source: &Source<'_>) -> Result<Option<(u64, &[u8])>> {
        let line = self.next_with_return(source)?;
        Ok(line.map(|(number, line)| (number, line.strip_suffix(b"\r").unwrap_or(line))))
    }

    /// The same with its carriage return, which may belong to a quoted cell.
    pub(super) fn next_with_return(&mut self, source: &Source<'_>) -> Result<Option<(u64, &[u8])>> {
        self.line.clear();
        let mut limited = (&mut self.reader).take(MAX_LINE_BYTES as u64 + 1);
        let len = limited.read_until(b'\n', &mut self.line).map_err(|error| source.failed(error))?;
        if len == 0 {
            return Ok(None);
        }
        (source.read)(len as u64);
        self.number += 1;
        if len > MAX_LINE_BYTES {
            let expected = format!("lines of at most {MAX_LINE_BYTES} bytes");
            return Err(source.wrong(CodePlace::Line(self.number), expected, "a longer one"));
        }
        let mut line = self.line.strip_suffix(b"\n").unwrap_or(&self.line);
        if self.number == 1 {
            line = line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(line);
        }
        Ok(Some((self.number, line)))
    }
}
