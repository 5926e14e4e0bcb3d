//! The facade for widths known only at run time answers as the typed index does, and refuses what does not fit.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

mod common;

use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::atomic::AtomicBool;

use common::{Random, ranked};
use phash_code::Code;
use phash_index::{
    AnyCode, AnyCodes, AnyIndex, AnyLive, AnySegment, BuildParams, Error, Index, Live, LiveParams, Pair,
    Strategy, groups, join,
};

fn check<const W: usize>()
where
    AnyCode: From<Code<W>>,
{
    let mut random = Random(W as u64);
    let one: Code<W> = random.code();
    let codes: Vec<Code<W>> = (0..500)
        .map(|i| if i % 3 == 0 { random.near(&one, Code::<W>::BITS / 8) } else { random.code() })
        .collect();
    let bits = Code::<W>::BITS;
    let mut any = AnyCodes::new(bits).unwrap();
    for (id, code) in (0..250).zip(&codes) {
        let parsed: AnyCode = code.to_string().parse().unwrap();
        assert_eq!((parsed, parsed.bits(), parsed.to_string()), ((*code).into(), bits, code.to_string()));
        assert_eq!(any.push(&parsed).unwrap(), id);
    }
    for code in &codes[250..] {
        assert_eq!(AnyCode::from_bytes(code.as_bytes()).unwrap(), (*code).into());
        any.push(&(*code).into()).unwrap();
    }
    // The same from bytes, at an odd address.
    let bytes: Vec<u8> = [&[0], Code::as_bytes_slice(&codes)].concat();
    let same = AnyCodes::from_bytes(bits, &bytes[1..]).unwrap();
    assert_eq!((same.len(), same.get(499), same.get(500)), (500, Some(codes[499].into()), None));

    let built = AnyIndex::build(any, &BuildParams::default()).unwrap();
    let segment = AnySegment::open(same.build_segment(&BuildParams::default()).unwrap()).unwrap();
    segment.verify().unwrap();
    assert_eq!((segment.bits(), segment.ids()), (bits, 0..500));
    let mut opened = AnyIndex::new(same, vec![segment]).unwrap();
    let query = AnyCode::from(codes[0]);
    for denied in [&[][..], &[3]] {
        opened.deny_mut().extend(denied.iter().copied());
        let expected = ranked(&codes, denied, &codes[0]);
        let radius_bits = bits / 4;
        let near: Vec<_> = expected.iter().copied().filter(|m| m.distance_bits <= radius_bits).collect();
        assert!(near.len() > 100);
        assert_eq!(opened.within(&query, radius_bits).unwrap().matches, near);
        assert_eq!(opened.count_within(&query, radius_bits).unwrap().count, near.len() as u64);
        assert_eq!(opened.nearest(&query, 7).unwrap().matches, expected[..7]);
        assert_eq!(opened.nearest_within(&query, 7, 0).unwrap().matches, expected[..1]);
        let (threads, never) = (NonZeroUsize::MIN, AtomicBool::new(false));
        let mut pairs = 0u64;
        let stats = opened.join(radius_bits, threads, &never, |_| {
            pairs += 1;
            ControlFlow::Continue(())
        });
        assert_eq!(stats.unwrap().pairs, pairs);
        let deny = denied.iter().copied().collect();
        let typed = Index::<W, _, Vec<u8>>::new(&codes, &[]).unwrap().deny(&deny);
        let expected = groups(&typed, radius_bits, threads, &never).unwrap();
        assert!(opened.groups(radius_bits, threads, &never).unwrap().iter().eq(expected.iter()));
    }
    assert_eq!(built.within(&query, 0).unwrap().matches, ranked(&codes, &[], &codes[0])[..1]);
    assert_eq!((built.bits(), built.len(), built.get(9)), (bits, 500, Some(codes[9].into())));

    let other = AnyCode::from_bytes(&vec![0; if W == 1 { 16 } else { 8 }]).unwrap();
    let got_bits = other.bits();
    let refused = built.within(&other, 3).unwrap_err();
    assert!(
        matches!(refused, Error::CodeWidth { expected_bits, got_bits: got } if (expected_bits, got) == (bits, got_bits))
    );
    assert!(matches!(built.nearest(&other, 3), Err(Error::CodeWidth { .. })));
    assert!(matches!(built.count_within(&other, 3), Err(Error::CodeWidth { .. })));
    let mut others = AnyCodes::new(got_bits).unwrap();
    assert!(matches!(others.push(&query), Err(Error::CodeWidth { .. })));
    others.push(&other).unwrap();
    let wide = AnySegment::open(others.build_segment(&BuildParams::default()).unwrap()).unwrap();
    assert!(matches!(built.batch_within(&others, 3, 1), Err(Error::CodeWidth { .. })));
    assert!(matches!(built.batch_nearest(&others, 3, 1), Err(Error::CodeWidth { .. })));
    let codes = AnyCodes::from_bytes(bits, &bytes[1..]).unwrap();
    let (within, nearest) =
        (built.batch_within(&codes, 9, 2).unwrap(), built.batch_nearest(&codes, 2, 2).unwrap());
    assert_eq!((within.len(), nearest.len()), (500, 500));
    for id in [0, 77, 499] {
        let query = codes.get(id).unwrap();
        assert_eq!(within[id as usize].matches, built.within(&query, 9).unwrap().matches);
        assert_eq!(nearest[id as usize].matches, built.nearest(&query, 2).unwrap().matches);
    }
    assert!(matches!(AnyIndex::new(codes, vec![wide]), Err(Error::Width { .. })));
}

