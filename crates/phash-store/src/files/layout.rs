//! Owns the bytes of a code file: where each thing lies, and the header and slots, encoded and decoded. Pure: touches
//! no file. docs/file-format.md describes the same and changes together with this module.

use std::path::Path;

use crate::error::{Error, Result};
use crate::schema::{Kind, MAX_VIEW_NAME_BYTES};
use crate::version::FORMAT_VERSION;

/// First bytes of every code file.
pub(crate) const MAGIC: [u8; 8] = *b"PHSHCODE";
/// Length of the file's header in bytes.
pub(crate) const HEADER_BYTES: usize = 4096;
/// Codes in a full block.
pub(crate) const CODES_PER_BLOCK: u32 = 2048;
/// Length of a block's header in bytes: two slots.
pub(crate) const BLOCK_HEADER_BYTES: usize = 2 * SLOT_BYTES;
/// Length of a slot in bytes. It divides 512, so that no slot straddles two sectors.
pub(crate) const SLOT_BYTES: usize = 32;
/// The greatest number of codes in a file.
pub(crate) const MAX_CODES: u32 = u32::MAX;

const VERSION_AT: usize = 8;
const WORDS_AT: usize = VERSION_AT + 4;
const KIND_AT: usize = WORDS_AT + 4;
const CODES_PER_BLOCK_AT: usize = KIND_AT + 4;
const DATABASE_ID_AT: usize = CODES_PER_BLOCK_AT + 4;
const PARAMETERS_AT: usize = DATABASE_ID_AT + 16;
const NAME_LEN_AT: usize = PARAMETERS_AT + 32;
const NAME_AT: usize = NAME_LEN_AT + 4;
const ZEROS_AT: usize = NAME_AT + MAX_VIEW_NAME_BYTES;
const HEADER_CRC_AT: usize = HEADER_BYTES - 4;

const _: () = assert!(ZEROS_AT == 108 && BLOCK_HEADER_BYTES == 64 && 512 % SLOT_BYTES == 0);

/// Addresses in a code file of codes of one width. No sum overflows: ids are below 2^32 and a code has at most
/// 64 bytes, so every address is below 2^39.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Geometry {
    /// Length of a code in bytes.
    pub(crate) code_bytes: usize,
}

impl Geometry {
    pub(crate) fn new(words: u32) -> Self {
        Self { code_bytes: words as usize * 8 }
    }

    /// Where a block's header begins.
    pub(crate) fn block_at(self, block: u32) -> u64 {
        let stride = BLOCK_HEADER_BYTES as u64 + u64::from(CODES_PER_BLOCK) * self.code_bytes as u64;
        HEADER_BYTES as u64 + u64::from(block) * stride
    }

    /// Where a code begins.
    pub(crate) fn code_at(self, id: u32) -> u64 {
        let within = u64::from(id % CODES_PER_BLOCK) * self.code_bytes as u64;
        self.block_at(id / CODES_PER_BLOCK) + BLOCK_HEADER_BYTES as u64 + within
    }

    /// The length of a file of `count` codes: behind its last code.
    pub(crate) fn len_bytes(self, count: u32) -> u64 {
        match count.checked_sub(1) {
            None => HEADER_BYTES as u64,
            Some(last) => self.code_at(last) + self.code_bytes as u64,
        }
    }
}

/// How many codes the block `block` of a file of `count` codes has.
pub(crate) fn codes_in_block(count: u32, block: u32) -> u32 {
    let before = u64::from(block) * u64::from(CODES_PER_BLOCK);
    let rest = u64::from(count).saturating_sub(before);
    u32::try_from(rest.min(u64::from(CODES_PER_BLOCK))).unwrap_or(CODES_PER_BLOCK)
}

/// How many blocks a file of `count` codes has.
pub(crate) fn blocks(count: u32) -> u32 {
    count.div_ceil(CODES_PER_BLOCK)
}

