//! Owns what the tests share: a sandbox directory, the command with its checks, and weights files made to order. Every
//! failed check prints the command, both streams and the exit status.

use std::ffi::OsStr;
use std::fs;
use std::io::Write as _;
#[cfg(unix)]
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use tempfile::TempDir;

/// The bundled models.
pub(crate) const MODELS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/models");

/// The number in an environment variable.
#[cfg(target_os = "linux")]
pub(crate) fn given(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{name}: {text}")))
}

/// A directory of one test, removed at its end.
pub(crate) struct Sandbox {
    dir: TempDir,
}

impl Sandbox {
    pub(crate) fn new() -> Self {
        Self { dir: TempDir::new().expect("a temporary directory") }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// `phashdb` with arguments, to be run in the sandbox.
    pub(crate) fn phashdb<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Cli {
        let mut command = Command::new(env!("CARGO_BIN_EXE_phashdb"));
        command.args(args).current_dir(self.path()).env_remove("PHASHDB_DB").env_remove("NO_COLOR");
        command.env_remove("PHASHDB_NO_MMAP");
        Cli { command, stdin: Vec::new() }
    }

    /// Words of a command line, split at blanks.
    pub(crate) fn run(&self, line: &str) -> Done {
        self.phashdb(line.split_whitespace()).run()
    }

    /// Writes a file, an hour old: a younger one is not trusted to be unchanged by its time alone.
    pub(crate) fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("directories");
        let mut file = fs::File::create(&path).expect("a file");
        file.write_all(bytes).expect("written");
        file.set_modified(SystemTime::now() - Duration::from_secs(3600)).expect("a time");
        path
    }

    /// Writes a model of some tensors; different seeds give unrelated models.
    pub(crate) fn model(&self, name: &str, seed: u64) -> PathBuf {
        self.file(name, &model_bytes(seed))
    }
}

/// A command about to be run.
pub(crate) struct Cli {
    pub(crate) command: Command,
    stdin: Vec<u8>,
}

impl Cli {
    pub(crate) fn stdin(mut self, bytes: Vec<u8>) -> Self {
        self.stdin = bytes;
        self
    }

    pub(crate) fn run(mut self) -> Done {
        let line = format!("{:?}", self.command);
        self.command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self.command.spawn().expect("phashdb starts");
        let mut pipe = child.stdin.take().expect("a pipe");
        let bytes = std::mem::take(&mut self.stdin);
        // A command that does not read its input closes the pipe: no failure of the test.
        let writer = std::thread::spawn(move || _ = pipe.write_all(&bytes));
        let output = child.wait_with_output().expect("phashdb ends");
        writer.join().expect("written");
        Done { line, output }
    }
}

/// A command that has run.
pub(crate) struct Done {
    line: String,
    output: Output,
}

impl Done {
    /// Checks the exit status.
    #[track_caller]
    pub(crate) fn exits(&self, code: i32) -> &Self {
        assert_eq!(self.output.status.code(), Some(code), "exit status\n{}", self.explain());
        self
    }

    /// Checks that a text occurs in standard error.
    #[track_caller]
    pub(crate) fn says(&self, text: &str) -> &Self {
        assert!(self.stderr().contains(text), "standard error lacks {text:?}\n{}", self.explain());
        self
    }

    /// Checks that a text occurs in standard output.
    #[track_caller]
    pub(crate) fn prints(&self, text: &str) -> &Self {
        assert!(self.stdout().contains(text), "standard output lacks {text:?}\n{}", self.explain());
        self
    }

    /// Checks that standard error is empty.
    #[track_caller]
    pub(crate) fn is_silent(&self) -> &Self {
        assert_eq!(self.stderr(), "", "standard error\n{}", self.explain());
        self
    }

    pub(crate) fn stdout(&self) -> String {
        String::from_utf8(self.output.stdout.clone()).expect("UTF-8 on standard output")
    }

    pub(crate) fn stderr(&self) -> String {
        String::from_utf8(self.output.stderr.clone()).expect("UTF-8 on standard error")
    }

    /// Standard output as JSON Lines; each line must begin with its type.
    #[track_caller]
    pub(crate) fn records(&self) -> Vec<Value> {
        self.stdout()
            .lines()
            .map(|line| {
                assert!(line.starts_with("{\"type\":\""), "type is not first: {line}\n{}", self.explain());
                serde_json::from_str(line)
                    .unwrap_or_else(|error| panic!("{error}: {line}\n{}", self.explain()))
            })
            .collect()
    }

