//! Reading a sample gives the codes of the whole from a small part of the bytes, counted as they are read.
#![allow(clippy::unwrap_used, reason = "in a test a panic is a failure with a place")]

mod common;

use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};

use common::Tensor;
use common::generate::word;
use phash_core::{Dtype, ModelHash, ModelHasher, Plan, Reading, Scratch, TensorInfo, TensorSource};

/// The bytes of a finite number.
fn f32_bytes(i: u64) -> [u8; 4] {
    let [a, b, c, d, ..] = word(1, i).to_le_bytes();
    [a, b, c, d & 0xbf]
}

/// Tensors whose bytes follow from their place; counts what is read.
struct Counting {
    tensors: Vec<TensorInfo>,
    read_bytes: AtomicU64,
    reads: AtomicU64,
}

impl Counting {
    fn new(tensors: &[(Dtype, &[u64])]) -> Self {
        let info = |&(dtype, shape): &(Dtype, &[u64])| TensorInfo {
            name: String::new(),
            dtype,
            shape: shape.to_vec(),
            len_bytes: shape.iter().product::<u64>() * dtype.size_bytes().unwrap_or(1),
        };
        let tensors = tensors.iter().map(info).collect();
        Self { tensors, read_bytes: AtomicU64::new(0), reads: AtomicU64::new(0) }
    }

    fn hash(&self, reading: Reading) -> (ModelHash, u64) {
        self.read_bytes.store(0, Ordering::Relaxed);
        let plan = Plan::new(&self.tensors).reading(reading);
        let (mut hasher, mut scratch) = (ModelHasher::new(self.tensors.len()), Scratch::default());
        for (tensor, info) in self.tensors.iter().enumerate() {
            let Ok(sketch) = plan.sketch(self, tensor, &mut scratch);
            hasher.add(tensor, info, &sketch);
        }
        (hasher.finish(), self.read_bytes.load(Ordering::Relaxed))
    }
}

impl TensorSource for Counting {
    type Error = Infallible;

    fn tensors(&self) -> &[TensorInfo] {
        &self.tensors
    }

    fn read_at(&self, tensor: usize, offset_bytes: u64, buf: &mut [u8]) -> Result<(), Infallible> {
        assert!(offset_bytes + buf.len() as u64 <= self.tensors[tensor].len_bytes);
        // Small numbers of either sign in any type of two or four bytes.
        for (offset_bytes, byte) in (offset_bytes..).zip(buf.iter_mut()) {
            let [low, high, ..] = word(tensor as u64, offset_bytes / 4).to_le_bytes();
            *byte = if offset_bytes % 2 == 0 { low } else { high & 0x81 | 0x38 };
        }
        self.read_bytes.fetch_add(buf.len() as u64, Ordering::Relaxed);
        self.reads.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

#[test]
fn a_sample_gives_the_codes_of_the_whole_from_a_part_of_the_bytes() {
    let model = Counting::new(&[
        (Dtype::F32, &[2_048, 2_048]),
        (Dtype::BF16, &[1_024, 6_000]),
        (Dtype::F16, &[6_000, 1_024]),
        (Dtype::F32, &[640, 640, 3, 3]),
        (Dtype::F32, &[3, 3, 640, 640]),
        (Dtype::BF16, &[600_000, 9]),
        (Dtype::F32, &[128, 128]),
        (Dtype::F32, &[3_000_000]),
        (Dtype::Other("I8"), &[3_000, 4_000]),
        (Dtype::F32, &[640]),
    ]);
    let total: u64 = model.tensors.iter().map(|tensor| tensor.len_bytes).sum();
    let (whole, whole_bytes) = model.hash(Reading::Whole);
    let (sampled, sampled_bytes) = model.hash(Reading::Sample);
    assert!(whole_bytes >= total && sampled_bytes < total / 4, "{sampled_bytes} of {total} bytes");
    assert_eq!(sampled.views, whole.views);
    for (number, (a, b)) in whole.tensors.iter().zip(&sampled.tensors).enumerate() {
        assert_eq!((a.views, a.skipped), (b.views, b.skipped), "tensor {number}");
        let large = model.tensors[number].len_bytes > 8 << 20;
        assert_eq!(a.bytes_digest == b.bytes_digest, !large, "tensor {number}");
    }
    assert!(sampled.sampled && !whole.sampled);
    assert_ne!(sampled.content_digest, whole.content_digest);
    assert_eq!(model.hash(Reading::Sample).0, sampled);
}

#[test]
fn a_sample_of_a_model_of_small_tensors_is_the_whole() {
    let model = Counting::new(&[(Dtype::F32, &[256, 300]), (Dtype::BF16, &[300, 64, 3, 3])]);
    let ((whole, whole_bytes), (sampled, sampled_bytes)) =
        (model.hash(Reading::Whole), model.hash(Reading::Sample));
    assert_eq!((sampled, sampled_bytes), (whole, whole_bytes));
}

#[test]
fn a_change_within_the_sample_changes_its_digest() {
    let digest = |place: usize| {
        let mut bytes: Vec<u8> = (0..3_000u64 * 1_000).flat_map(f32_bytes).collect();
        bytes[place] ^= 1;
        let model = common::Model::new(vec![Tensor::new("w", Dtype::F32, &[3_000, 1_000], bytes)]);
        let plan = Plan::new(model.tensors()).reading(Reading::Sample);
        let mut hasher = ModelHasher::new(1);
        let Ok(sketch) = plan.sketch(&model, 0, &mut Scratch::default());
        hasher.add(0, &model.tensors()[0], &sketch);
        hasher.finish().content_digest
    };
    // The first and the last element are in every sample; element 8 is between two runs.
    assert_ne!(digest(0), digest(4 * 3_000 * 1_000 - 1));
    assert_eq!(digest(4 * 8), digest(4 * 9));
    assert_ne!(digest(0), digest(4 * 8));
}
