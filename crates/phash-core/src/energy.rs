//! The view `energy`: a weight segment is a channel (all weights under one index of an axis), its statistic the log of the
//! mean square, high-passed along the axis because neighbouring channels of independent models drift alike.

use crate::cut::Cut;
use crate::features::{logs, standardise};
use crate::moments::Moments;
use crate::projection::{Statistic, Sums};

/// Neighbours on each side whose mean is subtracted.
const NEIGHBOURS: usize = 2;

/// Adds the features of the tensor's channel axes whose length `counts`.
#[inline(always)]
pub(crate) fn add_features(cut: &Cut, moments: &Moments, counts: impl Fn(usize) -> bool, sums: &mut Sums) {
    let (rows, columns) = match cut.outer_is_rows {
        true => (&moments.outer_sums, &moments.inner_sums),
        false => (&moments.inner_sums, &moments.outer_sums),
    };
    // A tensor's channel axes are the rows, then the columns: a shorter list leaves out from the end or by length.
    let mut axes = cut.channel_axes().peekable();
    for channels in [rows, columns] {
        if axes.next_if_eq(&channels.len()).is_some() && counts(channels.len()) {
            add_axis(channels, moments.total, sums);
        }
    }
}

#[inline(always)]
fn add_axis(channels: &[f64], total: f64, sums: &mut Sums) {
    let energies = logs(channels.iter().copied(), total / channels.len() as f64);
    let features = standardise(&high_pass(&energies));
    sums.project(Statistic::ChannelEnergy, [channels.len() as u64, 0], &features);
    sums.features += u32::try_from(features.len()).unwrap_or(u32::MAX);
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
