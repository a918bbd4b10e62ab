// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The rows as bars: exporters moved and sessions reset, in percent.

use super::row::Row;
use std::fmt::Write as _;

const WIDTH: f64 = 900.0;
const LEFT: f64 = 210.0;
const BAR: f64 = 11.0;
const ROW: f64 = 4.0 * BAR + 14.0;
const TOP: f64 = 44.0;
/// Told apart by colour-blind readers.
const BARS: [(&str, &str); 4] = [
    ("exporters moved by the withdrawal", "#0072b2"),
    ("exporters moved by the return", "#56b4e9"),
    ("sessions reset by the withdrawal", "#d55e00"),
    ("sessions reset by the return", "#e69f00"),
];

/// Draws all rows.
pub fn draw(rows: &[Row]) -> String {
    let height = TOP + rows.len() as f64 * ROW + 10.0;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    for (index, (name, colour)) in BARS.iter().enumerate() {
        let x = 10.0 + index as f64 * 220.0;
        let _ = writeln!(
            out,
            "<rect x=\"{x}\" y=\"10\" width=\"10\" height=\"10\" fill=\"{colour}\"/>\
             <text x=\"{}\" y=\"19\">{name}</text>",
            x + 15.0
        );
    }
    for (index, row) in rows.iter().enumerate() {
        let top = TOP + index as f64 * ROW;
        let _ = writeln!(
            out,
            "<text x=\"10\" y=\"{}\">{}, {}, {}</text>",
            top + 2.0 * BAR + 4.0,
            row.mode.hash,
            row.mode.group,
            row.family
        );
        let shares = [
            (row.moved_by_withdraw.len(), row.exporters),
            (row.moved_by_return.len(), row.exporters),
            (row.reset_by_withdraw.len(), row.sessions),
            (row.reset_by_return.len(), row.sessions_at_return),
        ];
        for (bar, ((count, all), (_, colour))) in shares.iter().zip(BARS).enumerate() {
            let share = *count as f64 / (*all).max(1) as f64;
            let (y, length) = (top + bar as f64 * BAR, share * (WIDTH - LEFT - 70.0));
            let _ = writeln!(
                out,
                "<rect x=\"{LEFT}\" y=\"{y}\" width=\"{length:.1}\" height=\"{}\" \
                 fill=\"{colour}\"/><text x=\"{:.1}\" y=\"{}\">{:.0} %</text>",
                BAR - 1.0,
                LEFT + length + 5.0,
                y + BAR - 2.0,
                share * 100.0
            );
        }
    }
    out.push_str("</svg>\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_four_bars() {
        let row =
            Row { exporters: 4, moved_by_withdraw: vec![[10, 8, 0, 1].into()], ..Row::default() };
        let plot = draw(&[row]);
        assert_eq!(plot.matches(" %</text>").count(), 4);
        assert!(plot.contains(">25 %<") && plot.ends_with("</svg>\n"), "{plot}");
    }
}
