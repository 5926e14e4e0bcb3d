//! `query --explain`: what the planner chose for a search and why, and what the search then took.

use std::fmt::Write as _;

use phash_library::{CodeMode, ExplainedSearch, Plan, SegmentPlan};

use crate::output::table::{Style, Tone};
use crate::output::{Record, Value, number};

/// The record of one search of a query.
pub(super) fn record(query_number: u64, query: &str, search: &ExplainedSearch) -> Record {
    let (radius, nearest) = match search.mode {
        CodeMode::Radius(bits) => (Some(bits), None),
        CodeMode::Nearest(k) => (None, Some(k)),
    };
    let stats = &search.stats;
    Record::new("explain")
        .with("query_number", query_number)
        .with("query", query)
        .with("view", search.view.as_str())
        .with("radius_bits", radius)
        .with("nearest", nearest)
        .with("plan", word(stats.plan))
        .with("plan_radius_bits", search.plan.radius_bits)
        .with("segments", Value::List(search.plan.segments.iter().map(segment).collect()))
        .with("unindexed", search.plan.unindexed)
        .with("tables", stats.tables)
        .with("probes", stats.probes)
        .with("candidates", stats.candidates)
        .with("compared", stats.compared)
        .with("verified", stats.verified)
        .with("scanned", stats.scanned)
        .with("damaged_segments", stats.damaged_segments)
        .with("matches", search.matches)
        .with("first_us", search.first_seconds * 1e6)
        .with("us", search.seconds * 1e6)
}

fn segment(plan: &SegmentPlan) -> Value {
    let tables = plan.tables.iter().map(|&(len_bits, shells)| {
        let farthest = shells.checked_sub(1);
        Value::object([("substring_bits", Value::from(len_bits)), ("probed_to_bits", farthest.into())])
    });
    Value::object([
        ("ids", Value::list([plan.ids.start, plan.ids.end])),
        ("plan", word(plan.plan).into()),
        ("tables", Value::List(tables.collect())),
        ("probes", plan.probes.into()),
        ("expected_candidates", plan.expected_candidates.into()),
        ("expected_index_us", (plan.index_ns / 1e3).into()),
        ("expected_scan_us", (plan.otherwise_ns / 1e3).into()),
        ("damaged", plan.damaged.into()),
    ])
}

fn word(plan: Plan) -> &'static str {
    match plan {
        Plan::Scan => "scan",
        Plan::Index => "index",
        Plan::Mixed => "mixed",
        _ => "other",
    }
}

/// The same for people.
pub(super) fn draw(style: &Style, search: &ExplainedSearch) -> String {
    let wanted = match search.mode {
        CodeMode::Radius(bits) => format!("within {}", number::counted(bits.into(), "bit", "bits")),
        CodeMode::Nearest(k) => format!(
            "the {} nearest, the farthest of them at {}",
            number::count(k as u64),
            number::counted(search.plan.radius_bits.into(), "bit", "bits")
        ),
    };
    let mut text = format!("{}\n", style.paint(Tone::Head, &format!("plan, view {}: {wanted}", search.view)));
    for segment in &search.plan.segments {
        draw_segment(&mut text, segment);
    }
    if search.plan.unindexed > 0 {
        let codes = number::counted(search.plan.unindexed, "code", "codes");
        let _ = writeln!(text, "  {codes} not indexed: each is compared");
    }
    let stats = &search.stats;
    let _ = writeln!(
        text,
        "  took {} ({} the first time): {} looked up, {} found there, {} compared, {} fetched and verified, {} compared by scanning; {}\n",
        number::microseconds(search.seconds * 1e6),
        number::microseconds(search.first_seconds * 1e6),
        number::counted(stats.probes, "bucket", "buckets"),
        number::counted(stats.candidates, "candidate", "candidates"),
        number::count(stats.compared),
        number::count(stats.verified),
        number::counted(stats.scanned, "code", "codes"),
        number::counted(search.matches as u64, "match", "matches"),
    );
    text
}

fn draw_segment(text: &mut String, segment: &SegmentPlan) {
    let ids = format!(
        "ids {} to {}",
        number::count(segment.ids.start.into()),
        number::count(u64::from(segment.ids.end.saturating_sub(1)))
    );
    if segment.damaged {
        let _ = writeln!(
            text,
            "  {ids}: the index segment is damaged: each code is compared (the next import builds it again)"
        );
        return;
    }
    let (how, than) =
        if segment.plan == Plan::Index { ("by the index", "<") } else { ("by comparing every code", ">=") };
    let _ = writeln!(
        text,
        "  {ids}: {how}: expected {} by the index {than} {} by comparing every code",
        number::microseconds(segment.index_ns / 1e3),
        number::microseconds(segment.otherwise_ns / 1e3),
    );
    let probed = segment.tables.iter().filter(|(_, shells)| *shells > 0).count();
    let _ = writeln!(
        text,
        "    {probed} of {}; {}, about {} candidates",
        number::counted(segment.tables.len() as u64, "table", "tables"),
        number::counted(segment.probes, "bucket", "buckets"),
        number::ratio(segment.expected_candidates),
    );
    let thresholds = segment.tables.iter().map(|(len_bits, shells)| match shells.checked_sub(1) {
        Some(farthest) => format!("{len_bits}:{farthest}"),
        None => format!("{len_bits}:-"),
    });
    let _ =
        writeln!(text, "    substring bits:probed to distance  {}", thresholds.collect::<Vec<_>>().join(" "));
}
