//! Owns codes in files: raw bytes, a code after the other, in `NAME.codes` and `NAME.queries`. Generated codes are kept so,
//! because another process may want them and making them takes time; files of other makers are read the same way.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use phash_code::Code;

use super::{Data, Kind, generate};

/// Goes up when the same seed gives other codes than before.
const GENERATOR: u32 = 2;
/// Queries that are kept with the codes.
pub const QUERIES: usize = 1000;

/// Codes, queries, and the files they stand in.
#[derive(Clone, Debug)]
pub struct Filed<const W: usize> {
    /// The codes and queries.
    pub data: Data<W>,
    /// `NAME.codes`.
    pub codes_path: PathBuf,
    /// `NAME.queries`.
    pub queries_path: PathBuf,
}

/// Generated codes, out of `dir` if they were made before.
///
/// # Errors
/// As the system gives them.
pub fn generated<const W: usize>(dir: &Path, kind: Kind, n: u32) -> io::Result<Filed<W>> {
    let name = format!("{}_{}_{n}.v{GENERATOR}", kind.name(), Code::<W>::BITS);
    if let Ok(filed) = read(dir, &name)
        && filed.data.codes.len() == n as usize
        && filed.data.queries.len() == QUERIES
    {
        let seeds = generate::<W>(kind, 0, 0).seeds;
        return Ok(Filed { data: Data { seeds, ..filed.data }, ..filed });
    }
    write(dir, &name, generate(kind, n, QUERIES))
}

/// Writes codes and queries to files of this name; the name stands only once they are whole.
///
/// # Errors
/// As the system gives them.
pub fn write<const W: usize>(dir: &Path, name: &str, data: Data<W>) -> io::Result<Filed<W>> {
    fs::create_dir_all(dir)?;
    let [codes_path, queries_path] = paths(dir, name);
    for (path, codes) in [(&codes_path, &data.codes), (&queries_path, &data.queries)] {
        let unfinished = path.with_extension("unfinished");
        fs::write(&unfinished, Code::as_bytes_slice(codes))?;
        fs::rename(&unfinished, path)?;
    }
    Ok(Filed { data, codes_path, queries_path })
}

/// Reads `NAME.codes` and `NAME.queries`. Queries of other makers stand near half first: they are taken in turn from both
/// halves, so that any first few are like all.
///
/// # Errors
/// As the system gives them, or [`io::ErrorKind::InvalidData`] if a file is no whole number of codes.
pub fn read<const W: usize>(dir: &Path, name: &str) -> io::Result<Filed<W>> {
    let [codes_path, queries_path] = paths(dir, name);
    let data = Data {
        codes: read_codes(&codes_path)?,
        queries: read_codes(&queries_path)?,
        seeds: format!("{name}.codes"),
    };
    Ok(Filed { data, codes_path, queries_path })
}

/// As [`read`], of the files `KIND_BITS_N` that another maker wrote; the queries are written again in their new order
/// to `cache`.
///
/// # Errors
/// As [`read`].
pub fn foreign<const W: usize>(dir: &Path, cache: &Path, kind: Kind, n: u32) -> io::Result<Filed<W>> {
    let name = format!("{}_{}_{n}", kind.name(), Code::<W>::BITS);
    let mut filed = read::<W>(dir, &name)?;
    let (near, fresh) = filed.data.queries.split_at(filed.data.queries.len() / 2);
    // Of the near half, too, the first half is of another make than the second.
    let (planted, any) = near.split_at(near.len() / 2);
    let near = planted.iter().zip(any).flat_map(|(planted, any)| [planted, any]);
    filed.data.queries = near.zip(fresh).flat_map(|(near, fresh)| [*near, *fresh]).collect();
    fs::create_dir_all(cache)?;
    filed.queries_path = cache.join(format!("{name}.foreign.queries"));
    fs::write(&filed.queries_path, Code::as_bytes_slice(&filed.data.queries))?;
    Ok(filed)
}

fn paths(dir: &Path, name: &str) -> [PathBuf; 2] {
    ["codes", "queries"].map(|what| dir.join(format!("{name}.{what}")))
}

fn read_codes<const W: usize>(path: &Path) -> io::Result<Vec<Code<W>>> {
    use std::io::Read as _;
    let mut file = fs::File::open(path)?;
    let len_bytes = file.metadata()?.len() as usize;
    if !len_bytes.is_multiple_of(Code::<W>::BYTES) {
        let message = format!(
            "{}: {len_bytes} bytes are no whole number of codes of {} bytes",
            path.display(),
            Code::<W>::BYTES
        );
        return Err(io::Error::new(io::ErrorKind::InvalidData, message));
    }
    let mut codes = vec![Code::ZERO; len_bytes / Code::<W>::BYTES];
    file.read_exact(zerocopy::IntoBytes::as_mut_bytes(&mut codes[..]))?;
    Ok(codes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_made_once_and_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let made = generated::<2>(dir.path(), Kind::Skewed, 500).unwrap();
        let mut first = fs::read(&made.codes_path).unwrap();
        let read = generated::<2>(dir.path(), Kind::Skewed, 500).unwrap();
        assert_eq!((&read.data.codes, &read.data.queries), (&made.data.codes, &made.data.queries));
        assert_eq!(read.data.seeds, made.data.seeds);
        // A change of the file shows that it is what is read; a file cut short is made anew.
        first[0] ^= 1;
        fs::write(&made.codes_path, &first).unwrap();
        assert_ne!(generated::<2>(dir.path(), Kind::Skewed, 500).unwrap().data.codes, made.data.codes);
        fs::write(&made.codes_path, &first[..first.len() - 1]).unwrap();
        assert_eq!(generated::<2>(dir.path(), Kind::Skewed, 500).unwrap().data.codes, made.data.codes);
    }

    #[test]
    fn queries_of_other_makers_are_taken_from_all_parts_in_turn() {
        let dir = tempfile::tempdir().unwrap();
        let word = |word: u64| Code::<1>::from_le_words([word]);
        let data = Data { codes: vec![word(7)], queries: (0..8).map(word).collect(), seeds: String::new() };
        write(dir.path(), "uniform_64_1", data).unwrap();
        let read = foreign::<1>(dir.path(), dir.path(), Kind::Uniform, 1).unwrap();
        let order: Vec<u64> = read.data.queries.iter().map(|query| query.to_le_words()[0]).collect();
        assert_eq!(order, [0, 4, 2, 5, 1, 6, 3, 7]);
    }
}