/// The live facade beside a typed live index that is given the same.
fn check_live<const W: usize>()
where
    AnyCode: From<Code<W>>,
{
    let (mut random, bits) = (Random(W as u64 + 50), Code::<W>::BITS);
    let one: Code<W> = random.code();
    let codes: Vec<Code<W>> =
        (0..1800).map(|i| if i % 9 == 0 { random.near(&one, bits / 16) } else { random.code() }).collect();
    let params = LiveParams::default().with_seal_codes(1024).with_scan_bytes(2048);
    let (any, typed) = (AnyLive::new(bits, params.clone()).unwrap(), Live::<W>::with_params(params).unwrap());
    let before = any.snapshot();
    let bytes = Code::as_bytes_slice(&codes[1..]);
    assert_eq!(any.insert(&codes[0].into()).unwrap(), typed.insert(codes[0]).unwrap());
    let ids = any.insert_many(&AnyCodes::from_bytes(bits, bytes).unwrap()).unwrap();
    assert_eq!(ids, typed.insert_many(&codes[1..]).unwrap());
    assert_eq!((any.remove(9), any.remove(9)), (typed.remove(9), typed.remove(9)));
    assert_eq!(any.remove_many(&[18, 27, 9]), typed.remove_many(&[18, 27, 9]));
    any.settle();
    typed.settle();
    any.seal();
    assert_eq!((any.bits(), any.stats().codes, any.stats().sealed), (bits, 1800, 1800));
    assert_eq!((before.bits(), before.len(), before.is_empty()), (bits, 0, true));
    let (snapshot, expected) = (any.snapshot(), typed.snapshot());
    assert_eq!((snapshot.len(), snapshot.live(), snapshot.is_empty()), (1800, 1797, false));
    assert_eq!((snapshot.code(9), snapshot.code(1800)), (None, None));
    assert_eq!(snapshot.code(10), Some(codes[10].into()));
    let (query, radius_bits) = (AnyCode::from(one), bits / 8);
    let near = expected.within(&one, radius_bits).matches;
    assert_eq!(near.len(), 197);
    for snapshot in [snapshot.clone(), snapshot.clone().strategy(Strategy::Scan)] {
        assert_eq!(snapshot.within(&query, radius_bits).unwrap().matches, near);
        assert_eq!(snapshot.count_within(&query, radius_bits).unwrap().count, 197);
        assert_eq!(snapshot.nearest(&query, 5).unwrap().matches, near[..5]);
        assert_eq!(snapshot.nearest_within(&query, 500, radius_bits).unwrap().matches, near);
    }
    let scanned = snapshot.clone().strategy(Strategy::Scan).within(&query, radius_bits).unwrap();
    assert_eq!((scanned.stats.scanned, scanned.stats.probes), (1800, 0));
    let queries = AnyCodes::from_bytes(bits, bytes).unwrap();
    let (within, nearest) =
        (snapshot.batch_within(&queries, 3, 2).unwrap(), snapshot.batch_nearest(&queries, 3, 2).unwrap());
    assert_eq!((within.len(), nearest.len()), (1799, 1799));
    for (place, code) in codes[1..].iter().enumerate().step_by(300) {
        assert_eq!(within[place].matches, expected.within(code, 3).matches);
        assert_eq!(nearest[place].matches, expected.nearest(code, 3).matches);
    }
    let (threads, never) = (NonZeroUsize::MIN, AtomicBool::new(false));
    let (mut pairs, mut expected_pairs) = (Vec::new(), Vec::new());
    let index = expected.index().unwrap();
    let keep = |pairs: &mut Vec<Pair>, pair| {
        pairs.push(pair);
        ControlFlow::Continue(())
    };
    snapshot.join(radius_bits, threads, &never, |pair| keep(&mut pairs, pair)).unwrap();
    join(&index, radius_bits, threads, &never, |pair| keep(&mut expected_pairs, pair)).unwrap();
    assert!(pairs.len() > 1000 && pairs == expected_pairs);
    let grouped = snapshot.groups(radius_bits, threads, &never).unwrap();
    assert!(grouped.iter().eq(groups(&index, radius_bits, threads, &never).unwrap().iter()));

    let other = AnyCode::from_bytes(&vec![0; if W == 1 { 16 } else { 8 }]).unwrap();
    let mut others = AnyCodes::new(other.bits()).unwrap();
    others.push(&other).unwrap();
    assert!(matches!(any.insert(&other), Err(Error::CodeWidth { .. })));
    assert!(matches!(any.insert_many(&others), Err(Error::CodeWidth { .. })));
    assert_eq!(any.stats().codes, 1800);
    assert!(matches!(snapshot.within(&other, 1), Err(Error::CodeWidth { .. })));
    assert!(matches!(snapshot.count_within(&other, 1), Err(Error::CodeWidth { .. })));
    assert!(matches!(snapshot.nearest(&other, 1), Err(Error::CodeWidth { .. })));
    assert!(matches!(snapshot.batch_within(&others, 1, 1), Err(Error::CodeWidth { .. })));
    assert!(matches!(snapshot.batch_nearest(&others, 1, 1), Err(Error::CodeWidth { .. })));
}