/// What a code file says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FileHeader {
    pub(crate) kind: Kind,
    pub(crate) words: u32,
    pub(crate) view: String,
    pub(crate) parameters: [u8; 32],
    /// Random number of the database: files of two databases are never mixed up.
    pub(crate) database_id: [u8; 16],
}

impl FileHeader {
    pub(crate) fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        let name = self.view.as_bytes();
        let name_len = u32::try_from(name.len()).unwrap_or(u32::MAX);
        bytes[..VERSION_AT].copy_from_slice(&MAGIC);
        put_u32(&mut bytes, VERSION_AT, self.kind.contents().code_file_version());
        put_u32(&mut bytes, WORDS_AT, self.words);
        put_u32(&mut bytes, KIND_AT, self.kind.number());
        put_u32(&mut bytes, CODES_PER_BLOCK_AT, CODES_PER_BLOCK);
        bytes[DATABASE_ID_AT..PARAMETERS_AT].copy_from_slice(&self.database_id);
        bytes[PARAMETERS_AT..NAME_LEN_AT].copy_from_slice(&self.parameters);
        put_u32(&mut bytes, NAME_LEN_AT, name_len);
        bytes[NAME_AT..NAME_AT + name.len()].copy_from_slice(name);
        let crc = crc32fast::hash(&bytes[..HEADER_CRC_AT]);
        put_u32(&mut bytes, HEADER_CRC_AT, crc);
        bytes
    }

    /// The header that these bytes are, if they are one of this build.
    pub(crate) fn decode(bytes: &[u8; HEADER_BYTES]) -> Option<Self> {
        let name_len = usize::try_from(get_u32(bytes, NAME_LEN_AT)).ok()?;
        let name = bytes[NAME_AT..ZEROS_AT].get(..name_len)?;
        let (mut parameters, mut database_id) = ([0; 32], [0; 16]);
        parameters.copy_from_slice(&bytes[PARAMETERS_AT..NAME_LEN_AT]);
        database_id.copy_from_slice(&bytes[DATABASE_ID_AT..PARAMETERS_AT]);
        let header = Self {
            kind: Kind::of_number(get_u32(bytes, KIND_AT))?,
            words: get_u32(bytes, WORDS_AT),
            view: std::str::from_utf8(name).ok()?.to_owned(),
            parameters,
            database_id,
        };
        (matches!(header.words, 1 | 2 | 4 | 8) && header.encode() == *bytes).then_some(header)
    }

    /// The checksum of the header: the slots' checksums begin with it, so that no block of one file passes in another.
    pub(crate) fn crc(&self) -> u32 {
        get_u32(&self.encode(), HEADER_CRC_AT)
    }

    /// Checks that the first bytes of a file are this header. Magic and version first, so that a newer version is
    /// called so and not damaged; then the checksum; then the bytes, to name the first that differs.
    pub(crate) fn check(&self, bytes: &[u8; HEADER_BYTES], path: &Path) -> Result<()> {
        let expected = self.encode();
        if bytes[..VERSION_AT] != MAGIC {
            let got = bytes[..VERSION_AT].escape_ascii();
            return Err(Error::corrupted(path, 0, "magic of a code file", MAGIC.escape_ascii(), got));
        }
        let computed = crc32fast::hash(&bytes[..HEADER_CRC_AT]);
        let stored = get_u32(bytes, HEADER_CRC_AT);
        if computed != stored {
            let at = HEADER_CRC_AT as u64;
            return Err(Error::corrupted(path, at, "checksum of the header", hex32(stored), hex32(computed)));
        }
        let version = get_u32(bytes, VERSION_AT);
        if version != self.kind.contents().code_file_version() {
            return Err(Error::UnknownVersion {
                path: path.to_owned(),
                found: version,
                supported: FORMAT_VERSION,
            });
        }
        match expected.iter().zip(bytes).position(|(a, b)| a != b) {
            None => Ok(()),
            Some(at) => {
                let what = match at {
                    WORDS_AT..KIND_AT => "words a code",
                    KIND_AT..CODES_PER_BLOCK_AT => "kind of the file",
                    CODES_PER_BLOCK_AT..DATABASE_ID_AT => "codes a block",
                    DATABASE_ID_AT..PARAMETERS_AT => "database id (the file belongs to another database)",
                    PARAMETERS_AT..NAME_LEN_AT => "fingerprint of the parameters",
                    NAME_LEN_AT..ZEROS_AT => "name of the view",
                    _ => "zeros of the header",
                };
                Err(Error::corrupted(path, at as u64, what, expected[at], bytes[at]))
            }
        }
    }
}

