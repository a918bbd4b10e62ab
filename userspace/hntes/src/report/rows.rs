// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Names down the side, a bar or some marks for each.

use super::axis::Axis;
use super::ink::{Anchor, Ink, LINE, LOOKS, Size, Swatch, legend, text_width};
use super::unit::Unit;

/// Rows a figure has at most; the table beside it has all.
pub const ROWS_MOST: usize = 20;

/// One name and its values, one for each series.
#[derive(Clone, Debug)]
pub struct Row {
    /// The name.
    pub label: String,
    /// The values.
    pub values: Vec<Option<f64>>,
    /// What is written at its end.
    pub note: String,
}

/// How the values of a row are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Bars end to end.
    Stacked,
    /// A mark each, joined by a thin line.
    Marks,
}

/// The drawing.
#[derive(Clone, Debug)]
pub struct Rows {
    /// What the axis counts; the unit is added.
    pub title: String,
    /// Its unit.
    pub unit: Unit,
    /// Powers of ten instead of equal steps.
    pub logarithmic: bool,
    /// The axis ends here at least.
    pub at_least: f64,
    /// Bars or marks.
    pub kind: Kind,
    /// Names of the series.
    pub series: Vec<String>,
    /// The rows.
    pub rows: Vec<Row>,
}

impl Rows {
    fn axis(&self) -> Axis {
        let values = || self.rows.iter().flat_map(|row| row.values.iter().flatten().copied());
        if self.logarithmic {
            return Axis::logarithmic(self.unit, values());
        }
        let sum = |row: &Row| row.values.iter().flatten().sum::<f64>();
        let largest = match self.kind {
            Kind::Stacked => self.rows.iter().map(sum).fold(self.at_least, f64::max),
            Kind::Marks => values().fold(self.at_least, f64::max),
        };
        Axis::linear(self.unit, largest)
    }

    /// Draws it; returns the drawing and its height.
    pub fn draw(&self, size: Size, top: f64) -> (String, f64) {
        let mut ink = Ink::new();
        let swatch = if self.kind == Kind::Stacked { Swatch::Box } else { Swatch::Mark };
        let entries: Vec<_> =
            self.series.iter().enumerate().map(|(at, name)| (name.clone(), at, swatch)).collect();
        let axis = self.axis();
        let mut y = legend(&mut ink, size, top, &entries);
        ink.text((0.0, y + 14.0), Anchor::Start, "t strong", &axis.title(&self.title));
        y += 24.0;
        let widest = |of: fn(&Row) -> &String| {
            self.rows.iter().map(|row| text_width(of(row))).fold(0.0, f64::max)
        };
        let names = widest(|row| &row.label);
        // Long names go above their bars.
        let above = names > size.width() * 0.34;
        let left = if above { 6.0 } else { names + 8.0 };
        let notes = widest(|row| &row.note);
        let right = size.width() - (notes + if notes > 0.0 { 8.0 } else { 0.0 }).max(16.0);
        let (pitch, thick) = if above { (34.0, 12.0) } else { (20.0, 13.0) };
        let bottom = y + pitch * self.rows.len() as f64 + 2.0;
        let x = |share: f64| left + share * (right - left);
        for (share, _) in axis.ticks() {
            ink.rule((x(share), y), (x(share), bottom), "grid");
        }
        self.tick_names(&mut ink, &axis, (left, right), bottom);
        for (n, row) in self.rows.iter().enumerate() {
            let line = y + pitch * n as f64;
            let middle = if above { line + LINE + thick / 2.0 + 2.0 } else { line + pitch / 2.0 };
            if above {
                ink.text((left, line + 12.0), Anchor::Start, "t", &row.label);
            } else {
                ink.text((left - 8.0, middle + 4.0), Anchor::End, "t", &row.label);
            }
            match self.kind {
                Kind::Stacked => self.stack(&mut ink, &axis, row, (middle - thick / 2.0, thick), x),
                Kind::Marks => self.marks(&mut ink, &axis, row, middle, x),
            }
            if !row.note.is_empty() {
                ink.text((right + 8.0, middle + 4.0), Anchor::Start, "t", &row.note);
            }
        }
        ink.rule((left, y), (left, bottom), "axis");
        (ink.finish(), bottom + LINE + 4.0)
    }

