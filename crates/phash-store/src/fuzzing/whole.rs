//! Owns the look at a database as a whole: read, verified, salvaged, and opened by a writer that goes on.

use std::fs;
use std::path::Path;

use super::Verdict;
use super::base::{Base, Items, items, put_model};
use super::case::Case;
use crate::catalog::Catalog;
use crate::dir::{SEGMENTS_DIR, catalog_path};
use crate::error::{Error, Result};
use crate::files::Tail;
use crate::reader::{OpenOptions, Reader};
use crate::salvage::{SalvageEvent, salvage};
use crate::schema::Contents;
use crate::verify::verify;
use crate::writer::Writer;

/// Looks at it in the folder `work`. What it holds is said at [`super::StoreFiles::run`].
pub(super) fn look(base: &Base, case: &Case, work: &Path, mmap: bool) -> Verdict {
    let (db, out) = (work.join("db"), work.join("out"));
    write(base, case, &db).expect("files can be written");
    let options = OpenOptions { mmap };
    let read = read(&db, options);
    let sound = is_sound(&db, options);
    if let Ok(items) = &read {
        assert!(case.forged || *items == base.items, "other answers under the same checksums");
    }
    if sound && let Err(error) = &read {
        panic!("verify finds nothing, but {error}");
    }
    salvaged(base, case, &db, &out, sound);
    go_on(base, case, &db, read.as_ref().ok());
    match read {
        Err(_) => Verdict::Refused,
        Ok(_) if !sound => Verdict::Damaged,
        Ok(items) if items == base.items => Verdict::Sound,
        Ok(_) => Verdict::Forged,
    }
}

fn read(dir: &Path, options: OpenOptions) -> Result<Items> {
    items(&Reader::open(dir, options)?)
}

fn is_sound(dir: &Path, options: OpenOptions) -> bool {
    let report = verify(dir, options, &mut |_, _| true).expect("damage is no error").expect("not stopped");
    report.is_sound()
}

/// Puts the files down.
fn write(base: &Base, case: &Case, db: &Path) -> Result<()> {
    let io = |e| Error::io("write", db, e);
    if db.exists() {
        fs::remove_dir_all(db).map_err(io)?;
    }
    fs::create_dir_all(db.join(SEGMENTS_DIR)).map_err(io)?;
    for (number, bytes) in case.files.iter().enumerate() {
        if let Some(bytes) = bytes {
            fs::write(db.join(base.head.file(number).name()), bytes).map_err(io)?;
        }
    }
    if let Some(bytes) = &case.published {
        fs::write(db.join("published"), bytes).map_err(io)?;
    }
    fs::write(catalog_path(db), &base.catalog).map_err(io)?;
    if (&case.tails, case.generation) != (&base.head.tails, base.head.generation) {
        let mut head = base.head.clone();
        head.tails.clone_from(&case.tails);
        head.generation = case.generation;
        if head.schema.contents == Contents::Models {
            // A salvage asks for the rows of all models that there should be: as many as are claimed under a fitting checksum.
            let most = |tail: &mut Tail| tail.count = tail.count.min(1 << 13);
            head.tails.iter_mut().for_each(most);
            (head.models, head.tensors) = (head.tails[0].count, head.tails[1].count);
        }
        let catalog = Catalog::open_write(&catalog_path(db))?;
        catalog.begin_write()?;
        catalog.update_head(&head)?;
        catalog.commit()?;
        catalog.close()?;
    }
    Ok(())
}

/// What comes out of a salvage was there, and is sound.
fn salvaged(base: &Base, case: &Case, db: &Path, out: &Path, sound: bool) {
    let mut told = 0;
    let done = salvage(db, out, None, &mut |event| {
        told += u64::from(matches!(event, SalvageEvent::Lost(_)));
        true
    });
    let done = match done {
        Ok(done) => done.expect("not stopped"),
        Err(error) => {
            assert!(case.forged, "the catalog is whole, but {error}");
            return;
        }
    };
    assert_eq!(told, done.losses, "as many losses as were told");
    let found = read(done.staging.dir(), OpenOptions::default()).expect("what was made is whole");
    assert!(is_sound(done.staging.dir(), OpenOptions::default()), "what was made is sound");
    if case.forged {
        return;
    }
    for (item, label) in &found {
        let original = base.items.get(item);
        assert!(original.is_some(), "out of nothing: {item}");
        assert!(label.is_none() || Some(label) == original, "another label: {label:?} of {item}");
    }
    assert!(told > 0 || found == base.items, "lost without a word");
    assert!(!sound || told == 0, "sound, but {told} losses were told");
}

/// A writer that opens it leaves what a reader sees, and what it adds is there.
fn go_on(base: &Base, case: &Case, db: &Path, before: Option<&Items>) {
    let writer = Writer::open(db, &base.head.schema);
    let reading = OpenOptions { mmap: false };
    let mut writer = match writer {
        Ok(writer) => writer,
        Err(error) => {
            assert!(case.forged || before.is_none() || !is_sound(db, reading), "sound, but {error}");
            return;
        }
    };
    let after = read(db, reading);
    if !case.forged {
        assert_eq!(after.as_ref().ok(), before, "opening it for writing changes what can be read");
    }
    let added = match base.head.schema.contents {
        Contents::Models => put_model(&mut writer, 900),
        Contents::Codes => writer.put_code(&[0x5a; 8], Some("new")).map(drop),
    };
    let added = added.and_then(|()| writer.commit());
    drop(writer);
    let now = read(db, reading);
    if let (Ok(()), Ok(after), Ok(now)) = (&added, &after, &now) {
        assert!(case.forged || now.len() == after.len() + 1, "what was added is not there");
        assert!(case.forged || after.iter().all(|(item, label)| now.get(item) == Some(label)));
    }
    assert!(case.forged || (added.is_ok() && now.is_ok() == after.is_ok()), "it does not go on: {added:?}");
}
