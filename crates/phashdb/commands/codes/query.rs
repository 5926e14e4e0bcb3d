//! `phashdb query` of a database of raw codes: the stored codes near a code, those near a stored one, or those near each
//! code of a file.

use std::path::Path;
use std::time::Instant;

use phash_library::{CodeLibrary, CodeMode, Match, Matches, RawCode};

use super::super::explain;
use super::{columns, open_input};
use crate::args::QueryArgs;
use crate::commands::describe::warn_of_segments;
use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::hiargs::HiArgs;
use crate::output::table::{Column, DISTANCE, Grid, Style, Tone};
use crate::output::{Output, Record, number};

/// Codes reported if nothing else is asked for.
const NEAREST: usize = 10;
/// Queries of a file that are answered together.
const BATCH: usize = 256;

/// One query.
struct Query {
    /// Counted from 1.
    number: u64,
    /// The label it was given with, or else the code.
    name: String,
    code: RawCode,
    /// A stored code that is not to be reported: the query itself.
    except: Option<u32>,
}

pub(crate) fn run(
    library: &CodeLibrary,
    args: &QueryArgs,
    high: &HiArgs,
    started: Instant,
) -> Result<ExitStatus, Failure> {
    if args.e_value.is_some() {
        return Err(Failure::Usage(
            "--e-value: nobody knows how raw codes are spread; give --radius or -k".to_owned(),
        ));
    }
    let mode = match (args.radius, args.top_k) {
        (Some(radius_bits), _) => CodeMode::Radius(radius_bits),
        (None, k) => CodeMode::Nearest(k.unwrap_or(NEAREST)),
    };
    library.check_mode(mode)?;
    let code = args.code.as_deref().map(|text| parse_code(library, text)).transpose()?;
    warn_of_segments(library.dir(), library.unusable_segments());
    let mut output = high.output();
    output.columns(&["type", "query_number", "query", "id", "label", "distance_bits", "code"]);
    let mut run = Run {
        library,
        mode,
        high,
        headed: args.codes_from.is_some(),
        explain: args.explain,
        output,
        queries: 0,
        answered: 0,
        matches: 0,
    };
    if let Some(path) = &args.codes_from {
        run.search_file(path, args)?;
    } else if let Some(code) = code {
        run.search(&[Query { number: 1, name: code.to_string(), code, except: None }])?;
    } else if let Some(id) = args.id {
        let code = library.code_of(id)?;
        run.search(&[Query { number: 1, name: format!("id {id}"), code, except: Some(id) }])?;
    }
    run.finish(started)
}

fn parse_code(library: &CodeLibrary, text: &str) -> Result<RawCode, Failure> {
    let width = library.width();
    RawCode::from_hex(width, text.as_bytes()).map_err(|error| {
        Failure::Usage(format!("--code: {error}; this database has codes of {} bits", width.bits()))
    })
}

struct Run<'a> {
    library: &'a CodeLibrary,
    mode: CodeMode,
    high: &'a HiArgs,
    /// Whether each query gets a heading.
    headed: bool,
    explain: bool,
    output: Output,
    queries: u64,
    /// Queries with a match.
    answered: u64,
    matches: u64,
}

