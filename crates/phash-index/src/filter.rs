//! Owns [`Filter`]: which code ids a search may report.

use std::ops::Range;

use roaring::RoaringBitmap;

/// The ids that are allowed, if only some are, without those denied. Asked for hits only, so that it costs next to
/// nothing, whatever it lets through.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Filter<'a> {
    pub(crate) allow: Option<&'a RoaringBitmap>,
    pub(crate) deny: Option<&'a RoaringBitmap>,
}

impl<'a> Filter<'a> {
    #[inline]
    pub(crate) fn wants(self, id: u32) -> bool {
        self.allow.is_none_or(|allow| allow.contains(id)) && self.deny.is_none_or(|deny| !deny.contains(id))
    }

    /// How many of `ids` may be reported, at most.
    pub(crate) fn allowed(self, ids: Range<u32>) -> u64 {
        match self.allow {
            None => u64::from(ids.end - ids.start),
            Some(allow) => allow.range_cardinality(ids),
        }
    }

    /// The ids that may be reported, in order, if they are listed.
    pub(crate) fn listed(self, ids: Range<u32>) -> impl Iterator<Item = u32> + 'a {
        let listed = self.allow.into_iter().flat_map(move |allow| allow.range(ids.clone()));
        listed.filter(move |&id| self.deny.is_none_or(|deny| !deny.contains(id)))
    }
}
