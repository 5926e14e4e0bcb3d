//! Owns the way from stored elements to the order of the planes: which spans of a tensor's bytes are asked for, and where
//! each element goes. What must hold: elements are visited once, in the order in which they are stored.

use crate::cut::{Axis, Cut};
use crate::decode::Element;

/// A tensor's bytes, by position.
pub(crate) trait Elements {
    type Error;

    /// The `len` bytes from `first` on.
    fn bytes(&mut self, first: usize, len: usize) -> Result<&[u8], Self::Error>;
}

/// What lies between two elements further apart than this is not asked for: less than a page is not worth a read.
const NEAR_BYTES: usize = 4_096;
/// Bytes asked for at a time, unless the elements follow each other without a gap.
const SPAN_BYTES: usize = 1 << 20;
/// So many elements are put to their places by one table, if the innermost axes have as many.
const TABLE: usize = 256;

/// Decodes the elements of `cut` to `target`: position-major, then rows, then columns. `looked_at` is told the bytes of
/// all of them, as they are stored.
pub(crate) fn gather<E: Element, S: Elements>(
    cut: &Cut,
    source: &mut S,
    target: &mut [E::Value],
    mut looked_at: impl FnMut(&[u8]),
) -> Result<(), S::Error> {
    // The innermost axes make a line; at least one axis is left outside.
    let mut split = cut.axes.len() - 1;
    while split > 1 && count(&cut.axes[split..]) < TABLE {
        split -= 1;
    }
    let (outer, inner) = cut.axes.split_at(split);
    let line = Line::new(inner, E::SIZE);
    let mut at = vec![0; outer.len()];
    loop {
        let element: usize = at.iter().zip(outer).map(|(&i, axis)| axis.used[i] * axis.stride).sum();
        let place: usize = at.iter().zip(outer).map(|(&i, axis)| i * axis.plane_stride).sum();
        let target = &mut target[place..];
        for stretch in &line.stretches {
            let bytes = source.bytes((element + stretch.first) * E::SIZE, stretch.len * E::SIZE)?;
            for run in &stretch.runs {
                let bytes = &bytes[(run.first - stretch.first) * E::SIZE..][..run.places.len() * E::SIZE];
                looked_at(bytes);
                run.decode::<E>(bytes, target);
            }
        }
        // The next index tuple, the last axis fastest.
        let Some(axis) = (0..outer.len()).rev().find(|&axis| at[axis] + 1 < outer[axis].used.len()) else {
            return Ok(());
        };
        at[axis] += 1;
        at[axis + 1..].fill(0);
    }
}

fn count(axes: &[Axis]) -> usize {
    axes.iter().map(|axis| axis.used.len()).product()
}

/// The used elements of the innermost axes.
struct Line {
    stretches: Vec<Stretch>,
}

/// Elements that are read together: `len` from `first` on, counted from the start of the line.
struct Stretch {
    first: usize,
    len: usize,
    runs: Vec<Run>,
}

/// Elements that follow each other, from `first` on, and their places; whether these follow each other too.
struct Run {
    first: usize,
    places: Vec<usize>,
    straight: bool,
}

impl Line {
    fn new(axes: &[Axis], size: usize) -> Line {
        let elements = axes.iter().fold(vec![(0, 0)], |elements: Vec<(usize, usize)>, axis| {
            let step = |&(element, place): &(usize, usize)| {
                let used = axis.used.iter().enumerate();
                used.map(move |(i, index)| (element + index * axis.stride, place + i * axis.plane_stride))
            };
            elements.iter().flat_map(step).collect()
        });
        let mut stretches: Vec<Stretch> = Vec::new();
        for run in elements.chunk_by(|a, b| a.0 + 1 == b.0) {
            let (first, end) = (run[0].0, run[0].0 + run.len());
            let straight = run.windows(2).all(|pair| pair[0].1 + 1 == pair[1].1);
            let run = Run { first, places: run.iter().map(|&(_, place)| place).collect(), straight };
            match stretches.last_mut() {
                Some(stretch)
                    if (first - (stretch.first + stretch.len)) * size <= NEAR_BYTES
                        && (end - stretch.first) * size <= SPAN_BYTES =>
                {
                    stretch.len = end - stretch.first;
                    stretch.runs.push(run);
                }
                _ => stretches.push(Stretch { first, len: end - first, runs: vec![run] }),
            }
        }
        Line { stretches }
    }
}

impl Run {
    #[inline(always)]
    fn decode<E: Element>(&self, bytes: &[u8], target: &mut [E::Value]) {
        let elements = bytes.chunks_exact(E::SIZE);
        if self.straight {
            let target = &mut target[self.places[0]..][..self.places.len()];
            target.iter_mut().zip(elements).for_each(|(target, bytes)| *target = E::decode(bytes));
        } else {
            self.places.iter().zip(elements).for_each(|(&place, bytes)| target[place] = E::decode(bytes));
        }
    }
}
