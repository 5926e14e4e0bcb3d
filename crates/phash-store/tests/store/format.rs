//! The code file as docs/file-format.md describes it, read by a second decoder that knows only that page: without the
//! catalog, with a checksum computed bit by bit.

use std::path::Path;

use phash_store::Writer;

use crate::codes;
use crate::common::*;

/// CRC-32 with the reflected polynomial 0xEDB88320.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg()))
    })
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    (0..4).map(|i| u32::from(bytes[at + i]) << (8 * i)).sum()
}

/// The codes of a file, by the page's rule: in each block the valid slot with the highest count that fits.
fn read_without_catalog(file: &Path, view: &str, kind: u32, words: u32) -> Vec<Vec<u8>> {
    let (version, parameters) = if kind < 2 { (1, schema().parameters) } else { (2, [0; 32]) };
    let bytes = std::fs::read(file).unwrap();
    assert_eq!(&bytes[..8], b"PHSHCODE");
    let fields: Vec<u32> = [8, 12, 16, 20, 72].map(|at| u32_at(&bytes, at)).to_vec();
    assert_eq!(fields, [version, words, kind, 2048, u32::try_from(view.len()).unwrap()]);
    assert_eq!(&bytes[40..72], parameters);
    assert_eq!(&bytes[76..76 + view.len()], view.as_bytes());
    assert!(bytes[76 + view.len()..4092].iter().all(|&byte| byte == 0));
    let header_crc = u32_at(&bytes, 4092);
    assert_eq!(crc32(&bytes[..4092]), header_crc);

    let width = 8 * words as usize;
    let mut codes = Vec::new();
    for (number, block) in bytes[4096..].chunks(64 + 2048 * width).enumerate() {
        let best = [0, 32]
            .into_iter()
            .filter_map(|at| {
                let slot = &block[at..at + 32];
                let checked: Vec<u8> = header_crc.to_le_bytes().iter().chain(&slot[..28]).copied().collect();
                let count = u32_at(slot, 4) as usize;
                let whole = crc32(&checked) == u32_at(slot, 28) && u32_at(slot, 0) as usize == number;
                let fits = whole && block.get(64..64 + count * width).map(crc32) == Some(u32_at(slot, 16));
                fits.then_some(count)
            })
            .max();
        codes.extend(block[64..64 + best.unwrap() * width].chunks(width).map(<[u8]>::to_vec));
    }
    codes
}

#[test]
fn a_code_file_can_be_read_by_its_description_without_the_catalog() {
    assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    let temporary = temp_dir();
    let dir = temporary.path().join("db");
    let mut writer = Writer::open_or_create(&dir, &schema()).unwrap();
    for end in [7, 2048, 2050, 4200] {
        let from = u64::from(writer.model_count());
        put_range(&mut writer, from..end).unwrap();
        writer.commit().unwrap();
    }
    let expected: Vec<Vec<u8>> = (0..4200).map(|content| energy(content).to_vec()).collect();
    assert!(read_without_catalog(&dir.join("energy.codes"), "energy", 0, 4) == expected);
    let expected: Vec<Vec<u8>> =
        (0..4200).map(|content| blocks(content).unwrap_or_default().to_vec()).collect();
    assert!(read_without_catalog(&dir.join("blocks.codes"), "blocks", 0, 1) == expected);
    let tensors = read_without_catalog(&dir.join("tensors.blocks.codes"), "blocks", 1, 1);
    assert_eq!(tensors.len(), 4200);
    assert!(tensors.iter().flatten().all(|&byte| byte == 0), "void codes are zero");
    assert_eq!(std::fs::metadata(dir.join("blocks.codes")).unwrap().len(), 4096 + 3 * 64 + 4200 * 8);
}

#[test]
fn raw_codes_and_their_labels_can_be_read_by_their_description_without_the_catalog() {
    let temporary = temp_dir();
    let dir = temporary.path().join("db");
    let mut writer = Writer::open_or_create(&dir, &codes::raw()).unwrap();
    for end in [7, 2048, 2050, 4201] {
        let from = u64::from(writer.code_count());
        codes::put_codes(&mut writer, from..end).unwrap();
        writer.commit().unwrap();
    }
    let expected: Vec<Vec<u8>> = (0..4201).map(|number| codes::code(number).to_vec()).collect();
    assert!(read_without_catalog(&dir.join("raw.codes"), "raw", 2, 2) == expected);
    let text = read_without_catalog(&dir.join("raw.text"), "raw", 4, 8).concat();
    let places = read_without_catalog(&dir.join("raw.labels"), "raw", 3, 1);
    // The last code, 4200, has no label and so no place.
    assert_eq!(places.len(), 4200);
    for (number, place) in (0..).zip(&places) {
        let start = (0..6).map(|i| usize::from(place[i]) << (8 * i)).sum::<usize>();
        let len = usize::from(place[6]) | usize::from(place[7]) << 8;
        let label = codes::label(number).unwrap_or_default();
        assert_eq!(&text[start..start + len], label.as_bytes(), "label {number}");
        assert!(len > 0 || start == 0, "no label is a place of zeros");
    }
}

#[test]
fn checksums_of_codes_are_as_described() {
    let temporary = temp_dir();
    let dir = temporary.path().join("db");
    let mut writer = Writer::open_or_create(&dir, &schema()).unwrap();
    put_range(&mut writer, 0..20).unwrap();
    writer.commit().unwrap();
    drop(writer);
    let conn = rusqlite::Connection::open(dir.join("catalog.sqlite")).unwrap();
    let stored = |table: &str| -> Vec<u32> {
        let mut statement = conn.prepare(&format!("SELECT codes_crc FROM {table} ORDER BY id")).unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    let model = |content: u64| {
        let mut bytes = vec![1];
        bytes.extend(energy(content));
        match blocks(content) {
            Some(code) => bytes.extend([&[1][..], &code].concat()),
            None => bytes.push(0),
        }
        crc32(&bytes)
    };
    assert_eq!(stored("models"), (0..20).map(model).collect::<Vec<_>>());
    let tensors = (0..20u64).flat_map(|content| (0..content % 3).map(move |t| content * 3 + t));
    let tensor = |number| crc32(&[&[1][..], &bytes32(5, number), &[0]].concat());
    assert_eq!(stored("tensors"), tensors.map(tensor).collect::<Vec<_>>());
}
