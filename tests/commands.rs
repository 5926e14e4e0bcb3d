//! Each command does what its help says, and its exit status tells the outcome.

use crate::support::{MODELS, Sandbox, Tensor, safetensors};

#[test]
fn version_names_program_and_hash_parameters() {
    let sandbox = Sandbox::new();
    sandbox
        .run("--version")
        .exits(0)
        .prints(env!("CARGO_PKG_VERSION"))
        .prints("hash parameters ")
        .is_silent();
    sandbox.run("-V").exits(0).prints(env!("CARGO_PKG_VERSION"));
}

#[test]
fn help_of_each_command_states_the_exit_status() {
    let sandbox = Sandbox::new();
    let all = [
        "scan",
        "ingest",
        "query",
        "hash",
        "compare",
        "import-codes",
        "dups",
        "bench",
        "info",
        "list",
        "rm",
        "compact",
        "verify",
        "repair",
        "backup",
        "migrate",
        "merge",
        "export",
        "import",
    ];
    for command in all {
        for help in ["-h", "--help"] {
            sandbox.run(&format!("{command} {help}")).exits(0).prints("Exit status:").is_silent();
        }
    }
}

#[test]
fn wrong_usage_exits_2_and_creates_nothing() {
    let sandbox = Sandbox::new();
    sandbox.run("query").exits(2);
    sandbox.run("query --code 00").exits(2).says("library.phash: not a phashdb database");
    sandbox.run("query --code 00 --view energy").exits(2).says("128 hexadecimal digits");
    sandbox.run("query --radius 513 x").exits(2).says("0 to 512");
    sandbox.run("query --radius 3 --top-k 1 x").exits(2);
    sandbox.run("query --view neither x").exits(2).says("energy");
    sandbox.run("frobnicate").exits(2);
    for jobs in ["0", "1025", "70000", "99999999999999999999"] {
        sandbox.run(&format!("hash --jobs {jobs} x")).exits(2).says("--jobs").says(jobs);
    }
    sandbox.run("hash --jobs 1025 x").says("1..=1024");
    sandbox.run("ingest").exits(2);
    sandbox.run("import-codes --bits 64").exits(2);
    sandbox.run("import-codes x").exits(2).says("--bits");
    sandbox.run("import-codes --bits 96 x").exits(2).says("64, 128, 256, 512");
    sandbox.run("dups").exits(2).says("--radius");
    assert_eq!(std::fs::read_dir(sandbox.path()).unwrap().count(), 0, "something was created");
}

#[test]
fn a_missing_library_is_an_error_that_names_it() {
    let sandbox = Sandbox::new();
    let commands = [
        "info",
        "list",
        "verify",
        "repair --salvage new.phash",
        "backup new.phash",
        "migrate",
        "query --id 0",
        "query --code 00",
        "query --codes-from x",
        "dups -r 1",
        "bench",
    ];
    for command in commands {
        sandbox.run(&format!("{command} --db nowhere.phash")).exits(2).says("nowhere.phash");
    }
    assert!(!sandbox.path().join("nowhere.phash").exists());
}

#[test]
fn a_directory_without_weights_creates_no_library_and_exits_1() {
    let sandbox = Sandbox::new();
    std::fs::create_dir(sandbox.path().join("empty")).unwrap();
    sandbox.run("ingest empty").exits(1).says("no weights files");
    assert!(!sandbox.path().join("library.phash").exists());
    sandbox.run("scan empty").exits(1).prints("0 models");
}

#[test]
fn the_library_is_found_by_option_then_environment_then_name() {
    let sandbox = Sandbox::new();
    sandbox.model("a.safetensors", 1);
    sandbox.run("ingest a.safetensors").exits(0);
    assert!(sandbox.path().join("library.phash").is_dir());
    let mut by_environment = sandbox.phashdb(["ingest", "a.safetensors"]);
    by_environment.command.env("PHASHDB_DB", "other.phash");
    by_environment.run().exits(0).prints("1 model ingested");
    // Set but empty is as good as unset.
    let mut by_name = sandbox.phashdb(["ingest", "a.safetensors"]);
    by_name.command.env("PHASHDB_DB", "");
    by_name.run().exits(0).prints("library.phash: ").prints("1 unchanged");
    sandbox.run("--help").exits(0).prints("PHASHDB_DB");
    let mut by_option = sandbox.phashdb(["--db", "third.phash", "ingest", "a.safetensors"]);
    by_option.command.env("PHASHDB_DB", "other.phash");
    by_option.run().exits(0).prints("third.phash: 1 model ingested");
}

