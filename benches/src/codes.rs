//! Owns the two kinds of codes that searches are measured on, and their queries.
//!
//! uniform: every bit a fair coin. skewed: bit = [A z + c + eps / 2 > 0], z 16 normal numbers a code, rows of A normal
//! with spectrum (j + 1)^-1/2 scaled to mean square 1, c normal with deviation 1/2, eps normal: correlated and unbalanced
//! bits, as learned hashes have. In both, 1 % of the codes are copies of others with up to `radius_max` bits flipped.

use phash_code::Code;

use crate::random::{Normal, SplitMix};

/// What the codes are like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Independent fair bits: unrelated queries are far from everything.
    Uniform,
    /// Correlated, unbalanced bits: unrelated queries are near to something.
    Skewed,
}

impl Kind {
    /// `uniform` or `skewed`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Kind::Uniform => "uniform",
            Kind::Skewed => "skewed",
        }
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

/// `n` codes and `queries` queries. The seeds depend on kind and width only; the model of the skewed kind, and the first
/// codes, do not depend on `n`.
#[must_use]
pub fn generate<const W: usize>(kind: Kind, n: u32, queries: usize) -> Data<W> {
    let bits = u64::from(Code::<W>::BITS);
    let (sample, planted, fresh) =
        (if kind == Kind::Uniform { 1000 } else { 2000 } + bits, 3000 + bits, 4000 + bits);
    let model = Model::new(kind, 7000 + bits);
    let mut random = SplitMix::new(sample);
    let mut codes: Vec<Code<W>> = (0..n).map(|_| model.draw(&mut random)).collect();

    let mut random = SplitMix::new(planted);
    let copies = random.choose(n as usize / 100, n);
    let mut sources = Vec::new();
    for &copy in &copies {
        let source = random.below(n);
        codes[copy as usize] = flip(&codes[source as usize], &mut random);
        sources.push(source);
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
        Kind::Uniform => format!("sample {sample}, planted {planted}, fresh {fresh}"),
        Kind::Skewed => format!("model {}, sample {sample}, planted {planted}, fresh {fresh}", 7000 + bits),
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

const RANK: usize = 16;

enum Model {
    Uniform,
    Skewed { normal: Normal, rows: Vec<[f32; RANK]>, centre: Vec<f32> },
}

impl Model {
    fn new(kind: Kind, seed: u64) -> Self {
        if kind == Kind::Uniform {
            return Self::Uniform;
        }
        let normal = Normal::new();
        let mut random = SplitMix::new(seed);
        let mut spectrum: [f32; RANK] = std::array::from_fn(|j| 1.0 / ((j + 1) as f32).sqrt());
        let norm = spectrum.iter().map(|s| s * s).sum::<f32>().sqrt();
        spectrum.iter_mut().for_each(|s| *s /= norm);
        let latent = |random: &mut SplitMix| latent(&normal, random);
        let rows = (0..512).map(|_| {
            let row = latent(&mut random);
            std::array::from_fn(|j| row[j] * spectrum[j])
        });
        let rows = rows.collect();
        let centre = (0..512).map(|_| 0.5 * normal.four(&mut random)[0]).collect();
        Self::Skewed { normal, rows, centre }
    }

    fn draw<const W: usize>(&self, random: &mut SplitMix) -> Code<W> {
        match self {
            Self::Uniform => Code::from_le_words(std::array::from_fn(|_| random.bits())),
            Self::Skewed { normal, rows, centre } => {
                let z = latent(normal, random);
                let mut noise = [0.0; 4];
                Code::from_bits(|i| {
                    let i = i as usize;
                    if i.is_multiple_of(4) {
                        noise = normal.four(random);
                    }
                    let signal: f32 = rows[i].iter().zip(&z).map(|(a, z)| a * z).sum();
                    signal + centre[i] + 0.5 * noise[i % 4] > 0.0
                })
            }
        }
    }
}

fn latent(normal: &Normal, random: &mut SplitMix) -> [f32; RANK] {
    let parts: [[f32; 4]; RANK / 4] = std::array::from_fn(|_| normal.four(random));
    std::array::from_fn(|j| parts[j / 4][j % 4])
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
}