    /// The records of one type.
    #[track_caller]
    pub(crate) fn of_type(&self, kind: &str) -> Vec<Value> {
        self.records().into_iter().filter(|record| record["type"] == kind).collect()
    }

    pub(crate) fn explain(&self) -> String {
        let (out, err) =
            (String::from_utf8_lossy(&self.output.stdout), String::from_utf8_lossy(&self.output.stderr));
        format!("$ {}\n-- {}\n-- stdout\n{out}-- stderr\n{err}", self.line, self.output.status)
    }
}

/// Makes a named pipe.
#[cfg(unix)]
pub(crate) fn make_pipe(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().is_ok_and(|status| status.success()), "mkfifo");
}

/// Opens a named pipe for writing, as soon as the child has opened it for reading.
#[cfg(unix)]
pub(crate) fn open_pipe(path: &Path, child: &mut std::process::Child) -> fs::File {
    loop {
        // O_NONBLOCK, and ENXIO if nobody reads yet.
        let (nonblocking, nobody) = if cfg!(target_os = "linux") { (0o4000, 6) } else { (4, 6) };
        match fs::File::options().write(true).custom_flags(nonblocking).open(path) {
            Ok(pipe) => return pipe,
            Err(error) => assert_eq!(error.raw_os_error(), Some(nobody), "{error}"),
        }
        let ended = child.try_wait().expect("a child");
        assert!(ended.is_none(), "ended before it read: {ended:?}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A small generator (SplitMix64): the same numbers everywhere.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in 0..1.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Roughly normal: the sum of twelve uniform numbers less six.
    pub(crate) fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.unit()).sum::<f64>() - 6.0
    }
}

/// A tensor to be written.
pub(crate) struct Tensor {
    pub(crate) name: String,
    pub(crate) dtype: &'static str,
    pub(crate) shape: Vec<u64>,
    pub(crate) bytes: Vec<u8>,
}

/// A safetensors file of these tensors.
pub(crate) fn safetensors(tensors: &[Tensor]) -> Vec<u8> {
    let mut header = serde_json::Map::new();
    let (mut end, mut data) = (0, Vec::new());
    for tensor in tensors {
        let begin = end;
        end += tensor.bytes.len();
        let entry = json!({"dtype": tensor.dtype, "shape": tensor.shape, "data_offsets": [begin, end]});
        header.insert(tensor.name.clone(), entry);
        data.extend_from_slice(&tensor.bytes);
    }
    with_header(&Value::Object(header).to_string(), &data)
}

/// A safetensors file of this header and these data, whatever they say.
pub(crate) fn with_header(header: &str, data: &[u8]) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(header.as_bytes());
    bytes.extend_from_slice(data);
    bytes
}

/// F32 weights whose channels differ in energy, as those of trained networks do.
pub(crate) fn weights(random: &mut Random, rows: u64, columns: u64) -> Vec<u8> {
    let mut scales = |count: u64| (0..count).map(|_| (0.6 * random.normal()).exp()).collect::<Vec<f64>>();
    let (row_scales, column_scales) = (scales(rows), scales(columns));
    let mut bytes = Vec::new();
    for row in &row_scales {
        for column in &column_scales {
            #[expect(clippy::cast_possible_truncation, reason = "rounded to F32 on purpose")]
            let value = (0.05 * row * column * random.normal()) as f32;
            bytes.extend_from_slice(&value.to_le_bytes());
        }
    }
    bytes
}

/// The axes of a model's layers, each for one layer and for its transpose. Matrices of equal sizes share their features: three
/// sizes give enough of them not to be weak.
const LAYERS: [(u64, u64); 3] = [(192, 96), (256, 72), (384, 48)];

/// The tensors of a model with ample features for its size (about 450 kB).
pub(crate) fn tensors(seed: u64) -> Vec<Tensor> {
    let mut random = Random(seed);
    let mut tensors = Vec::new();
    for layer in 0..6 {
        let (long, short) = LAYERS[layer / 2];
        let (rows, columns) = if layer % 2 == 0 { (long, short) } else { (short, long) };
        let bytes = weights(&mut random, rows, columns);
        tensors.push(Tensor {
            name: format!("layers.{layer}.weight"),
            dtype: "F32",
            shape: vec![rows, columns],
            bytes,
        });
        let bytes = weights(&mut random, 1, rows);
        tensors.push(Tensor { name: format!("layers.{layer}.bias"), dtype: "F32", shape: vec![rows], bytes });
    }
    tensors
}

/// A model with ample features.
pub(crate) fn model_bytes(seed: u64) -> Vec<u8> {
    safetensors(&tensors(seed))
}
