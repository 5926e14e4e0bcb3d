//! Owns the sweep: index against scan over every radius and many k, on kind and adversarial codes of every size. What must
//! hold: nothing is slower than the scan by more than [`super::goals::SCAN`]. Cells over it are measured again before they
//! are reported.

use std::hint::black_box;
use std::time::Instant;

use phash_code::Code;
use phash_index::{Index, Segment, scan};

use super::contender::Skip;
use super::goals::SCAN;
use super::ours::Layout;
use super::task::Task;
use crate::codes::{Data, Kind};
use crate::timing::median;

/// Passes over the queries; a cell over the goal gets as many again, so often.
const AGAIN: usize = 3;
/// A time that is taken is at least so long: shorter ones are repeated.
const LEAST_NS: f64 = 20_000.0;

/// One cell: a task on a set of codes.
#[derive(Clone, Debug)]
pub struct Cell {
    /// What the codes are like.
    pub kind: &'static str,
    /// Their width.
    pub bits: u32,
    /// How many.
    pub n: usize,
    /// Which layout.
    pub layout: Layout,
    /// What was asked.
    pub task: Task,
    /// Nanoseconds a query, by the index and by the scan.
    pub ns: [f64; 2],
    /// Index over scan: of the mean query, and of the query where it is largest.
    pub ratios: [f64; 2],
    /// How often it was measured.
    pub measured: usize,
}

/// The radii of a width: all small ones, then a grid to the width itself.
#[must_use]
pub fn radii(bits: u32) -> Vec<u32> {
    let small = [0, 1, 2, 3, 4, 5, 6, 8, 10, 12, 14, 16, 20, 24, 28, 31, 36, 40, 48, 56, 64];
    let wide = (5..=16).map(|sixteenth| sixteenth * bits / 16);
    let mut radii: Vec<u32> =
        small.into_iter().chain(wide).filter(|&radius_bits| radius_bits <= bits).collect();
    radii.sort_unstable();
    radii.dedup();
    radii
}

/// Measures all tasks on the codes, in one layout.
///
/// # Errors
/// If the index cannot be had, or gives an answer that is not the scan's.
pub fn run<const W: usize>(
    kind: Kind,
    data: &Data<W>,
    layout: Layout,
    tasks: &[Task],
    passes: usize,
) -> Result<Vec<Cell>, Skip> {
    let n = u32::try_from(data.codes.len())?;
    let segments = [Segment::<W, _>::build(&data.codes, 0..n, &layout.params(2))?];
    let index = Index::new(&data.codes, &segments)?;
    let mut cells = Vec::new();
    for &task in tasks {
        let by_index = |query: &Code<W>| match task {
            Task::Within(radius_bits) => index.within(query, radius_bits),
            Task::Nearest(k) => index.nearest(query, k),
        };
        let by_scan = |query: &Code<W>| match task {
            Task::Within(radius_bits) => scan::within(&data.codes, query, radius_bits),
            Task::Nearest(k) => scan::nearest(&data.codes, query, k),
        };
        for query in data.queries.iter().take(4) {
            if by_index(query).matches != by_scan(query).matches {
                return Err(Skip(format!("WRONG ANSWER: {} {} n {n}, {task}", kind.name(), 64 * W)));
            }
        }
        let mut times = vec![[Vec::new(), Vec::new()]; data.queries.len()];
        let mut measured = 0;
        let cell = loop {
            measured += 1;
            for pass in 0..passes {
                for (query, times) in data.queries.iter().zip(&mut times) {
                    // The more often a query is asked, the better the processor knows which codes are near: once there and back,
                    // so that on average both come equally late.
                    let there = [pass % 2, 1 - pass % 2];
                    let mut sums = [0.0; 2];
                    for which in there.into_iter().chain(there.into_iter().rev()) {
                        sums[which] += match which {
                            0 => time(|| by_index(query)),
                            _ => time(|| by_scan(query)),
                        };
                    }
                    times.iter_mut().zip(sums).for_each(|(times, sum)| times.push(sum / 2.0));
                }
            }
            let cell = reduce(
                &times,
                Cell {
                    kind: kind.name(),
                    bits: 64 * W as u32,
                    n: n as usize,
                    layout,
                    task,
                    ns: [0.0; 2],
                    ratios: [0.0; 2],
                    measured,
                },
            );
            if cell.ratios[0] <= SCAN || measured > AGAIN {
                break cell;
            }
        };
        cells.push(cell);
    }
    Ok(cells)
}

/// Nanoseconds of one call, repeated until the clock is no matter.
fn time<R>(mut search: impl FnMut() -> R) -> f64 {
    let start = Instant::now();
    let mut calls = 0.0;
    loop {
        drop(black_box(search()));
        calls += 1.0;
        let ns = start.elapsed().as_nanos() as f64;
        if ns >= LEAST_NS {
            return ns / calls;
        }
    }
}

fn reduce(times: &[[Vec<f64>; 2]], cell: Cell) -> Cell {
    let medians: Vec<[f64; 2]> = times.iter().map(|[index, scan]| [median(index), median(scan)]).collect();
    let ns = [0, 1].map(|which| medians.iter().map(|ns| ns[which]).sum::<f64>() / medians.len() as f64);
    let worst = medians.iter().map(|[index, scan]| index / scan).fold(0.0, f64::max);
    Cell { ns, ratios: [ns[0] / ns[1], worst], ..cell }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grid_reaches_from_nothing_to_everything() {
        for bits in [64, 128, 256, 512] {
            let radii = radii(bits);
            assert_eq!((radii[0], radii[radii.len() - 1]), (0, bits));
            assert!(radii.is_sorted() && radii.len() > 20);
        }
    }

    #[test]
    fn a_cell_is_the_mean_of_medians_and_the_worst_query() {
        let times = [[vec![1.0, 9.0, 2.0], vec![4.0, 4.0, 4.0]], [vec![6.0; 3], vec![2.0; 3]]];
        let cell = Cell {
            kind: "uniform",
            bits: 64,
            n: 0,
            layout: Layout::Fast,
            task: Task::Within(0),
            ns: [0.0; 2],
            ratios: [0.0; 2],
            measured: 1,
        };
        let cell = reduce(&times, cell);
        assert_eq!((cell.ns, cell.ratios), ([4.0, 3.0], [4.0 / 3.0, 3.0]));
    }
}
