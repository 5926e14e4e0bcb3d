//! Owns [`Fields`]: structures in Thrift's compact protocol (github.com/apache/thrift, doc/specs/thrift-compact-protocol.md),
//! read field by field without allocating anything. Whatever does not fit its bytes ends the reading.

/// Types of fields, as they are written.
pub(super) mod wire {
    pub(in super::super) const TRUE: u8 = 1;
    pub(in super::super) const FALSE: u8 = 2;
    pub(in super::super) const BYTE: u8 = 3;
    pub(in super::super) const I16: u8 = 4;
    pub(in super::super) const I32: u8 = 5;
    pub(in super::super) const I64: u8 = 6;
    pub(in super::super) const DOUBLE: u8 = 7;
    pub(in super::super) const BINARY: u8 = 8;
    pub(in super::super) const LIST: u8 = 9;
    pub(in super::super) const STRUCT: u8 = 12;
}

/// Structures within structures, at most.
const MAX_DEPTH: u32 = 16;

/// How a value is made.
#[derive(Debug)]
pub(super) enum Shape {
    Bool,
    Byte,
    I16,
    I32,
    I64,
    Double,
    Binary,
    List(&'static Shape),
    /// The fields of a structure, or the one of several that a union has, by number. Others may hold anything.
    Struct(&'static [(i16, Shape)]),
    /// The same, and there may be no others.
    Closed(&'static [(i16, Shape)]),
}

/// Bytes from which fields are read.
#[derive(Clone, Debug)]
pub(super) struct Fields<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Fields<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Bytes read so far.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    fn skip(&mut self, len: u64) -> Option<()> {
        let end = (self.at as u64).checked_add(len).filter(|&end| end <= self.bytes.len() as u64)?;
        self.at = usize::try_from(end).ok()?;
        Some(())
    }

    /// A number of seven bits a byte, at most ten of them.
    fn varint(&mut self) -> Option<u64> {
        let mut number = 0u64;
        for shift in (0..70).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return None;
            }
            number |= bits << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    fn zigzag(&mut self) -> Option<i64> {
        let number = self.varint()?;
        Some((number >> 1).cast_signed() ^ -((number & 1).cast_signed()))
    }

    /// The next field of a structure: its number, and its type; type 0 is the structure's end. `last` is the number of the
    /// field before it.
    pub(super) fn field(&mut self, last: i16) -> Option<(i16, u8)> {
        let byte = self.byte()?;
        let (delta, wire) = (i16::from(byte >> 4), byte & 15);
        if byte == 0 {
            return Some((last, 0));
        }
        let number = match delta {
            0 => i16::try_from(self.zigzag()?).ok()?,
            delta => last.checked_add(delta)?,
        };
        (wire != 0).then_some((number, wire))
    }

    /// A number of 32 bits.
    pub(super) fn i32(&mut self) -> Option<i32> {
        i32::try_from(self.zigzag()?).ok()
    }

    /// The number of elements of a list; there are enough bytes for so many.
    pub(super) fn list(&mut self) -> Option<(usize, u8)> {
        let byte = self.byte()?;
        let size = match byte >> 4 {
            15 => usize::try_from(self.varint()?).ok()?,
            size => usize::from(size),
        };
        (size <= self.bytes.len() - self.at).then_some((size, byte & 15))
    }

    /// Passes over a value, whatever it is. Maps and lists of booleans, which no structure of Parquet has, are refused.
    pub(super) fn pass(&mut self, wire: u8) -> Option<()> {
        self.pass_at(wire, 0)
    }

    fn pass_at(&mut self, wire: u8, depth: u32) -> Option<()> {
        if depth > MAX_DEPTH {
            return None;
        }
        match wire {
            wire::TRUE | wire::FALSE => Some(()),
            wire::BYTE => self.skip(1),
            wire::I16 | wire::I32 | wire::I64 => self.varint().map(drop),
            wire::DOUBLE => self.skip(8),
            wire::BINARY => {
                let len = self.varint()?;
                self.skip(len)
            }
            wire::LIST => {
                let (size, element) = self.list()?;
                // Whether those of a list take a byte each, readers disagree.
                if matches!(element, wire::TRUE | wire::FALSE) && size > 0 {
                    return None;
                }
                (0..size).try_for_each(|_| self.pass_at(element, depth + 1))
            }
            wire::STRUCT => {
                let mut last = 0;
                loop {
                    let (number, wire) = self.field(last)?;
                    if wire == 0 {
                        return Some(());
                    }
                    self.pass_at(wire, depth + 1)?;
                    last = number;
                }
            }
            _ => None,
        }
    }

    /// Passes over a value of type `wire`, if it is made as the format has it.
    pub(super) fn pass_as(&mut self, wire: u8, shape: &Shape) -> Option<()> {
        match (shape, wire) {
            (Shape::Bool, wire::TRUE | wire::FALSE)
            | (Shape::Byte, wire::BYTE)
            | (Shape::I16, wire::I16)
            | (Shape::I32, wire::I32)
            | (Shape::I64, wire::I64)
            | (Shape::Double, wire::DOUBLE)
            | (Shape::Binary, wire::BINARY) => self.pass(wire),
            (Shape::List(element), wire::LIST) => {
                let (size, wire) = self.list()?;
                (0..size).try_for_each(|_| self.pass_as(wire, element))
            }
            (Shape::Struct(known) | Shape::Closed(known), wire::STRUCT) => {
                let mut last = 0;
                loop {
                    let (number, wire) = self.field(last)?;
                    if wire == 0 {
                        return Some(());
                    }
                    match known.iter().find(|(known, _)| *known == number) {
                        Some((_, shape)) => self.pass_as(wire, shape)?,
                        None if matches!(shape, Shape::Closed(_)) => return None,
                        None => self.pass(wire)?,
                    }
                    last = number;
                }
            }
            _ => None,
        }
    }
}
