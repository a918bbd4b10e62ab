// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A figure: what it shows in words, in a drawing of two widths, and as numbers.

use super::grid::Grid;
use super::ink::{Size, escaped};
use super::plot::Plot;
use super::rows::Rows;
use crate::tables::Table;
use std::fmt::Write as _;

/// Colours and text of drawings.
pub const STYLE: &str = include_str!("figure.css");

/// What is drawn.
#[derive(Clone, Debug)]
pub enum Drawing {
    /// Over time or places.
    Plot(Plot),
    /// By names.
    Rows(Rows),
    /// Sixteen cells.
    Grid(Box<Grid>),
}

/// A figure.
#[derive(Clone, Debug)]
pub struct Figure {
    /// File name, and its anchor in the page.
    pub name: &'static str,
    /// Its title.
    pub title: String,
    /// What is to be seen, for those who do not see it.
    pub description: String,
    /// What one has to know to read it.
    pub note: String,
    /// The drawing.
    pub drawing: Drawing,
    /// Its numbers.
    pub data: Table,
}

impl Figure {
    fn body(&self, size: Size, top: f64) -> (String, f64) {
        match &self.drawing {
            Drawing::Plot(plot) => plot.draw(size, top),
            Drawing::Rows(rows) => rows.draw(size, top),
            Drawing::Grid(grid) => grid.draw(size, top),
        }
    }

    /// The drawing for a page, which has the style.
    pub fn inline(&self, size: Size) -> String {
        let (body, height) = self.body(size, 0.0);
        let (class, id) = match size {
            Size::Wide => ("wide", format!("{}-w", self.name)),
            Size::Narrow => ("narrow", format!("{}-n", self.name)),
        };
        let (width, height) = (size.width(), height.ceil());
        format!(
            "<svg class=\"plot {class}\" viewBox=\"0 0 {width} {height}\" role=\"img\" \
             aria-labelledby=\"{id}-t {id}-d\">\n<title id=\"{id}-t\">{}</title>\n\
             <desc id=\"{id}-d\">{}</desc>\n{body}</svg>\n",
            escaped(&self.title),
            escaped(&self.description)
        )
    }

    /// The drawing as a file of its own.
    pub fn file(&self) -> String {
        let (size, top) = (Size::Wide, 26.0);
        let (body, height) = self.body(size, top);
        let (width, height) = (size.width(), height.ceil());
        let mut out = String::new();
        // Writing into a String cannot fail.
        let _ = write!(
            out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"plot\" width=\"{}\" \
             height=\"{}\" viewBox=\"-12 -8 {} {}\" role=\"img\" aria-labelledby=\"t d\">\n\
             <title id=\"t\">{}</title>\n<desc id=\"d\">{}</desc>\n<style>\n{STYLE}</style>\n\
             <rect x=\"-12\" y=\"-8\" width=\"100%\" height=\"100%\" class=\"paper\"/>\n\
             <text x=\"0\" y=\"14\" class=\"t title\">{}</text>\n{body}</svg>\n",
            width + 24.0,
            height + 16.0,
            width + 24.0,
            height + 16.0,
            escaped(&self.title),
            escaped(&self.description),
            escaped(&self.title)
        );
        out
    }
}
