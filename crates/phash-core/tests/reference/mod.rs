//! A second implementation of docs/hashing.md, written from the text alone: plain loops, slow, no code shared with the
//! crate. What must hold: it is changed only when the text is, never to agree with the crate.
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::needless_range_loop, clippy::manual_clamp, reason = "the text's own words, index by index")]

pub(crate) mod bridge;
mod cut;
mod decode;
mod digest;
mod energies;
mod evalue;
mod lists;
mod planes;
mod project;
mod real;
mod waves;

#[allow(unused_imports, reason = "each test file uses its part")]
pub(crate) use evalue::{e_value, effective_bits, joint_p_value, p_value};
#[allow(unused_imports, reason = "each test file uses its part")]
pub(crate) use lists::List;

use cut::Cut;
use lists::Lists;
use project::Tally;

/// How many views there are: `energy`, `blocks`, `weights`, `order`, `orbit`, in this order.
pub(crate) const VIEWS: usize = 5;

/// A tensor: the element type's name as safetensors spells it, the shape, the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tensor<'a> {
    pub(crate) dtype: &'a str,
    pub(crate) shape: &'a [usize],
    pub(crate) bytes: &'a [u8],
}

/// A code (`None`: void) and the number of independent features behind it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ViewHash {
    pub(crate) code: Option<[u8; 64]>,
    pub(crate) features: u32,
}

/// What a tensor or a model gave, view by view.
pub(crate) type Views = [ViewHash; VIEWS];

/// What one tensor gave; `skipped` is the reason's wording in the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TensorHash {
    pub(crate) views: Views,
    pub(crate) bytes_digest: [u8; 32],
    pub(crate) skipped: Option<&'static str>,
}

/// What a model gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ModelHash {
    pub(crate) views: Views,
    pub(crate) tensors: Vec<TensorHash>,
    pub(crate) content_digest: [u8; 32],
    pub(crate) weak: bool,
}

/// Hashes a model: sections 3 to 7.
pub(crate) fn hash_model(model: &[Tensor]) -> ModelHash {
    let mut tensors = Vec::new();
    let mut counted: Vec<Lists> = Vec::new();
    for (number, tensor) in model.iter().enumerate() {
        let cut = Cut::new(tensor);
        let mut hash = TensorHash {
            views: Views::default(),
            bytes_digest: digest::bytes(tensor.bytes),
            skipped: cut.as_ref().err().copied(),
        };
        if let Ok(cut) = cut {
            let lists = lists::lists::<f32>(&cut);
            for view in 0..VIEWS {
                hash.views[view] = tally(&lists.views[view]).hash();
            }
            if !model[..number].contains(tensor) {
                counted.push(lists);
            }
        }
        tensors.push(hash);
    }
    let axes: Vec<usize> = counted.iter().flat_map(|lists| lists.axes.clone()).collect();
    let occurs_twice = |length: usize| axes.iter().filter(|&&axis| axis == length).count() >= 2;
    let counts = |lists: &Lists, list: &List| match list.key.statistic {
        1 => occurs_twice(usize::try_from(list.key.sizes[0]).unwrap()),
        5 | 6 => lists.lengths.into_iter().all(occurs_twice),
        _ => true,
    };
    let mut views = Views::default();
    for view in 0..VIEWS {
        let mut counting = Vec::new();
        for lists in &counted {
            counting.extend(lists.views[view].iter().filter(|list| counts(lists, list)).cloned());
        }
        views[view] = tally(&counting).hash();
    }
    let weak = views.iter().map(|view| view.features).sum::<u32>() < 2000;
    ModelHash { views, tensors, content_digest: digest::content(model), weak }
}

fn tally(lists: &[List]) -> Tally {
    let mut tally = Tally::default();
    for list in lists {
        tally.add(list);
    }
    tally
}

/// The lists of a tensor in every view, with matrices of f32 as the text wants them, and with f64 throughout. None if it is
/// skipped.
pub(crate) fn lists_in_both_widths(tensor: &Tensor) -> Option<[[Vec<List>; VIEWS]; 2]> {
    let cut = Cut::new(tensor).ok()?;
    Some([lists::lists::<f32>(&cut).views, lists::lists::<f64>(&cut).views])
}
