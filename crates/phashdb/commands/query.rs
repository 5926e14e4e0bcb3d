//! `phashdb query`: the stored models that match weights files, a code or a stored model.

use std::str::FromStr as _;
use std::time::Instant;

use phash_library::{
    AnyLibrary, CodeLibrary, Hit, Library, MATCH_E_VALUE, Mode, ModelCode, Query, Verdict, View,
};

use super::describe::{
    TellingViews, closeness_cells, no_views, per_view, verdict_tone, view_columns, views, warn_of_segments,
    weak_remark,
};
use super::explain;
use super::files::{for_each_file, unless_no_code};
use crate::args::QueryArgs;
use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::hiargs::HiArgs;
use crate::message;
use crate::output::table::{Column, DISTANCE, E_VALUE, Grid, Style, Tone};
use crate::output::{Format, Output, Record, Value, number};

pub(super) fn run(args: &QueryArgs, high: &HiArgs) -> Result<ExitStatus, Failure> {
    if args.tensors {
        return super::parts::run(args, high);
    }
    let started = Instant::now();
    if args.explain && high.format == Format::Csv {
        return Err(Failure::Usage("--explain: plans are no rows of a table; use --format jsonl".to_owned()));
    }
    if args.codes_from.is_some() {
        return super::codes::query::run(
            &CodeLibrary::open_with(&high.db, high.reading)?,
            args,
            high,
            started,
        );
    }
    if args.files.is_empty() && args.view.is_none() {
        // What a code or an id means depends on what the database holds.
        return match AnyLibrary::open_with(&high.db, high.reading)? {
            AnyLibrary::Codes(library) => super::codes::query::run(&library, args, high, started),
            AnyLibrary::Models(_) if args.code.is_some() => Err(Failure::Usage(
                "--code: in a library of models a code needs its view: --view VIEW".to_owned(),
            )),
            AnyLibrary::Models(library) => search_models(library, args, high, started),
        };
    }
    // Before the library is opened: a mistake in the arguments is the same with any library.
    args.code.as_deref().map(parse_code).transpose()?;
    mode(args)?;
    search_models(Library::open_with(&high.db, high.reading)?, args, high, started)
}

fn search_models(
    library: Library,
    args: &QueryArgs,
    high: &HiArgs,
    started: Instant,
) -> Result<ExitStatus, Failure> {
    let code = args.code.as_deref().map(parse_code).transpose()?;
    let mode = mode(args)?;
    let searched = args.view.map_or_else(|| View::ALL.to_vec(), |view| vec![view]);
    warn_of_segments(library.dir(), library.unusable_segments());
    let mut run = Run {
        library,
        mode,
        searched,
        output: high.output(),
        explain: args.explain,
        queries: 0,
        matches: 0,
        shown: Shown::default(),
        failed: false,
    };
    if let Some((code, view)) = code.zip(args.view) {
        run.search(&Query::by_code(view, code), false)?;
    } else if let Some(id) = args.id {
        let query = run.library.query_for_id(id)?;
        let row = run.library.reader().model(id).map_err(phash_library::Error::from)?;
        if row.is_some_and(|row| row.weak) {
            message::warning(&format!("{}: {}", query.name, weak_remark()));
        }
        run.search(&query, false)?;
    } else {
        run.search_files(args, high)?;
    }
    run.finish(started)
}

fn parse_code(hex: &str) -> Result<ModelCode, Failure> {
    ModelCode::from_str(hex)
        .map_err(|error| Failure::Usage(format!("--code: {error}; print codes with phashdb hash")))
}

fn mode(args: &QueryArgs) -> Result<Mode, Failure> {
    Ok(match (args.radius, args.top_k, args.e_value) {
        (Some(got_bits), ..) if got_bits > phash_library::CODE_BITS => {
            return Err(phash_library::Error::RadiusTooLarge {
                got_bits,
                limit_bits: phash_library::CODE_BITS,
            }
            .into());
        }
        (Some(radius_bits), ..) => Mode::Radius(radius_bits),
        (None, Some(k), _) => Mode::TopK(k),
        (None, None, Some(max)) => Mode::EValue(max),
        (None, None, None) => Mode::default(),
    })
}

struct Run {
    library: Library,
    mode: Mode,
    searched: Vec<View>,
    output: Output,
    explain: bool,
    queries: u64,
    matches: u64,
    shown: Shown,
    failed: bool,
}

/// What the tables have shown, for the legend below them.
#[derive(Default)]
struct Shown {
    telling: TellingViews,
    weak: bool,
}

