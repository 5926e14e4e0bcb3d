//! Searching a library: which stored models are close to a query, how close, and how sure that is.
//!
//! Exact: every stored model within the radius in some searched view is found, or every one whose E-value, by all searched
//! views together, is small enough. Distances are inclusive bits; hits come in the order of distance, then id.

use std::collections::BTreeSet;

use phash_core::{CODE_BITS, ModelCode, PerView, View, ViewHash, radius_for_e_value};

use crate::error::{Error, Result};
use crate::explain::ExplainedSearch;
use crate::library::Library;
use crate::pipeline::HashedFile;
use crate::raw::CodeMode;
use crate::verdict::{Closeness, MATCH_E_VALUE, Verdict, closeness};

/// Which stored models are wanted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mode {
    /// All within so many bits (inclusive) in some searched view.
    Radius(u32),
    /// The so many nearest.
    TopK(usize),
    /// All whose E-value, by all searched views together, is at most this.
    EValue(f64),
}

impl Default for Mode {
    fn default() -> Self {
        Mode::EValue(MATCH_E_VALUE)
    }
}

/// What is searched for.
#[derive(Clone, Debug)]
pub struct Query {
    /// What messages call it.
    pub name: String,
    /// The codes; a view without a code is not searched.
    pub views: PerView<ViewHash>,
    /// The digest of its contents, if known: hits with the same are identical.
    pub content_digest: Option<[u8; 32]>,
    /// A stored model that is not to be reported: the query itself.
    pub except: Option<u32>,
}

impl From<&HashedFile> for Query {
    fn from(file: &HashedFile) -> Self {
        Self {
            name: file.name.clone(),
            views: file.hash.views,
            content_digest: Some(file.hash.content_digest.0),
            except: None,
        }
    }
}

impl Query {
    /// A query by a code alone, taken to have as many features as the model it is compared with.
    pub fn by_code(view: View, code: ModelCode) -> Self {
        let mut views = PerView::<ViewHash>::default();
        views[view] = ViewHash { code: Some(code), features: u32::MAX };
        Self { name: code.to_string(), views, content_digest: None, except: None }
    }
}

/// A stored model that matches.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    /// The model's id.
    pub id: u32,
    /// The path as it was given when the model was ingested.
    pub label: String,
    /// The file that had this label, as an absolute path.
    pub path: String,
    /// Other labels with the same contents.
    pub also: Vec<String>,
    /// Whether every label has since got a newer version with other contents.
    pub superseded: bool,
    /// Whether the contents are the query's, byte for byte.
    pub identical: bool,
    /// Whether the stored model has too few features to be sure of anything.
    pub weak: bool,
    /// The relation in a word, by the searched views.
    pub verdict: Verdict,
    /// The distance in the closest searched view, and the E-value of all of them together.
    pub closeness: Closeness,
    /// The distance in each searched view, in bits.
    pub views: PerView<Option<u32>>,
    /// The smaller number of features in each view.
    pub features: PerView<u32>,
}

impl Library {
    /// The query for a stored model, which is itself left out of the hits.
    ///
    /// # Errors
    /// [`Error::NoSuchModel`], or [`Error::Store`].
    pub fn query_for_id(&self, id: u32) -> Result<Query> {
        let row =
            self.reader().model(id)?.ok_or(Error::NoSuchModel { id, models: self.reader().model_count() })?;
        let features = features_of(&row.features);
        let views = PerView::from_fn(|view| ViewHash {
            code: self.search_of(view).code(id).copied(),
            features: features[view],
        });
        Ok(Query {
            name: format!("id {id}"),
            views,
            content_digest: Some(row.content_digest),
            except: Some(id),
        })
    }

    /// The stored models that match, in the order of distance, then id.
    ///
    /// Time: sublinear in the library's size where index segments cover it and the radius is small, else a scan of its
    /// codes; then one look into the catalog a hit.
    ///
    /// # Errors
    /// [`Error::NoCode`] if the query has no code in any of the views, [`Error::RadiusTooLarge`], or
    /// [`Error::Store`] if the catalog cannot be read.
    pub fn query(&self, query: &Query, mode: Mode, views: &[View]) -> Result<Vec<Hit>> {
        let searched: Vec<View> = View::ALL.into_iter().filter(|view| views.contains(view)).collect();
        if searched.iter().all(|&view| query.views[view].code.is_none()) {
            return Err(Error::NoCode { name: query.name.clone() });
        }
        let models = u64::from(self.model_count());
        let mut ids = self.candidates(query, mode, &searched)?;
        query.except.map(|id| ids.remove(&id));
        let mut near: Vec<(u32, u32)> = ids
            .into_iter()
            .filter_map(|id| Some((self.distances(query, id, &searched).0.into_iter().flatten().min()?, id)))
            .collect();
        near.sort_unstable();
        if let Mode::TopK(k) = mode {
            near.truncate(k);
        }
        let mut hits = Vec::new();
        for (_, id) in near {
            hits.extend(self.hit(query, id, &searched, models)?.filter(|hit| match mode {
                Mode::EValue(max) => hit.closeness.e_value <= max,
                Mode::Radius(_) | Mode::TopK(_) => true,
            }));
        }
        Ok(hits)
    }