impl Run<'_> {
    fn search_file(&mut self, path: &Path, args: &QueryArgs) -> Result<(), Failure> {
        let input = open_input(path, &args.input)?;
        let width = self.library.width();
        let (mut batch, mut number, mut failure) = (Vec::new(), 0, None);
        let read = input.for_each(width, &columns(&args.input), &|_| {}, &mut |entry| {
            let Some(code) = RawCode::from_bytes(width, entry.code) else { return Ok(()) };
            number += 1;
            let name = entry.label.map_or_else(|| code.to_string(), str::to_owned);
            batch.push(Query { number, name, code, except: None });
            if batch.len() >= BATCH {
                if let Err(error) = self.search(&batch) {
                    failure = Some(error);
                    return Err(phash_library::Error::Cancelled);
                }
                batch.clear();
            }
            Ok(())
        });
        if let Some(failure) = failure {
            return Err(failure);
        }
        // What comes before a mistake in the file is answered.
        self.search(&batch)?;
        if read.is_err() {
            self.output.finish()?;
        }
        read?;
        Ok(())
    }

    fn search(&mut self, queries: &[Query]) -> Result<(), Failure> {
        if self.high.cancelled() {
            return Err(phash_library::Error::Cancelled.into());
        }
        let codes: Vec<RawCode> = queries.iter().map(|query| query.code).collect();
        let excepted = queries.iter().any(|query| query.except.is_some());
        let mode = match self.mode {
            // One more, in place of the query itself.
            CodeMode::Nearest(k) if excepted => CodeMode::Nearest(k.saturating_add(1)),
            mode => mode,
        };
        let answers = self.library.search(&codes, mode, self.high.threads)?;
        for (query, mut answer) in queries.iter().zip(answers) {
            answer.matches.retain(|found| Some(found.id) != query.except);
            if let CodeMode::Nearest(k) = self.mode {
                answer.matches.truncate(k);
            }
            self.show(query, &answer)?;
        }
        self.output.flush()?;
        Ok(())
    }

    fn show(&mut self, query: &Query, answer: &Matches) -> Result<(), Failure> {
        self.queries += 1;
        self.answered += u64::from(!answer.matches.is_empty());
        self.matches += answer.matches.len() as u64;
        let found = answer.matches.iter().map(|found| Ok((*found, self.library.label(found.id)?)));
        let found: Vec<(Match, Option<String>)> = found.collect::<phash_library::Result<_>>()?;
        let library = self.library;
        for (found, label) in &found {
            self.output.record(|| {
                Record::new("match")
                    .with("query_number", query.number)
                    .with("query", query.name.as_str())
                    .with("id", found.id)
                    .with("label", label.clone())
                    .with("distance_bits", found.distance_bits)
                    .with("code", library.code(found.id).map(|code| code.to_string()))
            })?;
        }
        let headed = self.headed;
        self.output.text(|style| draw(style, library, query, &found, headed))?;
        if self.explain
            && let Some(search) = library.explain(&query.code, self.mode)?
        {
            self.output.record(|| explain::record(query.number, &query.name, &search))?;
            self.output.text(|style| explain::draw(style, &search))?;
        }
        Ok(())
    }

    fn finish(mut self, started: Instant) -> Result<ExitStatus, Failure> {
        let seconds = started.elapsed().as_secs_f64();
        let (queries, answered, matches) = (self.queries, self.answered, self.matches);
        let searched = self.library.code_count();
        self.output.record(|| {
            Record::new("summary")
                .with("queries", queries)
                .with("answered", answered)
                .with("matches", matches)
                .with("searched", searched)
                .with("seconds", seconds)
        })?;
        let headed = self.headed;
        self.output.text(|_| {
            let of = if headed {
                let queries = number::counted(queries, "query", "queries");
                format!(" of {} of {queries}", number::count(answered))
            } else {
                String::new()
            };
            format!(
                "{}{of} among {} in {}\n",
                number::counted(matches, "match", "matches"),
                number::counted(searched.into(), "code", "codes"),
                number::seconds(seconds)
            )
        })?;
        self.output.finish()?;
        Ok(ExitStatus::found(matches > 0))
    }
}

fn draw(
    style: &Style,
    library: &CodeLibrary,
    query: &Query,
    found: &[(Match, Option<String>)],
    headed: bool,
) -> String {
    let mut text = String::new();
    if headed {
        text += &format!("{}\n", style.paint(Tone::Head, &query.name));
        if found.is_empty() {
            return text + &format!("  {}\n\n", style.paint(Tone::Dim, "no match"));
        }
    }
    if found.is_empty() {
        return text;
    }
    let columns = [DISTANCE, Column::right("id"), Column::left("code").spare(), Column::left("label")];
    let mut grid = Grid::new(style, &columns);
    for (found, label) in found {
        let code = library.code(found.id).map(|code| code.to_string());
        grid.row(&[
            (
                if found.distance_bits == 0 { Tone::Good } else { Tone::Number },
                found.distance_bits.to_string(),
            ),
            (Tone::Dim, found.id.to_string()),
            (Tone::Dim, code.unwrap_or_default()),
            (Tone::Plain, label.clone().unwrap_or_default()),
        ]);
    }
    text + &grid.draw() + "\n"
}