impl Run {
    fn search_files(&mut self, args: &QueryArgs, high: &HiArgs) -> Result<(), Failure> {
        let headed = args.files.len() > 1;
        self.failed |= for_each_file("hash", &args.files, high, |file| {
            if file.hash.is_weak() {
                message::warning(&format!("{}: {}", file.name, weak_remark()));
            }
            self.search(&Query::from(&file), headed)
        })?;
        Ok(())
    }

    fn search(&mut self, query: &Query, headed: bool) -> Result<(), Failure> {
        let found = self.library.query(query, self.mode, &self.searched);
        let Some(hits) = unless_no_code(found, &mut self.failed)? else { return Ok(()) };
        self.queries += 1;
        self.matches += hits.len() as u64;
        for hit in &hits {
            self.shown.weak |= hit.weak;
            self.shown.telling.note(hit.closeness.view, &hit.views);
            self.output.record(|| record(query, hit))?;
        }
        self.output.text(|style| draw(style, query, &hits, headed))?;
        if self.explain {
            for search in self.library.explain(query, self.mode, &self.searched)? {
                let number = self.queries;
                self.output.record(|| explain::record(number, &query.name, &search))?;
                self.output.text(|style| explain::draw(style, &search))?;
            }
        }
        self.output.flush()?;
        Ok(())
    }

    fn finish(mut self, started: Instant) -> Result<ExitStatus, Failure> {
        let seconds = started.elapsed().as_secs_f64();
        let (matches, searched) = (self.matches, self.library.model_count());
        self.output.record(|| {
            Record::new("summary")
                .with("matches", matches)
                .with("searched", searched)
                .with("seconds", seconds)
        })?;
        let shown = self.shown;
        self.output.text(|style| {
            let mut text = shown.telling.legend(style);
            if shown.weak {
                text += &format!("{}\n", style.paint(Tone::Dim, &weak_remark()));
            }
            text + &format!(
                "{} among {} in {}\n",
                number::counted(matches, "match", "matches"),
                number::counted(searched.into(), "model", "models"),
                number::seconds(seconds)
            )
        })?;
        self.output.finish()?;
        Ok(ExitStatus::found(matches > 0).or_error_if(self.failed))
    }
}

fn record(query: &Query, hit: &Hit) -> Record {
    Record::new("match")
        .with("query", query.name.as_str())
        .with("id", hit.id)
        .with("label", hit.label.as_str())
        .with("distance_bits", hit.closeness.distance_bits)
        .with("view", hit.closeness.view.name())
        .with("e_value", hit.closeness.e_value)
        .with("views", per_view(&hit.views))
        .with("features", Value::object(hit.features.iter().map(|(view, count)| (view.name(), *count))))
        .with("identical", hit.identical)
        .with("weak", hit.weak)
        .with("superseded", hit.superseded)
        .with("also", Value::list(hit.also.iter().map(String::as_str)))
        .with("relation", hit.verdict.name())
        .with("path", hit.path.as_str())
}

/// The relation in a word; a match by chance alone is none.
fn relation(hit: &Hit) -> &'static str {
    match hit.verdict {
        Verdict::Unrelated if hit.closeness.e_value <= MATCH_E_VALUE => "possibly related",
        verdict => verdict.name(),
    }
}

fn draw(style: &Style, query: &Query, hits: &[Hit], headed: bool) -> String {
    let mut text = String::new();
    if headed {
        text += &format!("{}\n", style.paint(Tone::Head, &query.name));
    }
    if hits.is_empty() {
        if headed {
            text += &format!("  {}\n\n", style.paint(Tone::Dim, "no match"));
        }
        return text;
    }
    let mut columns = vec![DISTANCE, E_VALUE];
    columns.extend(view_columns());
    columns.extend([Column::left("relation"), Column::right("id"), Column::left("model")]);
    let mut grid = Grid::new(style, &columns);
    for hit in hits {
        let mut notes = Vec::new();
        notes.extend(hit.weak.then_some("weak"));
        notes.extend(hit.superseded.then_some("superseded"));
        let notes = if notes.is_empty() { String::new() } else { format!("  ({})", notes.join(", ")) };
        let mut cells = closeness_cells(&hit.closeness).to_vec();
        cells.extend(views(hit.closeness.view, &hit.views));
        cells.push((verdict_tone(hit.verdict), relation(hit).to_owned()));
        cells.push((Tone::Dim, hit.id.to_string()));
        cells.push((Tone::Plain, format!("{}{notes}", hit.label)));
        grid.row(&cells);
        let blank = || (Tone::Plain, String::new());
        for label in &hit.also {
            let mut cells = vec![blank(), blank()];
            cells.extend(no_views());
            cells.extend([blank(), blank(), (Tone::Dim, format!("also {label}"))]);
            grid.row(&cells);
        }
    }
    text += &grid.draw();
    text.push('\n');
    text
}
