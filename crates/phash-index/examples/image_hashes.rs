//! Near-duplicate pictures by their 64-bit perceptual hashes: build an index, map nothing, find what looks alike.
//! Run with `cargo run --release -p phash-index --example image_hashes`.
#![expect(clippy::print_stdout, reason = "an example shows its results")]

use std::error::Error;

use phash_code::Code64;
use phash_index::{BuildParams, Index, Segment, build_segment};

/// A small grey picture; a program would decode and shrink a real one.
type Picture = [[u8; 9]; 8];

/// The difference hash: bit `8 * y + x` says whether the picture gets darker from column `x` to `x + 1` in row `y`.
fn difference_hash(picture: &Picture) -> Code64 {
    Code64::from_bits(|bit| {
        let (y, x) = ((bit / 8) as usize, (bit % 8) as usize);
        picture[y][x] > picture[y][x + 1]
    })
}

/// A made-up picture: waves that depend on `seed`.
fn picture(seed: u32) -> Picture {
    let mut state = seed;
    std::array::from_fn(|_| {
        std::array::from_fn(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_le_bytes()[3]
        })
    })
}

fn main() -> Result<(), Box<dyn Error>> {
    // An album of 100,000 pictures. Number 777 is number 42 again, a little brighter and with two dots exchanged.
    let mut album: Vec<Picture> = (0..100_000).map(picture).collect();
    album[777] = album[42].map(|row| row.map(|grey| grey.saturating_add(3)));
    album[777][3].swap(2, 3);
    let hashes: Vec<Code64> = album.iter().map(difference_hash).collect();

    // The bytes could be written to a file and mapped: `Segment::open` takes anything that is `AsRef<[u8]>`.
    let segments = [Segment::<1, _>::open(build_segment(&hashes, 0..100_000, &BuildParams::default())?)?];
    let index = Index::new(&hashes, &segments)?;

    let found = index.within(&hashes[42], 6);
    for near in &found.matches {
        println!("picture {:>3} is {} bits away", near.id, near.distance_bits);
    }
    println!(
        "{} buckets, {} of {} pictures compared",
        found.stats.probes,
        found.stats.verified,
        hashes.len()
    );
    Ok(())
}