    fn tick_names(&self, ink: &mut Ink, axis: &Axis, (left, right): (f64, f64), bottom: f64) {
        let mut free = f64::MIN;
        for (share, name) in axis.ticks() {
            let at = left + share * (right - left);
            let half = text_width(&name) / 2.0;
            // The first may stick out to the left only as far as there is room.
            let middle = at.max(half);
            if middle - half < free {
                continue;
            }
            free = middle + half + 4.0;
            ink.text((middle, bottom + 14.0), Anchor::Middle, "t dim", &name);
        }
    }

    fn tip(&self, row: &Row, at: usize, value: f64) -> String {
        match self.series.get(at).map(String::as_str) {
            None | Some("") => format!("{}: {}", row.label, self.unit.amount(value)),
            Some(name) => format!("{}, {name}: {}", row.label, self.unit.amount(value)),
        }
    }

    fn stack(
        &self,
        ink: &mut Ink,
        axis: &Axis,
        row: &Row,
        (top, thick): (f64, f64),
        x: impl Fn(f64) -> f64,
    ) {
        let mut sum = 0.0;
        for (at, value) in row.values.iter().enumerate() {
            let Some(value) = value.filter(|value| *value > 0.0) else { continue };
            let from = if axis.is_logarithmic() { 0.0 } else { axis.place(sum).unwrap_or(0.0) };
            sum += value;
            let Some(to) = axis.place(sum) else { continue };
            let width = (x(to) - x(from)).max(1.0);
            let class = format!("bar s{}", at % LOOKS);
            ink.bar((x(from), top), (width, thick), &class, &self.tip(row, at, value));
        }
    }

    fn marks(&self, ink: &mut Ink, axis: &Axis, row: &Row, y: f64, x: impl Fn(f64) -> f64) {
        let place = |value: &Option<f64>| axis.place((*value)?).map(&x);
        let places: Vec<Option<f64>> = row.values.iter().map(place).collect();
        let first = places.iter().flatten().copied().fold(f64::MAX, f64::min);
        let last = places.iter().flatten().copied().fold(f64::MIN, f64::max);
        if first < last {
            ink.rule((first, y), (last, y), "join");
        }
        for (at, (place, value)) in places.iter().zip(&row.values).enumerate() {
            if let (Some(place), Some(value)) = (place, value) {
                ink.mark((*place, y), at, false, &self.tip(row, at, *value));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(label: &str, logarithmic: bool) -> Rows {
        let row = Row {
            label: label.to_owned(),
            values: vec![Some(0.0), Some(20.0), Some(30.0)],
            note: "50".to_owned(),
        };
        Rows {
            title: "flows".to_owned(),
            unit: Unit::Count,
            logarithmic,
            at_least: 0.0,
            kind: if logarithmic { Kind::Marks } else { Kind::Stacked },
            series: ["a", "b", "c"].map(str::to_owned).to_vec(),
            rows: vec![row],
        }
    }

    #[test]
    fn a_stack_is_as_long_as_its_sum_and_zero_has_no_bar() {
        let (drawn, _) = rows("x", false).draw(Size::Wide, 0.0);
        // Two legend boxes have no bar; b and c have both.
        let count = |look| drawn.matches(&format!("class=\"bar s{look}\"")).count();
        assert_eq!((count(0), count(1), count(2)), (1, 2, 2));
        assert!(drawn.contains("<title>x, c: 30</title>"));
    }

    #[test]
    fn a_logarithmic_axis_leaves_zeros_out() {
        let (drawn, _) = rows("x", true).draw(Size::Wide, 0.0);
        assert!(!drawn.contains("x, a: 0") && drawn.contains("x, b: 20"), "{drawn}");
    }

    #[test]
    fn long_names_go_above() {
        let height = |label, size| rows(label, false).draw(size, 0.0).1;
        let long = "a name of forty characters, to be exact.";
        assert!(height(long, Size::Narrow) > height("short", Size::Narrow));
    }
}
