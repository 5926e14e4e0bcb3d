//! Segments hold byte for byte what docs/segment-format.md says, made here by a map from values to ids and nothing else.
#![allow(missing_docs, clippy::unwrap_used, clippy::cast_possible_truncation, reason = "a test")]

mod common;

use std::collections::BTreeMap;

use common::{Random, ranked};
use phash_code::{Code, Codes};
use phash_index::{
    BuildParams, Error, Index, Layout, Order, Segment, Strategy, build_segment, build_segment_without,
    write_segment,
};
use proptest::prelude::{any, proptest};
use proptest::test_runner::Config;
use roaring::RoaringBitmap;

/// Codes of which many agree in many bits.
fn codes<const W: usize>(random: &mut Random, n: u32) -> Vec<Code<W>> {
    let centres: Vec<Code<W>> = (0..3).map(|_| random.code()).collect();
    (0..n)
        .map(|i| match random.below(4) {
            0 => random.code(),
            1 => centres[0],
            _ => random.near(&centres[i as usize % 3], 9),
        })
        .collect()
}

/// What a table should hold: for each value the ids, relative to the first, and their codes.
struct Model<'c, const W: usize> {
    first_bit: u32,
    len_bits: u32,
    buckets: BTreeMap<u32, Vec<(u32, &'c Code<W>)>>,
}

