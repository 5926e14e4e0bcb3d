//! Turns rows of cells into records again. What must hold: nothing is taken for a model that is not whole, whatever the rows
//! are; what is kept in memory is one model of bounded size; every error names the row and the column.

use phash_store::{Contents, ModelRecord, Schema, SourceRecord, Stamp, TensorRecord, ViewRecord};

use super::columns::{CODE, CODE_LABEL, Cell, Column, at, columns};
use super::header::shown;
use crate::error::{Error, Result};
use crate::raw::CodePlace;

/// Most tensors of one model: as many as an ingest takes from one.
const MAX_TENSORS: u32 = 200_000;
/// Most sources of one model.
const MAX_SOURCES: u32 = 1 << 20;
/// Most bytes of one model: cells of all its rows.
const MAX_MODEL_BYTES: usize = 512 << 20;
/// Most axes of a tensor.
const MAX_AXES: usize = 1 << 10;
/// Most reasons for which tensors were left out.
const MAX_REASONS: usize = 1 << 10;
/// The greatest length of a label of a raw code, in bytes.
const MAX_LABEL_BYTES: usize = 65_535;

/// What the rows amount to, one by one.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Item {
    Model(Box<ModelRecord>),
    Code { code: Vec<u8>, label: Option<String> },
}

/// Gathers rows.
#[derive(Debug)]
pub(crate) struct Assembler {
    name: String,
    contents: Contents,
    columns: Vec<Column>,
    open: Option<Open>,
}

/// A model whose rows are being gathered.
#[derive(Debug)]
struct Open {
    number: i64,
    model: ModelRecord,
    sources: u32,
    tensors: u32,
    bytes: usize,
}

impl Open {
    fn is_whole(&self) -> bool {
        self.model.sources.len() == self.sources as usize && self.model.tensors.len() == self.tensors as usize
    }
}

/// A row and where it is.
struct Row<'a> {
    assembler: &'a Assembler,
    cells: &'a mut [Cell],
    place: CodePlace,
}

impl Assembler {
    pub(crate) fn new(name: &str, schema: &Schema) -> Self {
        let columns = columns(schema);
        Self { name: name.to_owned(), contents: schema.contents, columns, open: None }
    }

    /// The columns that rows must have.
    pub(crate) fn columns(&self) -> &[Column] {
        &self.columns
    }

    fn wrong(&self, place: CodePlace, expected: impl Into<String>, got: impl Into<String>) -> Error {
        Error::CodeInput { name: self.name.clone(), place, expected: expected.into(), got: got.into() }
    }

    /// Takes a row; gives the raw code, or the model if this was its last row. The cells are of the kinds of the columns, or
    /// null; they are emptied.
    pub(crate) fn row(&mut self, cells: &mut [Cell], place: CodePlace) -> Result<Option<Item>> {
        let bytes: usize = cells.iter().map(size_bytes).sum();
        let mut open = self.open.take();
        let mut row = Row { assembler: self, cells, place };
        if self.contents == Contents::Codes {
            let code = row.bytes(CODE)?;
            let label = row.optional_text(CODE_LABEL).filter(|label| !label.is_empty());
            if let Some(label) = label.as_ref().filter(|label| label.len() > MAX_LABEL_BYTES) {
                let expected = format!("a label of at most {MAX_LABEL_BYTES} bytes");
                return Err(self.wrong(place, expected, format!("{} bytes", label.len())));
            }
            return Ok(Some(Item::Code { code, label }));
        }
        let (kind, number) = (row.text(at::TYPE)?, row.int(at::MODEL)?);
        match (kind.as_str(), &mut open) {
            ("model", None) => open = Some(row.model(number)?),
            ("source", Some(open))
                if open.number == number && open.model.sources.len() < open.sources as usize =>
            {
                open.model.sources.push(row.source()?);
            }
            ("tensor", Some(open))
                if open.number == number
                    && open.model.sources.len() == open.sources as usize
                    && open.model.tensors.len() < open.tensors as usize =>
            {
                open.model.tensors.push(row.tensor()?);
            }
            (_, open) => {
                let got = format!("a row of type {:?} and model {number}", shown(&kind));
                return Err(self.wrong(place, next_row(open.as_ref()), got));
            }
        }
        if let Some(open) = &mut open {
            open.bytes = open.bytes.saturating_add(bytes);
            if open.bytes > MAX_MODEL_BYTES {
                let expected = format!("a model of at most {MAX_MODEL_BYTES} bytes");
                return Err(self.wrong(place, expected, "a larger one"));
            }
        }
        match open {
            Some(open) if open.is_whole() => Ok(Some(Item::Model(Box::new(open.model)))),
            open => {
                self.open = open;
                Ok(None)
            }
        }
    }

    /// Says that there are no more rows.
    pub(crate) fn finish(&self) -> Result<()> {
        match &self.open {
            None => Ok(()),
            open => Err(self.wrong(CodePlace::Whole, next_row(open.as_ref()), "the end of the file")),
        }
    }
}

/// What must come next.
fn next_row(open: Option<&Open>) -> String {
    match open {
        None => "a row of type \"model\"".to_owned(),
        Some(open) if open.model.sources.len() < open.sources as usize => {
            format!("a row of type \"source\" of model {}", open.number)
        }
        Some(open) => format!("a row of type \"tensor\" of model {}", open.number),
    }
}

fn size_bytes(cell: &Cell) -> usize {
    let more = match cell {
        Cell::Text(text) => text.len(),
        Cell::Bytes(bytes) => bytes.len(),
        _ => 0,
    };
    more + size_of::<Cell>()
}

