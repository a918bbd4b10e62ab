// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The report: tables as figures, a verdict, and what each number is worth.
//!
//! It is made from [`crate::tables`] alone, so a figure shows what the CSV beside it says.
//!
//! - [`view`], [`mod@unit`]: tables by name, numbers as people read them.
//! - [`ink`], [`axis`], [`dates`], [`plot`], [`rows`], [`grid`]: drawing.
//! - [`figure`], [`slides`], [`shapes`], [`lsps`], [`hosts`]: figures.
//! - [`origin`]: made or recorded, and what follows from it.
//! - [`page`]: the page.

pub mod axis;
pub mod dates;
pub mod figure;
pub mod grid;
pub mod hosts;
pub mod ink;
pub mod lsps;
pub mod origin;
pub mod page;
pub mod plot;
pub mod rows;
pub mod shapes;
pub mod slides;
pub mod unit;
pub mod view;

use crate::tables::{self, Table};
use anyhow::{Context, Result};
use figure::Figure;
use origin::Origin;
use std::fs;
use std::path::{Path, PathBuf};
use view::View;

/// A figure there is nothing for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// Its title.
    pub title: String,
    /// Why it is left out.
    pub reason: String,
}

impl Left {
    /// Left out because of `reason`.
    pub fn new(title: &str, reason: &str) -> Self {
        Self { title: title.to_owned(), reason: reason.to_owned() }
    }
}

/// A figure, or why there is none.
pub type Outcome = Result<Figure, Left>;

/// Everything in the page.
#[derive(Debug)]
pub struct Report<'t> {
    /// All tables of the analysis.
    pub tables: &'t [Table],
    /// Where the records come from.
    pub origin: Origin,
    /// The reading in words.
    pub reading: String,
    /// The figure of the verdict.
    pub lives: Outcome,
    /// The slides' figures.
    pub slides: Vec<Outcome>,
    /// The others.
    pub ours: Vec<Outcome>,
    /// What each number is worth.
    pub standing: Table,
}

impl<'t> Report<'t> {
    /// Makes the figures of `tables`.
    pub fn new(tables: &'t [Table], origin: Origin, reading: String) -> Self {
        let view = View::new(tables);
        Self {
            tables,
            reading,
            lives: hosts::lifetimes(view),
            slides: slides::figures(view),
            ours: vec![
                shapes::dimensions(view),
                lsps::utilisation(view),
                lsps::simultaneous_most(view),
                lsps::simultaneous_time(view),
                lsps::beta_exposure(view),
                hosts::doors(view),
                hosts::undeclared(view),
            ],
            standing: origin::standing(view, &origin),
            origin,
        }
    }

    fn figures(&self) -> impl Iterator<Item = &Figure> {
        let outcomes = std::iter::once(&self.lives).chain(&self.slides).chain(&self.ours);
        outcomes.filter_map(|outcome| outcome.as_ref().ok())
    }

    /// Writes the page, its drawings and all numbers into `dir`; returns the page's path.
    pub fn write(&self, dir: &Path) -> Result<PathBuf> {
        fs::create_dir_all(dir).with_context(|| format!("making {}", dir.display()))?;
        let write = |name: &str, text: &str| {
            let path = dir.join(name);
            fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
            Ok::<_, anyhow::Error>(path)
        };
        for figure in self.figures() {
            write(&format!("{}.svg", figure.name), &figure.file())?;
        }
        let mut all = self.tables.to_vec();
        all.push(self.standing.clone());
        for figure in self.figures() {
            if all.iter().all(|table| table.name != figure.data.name) {
                all.push(figure.data.clone());
            }
        }
        tables::write_csv(&all, dir).with_context(|| format!("writing to {}", dir.display()))?;
        write("report.json", &format!("{}\n", tables::to_json(&all)))?;
        write("report.html", &page::page(self))
    }
}
