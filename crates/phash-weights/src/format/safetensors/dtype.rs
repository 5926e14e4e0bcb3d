//! Owns the element types of the format: the safetensors crate is the source of their names and widths; here they become
//! the types that hashing knows.

use phash_core::Dtype;
use safetensors::Dtype as Named;
use serde::Deserialize as _;
use serde::de::IntoDeserializer as _;
use serde::de::value::Error as Unknown;

/// An element type with its width.
#[derive(Clone, Copy, Debug)]
pub(super) struct ElementType {
    pub(super) dtype: Dtype,
    pub(super) bits: u64,
}

/// The type of that name, if the format has it.
pub(super) fn by_name(name: &str) -> Option<ElementType> {
    let named = Named::deserialize(name.into_deserializer()).map_err(|_: Unknown| ()).ok()?;
    let dtype = match named {
        Named::F64 => Dtype::F64,
        Named::F32 => Dtype::F32,
        Named::F16 => Dtype::F16,
        Named::BF16 => Dtype::BF16,
        Named::F8_E4M3 => Dtype::F8E4M3,
        Named::F8_E5M2 => Dtype::F8E5M2,
        Named::F8_E4M3FNUZ => Dtype::F8E4M3Fnuz,
        Named::F8_E5M2FNUZ => Dtype::F8E5M2Fnuz,
        Named::BOOL => Dtype::Other("BOOL"),
        Named::F4 => Dtype::Other("F4"),
        Named::F6_E2M3 => Dtype::Other("F6_E2M3"),
        Named::F6_E3M2 => Dtype::Other("F6_E3M2"),
        Named::F8_E8M0 => Dtype::Other("F8_E8M0"),
        Named::U8 => Dtype::Other("U8"),
        Named::I8 => Dtype::Other("I8"),
        Named::I16 => Dtype::Other("I16"),
        Named::U16 => Dtype::Other("U16"),
        Named::I32 => Dtype::Other("I32"),
        Named::U32 => Dtype::Other("U32"),
        Named::I64 => Dtype::Other("I64"),
        Named::U64 => Dtype::Other("U64"),
        Named::C64 => Dtype::Other("C64"),
        // A type of a later version of the crate; the test below fails until it is named here.
        _ => return None,
    };
    Some(ElementType { dtype, bits: u64::try_from(named.bitsize()).ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::de::{self, Deserializer, Visitor};

    /// Catches the list of names that the crate's enum hands to its deserializer.
    struct Names<'a>(&'a mut Vec<&'static str>);

    impl<'de> Deserializer<'de> for Names<'_> {
        type Error = Unknown;

        fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Unknown> {
            Err(de::Error::custom("an enum asks for deserialize_enum"))
        }

        fn deserialize_enum<V: Visitor<'de>>(
            self,
            _: &'static str,
            variants: &'static [&'static str],
            _: V,
        ) -> Result<V::Value, Unknown> {
            self.0.extend(variants);
            Err(de::Error::custom("only the names were wanted"))
        }

        serde::forward_to_deserialize_any! {
            bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct
            newtype_struct seq tuple tuple_struct map struct identifier ignored_any
        }
    }

    #[test]
    fn every_type_the_crate_knows_is_mapped_under_its_own_name_and_width() {
        let mut names = Vec::new();
        assert!(Named::deserialize(Names(&mut names)).is_err());
        assert!(names.len() >= 22, "{names:?}");
        for name in names {
            let element = by_name(name).unwrap_or_else(|| panic!("{name} is not mapped"));
            assert_eq!(element.dtype.name(), name);
            if let Some(bytes) = element.dtype.size_bytes() {
                assert_eq!(element.bits, bytes * 8, "{name}");
            }
        }
    }

    #[test]
    fn names_are_exact() {
        for name in ["f32", "F32 ", "", "F8", "FLOAT", "F8_E4M3FN"] {
            assert!(by_name(name).is_none(), "{name:?}");
        }
    }
}
