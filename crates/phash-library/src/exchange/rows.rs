//! Turns records into rows of cells: a model is a row of type `model`, then one for each of its sources, then one for each of
//! its tensors; a raw code is one row.

use phash_store::{Contents, ModelRecord, Reader, SourceRecord, TensorRecord, ViewRecord};

use super::assemble::Item;
use super::columns::{CODE, CODE_LABEL, Cell, at};
use super::record::{StoredCodes, StoredModels};
use crate::error::Result;

/// Rows told of at a time: between two looks at the cancel flag.
const ITEMS_A_LOOK: u32 = 256;

/// Hands all that is in a database to `row`, in the order of ids; `done` is told numbers of models or raw codes. `columns` is
/// the number of columns.
pub(crate) fn for_each_row(
    reader: &Reader,
    columns: usize,
    row: &mut dyn FnMut(&[Cell]) -> Result<()>,
    done: &mut dyn FnMut(u64) -> Result<()>,
) -> Result<()> {
    let mut cells = vec![Cell::Null; columns];
    if reader.contents() == Contents::Codes {
        let mut since = 0;
        StoredCodes::open(reader)?.for_each(&mut |_, code, label| {
            cells[CODE] = Cell::Bytes(code.to_vec());
            cells[CODE_LABEL] = label.map_or(Cell::Null, |label| Cell::Text(label.to_owned()));
            row(&cells)?;
            since += 1;
            if since < ITEMS_A_LOOK {
                return Ok(());
            }
            done(std::mem::take(&mut since).into())
        })?;
        return done(since.into());
    }
    let stored = StoredModels::open(reader)?;
    for (number, model) in (0i64..).zip(reader.models()) {
        let model = model?;
        let id = model.id;
        let mut model = stored.head(model)?;
        model.tensors = stored.tensors(id)?;
        rows_of_model(&mut cells, number, &model, row)?;
        done(1)?;
    }
    Ok(())
}

/// The rows of one item, the first of its file.
pub(super) fn rows_of(item: &Item, columns: usize, row: &mut dyn FnMut(&[Cell]) -> Result<()>) -> Result<()> {
    let mut cells = vec![Cell::Null; columns];
    match item {
        Item::Model(model) => rows_of_model(&mut cells, 0, model, row),
        Item::Code { code, label } => {
            cells[CODE] = Cell::Bytes(code.clone());
            cells[CODE_LABEL] = label.clone().map_or(Cell::Null, Cell::Text);
            row(&cells)
        }
    }
}

fn rows_of_model(
    cells: &mut [Cell],
    number: i64,
    model: &ModelRecord,
    row: &mut dyn FnMut(&[Cell]) -> Result<()>,
) -> Result<()> {
    model_row(cells, number, model);
    row(cells)?;
    for source in &model.sources {
        source_row(cells, number, source);
        row(cells)?;
    }
    for tensor in &model.tensors {
        tensor_row(cells, number, tensor);
        row(cells)?;
    }
    Ok(())
}

fn text(text: &str) -> Cell {
    Cell::Text(text.to_owned())
}

fn count(count: usize) -> Cell {
    Cell::Int(i64::try_from(count).unwrap_or(i64::MAX))
}

/// Empties the cells but for type and number of the model.
fn begin(cells: &mut [Cell], kind: &str, number: i64) {
    cells.fill(Cell::Null);
    cells[at::TYPE] = text(kind);
    cells[at::MODEL] = Cell::Int(number);
}

fn put_views(cells: &mut [Cell], views: &[ViewRecord]) {
    for (cells, view) in cells[at::VIEWS..].chunks_exact_mut(2).zip(views) {
        cells[0] = Cell::Int(view.features.into());
        cells[1] = view.code.clone().map_or(Cell::Null, Cell::Bytes);
    }
}

fn model_row(cells: &mut [Cell], number: i64, model: &ModelRecord) {
    begin(cells, "model", number);
    cells[at::CONTENT_DIGEST] = Cell::Bytes(model.content_digest.to_vec());
    cells[at::FORMAT] = text(&model.format);
    cells[at::WEAK] = Cell::Bool(model.weak);
    cells[at::SOURCES] = count(model.sources.len());
    cells[at::TENSORS] = count(model.tensors.len());
    cells[at::TENSORS_USED] = Cell::Int(model.tensors_used.into());
    // An object, its keys in the order of the reasons.
    let skipped = model.tensors_skipped.iter().map(|(reason, count)| (reason.clone(), (*count).into()));
    let skipped: serde_json::Map<String, serde_json::Value> = skipped.collect();
    cells[at::TENSORS_SKIPPED] = Cell::Text(serde_json::Value::Object(skipped).to_string());
    cells[at::INGESTED_AT_MS] = Cell::Int(model.ingested_at_ms);
    put_views(cells, &model.views);
}

fn source_row(cells: &mut [Cell], number: i64, source: &SourceRecord) {
    begin(cells, "source", number);
    cells[at::LABEL] = text(&source.label);
    cells[at::VERSION] = Cell::Int(source.version.into());
    cells[at::PATH] = text(&source.path);
    cells[at::LEN_BYTES] = Cell::Int(source.stamp.len_bytes.cast_signed());
    cells[at::MTIME_NS] = Cell::Int(source.stamp.mtime_ns);
    cells[at::FILE_DIGEST] = Cell::Bytes(source.file_digest.to_vec());
    cells[at::RECORDED_AT_MS] = Cell::Int(source.recorded_at_ms);
}

fn tensor_row(cells: &mut [Cell], number: i64, tensor: &TensorRecord) {
    begin(cells, "tensor", number);
    cells[at::NAME] = text(&tensor.name);
    cells[at::DTYPE] = text(&tensor.dtype);
    let shape: Vec<String> = tensor.shape.iter().map(u64::to_string).collect();
    cells[at::SHAPE] = Cell::Text(shape.join(","));
    put_views(cells, &tensor.views);
}
