//! The facade for widths known only at run time answers as the typed index does, and refuses what does not fit.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

mod common;

use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::atomic::AtomicBool;

use common::{Random, ranked};
use phash_code::Code;
use phash_index::{AnyCode, AnyCodes, AnyIndex, AnySegment, BuildParams, Error, Index, groups};

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
