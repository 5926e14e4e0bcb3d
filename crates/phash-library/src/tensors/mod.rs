//! Partial copies, by a code for each tensor: which tensors of one model stand in another, kept or changed, and what that
//! says of the model. `pairing` matches, `standing` judges a tensor, `finding` a model, `story` several; `evidence` says what distances prove;
//! `clues` searches all stored tensors, `parts` is the way through.

mod clues;
mod evidence;
mod finding;
mod head;
mod pairing;
mod parts;
mod standing;
mod story;
mod tensor;

pub use finding::Finding;
pub(crate) use finding::severity;
pub(crate) use pairing::pair;
pub use pairing::{Matched, TensorPair};
pub use parts::{PartHit, Parts, PartsLimits, Place, TensorPlaces};
pub use standing::{KEPT_BITS, Standing, Tally};
pub use story::Story;
pub(crate) use tensor::Tensor;
