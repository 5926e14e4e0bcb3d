//! Owns the drawing of a code of each kind. Every code of a kind takes the same number of random draws, so that codes can
//! be drawn from any place on.
//!
//! skewed: bit = [A z + c + eps / 2 > 0], z 16 normal numbers a code, rows of A normal with spectrum (j + 1)^-1/2 scaled to
//! mean square 1, c normal with deviation 1/2, eps normal: correlated and unbalanced bits, as learned hashes have.

use phash_code::Code;

use super::{Kind, shapes};
use crate::random::{Normal, SplitMix};

const RANK: usize = 16;
/// The widest code, in bits.
const WIDEST: usize = 512;

/// What a code is drawn from.
pub(super) enum Model {
    Uniform,
    Skewed(Box<Skewed>),
    Shape(Kind, u64),
}

pub(super) struct Skewed {
    normal: Normal,
    /// `A`, a row of all bits for each of the latent numbers.
    columns: Vec<[f32; WIDEST]>,
    centre: Vec<f32>,
}

impl Model {
    pub(super) fn new(kind: Kind, seed: u64) -> Self {
        match kind {
            Kind::Uniform => Self::Uniform,
            Kind::Skewed => Self::Skewed(Box::new(Skewed::new(seed))),
            Kind::Equal | Kind::Neighbours | Kind::Clusters => Self::Shape(kind, seed),
        }
    }

    /// How many times [`SplitMix::bits`] is called for a code of [`Self::fill`].
    pub(super) fn draws_a_code<const W: usize>(&self) -> u64 {
        match self {
            Self::Uniform => W as u64,
            Self::Skewed(_) => (RANK / 4 + Code::<W>::BITS as usize / 4) as u64,
            Self::Shape(..) => shapes::DRAWS_A_WORD * W as u64,
        }
    }

    /// The stored codes from the `first` on; `random` stands at the first one's place.
    pub(super) fn fill<const W: usize>(&self, first: usize, codes: &mut [Code<W>], random: &mut SplitMix) {
        for (number, code) in (first..).zip(codes) {
            *code = match self {
                Self::Shape(kind, seed) => shapes::draw(*kind, *seed, number, random),
                _ => self.draw(random),
            };
        }
    }

    /// A fresh code: of a kind that has no distribution, a random one.
    pub(super) fn draw<const W: usize>(&self, random: &mut SplitMix) -> Code<W> {
        match self {
            Self::Uniform | Self::Shape(..) => Code::from_le_words(std::array::from_fn(|_| random.bits())),
            Self::Skewed(skewed) => skewed.draw(random),
        }
    }
}

impl Skewed {
    fn new(seed: u64) -> Self {
        let normal = Normal::new();
        let mut random = SplitMix::new(seed);
        let mut spectrum: [f32; RANK] = std::array::from_fn(|j| 1.0 / ((j + 1) as f32).sqrt());
        let norm = spectrum.iter().map(|s| s * s).sum::<f32>().sqrt();
        spectrum.iter_mut().for_each(|s| *s /= norm);
        let mut columns = vec![[0.0; WIDEST]; RANK];
        for bit in 0..WIDEST {
            let row = latent(&normal, &mut random);
            for (column, (a, s)) in columns.iter_mut().zip(row.iter().zip(&spectrum)) {
                column[bit] = a * s;
            }
        }
        let centre = (0..WIDEST).map(|_| 0.5 * normal.four(&mut random)[0]).collect();
        Self { normal, columns, centre }
    }

    fn draw<const W: usize>(&self, random: &mut SplitMix) -> Code<W> {
        let z = latent(&self.normal, random);
        // All bits of a word at a time: the sums of each run in the order of the latent numbers.
        Code::from_le_words(std::array::from_fn(|word| {
            let bits = 64 * word..64 * word + 64;
            let mut signal = [0.0f32; 64];
            for (column, z) in self.columns.iter().zip(&z) {
                for (signal, a) in signal.iter_mut().zip(&column[bits.clone()]) {
                    *signal += a * z;
                }
            }
            let mut noise = [0.0f32; 64];
            for four in noise.as_chunks_mut::<4>().0 {
                *four = self.normal.four(random);
            }
            let mut value = 0;
            for (i, centre) in self.centre[bits].iter().enumerate() {
                value |= u64::from(signal[i] + centre + 0.5 * noise[i] > 0.0) << i;
            }
            value
        }))
    }
}

fn latent(normal: &Normal, random: &mut SplitMix) -> [f32; RANK] {
    let parts: [[f32; 4]; RANK / 4] = std::array::from_fn(|_| normal.four(random));
    std::array::from_fn(|j| parts[j / 4][j % 4])
}
