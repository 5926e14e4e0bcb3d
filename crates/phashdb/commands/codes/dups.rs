//! `phashdb dups`: the groups of raw codes that lie near each other.

use std::time::Instant;

use phash_library::{CodeGroup, CodeLibrary};

use crate::args::DupsArgs;
use crate::commands::describe::warn_of_segments;
use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::hiargs::HiArgs;
use crate::output::table::{Column, DISTANCE, Grid, Tone};
use crate::output::{Output, Record, Value, number};
use crate::progress::Progress;

pub(crate) fn run(args: &DupsArgs, high: &HiArgs) -> Result<ExitStatus, Failure> {
    let started = Instant::now();
    let library = CodeLibrary::open_with(args.db.or(&high.db), high.reading)?;
    warn_of_segments(library.dir(), library.unusable_segments());
    let progress = Progress::of_codes("dups");
    progress.set_total(library.code_count().into());
    let done = |codes| progress.advance(codes);
    let groups = library.duplicates(args.radius, high.threads, &high.cancel, &done);
    drop(progress);
    let groups = groups?;
    let mut output = high.output();
    let mut grouped = 0;
    for (number, group) in (1u64..).zip(&groups) {
        grouped += group.members.len() as u64;
        show(&library, number, group, &mut output)?;
    }
    let (codes, seconds) = (library.code_count(), started.elapsed().as_secs_f64());
    output.record(|| {
        Record::new("summary")
            .with("codes", codes)
            .with("groups", groups.len())
            .with("grouped", grouped)
            .with("seconds", seconds)
    })?;
    output.text(|_| {
        format!(
            "{}, {} with {}, within {}; {}\n",
            number::counted(codes.into(), "code", "codes"),
            number::counted(groups.len() as u64, "group", "groups"),
            number::counted(grouped, "code", "codes"),
            number::counted(args.radius.into(), "bit", "bits"),
            number::seconds(seconds)
        )
    })?;
    output.finish()?;
    Ok(ExitStatus::found(!groups.is_empty()))
}

fn show(library: &CodeLibrary, number: u64, group: &CodeGroup, output: &mut Output) -> Result<(), Failure> {
    let members =
        group.members.iter().map(|&(id, distance_bits)| Ok((id, distance_bits, library.label(id)?)));
    let members: Vec<(u32, u32, Option<String>)> = members.collect::<phash_library::Result<_>>()?;
    if output.wants_rows() {
        for (id, distance_bits, label) in &members {
            output.record(|| {
                Record::new("member")
                    .with("group", number)
                    .with("id", *id)
                    .with("label", label.clone())
                    .with("distance_bits", *distance_bits)
            })?;
        }
        return Ok(());
    }
    output.record(|| {
        let members = members.iter().map(|(id, distance_bits, label)| {
            Value::object([
                ("id", Value::from(*id)),
                ("label", label.clone().into()),
                ("distance_bits", (*distance_bits).into()),
            ])
        });
        Record::new("group").with("members", Value::List(members.collect()))
    })?;
    output.text(|style| {
        let heading =
            format!("group {}: {} codes", number::count(number), number::count(members.len() as u64));
        let mut grid = Grid::new(style, &[DISTANCE, Column::right("id"), Column::left("label")]);
        for (place, (id, distance_bits, label)) in members.iter().enumerate() {
            let note = if place == 0 { "  (distances are to this one)" } else { "" };
            grid.row(&[
                (if place == 0 { Tone::Dim } else { Tone::Good }, distance_bits.to_string()),
                (Tone::Dim, id.to_string()),
                (Tone::Plain, format!("{}{note}", label.as_deref().unwrap_or_default())),
            ]);
        }
        format!("{}\n{}\n", style.paint(Tone::Head, &heading), grid.draw())
    })?;
    Ok(())
}