#[test]
fn every_width_is_inserted_removed_and_found_as_in_its_typed_live_index() {
    check_live::<1>();
    check_live::<2>();
    check_live::<4>();
    check_live::<8>();
    assert!(matches!(AnyLive::new(96, LiveParams::default()), Err(Error::NoWidth { got_bits: 96 })));
}

#[test]
fn every_width_answers_as_its_typed_index() {
    check::<1>();
    check::<2>();
    check::<4>();
    check::<8>();
}

#[test]
fn what_is_no_code_of_a_width_is_refused_with_the_reason() {
    assert!(matches!("".parse::<AnyCode>(), Err(Error::NoWidth { got_bits: 0 })));
    assert!(matches!("0123456789abcde".parse::<AnyCode>(), Err(Error::NoWidth { got_bits: 60 })));
    let refused = "0123456789abcdeg".parse::<AnyCode>().unwrap_err();
    assert!(
        matches!(refused, Error::Code(_)) && refused.to_string().contains("'g' at position 15"),
        "{refused}"
    );
    assert!(matches!(AnyCode::from_bytes(&[0; 9]), Err(Error::NoWidth { got_bits: 72 })));
    assert!(matches!(AnyCodes::new(96), Err(Error::NoWidth { got_bits: 96 })));
    let refused = AnyCodes::from_bytes(128, &[0; 40]).unwrap_err();
    assert!(matches!(refused, Error::Code(_)) && refused.to_string().contains("40 bytes"), "{refused}");
    assert!(matches!(AnySegment::open(vec![0u8; 100]), Err(Error::Magic { .. })));
    assert!(matches!(AnySegment::open(Vec::new()), Err(Error::Length { .. })));
}
