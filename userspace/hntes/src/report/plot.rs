// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Values over days or over a few places: panels below one another, each with a value axis.

use super::axis::Axis;
use super::dates;
use super::ink::{Anchor, Ink, LINE, LOOKS, Size, Swatch, legend, text_width};
use super::unit::Unit;

/// How a series is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// A bar from the axis.
    Bars,
    /// A bar on top of the one before.
    Stacked,
    /// A line from place to place; with marks where places are few.
    Line,
    /// Marks that are not filled: figures from elsewhere.
    Marks,
}

/// Values over the places.
#[derive(Clone, Debug)]
pub struct Series {
    /// Its name in the legend.
    pub name: String,
    /// Which colour and shape.
    pub look: usize,
    /// How it is drawn.
    pub style: Style,
    /// A value for each place.
    pub values: Vec<Option<f64>>,
}

/// One value axis.
#[derive(Clone, Debug)]
pub struct Panel {
    /// What the axis counts; the unit is added.
    pub title: String,
    /// Its unit.
    pub unit: Unit,
    /// The axis ends here at least.
    pub at_least: f64,
    /// Powers of ten instead of equal steps. Zeros are not drawn.
    pub logarithmic: bool,
    /// Write the value at each mark.
    pub labels: bool,
    /// Name the largest sum of the bars.
    pub peak: bool,
    /// What is drawn.
    pub series: Vec<Series>,
}

impl Panel {
    /// A linear axis without labels.
    pub fn new(title: &str, unit: Unit, series: Vec<Series>) -> Self {
        let title = title.to_owned();
        Self { title, unit, at_least: 0.0, logarithmic: false, labels: false, peak: false, series }
    }
}

/// The places.
#[derive(Clone, Debug)]
pub enum Places {
    /// Days or hours, by their labels.
    Time(Vec<String>),
    /// A few places with names, and what they are.
    Few(Vec<String>, String),
}

/// The whole drawing.
#[derive(Clone, Debug)]
pub struct Plot {
    /// The places all panels share.
    pub places: Places,
    /// The panels.
    pub panels: Vec<Panel>,
}

/// Where things are.
struct Frame {
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
    count: usize,
}

impl Frame {
    fn step(&self) -> f64 {
        (self.right - self.left) / self.count.max(1) as f64
    }

    fn middle(&self, at: usize) -> f64 {
        self.left + (at as f64 + 0.5) * self.step()
    }
}

/// The axis that shows all of a panel.
fn axis(panel: &Panel) -> Axis {
    let values = || panel.series.iter().flat_map(|series| series.values.iter().flatten().copied());
    if panel.logarithmic {
        return Axis::logarithmic(panel.unit, values());
    }
    let count = panel.series.iter().map(|series| series.values.len()).max().unwrap_or(0);
    let sums = (0..count).map(|at| bars_at(panel, at));
    Axis::linear(panel.unit, sums.chain(values()).fold(panel.at_least, f64::max))
}

/// Sum of the bars at a place.
fn bars_at(panel: &Panel, at: usize) -> f64 {
    let bars = |series: &&Series| matches!(series.style, Style::Bars | Style::Stacked);
    let value = |series: &Series| series.values.get(at).copied().flatten();
    panel.series.iter().filter(bars).filter_map(value).sum()
}

impl Plot {
    fn labels(&self) -> &[String] {
        match &self.places {
            Places::Time(labels) | Places::Few(labels, _) => labels,
        }
    }

    /// What the value at a place is called.
    fn place_name(&self, at: usize) -> String {
        let label = self.labels().get(at).map_or("", String::as_str);
        match &self.places {
            Places::Time(_) => label.to_owned(),
            Places::Few(_, what) if what.is_empty() => label.to_owned(),
            Places::Few(_, what) => format!("{what} {label}"),
        }
    }

    /// Draws it; returns the drawing and its height.
    pub fn draw(&self, size: Size, top: f64) -> (String, f64) {
        let mut ink = Ink::new();
        let mut entries: Vec<(String, usize, Swatch)> = Vec::new();
        for series in self.panels.iter().flat_map(|panel| &panel.series) {
            let swatch = match (series.style, &self.places) {
                (Style::Bars | Style::Stacked, _) => Swatch::Box,
                (Style::Line, Places::Time(_)) => Swatch::Line,
                (Style::Line, Places::Few(..)) => Swatch::Mark,
                (Style::Marks, _) => Swatch::Hollow,
            };
            let entry = (series.name.clone(), series.look, swatch);
            if !entries.contains(&entry) {
                entries.push(entry);
            }
        }
        let mut y = legend(&mut ink, size, top, &entries);
        let axes: Vec<Axis> = self.panels.iter().map(axis).collect();
        let widest = axes.iter().flat_map(Axis::ticks).map(|(_, name)| text_width(&name));
        let left = widest.fold(14.0, f64::max) + 8.0;
        let height = match (size, self.panels.len()) {
            (_, 0 | 1) => 170.0,
            _ => 110.0,
        };
        for (panel, axis) in self.panels.iter().zip(&axes) {
            let frame = Frame {
                left,
                right: size.width() - 6.0,
                top: y + LINE + 10.0,
                bottom: y + LINE + 10.0 + height,
                count: self.labels().len(),
            };
            self.panel(&mut ink, panel, axis, &frame);
            y = frame.bottom + 10.0;
        }
        y -= 6.0;
        y = self.place_axis(&mut ink, left, size, y);
        (ink.finish(), y)
    }