    /// What the planner chooses for the search of each view and why, and what that takes. Views that are not searched,
    /// because the query has no code there or nothing is near enough to count, are left out.
    ///
    /// # Errors
    /// [`Error::RadiusTooLarge`].
    pub fn explain(&self, query: &Query, mode: Mode, views: &[View]) -> Result<Vec<ExplainedSearch>> {
        let searched: Vec<View> = View::ALL.into_iter().filter(|view| views.contains(view)).collect();
        let parts = self.searches(query, mode, &searched)?;
        Ok(parts
            .into_iter()
            .filter_map(|(view, code, part)| self.search_of(view).explain(&code, part))
            .collect())
    }

    /// A superset of the hits: what some view finds.
    fn candidates(&self, query: &Query, mode: Mode, searched: &[View]) -> Result<BTreeSet<u32>> {
        let mut ids = BTreeSet::new();
        for (view, code, part) in self.searches(query, mode, searched)? {
            let found = match part {
                CodeMode::Nearest(k) => self.search_of(view).nearest(&code, k),
                CodeMode::Radius(radius_bits) => self.search_of(view).within(&code, radius_bits),
            };
            ids.extend(found.into_iter().map(|(id, _)| id));
        }
        Ok(ids)
    }

    /// The searches of which a query consists: a code in each searched view, and what is wanted there.
    fn searches(
        &self,
        query: &Query,
        mode: Mode,
        searched: &[View],
    ) -> Result<Vec<(View, ModelCode, CodeMode)>> {
        // A pair has at most the query's features, so no hit lies beyond these radii.
        let features = PerView::from_fn(|view| {
            let ViewHash { code, features } = query.views[view];
            code.filter(|_| searched.contains(&view)).map(|_| features)
        });
        let radii = match mode {
            Mode::EValue(max) => radius_for_e_value(&features, max, u64::from(self.model_count())),
            Mode::Radius(got_bits) if got_bits > CODE_BITS => {
                return Err(Error::RadiusTooLarge { got_bits, limit_bits: CODE_BITS });
            }
            Mode::Radius(radius_bits) => PerView::from_fn(|view| features[view].map(|_| radius_bits)),
            Mode::TopK(_) => PerView::default(),
        };
        let part = |&view: &View| {
            let code = query.views[view].code?;
            let part = match (mode, radii[view]) {
                (Mode::TopK(k), _) => {
                    CodeMode::Nearest(k.saturating_add(usize::from(query.except.is_some())))
                }
                (_, Some(radius_bits)) => CodeMode::Radius(radius_bits),
                (_, None) => return None,
            };
            Some((view, code, part))
        };
        Ok(searched.iter().filter_map(part).collect())
    }

    fn distances(&self, query: &Query, id: u32, searched: &[View]) -> PerView<Option<u32>> {
        PerView::from_fn(|view| {
            if !searched.contains(&view) {
                return None;
            }
            Some(query.views[view].code?.distance(self.search_of(view).code(id)?))
        })
    }

    /// The hit that a candidate would be; `None` if it shares no view with the query.
    fn hit(&self, query: &Query, id: u32, searched: &[View], models: u64) -> Result<Option<Hit>> {
        let row =
            self.reader().model(id)?.ok_or(Error::NoSuchModel { id, models: self.reader().model_count() })?;
        let stored = features_of(&row.features);
        let features = PerView::from_fn(|view| query.views[view].features.min(stored[view]));
        let views = self.distances(query, id, searched);
        let Some(closeness) = closeness(&views, &features, models) else { return Ok(None) };
        let superseded = row.sources.iter().all(|source| !source.current);
        let (mut path, mut labels) = (String::new(), Vec::new());
        for source in row.sources.into_iter().filter(|source| source.current || superseded) {
            if labels.is_empty() {
                path = source.path;
            }
            if !labels.contains(&source.label) {
                labels.push(source.label);
            }
        }
        let mut labels = labels.into_iter();
        let identical = query.content_digest == Some(row.content_digest);
        Ok(Some(Hit {
            id,
            label: labels.next().unwrap_or_default(),
            path,
            also: labels.collect(),
            superseded,
            identical,
            weak: row.weak,
            verdict: if identical { Verdict::IdenticalContents } else { Verdict::of(Some(closeness)) },
            closeness,
            views,
            features,
        }))
    }
}

/// The features in the order of the views; the schema was compared when the library was opened.
pub(crate) fn features_of(stored: &[u32]) -> PerView<u32> {
    PerView::from_fn(|view| stored.get(view as usize).copied().unwrap_or(0))
}