/// What a slot says: the first `count` codes of the block were written by the commit `generation` and have this checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) block: u32,
    pub(crate) count: u32,
    pub(crate) generation: u64,
    pub(crate) codes_crc: u32,
}

/// What is found where a slot should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SlotState {
    /// All zero: never written, or cleared by recovery.
    Empty,
    /// Whole and of this block.
    Valid(Slot),
    /// Anything else.
    Invalid,
}

impl Slot {
    pub(crate) fn encode(self, header_crc: u32) -> [u8; SLOT_BYTES] {
        let mut bytes = [0; SLOT_BYTES];
        put_u32(&mut bytes, 0, self.block);
        put_u32(&mut bytes, 4, self.count);
        bytes[8..16].copy_from_slice(&self.generation.to_le_bytes());
        put_u32(&mut bytes, 16, self.codes_crc);
        let crc = Self::crc(&bytes, header_crc);
        put_u32(&mut bytes, 28, crc);
        bytes
    }

    fn crc(bytes: &[u8; SLOT_BYTES], header_crc: u32) -> u32 {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&header_crc.to_le_bytes());
        hasher.update(&bytes[..28]);
        hasher.finalize()
    }
}

impl SlotState {
    /// Both slots of a block's header.
    pub(crate) fn decode_both(bytes: &[u8; BLOCK_HEADER_BYTES], block: u32, header_crc: u32) -> [Self; 2] {
        let (first, second) = bytes.split_at(SLOT_BYTES);
        [first, second].map(|half| match half.try_into() {
            Ok(slot) => Self::decode(slot, block, header_crc),
            Err(_) => Self::Invalid,
        })
    }

    fn decode(bytes: &[u8; SLOT_BYTES], block: u32, header_crc: u32) -> Self {
        if bytes.iter().all(|&byte| byte == 0) {
            return Self::Empty;
        }
        let mut generation = [0; 8];
        generation.copy_from_slice(&bytes[8..16]);
        let slot = Slot {
            block: get_u32(bytes, 0),
            count: get_u32(bytes, 4),
            generation: u64::from_le_bytes(generation),
            codes_crc: get_u32(bytes, 16),
        };
        // Encoding again also checks that the reserved bytes are zero.
        let whole = slot.encode(header_crc) == *bytes;
        if whole && slot.block == block && (1..=CODES_PER_BLOCK).contains(&slot.count) {
            Self::Valid(slot)
        } else {
            Self::Invalid
        }
    }
}

/// A checksum as it is shown in messages.
pub(crate) fn hex32(crc: u32) -> String {
    format!("{crc:08x}")
}

