//! Owns the columns of an export, the same in every format (docs/exchange-format.md), and [`Cell`], what stands in one. What
//! must hold: names and kinds of columns are fixed for a version of the format; they depend on nothing but the views.

use phash_store::{Contents, Schema};

/// What stands in a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ColumnKind {
    Text,
    Int,
    Bool,
    /// So many bytes; hexadecimal in JSON lines.
    Bytes(usize),
}

/// A column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) kind: ColumnKind,
}

/// What stands in a row under a column.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Cell {
    #[default]
    Null,
    Int(i64),
    Bool(bool),
    Text(String),
    Bytes(Vec<u8>),
}

impl Cell {
    pub(crate) fn is_null(&self) -> bool {
        *self == Self::Null
    }
}

/// Raw codes: the places of their columns.
pub(crate) const CODE: usize = 0;
pub(crate) const CODE_LABEL: usize = 1;

/// Models: the places of the columns that do not depend on the views, in the order of [`MODEL_COLUMNS`].
pub(crate) mod at {
    pub(crate) const TYPE: usize = 0;
    pub(crate) const MODEL: usize = 1;
    pub(crate) const CONTENT_DIGEST: usize = 2;
    pub(crate) const FORMAT: usize = 3;
    pub(crate) const WEAK: usize = 4;
    pub(crate) const SOURCES: usize = 5;
    pub(crate) const TENSORS: usize = 6;
    pub(crate) const TENSORS_USED: usize = 7;
    pub(crate) const TENSORS_SKIPPED: usize = 8;
    pub(crate) const INGESTED_AT_MS: usize = 9;
    pub(crate) const LABEL: usize = 10;
    pub(crate) const VERSION: usize = 11;
    pub(crate) const PATH: usize = 12;
    pub(crate) const LEN_BYTES: usize = 13;
    pub(crate) const MTIME_NS: usize = 14;
    pub(crate) const FILE_DIGEST: usize = 15;
    pub(crate) const RECORDED_AT_MS: usize = 16;
    pub(crate) const NAME: usize = 17;
    pub(crate) const DTYPE: usize = 18;
    pub(crate) const SHAPE: usize = 19;
    /// Of each view two columns follow: features, code.
    pub(crate) const VIEWS: usize = 20;
}

const MODEL_COLUMNS: [(&str, ColumnKind); at::VIEWS] = [
    ("type", ColumnKind::Text),
    ("model", ColumnKind::Int),
    ("content_digest", ColumnKind::Bytes(32)),
    ("format", ColumnKind::Text),
    ("weak", ColumnKind::Bool),
    ("sources", ColumnKind::Int),
    ("tensors", ColumnKind::Int),
    ("tensors_used", ColumnKind::Int),
    ("tensors_skipped", ColumnKind::Text),
    ("ingested_at_ms", ColumnKind::Int),
    ("label", ColumnKind::Text),
    ("version", ColumnKind::Int),
    ("path", ColumnKind::Text),
    ("len_bytes", ColumnKind::Int),
    ("mtime_ns", ColumnKind::Int),
    ("file_digest", ColumnKind::Bytes(32)),
    ("recorded_at_ms", ColumnKind::Int),
    ("name", ColumnKind::Text),
    ("dtype", ColumnKind::Text),
    ("shape", ColumnKind::Text),
];

/// The columns of an export of a database of this schema, in order.
pub(crate) fn columns(schema: &Schema) -> Vec<Column> {
    let column = |name: &str, kind| Column { name: name.to_owned(), kind };
    match schema.contents {
        Contents::Codes => {
            let width = schema.views.first().map_or(0, phash_store::ViewSpec::code_bytes);
            vec![column("code", ColumnKind::Bytes(width)), column("label", ColumnKind::Text)]
        }
        Contents::Models => {
            let fixed = MODEL_COLUMNS.iter().map(|&(name, kind)| column(name, kind));
            let views = schema.views.iter().flat_map(|view| {
                let features = column(&format!("features_{}", view.name), ColumnKind::Int);
                let code = ColumnKind::Bytes(view.code_bytes());
                [features, column(&format!("code_{}", view.name), code)]
            });
            fixed.chain(views).collect()
        }
    }
}
