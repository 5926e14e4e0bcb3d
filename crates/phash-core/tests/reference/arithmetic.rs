//! Sections 2, 4 and 5: the lane sum, `logs`, the median and `standardise`.

/// Eight lanes from +0; element i goes to lane i mod 8.
pub(crate) fn sum(x: &[f64]) -> f64 {
    let mut l = [0.0; 8];
    for (i, value) in x.iter().enumerate() {
        l[i % 8] += value;
    }
    ((l[0] + l[4]) + (l[2] + l[6])) + ((l[1] + l[5]) + (l[3] + l[7]))
}

pub(crate) fn dot(x: &[f64], y: &[f64]) -> f64 {
    assert_eq!(x.len(), y.len());
    let products: Vec<f64> = (0..x.len()).map(|i| x[i] * y[i]).collect();
    sum(&products)
}

pub(crate) fn logs(x: &[f64], m: f64) -> Vec<f64> {
    let floor = m * (1.0 / 1_048_576.0);
    x.iter().map(|&value| libm::log(if value > floor { value } else { floor })).collect()
}

fn median(x: &[f64]) -> f64 {
    let mut sorted = x.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[middle] } else { (sorted[middle - 1] + sorted[middle]) / 2.0 }
}

/// The features of `x`, or none.
pub(crate) fn standardise(x: &[f64]) -> Option<Vec<i64>> {
    // Values too small for the logarithm's floor (below 2^-1054) give no numbers, hence no spread.
    if x.iter().any(|value| !value.is_finite()) {
        return None;
    }
    let centre = median(x);
    let deviations: Vec<f64> = x.iter().map(|value| (value - centre).abs()).collect();
    let spread = 1.4826 * median(&deviations);
    if spread.is_nan() || spread <= 0.0 {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "between -768 and 768")]
    let feature = |value: f64| {
        let mut z = (value - centre) / spread;
        if z > 3.0 {
            z = 3.0;
        }
        if z < -3.0 {
            z = -3.0;
        }
        nearest_even(z * 256.0) as i64
    };
    Some(x.iter().map(|&value| feature(value)).collect())
}

/// Rounds to the nearest whole number, ties to the even one.
fn nearest_even(x: f64) -> f64 {
    let below = x.floor();
    let rest = x - below;
    if rest > 0.5 || (rest == 0.5 && below % 2.0 != 0.0) { below + 1.0 } else { below }
}