    fn panel(&self, ink: &mut Ink, panel: &Panel, axis: &Axis, frame: &Frame) {
        let title = axis.title(&panel.title);
        ink.text((0.0, frame.top - 10.0), Anchor::Start, "t strong", &title);
        for (place, name) in axis.ticks() {
            let at = frame.bottom - place * (frame.bottom - frame.top);
            ink.rule((frame.left, at), (frame.right, at), "grid");
            ink.text((frame.left - 5.0, at + 4.0), Anchor::End, "t dim", &name);
        }
        self.gaps(ink, panel, frame);
        let mut base = vec![0.0; frame.count];
        for series in &panel.series {
            match series.style {
                Style::Bars | Style::Stacked => {
                    self.bars(ink, panel, axis, series, frame, &mut base);
                }
                Style::Line | Style::Marks => self.points(ink, panel, axis, series, frame),
            }
        }
        ink.rule((frame.left, frame.bottom), (frame.right, frame.bottom), "axis");
        if panel.peak {
            self.peak(ink, panel, axis, frame);
        }
    }

    /// Days without any record.
    fn gaps(&self, ink: &mut Ink, panel: &Panel, frame: &Frame) {
        if !matches!(self.places, Places::Time(_)) {
            return;
        }
        for at in 0..frame.count {
            if panel.series.iter().all(|s| s.values.get(at).copied().flatten().is_none()) {
                let tip = format!("{}: no record", self.place_name(at));
                let x = frame.left + at as f64 * frame.step();
                ink.bar((x, frame.top), (frame.step(), frame.bottom - frame.top), "gap", &tip);
            }
        }
    }

    fn bars(
        &self,
        ink: &mut Ink,
        panel: &Panel,
        axis: &Axis,
        series: &Series,
        frame: &Frame,
        base: &mut [f64],
    ) {
        let share = if frame.count > 40 { 1.0 } else { 0.7 };
        let width = (frame.step() * share).min(64.0);
        let class = format!("bar s{}", series.look % LOOKS);
        for (at, value) in series.values.iter().enumerate() {
            let (Some(value), Some(base)) = (value, base.get_mut(at)) else { continue };
            let from = if series.style == Style::Stacked { *base } else { 0.0 };
            *base = from + value;
            let Some(high) = axis.place(from + value) else { continue };
            let low = if axis.is_logarithmic() { 0.0 } else { axis.place(from).unwrap_or(0.0) };
            if high <= low {
                continue;
            }
            let tall = frame.bottom - frame.top;
            // What is there must be seen: at least a pixel.
            let height = ((high - low) * tall).max(1.0);
            let x = frame.middle(at) - width / 2.0;
            let y = frame.bottom - low * tall - height;
            let tip = self.tip(at, series, panel.unit, *value);
            ink.bar((x, y), (width, height), &class, &tip);
            if panel.labels && height > LINE {
                let label = axis.label(*value);
                ink.text((frame.middle(at), y + 13.0), Anchor::Middle, "t onbar", &label);
            }
        }
    }

    fn points(&self, ink: &mut Ink, panel: &Panel, axis: &Axis, series: &Series, frame: &Frame) {
        let tall = frame.bottom - frame.top;
        let place = |(at, value): (usize, &Option<f64>)| {
            let share = axis.place((*value)?)?;
            Some((frame.middle(at), frame.bottom - share * tall))
        };
        let points: Vec<_> = series.values.iter().enumerate().map(place).collect();
        if series.style == Style::Line {
            let class = format!("line s{}", series.look % LOOKS);
            for run in points.split(Option::is_none).filter(|run| !run.is_empty()) {
                ink.line(&run.iter().flatten().copied().collect::<Vec<_>>(), &class);
            }
        }
        if matches!(self.places, Places::Time(_)) {
            return;
        }
        for (at, point) in points.iter().enumerate() {
            let (Some(point), Some(Some(value))) = (point, series.values.get(at)) else { continue };
            let hollow = series.style == Style::Marks;
            ink.mark(*point, series.look, hollow, &self.tip(at, series, panel.unit, *value));
            if panel.labels && !hollow {
                let up = if series.look.is_multiple_of(2) { -9.0 } else { 19.0 };
                let label = axis.label(*value);
                ink.text((point.0, point.1 + up), Anchor::Middle, "t", &label);
            }
        }
    }

