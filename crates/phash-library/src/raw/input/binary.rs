//! Binary codes: their bytes one after the other, nothing else. A length that is no whole number of codes is an error, of
//! a file before anything is read.

use std::io::{self, Read};

use super::{CodeEntry, CodePlace, Each, Source};
use crate::error::Result;

/// Bytes read at once; a multiple of every code's length.
const BUFFER_BYTES: usize = 1 << 18;

pub(super) fn read(
    mut reader: impl Read,
    len_bytes: Option<u64>,
    source: &Source<'_>,
    each: &mut Each<'_>,
) -> Result<()> {
    let width = source.width.bytes();
    let odd = |len: u64| {
        let expected = format!("a whole number of codes of {width} bytes");
        let got = format!("{len} bytes, {} too many", len % width as u64);
        source.wrong(CodePlace::Whole, expected, got)
    };
    if let Some(len) = len_bytes.filter(|len| len % width as u64 != 0) {
        return Err(odd(len));
    }
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut at = 0;
    loop {
        let filled = fill(&mut reader, &mut buffer).map_err(|error| source.failed(error))?;
        (source.read)(filled as u64);
        let codes = buffer[..filled].chunks_exact(width);
        let rest = codes.remainder().len();
        for code in codes {
            each(&CodeEntry { code, label: None, place: CodePlace::Byte(at) })?;
            at += width as u64;
        }
        if rest > 0 {
            return Err(odd(at + rest as u64));
        }
        if filled < BUFFER_BYTES {
            return Ok(());
        }
    }
}

/// Fills the buffer, or as much of it as there is.
fn fill(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match reader.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