#[test]
fn commands_about_a_library_alone_take_it_as_an_argument() {
    let sandbox = Sandbox::new();
    sandbox.model("a.safetensors", 1);
    sandbox.run("ingest --db models.phash a.safetensors").exits(0);
    sandbox.file("codes.hex", b"00000000000000ff a\n00000000000000fe b\n");
    sandbox.run("import-codes --db codes.phash --bits 64 codes.hex").exits(0);
    for (command, db) in [
        ("info", "models.phash"),
        ("info", "codes.phash"),
        ("list", "models.phash"),
        ("list", "codes.phash"),
        ("verify", "models.phash"),
        ("compact", "models.phash"),
        ("migrate", "models.phash"),
        ("export", "models.phash"),
        ("dups -r 1", "codes.phash"),
        ("bench --queries 1", "codes.phash"),
    ] {
        sandbox.run(&format!("{command} {db}")).exits(0);
        sandbox.run(&format!("{command} {db} --db {db}")).exits(2).says("cannot be used with");
        sandbox
            .run(&format!("{command} nowhere.phash"))
            .exits(2)
            .says("nowhere.phash: not a phashdb database (there is no such directory)");
    }
    assert!(!sandbox.path().join("library.phash").exists());
}

#[test]
fn messages_say_models_or_raw_codes_as_the_library_holds_them() {
    let sandbox = Sandbox::new();
    for (name, seed) in [("a", 1), ("b", 2)] {
        sandbox.model(&format!("{name}.safetensors"), seed);
    }
    sandbox.run("ingest a.safetensors b.safetensors").exits(0);
    sandbox.run("export -o out.jsonl").exits(0).says("2 models exported");
    sandbox.run("merge all.phash library.phash").exits(0).prints("all.phash: 2 models added");
    sandbox.run("import copy.phash out.jsonl").exits(0).prints("copy.phash: 2 models added");
    sandbox.run("backup backup.phash").exits(0).prints(", 2 models, ");
    sandbox.run("repair --salvage saved.phash").exits(0).prints("saved.phash: 2 models saved");
    sandbox.run("rm a.safetensors").exits(0).prints("library.phash: 1 model removed");
    sandbox.run("compact").exits(0).prints("; 1 model freed");
    sandbox.file("codes.hex", b"00000000000000ff a\n00000000000000fe b\n");
    sandbox.run("import-codes --db codes.phash --bits 64 codes.hex").exits(0);
    sandbox.run("merge raw.phash codes.phash").exits(0).prints("raw.phash: 2 raw codes added");
    sandbox.run("rm --db codes.phash a").exits(0).prints("codes.phash: 1 raw code removed");
}

#[test]
fn what_the_system_refuses_comes_with_a_remedy() {
    let sandbox = Sandbox::new();
    sandbox.model("a.safetensors", 1);
    sandbox.file("file", b"x");
    sandbox.run("ingest --db file a.safetensors").exits(2).says("file: ").says("a database is a directory");
    sandbox
        .run("import nothing.jsonl")
        .exits(2)
        .says("nothing.jsonl: cannot be read: ")
        .says("check the path");
    sandbox.run("ingest a.safetensors").exits(0);
    sandbox
        .run("export -o none/x.jsonl")
        .exits(2)
        .says("none/x.jsonl: cannot be written: ")
        .says("check its directory");
    sandbox.run("merge library.phash library.phash").exits(2).says("leave it out");
    let mut endless = sandbox.phashdb(["rm", "--labels-from", "-"]).stdin(vec![b'x'; (1 << 20) + 1]);
    endless.command.env("PHASHDB_DB", "library.phash");
    endless.run().exits(2).says("-: cannot be read: an entry is longer than 1 MiB");
    sandbox.file("labels", b"\xff\n");
    sandbox.run("rm --labels-from labels").exits(2).says("labels: cannot be read: labels are UTF-8");
}

