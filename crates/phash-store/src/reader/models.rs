//! Owns [`Models`]: all models in the order of their ids, a page at a time.

use std::collections::VecDeque;

use super::Reader;
use crate::error::{Error, Result};
use crate::records::ModelRow;

/// Models fetched at once.
const PAGE: u32 = 256;

/// Iterator over all models of a snapshot that are not removed, by id. Ends after the first error.
#[derive(Debug)]
pub struct Models<'a> {
    reader: &'a Reader,
    page: VecDeque<ModelRow>,
    next_id: u32,
}

impl<'a> Models<'a> {
    pub(super) fn new(reader: &'a Reader) -> Self {
        Self { reader, page: VecDeque::new(), next_id: 0 }
    }

    fn fetch(&mut self) -> Result<()> {
        let ids = self.next_id..self.next_id.saturating_add(PAGE).min(self.reader.model_count());
        let removed = self.reader.removed()?;
        let expected = (ids.len() as u64).saturating_sub(removed.range_cardinality(ids.clone()));
        let page = self.reader.catalog().models(ids.clone())?;
        if page.len() as u64 != expected || page.iter().any(|model| removed.contains(model.id)) {
            let what = format!("models {ids:?} that are not removed");
            let catalog = self.reader.catalog();
            return Err(Error::corrupted(catalog.path(), 0, what, expected, page.len()));
        }
        self.page = page.into();
        self.next_id = ids.end;
        Ok(())
    }
}

impl Iterator for Models<'_> {
    type Item = Result<ModelRow>;

    fn next(&mut self) -> Option<Self::Item> {
        // A page may be empty: all of its models were removed.
        while self.page.is_empty() && self.next_id < self.reader.model_count() {
            if let Err(error) = self.fetch() {
                self.next_id = u32::MAX;
                return Some(Err(error));
            }
        }
        self.page.pop_front().map(Ok)
    }
}
