//! The view `energy`: a weight segment is a channel (all weights under one index of an axis), its statistic the log of the
//! mean square, high-passed along the axis because neighbouring channels of independent models drift alike.

use crate::cut::{Cut, MIN_AXIS};
use crate::features::{logs, standardise};
use crate::moments::Moments;
use crate::projection::{Statistic, Sums};

/// Neighbours on each side whose mean is subtracted.
const NEIGHBOURS: usize = 2;

/// The sums of each channel axis, with its length: rows first, then columns.
#[inline(always)]
pub(crate) fn axis_sums(cut: &Cut, moments: &Moments) -> Vec<(usize, Sums)> {
    let (rows, columns) = match cut.outer_is_rows {
        true => (&moments.outer_sums, &moments.inner_sums),
        false => (&moments.inner_sums, &moments.outer_sums),
    };
    let mut axes = Vec::new();
    for (channels, is_axis) in [(rows, true), (columns, cut.dense)] {
        if is_axis && channels.len() >= MIN_AXIS {
            axes.push((channels.len(), sums_of(channels, moments.total)));
        }
    }
    axes
}

#[inline(always)]
fn sums_of(channels: &[f64], total: f64) -> Sums {
    let energies = logs(channels.iter().copied(), total / channels.len() as f64);
    let features = standardise(&high_pass(&energies));
    let mut sums = Sums::default();
    sums.project(Statistic::ChannelEnergy, [channels.len() as u64, 0], &features);
    sums.features = u32::try_from(features.len()).unwrap_or(u32::MAX);
    sums
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
