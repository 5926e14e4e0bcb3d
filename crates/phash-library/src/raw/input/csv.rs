//! Comma-separated values (RFC 4180). With a header, that is a first row with a cell named as the column of codes, the
//! columns are found by their names; without one the first cell is the code, and the second, if there is one, the label.

use std::io::Read;

use super::lines::{Lines, MAX_LINE_BYTES};
use super::{CodeEntry, CodePlace, Columns, Each, Source};
use crate::error::{Error, Result};

/// Which cells of a row are meant, from 0.
struct Cells {
    code: usize,
    label: Option<usize>,
}

pub(super) fn read(
    reader: impl Read,
    source: &Source<'_>,
    names: &Columns,
    each: &mut Each<'_>,
) -> Result<()> {
    let mut rows = Rows { lines: Lines::new(reader), row: Vec::new(), cells: Vec::new() };
    let mut bytes = [0; 64];
    let (mut header, mut first_line): (Option<Cells>, u64) = (None, 0);
    while let Some(number) = rows.next(source)? {
        let place = CodePlace::Line(number);
        let columns = match &header {
            Some(columns) => columns,
            None => {
                let named =
                    |name: &str| rows.cells.iter().position(|cell| cell.trim_ascii() == name.as_bytes());
                let found = named(&names.code).map(|code| Cells { code, label: named(&names.label) });
                let is_header = found.is_some();
                first_line = number;
                let columns = header.insert(found.unwrap_or(Cells { code: 0, label: Some(1) }));
                if is_header {
                    continue;
                }
                columns
            }
        };
        let Some(code) = rows.cells.get(columns.code) else {
            let expected = format!("at least {} cells", columns.code + 1);
            return Err(source.wrong(place, expected, rows.cells.len().to_string()));
        };
        let code = source.code(code.trim_ascii(), place, &mut bytes).map_err(|error| match error {
            Error::CodeInput { name, place, expected, got } if place == CodePlace::Line(first_line) => {
                let expected = format!("a header with a column {:?}, or {expected}", names.code);
                Error::CodeInput { name, place, expected, got }
            }
            error => error,
        })?;
        let label = columns.label.and_then(|cell| rows.cells.get(cell)).map_or(&[][..], Vec::as_slice);
        let label = source.label(label, place)?;
        each(&CodeEntry { code, label, place })?;
    }
    Ok(())
}

/// The rows of a file.
struct Rows<R> {
    lines: Lines<R>,
    /// The row as it is written: several lines, if a quoted cell has line ends in it.
    row: Vec<u8>,
    cells: Vec<Vec<u8>>,
}

impl<R: Read> Rows<R> {
    /// Reads the next row that is not empty into `cells`; the number of its first line.
    fn next(&mut self, source: &Source<'_>) -> Result<Option<u64>> {
        self.row.clear();
        // Within a quoted cell the quotes so far are odd in number, whether some of them are doubled or not.
        let (mut first, mut open) = (None, false);
        loop {
            let Some((number, line)) = self.lines.next_with_return(source)? else {
                return match first {
                    Some(number) => Err(source.wrong(
                        CodePlace::Line(number),
                        "a quote that closes the cell",
                        "the end of the file",
                    )),
                    None => Ok(None),
                };
            };
            if first.is_none() && line.trim_ascii().is_empty() {
                continue;
            }
            let begun = *first.get_or_insert(number);
            if self.row.len() + line.len() > MAX_LINE_BYTES {
                let expected = format!("rows of at most {MAX_LINE_BYTES} bytes");
                return Err(source.wrong(
                    CodePlace::Line(begun),
                    expected,
                    "a longer one (is a quote not closed?)",
                ));
            }
            self.row.extend_from_slice(line);
            open ^= line.iter().filter(|&&byte| byte == b'"').count() % 2 == 1;
            if !open {
                // The row's own end; those in quoted cells stay as they are.
                if self.row.last() == Some(&b'\r') {
                    self.row.pop();
                }
                split(&self.row, &mut self.cells);
                return Ok(first);
            }
            self.row.push(b'\n');
        }
    }
}

/// Cuts a row into its cells. Quotes are those around a cell, or doubled in it; others stand for themselves.
fn split(row: &[u8], cells: &mut Vec<Vec<u8>>) {
    let mut used = 0;
    let mut begin = |cells: &mut Vec<Vec<u8>>| {
        match cells.get_mut(used) {
            Some(cell) => cell.clear(),
            None => cells.push(Vec::new()),
        }
        used += 1;
        used - 1
    };
    let mut cell = begin(cells);
    let (mut quoted, mut bytes) = (false, row.iter().copied().peekable());
    while let Some(byte) = bytes.next() {
        match byte {
            b',' if !quoted => cell = begin(cells),
            b'"' if quoted && bytes.peek() == Some(&b'"') => {
                bytes.next();
                cells[cell].push(b'"');
            }
            b'"' if quoted => quoted = false,
            b'"' if cells[cell].is_empty() => quoted = true,
            byte => cells[cell].push(byte),
        }
    }
    cells.truncate(used);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_cut_at_commas_outside_of_quotes() {
        let cut = |row: &str| {
            let mut cells = vec![b"old".to_vec(); 9];
            split(row.as_bytes(), &mut cells);
            cells.into_iter().map(|cell| String::from_utf8(cell).unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(cut("a,b,c"), ["a", "b", "c"]);
        assert_eq!(cut(""), [""]);
        assert_eq!(cut("a,,"), ["a", "", ""]);
        assert_eq!(cut(r#""a,b","say ""x""",c"#), ["a,b", r#"say "x""#, "c"]);
        assert_eq!(cut("\"two\nlines\",\"\""), ["two\nlines", ""]);
        assert_eq!(cut(r#"5" disk,x"#), [r#"5" disk"#, "x"]);
    }
}