#[test]
fn scan_groups_copies_and_leaves_strangers_alone() {
    let sandbox = Sandbox::new();
    let (a, b) = (sandbox.model("x/a.safetensors", 1), sandbox.path().join("x/sub/copy.safetensors"));
    std::fs::create_dir(sandbox.path().join("x/sub")).unwrap();
    std::fs::copy(a, b).unwrap();
    sandbox.model("x/stranger.safetensors", 2);
    sandbox
        .run("scan x")
        .exits(0)
        .is_silent()
        .prints("group 1: 2 matching models")
        .prints("identical contents")
        .prints("1 model alone")
        .prints("3 models, 1 group with 2 models, 1 alone");
    sandbox.run("scan x/stranger.safetensors x/a.safetensors").exits(1).prints("0 groups");
    assert!(!sandbox.path().join("library.phash").exists(), "scan needs no library");
}

#[test]
fn tables_say_what_the_closest_view_tells_and_nothing_about_exact_copies() {
    let sandbox = Sandbox::new();
    let path = |name: &str| format!("{MODELS}/{name}.safetensors");
    let told = |a: &str, b: &str| {
        ["scan", "compare"].map(|command| sandbox.phashdb([command, a, b]).run().exits(0).stdout())
    };
    let says = |table: &str, legend: &str| table.contains(&format!("\nclosest view  {legend}\n"));
    // The gates of an LSTM in another order.
    let (a, b) = (path("silero-vad/16k-onnx-fp16"), path("silero-vad/16k-sequence-onnx-fp16"));
    let permuted = "orbit    channels permuted or rescaled";
    told(&a, &b).iter().for_each(|table| assert!(says(table, permuted), "{table}"));
    sandbox.phashdb(["ingest", "-q", &a]).run().exits(0);
    let query = sandbox.phashdb(["query", &b]).run();
    assert!(says(&query.exits(0).stdout(), permuted), "{}", query.explain());
    let query = sandbox.phashdb(["query", "--view", "orbit", &b]).run();
    assert!(
        !query.exits(0).stdout().contains("closest view"),
        "the others were not searched: {}",
        query.explain()
    );
    let (a, b) = (path("fashion-cnn/twin-1"), path("fashion-cnn/twin-1-pruned-50"));
    let pruned = "energy   pruned, fine-tuned, or channels' signs flipped";
    told(&a, &b).iter().for_each(|table| assert!(says(table, pruned), "{table}"));
    let b = path("fashion-cnn/twin-1-keras");
    told(&a, &b).iter().for_each(|table| assert!(!table.contains("closest view"), "{table}"));
}

#[test]
fn compare_gives_each_verdict_its_word() {
    let sandbox = Sandbox::new();
    let verdict = |a: &str, b: &str| {
        let done =
            sandbox.phashdb(["compare", "--json", &format!("{MODELS}/{a}"), &format!("{MODELS}/{b}")]).run();
        let unrelated = b.contains("twin-2");
        let record = done.exits(if unrelated { 1 } else { 0 }).of_type("compare").remove(0);
        record["verdict"].as_str().unwrap().to_owned()
    };
    let parent = "fashion-cnn/twin-1.safetensors";
    assert_eq!(verdict(parent, "fashion-cnn/twin-1-renamed.safetensors"), "identical contents");
    assert_eq!(
        verdict(parent, "fashion-cnn/twin-1-sharded/model.safetensors.index.json"),
        "identical contents"
    );
    assert_eq!(verdict(parent, "fashion-cnn/twin-1-keras.safetensors"), "same weights");
    assert_eq!(verdict(parent, "fashion-cnn/twin-1-bf16.safetensors"), "same weights");
    assert_eq!(verdict(parent, "fashion-cnn/twin-1-int8.safetensors"), "same weights");
    // Half of its weights are gone: near, but not the same.
    assert_eq!(verdict(parent, "fashion-cnn/twin-1-pruned-50.safetensors"), "near copy");
    assert_eq!(verdict(parent, "fashion-cnn/twin-1-finetuned.safetensors"), "near copy");
    assert_eq!(verdict(parent, "fashion-cnn/twin-2.safetensors"), "unrelated");
    // Permuted gates, and folded batch norms: some view does not see them.
    let silero = |name: &str| format!("silero-vad/16k{name}.safetensors");
    assert_eq!(verdict(&silero("-onnx-fp16"), &silero("-sequence-onnx-fp16")), "same weights");
    assert_eq!(verdict(parent, "fashion-cnn/twin-1-folded.safetensors"), "same weights");
    assert_eq!(verdict(&silero(""), &silero("-sequence-onnx-fp16")), "near copy");
    assert_eq!(
        verdict("fashion-cnn/twin-1-pruned-50.safetensors", "fashion-cnn/twin-1-new-head.safetensors"),
        "related"
    );
}

