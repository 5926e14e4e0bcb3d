//! Databases of raw codes: every format of import, searches and groups against oracles, plans, measurement, index
//! segments, and the two kinds of databases told apart.

use std::collections::BTreeMap;
use std::fs;

use crate::support::{Random, Sandbox};

/// Codes of `bytes` bytes; every tenth is another one with two bits changed.
pub(crate) fn codes(count: usize, bytes: usize) -> Vec<Vec<u8>> {
    let mut random = Random(bytes as u64);
    let mut codes: Vec<Vec<u8>> = Vec::new();
    for number in 0..count {
        let mut code: Vec<u8> = (0..bytes).map(|_| random.next().to_le_bytes()[3]).collect();
        if number % 10 == 9 {
            code.clone_from(&codes[number - 7]);
            code[0] ^= 0x10;
            code[bytes - 1] ^= 0x80;
        }
        codes.push(code);
    }
    codes
}

pub(crate) fn hex(code: &[u8]) -> String {
    code.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn distance(a: &[u8], b: &[u8]) -> u64 {
    a.iter().zip(b).map(|(a, b)| u64::from((a ^ b).count_ones())).sum()
}

pub(crate) fn label(number: usize) -> String {
    format!("pictures/{number}, ü.jpg")
}

pub(crate) fn lines(codes: &[Vec<u8>], line: impl Fn(usize, String) -> String) -> Vec<u8> {
    codes
        .iter()
        .enumerate()
        .map(|(number, code)| line(number, hex(code)) + "\n")
        .collect::<String>()
        .into_bytes()
}

/// A database of labelled codes of 64 bits.
pub(crate) fn database(count: usize) -> (Sandbox, Vec<Vec<u8>>) {
    let (sandbox, codes) = (Sandbox::new(), codes(count, 8));
    let json = lines(&codes, |number, hex| format!(r#"{{"code":"{hex}","label":"{}"}}"#, label(number)));
    sandbox.file("codes.jsonl", &json);
    sandbox.run("import-codes --bits 64 codes.jsonl").exits(0).is_silent();
    (sandbox, codes)
}

/// Id, label and distance of the matches, by the number of the query.
type Answers = BTreeMap<u64, Vec<(u64, String, u64)>>;

fn answers(records: &[serde_json::Value]) -> Answers {
    let mut answers = Answers::new();
    for record in records {
        let text = |field: &str| record[field].as_str().unwrap_or_default().to_owned();
        let number = |field: &str| record[field].as_u64().unwrap();
        answers.entry(number("query_number")).or_default().push((
            number("id"),
            text("label"),
            number("distance_bits"),
        ));
    }
    answers
}

/// What a search within a radius must find.
fn within(codes: &[Vec<u8>], query: &[u8], radius: u64) -> Vec<(u64, String, u64)> {
    let all = codes.iter().enumerate();
    let mut found: Vec<_> = all
        .map(|(id, code)| (id as u64, label(id), distance(code, query)))
        .filter(|(.., d)| *d <= radius)
        .collect();
    found.sort_by_key(|(id, _, distance)| (*distance, *id));
    found
}

#[test]
fn every_format_of_every_width_gives_the_same_database() {
    for bits in [64, 128, 256, 512] {
        let (sandbox, codes) = (Sandbox::new(), codes(300, bits / 8));
        let quoted = |number: usize| format!("\"{}\"", label(number));
        let files = [
            ("plain.hex", lines(&codes, |number, hex| format!("{hex} {}", label(number)))),
            (
                "objects.jsonl",
                lines(&codes, |number, hex| {
                    format!(r#"{{"label":"{}","code":"{}"}}"#, label(number), hex.to_uppercase())
                }),
            ),
            (
                "header.csv",
                [
                    b"label,size,code\r\n".to_vec(),
                    lines(&codes, |number, hex| format!("{},7,{hex}\r", quoted(number))),
                ]
                .concat(),
            ),
            ("bare.csv", lines(&codes, |number, hex| format!("{hex},{}", quoted(number)))),
        ];
        let list = |db: &str| sandbox.run(&format!("list --db {db} --json")).exits(0).of_type("code");
        let expected: Vec<_> = (0..codes.len()).map(|id| serde_json::json!({"type": "code", "id": id, "code": hex(&codes[id]), "label": label(id)})).collect();
        for (name, bytes) in &files {
            sandbox.file(name, bytes);
            let done = sandbox.run(&format!("import-codes --db {name}.phash --bits {bits} {name} --json"));
            let record = done.exits(0).is_silent().of_type("imported").remove(0);
            assert_eq!(
                (&record["codes"], &record["labelled"], &record["first_id"]),
                (&300.into(), &300.into(), &0.into())
            );
            assert_eq!(list(&format!("{name}.phash")), expected, "{name}");
            sandbox.run(&format!("verify --db {name}.phash")).exits(0).prints("sound; 300 codes");
        }
        // Binary codes have no labels; standard input is what --input-format says.
        sandbox.file("codes.bin", &codes.concat());
        sandbox.run(&format!("import-codes --db bin.phash --bits {bits} codes.bin")).exits(0);
        for (format, bytes) in [("binary", &codes.concat()), ("hex", &lines(&codes, |_, hex| hex))] {
            let arguments =
                format!("import-codes --db {format}.phash --bits {bits} --input-format {format} -");
            sandbox.phashdb(arguments.split(' ')).stdin(bytes.clone()).run().exits(0);
            assert_eq!(list(&format!("{format}.phash")), list("bin.phash"));
        }
        assert_eq!(list("bin.phash")[7]["label"], serde_json::Value::Null);
        // What list prints can be imported again.
        let listed = sandbox.run("list --db header.csv.phash --json").stdout();
        sandbox.file("listed.jsonl", listed.as_bytes());
        sandbox.run(&format!("import-codes --db again.phash --bits {bits} listed.jsonl")).exits(0);
        assert_eq!(list("again.phash"), expected);
    }
}

#[test]
fn searches_give_what_comparing_every_code_gives() {
    let (sandbox, codes) = database(2000);
    let query =
        |arguments: &str| answers(&sandbox.run(&format!("query --json {arguments}")).of_type("match"));
    for id in [0, 9, 1999] {
        for radius in [0, 2, 20, 64] {
            let found = query(&format!("--radius {radius} --code {}", hex(&codes[id])));
            assert_eq!(found[&1], within(&codes, &codes[id], radius), "{id}, radius {radius}");
        }
        let mut nearest = within(&codes, &codes[id], 64);
        nearest.truncate(10);
        assert_eq!(query(&format!("--code {}", hex(&codes[id])))[&1], nearest, "ten by default");
        // A stored code is not its own neighbour.
        let mut others = within(&codes, &codes[id], 64);
        others.retain(|(other, ..)| *other != id as u64);
        others.truncate(3);
        assert_eq!(query(&format!("-k 3 --id {id}"))[&1], others);
    }
    // A file of queries, in any format and with any number of threads: the answers in its order.
    let queries = self::codes(1500, 8);
    sandbox.file("queries.csv", &lines(&queries, |number, hex| format!("{hex},q{number}")));
    let done = sandbox.run("query --radius 2 --codes-from queries.csv --json -j 3");
    let found = answers(&done.exits(0).of_type("match"));
    for (number, code) in (1..).zip(&queries) {
        assert_eq!(found.get(&number).cloned().unwrap_or_default(), within(&codes, code, 2));
    }
    assert_eq!(done.of_type("match")[0]["query"], "q0");
    let summary = done.of_type("summary").remove(0);
    assert_eq!((&summary["queries"], &summary["searched"]), (&1500.into(), &2000.into()));
    assert_eq!(summary["answered"], found.len());
    let binary: Vec<u8> = queries.concat();
    let arguments = "query --nearest 1 --codes-from - --input-format binary --json -j 1";
    let piped = sandbox.phashdb(arguments.split(' ')).stdin(binary).run();
    assert_eq!(answers(&piped.exits(0).of_type("match")).len(), 1500);
    // Nothing within the radius is exit status 1, and every format has its shape.
    let far = hex(&[0x5a; 8]);
    sandbox.run(&format!("query --radius 3 --code {far}")).exits(1).prints("0 matches among 2,000 codes");
    let csv = sandbox.run(&format!("query -k 2 --format csv --code {far}"));
    assert_eq!(csv.exits(0).stdout().lines().count(), 3);
    assert!(csv.stdout().starts_with("type,query_number,query,id,label,distance_bits,code\nmatch,1,5a5a"));
    let json = sandbox.run(&format!("query -k 2 --format json --code {far}")).exits(0).stdout();
    assert_eq!(serde_json::from_str::<serde_json::Value>(&json).unwrap().as_array().unwrap().len(), 3);
    sandbox
        .run(&format!("query -k 2 --code {far}"))
        .exits(0)
        .is_silent()
        .prints("pictures/")
        .prints("2 matches");
}

#[test]
fn dups_are_the_connected_components() {
    let (sandbox, codes) = database(400);
    for radius in [0, 2, 16, 19] {
        // The oracle relabels everything, pair after pair.
        let mut groups: Vec<usize> = (0..codes.len()).collect();
        for a in 0..codes.len() {
            for b in 0..a {
                if distance(&codes[a], &codes[b]) <= radius {
                    let (from, to) = (groups[a], groups[b]);
                    groups.iter_mut().filter(|group| **group == from).for_each(|group| *group = to);
                }
            }
        }
        let mut expected: BTreeMap<usize, Vec<u64>> = BTreeMap::new();
        for (id, group) in groups.into_iter().enumerate() {
            expected.entry(group).or_default().push(id as u64);
        }
        let mut expected: Vec<Vec<u64>> = expected.into_values().filter(|ids| ids.len() > 1).collect();
        expected.sort_by_key(|ids| (std::cmp::Reverse(ids.len()), ids[0]));
        let done = sandbox.run(&format!("dups --radius {radius} --json"));
        done.exits(if expected.is_empty() { 1 } else { 0 });
        let groups = done.of_type("group");
        let found: Vec<Vec<u64>> = groups
            .iter()
            .map(|group| {
                group["members"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|member| member["id"].as_u64().unwrap())
                    .collect()
            })
            .collect();
        assert_eq!(found, expected, "radius {radius}");
        for member in groups.iter().flat_map(|group| {
            let members = group["members"].as_array().unwrap();
            members.iter().map(|member| (members[0]["id"].as_u64().unwrap(), member))
        }) {
            let id = member.1["id"].as_u64().unwrap();
            let to_first =
                distance(&codes[usize::try_from(id).unwrap()], &codes[usize::try_from(member.0).unwrap()]);
            assert_eq!(member.1["distance_bits"], to_first);
            assert_eq!(member.1["label"], label(usize::try_from(id).unwrap()));
        }
        let summary = done.of_type("summary").remove(0);
        assert_eq!((&summary["groups"], &summary["codes"]), (&found.len().into(), &400.into()));
    }
    let csv = sandbox.run("dups -r 2 --format csv").exits(0).stdout();
    assert!(csv.starts_with("type,group,id,label,distance_bits\nmember,1,"), "{csv}");
    sandbox
        .run("dups -r 2")
        .exits(0)
        .is_silent()
        .prints("group 1: 2 codes")
        .prints("distances are to this one");
    sandbox.run("dups -r 65").exits(2).says("0 to 64");
}

#[test]
fn bench_compares_answers_and_prints_times() {
    let (sandbox, _) = database(1000);
    let done = sandbox.run("bench --queries 20 --json");
    let rows = done.exits(0).is_silent().of_type("measurement");
    assert_eq!(rows.len(), 3);
    for row in &rows {
        assert_eq!((&row["recall"], &row["queries"]), (&1.0.into(), &20.into()));
        assert!(row["index_us"].as_f64().unwrap() > 0.0 && row["scan_us"].as_f64().unwrap() > 0.0);
    }
    assert_eq!(done.of_type("machine")[0]["codes"], 1000);
    sandbox
        .run("bench --queries 5 -r 3 -k 2")
        .exits(0)
        .prints("within 3 bits")
        .prints("2 nearest")
        .prints("processor");
    sandbox.run("bench -r 65").exits(2).says("0 to 64");
}

#[test]
fn explain_tells_plan_and_work_of_each_search() {
    let sandbox = Sandbox::new();
    let codes = codes(70_000, 16);
    sandbox.file("codes.bin", &codes.concat());
    sandbox.run("import-codes --bits 128 codes.bin").exits(0);
    let code = hex(&codes[7]);
    let done = sandbox.run(&format!("query --radius 3 --explain --json --code {code}"));
    let plan = done.exits(0).is_silent().of_type("explain").remove(0);
    let fields = [
        "query_number",
        "view",
        "radius_bits",
        "nearest",
        "plan_radius_bits",
        "unindexed",
        "scanned",
        "matches",
    ];
    let expected = serde_json::json!([1, "raw", 3, null, 3, 0, 0, done.of_type("match").len()]);
    assert_eq!(serde_json::json!(fields.map(|field| plan[field].clone())), expected);
    assert_eq!((&plan["plan"], &plan["segments"][0]["plan"]), (&"index".into(), &"index".into()));
    assert_eq!(plan["segments"][0]["ids"], serde_json::json!([0, 70_000]));
    assert_eq!(plan["segments"][0]["probes"], plan["probes"], "what was planned was done");
    let tables = plan["segments"][0]["tables"].as_array().unwrap();
    let bits: u64 = tables.iter().map(|table| table["substring_bits"].as_u64().unwrap()).sum();
    // The thresholds and one each exceed the radius: no code within it can be missed.
    let taken: u64 = tables.iter().map(|table| table["probed_to_bits"].as_u64().map_or(0, |to| to + 1)).sum();
    assert_eq!((bits, taken), (128, 4));
    assert!(
        plan["us"].as_f64().unwrap() > 0.0 && plan["segments"][0]["expected_scan_us"].as_f64().unwrap() > 0.0
    );
    // A radius that matches half of the codes is scanned, and the nearest are explained by their distance.
    let scan = sandbox
        .run(&format!("query --radius 64 --explain --json --code {code}"))
        .of_type("explain")
        .remove(0);
    assert_eq!((&scan["plan"], &scan["scanned"]), (&"scan".into(), &70_000.into()));
    let nearest = sandbox.run(&format!("query -k 2 --explain --json --code {code}"));
    let farthest = nearest.of_type("match")[1]["distance_bits"].clone();
    assert_eq!(nearest.of_type("explain")[0]["plan_radius_bits"], farthest);
    let text = sandbox.run(&format!("query --radius 3 --explain --code {code}"));
    text.exits(0)
        .prints("plan, view raw: within 3 bits")
        .prints("ids 0 to 69,999: by the index")
        .prints("took ");
    sandbox.run(&format!("query --explain --format csv --code {code}")).exits(2).says("--format jsonl");
    // Models, too: each view that is searched.
    sandbox.model("a.safetensors", 1);
    sandbox.run("ingest --db models.phash a.safetensors").exits(0);
    for (arguments, views) in [("a.safetensors", 5), ("--view energy a.safetensors", 1), ("-k 1 --id 0", 5)] {
        let done = sandbox.run(&format!("query --db models.phash --explain --json {arguments}"));
        let plans = done.of_type("explain");
        assert_eq!(plans.len(), views, "{arguments}: {}", done.explain());
        assert!(plans.iter().all(|plan| plan["unindexed"] == 1 && plan["plan"] == "scan"));
    }
    sandbox
        .run("query --db models.phash --explain a.safetensors")
        .exits(0)
        .prints("1 code not indexed: each is compared");
}

#[test]
fn the_two_kinds_of_databases_are_told_apart() {
    let (sandbox, codes) = database(20);
    sandbox.model("a.safetensors", 1);
    sandbox.run("ingest --db models.phash a.safetensors").exits(0);
    sandbox.file("more.hex", &lines(&codes, |_, hex| hex));
    for command in ["import-codes --bits 64 more.hex", "dups -r 1", "bench", "query --codes-from more.hex"] {
        let done = sandbox.run(&format!("{command} --db models.phash"));
        done.exits(2).says("models.phash: holds models, not raw codes");
    }
    let code = "00".repeat(64);
    for command in [
        "ingest a.safetensors",
        "query a.safetensors",
        "query --tensors --id 0",
        &format!("query --view energy --code {code}"),
    ] {
        sandbox.run(command).exits(2).says("library.phash: holds raw codes, not models");
    }
    sandbox.run(&format!("query --db models.phash --code {code}")).exits(2).says("--view");
    sandbox.run("query --e-value 1 --id 0").exits(2).says("--radius or -k");
    sandbox.run("import-codes --bits 128 more.hex").exits(2).says("holds codes of 64 bits, not 128");
    sandbox.run("query --code 00ff").exits(2).says("16 hexadecimal digits, got 4").says("codes of 64 bits");
    sandbox.run("query --code 012345678_abcdef").exits(2).says("'_' at position 9");
    sandbox.run("query --radius 65 --code 0123456789abcdef").exits(2).says("0 to 64");
    sandbox.run("query --id 20").exits(2).says("no code has id 20; ids are 0 to 19");
    sandbox.run("query --codes-from more.hex --view energy").exits(2);
    sandbox.file("wide.hex", &[b'0'; 32]);
    sandbox.run("query --codes-from wide.hex").exits(2).says("wide.hex:1: expected 16 hexadecimal digits");
    sandbox.run("list --db models.phash").exits(0);
    let info = |db: &str| sandbox.run(&format!("info --json --db {db}")).exits(0).of_type("info").remove(0);
    assert_eq!(
        (&info("models.phash")["contents"], &info("models.phash")["format_version"]),
        (&"models".into(), &5.into())
    );
    let codes = info("library.phash");
    assert_eq!(
        (&codes["contents"], &codes["format_version"], &codes["bits"]),
        (&"raw codes".into(), &4.into(), &64.into())
    );
    assert_eq!((&codes["codes"], &codes["labels"]), (&20.into(), &20.into()));
    sandbox.run("info").exits(0).is_silent().prints("20 of 64 bits").prints("comparing every code");
    sandbox.run("list").exits(0).is_silent().prints("pictures/19, ü.jpg");
}

#[test]
fn many_codes_are_indexed_and_a_lost_segment_costs_speed_only() {
    let sandbox = Sandbox::new();
    let codes = codes(70_000, 16);
    sandbox.file("codes.bin", &codes.concat());
    for layout in ["compact", "fast"] {
        let db = format!("{layout}.phash");
        let done =
            sandbox.run(&format!("import-codes --db {db} --bits 128 --layout {layout} codes.bin --json"));
        assert!(done.exits(0).of_type("imported")[0]["index_seconds"].is_number());
        let info = sandbox.run(&format!("info --json --db {db}")).of_type("info").remove(0);
        assert_eq!(info["segments"], serde_json::json!([[0, 70_000]]));
        sandbox.run(&format!("verify --db {db}")).exits(0);
        let query = || {
            sandbox
                .run(&format!("query --db {db} --json --radius 5 --code {}", hex(&codes[12])))
                .of_type("match")
        };
        let found = query();
        let expected: Vec<u64> = codes
            .iter()
            .zip(0..)
            .filter(|(code, _)| distance(code, &codes[12]) <= 5)
            .map(|(_, id)| id)
            .collect();
        let mut ids: Vec<u64> = found.iter().map(|found| found["id"].as_u64().unwrap()).collect();
        ids.sort_unstable();
        assert_eq!(ids, expected);
        let segment =
            fs::read_dir(sandbox.path().join(&db).join("segments")).unwrap().next().unwrap().unwrap().path();
        let good = fs::read(&segment).unwrap();
        let mut bad = good.clone();
        bad[good.len() / 2] ^= 4;
        fs::write(&segment, bad).unwrap();
        assert_eq!(query(), found);
        sandbox.run(&format!("verify --db {db}")).exits(2).prints("damaged:");
        fs::write(&segment, &good[..good.len() - 9]).unwrap();
        assert_eq!(query(), found);
        sandbox.run(&format!("info --db {db}")).exits(0).says("warning");
        // The next import builds it again.
        sandbox.file("one.hex", b"00112233445566778899aabbccddeeff\n");
        sandbox.run(&format!("import-codes --db {db} --bits 128 one.hex")).exits(0);
        sandbox.run(&format!("verify --db {db}")).exits(0);
        assert_eq!(query(), found);
    }
}

#[test]
fn labels_act_on_no_terminal_and_come_back_as_they_were() {
    let sandbox = Sandbox::new();
    let hostile = "a\u{1b}[2J\u{202e}b\r\nc,\"d\"";
    let line = serde_json::json!({"code": "0123456789abcdef", "label": hostile, "other": [1, 2]});
    sandbox.file("one.jsonl", format!("\u{feff}{line}\r\n\r\n").as_bytes());
    sandbox.run("import-codes --bits 64 one.jsonl").exits(0);
    for command in ["list", "query --code 0123456789abcdef", "query --codes-from one.jsonl"] {
        let text = sandbox.run(command).exits(0).stdout();
        assert!(text.contains("a\\x1b[2J\\u{202e}b\\r\\nc,\"d\"") && !text.contains('\u{1b}'), "{text}");
    }
    assert_eq!(sandbox.run("list --json").of_type("code")[0]["label"], hostile);
    let csv = sandbox.run("list --format csv").exits(0).stdout();
    sandbox.file("listed.csv", csv.as_bytes());
    sandbox.run("import-codes --db again.phash --bits 64 listed.csv").exits(0);
    assert_eq!(sandbox.run("list --db again.phash --json").of_type("code")[0]["label"], hostile);
}
