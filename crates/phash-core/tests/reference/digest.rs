//! The content digest, from the wording beside it in the crate: records of tensors, sorted, under one derived key.

use super::Tensor;

pub(crate) fn bytes(bytes: &[u8]) -> [u8; 32] {
    blake3::hash(bytes).into()
}

/// The digest of all tensors, in whatever order.
pub(crate) fn content(model: &[Tensor]) -> [u8; 32] {
    let mut records: Vec<[u8; 32]> = model.iter().map(record).collect();
    records.sort();
    let mut text = u64::try_from(records.len()).unwrap().to_le_bytes().to_vec();
    for record in &records {
        text.extend(record);
    }
    blake3::derive_key("phashdb content digest v1", &text)
}

fn record(tensor: &Tensor) -> [u8; 32] {
    let mut text = vec![u8::try_from(tensor.dtype.len()).unwrap()];
    text.extend(tensor.dtype.bytes());
    text.push(u8::try_from(tensor.shape.len().min(255)).unwrap());
    for &axis in tensor.shape {
        text.extend(u64::try_from(axis).unwrap().to_le_bytes());
    }
    text.extend(bytes(tensor.bytes));
    bytes(&text)
}
