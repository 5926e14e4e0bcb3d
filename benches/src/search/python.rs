//! Owns the contenders that are Python libraries: an environment with them under the target directory, and a process for
//! each (`benches/rivals/server.py`) that reads codes and queries from files and takes the times itself.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use phash_code::Code;
use phash_index::Match;
use serde_json::{Map, Value, json};

use super::contender::{Built, Contender, Fit, Skip, sorted};
use super::task::{How, Task};
use crate::codes::files::Filed;

const SERVER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/rivals/server.py");
const REQUIREMENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/rivals/requirements.txt");

/// An environment with the libraries.
#[derive(Clone, Debug)]
pub(super) struct Environment {
    python: PathBuf,
    /// Where answers are written.
    scratch: PathBuf,
}

impl Environment {
    /// The environment in `dir`, made and filled unless it was before; if it must not be made, the one that is there.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) fn at(dir: &Path, make: bool) -> Result<Self, Skip> {
        let (venv, scratch) = (dir.join("venv"), dir.to_owned());
        let (python, done) = (venv.join("bin").join("python"), venv.join("requirements.txt"));
        let wanted = fs::read_to_string(REQUIREMENTS)?;
        if !fs::read_to_string(&done).is_ok_and(|installed| installed == wanted) {
            if !make {
                return Err(Skip(
                    "the Python libraries are not installed, and this run installs none".to_owned(),
                ));
            }
            fs::create_dir_all(dir)?;
            run(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
            let pip = ["-m", "pip", "install", "--quiet", "--only-binary", ":all:", "-r", REQUIREMENTS];
            run(Command::new(&python).args(pip))?;
            fs::write(done, wanted)?;
        }
        Ok(Self { python, scratch })
    }

    fn serve(&self) -> Result<Server, Skip> {
        let mut command = Command::new(&self.python);
        let mut child = command.arg(SERVER).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        match (child.stdin.take(), child.stdout.take()) {
            (Some(input), Some(output)) => {
                Ok(Server { child, input: Some(input), output: BufReader::new(output) })
            }
            _ => Err(Skip("no pipes to the Python process".to_owned())),
        }
    }
}

fn run(command: &mut Command) -> Result<(), Skip> {
    let output = command.output()?;
    if output.status.success() {
        return Ok(());
    }
    let error = String::from_utf8_lossy(&output.stderr);
    Err(Skip(format!("{command:?}: {}", error.lines().last().unwrap_or_default())))
}

/// The process; ended when dropped.
struct Server {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Server {
    fn ask(&mut self, request: &Value) -> Result<Map<String, Value>, Skip> {
        let gone = || Skip("the Python process is gone (out of memory?)".to_owned());
        let input = self.input.as_mut().ok_or_else(gone)?;
        if writeln!(input, "{request}").is_err() {
            return Err(gone());
        }
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        let Ok(Value::Object(reply)) = serde_json::from_str(&line) else { return Err(gone()) };
        match reply.get("error") {
            Some(error) => Err(Skip(error.as_str().unwrap_or("unknown error").to_owned())),
            None => Ok(reply),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // At the end of its input it ends by itself.
        self.input = None;
        let _ = self.child.wait();
    }
}

/// One library, one way.
pub(super) struct Library {
    environment: Environment,
    kind: Kind,
}

/// Which library, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// faiss, `IndexBinaryFlat`: its scan.
    FaissFlat,
    /// faiss, `IndexBinaryMultiHash` of so many tables over so many bits each, with the flips that make it exact.
    FaissMultiHash {
        /// How many tables.
        tables: u32,
        /// Bits of each.
        len_bits: u32,
    },
    /// usearch, `exact=True`: its scan, nearest only.
    Usearch,
    /// numkong's kernels with numpy picking.
    Numkong,
}

impl Library {
    /// That library in that environment.
    #[must_use]
    pub(super) fn new(environment: &Environment, kind: Kind) -> Self {
        Self { environment: environment.clone(), kind }
    }
}

impl<const W: usize> Contender<W> for Library {
    fn name(&self) -> String {
        match self.kind {
            Kind::FaissFlat => "faiss flat".to_owned(),
            Kind::FaissMultiHash { tables, len_bits } => format!("faiss multihash {tables}x{len_bits}"),
            Kind::Usearch => "usearch exact".to_owned(),
            Kind::Numkong => "numkong".to_owned(),
        }
    }

