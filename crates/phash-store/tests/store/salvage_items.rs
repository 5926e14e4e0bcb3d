//! Salvage of models one by one: each is proven by the checksum of its own codes, those of older versions by their blocks.

use std::fs;

use phash_store::{Contents, LossKind, Reader};

use crate::common::*;
use crate::golden::golden;
use crate::power_cuts::Place;
use crate::salvage::{database, items, run, salvaged};
use crate::verify::forge_codes_crc;

#[test]
fn one_changed_byte_of_a_code_file_costs_the_model_under_it_alone() {
    let temporary = temp_dir();
    let dir = temporary.path().join("db");
    for compacted in [false, true] {
        database(&dir, Contents::Models, compacted, false);
        let originals = items(&dir);
        // Of the first block, the second, the end of the last; a header, a slot; a void code; and codes of tensors.
        let all: Vec<u32> = originals.values().map(|item| item.id).collect();
        let last = all.iter().copied().max().unwrap();
        let by_tensor = |id: u32| originals.values().find(|item| item.tensors.contains(&id)).unwrap().id;
        let void = originals.values().find(|item| !item.in_blocks).unwrap().id;
        let coded = originals.values().find(|item| item.in_blocks).unwrap().id;
        let tensor = originals.values().map(|item| item.tensors.end).max().unwrap() - 1;
        let at = |width: usize, id: u32| {
            let id = id as usize;
            4096 + id / 2048 * (64 + 2048 * width) + 64 + id % 2048 * width + width - 1
        };
        let cases = [
            ("energy", at(32, 100), Some(100)),
            ("energy", at(32, 2050), Some(2050)),
            ("energy", at(32, last), Some(last)),
            ("energy", 50, None),
            ("energy", 4096 + 20, None),
            ("blocks", at(8, coded), Some(coded)),
            ("blocks", at(8, void), None),
            ("tensors.energy", at(32, tensor), Some(by_tensor(tensor))),
            ("tensors.blocks", at(8, tensor), None),
        ];
        for (stem, at, lost) in cases {
            let path = dir.join(format!("{stem}{}.codes", if compacted { "+1" } else { "" }));
            let _place = Place(format!("{stem}, byte {at}, compacted {compacted}"));
            let good = fs::read(&path).unwrap();
            let mut bad = good.clone();
            bad[at] ^= 0x10;
            fs::write(&path, bad).unwrap();
            let outcome = salvaged(temporary.path());
            let ids: Vec<_> = outcome.losses.iter().map(|loss| (loss.kind, loss.ids.clone())).collect();
            let expected: Vec<_> = lost.into_iter().map(|id| (LossKind::Model, Some(id..id + 1))).collect();
            assert_eq!(ids, expected, "{:?}", outcome.losses);
            let mut whole = originals.clone();
            whole.retain(|_, item| Some(item.id) != lost);
            assert!(outcome.found.keys().eq(whole.keys()));
            assert!(whole.iter().all(|(key, item)| outcome.found[key].what == item.what));
            if lost.is_some() {
                let file =
                    format!("in {}: does not fit its checksum there", path.file_name().unwrap().display());
                assert!(outcome.losses[0].reason.contains(&file), "{:?}", outcome.losses);
                assert!(outcome.losses[0].label.is_some());
            }
            fs::write(&path, good).unwrap();
        }
        fs::remove_dir_all(&dir).unwrap();
    }
}

#[test]
fn codes_of_another_model_are_lost_though_their_block_proves_them() {
    let temporary = temp_dir();
    let dir = temporary.path().join("db");
    database(&dir, Contents::Models, false, false);
    forge_codes_crc(&dir, "models", 7);
    let outcome = salvaged(temporary.path());
    assert_eq!(outcome.losses.len(), 1, "{:?}", outcome.losses);
    assert_eq!(outcome.losses[0].ids, Some(7..8));
    assert_eq!(outcome.losses[0].reason, "its codes are not those that its row is about");
}

#[test]
fn models_of_older_versions_are_proven_by_blocks_and_come_out_in_the_newest() {
    for (damaged, found) in [(false, 36), (true, 0)] {
        let temporary = temp_dir();
        let dir = temporary.path().join("db");
        copy_dir(&golden("store-v3"), &dir);
        if damaged {
            let mut bytes = fs::read(dir.join("energy+1.codes")).unwrap();
            bytes[4096 + 64 + 32 * 5] ^= 1;
            fs::write(dir.join("energy+1.codes"), bytes).unwrap();
        }
        let outcome = run(&dir, &temporary.path().join("out")).unwrap();
        assert_eq!(
            (outcome.found.len(), outcome.losses.is_empty()),
            (found, !damaged),
            "{:?}",
            outcome.losses
        );
        let reader = Reader::open(&temporary.path().join("out"), NO_MMAP).unwrap();
        assert_eq!(reader.info().unwrap().format_version, 5);
    }
}
