// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Drawings: bars, and lines or points over two axes.

use std::fmt::Write;

const WIDTH: f64 = 860.0;
/// Told apart by colour-blind readers.
const COLOURS: [&str; 6] = ["#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9"];
const BAR: f64 = 14.0;
const GAP: f64 = 12.0;
const LEFT: f64 = 250.0;
/// Of a plot with axes.
const PLOT: (f64, f64, f64, f64) = (70.0, 60.0, 770.0, 300.0);

fn colour(at: usize) -> &'static str {
    COLOURS[at % COLOURS.len()]
}

fn text_of(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn begin(height: f64, title: &str, names: &[&str]) -> String {
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"10\" y=\"18\" font-weight=\"bold\">{}</text>\n",
        text_of(title)
    );
    let mut x = 10.0;
    for (at, name) in names.iter().enumerate() {
        let _ = writeln!(
            out,
            "<rect x=\"{x}\" y=\"28\" width=\"11\" height=\"11\" fill=\"{}\"/>\
             <text x=\"{}\" y=\"38\">{}</text>",
            colour(at),
            x + 15.0,
            text_of(name)
        );
        x += 40.0 + 6.8 * name.chars().count() as f64;
    }
    out
}

/// A number for people: three digits that matter.
pub(crate) fn short(value: f64) -> String {
    let digits = match value.abs() {
        v if v >= 100.0 || v == 0.0 => 0,
        v if v >= 10.0 => 1,
        v if v >= 1.0 => 2,
        _ => 3,
    };
    let text = format!("{value:.digits$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// A value of each of `names` in each group, as bars; a value that is missing has none.
pub(crate) fn bars(
    title: &str,
    unit: &str,
    names: &[&str],
    groups: &[(String, Vec<Option<f64>>)],
) -> String {
    let rows: usize = groups.iter().map(|(_, values)| values.len()).sum();
    let height = 60.0 + rows as f64 * BAR + groups.len() as f64 * GAP;
    let mut out = begin(height, title, names);
    let values = groups.iter().flat_map(|(_, values)| values.iter().flatten());
    let most = values.copied().fold(0.0, f64::max).max(f64::MIN_POSITIVE);
    let mut y = 56.0;
    for (label, values) in groups {
        let middle = y + values.len() as f64 * BAR / 2.0 + 4.0;
        let _ = writeln!(
            out,
            "<text x=\"{}\" y=\"{middle}\" text-anchor=\"end\">{}</text>",
            LEFT - 8.0,
            text_of(label)
        );
        for (at, value) in values.iter().enumerate() {
            let length = value.unwrap_or(0.0) / most * (WIDTH - LEFT - 120.0);
            let said = value.map_or("-".to_owned(), |value| format!("{} {unit}", short(value)));
            let _ = writeln!(
                out,
                "<rect x=\"{LEFT}\" y=\"{y}\" width=\"{length:.1}\" height=\"{}\" fill=\"{}\"/>\
                 <text x=\"{:.1}\" y=\"{}\">{}</text>",
                BAR - 2.0,
                colour(at),
                LEFT + length + 5.0,
                y + BAR - 3.0,
                text_of(&said)
            );
            y += BAR;
        }
        y += GAP;
    }
    out.push_str("</svg>\n");
    out
}

/// What a line is drawn of.
#[derive(Clone, Debug)]
pub(crate) struct Line<'a> {
    /// Its name.
    pub(crate) name: &'a str,
    /// Its points.
    pub(crate) points: Vec<(f64, f64)>,
    /// Joined, or points only.
    pub(crate) joined: bool,
}

/// An axis.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Axis<'a> {
    /// What it says.
    pub(crate) label: &'a str,
    /// Whether steps are factors; values must be above 0 then.
    pub(crate) log: bool,
}

/// A scale from the values of an axis to 0 to 1, with its ticks.
struct Scale {
    low: f64,
    high: f64,
    log: bool,
}

impl Scale {
    fn of(values: impl Iterator<Item = f64> + Clone, log: bool) -> Self {
        let high = values.clone().fold(f64::MIN, f64::max);
        let low = values.fold(f64::MAX, f64::min);
        match log {
            true => {
                let (low, high) = (low.max(1e-9).log10().floor(), high.max(1e-9).log10().ceil());
                Self { low, high: high.max(low + 1.0), log }
            }
            false => Self { low: low.min(0.0), high: high.max(low + 1e-9) * 1.05, log },
        }
    }

    fn place(&self, value: f64) -> f64 {
        let value = if self.log { value.max(1e-9).log10() } else { value };
        ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0)
    }

    fn ticks(&self) -> Vec<f64> {
        if self.log {
            return (self.low as i32..=self.high as i32).map(|power| 10_f64.powi(power)).collect();
        }
        let rough = (self.high - self.low) / 6.0;
        let power = 10_f64.powf(rough.log10().floor());
        let steps = [1.0, 2.0, 5.0, 10.0];
        let step = steps.into_iter().find(|step| step * power >= rough).unwrap_or(10.0) * power;
        let first = (self.low / step).ceil() as i64;
        (first..first + 12).map(|n| n as f64 * step).filter(|tick| *tick <= self.high).collect()
    }
}

