//! Owns the catalog's tables, as SQL: those of every version, and what later versions have beside them. A new catalog is made by
//! the same steps as an older one is migrated by. docs/file-format.md describes them and changes together with this module.

/// `PRAGMA application_id`: the letters PHSH.
pub(super) const APPLICATION_ID: i32 = 0x5048_5348;

/// The tables of every version of the format. Each row ends with a checksum over its other columns (see `rowcheck`), so that a
/// changed byte is found by the first read of the row; SQLite has no checksums of its own.
///
/// Why it is so: features of all views lie in one blob and voids in one bitmap for 65,536 ids, so that a model costs
/// one row here and a tensor one, whatever the number of views; the rows of a model's tensors are adjacent and found
/// by the range that the model names, without an index; file names are made from ids, never stored.
pub(super) const TABLES: &str = "
CREATE TABLE meta(
    id INTEGER PRIMARY KEY CHECK (id = 0),
    database_id BLOB NOT NULL,
    parameters BLOB NOT NULL,
    created_at_ms INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    models INTEGER NOT NULL,
    weak_models INTEGER NOT NULL,
    tensors INTEGER NOT NULL,
    sources INTEGER NOT NULL,
    labels INTEGER NOT NULL,
    segments_made INTEGER NOT NULL,
    crc INTEGER NOT NULL
) STRICT;
CREATE TABLE code_files(
    id INTEGER PRIMARY KEY,
    view TEXT NOT NULL,
    kind INTEGER NOT NULL CHECK (kind IN (0, 1, 2, 3, 4)),
    words INTEGER NOT NULL,
    committed INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    tail_crc INTEGER NOT NULL,
    crc INTEGER NOT NULL,
    UNIQUE (view, kind)
) STRICT;
CREATE TABLE models(
    id INTEGER PRIMARY KEY,
    content_digest BLOB NOT NULL UNIQUE,
    format TEXT NOT NULL,
    weak INTEGER NOT NULL CHECK (weak IN (0, 1)),
    tensors_used INTEGER NOT NULL,
    first_tensor INTEGER NOT NULL,
    tensor_count INTEGER NOT NULL,
    features BLOB NOT NULL,
    ingested_at_ms INTEGER NOT NULL,
    crc INTEGER NOT NULL
) STRICT;
CREATE TABLE skips(
    model_id INTEGER NOT NULL REFERENCES models(id),
    reason TEXT NOT NULL,
    tensors INTEGER NOT NULL,
    PRIMARY KEY (model_id, reason)
) STRICT, WITHOUT ROWID;
CREATE TABLE sources(
    id INTEGER PRIMARY KEY,
    label TEXT NOT NULL,
    version INTEGER NOT NULL,
    path TEXT,
    len_bytes INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    file_digest BLOB NOT NULL,
    model_id INTEGER NOT NULL REFERENCES models(id),
    recorded_at_ms INTEGER NOT NULL,
    crc INTEGER NOT NULL,
    UNIQUE (label, version)
) STRICT;
CREATE INDEX sources_by_file_digest ON sources(file_digest);
CREATE INDEX sources_by_model ON sources(model_id);
CREATE TABLE tensors(
    id INTEGER PRIMARY KEY,
    model_id INTEGER NOT NULL REFERENCES models(id),
    name TEXT NOT NULL,
    dtype TEXT NOT NULL,
    shape TEXT NOT NULL,
    features BLOB NOT NULL,
    crc INTEGER NOT NULL
) STRICT;
CREATE TABLE voids(
    file INTEGER NOT NULL REFERENCES code_files(id),
    chunk INTEGER NOT NULL,
    ids BLOB NOT NULL,
    crc INTEGER NOT NULL,
    PRIMARY KEY (file, chunk)
) STRICT, WITHOUT ROWID;
CREATE TABLE segments(
    id INTEGER PRIMARY KEY,
    view INTEGER NOT NULL,
    first_id INTEGER NOT NULL,
    end_id INTEGER NOT NULL,
    len_bytes INTEGER NOT NULL,
    crc32 INTEGER NOT NULL,
    crc INTEGER NOT NULL
) STRICT;
";

/// What versions from 3 on have beside them.
pub(super) const UPKEEP_TABLES: &str = "
CREATE TABLE upkeep(
    id INTEGER PRIMARY KEY CHECK (id = 0),
    edition INTEGER NOT NULL,
    removed INTEGER NOT NULL,
    removed_tensors INTEGER NOT NULL,
    removed_sources INTEGER NOT NULL,
    crc INTEGER NOT NULL
) STRICT;
CREATE TABLE removed(
    kind INTEGER NOT NULL CHECK (kind IN (0, 1, 2)),
    chunk INTEGER NOT NULL,
    ids BLOB NOT NULL,
    crc INTEGER NOT NULL,
    PRIMARY KEY (kind, chunk)
) STRICT, WITHOUT ROWID;
";

/// What version 5 has beside them: of each model and tensor the checksum of its codes. `crc` covers it, though it stands before it.
pub(super) const CODES_CRC_COLUMNS: &str = "
ALTER TABLE models ADD COLUMN codes_crc INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tensors ADD COLUMN codes_crc INTEGER NOT NULL DEFAULT 0;
";
