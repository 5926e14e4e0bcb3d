//! Tables for people: aligned columns as wide as the terminal allows, colours where wanted. Draws text; prints nothing.

use comfy_table::{
    Attribute, Cell, CellAlignment, Color, ColumnConstraint, ContentArrangement, Table, Width,
};

/// How text is drawn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    /// Whether escape codes are used.
    pub(crate) color: bool,
    /// The terminal's width in characters; `None` if there is no terminal: nothing is wrapped then.
    pub(crate) width: Option<u16>,
}

/// What a piece of text means: its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    Plain,
    /// A heading.
    Head,
    /// Less important.
    Dim,
    /// As close as it gets.
    Good,
    /// A number to look at.
    Number,
    /// To be taken with care.
    Care,
    /// Wrong.
    Bad,
}

impl Tone {
    fn style(self) -> anstyle::Style {
        let fg = |color: anstyle::AnsiColor| anstyle::Style::new().fg_color(Some(color.into()));
        match self {
            Tone::Plain => anstyle::Style::new(),
            Tone::Head => anstyle::Style::new().bold(),
            Tone::Dim => anstyle::Style::new().dimmed(),
            Tone::Good => fg(anstyle::AnsiColor::Green),
            Tone::Number => fg(anstyle::AnsiColor::Cyan),
            Tone::Care => fg(anstyle::AnsiColor::Yellow),
            Tone::Bad => fg(anstyle::AnsiColor::Red).bold(),
        }
    }
}

impl Style {
    /// Text in a tone.
    pub(crate) fn paint(&self, tone: Tone, text: &str) -> String {
        if !self.color || tone == Tone::Plain {
            return text.to_owned();
        }
        let style = tone.style();
        format!("{style}{text}{style:#}")
    }
}

/// On which side a column's cells end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

/// A table being filled.
pub(crate) struct Grid {
    table: Table,
    aligns: Vec<Align>,
    color: bool,
}

impl Grid {
    /// A table with these columns. Only the last column is wrapped when the terminal is narrow: numbers stay whole.
    pub(crate) fn new(style: &Style, columns: &[(&str, Align)]) -> Self {
        let mut table = Table::new();
        table.load_style(comfy_table::presets::NOTHING);
        match style.width {
            Some(width) => {
                table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
            }
            None => {
                table.set_content_arrangement(ContentArrangement::Disabled);
            }
        }
        if style.color {
            table.enforce_styling();
        } else {
            table.force_no_tty();
        }
        let mut grid =
            Self { table, aligns: columns.iter().map(|&(_, align)| align).collect(), color: style.color };
        let heads: Vec<Cell> =
            columns.iter().map(|&(head, align)| grid.cell(Tone::Head, head, align)).collect();
        grid.table.set_header(heads);
        let last = columns.len().saturating_sub(1);
        for (number, column) in grid.table.column_iter_mut().enumerate() {
            column.set_padding((if number == 0 { 2 } else { 0 }, 2));
            if number < last {
                column.set_constraint(ColumnConstraint::ContentWidth);
            } else if style.width.is_some() {
                column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(24)));
            }
        }
        grid
    }

    /// Adds a row: a tone and a text for each column.
    pub(crate) fn row(&mut self, cells: &[(Tone, String)]) {
        let cells: Vec<Cell> = cells
            .iter()
            .zip(&self.aligns)
            .map(|((tone, text), &align)| self.cell(*tone, text, align))
            .collect();
        self.table.add_row(cells);
    }

    fn cell(&self, tone: Tone, text: &str, align: Align) -> Cell {
        let cell = Cell::new(text).set_alignment(match align {
            Align::Left => CellAlignment::Left,
            Align::Right => CellAlignment::Right,
        });
        if !self.color {
            return cell;
        }
        match tone {
            Tone::Plain => cell,
            Tone::Head => cell.add_attribute(Attribute::Bold),
            Tone::Dim => cell.add_attribute(Attribute::Dim),
            Tone::Good => cell.fg(Color::DarkGreen),
            Tone::Number => cell.fg(Color::DarkCyan),
            Tone::Care => cell.fg(Color::DarkYellow),
            Tone::Bad => cell.fg(Color::DarkRed).add_attribute(Attribute::Bold),
        }
    }

    /// The table as lines without trailing blanks.
    pub(crate) fn draw(&self) -> String {
        let mut out = String::new();
        for line in self.table.lines() {
            out.push_str(line.trim_end());
            out.push('\n');
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [(&str, Align); 2] = [("distance (bits)", Align::Right), ("model", Align::Left)];

    #[test]
    fn without_a_terminal_nothing_is_wrapped_or_coloured() {
        let mut grid = Grid::new(&Style { color: false, width: None }, &COLUMNS);
        let long = "x".repeat(300);
        grid.row(&[(Tone::Good, "12".to_owned()), (Tone::Plain, long.clone())]);
        let text = grid.draw();
        assert!(text.contains(&long));
        assert!(!text.contains('\u{1b}'));
        assert_eq!(text.lines().count(), 2);
    }

    #[test]
    fn a_narrow_terminal_wraps_the_last_column_and_keeps_numbers_whole() {
        let mut grid = Grid::new(&Style { color: true, width: Some(50) }, &COLUMNS);
        grid.row(&[(Tone::Number, "12".to_owned()), (Tone::Plain, "word/".repeat(30))]);
        let text = grid.draw();
        assert!(text.lines().next().unwrap().contains("distance (bits)"), "{text}");
        assert!(text.contains('\u{1b}'));
        assert!(text.lines().count() > 3, "{text}");
    }
}
