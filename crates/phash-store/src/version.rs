//! Owns [`Version`]: which versions of the format there are, what a database of each holds, and what its catalog has. All are
//! read; only the newest for what a database holds is written. docs/file-format.md lists them.

use crate::schema::Contents;

/// Newest version of the format on disk that this build knows.
pub const FORMAT_VERSION: u32 = 5;

/// A version of the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Version {
    pub(crate) number: u32,
    pub(crate) contents: Contents,
    /// Whether the catalog has the tables of removals and compactions.
    pub(crate) has_upkeep: bool,
    /// Whether rows of models and tensors have a checksum of the codes.
    pub(crate) has_codes_crc: bool,
}

const fn version(number: u32, contents: Contents, has_upkeep: bool, has_codes_crc: bool) -> Version {
    Version { number, contents, has_upkeep, has_codes_crc }
}

const ALL: [Version; FORMAT_VERSION as usize] = [
    version(1, Contents::Models, false, false),
    version(2, Contents::Codes, false, false),
    version(3, Contents::Models, true, false),
    version(4, Contents::Codes, true, false),
    version(5, Contents::Models, true, true),
];

impl Version {
    /// The version of a number, if this build knows it.
    pub(crate) fn of(number: i64) -> Option<Self> {
        ALL.into_iter().find(|version| i64::from(version.number) == number)
    }

    /// The one that is written.
    pub(crate) fn newest(contents: Contents) -> Self {
        match contents {
            Contents::Models => ALL[4],
            Contents::Codes => ALL[3],
        }
    }

    /// Whether databases of it are written.
    pub(crate) fn is_newest(self) -> bool {
        self == Self::newest(self.contents)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_version_is_found_by_its_number_and_the_newest_of_each_contents_has_all_there_is() {
        for (version, number) in ALL.into_iter().zip(1..) {
            assert_eq!(Version::of(number), Some(version));
            let newest = Version::newest(version.contents);
            assert!(newest.number >= version.number && newest.has_upkeep, "{version:?}");
            assert_eq!(newest.has_codes_crc, version.contents == Contents::Models, "{version:?}");
            assert_eq!(version.is_newest(), number >= 4);
        }
        assert!([0, -1, 6, 1 << 32].into_iter().all(|number| Version::of(number).is_none()));
    }
}
