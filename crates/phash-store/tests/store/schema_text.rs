//! The text in which SQLite keeps what the tables are is no row and has no checksum: changed, it is damage as any other, for
//! readers, `verify` and salvage.

use std::fs;

use phash_store::{Reader, SalvageEvent, Writer, salvage, verify};

use crate::common::*;

#[test]
fn a_column_of_another_name_is_damage_and_all_that_is_lost_for_it_is_told() {
    let temporary = temp_dir();
    let good = temporary.path().join("good");
    let mut writer = Writer::open_or_create(&good, &schema()).unwrap().with_clock(clock);
    put_range(&mut writer, 0..6).unwrap();
    writer.commit().unwrap();
    drop(writer);
    let bytes = fs::read(good.join("catalog.sqlite")).unwrap();
    for name in ["dtype", "mtime_ns", "content_digest"] {
        let dir = temporary.path().join(name);
        copy_dir(&good, &dir);
        let mut bad = bytes.clone();
        let mut changed = 0;
        for at in 0..bad.len() - name.len() {
            if bad[at..].starts_with(name.as_bytes()) {
                bad[at] ^= 1;
                changed += 1;
            }
        }
        assert!(changed > 0, "{name}");
        fs::write(dir.join("catalog.sqlite"), &bad).unwrap();
        let read = Reader::open(&dir, NO_MMAP).and_then(|reader| answers(&reader));
        let error = read.expect_err("a question about a column that is not there");
        assert!(error.is_damage(), "{name}: {error}");
        let report = verify(&dir, NO_MMAP, &mut |_, _| true).unwrap().unwrap();
        assert!(!report.is_sound(), "{name}");
        let mut losses = 0;
        let done = salvage(&dir, &temporary.path().join("out"), None, &mut |event| {
            losses += u32::from(matches!(event, SalvageEvent::Lost(_)));
            true
        });
        let done = done.unwrap_or_else(|error| panic!("{name}: {error}")).unwrap();
        // No model is whole without its rows in each of these tables.
        assert!(done.items == 0 && losses >= 6, "{name}: {} came out, {losses} losses told", done.items);
    }
}
