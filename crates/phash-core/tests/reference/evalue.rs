//! Section 8: effective bits, P, joint P and E, from Pascal's triangle.

use std::f64::consts::PI;

pub(crate) fn effective_bits(view: &str, features: u32) -> u32 {
    let (g, s): (f64, f64) = match view {
        "energy" => (1.4, 0.13),
        "blocks" => (1.5, 0.16),
        "weights" => (1.7, 0.03),
        "order" => (1.7, 0.04),
        "orbit" => (1.6, 0.04),
        _ => panic!("section 8 has no view {view}"),
    };
    if features == 0 {
        return 0;
    }
    let variance = 0.25 / 512.0 + (g * g / f64::from(features) + s * s) / (PI * PI);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 512")]
    let bits = (0.25 / variance).floor() as u32;
    bits
}

/// P(d) in a view with the given number of features.
pub(crate) fn p_value(view: &str, features: u32, distance_bits: u32) -> f64 {
    let n = effective_bits(view, features);
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
    let k = f64::from(distance_bits) * f64::from(n) / 512.0;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 512")]
    let whole = k as usize;
    let rest = k - k.floor();
    ((1.0 - rest) * at_most(whole).ln() + rest * at_most(whole + 1).ln()).exp()
}

/// The joint P of the views in which both models have a code, by the views' own.
pub(crate) fn joint_p_value(p: &[f64]) -> f64 {
    if p.len() < 2 {
        return p.first().copied().unwrap_or(1.0);
    }
    let mut least = 1.0;
    let mut s = 0.0;
    for &p in p {
        least = if p < least { p } else { least };
        s += -p.ln();
    }
    // e^-S (1 + S + S^2/2 + ... + S^(V-1)/(V-1)!), each term from its logarithm.
    let mut fisher = 0.0;
    let mut ln_factorial = 0.0;
    for i in 0..p.len() {
        let i = f64::from(u32::try_from(i).unwrap());
        if i > 0.0 {
            ln_factorial += i.ln();
        }
        let ln_power = if i == 0.0 { 0.0 } else { i * s.ln() };
        fisher += (ln_power - ln_factorial - s).exp();
    }
    let v = f64::from(u32::try_from(p.len()).unwrap());
    let single = v * least;
    let better = if single < fisher { single } else { fisher };
    if 2.0 * better > 1.0 { 1.0 } else { 2.0 * better }
}

#[expect(clippy::cast_precision_loss, reason = "tests use small libraries")]
pub(crate) fn e_value(joint_p: f64, models: u64) -> f64 {
    models as f64 * joint_p
}
