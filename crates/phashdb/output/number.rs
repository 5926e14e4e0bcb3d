//! Numbers as people read them. Machine-readable formats print the numbers themselves.

/// A count with thousands apart.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A count with its noun.
pub(crate) fn counted(number: u64, singular: &str, plural: &str) -> String {
    format!("{} {}", count(number), if number == 1 { singular } else { plural })
}

/// Bytes in decimal units.
pub(crate) fn bytes(number: u64) -> String {
    const UNITS: [&str; 6] = ["B", "kB", "MB", "GB", "TB", "PB"];
    let mut value = number as f64;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    if unit == 0 || value >= 99.95 {
        format!("{value:.0} {}", UNITS[unit])
    } else {
        format!("{value:.1} {}", UNITS[unit])
    }
}

/// An E-value: two digits are as much as it deserves.
pub(crate) fn e_value(number: f64) -> String {
    if number == 0.0 {
        "0".to_owned()
    } else if number >= 99.5 {
        format!("{number:.0}")
    } else if number >= 0.095 {
        format!("{number:.1}")
    } else {
        format!("{number:.0e}")
    }
}

/// A duration.
pub(crate) fn seconds(number: f64) -> String {
    if number < 9.95 { format!("{number:.2} s") } else { format!("{number:.0} s") }
}

/// A duration given in microseconds.
pub(crate) fn microseconds(number: f64) -> String {
    if number < 9_950.0 { format!("{} µs", ratio(number)) } else { format!("{} ms", ratio(number / 1000.0)) }
}

/// A number in three digits, or all before the point.
pub(crate) fn ratio(number: f64) -> String {
    if number == 0.0 {
        "0".to_owned()
    } else if number < 9.995 {
        format!("{number:.2}")
    } else if number < 99.95 {
        format!("{number:.1}")
    } else {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive, for reading")]
        let whole = number.round() as u64;
        count(whole)
    }
}

/// A shape.
pub(crate) fn shape(axes: &[u64]) -> String {
    if axes.is_empty() {
        return "scalar".to_owned();
    }
    axes.iter().map(u64::to_string).collect::<Vec<_>>().join("x")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_rounded_to_what_people_read() {
        assert_eq!(
            [count(0), count(999), count(1_000), count(12_345_678)],
            ["0", "999", "1,000", "12,345,678"]
        );
        assert_eq!([bytes(0), bytes(999), bytes(1_000)], ["0 B", "999 B", "1.0 kB"]);
        assert_eq!([bytes(999_950), bytes(470_000_000)], ["1.0 MB", "470 MB"]);
        assert_eq!([e_value(3.14e-31), e_value(0.5), e_value(0.0)], ["3e-31", "0.5", "0"]);
        assert_eq!([e_value(542.0), e_value(0.011)], ["542", "1e-2"]);
        assert_eq!([counted(1, "model", "models"), counted(0, "model", "models")], ["1 model", "0 models"]);
        assert_eq!(
            [microseconds(0.514), microseconds(42.0), microseconds(15_300.0)],
            ["0.51 µs", "42.0 µs", "15.3 ms"]
        );
        assert_eq!([ratio(0.0), ratio(123_456.7), ratio(9.999)], ["0", "123,457", "10.0"]);
        assert_eq!([shape(&[3, 4]), shape(&[])], ["3x4", "scalar"]);
    }
}
