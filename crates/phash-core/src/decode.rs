//! Owns the element types' meaning: little-endian bytes to `f32` or `f64`, exactly, for every floating type. Each decoder is total:
//! any bytes give a value (possibly NaN or infinite). Branch-free where it matters, so that loops over it vectorise.

/// One floating element type.
pub(crate) trait Element {
    /// Bytes an element.
    const SIZE: usize;

    /// The narrowest of `f32` and `f64` that holds every value.
    type Value: Copy;

    /// The value of the element in `bytes[..SIZE]`.
    fn decode(bytes: &[u8]) -> Self::Value;
}

pub(crate) struct F64;
pub(crate) struct F32;
pub(crate) struct F16;
pub(crate) struct Bf16;
pub(crate) struct F8E4M3;
pub(crate) struct F8E5M2;
pub(crate) struct F8E4M3Fnuz;
pub(crate) struct F8E5M2Fnuz;

impl Element for F64 {
    const SIZE: usize = 8;
    type Value = f64;

    #[inline(always)]
    fn decode(b: &[u8]) -> f64 {
        f64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]])
    }
}

impl Element for F32 {
    const SIZE: usize = 4;
    type Value = f32;

    #[inline(always)]
    fn decode(b: &[u8]) -> f32 {
        f32::from_le_bytes([b[0], b[1], b[2], b[3]])
    }
}

impl Element for Bf16 {
    const SIZE: usize = 2;
    type Value = f32;

    #[inline(always)]
    fn decode(b: &[u8]) -> f32 {
        f32::from_bits(u32::from(u16::from_le_bytes([b[0], b[1]])) << 16)
    }
}

impl Element for F16 {
    const SIZE: usize = 2;
    type Value = f32;

    #[inline(always)]
    fn decode(b: &[u8]) -> f32 {
        let bits = u32::from(u16::from_le_bytes([b[0], b[1]]));
        let magnitude = bits & 0x7fff;
        // A subnormal has no hidden bit: give it one (exponent 113 is 2^-14, the least normal) and take it off again.
        let hidden = f32::from_bits(113 << 23);
        let subnormal = f32::from_bits((magnitude << 13) + (113 << 23)) - hidden;
        let normal = f32::from_bits((magnitude << 13) + (112 << 23));
        let special = f32::from_bits((magnitude << 13) | 0x7f80_0000);
        let value = if magnitude < 0x0400 {
            subnormal
        } else if magnitude < 0x7c00 {
            normal
        } else {
            special
        };
        f32::from_bits(value.to_bits() | ((bits & 0x8000) << 16))
    }
}

/// How the all-ones exponent and the sign of zero are read in an 8-bit float.
#[derive(Clone, Copy)]
enum Special {
    /// All-ones exponent is infinity (mantissa 0) or NaN, as in IEEE 754.
    Ieee,
    /// Only S.1111.111 is NaN; there is no infinity.
    OnlyAllOnes,
    /// Only 0x80 ("negative zero") is NaN; there is no infinity.
    OnlyNegativeZero,
}

/// The 256 values of an 8-bit float with a sign bit, `exponent_bits`, and the rest mantissa. Exact in `f32`.
const fn table(exponent_bits: u32, bias: i32, special: Special) -> [f32; 256] {
    let mantissa_bits = 7 - exponent_bits;
    let mut values = [0.0f32; 256];
    let mut byte = 0u32;
    while byte < 256 {
        let exponent = (byte >> mantissa_bits) & ((1 << exponent_bits) - 1);
        let mantissa = byte & ((1 << mantissa_bits) - 1);
        let magnitude = if exponent == 0 {
            mantissa as f32 * power_of_two(1 - bias - mantissa_bits as i32)
        } else {
            ((1 << mantissa_bits) + mantissa) as f32
                * power_of_two(exponent as i32 - bias - mantissa_bits as i32)
        };
        let all_ones = exponent == (1 << exponent_bits) - 1;
        let value = match special {
            Special::Ieee if all_ones && mantissa == 0 => f32::INFINITY,
            Special::Ieee if all_ones => f32::NAN,
            Special::OnlyAllOnes if all_ones && mantissa == (1 << mantissa_bits) - 1 => f32::NAN,
            Special::OnlyNegativeZero if byte == 0x80 => f32::NAN,
            _ => magnitude,
        };
        values[byte as usize] = if byte & 0x80 != 0 { -value } else { value };
        byte += 1;
    }
    values
}

