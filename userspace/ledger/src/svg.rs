// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The phases drawn over time: BMP sessions alive, datagrams received per collector.

use crate::phase::{Phase, Series};
use std::fmt::Write as _;

const WIDTH: f64 = 900.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 20.0;
const HEIGHT: f64 = 110.0;
const GAP: f64 = 34.0;
const TOP: f64 = 40.0;
/// Colours of instances 1 to 4, then round again; told apart by colour-blind readers.
const COLOURS: [&str; 4] = ["#0072b2", "#e69f00", "#009e73", "#cc79a7"];

/// Draws all phases, two panels each.
pub fn draw(phases: &[(Phase, Series)]) -> String {
    let panels = phases.len() as f64 * 2.0;
    let height = TOP + panels * (HEIGHT + GAP) + 10.0;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    let mut legend = LEFT;
    for instance in 1..=4u64 {
        let _ = writeln!(
            out,
            "<text x=\"{legend}\" y=\"18\" fill=\"{}\">collector {instance}</text>",
            colour(instance)
        );
        legend += 90.0;
    }
    let seconds = phases.iter().map(|(_, series)| length(series)).max().unwrap_or(1).max(1);
    let busiest = phases.iter().flat_map(|(_, series)| series.rates.values());
    let busiest = busiest.flat_map(|rates| rates.values()).copied().max().unwrap_or(0).max(1);
    let most = phases.iter().map(|(_, series)| alive(series).into_iter().max().unwrap_or(0));
    let most = most.max().unwrap_or(0).max(1);
    for (index, (phase, series)) in phases.iter().enumerate() {
        let top = TOP + index as f64 * 2.0 * (HEIGHT + GAP);
        let x = |second: f64| LEFT + second / seconds as f64 * (WIDTH - LEFT - RIGHT);
        panel(&mut out, top, &format!("{}: BMP sessions alive", phase.name), most);
        let points: Vec<(i64, u64)> = (0..).zip(alive(series)).collect();
        line(&mut out, &points, top, most, "#222222", x);
        marks(&mut out, series, top, x);
        let top = top + HEIGHT + GAP;
        panel(&mut out, top, &format!("{}: datagrams received per second", phase.name), busiest);
        let begin = series.begin_us.div_euclid(1_000_000);
        for (instance, rates) in &series.rates {
            let points: Vec<(i64, u64)> = (0..=length(series))
                .map(|second| (second, rates.get(&(begin + second)).copied().unwrap_or(0)))
                .collect();
            line(&mut out, &points, top, busiest, colour(*instance), x);
        }
        marks(&mut out, series, top, x);
    }
    out.push_str("</svg>\n");
    out
}

fn colour(instance: u64) -> &'static str {
    COLOURS[(instance.saturating_sub(1) % COLOURS.len() as u64) as usize]
}

/// Seconds from the first packet to the last event.
fn length(series: &Series) -> i64 {
    (series.timeline.end_us - series.begin_us).max(0) / 1_000_000
}

/// Sessions alive at the end of each second.
fn alive(series: &Series) -> Vec<u64> {
    (0..=length(series))
        .map(|second| {
            let at = series.begin_us + (second + 1) * 1_000_000;
            series.sessions.iter().filter(|(from, to)| *from <= at && *to > at).count() as u64
        })
        .collect()
}

fn panel(out: &mut String, top: f64, title: &str, most: u64) {
    let (bottom, right) = (top + HEIGHT, WIDTH - RIGHT);
    let _ = writeln!(
        out,
        "<text x=\"{LEFT}\" y=\"{}\" font-weight=\"bold\">{title}</text>\n\
         <path d=\"M{LEFT} {top}V{bottom}H{right}\" fill=\"none\" stroke=\"#888\"/>\n\
         <text x=\"{}\" y=\"{}\" text-anchor=\"end\">{most}</text>\n\
         <text x=\"{}\" y=\"{bottom}\" text-anchor=\"end\">0</text>",
        top - 6.0,
        LEFT - 6.0,
        top + 8.0,
        LEFT - 6.0,
    );
}

fn line(
    out: &mut String,
    points: &[(i64, u64)],
    top: f64,
    most: u64,
    colour: &str,
    x: impl Fn(f64) -> f64,
) {
    let mut path = String::new();
    for (second, value) in points {
        let y = top + HEIGHT - *value as f64 / most as f64 * HEIGHT;
        let _ = write!(path, "{:.1},{y:.1} ", x(*second as f64 + 0.5));
    }
    let path = path.trim_end();
    let _ = writeln!(
        out,
        "<polyline points=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\"/>"
    );
}

fn marks(out: &mut String, series: &Series, top: f64, x: impl Fn(f64) -> f64) {
    let t = &series.timeline;
    let events = [("kill", t.kill_us), ("return", t.return_ready_us), ("drain", t.drain_start_us)];
    for (name, ts) in events {
        let at = x((ts - series.begin_us) as f64 / 1e6);
        let bottom = top + HEIGHT;
        let _ = writeln!(
            out,
            "<path d=\"M{at:.1} {top}V{bottom}\" stroke=\"#d55e00\" stroke-dasharray=\"3 3\"/>\n\
             <text x=\"{:.1}\" y=\"{}\" fill=\"#d55e00\">{name}</text>",
            at + 3.0,
            top + 10.0,
        );
    }
}
