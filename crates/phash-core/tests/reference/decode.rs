//! Section 2: elements to f64 by sign, exponent and mantissa arithmetic, from a table of the formats.

/// What the largest exponent, or the code 0x80, means.
enum Special {
    /// Infinities and NaNs under the largest exponent.
    Ieee,
    /// All ones but the sign is NaN.
    AllOnesNan,
    /// The sign bit alone is NaN.
    MinusZeroNan,
}

struct Format {
    exponent_bits: u32,
    mantissa_bits: u32,
    bias: i32,
    special: Special,
}

fn format(dtype: &str) -> Option<Format> {
    let (exponent_bits, mantissa_bits, bias, special) = match dtype {
        "F64" => (11, 52, 1023, Special::Ieee),
        "F32" => (8, 23, 127, Special::Ieee),
        "F16" => (5, 10, 15, Special::Ieee),
        "BF16" => (8, 7, 127, Special::Ieee),
        "F8_E4M3" => (4, 3, 7, Special::AllOnesNan),
        "F8_E5M2" => (5, 2, 15, Special::Ieee),
        "F8_E4M3FNUZ" => (4, 3, 8, Special::MinusZeroNan),
        "F8_E5M2FNUZ" => (5, 2, 16, Special::MinusZeroNan),
        _ => return None,
    };
    Some(Format { exponent_bits, mantissa_bits, bias, special })
}

/// The elements of a floating tensor, or `None` if the type is not one of the eight.
pub(crate) fn decode(dtype: &str, bytes: &[u8]) -> Option<Vec<f64>> {
    let format = format(dtype)?;
    let width = (1 + format.exponent_bits + format.mantissa_bits) as usize / 8;
    assert_eq!(bytes.len() % width, 0, "{dtype}");
    let mut values = Vec::new();
    for element in bytes.chunks(width) {
        let mut word = 0_u64;
        for (i, &byte) in element.iter().enumerate() {
            word += u64::from(byte) << (8 * i);
        }
        values.push(value(&format, word));
    }
    Some(values)
}

fn value(format: &Format, word: u64) -> f64 {
    let mantissa = word % (1 << format.mantissa_bits);
    let exponent = (word >> format.mantissa_bits) % (1 << format.exponent_bits);
    let negative = word >> (format.mantissa_bits + format.exponent_bits) == 1;
    let largest = (1 << format.exponent_bits) - 1;
    match format.special {
        Special::Ieee if exponent == largest && mantissa == 0 => return f64::INFINITY,
        Special::Ieee if exponent == largest => return f64::NAN,
        Special::AllOnesNan if exponent == largest && mantissa + 1 == 1 << format.mantissa_bits => {
            return f64::NAN;
        }
        Special::MinusZeroNan if negative && exponent == 0 && mantissa == 0 => return f64::NAN,
        _ => {}
    }
    let (whole, power) =
        if exponent == 0 { (mantissa, 1) } else { (mantissa + (1 << format.mantissa_bits), exponent) };
    let power = i32::try_from(power).unwrap() - format.bias - i32::try_from(format.mantissa_bits).unwrap();
    #[expect(clippy::cast_precision_loss, reason = "at most 53 bits")]
    let magnitude = whole as f64 * power_of_two(power / 2) * power_of_two(power - power / 2);
    if negative { -magnitude } else { magnitude }
}

fn power_of_two(power: i32) -> f64 {
    let mut value = 1.0;
    for _ in 0..power.abs() {
        value *= if power < 0 { 0.5 } else { 2.0 };
    }
    value
}
