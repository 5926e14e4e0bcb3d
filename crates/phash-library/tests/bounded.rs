//! Claim: a hostile file of codes costs no more than a record may: endless ones are refused after a record's length, in the
//! memory of a record. Counted in bytes that are read and allocated, not in time.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use allocation_counter::measure;
use phash_library::{CodeFormat, CodeInput, Columns, Width};

/// A record and what is read ahead of it.
const READ_BYTES: u64 = (1 << 20) + (1 << 19);
/// A record grows by doubling; one copy of it, decoded.
const PEAK_BYTES: u64 = 4 << 20;

/// A beginning, then the same bytes without an end.
struct Endless {
    begin: Vec<u8>,
    again: Vec<u8>,
    at: usize,
    read: Arc<AtomicU64>,
}

impl Read for Endless {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        for byte in &mut *buf {
            *byte = match self.at.checked_sub(self.begin.len()) {
                None => self.begin[self.at],
                Some(behind) => self.again[behind % self.again.len()],
            };
            self.at += 1;
        }
        self.read.fetch_add(buf.len() as u64, Ordering::Relaxed);
        Ok(buf.len())
    }
}

#[test]
fn endless_records_are_refused_after_the_length_of_one_in_the_memory_of_one() {
    use CodeFormat::{Csv, Hex, Jsonl};
    let attacks: [(CodeFormat, &str, &str); 12] = [
        (Hex, "", "a"),
        (Hex, "", " "),
        (Hex, "0123456789abcdef ", "x"),
        (Jsonl, "", "["),
        (Jsonl, "", "{\"a\":"),
        (Jsonl, "{", "\"a\":1,"),
        (Jsonl, "{\"code\":\"", "\\u0061"),
        (Jsonl, "{\"label\":", "1"),
        (Csv, "", ","),
        (Csv, "", "\""),
        (Csv, "\"", "a\n"),
        (Csv, "code,label\n\"0123456789abcdef\",\"", "\"\""),
    ];
    for (format, begin, again) in attacks {
        let read = Arc::new(AtomicU64::new(0));
        let (begin, again) = (begin.as_bytes().to_vec(), again.as_bytes().to_vec());
        let what = format!("{format:?} {} {}", begin.escape_ascii(), again.escape_ascii());
        let reader = Endless { begin, again, at: 0, read: Arc::clone(&read) };
        let mut refused = false;
        let cost = measure(|| {
            let input = CodeInput::stream("f", Box::new(reader), format);
            let width = Width::from_bits(64).unwrap();
            refused = input.for_each(width, &Columns::default(), &|_| {}, &mut |_| Ok(())).is_err();
        });
        let read = read.load(Ordering::Relaxed);
        println!("{what}: {read} bytes read, {} allocated at once", cost.bytes_max);
        assert!(refused, "{what}");
        assert!(read <= READ_BYTES, "{what}: {read} bytes were read");
        assert!(cost.bytes_max <= PEAK_BYTES, "{what}: {} bytes at once", cost.bytes_max);
    }
}

#[test]
fn codes_without_an_end_are_read_in_the_memory_of_a_buffer() {
    for (format, record) in [
        (CodeFormat::Hex, "0123456789abcdef\n"),
        (CodeFormat::Jsonl, "{\"code\":\"0123456789abcdef\"}\n"),
        (CodeFormat::Csv, "0123456789abcdef,label\n"),
        (CodeFormat::Binary, "01234567"),
    ] {
        let again = record.as_bytes().to_vec();
        let reader = Endless { begin: Vec::new(), again, at: 0, read: Arc::default() };
        let mut count = 0;
        let cost = measure(|| {
            let input = CodeInput::stream("f", Box::new(reader), format);
            let width = Width::from_bits(64).unwrap();
            let stopped = input.for_each(width, &Columns::default(), &|_| {}, &mut |_| {
                count += 1;
                let source = io::ErrorKind::Other.into();
                let stop = phash_library::Error::CodeFile { name: String::new(), source };
                if count < 200_000 { Ok(()) } else { Err(stop) }
            });
            assert!(stopped.is_err());
        });
        assert_eq!(count, 200_000);
        assert!(cost.bytes_max <= 1 << 20, "{format:?}: {} bytes at once", cost.bytes_max);
    }
}
