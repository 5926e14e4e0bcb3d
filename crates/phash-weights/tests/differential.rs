//! Claim: on any bytes, this crate and the safetensors crate agree on accept and refuse and on the table of tensors,
//! except for duplicate keys and limits. Sound files are generated, then their JSON and their bytes are mutated.
#![expect(clippy::unwrap_used, reason = "a panic in a test is a failure with a place")]

use std::cell::Cell;

use phash_weights::fuzzing::{Verdict, safetensors_header};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

/// JSON with everything that serde_json::Value cannot hold: duplicate keys, raw numbers, raw strings.
#[derive(Clone, Debug)]
enum Json {
    Raw(String),
    Array(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    fn print(&self, out: &mut String, space: &str) {
        let comma = |out: &mut String, first: bool| {
            if !first {
                out.push(',');
            }
            out.push_str(space);
        };
        match self {
            Json::Raw(text) => out.push_str(text),
            Json::Array(items) => {
                out.push('[');
                for (number, item) in items.iter().enumerate() {
                    comma(out, number == 0);
                    item.print(out, space);
                }
                out.push(']');
            }
            Json::Object(fields) => {
                out.push('{');
                for (number, (key, value)) in fields.iter().enumerate() {
                    comma(out, number == 0);
                    out.push_str(&format!("\"{key}\":{space}"));
                    value.print(out, space);
                }
                out.push('}');
            }
        }
    }

    fn count(&self) -> usize {
        1 + match self {
            Json::Raw(_) => 0,
            Json::Array(items) => items.iter().map(Json::count).sum(),
            Json::Object(fields) => fields.iter().map(|(_, value)| value.count()).sum(),
        }
    }

    /// Node number `at` in depth-first order.
    fn node(&mut self, at: usize) -> Option<&mut Json> {
        if at == 0 {
            return Some(self);
        }
        let mut left = at - 1;
        let children: Vec<&mut Json> = match self {
            Json::Raw(_) => Vec::new(),
            Json::Array(items) => items.iter_mut().collect(),
            Json::Object(fields) => fields.iter_mut().map(|(_, value)| value).collect(),
        };
        for child in children {
            let count = child.count();
            if left < count {
                return child.node(left);
            }
            left -= count;
        }
        None
    }
}

const DTYPES: [&str; 24] = [
    "BOOL",
    "F4",
    "F6_E2M3",
    "F6_E3M2",
    "U8",
    "I8",
    "F8_E5M2",
    "F8_E4M3",
    "F8_E8M0",
    "F8_E4M3FNUZ",
    "F8_E5M2FNUZ",
    "I16",
    "U16",
    "F16",
    "BF16",
    "I32",
    "U32",
    "F32",
    "C64",
    "F64",
    "I64",
    "U64",
    "F32",
    "BF16",
];

const NAMES: [&str; 8] = ["w", "a.b.weight", "é", "\\u00e9", "\\ud83d\\ude00", "", "x\\n", "dtype"];

/// Values to put in the place of others.
fn strange(choice: usize) -> Json {
    let nested = |depth: usize, open: &str, inner: &str, close: &str| {
        Json::Raw(format!("{}{inner}{}", open.repeat(depth), close.repeat(depth)))
    };
    let raw = |text: &str| Json::Raw(text.to_owned());
    let texts = [
        "null",
        "true",
        "0",
        "-0",
        "-1",
        "1",
        "1.0",
        "1e0",
        "1e400",
        "18446744073709551615",
        "18446744073709551616",
        "9223372036854775808",
        "-9223372036854775809",
        "\"F32\"",
        "\"f32\"",
        "\"\"",
        "\"\\ud800\"",
        "\"\\u0000\"",
        "\"\u{1}\"",
        "[]",
        "{}",
        "[0,0]",
        "[0,4]",
        "[0,4,4]",
        "[4,0]",
        "{\"F32\":null}",
        "{\"F32\":[]}",
        "{\"F32\":{}}",
        "{\"F32\":null,\"F16\":null}",
        "{\"a\":1,\"a\":2}",
        "{\"a\":\"b\"}",
        "{\"a\":\"b\",\"a\":\"c\"}",
        "01",
        "nul",
        "[\"F32\",[1],[0,4]]",
        "[\"F32\",[1],[0,4],1]",
        "[\"F32\",[1]]",
        "{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}",
        "[0,9223372036854775807,9]",
        "[9223372036854775807,9,0]",
        "\"F4\"",
        "\"F64\"",
        "\u{feff}1",
        "1,",
        "[1,]",
    ];
    match choice % (texts.len() + 6) {
        at if at < texts.len() => raw(texts[at]),
        at => match at - texts.len() {
            0 => nested(124, "[", "", "]"),
            1 => nested(125, "[", "1", "]"),
            2 => nested(126, "[", "", "]"),
            3 => nested(127, "[", "", "]"),
            4 => nested(126, "{\"k\":", "1", "}"),
            _ => nested(200_000, "[", "", "]"),
        },
    }
}

#[derive(Clone, Debug)]
struct Case {
    tensors: Vec<(usize, usize, Vec<u64>)>,
    rotate: usize,
    metadata: Option<usize>,
    space: &'static str,
    around: (&'static str, &'static str),
    /// Kind, place, choice.
    json_mutations: Vec<(u8, usize, usize)>,
    byte_mutations: Vec<(u8, usize, u8)>,
    /// What is added to the length prefix.
    prefix: i64,
    extra_data: i64,
}

fn cases() -> impl Strategy<Value = Case> {
    let tensor = (0..NAMES.len(), 0..DTYPES.len(), prop::collection::vec(0u64..5, 0..4));
    let rarely = |zeroes: u32| prop_oneof![zeroes => Just(0i64), 1 => -9i64..9];
    (
        (prop::collection::vec(tensor, 0..6), 0usize..6, prop::option::of(0usize..4)),
        prop::sample::select(vec!["", "", " ", "\n\t"]),
        prop::sample::select(vec![("", ""), ("", ""), ("", "   "), ("  ", ""), ("\n", "\r"), ("\u{feff}", ""), ("", "\0")]),
        prop::collection::vec((0u8..8, any::<usize>(), any::<usize>()), 0..3),
        prop_oneof![3 => Just(Vec::new()), 1 => prop::collection::vec((0u8..4, any::<usize>(), any::<u8>()), 1..3)],
        rarely(12),
        rarely(12),
    )
        .prop_map(|((tensors, rotate, metadata), space, around, json_mutations, byte_mutations, prefix, extra_data)| {
            Case { tensors, rotate, metadata, space, around, json_mutations, byte_mutations, prefix, extra_data }
        })
}

fn bytes_of(case: &Case) -> Vec<u8> {
    let bits = |dtype: &str| match dtype {
        "F4" => 4,
        "F6_E2M3" | "F6_E3M2" => 6,
        name if name.ends_with("16") => 16,
        name if name.ends_with("32") => 32,
        name if name.ends_with("64") => 64,
        _ => 8,
    };
    let raw = |text: String| Json::Raw(text);
    let numbers = |all: &[u64]| Json::Array(all.iter().map(|one| Json::Raw(one.to_string())).collect());
    let mut fields: Vec<(String, Json)> = Vec::new();
    let mut end = 0u64;
    for (number, (name, dtype, shape)) in case.tensors.iter().enumerate() {
        let start = end;
        end += shape.iter().product::<u64>() * bits(DTYPES[*dtype]) / 8;
        let entry = vec![
            ("dtype".to_owned(), raw(format!("\"{}\"", DTYPES[*dtype]))),
            ("shape".to_owned(), numbers(shape)),
            ("data_offsets".to_owned(), numbers(&[start, end])),
        ];
        // Mostly distinct names; the number is left out for the first ones now and then.
        let name = if *name < 2 { NAMES[*name].to_owned() } else { format!("{}{number}", NAMES[*name]) };
        fields.push((name, Json::Object(entry)));
    }
    if let Some(choice) = case.metadata {
        let texts = ["{}", "{\"format\":\"pt\"}", "null", "{\"a\":\"b\",\"c\":\"d\"}"];
        fields.push(("__metadata__".to_owned(), raw(texts[choice].to_owned())));
    }
    let len = fields.len().max(1);
    let turn = if fields.is_empty() { 0 } else { case.rotate % len };
    fields.rotate_left(turn);
    let mut json = Json::Object(fields);
    for mutation in &case.json_mutations {
        mutate(&mut json, *mutation);
    }
    let mut text = case.around.0.to_owned();
    json.print(&mut text, case.space);
    text.push_str(case.around.1);
    let mut bytes = (text.len() as u64).wrapping_add_signed(case.prefix).to_le_bytes().to_vec();
    bytes.extend_from_slice(text.as_bytes());
    let data = usize::try_from(end.saturating_add_signed(case.extra_data)).unwrap();
    bytes.resize(bytes.len() + data, 0x41);
    for (kind, at, value) in &case.byte_mutations {
        let at = at % bytes.len().max(1);
        match kind {
            _ if bytes.is_empty() => {}
            0 => bytes[at] = *value,
            1 => bytes.truncate(at),
            2 => bytes.insert(at, *value),
            _ => bytes[at] ^= 1 << (value % 8),
        }
    }
    bytes
}

fn mutate(json: &mut Json, (kind, place, choice): (u8, usize, usize)) {
    let place = place % json.count();
    let Some(node) = json.node(place) else { return };
    match (kind, node) {
        (0 | 1, node) => *node = strange(choice),
        (2, Json::Object(fields)) if !fields.is_empty() => {
            let at = choice % fields.len();
            let copy = fields[at].clone();
            fields.push(copy);
        }
        (3, Json::Object(fields)) if !fields.is_empty() => {
            fields.remove(choice % fields.len());
        }
        (4, Json::Object(fields)) => {
            let keys = ["extra", "__metadata__", "dtype", "shape", "data_offsets", "\\u0064type", "w"];
            fields.push((keys[choice % keys.len()].to_owned(), strange(choice / keys.len())));
        }
        (5, Json::Array(items)) => items.push(strange(choice)),
        (6, Json::Raw(text)) => {
            if let Ok(number) = text.parse::<u64>() {
                *text = number.wrapping_add(choice as u64 % 3).wrapping_sub(1).to_string();
            }
        }
        (7, Json::Object(fields)) if !fields.is_empty() => {
            let keys = ["extra", "__metadata__", "dtype", "\\u005f_metadata__", "w"];
            let at = choice % fields.len();
            fields[at].0 = keys[choice % keys.len()].to_owned();
        }
        (_, Json::Array(items)) if !items.is_empty() => {
            items.remove(choice % items.len());
        }
        _ => {}
    }
}

#[test]
fn this_crate_and_the_safetensors_crate_see_the_same_files() {
    let (accepted, with_tensors, refused, alone) =
        (Cell::new(0u32), Cell::new(0u32), Cell::new(0u32), Cell::new(0u32));
    let config = Config { cases: 120_000, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(&cases(), |case| {
        let bytes = bytes_of(&case);
        let count = |cell: &Cell<u32>| cell.set(cell.get() + 1);
        match safetensors_header(&bytes) {
            Verdict::Accepted(tensors) => {
                count(&accepted);
                if tensors > 1 {
                    count(&with_tensors);
                }
            }
            Verdict::Refused(_) => count(&refused),
            Verdict::RefusedByUsAlone(_) => count(&alone),
        }
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
    let counts = (accepted.get(), with_tensors.get(), refused.get(), alone.get());
    println!(
        "accepted {}, with two tensors or more {}, refused {}, by us alone {}",
        counts.0, counts.1, counts.2, counts.3
    );
    assert!(
        counts.0 > 10_000 && counts.1 > 5_000 && counts.2 > 10_000 && counts.3 > 300,
        "{counts:?} exercise too little"
    );
}
