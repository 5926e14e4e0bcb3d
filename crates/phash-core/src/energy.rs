//! The view `energy`: a weight segment is a channel (all weights under one index of an axis), its statistic the log of the
//! mean square, high-passed along the axis because neighbouring channels of independent models drift alike.

use crate::cut::{Cut, MIN_AXIS};
use crate::features::{Features, Statistic, logs, standardise};
use crate::planes::Moments;

/// Neighbours on each side whose mean is subtracted.
const NEIGHBOURS: usize = 2;

/// The features of each channel axis, with its length: rows first, then columns. A channel axis without spread is there with
/// no features.
#[inline(always)]
pub(crate) fn axes(cut: &Cut, moments: &Moments) -> Vec<(usize, Features)> {
    let rows = (&moments.row_sums, cut.row_len, true);
    let columns = (&moments.column_sums, cut.column_len, cut.dense);
    [rows, columns]
        .into_iter()
        .filter(|&(_, len, is_axis)| is_axis && len >= MIN_AXIS)
        .map(|(channels, len, _)| (len, features(channels, len)))
        .collect()
}

#[inline(always)]
fn features(channels: &[f32], len: usize) -> Features {
    let total = channels.iter().fold(0.0, |sum, &channel| sum + f64::from(channel));
    let energies = logs(channels.iter().map(|&channel| f64::from(channel)), total / channels.len() as f64);
    let values = standardise(&high_pass(&energies));
    Features::new(Statistic::ChannelEnergy, [len as u64, 0, 0], &values, None)
}

/// Each value less the mean of up to two neighbours on each side (as many as there are).
fn high_pass(values: &[f64]) -> Vec<f64> {
    (0..values.len())
        .map(|i| {
            let (first, end) = (i.saturating_sub(NEIGHBOURS), (i + NEIGHBOURS + 1).min(values.len()));
            let (sum, count) =
                (first..end).filter(|&j| j != i).fold((0.0, 0.0), |(sum, n), j| (sum + values[j], n + 1.0));
            values[i] - sum / count
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::high_pass;

    #[test]
    fn high_pass_subtracts_the_mean_of_the_neighbours_there_are() {
        assert_eq!(
            high_pass(&[1.0, 2.0, 4.0, 8.0, 16.0]),
            [1.0 - 3.0, 2.0 - 13.0 / 3.0, 4.0 - 6.75, 8.0 - 22.0 / 3.0, 10.0]
        );
    }
}