#[test]
fn compare_shows_tensors_without_a_code_on_request() {
    let sandbox = Sandbox::new();
    let path = |name: &str| format!("{MODELS}/fashion-cnn/{name}.safetensors");
    let (a, b) = (path("twin-1"), path("twin-1-new-head"));
    let short = sandbox.phashdb(["compare", &a, &b]).run();
    short.exits(0).prints("stem.weight").prints("only in b").prints("not shown: ");
    assert!(!short.stdout().contains("stem_norm.bias"), "{}", short.stdout());
    sandbox.phashdb(["compare", "--all", &a, &b]).run().exits(0).prints("stem_norm.bias");
}

#[test]
fn compare_matches_tensors_one_to_one_whatever_their_names() {
    let sandbox = Sandbox::new();
    let path = |name: &str| format!("{MODELS}/fashion-cnn/{name}.safetensors");
    let done = sandbox.phashdb(["compare", "--json", &path("twin-1"), &path("twin-1-new-head")]).run();
    let tensors = done.exits(0).of_type("tensor");
    let named = |name: &str| tensors.iter().filter(|tensor| tensor["a"] == name).collect::<Vec<_>>();
    // The body was trained on: every tensor finds itself by its code.
    for name in ["down.weight", "fc.weight", "blocks.3.expand.weight"] {
        let [tensor] = named(name)[..] else { panic!("{name} is there {} times", named(name).len()) };
        assert_eq!(tensor["b"], *name, "{tensor}");
        assert_eq!(tensor["matched_by"], "codes", "{tensor}");
    }
    // The head is another one.
    assert_eq!(named("head.weight")[0]["b"], serde_json::Value::Null);
    let added: Vec<_> = tensors.iter().filter(|tensor| tensor["a"].is_null()).collect();
    assert!(
        added.iter().any(|tensor| tensor["b"].as_str().is_some_and(|name| name.contains("head"))),
        "{added:?}"
    );
    for side in ["a", "b"] {
        let mut names: Vec<_> = tensors.iter().filter_map(|tensor| tensor[side].as_str()).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count, "a tensor of {side} was matched twice");
    }
}

#[test]
fn compare_knows_the_same_bytes_under_other_names() {
    let sandbox = Sandbox::new();
    let path = |name: &str| format!("{MODELS}/fashion-cnn/{name}.safetensors");
    let done = sandbox.phashdb(["compare", "--json", &path("twin-1"), &path("twin-1-renamed")]).run();
    let tensors = done.exits(0).of_type("tensor");
    assert!(tensors.len() > 20);
    for tensor in &tensors {
        assert_eq!(
            (&tensor["matched_by"], &tensor["distance_bits"]),
            (&"bytes".into(), &0.into()),
            "{tensor}"
        );
        assert_ne!(tensor["a"], tensor["b"]);
    }
}

#[test]
fn verify_finds_a_flipped_byte_names_the_file_and_exits_2() {
    let sandbox = Sandbox::new();
    sandbox.model("a.safetensors", 1);
    sandbox.run("ingest a.safetensors").exits(0);
    sandbox.run("verify").exits(0).prints("sound").is_silent();
    let codes = sandbox.path().join("library.phash/energy.codes");
    let mut bytes = std::fs::read(&codes).unwrap();
    // The first code's bytes lie behind the header: flip one that is certainly part of it.
    let code = sandbox.run("hash --json a.safetensors").of_type("hash").remove(0);
    let hex = code["views"]["energy"]["code"].as_str().unwrap().to_owned();
    let wanted: Vec<u8> = (0..32).map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap()).collect();
    let at =
        bytes.windows(32).position(|window| window == wanted).expect("the code is in the file as printed");
    bytes[at] ^= 1;
    std::fs::write(&codes, bytes).unwrap();
    let done = sandbox.run("verify --json");
    done.exits(2);
    let told = done.stdout() + &done.stderr();
    assert!(told.contains("energy.codes"), "{}", done.explain());
}

