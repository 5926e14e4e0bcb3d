//! Owns [`Case`]: the files of a database after the edits of an input, with checksums that were mended or not.

use super::base::Base;
use crate::files::Tail;
use crate::files::layout::{self, BLOCK_HEADER_BYTES, CODES_PER_BLOCK, Geometry, HEADER_BYTES, SLOT_BYTES};

/// No file is made longer than this.
const MOST_BYTES: usize = 1 << 18;
/// Bytes of an end in the list that is edited: count, generation, checksum.
const END_BYTES: usize = 16;

/// Edited files.
#[derive(Debug)]
pub(super) struct Case {
    /// The code files by number; those that are gone are `None`.
    pub(super) files: Vec<Option<Vec<u8>>>,
    pub(super) published: Option<Vec<u8>>,
    /// What the catalog says of their ends.
    pub(super) tails: Vec<Tail>,
    /// How many commits there are by the catalog.
    pub(super) generation: u64,
    /// Whether checksums were made to fit, or the ends are not those that were committed: then what is read may be anything.
    pub(super) forged: bool,
}

impl Case {
    /// The files of `base`, edited. See [`super::StoreFiles::run`] for the form.
    pub(super) fn new(base: &Base, flags: u8, mut edits: &[u8]) -> Self {
        let mut all: Vec<Option<Vec<u8>>> = base.files.iter().cloned().map(Some).collect();
        all.push(Some(base.published.clone()));
        let ends = base.head.tails.iter().flat_map(|tail| encode(*tail));
        all.push(Some(ends.chain(base.head.generation.to_le_bytes()).collect()));
        let originals = all.clone();
        while let Some((head, rest)) = edits.split_first_chunk::<5>() {
            let [file, operation, at_low, at_high, len] = *head;
            let number = usize::from(file) % all.len();
            let at = usize::from(u16::from_le_bytes([at_low, at_high]));
            edits = edit(&mut all[number], (operation, at, len.into()), rest, &originals);
        }
        let ends = all.pop().flatten().unwrap_or_default();
        let of_file = |number: usize| ends.get(number * END_BYTES..).unwrap_or(&[]);
        let tail = |number| of_file(number).first_chunk().map(decode).unwrap_or_default();
        let mut tails: Vec<Tail> = (0..base.files.len()).map(tail).collect();
        let generation = of_file(tails.len()).first_chunk().copied().map_or(0, u64::from_le_bytes);
        let mut published = all.pop().flatten();
        if flags & 4 != 0 {
            for (number, file) in all.iter_mut().enumerate() {
                if let Some(bytes) = file {
                    mend(bytes, base.geometry(number));
                }
            }
            if let Some(bytes) = published.as_mut().filter(|bytes| bytes.len() >= 28) {
                let crc = crc32fast::hash(&bytes[..24]);
                bytes[24..28].copy_from_slice(&crc.to_le_bytes());
            }
        }
        if flags & 8 != 0 {
            for (number, tail) in tails.iter_mut().enumerate() {
                let geometry = base.geometry(number);
                let last = layout::blocks(tail.count).saturating_sub(1);
                let codes = layout::codes_in_block(tail.count, last);
                if let Some(bytes) = &all[number]
                    && let Some(codes) = codes_of(bytes, geometry, last, codes)
                {
                    tail.crc = crc32fast::hash(codes);
                }
            }
        }
        let forged = flags & 12 != 0 || tails != base.head.tails || generation != base.head.generation;
        Self { files: all, published, tails, generation, forged }
    }
}