impl<'c, const W: usize> Model<'c, W> {
    fn new(held: &[(u32, &'c Code<W>)], first_bit: u32, len_bits: u32) -> Self {
        let mut buckets: BTreeMap<u32, Vec<(u32, &Code<W>)>> = BTreeMap::new();
        for &(id, code) in held {
            let value = (0..len_bits).map(|i| u32::from(code.bit(first_bit + i)) << i).sum();
            buckets.entry(value).or_default().push((id, code));
        }
        Self { first_bit, len_bits, buckets }
    }

    fn plane(&self, code: &Code<W>, plane: u32) -> u32 {
        let bits = Code::<W>::BITS;
        let others = bits - self.len_bits;
        let bit = |i: u32| code.bit((self.first_bit + self.len_bits + i) % bits);
        (0..32).filter(|i| 32 * plane + i < others && bit(32 * plane + i)).map(|i| 1 << i).sum()
    }

    /// Whether the table is even: no bucket much fuller than the mean, and the sum of squares as by chance.
    fn is_even(&self) -> bool {
        let values = 1u64 << self.len_bits;
        let lens: Vec<u64> = self.buckets.values().map(|bucket| bucket.len() as u64).collect();
        let n: u64 = lens.iter().sum();
        let squares: u64 = lens.iter().map(|len| len * len).sum();
        lens.iter().all(|len| len * values <= 4 * n + 32 * values)
            && 10 * squares * values <= 11 * n * (n + values)
    }

    /// Counted over all pairs of values; long substrings only by their top 20 bits. Even tables have none.
    fn estimates(&self) -> Vec<u8> {
        assert!(self.len_bits <= 20);
        if self.is_even() {
            return Vec::new();
        }
        let byte =
            |count: usize| if count == 0 { 0 } else { 1 + (8.0 * (count as f64).log2()).round() as u8 };
        let count = |value: u32, distance: u32| -> usize {
            self.buckets
                .iter()
                .filter(|(v, _)| (*v ^ value).count_ones() == distance)
                .map(|(_, ids)| ids.len())
                .sum()
        };
        (0..1u32 << self.len_bits)
            .flat_map(|value| (0..4).map(move |d| (value, d)))
            .map(|(v, d)| byte(count(v, d)))
            .collect()
    }

    /// The table's arrays; buckets in `dense` are not listed.
    fn bytes(&self, planes: u32, dense: &[u32]) -> Vec<u8> {
        let (mut offsets, mut ids, mut sketches) = (vec![0u32], Vec::new(), Vec::new());
        for value in 0..1u32 << self.len_bits {
            if let Some(bucket) = self.buckets.get(&value).filter(|_| !dense.contains(&value)) {
                ids.extend(bucket.iter().map(|(id, _)| *id));
                sketches.extend(
                    (0..planes).flat_map(|p| bucket.iter().map(move |(_, code)| self.plane(code, p))),
                );
            }
            offsets.push(u32::try_from(ids.len()).unwrap());
        }
        let numbers = [offsets, ids, sketches].concat();
        numbers.iter().flat_map(|number| number.to_le_bytes()).chain(self.estimates()).collect()
    }

    /// The values of the buckets that are smaller as bitmaps, and the bitmaps.
    fn dense(&self, all: usize) -> (Vec<u32>, Vec<u8>) {
        let (mut values, mut bytes) = (Vec::new(), Vec::new());
        for (&value, bucket) in
            self.buckets.iter().filter(|(_, ids)| ids.len() >= 64 && ids.len() * 1600 >= all)
        {
            let mut bitmap: RoaringBitmap = bucket.iter().map(|(id, _)| *id).collect();
            bitmap.optimize();
            if bitmap.serialized_size() < bucket.len() * 4 {
                values.push(value);
                bitmap.serialize_into(&mut bytes).unwrap();
            }
        }
        (values, bytes)
    }
}

/// Everything before the metadata.
fn model<const W: usize>(held: &[(u32, &Code<W>)], tables: u32, planes: u32) -> Vec<u8> {
    let mut bytes = b"phashmih\x03\0\0\0".to_vec();
    bytes.extend(Code::<W>::BITS.to_le_bytes());
    let (mut all_dense, mut first_bit) = (Vec::new(), 0);
    for number in 0..tables {
        let len_bits = Code::<W>::BITS / tables + u32::from(number < Code::<W>::BITS % tables);
        let table = Model::new(held, first_bit, len_bits);
        first_bit += len_bits;
        let (values, dense) = if planes == 0 { table.dense(held.len()) } else { Default::default() };
        bytes.extend(table.bytes(planes, &values));
        all_dense.extend(dense);
    }
    let sums = bytes.chunks(4096).flat_map(|page| crc32fast::hash(page).to_le_bytes()).collect();
    [bytes, all_dense, sums].concat()
}

/// `m` is in proportion to the width: substrings of 4 to 8 bits.
fn check<const W: usize>(seed: u64, n: u32, m: u32, planes: Option<u32>, first: u32, few_removed: bool) {
    let mut random = Random(seed);
    let codes = codes::<W>(&mut random, n + first + 2);
    let removed: RoaringBitmap = (0..n + first).filter(|_| few_removed && random.below(9) == 0).collect();
    let ids = first..first + n;
    let held: Vec<(u32, &Code<W>)> = (0..)
        .zip(&codes[first as usize..(first + n) as usize])
        .filter(|(i, _)| !removed.contains(i + first))
        .collect();
    let tables = Code::<W>::BITS / 8 + m % (Code::<W>::BITS / 8 + 1);
    let max_planes = Code::<W>::BITS / 32;
    let params = BuildParams::default().with_substrings(tables).with_order(Order::AsIs);
    let params = match planes {
        None => params,
        Some(planes) => params.with_layout(Layout::Fast).with_planes(1 + planes % max_planes),
    };
    let expected = model(&held, tables, planes.map_or(0, |planes| 1 + planes % max_planes));
    let built = build_segment_without(&codes, ids.clone(), &removed, &params.with_threads(1)).unwrap();
    assert!(built[..expected.len()] == expected, "{} codes, {tables} tables, {params:?}", held.len());
    for threads in [2, 3, 99] {
        let again =
            build_segment_without(&codes, ids.clone(), &removed, &params.with_threads(threads)).unwrap();
        assert!(again == built, "{threads} threads");
    }
    let segment = Segment::<W, _>::open(built).unwrap();
    assert_eq!((segment.ids(), segment.held_ids() as usize, segment.substrings()), (ids, held.len(), tables));
    segment.verify_against(&codes).unwrap();
}

proptest! {
    #![proptest_config(Config::with_cases(40))]
    #[test]
    fn a_segment_holds_what_a_map_from_values_to_ids_holds(
        seed in any::<u64>(), n in 0u32..300, m in any::<u32>(), planes in proptest::option::of(0u32..99),
        first in 0u32..40, few_removed in any::<bool>(),
    ) {
        check::<1>(seed, n, m, planes, first, few_removed);
        check::<2>(seed, n, m, planes, first, few_removed);
        check::<4>(seed, n / 2, m, planes, first, few_removed);
        check::<8>(seed, n / 4, m, planes, first, few_removed);
    }
}

#[test]
fn the_smallest_bucket_kept_as_a_bitmap_has_64_ids() {
    for n in 62..67u32 {
        let codes = vec![Code::<1>::ZERO; n as usize];
        let held: Vec<(u32, &Code<1>)> = (0..).zip(&codes).collect();
        let built = build_segment(&codes, 0..n, &BuildParams::default().with_substrings(16)).unwrap();
        let expected = model(&held, 16, 0);
        assert!(built.starts_with(&expected), "{n} codes");
        assert_eq!(expected.len() < 16 + 16 * (17 * 4 + 16 * 4 + n as usize * 4), n >= 64, "{n} codes");
    }
}

#[test]
fn long_substrings_are_sorted_in_many_parts() {
    // 60,000 codes in substrings of 16 bits: parts and buckets of several sizes; checked against the codes one by one.
    let mut random = Random(3);
    let codes = codes::<1>(&mut random, 60_000);
    for layout in [Layout::Compact, Layout::Fast] {
        let params = BuildParams::default().with_layout(layout).with_substrings(3);
        let bytes = build_segment(&codes, 0..60_000, &params).unwrap();
        let segment = Segment::<1, _>::open(&bytes).unwrap();
        segment.verify_against(&codes).unwrap();
        assert!(build_segment(&codes, 0..60_000, &params.with_threads(1)).unwrap() == bytes);
        // Of other codes: one bit in one code.
        let mut others = codes.clone();
        let bit = others[777].bit(40);
        others[777].set_bit(40, !bit);
        assert!(matches!(segment.verify_against(&others), Err(Error::OtherCodes { id: 777, .. })));
    }
}

/// A collection that is not contiguous in memory, as a block file's codes are not.
struct Blocks<const W: usize>(Vec<Vec<Code<W>>>, u32);

impl<const W: usize> Codes<W> for Blocks<W> {
    fn len(&self) -> u32 {
        self.0.iter().map(Codes::len).sum()
    }

    fn run(&self, id: u32) -> &[Code<W>] {
        self.0.get((id / self.1) as usize).map_or(&[], |block| block.run(id % self.1))
    }
}

#[test]
fn how_the_codes_lie_in_memory_does_not_change_a_byte() {
    let codes = codes::<2>(&mut Random(5), 500);
    let blocks = Blocks(codes.chunks(13).map(<[_]>::to_vec).collect(), 13);
    for layout in [Layout::Compact, Layout::Fast] {
        let params = BuildParams::default().with_layout(layout);
        assert!(
            build_segment(&codes, 20..480, &params).unwrap()
                == build_segment(&blocks, 20..480, &params).unwrap()
        );
    }
}

#[test]
fn removed_codes_are_not_held_and_never_found() {
    let codes = codes::<1>(&mut Random(7), 400);
    let removed: RoaringBitmap = (0..400).filter(|id| id % 3 == 0).collect();
    let gone: Vec<u32> = removed.iter().collect();
    for layout in [Layout::Compact, Layout::Fast] {
        let params = BuildParams::default().with_layout(layout);
        let segments =
            [Segment::<1, _>::open(build_segment_without(&codes, 0..400, &removed, &params).unwrap())
                .unwrap()];
        assert_eq!(segments[0].held_ids(), 266);
        let index = Index::new(&codes, &segments).unwrap().strategy(Strategy::Index);
        let left = ranked(&codes, &gone, &codes[3]);
        let near = left.partition_point(|m| m.distance_bits <= 12);
        assert_eq!(index.within(&codes[3], 12).matches, left[..near]);
    }
}

#[test]
fn parameters_out_of_range_are_refused() {
    let codes = vec![Code::<2>::ZERO; 9];
    let fast = BuildParams::default().with_layout(Layout::Fast);
    let refused = |params: BuildParams| build_segment(&codes, 0..9, &params).unwrap_err();
    assert!(matches!(refused(fast.with_planes(0)), Error::Planes { got: 0, max: 4 }));
    assert!(matches!(refused(fast.with_planes(5)), Error::Planes { got: 5, max: 4 }));
    assert!(matches!(refused(fast.with_substrings(4)), Error::Substrings { got: 4, min: 5, max: 128, .. }));
    assert!(build_segment(&codes, 0..9, &fast.with_planes(4).with_threads(0)).is_ok());
}

#[test]
fn a_collection_with_fewer_codes_than_it_says_is_refused() {
    struct Short(Vec<Code<1>>);
    impl Codes<1> for Short {
        fn len(&self) -> u32 {
            self.0.len() as u32 + 5
        }
        fn run(&self, id: u32) -> &[Code<1>] {
            self.0.run(id)
        }
    }
    let codes = Short(vec![Code::ZERO; 20]);
    let built = build_segment(&codes, 0..23, &BuildParams::default());
    assert!(matches!(built, Err(Error::MissingCode { id: 20 })));
}

#[test]
fn what_cannot_be_written_is_an_error_for_any_number_of_threads() {
    /// Takes so many bytes.
    struct Full(usize);
    impl std::io::Write for Full {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let taken = bytes.len().min(self.0);
            self.0 -= taken;
            if taken == 0 { Err(std::io::ErrorKind::StorageFull.into()) } else { Ok(taken) }
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let codes = codes::<1>(&mut Random(1), 100);
    let len = build_segment(&codes, 0..100, &BuildParams::default()).unwrap().len();
    for threads in 1..5 {
        let params = BuildParams::default().with_threads(threads);
        for room in [0, 15, 16, 1000, len / 2, len - 40, len - 1] {
            let error = write_segment(&codes, 0..100, &params, Full(room)).unwrap_err();
            assert!(matches!(error, Error::Io(ref error) if error.kind() == std::io::ErrorKind::StorageFull));
        }
        assert_eq!(write_segment(&codes, 0..100, &params, Full(len)).unwrap(), len as u64);
    }
}

#[test]
fn correlated_bits_are_put_in_another_order_and_found_the_same() {
    // Each bit of a byte is the same, but for one in sixteen.
    let mut random = Random(9);
    let codes: Vec<Code<2>> = (0..4000)
        .map(|_| {
            let bytes = random.next();
            Code::from_bits(|i| (bytes >> (i / 8) & 1 == 1) ^ (random.below(16) == 0))
        })
        .collect();
    for layout in [Layout::Compact, Layout::Fast] {
        let params = BuildParams::default().with_layout(layout);
        let build = |params: BuildParams| build_segment(&codes, 0..4000, &params.with_threads(2)).unwrap();
        let (auto, as_is) = (build(params), build(params.with_order(Order::AsIs)));
        assert!(auto != as_is && auto == build(params.with_threads(1)));
        let segments = [Segment::<2, _>::open(auto).unwrap()];
        segments[0].verify_against(&codes).unwrap();
        let index = Index::new(&codes, &segments).unwrap().strategy(Strategy::Index);
        for query in [codes[7], random.near(&codes[8], 5), random.code()] {
            let all = ranked(&codes, &[], &query);
            for radius_bits in [0, 5, 20] {
                let near = all.partition_point(|m| m.distance_bits <= radius_bits);
                assert_eq!(index.within(&query, radius_bits).matches, all[..near]);
            }
            assert_eq!(index.nearest(&query, 10).matches, all[..10]);
        }
        // Independent bits stay where they are.
        let even: Vec<Code<2>> = (0..4000).map(|_| random.code()).collect();
        let build = |params: BuildParams| build_segment(&even, 0..4000, &params).unwrap();
        assert!(build(params) == build(params.with_order(Order::AsIs)));
    }
}
