//! Owns the entries of kernels of vectors to the comparison of bucket planes: the same for each of them but for the CPU
//! feature. What differs is the module's own: `splat`, a word in all lanes of a register, and `compare`, one bucket.
#![allow(unused_macros, reason = "only kernels of vectors use them")]

/// Runs code with the number of planes and a function from a plane to the query's word for it, by the module's `splat`.
/// The usual numbers have a copy of the code each, where the number is a constant and the words lie in registers.
macro_rules! for_query {
    (@fixed $fixed:expr, $count:ident, $words:ident, $code:expr) => {{
        let registers = $fixed.map(|word| splat(word));
        let ($count, $words) = (registers.len(), |p: usize| registers[p]);
        $code
    }};
    ($query:expr, |$count:ident, $words:ident| $code:expr) => {
        match *$query {
            [a] => for_query!(@fixed [a], $count, $words, $code),
            [a, b] => for_query!(@fixed [a, b], $count, $words, $code),
            [a, b, c] => for_query!(@fixed [a, b, c], $count, $words, $code),
            [a, b, c, d] => for_query!(@fixed [a, b, c, d], $count, $words, $code),
            [a, b, c, d, e] => for_query!(@fixed [a, b, c, d, e], $count, $words, $code),
            [a, b, c, d, e, f] => for_query!(@fixed [a, b, c, d, e, f], $count, $words, $code),
            [a, b, c, d, e, f, g, h] => for_query!(@fixed [a, b, c, d, e, f, g, h], $count, $words, $code),
            _ => {
                let ($count, $words) = ($query.len(), |p: usize| splat($query[p]));
                $code
            }
        }
    };
}

/// Defines `within_buckets` and `within_planes` of a module that has `splat` and `compare`, for a CPU feature.
macro_rules! bucket_entries {
    ($feature:literal) => {
        #[target_feature(enable = $feature)]
        #[inline]
        pub(in crate::kernel) fn within_buckets<'b, K>(
            query: &[u32],
            buckets: impl Iterator<Item = Bucket<'b, K>>,
            mut found: impl FnMut(&K, usize, u32),
        ) {
            for_query!(query, |count, words| {
                for bucket in buckets {
                    let Bucket { key, planes, len, radius_bits } = bucket;
                    let mut found = |entry, distance_bits| found(&key, entry, distance_bits);
                    compare(count, words, planes, len, radius_bits, &mut found);
                }
            });
        }

        #[target_feature(enable = $feature)]
        #[inline]
        pub(in crate::kernel) fn within_planes(
            query: &[u32],
            planes: &[U32],
            len: usize,
            radius_bits: u32,
            mut found: impl FnMut(usize, u32),
        ) {
            for_query!(query, |count, words| compare(count, words, planes, len, radius_bits, &mut found));
        }
    };
}
