//! Hexadecimal lines: a code, and behind a blank perhaps its label, to the end of the line. Empty lines are skipped.

use std::io::Read;

use super::lines::Lines;
use super::{CodeEntry, CodePlace, Each, Source};
use crate::error::Result;

pub(super) fn read(reader: impl Read, source: &Source<'_>, each: &mut Each<'_>) -> Result<()> {
    let mut lines = Lines::new(reader);
    let mut bytes = [0; 64];
    while let Some((number, line)) = lines.next(source)? {
        let place = CodePlace::Line(number);
        let line = line.trim_ascii();
        if line.is_empty() {
            continue;
        }
        let end = line.iter().position(u8::is_ascii_whitespace).unwrap_or(line.len());
        let (code, label) = line.split_at(end);
        let code = source.code(code, place, &mut bytes)?;
        let label = source.label(label.trim_ascii_start(), place)?;
        each(&CodeEntry { code, label, place })?;
    }
    Ok(())
}
