// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Readings as bars, self-contained.

use std::fmt::Write as _;

use crate::child::Reading;

const WIDTH: f64 = 760.0;
const LEFT: f64 = 150.0;
const BAR: f64 = 18.0;
const STEP: f64 = 24.0;
const TOP: f64 = 34.0;

/// Told apart by colour-blind readers.
fn colour(engine: &str) -> &'static str {
    match engine {
        "arrow" => "#0072b2",
        "datafusion" => "#56b4e9",
        "ballista-1" | "ballista-2" => "#009e73",
        "duckdb" => "#e69f00",
        _ => "#999999",
    }
}

/// Records per CPU-second, a panel a pass, bars of a panel on one scale.
pub(crate) fn draw(readings: &[Reading]) -> String {
    let mut body = String::new();
    let mut y = TOP;
    for pass in ["alpha", "totals", "flows", "beta"] {
        let of_pass: Vec<&Reading> = readings.iter().filter(|r| r.pass == pass).collect();
        let most = of_pass.iter().map(|reading| reading.rate()).fold(1.0, f64::max);
        let _ = writeln!(
            body,
            "<text x=\"8\" y=\"{y}\" font-weight=\"bold\">{pass} pass, million records per CPU-second</text>"
        );
        y += 10.0;
        for reading in of_pass {
            let length = reading.rate() / most * (WIDTH - LEFT - 70.0);
            let (middle, end) = (y + BAR - 5.0, LEFT + length + 6.0);
            let _ = writeln!(
                body,
                "<text x=\"{}\" y=\"{middle}\" text-anchor=\"end\">{}</text>\n\
                 <rect x=\"{LEFT}\" y=\"{y}\" width=\"{length:.1}\" height=\"{BAR}\" fill=\"{}\"/>\n\
                 <text x=\"{end:.1}\" y=\"{middle}\">{:.1}</text>",
                LEFT - 8.0,
                reading.engine,
                colour(&reading.engine),
                reading.rate() / 1e6
            );
            y += STEP;
        }
        y += TOP;
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {y}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n{body}</svg>\n"
    )
}
