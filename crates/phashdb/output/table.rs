//! Tables for people: aligned columns as wide as the terminal allows, colours where wanted. Draws text; prints nothing.
//! Every cell and every painted text goes through [`visible`]: names from files cannot act on the terminal.

use comfy_table::{Attribute, Cell, CellAlignment, Color, ColumnConstraint, ContentArrangement, Table};

use super::visible;

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
    /// One line of text in a tone.
    pub(crate) fn paint(&self, tone: Tone, text: &str) -> String {
        let text = visible(text);
        if !self.color || tone == Tone::Plain {
            return text.into_owned();
        }
        let style = tone.style();
        format!("{style}{text}{style:#}")
    }
}

/// On which side a column's cells end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Align {
    Left,
    Right,
}

/// A column: its heading (a newline breaks it), the side on which its cells end, and whether a terminal that is too
/// narrow may do without it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    head: &'static str,
    align: Align,
    spare: bool,
}

impl Column {
    /// A column of numbers.
    pub(crate) const fn right(head: &'static str) -> Self {
        Self { head, align: Align::Right, spare: false }
    }

    /// A column of text.
    pub(crate) const fn left(head: &'static str) -> Self {
        Self { head, align: Align::Left, spare: false }
    }

    /// The same, left out where the terminal is too narrow.
    pub(crate) const fn spare(self) -> Self {
        Self { spare: true, ..self }
    }
}

/// The distance of a match, in every table that has one.
pub(crate) const DISTANCE: Column = Column::right("distance\n(bits)");
/// The E-value of a match.
pub(crate) const E_VALUE: Column = Column::right("E-value");

/// A table being filled. Cells are never broken: where the terminal is too narrow, spare columns are left out, the last
/// one first, and then lines run over, so that a path can still be copied whole.
pub(crate) struct Grid {
    table: Table,
    columns: Vec<Column>,
    style: Style,
}

impl Grid {
    pub(crate) fn new(style: &Style, columns: &[Column]) -> Self {
        let mut table = Table::new();
        table.load_style(comfy_table::presets::NOTHING);
        table.set_content_arrangement(ContentArrangement::Disabled);
        if style.color {
            table.enforce_styling();
        } else {
            table.force_no_tty();
        }
        let mut grid = Self { table, columns: columns.to_vec(), style: *style };
        let heads: Vec<Cell> =
            columns.iter().map(|column| grid.cell(Tone::Head, column.head, column.align)).collect();
        grid.table.set_header(heads);
        for (number, column) in grid.table.column_iter_mut().enumerate() {
            column.set_padding((if number == 0 { 2 } else { 0 }, 2));
        }
        grid
    }

    /// Adds a row: a tone and one line of text for each column.
    pub(crate) fn row(&mut self, cells: &[(Tone, String)]) {
        let cells: Vec<Cell> = cells
            .iter()
            .zip(&self.columns)
            .map(|((tone, text), column)| self.cell(*tone, &visible(text), column.align))
            .collect();
        self.table.add_row(cells);
    }

    fn cell(&self, tone: Tone, text: &str, align: Align) -> Cell {
        let cell = Cell::new(text).set_alignment(match align {
            Align::Left => CellAlignment::Left,
            Align::Right => CellAlignment::Right,
        });
        if !self.style.color {
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

    /// Leaves spare columns out until the table fits.
    fn narrow(&mut self) {
        let Some(width) = self.style.width.map(usize::from) else { return };
        for number in (0..self.columns.len()).rev() {
            let lines = self.table.column_max_content_widths();
            let hidden =
                |column: usize| self.table.column(column).is_some_and(comfy_table::Column::is_hidden);
            let natural: usize = (0..lines.len())
                .filter(|&column| !hidden(column))
                .map(|column| usize::from(lines[column]) + 2)
                .sum();
            if natural <= width {
                return;
            }
            if self.columns[number].spare
                && let Some(column) = self.table.column_mut(number)
            {
                column.set_constraint(ColumnConstraint::Hidden);
            }
        }
    }

    /// The table as lines without trailing blanks.
    pub(crate) fn draw(mut self) -> String {
        self.narrow();
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

    const COLUMNS: [Column; 3] = [DISTANCE, Column::left("view").spare(), Column::left("model")];

    fn draw(style: Style, name: &str) -> String {
        let mut grid = Grid::new(&style, &COLUMNS);
        let cells = [(Tone::Good, "12"), (Tone::Dim, "energy"), (Tone::Plain, name)];
        grid.row(&cells.map(|(tone, text)| (tone, text.to_owned())));
        grid.draw()
    }

    #[test]
    fn without_a_terminal_nothing_is_left_out_or_coloured() {
        let long = "x".repeat(300);
        let text = draw(Style { color: false, width: None }, &long);
        assert!(text.contains(&long) && text.contains("energy"), "{text}");
        assert!(!text.contains('\u{1b}'));
        // Two lines of heading and one row.
        assert_eq!(text.lines().count(), 3, "{text}");
    }

    #[test]
    fn a_narrow_terminal_costs_spare_columns_and_never_breaks_a_name() {
        let name = "folder/".repeat(6);
        let wide = draw(Style { color: true, width: Some(80) }, &name);
        assert!(wide.contains("energy") && wide.contains('\u{1b}'), "{wide}");
        let narrow = draw(Style { color: true, width: Some(50) }, &name);
        assert!(!narrow.contains("energy") && narrow.contains(&name) && narrow.contains("12"), "{narrow}");
    }
}
