//! Tensors from SplitMix64 words. Rules in integers (data/golden/README.md), so that anyone can make the same bytes.

use phash_core::Dtype;

use super::Tensor;

/// Word number `i` (from 0) of SplitMix64 started with `seed`.
pub(crate) fn word(seed: u64, i: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(i + 1));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Every floating type.
pub(crate) const FLOATING: [Dtype; 8] = [
    Dtype::F64,
    Dtype::F32,
    Dtype::F16,
    Dtype::BF16,
    Dtype::F8E4M3,
    Dtype::F8E5M2,
    Dtype::F8E4M3Fnuz,
    Dtype::F8E5M2Fnuz,
];

/// Mantissa bits and exponent bias of a floating type.
fn layout(dtype: Dtype) -> (u32, u64) {
    match dtype {
        Dtype::F64 => (52, 1023),
        Dtype::F32 => (23, 127),
        Dtype::F16 => (10, 15),
        Dtype::BF16 => (7, 127),
        Dtype::F8E4M3 => (3, 7),
        Dtype::F8E5M2 => (2, 15),
        Dtype::F8E4M3Fnuz => (3, 8),
        Dtype::F8E5M2Fnuz => (2, 16),
        other => panic!("{other:?} is not floating"),
    }
}

/// The element of that sign, power of two and mantissa, little-endian. The power must be a normal one of the type.
pub(crate) fn element(dtype: Dtype, negative: bool, power: i32, mantissa: u64) -> Vec<u8> {
    let (mantissa_bits, bias) = layout(dtype);
    let width = usize::try_from(dtype.size_bytes().unwrap()).unwrap();
    let exponent = bias.checked_add_signed(i64::from(power)).unwrap();
    let sign = u64::from(negative) << (8 * width - 1);
    let bits = sign | exponent << mantissa_bits | mantissa & ((1 << mantissa_bits) - 1);
    bits.to_le_bytes()[..width].to_vec()
}

/// The golden rule: element i comes from word i. Sign: its top bit. Power of two: -4 + bits 56 and 57. Mantissa: its
/// lowest bits. Values are in [1/16, 1) or its negative.
pub(crate) fn golden(seed: u64, dtype: Dtype, shape: &[usize]) -> Tensor {
    let count = shape.iter().product::<usize>() as u64;
    let bytes = (0..count).flat_map(|i| {
        let word = word(seed, i);
        let power = i32::try_from(word >> 56 & 3).unwrap() - 4;
        element(dtype, word >> 63 == 1, power, word)
    });
    Tensor::new(&format!("seed-{seed}"), dtype, shape, bytes.collect())
}

/// A uniform number in [0, 1).
#[expect(clippy::cast_precision_loss, reason = "53 bits")]
pub(crate) fn uniform(seed: u64, i: u64) -> f64 {
    (word(seed, i) >> 11) as f64 / (1_u64 << 53) as f64
}

/// A standard normal number (Irwin-Hall of twelve: near enough, and no transcendental function).
pub(crate) fn normal(seed: u64, i: u64) -> f64 {
    (0..12).map(|k| uniform(seed, 12 * i + k)).sum::<f64>() - 6.0
}