fn put_u32(bytes: &mut [u8], at: usize, value: u32) {
    bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

fn get_u32(bytes: &[u8], at: usize) -> u32 {
    let mut field = [0; 4];
    field.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(field)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> FileHeader {
        FileHeader {
            kind: Kind::Tensor,
            words: 4,
            view: "energy".to_owned(),
            parameters: [3; 32],
            database_id: [9; 16],
        }
    }

    /// The header with one byte changed and the checksum made to fit again.
    fn forged(at: usize, value: u8) -> [u8; HEADER_BYTES] {
        let mut bytes = header().encode();
        bytes[at] = value;
        let crc = crc32fast::hash(&bytes[..HEADER_CRC_AT]);
        put_u32(&mut bytes, HEADER_CRC_AT, crc);
        bytes
    }

    #[test]
    fn each_field_of_the_header_is_checked_even_if_its_checksum_fits() {
        let path = Path::new("x");
        header().check(&header().encode(), path).unwrap();
        assert!(matches!(header().check(&forged(8, 2), path), Err(Error::UnknownVersion { found: 2, .. })));
        for at in [0, 7, 12, 16, 20, 24, 39, 40, 71, 72, 76, 107, 108, 4091] {
            match header().check(&forged(at, 0xee), path) {
                Err(Error::Corrupted { offset_bytes, .. }) => {
                    assert_eq!(offset_bytes, if at < 8 { 0 } else { at as u64 })
                }
                other => panic!("byte {at}: {other:?}"),
            }
        }
        let mut bytes = header().encode();
        bytes[4095] ^= 1;
        let result = header().check(&bytes, path);
        assert!(matches!(result, Err(Error::Corrupted { offset_bytes: 4092, .. })));
    }

    #[test]
    fn each_field_of_a_slot_is_checked() {
        let slot = Slot { block: 7, count: 5, generation: 1 << 40, codes_crc: 0xdead_beef };
        let decode = |bytes: &[u8; SLOT_BYTES], block| SlotState::decode(bytes, block, 11);
        assert_eq!(decode(&slot.encode(11), 7), SlotState::Valid(slot));
        assert_eq!(decode(&[0; SLOT_BYTES], 7), SlotState::Empty);
        assert_eq!(decode(&slot.encode(11), 8), SlotState::Invalid, "another block");
        assert_eq!(decode(&slot.encode(12), 7), SlotState::Invalid, "another file");
        for count in [0, CODES_PER_BLOCK + 1] {
            assert_eq!(decode(&Slot { count, ..slot }.encode(11), 7), SlotState::Invalid, "{count} codes");
        }
        let full = Slot { count: CODES_PER_BLOCK, ..slot };
        assert_eq!(decode(&full.encode(11), 7), SlotState::Valid(full));
        for at in 0..SLOT_BYTES {
            let mut bytes = slot.encode(11);
            bytes[at] ^= 0x20;
            assert_eq!(decode(&bytes, 7), SlotState::Invalid, "byte {at}");
        }
        // Reserved bytes must be zero even if the checksum fits.
        let mut bytes = slot.encode(11);
        bytes[20] = 1;
        let crc = Slot::crc(&bytes, 11);
        put_u32(&mut bytes, 28, crc);
        assert_eq!(decode(&bytes, 7), SlotState::Invalid);
    }

    #[test]
    fn addresses_are_those_of_the_format_document() {
        let narrow = Geometry::new(1);
        assert_eq!((narrow.len_bytes(0), narrow.len_bytes(1), narrow.len_bytes(2048)), (4096, 4168, 20_544));
        assert_eq!((narrow.block_at(1), narrow.len_bytes(2049)), (20_544, 20_616));
        let wide = Geometry::new(8);
        assert_eq!(
            (wide.code_at(2047), wide.code_at(2048)),
            (4096 + 64 + 2047 * 64, 4096 + 2 * 64 + 2048 * 64)
        );
        // The last code of the largest file: 2^32 - 2.
        assert_eq!(wide.len_bytes(u32::MAX), 4096 + (1 << 21) * (64 + 2048 * 64) - 64);
        assert_eq!((codes_in_block(0, 0), codes_in_block(2048, 0), codes_in_block(2049, 1)), (0, 2048, 1));
        assert_eq!(
            (blocks(0), blocks(1), blocks(2048), blocks(2049), blocks(u32::MAX)),
            (0, 1, 1, 2, 1 << 21)
        );
    }
}