    fn tip(&self, at: usize, series: &Series, unit: Unit, value: f64) -> String {
        let name = if series.name.is_empty() { "" } else { &format!(", {}", series.name) };
        format!("{}{name}: {}", self.place_name(at), unit.amount(value))
    }

    fn peak(&self, ink: &mut Ink, panel: &Panel, axis: &Axis, frame: &Frame) {
        let seen = (0..frame.count).map(|at| (at, bars_at(panel, at)));
        // The first among equals.
        let Some((at, value)) = seen.rev().max_by(|a, b| a.1.total_cmp(&b.1)) else { return };
        let Some(share) = axis.place(value).filter(|_| value > 0.0) else { return };
        let when = dates::short_date(self.labels().get(at).map_or("", String::as_str));
        let label = format!("{}, {when}", panel.unit.amount(value));
        let width = text_width(&label);
        let (x, y) = (frame.middle(at), frame.bottom - share * (frame.bottom - frame.top));
        let right = x + 6.0 + width < frame.right;
        let anchor = if right { Anchor::Start } else { Anchor::End };
        let x = if right { x + 5.0 } else { x - 5.0 };
        ink.text((x, (y + 4.0).max(frame.top + 8.0)), anchor, "t halo", &label);
    }

    /// The names of the places; returns where they end.
    fn place_axis(&self, ink: &mut Ink, left: f64, size: Size, y: f64) -> f64 {
        let right = size.width() - 6.0;
        let frame = Frame { left, right, top: y, bottom: y, count: self.labels().len() };
        match &self.places {
            Places::Time(labels) => {
                let most = ((right - left) / 36.0) as usize;
                let (mut free, mut end) = (0.0, y + 18.0);
                for dates::Tick { at, name: label, year } in dates::ticks(labels, most) {
                    let x = frame.left + at as f64 * frame.step();
                    let width = text_width(&label).max(text_width(&year));
                    let begin = (x - width / 2.0).max(left - 10.0).min(right - width);
                    if begin < free {
                        continue;
                    }
                    free = begin + width + 2.0;
                    let middle = begin + width / 2.0;
                    ink.rule((x, y - 4.0), (x, y), "axis");
                    ink.text((middle, y + 11.0), Anchor::Middle, "t dim", &label);
                    if !year.is_empty() {
                        ink.text((middle, y + 11.0 + LINE), Anchor::Middle, "t dim", &year);
                        end = y + 18.0 + LINE;
                    }
                }
                end
            }
            Places::Few(labels, what) => {
                for (at, label) in labels.iter().enumerate() {
                    ink.text((frame.middle(at), y + 11.0), Anchor::Middle, "t dim", label);
                }
                if what.is_empty() {
                    return y + 18.0;
                }
                let middle = f64::midpoint(left, right);
                ink.text((middle, y + 12.0 + LINE), Anchor::Middle, "t dim", what);
                y + 18.0 + LINE
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn days(count: usize) -> Vec<String> {
        let date = |n: usize| format!("2011-{:02}-{:02}", 5 + n / 30, n % 30 + 1);
        (0..count).map(date).collect()
    }

    #[test]
    fn a_day_without_record_is_a_gap_and_a_zero_is_not() {
        let series = Series {
            name: String::new(),
            look: 0,
            style: Style::Bars,
            values: vec![Some(5.0), None, Some(0.0), Some(2.5)],
        };
        let panel = Panel::new("flows", Unit::Count, vec![series]);
        let plot = Plot { places: Places::Time(days(4)), panels: vec![panel] };
        let (drawn, height) = plot.draw(Size::Wide, 0.0);
        assert_eq!(drawn.matches("class=\"gap\"").count(), 1);
        assert_eq!(drawn.matches("class=\"bar s0\"").count(), 2);
        assert!(drawn.contains("<title>2011-05-04: 2.5</title>"), "{drawn}");
        assert!(height > 170.0);
    }

    #[test]
    fn stacks_end_at_their_sum() {
        let of =
            |style, value| Series { name: "x".into(), look: 0, style, values: vec![Some(value)] };
        let series = vec![of(Style::Bars, 60.0), of(Style::Stacked, 50.0)];
        let panel = Panel::new("t", Unit::Count, series);
        assert_eq!(bars_at(&panel, 0), 110.0);
        assert_eq!(axis(&panel).ticks().last(), Some(&(1.0, "150".to_owned())));
    }
}
