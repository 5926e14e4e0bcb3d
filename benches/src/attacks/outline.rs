//! The baseline: the published outline taken literally. Tensors joined in the order of their names, the half of greater
//! magnitude cut into 256 equal runs, and a bit for each run whose kurtosis is above the median.

use phash_code::Code256;

use super::Tensor;

/// The code of a model; `None` if it has fewer than 8 weights for each bit.
pub(super) fn code(tensors: &[Tensor]) -> Option<Code256> {
    let mut sorted: Vec<&Tensor> = tensors.iter().collect();
    sorted.sort_by(|a, b| a.name.cmp(&b.name));
    let values: Vec<f32> = sorted.iter().flat_map(|tensor| tensor.values.iter().copied()).collect();
    let mut magnitudes: Vec<f32> = values.iter().map(|value| value.abs()).collect();
    let half = magnitudes.len() / 2;
    if half < 256 * 8 {
        return None;
    }
    let threshold = *magnitudes.select_nth_unstable_by(half, f32::total_cmp).1;
    let kept: Vec<f64> = values.into_iter().filter(|value| value.abs() >= threshold).map(f64::from).collect();
    let kurtoses: Vec<f64> =
        (0..256).map(|run| kurtosis(&kept[kept.len() * run / 256..kept.len() * (run + 1) / 256])).collect();
    let mut ordered = kurtoses.clone();
    ordered.sort_by(f64::total_cmp);
    let median = ordered[128];
    Some(Code256::from_bits(|bit| kurtoses[bit as usize] >= median))
}

fn kurtosis(run: &[f64]) -> f64 {
    let n = run.len() as f64;
    let mean = run.iter().sum::<f64>() / n;
    let (second, fourth) = run.iter().fold((0.0, 0.0), |(second, fourth), x| {
        let square = (x - mean).powi(2);
        (second + square, fourth + square * square)
    });
    n * fourth / (second * second)
}
