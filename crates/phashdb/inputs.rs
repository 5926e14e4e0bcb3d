//! Turns paths from the command line into inputs: `-` is standard input, which can be read once.

use std::path::{Path, PathBuf};

use phash_library::Input;

use crate::failure::Failure;

/// What messages and results call standard input.
pub(crate) const STDIN: &str = "-";

pub(crate) fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == STDIN
}

/// Standard input as an input.
pub(crate) fn stdin(name: &str) -> Input {
    Input::Stream { name: name.to_owned(), reader: Box::new(std::io::stdin()) }
}

/// Refuses standard input more than once.
pub(crate) fn check_stdin<'p>(paths: impl IntoIterator<Item = &'p PathBuf>) -> Result<(), Failure> {
    if paths.into_iter().filter(|path| is_stdin(path)).count() > 1 {
        return Err(Failure::Usage("- (standard input) can be given only once".to_owned()));
    }
    Ok(())
}

/// The inputs of these paths.
pub(crate) fn inputs(paths: &[PathBuf]) -> Result<Vec<Input>, Failure> {
    check_stdin(paths)?;
    let input = |path: &PathBuf| if is_stdin(path) { stdin(STDIN) } else { Input::Path(path.clone()) };
    Ok(paths.iter().map(input).collect())
}

/// Bytes in the inputs, as far as they are known: what progress is measured by.
pub(crate) fn total_bytes(inputs: &[Input]) -> u64 {
    inputs.iter().fold(0, |sum, input| sum.saturating_add(input.len_bytes()))
}
