// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Sixteen cells: four rows, four columns, two lines of text in each.

use super::ink::{Anchor, Ink, LINE, Size};

/// A cell.
#[derive(Clone, Debug, Default)]
pub struct Cell {
    /// 0 to 1: how dark.
    pub weight: f64,
    /// Two lines.
    pub lines: [String; 2],
    /// What it is in full.
    pub tip: String,
}

/// The drawing.
#[derive(Clone, Debug)]
pub struct Grid {
    /// What is in the cells.
    pub title: String,
    /// Two lines of each column's head.
    pub columns: [[&'static str; 2]; 4],
    /// Two lines of each row's head.
    pub rows: [[&'static str; 2]; 4],
    /// Row by row.
    pub cells: Vec<Cell>,
}

/// Height of a cell.
const TALL: f64 = 46.0;

impl Grid {
    /// Draws it; returns the drawing and its height.
    pub fn draw(&self, size: Size, top: f64) -> (String, f64) {
        let mut ink = Ink::new();
        ink.text((0.0, top + 14.0), Anchor::Start, "t strong", &self.title);
        let left = if size == Size::Wide { 84.0 } else { 70.0 };
        let wide = (size.width() - left) / 4.0;
        let head = top + 24.0;
        let body = head + 2.0 * LINE + 6.0;
        for (n, names) in self.columns.iter().enumerate() {
            let middle = left + (n as f64 + 0.5) * wide;
            for (line, name) in names.iter().enumerate() {
                let y = head + 12.0 + line as f64 * LINE;
                ink.text((middle, y), Anchor::Middle, "t dim", name);
            }
        }
        for (n, names) in self.rows.iter().enumerate() {
            let middle = body + (n as f64 + 0.5) * TALL;
            for (line, name) in names.iter().enumerate() {
                let y = middle - 3.0 + line as f64 * LINE;
                ink.text((left - 6.0, y), Anchor::End, "t dim", name);
            }
        }
        for (n, cell) in self.cells.iter().enumerate() {
            let (row, column) = (n / 4, n % 4);
            let (x, y) = (left + column as f64 * wide, body + row as f64 * TALL);
            let inner = (wide - 2.0, TALL - 2.0);
            let shade = (cell.weight.clamp(0.0, 1.0) * 9.0).round() as u32;
            ink.bar((x + 1.0, y + 1.0), inner, &format!("cell h{shade}"), &cell.tip);
            let middle = x + wide / 2.0;
            let dim = if cell.weight > 0.0 { "t" } else { "t dim" };
            let lines = cell.lines.iter().filter(|text| !text.is_empty());
            let above = if lines.clone().count() > 1 { -3.0 } else { 4.0 };
            for (line, text) in lines.enumerate() {
                let y = y + TALL / 2.0 + above + line as f64 * LINE;
                ink.text((middle, y), Anchor::Middle, dim, text);
            }
        }
        (ink.finish(), body + 4.0 * TALL + 6.0)
    }
}