impl Row<'_> {
    fn missing(&self, column: usize) -> Error {
        let name = &self.assembler.columns[column].name;
        self.assembler.wrong(self.place, format!("a value of column {name}"), "none")
    }

    fn out_of_range(&self, column: usize, got: impl std::fmt::Display, expected: &str) -> Error {
        let name = &self.assembler.columns[column].name;
        self.assembler.wrong(self.place, format!("{expected} in column {name}"), got.to_string())
    }

    fn take(&mut self, column: usize) -> Cell {
        std::mem::take(&mut self.cells[column])
    }

    fn optional_text(&mut self, column: usize) -> Option<String> {
        match self.take(column) {
            Cell::Text(text) => Some(text),
            _ => None,
        }
    }

    fn text(&mut self, column: usize) -> Result<String> {
        self.optional_text(column).ok_or_else(|| self.missing(column))
    }

    fn bytes(&mut self, column: usize) -> Result<Vec<u8>> {
        match self.take(column) {
            Cell::Bytes(bytes) => Ok(bytes),
            _ => Err(self.missing(column)),
        }
    }

    fn digest(&mut self, column: usize) -> Result<[u8; 32]> {
        let bytes = self.bytes(column)?;
        let len = bytes.len();
        bytes.try_into().map_err(|_| self.out_of_range(column, format!("{len} bytes"), "32 bytes"))
    }

    fn int(&mut self, column: usize) -> Result<i64> {
        match self.take(column) {
            Cell::Int(number) => Ok(number),
            _ => Err(self.missing(column)),
        }
    }

    fn count(&mut self, column: usize, limit: u32) -> Result<u32> {
        let number = self.int(column)?;
        let count = u32::try_from(number).ok().filter(|&count| count <= limit);
        count.ok_or_else(|| self.out_of_range(column, number, &format!("0 to {limit}")))
    }

    fn views(&mut self) -> Result<Vec<ViewRecord>> {
        let mut views = Vec::with_capacity((self.cells.len() - at::VIEWS) / 2);
        for column in (at::VIEWS..self.cells.len()).step_by(2) {
            let features = self.count(column, u32::MAX)?;
            let code = match self.take(column + 1) {
                Cell::Bytes(bytes) => Some(bytes),
                _ => None,
            };
            views.push(ViewRecord { code, features });
        }
        Ok(views)
    }

    fn model(&mut self, number: i64) -> Result<Open> {
        let sources = self.count(at::SOURCES, MAX_SOURCES)?;
        if sources == 0 {
            return Err(self.out_of_range(at::SOURCES, 0, "at least 1"));
        }
        let Cell::Bool(weak) = self.take(at::WEAK) else { return Err(self.missing(at::WEAK)) };
        let model = ModelRecord {
            content_digest: self.digest(at::CONTENT_DIGEST)?,
            format: self.text(at::FORMAT)?,
            weak,
            tensors_used: self.count(at::TENSORS_USED, u32::MAX)?,
            tensors_skipped: self.skipped()?,
            ingested_at_ms: self.int(at::INGESTED_AT_MS)?,
            views: self.views()?,
            sources: Vec::new(),
            tensors: Vec::new(),
        };
        Ok(Open { number, model, sources, tensors: self.count(at::TENSORS, MAX_TENSORS)?, bytes: 0 })
    }

    fn skipped(&mut self) -> Result<Vec<(String, u32)>> {
        let text = self.text(at::TENSORS_SKIPPED)?;
        let counts: std::collections::BTreeMap<String, u32> =
            serde_json::from_str(&text).map_err(|error| {
                self.out_of_range(at::TENSORS_SKIPPED, error, "a JSON object of reasons and counts")
            })?;
        if counts.len() > MAX_REASONS {
            let expected = format!("at most {MAX_REASONS} reasons");
            return Err(self.out_of_range(at::TENSORS_SKIPPED, counts.len(), &expected));
        }
        Ok(counts.into_iter().collect())
    }

    fn source(&mut self) -> Result<SourceRecord> {
        let version = self.count(at::VERSION, u32::MAX)?;
        if version == 0 {
            return Err(self.out_of_range(at::VERSION, 0, "at least 1"));
        }
        let label = self.text(at::LABEL)?;
        if label.is_empty() {
            return Err(self.missing(at::LABEL));
        }
        let len_bytes = self.int(at::LEN_BYTES)?;
        let len_bytes =
            u64::try_from(len_bytes).map_err(|_| self.out_of_range(at::LEN_BYTES, len_bytes, "0 or more"))?;
        Ok(SourceRecord {
            label,
            version,
            path: self.text(at::PATH)?,
            stamp: Stamp { len_bytes, mtime_ns: self.int(at::MTIME_NS)? },
            file_digest: self.digest(at::FILE_DIGEST)?,
            recorded_at_ms: self.int(at::RECORDED_AT_MS)?,
        })
    }

    fn tensor(&mut self) -> Result<TensorRecord> {
        let text = self.text(at::SHAPE)?;
        let axes = text.split(',').filter(|_| !text.is_empty());
        let shape: Option<Vec<u64>> = axes.take(MAX_AXES + 1).map(|axis| axis.parse().ok()).collect();
        let Some(shape) = shape.filter(|shape| shape.len() <= MAX_AXES) else {
            let expected = format!("at most {MAX_AXES} numbers with commas between");
            return Err(self.out_of_range(at::SHAPE, format!("{:?}", shown(&text)), &expected));
        };
        Ok(TensorRecord {
            name: self.text(at::NAME)?,
            dtype: self.text(at::DTYPE)?,
            shape,
            views: self.views()?,
        })
    }
}
