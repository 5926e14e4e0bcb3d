//! Owns the read side: [`CodeFile`], the committed prefix of a code file, and [`CodeView`], the codes in it as
//! others see them. Never looks at block headers: what is committed is known from the catalog.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use phash_code::{Code, Codes};
use zerocopy::FromBytes;

use super::Tail;
use super::check;
use super::layout::{self, BLOCK_HEADER_BYTES, CODES_PER_BLOCK, FileHeader, Geometry, SlotState};
use crate::bytes::Bytes;
use crate::error::{Error, Result};
use crate::vfs::{StoreFile, Vfs};

/// The committed prefix of a code file.
#[derive(Debug)]
pub(crate) struct CodeFile {
    pub(crate) path: PathBuf,
    pub(crate) header: FileHeader,
    pub(crate) tail: Tail,
    /// Kept open for `verify`: a compaction may remove the name.
    pub(crate) file: Box<dyn StoreFile>,
    bytes: Bytes,
    /// Blocks whose checksum was found right, a bit each; made when it is first asked for.
    good: OnceLock<Box<[AtomicU64]>>,
}

impl CodeFile {
    /// Opens the file and checks header, length and last block; without mapping, every block.
    pub(crate) fn open(
        vfs: &dyn Vfs,
        path: &Path,
        header: FileHeader,
        tail: Tail,
        mmap: bool,
    ) -> Result<Self> {
        let file = vfs.open_read(path).map_err(|e| Error::io("open", path, e))?;
        check::header_and_length(&*file, path, &header, tail.count)?;
        let geometry = Geometry::new(header.words);
        check::last_block(&*file, path, geometry, tail)?;
        let bytes = Bytes::load(&*file, geometry.len_bytes(tail.count), mmap)
            .map_err(|e| Error::io("read or map", path, e))?;
        let this = Self { path: path.to_owned(), header, tail, file, bytes, good: OnceLock::new() };
        if matches!(this.bytes, Bytes::Owned { .. }) {
            this.check_full_blocks()?;
        }
        Ok(this)
    }

    /// Checks the codes of all blocks before the last one, whose slots no writer touches any more.
    fn check_full_blocks(&self) -> Result<()> {
        (0..layout::blocks(self.tail.count).saturating_sub(1))
            .try_for_each(|block| self.check_full_block(block))
    }

    /// Checks the codes of a block before the last one.
    fn check_full_block(&self, block: u32) -> Result<()> {
        let (geometry, crc) = (self.geometry(), self.header.crc());
        let slots = SlotState::decode_both(self.block_header(block), block, crc);
        let full = slots.iter().find_map(|state| match state {
            SlotState::Valid(slot) if slot.count == CODES_PER_BLOCK => Some(slot),
            _ => None,
        });
        let Some(slot) = full else {
            let what = format!("slots of block {block}");
            let expected = format!("one for {CODES_PER_BLOCK} codes");
            let got = format!("{slots:?}");
            return Err(Error::corrupted(&self.path, geometry.block_at(block), what, expected, got));
        };
        check::codes_crc(&self.path, geometry, block, slot.codes_crc, self.block_codes(block))
    }

    /// Checks the codes of a block, unless that was done before. The last one, whose slots the writer may be changing, is
    /// compared with the catalog.
    pub(crate) fn check_block(&self, block: u32) -> Result<()> {
        let blocks = layout::blocks(self.tail.count);
        if block >= blocks {
            return Ok(());
        }
        let good = self.good.get_or_init(|| (0..blocks.div_ceil(64)).map(|_| AtomicU64::new(0)).collect());
        // Relaxed is enough: at worst a block is checked again.
        let (word, bit) = (&good[(block / 64) as usize], 1 << (block % 64));
        if word.load(Ordering::Relaxed) & bit != 0 {
            return Ok(());
        }
        if block + 1 == blocks {
            check::codes_crc(&self.path, self.geometry(), block, self.tail.crc, self.block_codes(block))?;
        } else {
            self.check_full_block(block)?;
        }
        word.fetch_or(bit, Ordering::Relaxed);
        Ok(())
    }

    pub(crate) fn geometry(&self) -> Geometry {
        Geometry::new(self.header.words)
    }

    /// Length of the committed prefix.
    pub(crate) fn len_bytes(&self) -> u64 {
        self.geometry().len_bytes(self.tail.count)
    }

    /// The header of a block that has committed codes.
    fn block_header(&self, block: u32) -> &[u8; BLOCK_HEADER_BYTES] {
        static EMPTY: [u8; BLOCK_HEADER_BYTES] = [0; BLOCK_HEADER_BYTES];
        let at = usize::try_from(self.geometry().block_at(block)).unwrap_or(usize::MAX);
        self.bytes.as_ref().get(at..).and_then(|rest| rest.first_chunk()).unwrap_or(&EMPTY)
    }

    /// The bytes of the committed codes of a block.
    pub(crate) fn block_codes(&self, block: u32) -> &[u8] {
        self.records(block.saturating_mul(CODES_PER_BLOCK))
    }

    /// The bytes of the codes from `id` to the end of its block or of the committed codes; empty behind these.
    pub(crate) fn records(&self, id: u32) -> &[u8] {
        if id >= self.tail.count {
            return &[];
        }
        let geometry = self.geometry();
        let codes = (CODES_PER_BLOCK - id % CODES_PER_BLOCK).min(self.tail.count - id);
        // The length was checked against the file before it was loaded, and addresses fit: see `Bytes::load`.
        #[expect(clippy::cast_possible_truncation, reason = "smaller than the length of a slice in memory")]
        let at = geometry.code_at(id) as usize;
        &self.bytes.as_ref()[at..at + codes as usize * geometry.code_bytes]
    }
}

/// The committed codes of one file, as of a snapshot. It keeps the file's bytes alive by itself: cheap to clone,
/// `Send + Sync`, and still the same after the reader was refreshed or dropped.
#[derive(Clone, Debug)]
pub struct CodeView<const W: usize> {
    file: Arc<CodeFile>,
}

impl<const W: usize> CodeView<W> {
    /// The file's codes as codes of `W` words.
    pub(crate) fn new(file: &Arc<CodeFile>) -> Result<Self> {
        if file.header.words as usize == W {
            return Ok(Self { file: Arc::clone(file) });
        }
        Err(Error::WidthMismatch {
            view: file.header.view.clone(),
            expected_bytes: file.header.words as usize * 8,
            got_bytes: W * 8,
        })
    }
}

impl<const W: usize> Codes<W> for CodeView<W> {
    fn len(&self) -> u32 {
        self.file.tail.count
    }

    /// O(1): up to 2048 codes, to the end of the block.
    fn run(&self, id: u32) -> &[Code<W>] {
        // Bytes start at an address divisible by 8 and so do codes in them: the cast cannot fail.
        <[Code<W>]>::ref_from_bytes(self.file.records(id)).unwrap_or(&[])
    }
}
