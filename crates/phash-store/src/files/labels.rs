//! Owns the labels of raw codes: one place for each code (where its label lies, and how long it is) and the text, both
//! in code files, so that they are appended, committed, checked and recovered as codes are. Decoded here, and read.

use std::sync::Arc;

use roaring::RoaringBitmap;

use super::append::Appender;
use super::layout::{CODES_PER_BLOCK, MAX_CODES};
use super::view::CodeFile;
use crate::error::{Error, Result};

/// Bytes of a piece of text: a record of the text's file.
pub(crate) const PIECE_BYTES: usize = 64;
/// The greatest length of a label in bytes.
pub(crate) const MAX_LABEL_BYTES: usize = u16::MAX as usize;
/// Where the length begins in a place; the beginning of the label lies below.
const LEN_SHIFT: u32 = 48;

/// Where a label lies in the text, in bytes. A length of 0 means that there is no label.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) start: u64,
    pub(crate) len: u16,
}

impl Place {
    pub(crate) fn encode(self) -> [u8; 8] {
        (self.start | u64::from(self.len) << LEN_SHIFT).to_le_bytes()
    }

    pub(crate) fn decode(bytes: [u8; 8]) -> Self {
        let number = u64::from_le_bytes(bytes);
        let len = (number >> LEN_SHIFT) as u16;
        Self { start: number & ((1 << LEN_SHIFT) - 1), len }
    }
}

/// What is to be appended to the text: pieces as they fill. A commit fills the last one up with zeros, so that what is
/// committed is never touched again.
#[derive(Debug, Default)]
pub(crate) struct TextAppender {
    /// The piece being filled.
    piece: Vec<u8>,
}

impl TextAppender {
    /// Where the next label will begin, behind `pieces` whole pieces.
    pub(crate) fn start(&self, pieces: u32) -> u64 {
        u64::from(pieces) * PIECE_BYTES as u64 + self.piece.len() as u64
    }

    /// How many pieces `more` bytes will fill or begin.
    pub(crate) fn pieces_for(&self, more: usize) -> u32 {
        u32::try_from((self.piece.len() + more).div_ceil(PIECE_BYTES)).unwrap_or(MAX_CODES)
    }

    /// Takes in text; each piece that it fills goes to `put`.
    pub(crate) fn push(&mut self, mut text: &[u8], put: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        while self.piece.len() + text.len() >= PIECE_BYTES {
            let (now, later) = text.split_at(PIECE_BYTES - self.piece.len());
            self.piece.extend_from_slice(now);
            put(&self.piece)?;
            self.piece.clear();
            text = later;
        }
        self.piece.extend_from_slice(text);
        Ok(())
    }

    /// Fills up the last piece, if there is one.
    pub(crate) fn finish(&mut self, put: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        if self.piece.is_empty() {
            return Ok(());
        }
        self.piece.resize(PIECE_BYTES, 0);
        put(&self.piece)?;
        self.piece.clear();
        Ok(())
    }
}

/// Appends the label of the code `id`, after empty places for the codes before it that have none.
pub(crate) fn append(
    places: &mut Appender,
    pieces: &mut Appender,
    text: &mut TextAppender,
    (id, label): (u32, &str),
    generation: u64,
) -> Result<()> {
    while places.count() < id {
        places.push(None, generation)?;
    }
    let start = text.start(pieces.count());
    text.push(label.as_bytes(), &mut |piece| pieces.push(Some(piece), generation).map(drop))?;
    let len = u16::try_from(label.len()).unwrap_or(u16::MAX);
    places.push(Some(&Place { start, len }.encode()), generation)?;
    Ok(())
}

/// Appends what is left of the labels' text, for a commit.
pub(crate) fn finish(pieces: &mut Appender, text: &mut TextAppender, generation: u64) -> Result<()> {
    text.finish(&mut |piece| pieces.push(Some(piece), generation).map(drop))
}

/// The labels of the raw codes of a snapshot. Keeps the files' bytes alive by itself: cheap to clone, `Send + Sync`.
#[derive(Clone, Debug)]
pub struct Labels {
    places: Arc<CodeFile>,
    text: Arc<CodeFile>,
}

impl Labels {
    pub(crate) fn new(places: &Arc<CodeFile>, text: &Arc<CodeFile>) -> Self {
        Self { places: Arc::clone(places), text: Arc::clone(text) }
    }

    /// The label of a code, or `None` if it has none. Every block that is read is checked against its checksum the first
    /// time. O(length of the label).
    ///
    /// # Errors
    /// [`Error::Corrupted`].
    pub fn get(&self, id: u32) -> Result<Option<String>> {
        let Some(place) = self.place(id)? else { return Ok(None) };
        let mut bytes = Vec::with_capacity(place.len.into());
        self.read(id, place, &mut bytes)?;
        String::from_utf8(bytes).map(Some).map_err(|e| self.damaged(id, "UTF-8", e.utf8_error()))
    }

