//! Owns [`Writer`]: rows as a Parquet file. Codes are random bits: they are written as they are; everything else by
//! dictionaries, and compressed with Zstandard.

use std::io::{self, Write};
use std::sync::Arc;

use parquet::basic::{Compression, LogicalType, Repetition, Type as Physical, ZstdLevel};
use parquet::column::writer::ColumnWriter;
use parquet::data_type::{ByteArray, FixedLenByteArray};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{ColumnPath, Type};

use super::HEADER_KEY;
use crate::exchange::columns::{Cell, Column, ColumnKind};
use crate::exchange::header::Header;

/// Rows of a row group.
const GROUP_ROWS: usize = 1 << 17;
/// Bytes of cells beyond which a row group ends before that.
const GROUP_BYTES: usize = 64 << 20;

/// Writes rows.
pub(crate) struct Writer<W: Write + Send> {
    out: SerializedFileWriter<W>,
    columns: Vec<Column>,
    /// By column: those of the row group that is being gathered.
    cells: Vec<Vec<Cell>>,
    bytes: usize,
}

impl<W: Write + Send> Writer<W> {
    pub(crate) fn new(out: W, header: &Header, columns: Vec<Column>) -> io::Result<Self> {
        let new = || -> Result<Self> {
            let mut fields = Vec::with_capacity(columns.len());
            for column in &columns {
                fields.push(Arc::new(field(column)?));
            }
            let schema = Type::group_type_builder("phashdb").with_fields(fields).build()?;
            let writer =
                SerializedFileWriter::new(out, Arc::new(schema), Arc::new(properties(header, &columns)?))?;
            let cells = vec![Vec::new(); columns.len()];
            Ok(Self { out: writer, columns, cells, bytes: 0 })
        };
        new().map_err(io_error)
    }

    pub(crate) fn row(&mut self, cells: &[Cell]) -> io::Result<()> {
        for (column, cell) in self.cells.iter_mut().zip(cells) {
            self.bytes += match cell {
                Cell::Text(text) => text.len(),
                Cell::Bytes(bytes) => bytes.len(),
                _ => 8,
            };
            column.push(cell.clone());
        }
        let rows = self.cells.first().map_or(0, Vec::len);
        if rows >= GROUP_ROWS || self.bytes >= GROUP_BYTES {
            self.write_group().map_err(io_error)?;
        }
        Ok(())
    }

    pub(crate) fn finish(mut self) -> io::Result<()> {
        let finish = || -> Result<()> {
            if self.cells.iter().any(|column| !column.is_empty()) {
                self.write_group()?;
            }
            self.out.close().map(drop)
        };
        finish().map_err(io_error)
    }

    fn write_group(&mut self) -> Result<()> {
        let mut group = self.out.next_row_group()?;
        for (column, cells) in self.columns.iter().zip(&mut self.cells) {
            let Some(mut writer) = group.next_column()? else { break };
            write_column(writer.untyped(), column.kind, cells)?;
            writer.close()?;
            cells.clear();
        }
        group.close()?;
        self.bytes = 0;
        Ok(())
    }
}

fn write_column(writer: &mut ColumnWriter<'_>, kind: ColumnKind, cells: &mut [Cell]) -> Result<()> {
    let levels: Vec<i16> = cells.iter().map(|cell| i16::from(!cell.is_null())).collect();
    let cells = cells.iter_mut().map(std::mem::take);
    match (writer, kind) {
        (ColumnWriter::BoolColumnWriter(writer), ColumnKind::Bool) => {
            let values: Vec<bool> =
                cells.filter_map(|cell| if let Cell::Bool(yes) = cell { Some(yes) } else { None }).collect();
            writer.write_batch(&values, Some(&levels), None)?;
        }
        (ColumnWriter::Int64ColumnWriter(writer), ColumnKind::Int) => {
            let values: Vec<i64> = cells
                .filter_map(|cell| if let Cell::Int(number) = cell { Some(number) } else { None })
                .collect();
            writer.write_batch(&values, Some(&levels), None)?;
        }
        (ColumnWriter::ByteArrayColumnWriter(writer), ColumnKind::Text) => {
            let text = |cell| {
                if let Cell::Text(text) = cell { Some(ByteArray::from(text.into_bytes())) } else { None }
            };
            writer.write_batch(&cells.filter_map(text).collect::<Vec<_>>(), Some(&levels), None)?;
        }
        (ColumnWriter::FixedLenByteArrayColumnWriter(writer), ColumnKind::Bytes(_)) => {
            let bytes = |cell| {
                if let Cell::Bytes(bytes) = cell { Some(FixedLenByteArray::from(bytes)) } else { None }
            };
            writer.write_batch(&cells.filter_map(bytes).collect::<Vec<_>>(), Some(&levels), None)?;
        }
        _ => return Err(ParquetError::General("a column of another type than its own".to_owned())),
    }
    Ok(())
}

fn field(column: &Column) -> Result<Type> {
    let (physical, logical, length) = match column.kind {
        ColumnKind::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String), -1),
        ColumnKind::Int => (Physical::INT64, None, -1),
        ColumnKind::Bool => (Physical::BOOLEAN, None, -1),
        ColumnKind::Bytes(width) => {
            (Physical::FIXED_LEN_BYTE_ARRAY, None, i32::try_from(width).unwrap_or(i32::MAX))
        }
    };
    Type::primitive_type_builder(&column.name, physical)
        .with_repetition(Repetition::OPTIONAL)
        .with_logical_type(logical)
        .with_length(length)
        .build()
}

fn properties(header: &Header, columns: &[Column]) -> Result<WriterProperties> {
    let pair = KeyValue::new(HEADER_KEY.to_owned(), header.to_json());
    let mut properties = WriterProperties::builder()
        .set_created_by(concat!("phashdb version ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_key_value_metadata(Some(vec![pair]))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?));
    for column in columns.iter().filter(|column| matches!(column.kind, ColumnKind::Bytes(_))) {
        let path = ColumnPath::from(column.name.as_str());
        properties = properties
            .set_column_compression(path.clone(), Compression::UNCOMPRESSED)
            .set_column_dictionary_enabled(path.clone(), false)
            .set_column_statistics_enabled(path, EnabledStatistics::None);
    }
    Ok(properties.build())
}

/// What the parquet crate says, as an error of writing; its own if it is one.
fn io_error(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(source) => match source.downcast::<io::Error>() {
            Ok(error) => *error,
            Err(source) => io::Error::other(source),
        },
        error => io::Error::other(error),
    }
}