/// Lines over two axes.
pub(crate) fn plot(title: &str, x: Axis<'_>, y: Axis<'_>, lines: &[Line<'_>]) -> String {
    let names: Vec<&str> = lines.iter().map(|line| line.name).collect();
    let mut out = begin(PLOT.3 + 60.0, title, &names);
    let points = lines.iter().flat_map(|line| &line.points);
    let across = Scale::of(points.clone().map(|point| point.0), x.log);
    let up = Scale::of(points.map(|point| point.1), y.log);
    let (left, top, right, bottom) = PLOT;
    let at_x = |value: f64| left + across.place(value) * (right - left);
    let at_y = |value: f64| bottom - up.place(value) * (bottom - top);
    let _ = writeln!(
        out,
        "<path d=\"M{left} {top}V{bottom}H{right}\" fill=\"none\" stroke=\"#888\"/>\n\
         <text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n\
         <text x=\"{left}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
        (left + right) / 2.0,
        bottom + 38.0,
        text_of(x.label),
        top - 6.0,
        text_of(y.label)
    );
    for tick in across.ticks() {
        let place = at_x(tick);
        let _ = writeln!(
            out,
            "<path d=\"M{place:.1} {bottom}v4\" stroke=\"#888\"/>\
             <text x=\"{place:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            bottom + 18.0,
            short(tick)
        );
    }
    for tick in up.ticks() {
        let place = at_y(tick);
        let _ = writeln!(
            out,
            "<path d=\"M{left} {place:.1}H{right}\" stroke=\"#eee\"/>\
             <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            left - 6.0,
            place + 4.0,
            short(tick)
        );
    }
    for (number, line) in lines.iter().enumerate() {
        let places = line.points.iter().map(|(x, y)| (at_x(*x), at_y(*y)));
        if line.joined {
            let path: Vec<String> = places.clone().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
            let _ = writeln!(
                out,
                "<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"1.5\"/>",
                path.join(" "),
                colour(number)
            );
        }
        // Many points are a line already.
        if !line.joined || line.points.len() <= 40 {
            for (x, y) in places {
                let _ = writeln!(
                    out,
                    "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{}\"/>",
                    colour(number)
                );
            }
        }
    }
    out.push_str("</svg>\n");
    out
}

/// Plots one under the other.
pub(crate) fn stack(plots: &[String]) -> String {
    let each = PLOT.3 + 60.0;
    let height = each * plots.len() as f64;
    let mut out =
        format!("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\">\n");
    for (at, plot) in plots.iter().enumerate() {
        let place = format!("<svg y=\"{}\" height=\"{each}\" ", each * at as f64);
        out += &plot.replacen("<svg ", &place, 1);
    }
    out.push_str("</svg>\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let all = [0.0, 0.12345, 1.5, 15.25, 1548.2, -3.0].map(short);
        assert_eq!(all, ["0", "0.123", "1.5", "15.2", "1548", "-3"]);
    }

    #[test]
    fn a_bar_for_each_value_and_its_text() {
        let groups = [("a<b".to_owned(), vec![Some(1.0), None]), ("c".to_owned(), vec![Some(2.0)])];
        let drawn = bars("t", "ms", &["x", "y"], &groups);
        assert_eq!(drawn.matches("<rect x=\"250\"").count(), 3);
        assert!(drawn.contains("a&lt;b") && drawn.contains(">2 ms<") && drawn.contains(">-<"));
        assert!(drawn.ends_with("</svg>\n"));
    }

    #[test]
    fn a_plot_places_its_points_within() {
        let line = Line { name: "l", points: vec![(1.0, 10.0), (1000.0, 0.0)], joined: true };
        let (x, y) = (Axis { label: "x", log: true }, Axis { label: "y", log: false });
        let drawn = plot("t", x, y, &[line]);
        assert!(drawn.contains("cx=\"70.0\"") && drawn.contains("cx=\"770.0\""), "{drawn}");
        assert!(drawn.contains("cy=\"300.0\""), "{drawn}");
    }

    #[test]
    fn plots_are_stacked() {
        let line = || Line { name: "l", points: vec![(1.0, 2.0)], joined: true };
        let axis = || Axis { label: "x", log: false };
        let one = || plot("t", axis(), axis(), &[line()]);
        let drawn = stack(&[one(), one()]);
        assert!(drawn.contains("viewBox=\"0 0 860 720\"") && drawn.ends_with("</svg>\n"));
        assert!(drawn.contains("<svg y=\"360\" height=\"360\" "), "{drawn}");
        assert_eq!(drawn.matches("<svg ").count(), drawn.matches("</svg>").count());
    }
}
