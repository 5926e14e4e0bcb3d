//! Owns the kinds of codes that searches are measured on, and their queries. The same seed gives the same codes on every
//! machine and any number of threads.
//!
//! uniform: every bit a fair coin. skewed: as `model.rs` says. In both, 1 % of the codes are copies of others with up to
//! [`radius_max`] bits flipped. The other kinds are the worst that can be thought of: `shapes.rs`.

pub mod files;
mod model;
pub mod real;
mod shapes;
pub mod source;

use phash_code::Code;

use crate::parallel;
use crate::random::SplitMix;
use model::Model;

/// What the codes are like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Independent fair bits: unrelated queries are far from everything.
    Uniform,
    /// Correlated, unbalanced bits: unrelated queries are near to something.
    Skewed,
    /// One code, again and again.
    Equal,
    /// Codes one or two bits from each other.
    Neighbours,
    /// Two clusters, half of the codes each, an eighth of the bits across.
    Clusters,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Uniform, Self::Skewed, Self::Equal, Self::Neighbours, Self::Clusters];

    /// `uniform`, `skewed`, `equal`, `neighbours` or `clusters`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Kind::Uniform => "uniform",
            Kind::Skewed => "skewed",
            Kind::Equal => "equal",
            Kind::Neighbours => "neighbours",
            Kind::Clusters => "clusters",
        }
    }

    /// The kind of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// Stored codes and queries.
#[derive(Clone, Debug)]
pub struct Data<const W: usize> {
    /// The stored codes.
    pub codes: Vec<Code<W>>,
    /// Alternately a near copy of a stored code and a fresh draw.
    pub queries: Vec<Code<W>>,
    /// The seeds, for the record.
    pub seeds: String,
}

/// Most bits flipped in a planted copy or a near query: 12 for 64 bits, 31 for more.
#[must_use]
pub fn radius_max<const W: usize>() -> u32 {
    if W == 1 { 12 } else { 31 }
}

/// How many codes a thread draws at a time.
const BLOCK: usize = 1 << 14;

/// `n` codes and `queries` queries, made on all threads. The seeds depend on kind and width only; the model of the skewed
/// kind, and the first codes, do not depend on `n`.
#[must_use]
pub fn generate<const W: usize>(kind: Kind, n: u32, queries: usize) -> Data<W> {
    let bits = u64::from(Code::<W>::BITS);
    let (sample, planted, fresh) =
        (if kind == Kind::Skewed { 2000 } else { 1000 } + bits, 3000 + bits, 4000 + bits);
    let model = Model::new(kind, 7000 + bits);
    let random = SplitMix::new(sample);
    let mut codes = vec![Code::<W>::ZERO; n as usize];
    let blocks: Vec<_> = codes.chunks_mut(BLOCK).enumerate().collect();
    parallel::consume(blocks, |(block, codes)| {
        let first = block * BLOCK;
        let mut random = random.skipped(first as u64 * model.draws_a_code::<W>());
        model.fill(first, codes, &mut random);
    });

    let mut random = SplitMix::new(planted);
    let mut sources = Vec::new();
    if matches!(kind, Kind::Uniform | Kind::Skewed) {
        for copy in random.choose(n as usize / 100, n) {
            let source = random.below(n);
            codes[copy as usize] = flip(&codes[source as usize], &mut random);
            sources.push(source);
        }
    }
    let mut random_fresh = SplitMix::new(fresh);
    let queries = (0..queries)
        .map(|i| match i % 4 {
            _ if n == 0 => model.draw(&mut random_fresh),
            0 if !sources.is_empty() => {
                let source = sources[random.place(sources.len())];
                flip(&codes[source as usize], &mut random)
            }
            0 | 2 => flip(&codes[random.below(n) as usize], &mut random),
            _ => model.draw(&mut random_fresh),
        })
        .collect();
    let seeds = match kind {
        Kind::Skewed => format!("model {}, sample {sample}, planted {planted}, fresh {fresh}", 7000 + bits),
        _ => format!("sample {sample}, planted {planted}, fresh {fresh}"),
    };
    Data { codes, queries, seeds }
}

/// The code with 0 to `radius_max` different bits flipped.
fn flip<const W: usize>(code: &Code<W>, random: &mut SplitMix) -> Code<W> {
    let count = random.below(radius_max::<W>() + 1) as usize;
    let mut near = *code;
    for bit in random.choose(count, Code::<W>::BITS) {
        near.set_bit(bit, !near.bit(bit));
    }
    near
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_the_same_every_time_and_skewed_codes_cluster() {
        let data = generate::<4>(Kind::Skewed, 2000, 8);
        assert_eq!(data.codes, generate::<4>(Kind::Skewed, 2000, 8).codes);
        let mean = |data: &Data<4>| -> f64 {
            let pairs = data.codes.windows(2).map(|pair| f64::from(pair[0].distance(&pair[1])));
            pairs.sum::<f64>() / 1999.0
        };
        let uniform = generate::<4>(Kind::Uniform, 2000, 8);
        assert!((mean(&uniform) - 128.0).abs() < 2.0);
        assert!(mean(&data) < 125.0, "{}", mean(&data));
        assert!(uniform.queries.iter().step_by(2).all(|q| uniform.codes.iter().any(|c| q.distance(c) <= 31)));
    }

    #[test]
    fn blocks_drawn_apart_are_the_codes_drawn_one_after_the_other() {
        fn check<const W: usize>(kind: Kind) {
            let n = u32::try_from(BLOCK + 300).unwrap();
            let data = generate::<W>(kind, n, 0);
            let model = Model::new(kind, 7000 + u64::from(Code::<W>::BITS));
            let seed = if kind == Kind::Skewed { 2000 } else { 1000 } + u64::from(Code::<W>::BITS);
            let mut random = SplitMix::new(seed);
            let mut one_by_one = vec![Code::<W>::ZERO; n as usize];
            model.fill(0, &mut one_by_one, &mut random);
            let different = data.codes.iter().zip(&one_by_one).filter(|(a, b)| a != b).count();
            assert!(different <= n as usize / 100, "{kind:?} {W}: {different}");
        }
        for kind in Kind::ALL {
            check::<1>(kind);
            check::<4>(kind);
        }
    }

    #[test]
    fn names_are_read_back() {
        assert!(Kind::ALL.iter().all(|&kind| Kind::named(kind.name()) == Some(kind)));
        assert_eq!(Kind::named("even"), None);
    }
}