/// Does one edit; returns what is left of the input.
fn edit<'i>(
    file: &mut Option<Vec<u8>>,
    (operation, at, len): (u8, usize, usize),
    rest: &'i [u8],
    originals: &[Option<Vec<u8>>],
) -> &'i [u8] {
    let Some(bytes) = file else { return rest };
    let (data, behind) = rest.split_at(len.min(rest.len()));
    let at = at.min(bytes.len());
    match operation % 8 {
        0 => {
            let end = (at + data.len()).min(bytes.len());
            bytes[at..end].copy_from_slice(&data[..end - at]);
            return behind;
        }
        1 if bytes.len() < MOST_BYTES => {
            bytes.splice(at..at, data.iter().copied());
            return behind;
        }
        2 => drop(bytes.drain(at..(at + len).min(bytes.len()))),
        3 => bytes.truncate(at),
        4 if bytes.len() < MOST_BYTES => bytes.resize(bytes.len() + (len + 1) * 64, 0),
        5 => {
            let end = (at + len * 8).min(bytes.len());
            bytes[at..end].iter_mut().for_each(|byte| *byte ^= 0xff);
        }
        6 => {
            // From a place in an original.
            let Some((&[number, low, high], behind)) = rest.split_first_chunk::<3>() else { return &[] };
            let from = usize::from(u16::from_le_bytes([low, high]));
            let original = originals[usize::from(number) % originals.len()].as_deref().unwrap_or(&[]);
            let from = original.get(from..).unwrap_or(&[]);
            let end = (at + (len * 8).min(from.len())).min(bytes.len());
            bytes[at..end].copy_from_slice(&from[..end - at]);
            return behind;
        }
        7 => *file = None,
        _ => {}
    }
    rest
}

/// Sets the checksums in a file to what they should be.
fn mend(bytes: &mut [u8], geometry: Geometry) {
    if bytes.len() < HEADER_BYTES {
        return;
    }
    let header_crc = crc32fast::hash(&bytes[..HEADER_BYTES - 4]).to_le_bytes();
    bytes[HEADER_BYTES - 4..HEADER_BYTES].copy_from_slice(&header_crc);
    for block in 0.. {
        let at = usize::try_from(geometry.block_at(block)).unwrap_or(usize::MAX);
        if at.saturating_add(BLOCK_HEADER_BYTES) > bytes.len() {
            return;
        }
        for slot in [at, at + SLOT_BYTES] {
            if bytes[slot..slot + SLOT_BYTES].iter().all(|&byte| byte == 0) {
                continue;
            }
            let count =
                u32::from_le_bytes([bytes[slot + 4], bytes[slot + 5], bytes[slot + 6], bytes[slot + 7]]);
            if let Some(crc) =
                codes_of(bytes, geometry, block, count.min(CODES_PER_BLOCK)).map(crc32fast::hash)
            {
                bytes[slot + 16..slot + 20].copy_from_slice(&crc.to_le_bytes());
            }
            let mut hasher = crc32fast::Hasher::new();
            hasher.update(&header_crc);
            hasher.update(&bytes[slot..slot + 28]);
            bytes[slot + 28..slot + SLOT_BYTES].copy_from_slice(&hasher.finalize().to_le_bytes());
        }
    }
}

/// The first codes of a block, if they are there.
fn codes_of(bytes: &[u8], geometry: Geometry, block: u32, codes: u32) -> Option<&[u8]> {
    let at = usize::try_from(geometry.block_at(block)).ok()?.checked_add(BLOCK_HEADER_BYTES)?;
    bytes.get(at..)?.get(..codes as usize * geometry.code_bytes)
}

fn encode(tail: Tail) -> [u8; END_BYTES] {
    let mut bytes = [0; END_BYTES];
    bytes[..4].copy_from_slice(&tail.count.to_le_bytes());
    bytes[4..12].copy_from_slice(&tail.generation.to_le_bytes());
    bytes[12..].copy_from_slice(&tail.crc.to_le_bytes());
    bytes
}

fn decode(bytes: &[u8; END_BYTES]) -> Tail {
    let number = |at: usize| {
        let mut field = [0; 4];
        field.copy_from_slice(&bytes[at..at + 4]);
        u32::from_le_bytes(field)
    };
    let generation = u64::from(number(4)) | u64::from(number(8)) << 32;
    Tail { count: number(0), generation, crc: number(12) }
}
