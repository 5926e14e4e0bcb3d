//! The JSON printers: one array of objects, or one object a line.

use std::io::{self, Write};

use super::{Printer, Record};

/// One JSON array.
#[derive(Default)]
pub(super) struct Array {
    begun: bool,
}

impl Printer for Array {
    fn record(&mut self, record: &Record, out: &mut dyn Write) -> io::Result<()> {
        let lead = if std::mem::replace(&mut self.begun, true) { ",\n  " } else { "[\n  " };
        write!(out, "{lead}{}", record.to_json())
    }

    fn finish(&mut self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "{}", if self.begun { "\n]" } else { "[]" })
    }
}

/// One JSON object a line.
pub(super) struct Lines;

impl Printer for Lines {
    fn record(&mut self, record: &Record, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "{}", record.to_json())
    }

    fn finish(&mut self, _out: &mut dyn Write) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_array_is_one_document_however_many_records() {
        for count in 0..3 {
            let (mut printer, mut out) = (Array::default(), Vec::new());
            for id in 0..count {
                printer.record(&Record::new("match").with("id", id), &mut out).unwrap();
            }
            printer.finish(&mut out).unwrap();
            let read: serde_json::Value = serde_json::from_slice(&out).unwrap();
            assert_eq!(read.as_array().unwrap().len(), count);
        }
    }
}
