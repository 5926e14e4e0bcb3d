//! Owns the printed table: Markdown, columns as wide as their widest cell, numbers to the right; and the same rows as JSON
//! lines.

use serde_json::{Map, Value};

/// A table of text cells.
#[derive(Clone, Debug)]
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these column heads.
    #[must_use]
    pub fn new(head: &[&str]) -> Self {
        Self { rows: vec![head.iter().map(|&cell| cell.to_owned()).collect()] }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// The table as Markdown.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            self.rows
                .iter()
                .filter_map(|row| row.get(column))
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut text = String::new();
        for (number, row) in self.rows.iter().enumerate() {
            for (column, width) in widths.iter().enumerate() {
                let cell = row.get(column).map_or("", String::as_str);
                text.push_str(&if column == 0 {
                    format!("| {cell:<width$} ")
                } else {
                    format!("| {cell:>width$} ")
                });
            }
            text.push_str("|\n");
            if number == 0 {
                for (column, width) in widths.iter().enumerate() {
                    text.push_str(&format!("|-{:-<width$}{}", "", if column == 0 { "-" } else { ":" }));
                }
                text.push_str("|\n");
            }
        }
        text
    }

    /// The rows as JSON lines: the cells by their column's head, and the name of the table as `table`.
    #[must_use]
    pub fn to_json_lines(&self, name: &str) -> String {
        let (head, rows) =
            self.rows.split_first().map_or((&[][..], &[][..]), |(head, rows)| (&head[..], rows));
        let line = |row: &Vec<String>| {
            let cells = head.iter().zip(row).map(|(head, cell)| (head.clone(), json(cell)));
            let object: Map<String, Value> =
                std::iter::once(("table".to_owned(), Value::from(name))).chain(cells).collect();
            Value::from(object).to_string() + "\n"
        };
        rows.iter().map(line).collect()
    }
}

/// A cell as a JSON value: a number if it is one, a share of 1 if it is in percent, a list if it is numbers with slashes
/// between, else the text.
fn json(cell: &str) -> Value {
    let numbers: Option<Vec<f64>> = cell.split(" / ").map(|number| number.parse().ok()).collect();
    if let Some(numbers @ [_, _, ..]) = numbers.as_deref() {
        return Value::from(numbers);
    }
    let percent = cell.strip_suffix(" %").and_then(|number| number.parse::<f64>().ok());
    let number = percent.map(|percent| (percent * 10.0).round() / 1000.0).or_else(|| cell.parse().ok());
    number.map_or_else(|| Value::from(cell), Value::from)
}

/// A share in whole percent; empty if there is nothing to have a share of.
#[must_use]
pub fn percent(part: usize, whole: usize) -> String {
    if whole == 0 { String::new() } else { format!("{:.0} %", 100.0 * part as f64 / whole as f64) }
}

/// Nanoseconds in the unit a reader expects, three digits.
#[must_use]
pub fn time(ns: f64) -> String {
    let (value, unit) = match ns {
        ns if ns < 1e3 => (ns, "ns"),
        ns if ns < 1e6 => (ns / 1e3, "µs"),
        ns if ns < 1e9 => (ns / 1e6, "ms"),
        ns => (ns / 1e9, "s"),
    };
    let digits = if value < 10.0 { 2 } else { usize::from(value < 100.0) };
    format!("{value:.digits$} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_times_have_three_digits() {
        let mut table = Table::new(&["what", "n"]);
        table.row(["a".to_owned(), "1000".to_owned()]);
        assert_eq!(table.to_markdown(), "| what |    n |\n|------|-----:|\n| a    | 1000 |\n");
        table.row(["b".to_owned(), "50 %".to_owned()]);
        table.row(["c".to_owned(), "1 / 2".to_owned()]);
        let lines = "{\"n\":1000.0,\"table\":\"t\",\"what\":\"a\"}\n{\"n\":0.5,\"table\":\"t\",\"what\":\"b\"}\n{\"n\":[1.0,2.0],\"table\":\"t\",\"what\":\"c\"}\n";
        assert_eq!(table.to_json_lines("t"), lines);
        assert_eq!([time(5.0), time(12_340.0), time(2e9)], ["5.00 ns", "12.3 µs", "2.00 s"]);
    }
}
