//! The CSV printer (RFC 4180, but lines end with a newline). One header line: the columns that the command declared, or those
//! of the first record. A declared column that names an object holds it as JSON. Summaries are left out: they are no rows.

use std::borrow::Cow;
use std::io::{self, Write};

use super::{Printer, Record};

#[derive(Default)]
pub(super) struct Csv {
    columns: Vec<String>,
    headed: bool,
}

impl Printer for Csv {
    fn columns(&mut self, columns: &[&str]) {
        self.columns = columns.iter().map(|&column| column.to_owned()).collect();
    }

    fn record(&mut self, record: &Record, out: &mut dyn Write) -> io::Result<()> {
        if record.kind == "summary" {
            return Ok(());
        }
        let flat = record.flatten();
        if self.columns.is_empty() {
            self.columns = flat.iter().map(|(name, _)| name.clone()).collect();
        }
        if !std::mem::replace(&mut self.headed, true) {
            write_row(out, self.columns.iter().map(String::as_str))?;
        }
        let cells: Vec<Cow<'_, str>> = self
            .columns
            .iter()
            .map(|column| match flat.iter().find(|(name, _)| name == column) {
                Some((_, value)) => Cow::Borrowed(value.as_str()),
                // A map whose keys are no columns is one cell.
                None => record
                    .fields
                    .iter()
                    .find(|(name, _)| name == column)
                    .map_or(Cow::Borrowed(""), |(_, value)| Cow::Owned(value.to_json())),
            })
            .collect();
        write_row(out, cells.iter().map(AsRef::as_ref))
    }

    fn finish(&mut self, out: &mut dyn Write) -> io::Result<()> {
        // Declared columns are told even if no row has come.
        if !self.headed && !self.columns.is_empty() {
            write_row(out, self.columns.iter().map(String::as_str))?;
        }
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
    fn declared_columns_hold_for_records_of_every_type() {
        let (mut csv, mut out) = (Csv::default(), Vec::new());
        csv.columns(&["type", "path", "reason"]);
        csv.record(&Record::new("ingested").with("path", "a").with("id", 1u32), &mut out).unwrap();
        csv.record(&Record::new("skipped").with("path", "b").with("reason", "empty"), &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "type,path,reason\ningested,a,\nskipped,b,empty\n");
    }

    #[test]
    fn a_map_is_one_cell_of_json_whatever_its_keys() {
        let (mut csv, mut out) = (Csv::default(), Vec::new());
        csv.columns(&["path", "reasons"]);
        let row = |path: &str, reasons: Vec<(&str, u32)>| {
            Record::new("hash").with("path", path).with("reasons", super::super::Value::object(reasons))
        };
        csv.record(&row("a", vec![]), &mut out).unwrap();
        csv.record(&row("b", vec![("too small", 3)]), &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "path,reasons\na,{}\nb,\"{\"\"too small\"\":3}\"\n");
    }

    #[test]
    fn declared_columns_are_told_without_a_row() {
        let (mut csv, mut out) = (Csv::default(), Vec::new());
        csv.columns(&["type", "path"]);
        csv.finish(&mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "type,path\n");
    }

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
