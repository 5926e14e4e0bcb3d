//! Draws the calibration as an SVG: of all pairs that must not match, the share with a probability of at most P, against
//! P, both logarithmic. Under the diagonal the promise is kept.

use std::fmt::Write;

use super::Calibration;
use super::calibration::at_most;

/// Pixels a decade, the margin around the axes, and how many decades are drawn.
const DECADE: f64 = 50.0;
const MARGIN: f64 = 60.0;
const DECADES: i32 = 8;
const COLOURS: [&str; 4] = ["#1b6ca8", "#7fb2d9", "#b5372b", "#e3978f"];

/// The drawing; a line for each null, of the joint probabilities.
#[must_use]
pub fn svg(calibration: &Calibration) -> String {
    let side = DECADE * f64::from(DECADES);
    let (width, height) = (side + 2.0 * MARGIN + 160.0, side + 2.0 * MARGIN);
    let x = |p: f64| MARGIN + side + DECADE * p.log10().max(-f64::from(DECADES));
    let y = |share: f64| MARGIN - DECADE * share.log10().max(-f64::from(DECADES));
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
    );
    let mut add = |line: String| {
        let _ = writeln!(svg, "{line}");
    };
    for decade in -DECADES..=0 {
        let p = 10f64.powi(decade);
        let (at_x, at_y) = (x(p), y(p));
        let bottom = MARGIN + side;
        add(format!("<path d=\"M{at_x} {MARGIN}V{bottom}M{MARGIN} {at_y}H{bottom}\" stroke=\"#ddd\"/>"));
        add(format!("<text x=\"{at_x}\" y=\"{}\" text-anchor=\"middle\">1e{decade}</text>", bottom + 18.0));
        add(format!(
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">1e{decade}</text>",
            MARGIN - 8.0,
            at_y + 4.0
        ));
    }
    let (left, bottom) = (x(0.0), y(0.0));
    add(format!(
        "<path d=\"M{left} {bottom}L{} {}\" stroke=\"#888\" stroke-dasharray=\"4\"/>",
        x(1.0),
        y(1.0)
    ));
    add(format!(
        "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">P promised</text>",
        left + side / 2.0,
        bottom + 40.0
    ));
    add(format!("<text x=\"{left}\" y=\"{}\">share of pairs seen at P or less</text>", MARGIN - 20.0));
    for (number, null) in calibration.nulls.iter().enumerate() {
        let Some(joint) = null.columns.last().filter(|joint| !joint.is_empty()) else { continue };
        let colour = COLOURS[number % COLOURS.len()];
        let mut path = String::new();
        for tenths in (0..=10 * DECADES).rev() {
            let p = 10f64.powf(-f64::from(tenths) / 10.0);
            let share = at_most(joint, p) as f64 / joint.len() as f64;
            if share > 0.0 {
                let step = if path.is_empty() { 'M' } else { 'L' };
                let _ = write!(path, "{step}{:.1} {:.1}", x(p), y(share));
            }
        }
        add(format!("<path d=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>"));
        let at = MARGIN + 20.0 * number as f64;
        let name = format!("{} ({})", null.name, joint.len());
        add(format!("<text x=\"{}\" y=\"{at}\" fill=\"{colour}\">{name}</text>", left + side + 20.0));
    }
    svg + "</svg>\n"
}
