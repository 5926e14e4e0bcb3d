//! Owns the look at code files one by one, in memory: opening, `verify`, what proves itself, recovery by a writer, labels.

use std::path::PathBuf;
use std::sync::Arc;

use roaring::RoaringBitmap;

use super::Verdict;
use super::base::Base;
use super::case::Case;
use super::memory::Memory;
use crate::files::labels::Labels;
use crate::files::layout::{self, FileHeader};
use crate::files::verify::{Check, code_file};
use crate::files::view::CodeFile;
use crate::files::{Tail, recover};
use crate::salvage::{Proof, ProvenFile, header_of};
use crate::schema::Contents;
use crate::vfs::Vfs;

/// One code file.
struct Look<'a> {
    base: &'a Base,
    case: &'a Case,
    number: usize,
    path: PathBuf,
    header: FileHeader,
    tail: Tail,
    /// What was committed.
    codes: Vec<u8>,
}

/// Looks at each of them. What it holds is said at [`super::StoreFiles::run`].
pub(super) fn look(base: &Base, case: &Case) -> Verdict {
    let mut vfs = Memory::default();
    for (number, bytes) in case.files.iter().enumerate() {
        if let Some(bytes) = bytes {
            vfs.put(base.head.file(number).name().into(), bytes);
        }
    }
    let (mut refused, mut damaged, mut same) = (false, false, true);
    let mut opened = Vec::new();
    for number in 0..case.files.len() {
        let look = Look {
            base,
            case,
            number,
            path: base.head.file(number).name().into(),
            header: base.head.file_header(number),
            tail: case.tails[number],
            codes: base.codes(number),
        };
        let file = look.open(&vfs);
        damaged |= !look.verify(&vfs, file.is_some());
        same &= file.as_ref().is_some_and(|file| look.records(file) == look.codes);
        look.prove(&vfs, !damaged);
        look.recover(file.as_ref());
        refused |= file.is_none();
        opened.push(file.map(Arc::new));
    }
    if base.head.schema.contents == Contents::Codes
        && let [_, Some(places), Some(text)] = &opened[..]
    {
        refused |= !labels(base, case, &Labels::new(places, text));
    }
    match (refused, damaged, same) {
        (true, ..) => Verdict::Refused,
        (_, true, _) => Verdict::Damaged,
        (_, _, true) => Verdict::Sound,
        _ => Verdict::Forged,
    }
}

/// Whether all labels can be read.
fn labels(base: &Base, case: &Case, labels: &Labels) -> bool {
    let mut all = true;
    let ids =
        (0..base.labels.len().max(case.tails[1].count as usize).min(1 << 14) + 2).chain([u32::MAX as usize]);
    for id in ids {
        match labels.get(u32::try_from(id).unwrap_or(u32::MAX)) {
            Err(_) => all = false,
            Ok(label) if !case.forged => {
                assert_eq!(label.as_ref(), base.labels.get(id).and_then(Option::as_ref), "label of {id}");
            }
            Ok(_) => {}
        }
    }
    let mut sound = true;
    labels.verify(&RoaringBitmap::new(), &mut |_, _| sound = false);
    assert!(all || !sound, "a label that cannot be read is not found by verify");
    all
}

impl Look<'_> {
    fn open(&self, vfs: &Memory) -> Option<CodeFile> {
        let file = CodeFile::open(vfs, &self.path, self.header.clone(), self.tail, false).ok()?;
        assert!(
            self.case.forged || self.records(&file) == self.codes,
            "other codes under the same checksums"
        );
        Some(file)
    }

    fn records(&self, file: &CodeFile) -> Vec<u8> {
        let blocks = 0..layout::blocks(self.tail.count);
        blocks
            .flat_map(|block| {
                // Without mapping, opening has checked them all.
                file.check_block(block).expect("a block that was checked");
                file.block_codes(block).to_vec()
            })
            .collect()
    }

    /// Whether `verify` finds nothing.
    fn verify(&self, vfs: &Memory, opens: bool) -> bool {
        let Ok(file) = vfs.open_read(&self.path) else { return false };
        let mut sound = true;
        let mut check = Check {
            file: &*file,
            newest: &|| Ok((self.base.head.generation, self.tail)),
            damage: &mut |_, _| sound = false,
            progress: &mut |_| {},
        };
        let checked = code_file(&self.path, &self.header, self.tail, &RoaringBitmap::new(), &mut check);
        assert!(checked.is_ok(), "memory can be read");
        assert!(opens || !sound, "verify finds nothing, and it cannot be opened");
        sound
    }

    /// What a salvage takes for proven, with what the catalog says and without.
    fn prove(&self, vfs: &Memory, sound: bool) {
        let newest = self.base.head.generation;
        for proof in [Proof { tail: Some(self.tail), newest }, Proof { tail: None, newest: u64::MAX }] {
            let mut file = ProvenFile::examine(vfs, &self.path, &self.header, proof, &mut |_| {});
            let _ = (file.unproven(), file.is_missing(), header_of(vfs, &self.path));
            let width = self.base.geometry(self.number).code_bytes;
            let mut proven = 0u64;
            // As many as the longest file can hold.
            for id in 0..file.end.min(1 << 16) {
                let Some(code) = file.code(id) else { continue };
                proven += 1;
                let original = self.codes.get(id as usize * width..).and_then(|rest| rest.get(..width));
                assert!(self.case.forged || Some(code) == original, "code {id} is another one");
            }
            assert_eq!(proven, file.proven_codes(), "what is proven can be read");
            let all = u64::from(self.tail.count);
            assert!(self.case.forged || !sound || proven == all, "sound, and {proven} of {all} are proven");
        }
    }

    /// A writer's recovery leaves what a reader sees.
    fn recover(&self, before: Option<&CodeFile>) {
        let Some(bytes) = &self.case.files[self.number] else { return };
        let mut vfs = Memory::default();
        vfs.put(self.path.clone(), bytes);
        let generation = self.base.head.generation;
        if recover::open(&vfs, &self.path, &self.header, self.tail, generation).is_err() {
            return;
        }
        let file = vfs.open_read(&self.path).expect("it is there");
        let expected = self.base.geometry(self.number).len_bytes(self.tail.count);
        assert_eq!(file.len_bytes().ok(), Some(expected), "cut back to what is committed");
        let after = CodeFile::open(&vfs, &self.path, self.header.clone(), self.tail, false);
        assert_eq!(after.is_ok(), before.is_some(), "recovery changes what can be read");
        if let (Some(before), Ok(after)) = (before, after) {
            assert!(self.records(before) == self.records(&after), "recovery changes codes");
        }
    }
}
