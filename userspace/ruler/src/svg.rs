// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Line charts as self-contained SVG.

use std::fmt::Write as _;

const WIDTH: f64 = 900.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 190.0;
const HEIGHT: f64 = 150.0;
const GAP: f64 = 56.0;
const TOP: f64 = 30.0;
/// Told apart by colour-blind readers; round again after the last.
const COLOURS: [&str; 8] =
    ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#000000", "#999999"];

/// One chart: lines over the same places of the x axis.
#[derive(Debug, Clone)]
pub struct Panel {
    /// What the y axis counts.
    pub title: String,
    /// The places of the x axis, evenly spaced.
    pub places: Vec<String>,
    /// Name and one value per place; a place without a value breaks the line.
    pub lines: Vec<(String, Vec<Option<f64>>)>,
}

/// All panels below one another, each with a y axis of its own from 0.
pub fn draw(panels: &[Panel]) -> String {
    let height = TOP + panels.len() as f64 * (HEIGHT + GAP);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    for (index, panel) in panels.iter().enumerate() {
        one(&mut out, panel, TOP + index as f64 * (HEIGHT + GAP));
    }
    out.push_str("</svg>\n");
    out
}

fn one(out: &mut String, panel: &Panel, top: f64) {
    let values = panel.lines.iter().flat_map(|(_, values)| values.iter().flatten());
    let most = round_up(values.copied().fold(0.0, f64::max));
    let (bottom, right) = (top + HEIGHT, WIDTH - RIGHT);
    let x = |at: usize| {
        let steps = panel.places.len().saturating_sub(1).max(1);
        LEFT + at as f64 / steps as f64 * (right - LEFT)
    };
    let y = |value: f64| bottom - value.max(0.0) / most * HEIGHT;
    let _ = writeln!(
        out,
        "<text x=\"{LEFT}\" y=\"{}\" font-weight=\"bold\">{}</text>\n\
         <path d=\"M{LEFT} {top}V{bottom}H{right}\" fill=\"none\" stroke=\"#888\"/>\n\
         <text x=\"{}\" y=\"{}\" text-anchor=\"end\">{most}</text>\n\
         <text x=\"{}\" y=\"{bottom}\" text-anchor=\"end\">0</text>",
        top - 8.0,
        escaped(&panel.title),
        LEFT - 6.0,
        top + 8.0,
        LEFT - 6.0,
    );
    for (at, place) in panel.places.iter().enumerate() {
        let _ = writeln!(
            out,
            "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            x(at),
            bottom + 14.0,
            escaped(place)
        );
    }
    for (index, (name, values)) in panel.lines.iter().enumerate() {
        let colour = COLOURS[index % COLOURS.len()];
        for piece in pieces(values) {
            let mut path = String::new();
            for (at, value) in piece {
                let _ = write!(path, "{:.1},{:.1} ", x(at), y(value));
            }
            let _ = writeln!(
                out,
                "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\"/>",
                path.trim_end()
            );
        }
        let line = top + 10.0 + index as f64 * 14.0;
        let _ = writeln!(
            out,
            "<text x=\"{}\" y=\"{line}\" fill=\"{colour}\">{}</text>",
            right + 12.0,
            escaped(name)
        );
    }
}

/// Runs of places that have a value.
fn pieces(values: &[Option<f64>]) -> Vec<Vec<(usize, f64)>> {
    let mut all = vec![Vec::new()];
    for (at, value) in values.iter().enumerate() {
        match (value, all.last_mut()) {
            (Some(value), Some(piece)) => piece.push((at, *value)),
            _ => all.push(Vec::new()),
        }
    }
    all.retain(|piece| !piece.is_empty());
    all
}

/// The next of 1, 2, 5, 10, 20, 50 and so on.
fn round_up(value: f64) -> f64 {
    if !value.is_finite() || value <= 0.0 {
        return 1.0;
    }
    let unit = 10_f64.powf(value.log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|step| step * unit)
        .find(|top| *top >= value)
        .unwrap_or(10.0 * unit)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_breaks_the_line() {
        let panel = Panel {
            title: "a < b".to_owned(),
            places: ["2", "16", "64"].map(str::to_owned).to_vec(),
            lines: vec![("x".to_owned(), vec![Some(1.0), None, Some(3.0)])],
        };
        let drawing = draw(&[panel]);
        assert_eq!(drawing.matches("<polyline").count(), 2);
        assert!(drawing.contains("a &lt; b"));
    }

    #[test]
    fn axes_end_at_round_numbers() {
        assert_eq!([0.0, 3.0, 12.0, 100.0].map(round_up), [1.0, 5.0, 20.0, 100.0]);
    }
}
