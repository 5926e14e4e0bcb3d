//! Owns the limits that keep the cost of a hostile file small: no file makes us allocate more than a small multiple of
//! its header, or work longer than a header of the largest size takes. Sound models stay far below every one of them.

/// Longest safetensors header, in bytes. The largest headers of published models are a few MB; the safetensors crate
/// itself allows 100,000,000.
pub const HEADER_BYTES: u64 = 25_000_000;

/// Headers of all shards of one model together, in bytes: the same file may stand behind many names (links), so that a
/// small folder could otherwise ask for any amount of parsing. Published models of hundreds of shards need some 20 MB.
pub const SHARD_HEADERS_BYTES: u64 = 4 * HEADER_BYTES;

/// Longest shard index, in bytes.
pub const INDEX_BYTES: u64 = 25_000_000;

/// Most tensors in one file, and in one sharded model.
pub const TENSORS: usize = 200_000;

/// Most JSON keys in one header or index, all levels together: four for each tensor (its name and three fields), and as
/// many again as there may be tensors for `__metadata__` and fields that nobody defined.
pub const KEYS: usize = 5 * TENSORS;

/// Most axes of one tensor (the limit of NumPy and of PyTorch's iterators).
pub const RANK: usize = 64;

/// Longest name of a tensor, in bytes of UTF-8.
pub const NAME_BYTES: usize = 4_096;

/// Most shards of one model.
pub const SHARDS: usize = 10_000;

/// Longest name of a shard, in bytes of UTF-8.
pub const SHARD_NAME_BYTES: usize = 1_024;
