//! Owns real codes: those of tensors, as `phashdb hash --tensors --format jsonl` prints them, or any file with a code in
//! hexadecimal at the start of each line (image hashes, for one). Wider codes are cut to the width asked for.
//!
//! As many codes as there are: none is made up. Every 50th, but at most 500, is taken out and asked for; the other
//! queries are stored codes with some bits flipped.

use std::fs;
use std::io;
use std::path::Path;

use phash_code::Code;
use serde_json::Value;

use super::{Data, flip};
use crate::random::SplitMix;

/// The codes of a file; of a JSON line with views, those of each view.
///
/// # Errors
/// As the system gives them, or [`io::ErrorKind::InvalidData`] if there are no codes as wide as `W` words or wider.
pub fn read<const W: usize>(path: &Path) -> io::Result<Data<W>> {
    let text = fs::read_to_string(path)?;
    let mut codes: Vec<Code<W>> = Vec::new();
    for line in text.lines() {
        match serde_json::from_str::<Value>(line) {
            Ok(Value::Object(object)) if object.contains_key("views") => {
                let views = object["views"].as_object().into_iter().flatten();
                codes.extend(views.filter_map(|(_, view)| cut(view["code"].as_str()?)));
            }
            Ok(Value::Object(object)) => {
                codes.extend(object.get("code").and_then(|code| cut(code.as_str()?)))
            }
            _ => codes.extend(line.split([',', ' ', '\t']).next().and_then(cut)),
        }
    }
    if codes.len() < 100 {
        let message = format!("{}: {} codes of {} bits", path.display(), codes.len(), Code::<W>::BITS);
        return Err(io::Error::new(io::ErrorKind::InvalidData, message));
    }
    Ok(split(codes, path))
}

/// The first bits of a code in hexadecimal.
fn cut<const W: usize>(hex: &str) -> Option<Code<W>> {
    hex.get(..2 * Code::<W>::BYTES)?.parse().ok()
}

fn split<const W: usize>(all: Vec<Code<W>>, path: &Path) -> Data<W> {
    let seed = 4000 + u64::from(Code::<W>::BITS);
    let step = (all.len() / 500).max(50);
    let (mut codes, mut fresh) = (Vec::with_capacity(all.len()), Vec::new());
    for (number, code) in all.into_iter().enumerate() {
        if number % step == 0 { fresh.push(code) } else { codes.push(code) }
    }
    let mut random = SplitMix::new(seed);
    let mut queries = Vec::new();
    for i in 0..super::files::QUERIES {
        let near = flip(&codes[random.place(codes.len())], &mut random);
        queries.push(if i % 2 == 0 { near } else { fresh[i / 2 % fresh.len()] });
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    Data { codes, queries, seeds: format!("{name}, queries {seed}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_read_from_json_lines_and_from_plain_lines() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("codes");
        let views = |i: u32| format!(r#"{{"views":{{"a":{{"code":"{i:032x}"}},"b":{{"code":null}}}}}}"#);
        let plain = |i: u32| format!("{i:032x},name {i}");
        for line in [&views as &dyn Fn(u32) -> String, &plain] {
            fs::write(&path, (0..200).map(|i| line(i) + "\n").collect::<String>()).unwrap();
            let data = read::<2>(&path).unwrap();
            assert_eq!(data.codes.len() + 4, 200);
            assert_eq!(data.queries.len(), 1000);
            assert!(!data.codes.contains(&data.queries[1]), "what is asked for is not stored");
            assert!(read::<1>(&path).unwrap().codes.iter().all(|&code| code == Code::ZERO));
            assert!(read::<4>(&path).is_err());
        }
    }
}
