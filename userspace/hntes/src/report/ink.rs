// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What drawings are made of. Colours are classes, so that one drawing serves light and dark pages;
//! text is as large as it is drawn, so every drawing exists in two widths.
//!
//! Plotting crates write colours into attributes, know no `<title>` or `<desc>`, and their text
//! shrinks with the page; working around that would have been more than these lines.

use std::fmt::{Display, Write as _};

/// Height of a line of text.
pub const LINE: f64 = 16.0;

/// Series that have a look of their own.
pub const LOOKS: usize = 6;

/// Which of the two drawings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// For a window, and for the file.
    Wide,
    /// For a telephone.
    Narrow,
}

impl Size {
    /// Width in pixels.
    pub fn width(self) -> f64 {
        match self {
            Self::Wide => 552.0,
            Self::Narrow => 352.0,
        }
    }
}

/// Text with what HTML and XML reserve replaced.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            _ => out.push(c),
        }
    }
    out
}

/// How wide `text` may become; fonts differ, so rather too much.
pub fn text_width(text: &str) -> f64 {
    text.chars().count() as f64 * 7.0
}

/// Where a text is held.
#[derive(Clone, Copy, Debug)]
pub enum Anchor {
    /// At its beginning.
    Start,
    /// In its middle.
    Middle,
    /// At its end.
    End,
}

/// A drawing in the making.
#[derive(Clone, Debug, Default)]
pub struct Ink {
    body: String,
}

impl Ink {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    fn put(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing into a String cannot fail.
        let _ = self.body.write_fmt(text);
    }

    /// Text with its baseline at `y`.
    pub fn text(&mut self, at: (f64, f64), anchor: Anchor, class: &str, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let (x, y, text) = (n(at.0), n(at.1), escaped(text));
        self.put(format_args!(
            "<text x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\" class=\"{class}\">{text}</text>\n"
        ));
    }

    /// A rectangle of series `look`; `tip` is shown where a pointer rests on it.
    pub fn bar(&mut self, (x, y): (f64, f64), (w, h): (f64, f64), class: &str, tip: &str) {
        let (x, y, w, h) = (n(x), n(y), n(w.max(0.0)), n(h.max(0.0)));
        self.put(format_args!("<rect x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\" "));
        if tip.is_empty() {
            self.put(format_args!("class=\"{class}\"/>\n"));
        } else {
            let tip = escaped(tip);
            self.put(format_args!("class=\"{class}\"><title>{tip}</title></rect>\n"));
        }
    }

    /// A straight line.
    pub fn rule(&mut self, from: (f64, f64), to: (f64, f64), class: &str) {
        let [a, b, c, d] = [from.0, from.1, to.0, to.1].map(n);
        self.put(format_args!("<path d=\"M{a} {b}L{c} {d}\" class=\"{class}\"/>\n"));
    }

    /// Lines from point to point.
    pub fn line(&mut self, points: &[(f64, f64)], class: &str) {
        let mut path = String::new();
        for (at, (x, y)) in points.iter().enumerate() {
            let step = if at == 0 { 'M' } else { 'L' };
            let _ = write!(path, "{step}{} {}", n(*x), n(*y));
        }
        self.put(format_args!("<path d=\"{path}\" class=\"{class}\"/>\n"));
    }

    /// The mark of series `look`: shapes differ, so that colour is not all that tells them apart.
    pub fn mark(&mut self, (x, y): (f64, f64), look: usize, hollow: bool, tip: &str) {
        // A hollow mark is large enough to lie around one that is not.
        let r = if hollow { 6.5 } else { 4.0 };
        let (left, top, x, y) = (n(x - r), n(y - r), n(x), n(y));
        let [r, d] = [r, 2.0 * r].map(n);
        let path = match look % 4 {
            0 => format!("M{left} {y}a{r} {r} 0 1 0 {d} 0a{r} {r} 0 1 0 -{d} 0z"),
            1 => format!("M{left} {top}h{d}v{d}h-{d}z"),
            2 => format!("M{x} {top}l{r} {d}h-{d}z"),
            _ => format!("M{x} {top}l{r} {r}l-{r} {r}l-{r} -{r}z"),
        };
        if hollow {
            // Paper around it, so that it shows on a bar.
            self.put(format_args!("<path d=\"{path}\" class=\"under\"/>\n"));
        }
        let hollow = if hollow { " hollow" } else { "" };
        let (look, tip) = (look % LOOKS, escaped(tip));
        self.put(format_args!(
            "<path d=\"{path}\" class=\"mark s{look}{hollow}\"><title>{tip}</title></path>\n"
        ));
    }

    /// What was drawn.
    pub fn finish(self) -> String {
        self.body
    }
}

/// A coordinate.
fn n(value: f64) -> impl Display + Copy {
    let rounded = (value * 10.0).round() / 10.0;
    if rounded.is_finite() { rounded } else { 0.0 }
}

/// How a series shows in a legend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Swatch {
    /// A filled box.
    Box,
    /// A line.
    Line,
    /// A mark.
    Mark,
    /// A mark that is not filled.
    Hollow,
}

/// Draws a legend from `top` down, in as many lines as it takes; returns where it ends.
pub fn legend(ink: &mut Ink, size: Size, top: f64, entries: &[(String, usize, Swatch)]) -> f64 {
    if entries.len() < 2 && entries.iter().all(|(name, ..)| name.is_empty()) {
        return top;
    }
    let (mut x, mut y) = (2.0, top + 12.0);
    for (name, look, swatch) in entries {
        let width = 22.0 + text_width(name) + 10.0;
        if x > 2.0 && x + width > size.width() {
            (x, y) = (2.0, y + LINE);
        }
        let middle = y - 4.0;
        match swatch {
            Swatch::Box => {
                ink.bar((x, middle - 5.0), (14.0, 10.0), &format!("bar s{}", look % LOOKS), "");
            }
            Swatch::Line => {
                let class = format!("line s{}", look % LOOKS);
                ink.rule((x, middle), (x + 18.0, middle), &class);
            }
            Swatch::Mark => ink.mark((x + 9.0, middle), *look, false, name),
            Swatch::Hollow => ink.mark((x + 9.0, middle), *look, true, name),
        }
        ink.text((x + 22.0, y), Anchor::Start, "t", name);
        x += width;
    }
    y + 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_become_markup() {
        let mut ink = Ink::new();
        ink.text((1.0, 2.0), Anchor::Start, "t", "a<b & \"c\">");
        assert!(ink.finish().contains("a&lt;b &amp; &quot;c&quot;&gt;<"));
    }

    #[test]
    fn a_long_legend_wraps() {
        let entry = |name: &str| (name.to_owned(), 0, Swatch::Box);
        let mut ink = Ink::new();
        let short = legend(&mut ink, Size::Narrow, 0.0, &[entry("a"), entry("b")]);
        let long = "a long name that takes most of the line";
        let wrapped = legend(&mut ink, Size::Narrow, 0.0, &[entry(long), entry(long)]);
        assert!(wrapped - short == LINE);
        assert!(legend(&mut Ink::new(), Size::Wide, 7.0, &[entry("")]) == 7.0);
    }
}
