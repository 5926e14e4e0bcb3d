//! Owns the way from one tensor's bytes to its sums in every view. Runs the same code at the widest SIMD the machine has or
//! none: the arithmetic is fixed, so the bits are the same.

use std::marker::PhantomData;

use crate::cut::Cut;
use crate::decode::{Bf16, Element, F8E4M3, F8E4M3Fnuz, F8E5M2, F8E5M2Fnuz, F16, F32, F64};
use crate::moments::first_pass;
use crate::projection::Sums;
use crate::skip::SkipReason;
use crate::source::Dtype;
use crate::{blocks, energy};

/// The sums of one tensor.
#[derive(Clone, Debug)]
pub(crate) struct TensorSums {
    /// View `energy`: each channel axis with its length.
    pub(crate) energy: Vec<(usize, Sums)>,
    /// View `blocks`.
    pub(crate) blocks: Sums,
}

/// The sums of one tensor, or why it has none.
pub(crate) fn tensor_sums(
    simd: pulp::Arch,
    dtype: Dtype,
    bytes: &[u8],
    cut: &Cut,
    keep: &mut Vec<f64>,
) -> Result<TensorSums, SkipReason> {
    macro_rules! run {
        ($($dtype:ident => $element:ident),*) => {
            match dtype {
                $(Dtype::$dtype => simd.dispatch(SumsOf { bytes, cut, keep, element: PhantomData::<$element> }),)*
                Dtype::Other(_) => Err(SkipReason::NotFloating),
            }
        };
    }
    run!(F64 => F64, F32 => F32, F16 => F16, BF16 => Bf16, F8E4M3 => F8E4M3, F8E5M2 => F8E5M2,
        F8E4M3Fnuz => F8E4M3Fnuz, F8E5M2Fnuz => F8E5M2Fnuz)
}

/// [`sums_of`] as work that can be compiled for each SIMD width. A type and not a closure, because only a method is sure
/// to be inlined into the function that has the target's features.
struct SumsOf<'a, E> {
    bytes: &'a [u8],
    cut: &'a Cut,
    keep: &'a mut Vec<f64>,
    element: PhantomData<E>,
}

impl<E: Element> pulp::WithSimd for SumsOf<'_, E> {
    type Output = Result<TensorSums, SkipReason>;

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _simd: S) -> Self::Output {
        sums_of::<E>(self.bytes, self.cut, self.keep)
    }
}

#[inline(always)]
fn sums_of<E: Element>(bytes: &[u8], cut: &Cut, keep: &mut Vec<f64>) -> Result<TensorSums, SkipReason> {
    let (moments, entries) = first_pass::<E>(bytes, cut, keep);
    if !moments.total.is_finite() {
        return Err(SkipReason::NotFinite);
    }
    if moments.total <= 0.0 {
        return Err(SkipReason::AllZero);
    }
    Ok(TensorSums { energy: energy::axis_sums(cut, &moments), blocks: blocks::sums(cut, &moments, &entries) })
}
