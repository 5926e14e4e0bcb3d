//! Near-duplicate pictures by their 256-bit perceptual hashes: reads a text file of `HASH NAME` lines, indexes it, and shows
//! the pictures nearest to one, and all groups of near duplicates. Within 31 of 256 bits, as is usual for PDQ hashes.
//!
//! `cargo run --release -p phash-index --example image_hashes -- [FILE [NAME]]`; without FILE the one that is shipped, which
//! `--make` prints: block-mean hashes (Yang, Gu, Niu, 2006) of made-up pictures, each also brighter, noisy and cropped.

use std::error::Error;
use std::fmt::Write as _;
use std::io::Write;
use std::num::NonZeroUsize;
use std::sync::atomic::AtomicBool;

use phash_code::Code256;
use phash_index::{BuildParams, Index, Segment, groups};

const RADIUS_BITS: u32 = 31;
const SHIPPED: &str = include_str!("data/image_hashes.txt");

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let out = &mut std::io::stdout().lock();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--make"] => Ok(out.write_all(make().as_bytes())?),
        [] => show(SHIPPED, None, out),
        [path] => show(&read(path)?, None, out),
        [path, name] => show(&read(path)?, Some(name), out),
        _ => Err("expected at most a file and a name".into()),
    }
}

fn read(path: &str) -> Result<String, Box<dyn Error>> {
    std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}").into())
}

/// Shows what is near to the picture `name` (the first, if none is given), and the groups.
pub(crate) fn show(text: &str, name: Option<&str>, out: &mut impl Write) -> Result<(), Box<dyn Error>> {
    let (hashes, names) = parse(text)?;
    let len = u32::try_from(hashes.len())?;

    // The bytes of the segment could be written to a file and mapped: `Segment::open` takes anything that is bytes.
    let segments = [Segment::<4, _>::build(&hashes, 0..len, &BuildParams::default())?];
    let index = Index::new(&hashes, &segments)?;

    let place = match name {
        Some(name) => names.iter().position(|known| *known == name).ok_or(format!("no picture {name:?}"))?,
        None => 0,
    };
    if let Some(query) = hashes.get(place) {
        writeln!(out, "nearest to {}:", names[place])?;
        for found in index.nearest(query, 5).matches {
            let verdict = if found.distance_bits <= RADIUS_BITS { "same picture" } else { "another" };
            writeln!(out, "  {:>3} bits  {:<24} {verdict}", found.distance_bits, names[found.id as usize])?;
        }
    }

    let threads = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let found = groups(&index, RADIUS_BITS, threads, &AtomicBool::new(false))?;
    writeln!(out, "{} groups within {RADIUS_BITS} bits among {len} pictures:", found.len())?;
    for group in found.iter() {
        let members: Vec<&str> = group.iter().map(|&id| names[id as usize]).collect();
        writeln!(out, "  {}", members.join(", "))?;
    }
    Ok(())
}

/// Hashes and their names.
type Listed<'t> = (Vec<Code256>, Vec<&'t str>);

/// The hashes and names of lines `HASH NAME`; empty lines and those that begin with `#` are skipped.
fn parse(text: &str) -> Result<Listed<'_>, Box<dyn Error>> {
    let (mut hashes, mut names) = (Vec::new(), Vec::new());
    for (number, line) in (1..).zip(text.lines().map(str::trim)) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (hash, name) = line.split_once(char::is_whitespace).ok_or(format!("line {number}: no name"))?;
        hashes.push(hash.parse().map_err(|error| format!("line {number}: {error}"))?);
        names.push(name.trim());
    }
    Ok((hashes, names))
}

/// A grey picture of 64 by 64 dots.
type Picture = Vec<Vec<i32>>;

/// The text of the shipped file. Integers only: the same everywhere.
pub(crate) fn make() -> String {
    let mut text = String::from(
        "# 256-bit block-mean hashes of made-up pictures; made by the example image_hashes --make\n",
    );
    for number in 0..24u32 {
        let picture = picture(number);
        let variants = [
            ("", picture.clone()),
            ("-brighter", brighter(&picture)),
            ("-noisy", noisy(&picture, number)),
            ("-cropped", cropped(&picture)),
        ];
        // Of every third picture the others exist as well.
        for (variant, picture) in variants.iter().take(if number % 3 == 0 { 4 } else { 1 }) {
            writeln!(text, "{} picture-{number:02}{variant}.png", block_mean_hash(picture))
                .expect("a string takes all");
        }
    }
    text
}

/// Bit `16 y + x` says whether block (x, y) of 16 by 16 is brighter than half of the blocks.
fn block_mean_hash(picture: &Picture) -> Code256 {
    let sum = |block: usize| -> i32 {
        let (top, left) = (block / 16 * 4, block % 16 * 4);
        picture[top..top + 4].iter().map(|row| row[left..left + 4].iter().sum::<i32>()).sum()
    };
    let sums: Vec<i32> = (0..256).map(sum).collect();
    let mut sorted = sums.clone();
    sorted.sort_unstable();
    Code256::from_bits(|block| sums[block as usize] > sorted[127])
}

/// Random numbers (the 64-bit generator of Knuth's MMIX, its upper bits), 0 to 255.
fn random(state: &mut u64) -> i32 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    i32::from(state.to_le_bytes()[7])
}

/// Smooth: a grid of 9 by 9 random greys, the dots between interpolated.
fn picture(number: u32) -> Picture {
    let mut state = u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let grid: Vec<Vec<i32>> = (0..9).map(|_| (0..9).map(|_| random(&mut state)).collect()).collect();
    // Weights of 8 in all, by the place between two points of the grid.
    let weights = [(8, 0), (7, 1), (6, 2), (5, 3), (4, 4), (3, 5), (2, 6), (1, 7)];
    let dot = |y: usize, x: usize| {
        let ((top, bottom), (left, right)) = (weights[y % 8], weights[x % 8]);
        let mix = |row: &[i32]| row[x / 8] * left + row[x / 8 + 1] * right;
        (mix(&grid[y / 8]) * top + mix(&grid[y / 8 + 1]) * bottom) / 64
    };
    (0..64).map(|y| (0..64).map(|x| dot(y, x)).collect()).collect()
}

fn brighter(picture: &Picture) -> Picture {
    picture.iter().map(|row| row.iter().map(|grey| (grey * 3 / 2 + 30).min(255)).collect()).collect()
}

fn noisy(picture: &Picture, seed: u32) -> Picture {
    let mut state = u64::from(seed) + 1;
    picture.iter().map(|row| row.iter().map(|grey| grey + random(&mut state) / 2).collect()).collect()
}

/// A dot less on each side, stretched again.
fn cropped(picture: &Picture) -> Picture {
    let from = |place: usize| 1 + place * 62 / 64;
    (0..64).map(|y| (0..64).map(|x| picture[from(y)][from(x)]).collect()).collect()
}