    /// How long a code's label is, in bytes; 0 if it has none. Its text is not looked at.
    pub(crate) fn len_bytes(&self, id: u32) -> Result<u16> {
        Ok(self.place(id)?.map_or(0, |place| place.len))
    }

    /// Where a code's label lies; `None` if it has none.
    fn place(&self, id: u32) -> Result<Option<Place>> {
        if id >= self.places.tail.count {
            return Ok(None);
        }
        self.places.check_block(id / CODES_PER_BLOCK)?;
        let place =
            self.places.records(id).first_chunk().map(|bytes| Place::decode(*bytes)).unwrap_or_default();
        Ok((place != Place::default()).then_some(place))
    }

    /// Appends the text at a place.
    fn read(&self, id: u32, place: Place, out: &mut Vec<u8>) -> Result<()> {
        let mut at = place.start;
        let end = at + u64::from(place.len);
        if place.len == 0 || end > u64::from(self.text.tail.count) * PIECE_BYTES as u64 {
            let expected = format!("text within {} pieces of {PIECE_BYTES} bytes", self.text.tail.count);
            return Err(self.damaged(id, expected, format!("{place:?}")));
        }
        while at < end {
            let piece = u32::try_from(at / PIECE_BYTES as u64).unwrap_or(MAX_CODES);
            self.text.check_block(piece / CODES_PER_BLOCK)?;
            let skip = usize::try_from(at % PIECE_BYTES as u64).unwrap_or(0);
            let run = self.text.records(piece).get(skip..).unwrap_or(&[]);
            let take = run.len().min(usize::try_from(end - at).unwrap_or(usize::MAX));
            if take == 0 {
                return Err(self.damaged(id, "text", "none"));
            }
            out.extend_from_slice(&run[..take]);
            at += take as u64;
        }
        Ok(())
    }

    /// Checks every place, and that the text there is UTF-8; calls `damage` with what is wrong. Returns how many codes
    /// that are not removed have a label.
    pub(crate) fn verify(&self, removed: &RoaringBitmap, damage: &mut dyn FnMut(Error, u32)) -> u32 {
        let mut labelled = 0;
        for id in 0..self.places.tail.count {
            match self.get(id) {
                Ok(label) => labelled += u32::from(label.is_some() && !removed.contains(id)),
                Err(error) => {
                    labelled += 1;
                    damage(error, id);
                }
            }
        }
        labelled
    }

    fn damaged(&self, id: u32, expected: impl ToString, got: impl ToString) -> Error {
        let at = self.places.geometry().code_at(id);
        Error::corrupted(&self.places.path, at, format!("label of code {id}"), expected, got)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_start_of_48_bits_and_a_length_of_16() {
        for place in [
            Place::default(),
            Place { start: 1, len: 1 },
            Place { start: (1 << 48) - 1, len: u16::MAX },
            Place { start: 1 << 38, len: 0x1234 },
        ] {
            assert_eq!(Place::decode(place.encode()), place);
        }
        assert_eq!(Place { start: 0x0102_0304_0506, len: 0x0708 }.encode(), [6, 5, 4, 3, 2, 1, 8, 7]);
    }

    #[test]
    fn text_is_cut_in_pieces_and_filled_up_once() {
        for lengths in [&[1usize, 62, 1, 64, 63][..], &[200], &[64], &[0, 0, 3], &[]] {
            let (mut text, mut pieces, mut all) = (TextAppender::default(), Vec::new(), Vec::new());
            for (number, &length) in (1u8..).zip(lengths) {
                let whole = u32::try_from(pieces.len() / PIECE_BYTES).unwrap();
                assert_eq!(text.start(whole), all.len() as u64);
                let label = vec![number; length];
                all.extend_from_slice(&label);
                let last = whole + text.pieces_for(length);
                text.push(&label, &mut |piece| {
                    assert_eq!(piece.len(), PIECE_BYTES);
                    pieces.extend_from_slice(piece);
                    Ok(())
                })
                .unwrap();
                assert_eq!(last as usize, all.len().div_ceil(PIECE_BYTES));
            }
            text.finish(&mut |piece| {
                pieces.extend_from_slice(piece);
                Ok(())
            })
            .unwrap();
            text.finish(&mut |_| panic!("nothing is left")).unwrap();
            all.resize(all.len().next_multiple_of(PIECE_BYTES), 0);
            assert_eq!(pieces, all);
        }
    }
}
