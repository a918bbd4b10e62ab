// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The four dimensions of alpha raw flows.

use super::figure::{Drawing, Figure};
use super::grid::{self, Grid};
use super::unit::{Unit, number, percent};
use super::view::View;
use super::{Left, Outcome};
use telesteer_fam::dimension::{HEAVY, LIGHT};

/// The sixteen cells.
pub fn dimensions(view: View<'_>) -> Outcome {
    let title = "Alpha raw flows in four dimensions";
    let sheet =
        view.sheet("dimensions").ok_or_else(|| Left::new(title, "no alpha flow was found"))?;
    let column = |name: &str| sheet.lines().filter_map(|l| l.number(name)).sum::<f64>();
    let (flows, bytes) = (column("flows"), column("bytes"));
    let name = |bits: usize, dimension: usize| {
        if bits >> dimension & 1 == 1 { HEAVY[dimension] } else { LIGHT[dimension] }
    };
    // Size and rate make the rows, duration and burstiness the columns, light before heavy.
    let rows = [0, 1, 2, 3].map(|bits| [name(bits, 0), name(bits, 1)]);
    let columns = [0, 1, 2, 3].map(|bits| [name(bits << 2, 2), name(bits << 2, 3)]);
    let mut cells = Vec::new();
    let mut words = Vec::new();
    for row in rows {
        for column in columns {
            let cell = format!("{} {} {} {}", row[0], row[1], column[0], column[1]);
            let line = sheet.with(&[("cell", &cell)]).into_iter().next();
            let of = |name| line.and_then(|line| line.number(name)).unwrap_or(0.0);
            let (n, b) = (of("flows"), of("bytes"));
            if n == 0.0 {
                let lines = ["–".to_owned(), String::new()];
                cells.push(grid::Cell { lines, tip: format!("{cell}: none"), weight: 0.0 });
                continue;
            }
            let share = Unit::Percent.amount(percent(b, bytes));
            let tip = format!("{cell}: {} flows, {}", number(n), Unit::Bytes.amount(b));
            words.push(format!("{tip} ({share} of bytes)."));
            // By the logarithm: most flows are in one cell.
            let weight = (1.0 + n).ln() / (1.0 + flows).ln();
            cells.push(grid::Cell { weight, lines: [number(n), share], tip });
        }
    }
    Ok(Figure {
        name: "dimensions",
        title: title.to_owned(),
        description: words.join(" "),
        note:
            "Heavy is above mean + 3 standard deviations of all alpha raw flows: elephant by size, \
               cheetah by rate, tortoise by duration, porcupine by burstiness (the fullest second \
               over the mean rate: our measure)."
                .to_owned(),
        drawing: Drawing::Grid(Box::new(Grid {
            title: "raw flows, and share of their bytes".to_owned(),
            columns,
            rows,
            cells,
        })),
        data: sheet.table.clone(),
    })
}
