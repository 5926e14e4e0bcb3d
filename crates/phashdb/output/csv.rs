//! The CSV printer (RFC 4180, but lines end with a newline). One header line, of the first record's columns; records of
//! the same type follow as rows. Records of other types (summaries) have other columns and are left out.

use std::io::{self, Write};

use super::{Printer, Record};

#[derive(Default)]
pub(super) struct Csv {
    header: Option<(&'static str, Vec<String>)>,
}

impl Printer for Csv {
    fn record(&mut self, record: &Record, out: &mut dyn Write) -> io::Result<()> {
        let flat = record.flatten();
        if self.header.is_none() {
            // A summary alone means that there were no rows.
            if record.kind == "summary" {
                return Ok(());
            }
            let columns: Vec<String> = flat.iter().map(|(name, _)| name.clone()).collect();
            write_row(out, columns.iter().map(String::as_str))?;
            self.header = Some((record.kind, columns));
        }
        let Some((kind, columns)) = &self.header else { return Ok(()) };
        if record.kind != *kind && flat.iter().map(|(name, _)| name).ne(columns) {
            return Ok(());
        }
        let cell = |column: &String| {
            flat.iter().find(|(name, _)| name == column).map_or("", |(_, value)| value.as_str())
        };
        write_row(out, columns.iter().map(cell))
    }

    fn finish(&mut self, _out: &mut dyn Write) -> io::Result<()> {
        Ok(())
    }
}

fn write_row<'a>(out: &mut dyn Write, cells: impl Iterator<Item = &'a str>) -> io::Result<()> {
    for (number, cell) in cells.enumerate() {
        if number > 0 {
            out.write_all(b",")?;
        }
        if cell.contains([',', '"', '\n', '\r']) {
            write!(out, "\"{}\"", cell.replace('"', "\"\""))?;
        } else {
            out.write_all(cell.as_bytes())?;
        }
    }
    out.write_all(b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_share_the_header_quotes_are_doubled_and_summaries_left_out() {
        let (mut csv, mut out) = (Csv::default(), Vec::new());
        let row = |label: &str| Record::new("match").with("label", label).with("id", 1u32);
        for record in [row("a,b"), row("say \"x\""), Record::new("summary").with("matches", 2u32)] {
            csv.record(&record, &mut out).unwrap();
        }
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "type,label,id\nmatch,\"a,b\",1\nmatch,\"say \"\"x\"\"\",1\n"
        );
    }
}