#[test]
fn verify_tells_damage_that_keeps_the_library_from_being_opened() {
    let sandbox = Sandbox::new();
    sandbox.model("a.safetensors", 1);
    sandbox.run("ingest a.safetensors").exits(0);
    let codes = sandbox.path().join("library.phash/energy.codes");
    let sound = std::fs::read(&codes).unwrap();
    let check = |bytes: &[u8]| {
        std::fs::write(&codes, bytes).unwrap();
        sandbox.run("info").exits(2);
        let done = sandbox.run("verify --json");
        let damages = done.exits(2).of_type("damage");
        // Where it is, and then which model it costs.
        assert!(damages[0]["file"].as_str().unwrap().ends_with("energy.codes"), "{}", done.explain());
        for damage in &damages {
            let of_the_model = damage["what"].as_str().unwrap() == "checksum of the codes of model 0";
            let file = if of_the_model { "catalog.sqlite" } else { "energy.codes" };
            assert!(damage["file"].as_str().unwrap().ends_with(file), "{damage}");
            assert!(damage["offset_bytes"].is_u64() && damage["what"].is_string(), "{damage}");
            assert!(damage["expected"].is_string() && damage["got"].is_string(), "{damage}");
        }
        assert_eq!(done.of_type("summary")[0]["damages"], damages.len(), "{}", done.explain());
        let count = format!("{} damage", damages.len());
        sandbox.run("verify").exits(2).prints("damaged: ").prints("energy.codes").prints(&count);
        let csv = sandbox.run("verify --format csv").exits(2).stdout();
        assert!(
            csv.starts_with(
                "type,file,offset_bytes,what,expected,got,affected,first_id,end_id,labels\ndamage,"
            ),
            "{csv}"
        );
    };
    // The file's header, and the code in its first block, behind the block's header.
    for at in [40, 4096 + 64 + 3] {
        let mut bytes = sound.clone();
        bytes[at] ^= 1;
        check(&bytes);
    }
    check(&sound[..sound.len() - 1]);
    std::fs::write(&codes, &sound).unwrap();
    sandbox.run("verify").exits(0).prints("sound");
}

#[test]
fn list_shows_the_current_version_first_and_weak_models_everywhere() {
    let sandbox = Sandbox::new();
    // Integers alone have no features: weak.
    let weak = |byte: u8| {
        let (name, shape) = ("w".to_owned(), vec![64, 64]);
        safetensors(&[Tensor { name, dtype: "I8", shape, bytes: vec![byte; 64 * 64] }])
    };
    for (version, byte) in [(1, 1), (2, 2), (3, 1)] {
        sandbox.file("x.safetensors", &weak(byte));
        // Changed contents of the same size and time would be taken for unchanged.
        let time = std::time::SystemTime::now() - std::time::Duration::from_secs(9000 - 1000 * version);
        let file = std::fs::File::options().append(true).open(sandbox.path().join("x.safetensors")).unwrap();
        file.set_modified(time).unwrap();
        sandbox.run("ingest x.safetensors").exits(0);
    }
    sandbox.file("y.safetensors", &weak(1));
    sandbox.run("ingest y.safetensors").exits(0);
    let text = sandbox.run("list").exits(0).stdout();
    let rows: Vec<Vec<&str>> = text.lines().skip(1).map(|line| line.split_whitespace().collect()).collect();
    let ends = |row: usize, words: &[&str]| {
        assert!(rows[row].ends_with(words), "row {row} does not end with {words:?}:\n{text}");
    };
    assert_eq!((rows[0][0], rows[0][1]), ("0", "3"), "{text}");
    ends(0, &["x.safetensors", "(weak)"]);
    ends(1, &["x.safetensors", "(weak,", "superseded)"]);
    ends(2, &["y.safetensors", "(weak)"]);
    assert_eq!((rows[3][0], rows[3][1]), ("1", "2"), "{text}");
    ends(3, &["x.safetensors", "(weak,", "superseded)"]);
    assert_eq!(sandbox.run("list --json").of_type("model")[0]["version"], 3);
}

#[test]
fn list_counts_the_features_of_all_views_together() {
    let sandbox = Sandbox::new();
    sandbox.phashdb(["ingest", "-q", &format!("{MODELS}/mediapipe/selfie.safetensors")]).run().exits(0);
    let model = sandbox.run("list --json").of_type("model").remove(0);
    let features: u64 =
        model["features"].as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum();
    let text = sandbox.run("list").exits(0).stdout();
    let row: Vec<&str> = text.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(row[2].replace(',', "").parse(), Ok(features), "{text}");
}

#[test]
fn completions_are_made_for_each_shell() {
    let sandbox = Sandbox::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        sandbox.run(&format!("completions {shell}")).exits(0).prints("top-k").is_silent();
    }
}
