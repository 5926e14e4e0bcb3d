//! Owns the facade for hosts that learn the width of their codes only when they run (a command line, a binding): the types
//! of the crate over 64, 128, 256 and 512 bits behind one. Nothing is decided here; every call goes to the typed twin.

/// One of four, by width.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Any<A, B, C, D> {
    Bits64(A),
    Bits128(B),
    Bits256(C),
    Bits512(D),
}

/// The same for each width.
macro_rules! each {
    ($any:expr, $own:pat => $body:expr) => {
        match $any {
            Any::Bits64($own) => $body,
            Any::Bits128($own) => $body,
            Any::Bits256($own) => $body,
            Any::Bits512($own) => $body,
        }
    };
}

/// The same for each width, wrapped again.
macro_rules! map {
    ($any:expr, $own:pat => $body:expr) => {
        match $any {
            Any::Bits64($own) => Any::Bits64($body),
            Any::Bits128($own) => Any::Bits128($body),
            Any::Bits256($own) => Any::Bits256($body),
            Any::Bits512($own) => Any::Bits512($body),
        }
    };
}

/// The same for each width of two that must have one.
macro_rules! both {
    ($any:expr, $other:expr, ($own:pat, $its:pat) => $body:expr, $mismatch:expr) => {
        match ($any, $other) {
            (Any::Bits64($own), Any::Bits64($its)) => $body,
            (Any::Bits128($own), Any::Bits128($its)) => $body,
            (Any::Bits256($own), Any::Bits256($its)) => $body,
            (Any::Bits512($own), Any::Bits512($its)) => $body,
            _ => return Err($mismatch),
        }
    };
}

/// Evaluates for the width that a number says.
macro_rules! of_bits {
    ($bits:expr, $width:ident => $body:expr) => {
        match $bits {
            64 => {
                const $width: usize = 1;
                Any::Bits64($body)
            }
            128 => {
                const $width: usize = 2;
                Any::Bits128($body)
            }
            256 => {
                const $width: usize = 4;
                Any::Bits256($body)
            }
            512 => {
                const $width: usize = 8;
                Any::Bits512($body)
            }
            got_bits => return Err(Error::NoWidth { got_bits: u64::from(got_bits) }),
        }
    };
}

// After the macros, which they use.
mod code;
mod codes;
mod index;
mod live;
mod segment;

pub use self::code::AnyCode;
pub use self::codes::AnyCodes;
pub use self::index::AnyIndex;
pub use self::live::{AnyLive, AnySnapshot};
pub use self::segment::AnySegment;
use crate::Error;

fn bits_of<A, B, C, D>(any: &Any<A, B, C, D>) -> u32 {
    match any {
        Any::Bits64(_) => 64,
        Any::Bits128(_) => 128,
        Any::Bits256(_) => 256,
        Any::Bits512(_) => 512,
    }
}

fn mismatch(expected_bits: u32, code: &AnyCode) -> Error {
    Error::CodeWidth { expected_bits, got_bits: code.bits() }
}