const fn power_of_two(exponent: i32) -> f32 {
    f32::from_bits(((exponent + 127) as u32) << 23)
}

static E4M3: [f32; 256] = table(4, 7, Special::OnlyAllOnes);
static E5M2: [f32; 256] = table(5, 15, Special::Ieee);
static E4M3_FNUZ: [f32; 256] = table(4, 8, Special::OnlyNegativeZero);
static E5M2_FNUZ: [f32; 256] = table(5, 16, Special::OnlyNegativeZero);

macro_rules! table_element {
    ($name:ident, $table:ident) => {
        impl Element for $name {
            const SIZE: usize = 1;
            type Value = f32;

            #[inline(always)]
            fn decode(b: &[u8]) -> f32 {
                $table[usize::from(b[0])]
            }
        }
    };
}

table_element!(F8E4M3, E4M3);
table_element!(F8E5M2, E5M2);
table_element!(F8E4M3Fnuz, E4M3_FNUZ);
table_element!(F8E5M2Fnuz, E5M2_FNUZ);

#[cfg(test)]
mod tests {
    use super::*;

    /// The value from its fields by arithmetic alone, in f64.
    fn by_fields(bits: u32, exponent_bits: u32, mantissa_bits: u32, bias: i32) -> f64 {
        let sign = if bits >> (exponent_bits + mantissa_bits) == 1 { -1.0 } else { 1.0 };
        let exponent = (bits >> mantissa_bits) & ((1 << exponent_bits) - 1);
        let fraction = f64::from(bits & ((1 << mantissa_bits) - 1)) / f64::from(1u32 << mantissa_bits);
        match exponent {
            0 => sign * fraction * 2f64.powi(1 - bias),
            e => sign * (1.0 + fraction) * 2f64.powi(e as i32 - bias),
        }
    }

    #[test]
    fn half_and_bfloat_agree_with_the_half_crate_on_every_bit_pattern() {
        for bits in 0..=u16::MAX {
            let bytes = bits.to_le_bytes();
            let (ours, theirs) = (F16::decode(&bytes), half::f16::from_bits(bits).to_f32());
            assert!(
                ours.to_bits() == theirs.to_bits() || ours.is_nan() && theirs.is_nan(),
                "f16 {bits:#06x}"
            );
            let (ours, theirs) = (Bf16::decode(&bytes), half::bf16::from_bits(bits).to_f32());
            assert!(
                ours.to_bits() == theirs.to_bits() || ours.is_nan() && theirs.is_nan(),
                "bf16 {bits:#06x}"
            );
        }
    }

    #[test]
    fn eight_bit_floats_follow_their_fields_and_have_the_documented_specials() {
        for byte in 0..=u8::MAX {
            let bits = u32::from(byte);
            let finite = [
                (F8E4M3::decode(&[byte]), by_fields(bits, 4, 3, 7), bits & 0x7f == 0x7f),
                (F8E5M2::decode(&[byte]), by_fields(bits, 5, 2, 15), bits & 0x7c == 0x7c),
                (F8E4M3Fnuz::decode(&[byte]), by_fields(bits, 4, 3, 8), bits == 0x80),
                (F8E5M2Fnuz::decode(&[byte]), by_fields(bits, 5, 2, 16), bits == 0x80),
            ];
            for (ours, expected, special) in finite {
                let ours = f64::from(ours);
                assert!(special || ours == expected, "{byte:#04x}: {ours} is not {expected}");
                assert_eq!(special, !ours.is_finite(), "{byte:#04x}");
            }
        }
        assert_eq!((F8E4M3::decode(&[0x7e]), F8E5M2::decode(&[0x7b])), (448.0, 57344.0));
        assert_eq!((F8E4M3Fnuz::decode(&[0x7f]), F8E5M2Fnuz::decode(&[0x7f])), (240.0, 57344.0));
        assert_eq!(F8E5M2::decode(&[0xfc]), f32::NEG_INFINITY);
    }
}