    fn can(&self, task: Task, how: How) -> bool {
        match (self.kind, task) {
            _ if how == How::Again => false,
            // Beyond three flips a table a query takes seconds.
            (Kind::FaissMultiHash { tables, .. }, Task::Within(radius_bits)) => radius_bits / tables <= 4,
            // Its nearest are not exact.
            (Kind::FaissMultiHash { .. }, Task::Nearest(_)) => false,
            (Kind::Usearch, Task::Within(_)) => false,
            (Kind::Numkong, _) => !matches!(how, How::Batch { threads: 2.. }),
            (Kind::FaissFlat | Kind::Usearch, _) => true,
        }
    }

    fn building_bytes_a_code(&self) -> f64 {
        let codes = Code::<W>::BYTES as f64;
        match self.kind {
            Kind::FaissMultiHash { tables, len_bits } => {
                2.0 * codes + f64::from(tables) * if len_bits > 16 { 36.0 } else { 18.0 }
            }
            Kind::FaissFlat => 2.0 * codes,
            Kind::Usearch => codes,
            // A copy in its own order, and distances of eight queries.
            Kind::Numkong => 2.0 * codes + 80.0,
        }
    }

    fn build<'d>(&'d self, filed: &'d Filed<W>, threads: usize) -> Result<Fit<'d, W>, Skip> {
        let mut server = self.environment.serve()?;
        let kind = match self.kind {
            Kind::FaissFlat => "faiss flat",
            Kind::FaissMultiHash { .. } => "faiss multihash",
            Kind::Usearch => "usearch",
            Kind::Numkong => "numkong",
        };
        let mut request = json!({
            "do": "build", "kind": kind, "bits": Code::<W>::BITS, "n": filed.data.codes.len(), "threads": threads,
            "codes": filed.codes_path, "queries": filed.queries_path,
        });
        if let Kind::FaissMultiHash { tables, len_bits } = self.kind {
            request["tables"] = tables.into();
            request["len_bits"] = len_bits.into();
        }
        let reply = server.ask(&request)?;
        let build_s = reply.get("build_s").and_then(Value::as_f64).unwrap_or(f64::NAN);
        let memory_bytes = reply.get("memory_bytes").and_then(Value::as_u64).unwrap_or(0);
        let out = self.environment.scratch.join(format!("answers-{}", server.child.id()));
        let built = Box::new(Served { server, out, codes: &filed.data.codes, queries: &filed.data.queries });
        Ok(Fit { built, build_s, memory_bytes, peak_bytes: None })
    }
}

struct Served<'d, const W: usize> {
    server: Server,
    out: PathBuf,
    codes: &'d [Code<W>],
    queries: &'d [Code<W>],
}

fn request(what: &str, task: Task, count: usize) -> Value {
    match task {
        Task::Within(radius_bits) => {
            json!({"do": what, "count": count, "task": "within", "bits": radius_bits})
        }
        Task::Nearest(k) => json!({"do": what, "count": count, "task": "nearest", "k": k}),
    }
}

impl<const W: usize> Built<W> for Served<'_, W> {
    fn answers(&mut self, task: Task, _how: How, count: usize) -> Result<Vec<Vec<Match>>, Skip> {
        let mut question = request("answer", task, count);
        question["out"] = json!(self.out);
        self.server.ask(&question)?;
        let bytes = fs::read(&self.out)?;
        fs::remove_file(&self.out)?;
        let mut numbers = bytes.as_chunks::<4>().0.iter().map(|bytes| u32::from_le_bytes(*bytes));
        let mut next = || numbers.next().ok_or_else(|| Skip("the file of answers is too short".to_owned()));
        let mut answers = Vec::new();
        for query in &self.queries[..count] {
            let len = next()?;
            let ids: Vec<u32> = (0..len).map(|_| next()).collect::<Result<_, _>>()?;
            let mut matches = Vec::new();
            for id in ids {
                let distance_bits = next()?;
                // Distances are ours to check, because an order by ties alone cannot be compared.
                let code = self.codes.get(id as usize).ok_or_else(|| Skip(format!("found id {id}")))?;
                if query.distance(code) != distance_bits {
                    return Err(Skip(format!(
                        "gives distance {distance_bits}, not {}",
                        query.distance(code)
                    )));
                }
                matches.push(Match { distance_bits, id });
            }
            answers.push(sorted(matches));
        }
        Ok(answers)
    }

    fn time(&mut self, task: Task, how: How, count: usize) -> Result<Vec<f64>, Skip> {
        let mut question = request("time", task, count);
        question["one"] = (how == How::One).into();
        question["threads"] = if let How::Batch { threads } = how { threads.into() } else { 1.into() };
        let reply = self.server.ask(&question)?;
        let times = reply.get("ns").and_then(Value::as_array).into_iter().flatten();
        Ok(times.filter_map(Value::as_f64).collect())
    }
}
