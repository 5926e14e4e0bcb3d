//! Section 8: effective bits, P and E, from Pascal's triangle.

pub(crate) fn effective_bits(features: u32) -> u32 {
    match features {
        0..24 => features,
        24..192 => 24,
        192..1080 => features / 8,
        1080.. => 135,
    }
}

/// P(d) with the given number of features.
pub(crate) fn p_value(features: u32, distance_bits: u32) -> f64 {
    let n = effective_bits(features) as usize;
    let mut ways = vec![1.0];
    for _ in 0..n {
        let mut next = vec![1.0];
        for pair in ways.windows(2) {
            next.push(pair[0] + pair[1]);
        }
        next.push(1.0);
        ways = next;
    }
    let all: f64 = ways.iter().sum();
    let at_most = |k: usize| ways.iter().take(k + 1).sum::<f64>() / all;
    let k = f64::from(distance_bits) * f64::from(effective_bits(features)) / 512.0;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 135")]
    let whole = k as usize;
    let rest = k - k.floor();
    ((1.0 - rest) * at_most(whole).ln() + rest * at_most(whole + 1).ln()).exp()
}

#[expect(clippy::cast_precision_loss, reason = "tests use small libraries")]
pub(crate) fn e_value(features: u32, distance_bits: u32, models: u64, views: u32) -> f64 {
    models as f64 * f64::from(views) * p_value(features, distance_bits)
}
