//! `phashdb hash FILE...`: codes, features and digests of weights files, without a library.

use phash_library::{HashedFile, PerView, TensorInfo, View, ViewHash, hash_files};

use super::describe::{note_sample, read_name, weak_remark};
use crate::args::HashArgs;
use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::hiargs::HiArgs;
use crate::inputs::{inputs, total_bytes};
use crate::message;
use crate::output::table::{Column, Grid, Style, Tone};
use crate::output::{Output, Record, Value, number};
use crate::progress::Progress;

/// The columns of CSV: the same whatever the first file is. Where rows of models and of tensors alternate, those that both
/// have, and what tells tensors apart.
fn columns(with_tensors: bool) -> Vec<String> {
    let (before, after): (&[&str], &[&str]) = if with_tensors {
        (&["type", "path", "name", "dtype", "shape"], &["skipped", "content_digest"])
    } else {
        (
            &["type", "path", "bits"],
            &[
                "weak",
                "tensors_used",
                "tensors_skipped",
                "skipped_reasons",
                "file_digest",
                "content_digest",
                "read",
                "format",
                "len_bytes",
            ],
        )
    };
    let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    let views = View::ALL
        .into_iter()
        .flat_map(|view| ["code", "features"].map(|field| format!("views.{view}.{field}")));
    [names(before), views.collect(), names(after)].concat()
}

pub(super) fn run(args: &HashArgs, high: &HiArgs) -> Result<ExitStatus, Failure> {
    let mut output = high.output();
    output.columns(&columns(args.tensors).iter().map(String::as_str).collect::<Vec<_>>());
    let inputs = inputs(&args.files)?;
    let progress = Progress::new("hash");
    progress.set_total(total_bytes(&inputs));
    let advance = |bytes| progress.advance(bytes);
    let hashing = high.hashing(&advance);
    let (mut failed, mut weak, mut printing) = (false, false, Ok(()));
    hash_files(inputs, &hashing, |result| match result {
        Ok(file) => {
            weak |= file.hash.is_weak();
            progress.suspend(|| note_sample(&file));
            if printing.is_ok() {
                printing = progress.suspend(|| print(&mut output, &file, args.tensors));
            }
        }
        Err(error) => {
            failed = true;
            progress.suspend(|| message::error(&error.to_string()));
        }
    })?;
    drop(progress);
    printing?;
    if weak {
        output.text(|style| format!("{}\n", style.paint(Tone::Dim, &weak_remark())))?;
    }
    output.finish()?;
    Ok(ExitStatus::Success.or_error_if(failed))
}

fn print(output: &mut Output, file: &HashedFile, with_tensors: bool) -> std::io::Result<()> {
    output.record(|| record(file))?;
    output.text(|style| draw(style, file, with_tensors))?;
    if with_tensors {
        for (info, hash) in file.tensors.iter().zip(&file.hash.tensors) {
            output.record(|| {
                tensor_record(file, info, &hash.views)
                    .with("skipped", hash.skipped.map(|reason| reason.name()))
                    .with("bytes_digest", hash.bytes_digest.to_string())
            })?;
        }
    }
    output.flush()
}

fn record(file: &HashedFile) -> Record {
    let hash = &file.hash;
    let skipped = hash.tensors_skipped();
    Record::new("hash")
        .with("path", file.name.as_str())
        .with("bits", phash_library::CODE_BITS)
        .with("views", views(&hash.views))
        .with("weak", hash.is_weak())
        .with("tensors_used", hash.tensors_used())
        .with("tensors_skipped", skipped.values().sum::<usize>())
        .with("skipped_reasons", Value::object(skipped.iter().map(|(reason, count)| (reason.name(), *count))))
        .with("file_digest", file.file_digest.to_string())
        .with("content_digest", hash.content_digest.to_string())
        .with("read", read_name(hash.sampled))
        .with("format", file.format)
        .with("len_bytes", file.stamp.len_bytes)
}

fn tensor_record(file: &HashedFile, info: &TensorInfo, hashes: &PerView<ViewHash>) -> Record {
    Record::new("tensor")
        .with("path", file.name.as_str())
        .with("name", info.name.as_str())
        .with("dtype", info.dtype.name())
        .with("shape", Value::list(info.shape.iter().copied()))
        .with("views", views(hashes))
}

fn views(hashes: &PerView<ViewHash>) -> Value {
    Value::object(hashes.iter().map(|(view, hash)| {
        let code = hash.code.map(|code| code.to_string());
        (view.name(), Value::object([("code", Value::from(code)), ("features", hash.features.into())]))
    }))
}

fn draw(style: &Style, file: &HashedFile, with_tensors: bool) -> String {
    let hash = &file.hash;
    let weak = if hash.is_weak() { format!("  {}", style.paint(Tone::Care, "weak")) } else { String::new() };
    let mut text = format!("{}{weak}\n", style.paint(Tone::Head, &file.name));
    let mut line = |name: &str, value: &str| {
        text += &format!("  {} {value}\n", style.paint(Tone::Dim, &format!("{name:<8}")));
    };
    for (view, hash) in hash.views.iter() {
        let features = number::counted(hash.features.into(), "feature", "features");
        match hash.code {
            Some(code) => {
                line(view.name(), &format!("{}  {features}", style.paint(Tone::Number, &code.to_string())))
            }
            None => line(view.name(), "no code: no features"),
        }
    }
    let reasons: Vec<String> =
        hash.tensors_skipped().iter().map(|(reason, count)| format!("{count} {reason}")).collect();
    let skipped =
        if reasons.is_empty() { String::new() } else { format!(", skipped: {}", reasons.join(", ")) };
    line("tensors", &format!("{} used{skipped}", hash.tensors_used()));
    line("contents", &hash.content_digest.to_string());
    line("file", &file.file_digest.to_string());
    if with_tensors {
        text += &draw_tensors(style, file);
    }
    text
}

/// The tensors, a line for each view that gave a code.
fn draw_tensors(style: &Style, file: &HashedFile) -> String {
    let mut grid = Grid::new(
        style,
        &[
            Column::left("type"),
            Column::left("shape"),
            Column::left("tensor"),
            Column::left("view"),
            Column::right("features"),
            Column::left("code"),
        ],
    );
    for (info, hash) in file.tensors.iter().zip(&file.hash.tensors) {
        let mut about = [
            (Tone::Dim, info.dtype.name().to_owned()),
            (Tone::Plain, number::shape(&info.shape)),
            (Tone::Plain, info.name.clone()),
        ];
        let mut line = |view: &str, features: &str, code: (Tone, String)| {
            let [dtype, shape, name] =
                std::mem::replace(&mut about, [(); 3].map(|()| (Tone::Plain, String::new())));
            grid.row(&[
                dtype,
                shape,
                name,
                (Tone::Dim, view.to_owned()),
                (Tone::Plain, features.to_owned()),
                code,
            ]);
        };
        let codes = hash.views.iter().filter_map(|(view, hash)| Some((view, hash.features, hash.code?)));
        let mut codes = codes.peekable();
        if codes.peek().is_none() {
            line("", "", (Tone::Dim, hash.skipped.map_or("no features", |reason| reason.name()).to_owned()));
        }
        for (view, features, code) in codes {
            line(view.name(), &number::count(features.into()), (Tone::Number, code.to_string()));
        }
    }
    grid.draw()
}
