//! Owns the arithmetic of the header: do shapes, types and offsets agree with each other and with the file? What must
//! hold afterwards: the tensors cover the data section without gap or overlap, up to the last byte of the file.

use std::path::Path;

use phash_core::TensorInfo;

use super::header::Stated;
use crate::Error;

/// A tensor that is known to lie inside the file.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) info: TensorInfo,
    /// From the start of the file.
    pub(crate) offset_bytes: u64,
}

/// Checks the stated tensors against each other and a file of `file_bytes` whose data section begins at `data_start`.
/// Returns them in the order of their data. O(n log n).
pub(super) fn check(
    path: &Path,
    mut stated: Vec<Stated>,
    data_start: u64,
    file_bytes: u64,
) -> Result<Vec<Entry>, Error> {
    stated.sort_unstable_by(|a, b| (a.fields.data_offsets, &a.name).cmp(&(b.fields.data_offsets, &b.name)));
    let mut previous_end = 0;
    for tensor in &stated {
        check_one(path, tensor, previous_end)?;
        previous_end = tensor.fields.data_offsets.1;
    }
    let beyond = |end: u64| data_start.checked_add(end).is_none_or(|end| end > file_bytes);
    if let Some(tensor) = stated.iter().find(|tensor| beyond(tensor.fields.data_offsets.1)) {
        return Err(Error::OffsetsBeyondFile {
            path: path.to_path_buf(),
            tensor: tensor.name.clone(),
            expected_bytes: data_start.saturating_add(tensor.fields.data_offsets.1),
            got_bytes: file_bytes,
        });
    }
    let expected_bytes = data_start + previous_end;
    if expected_bytes < file_bytes {
        return Err(Error::TrailingBytes { path: path.to_path_buf(), expected_bytes, got_bytes: file_bytes });
    }
    Ok(stated
        .into_iter()
        .map(|Stated { name, fields }| Entry {
            offset_bytes: data_start + fields.data_offsets.0,
            info: TensorInfo {
                name,
                dtype: fields.element.dtype,
                shape: fields.shape,
                len_bytes: fields.data_offsets.1 - fields.data_offsets.0,
            },
        })
        .collect())
}

fn check_one(path: &Path, stated: &Stated, previous_end: u64) -> Result<(), Error> {
    let path = || path.to_path_buf();
    let tensor = || stated.name.clone();
    let (start, end) = stated.fields.data_offsets;
    if end < start {
        return Err(Error::ReversedOffsets {
            path: path(),
            tensor: tensor(),
            offset_bytes: start,
            end_bytes: end,
        });
    }
    let (expected_bytes, got_bytes) = (previous_end, start);
    if start < previous_end {
        return Err(Error::Overlap { path: path(), tensor: tensor(), expected_bytes, got_bytes });
    }
    if start > previous_end {
        return Err(Error::Hole { path: path(), tensor: tensor(), expected_bytes, got_bytes });
    }
    // From the first axis on, like the crate: [0, huge, huge] is an empty tensor, [huge, huge, 0] an overflow.
    let elements = stated.fields.shape.iter().try_fold(1u64, |product, axis| product.checked_mul(*axis));
    let bits = elements
        .and_then(|elements| elements.checked_mul(stated.fields.element.bits))
        .ok_or_else(|| Error::ShapeOverflow { path: path(), tensor: tensor() })?;
    if bits % 8 != 0 {
        return Err(Error::PartialByte { path: path(), tensor: tensor(), bits });
    }
    let (expected_bytes, got_bytes) = (bits / 8, end - start);
    if expected_bytes != got_bytes {
        return Err(Error::LengthMismatch { path: path(), tensor: tensor(), expected_bytes, got_bytes });
    }
    Ok(())
}
