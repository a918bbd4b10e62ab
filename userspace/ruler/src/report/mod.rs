// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The measurements of both kernels side by side, and the claims about them.

pub mod membership;
pub mod select;
pub mod takeover;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::de::DeserializeOwned;

/// Names of the kernels, as the guests are told.
pub const UNPATCHED: &str = "unpatched";
/// With the series.
pub const PATCHED: &str = "plain";

/// Something the project says, judged by a measurement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// What is said, with the figures.
    pub text: String,
    /// Whether it holds; `None`: not everything it needs was measured.
    pub met: Option<bool>,
}

impl Claim {
    /// A claim about the worst of several cases: those that break it are named.
    pub fn about(text: &str, cases: Vec<(String, bool)>) -> Self {
        if cases.is_empty() {
            return Self { text: format!("{text}: not measured"), met: None };
        }
        let broken: Vec<&str> =
            cases.iter().filter(|(_, met)| !met).map(|(case, _)| case.as_str()).collect();
        match broken.is_empty() {
            true => Self { text: format!("{text} ({} cases)", cases.len()), met: Some(true) },
            false => Self {
                text: format!(
                    "{text}: not in {} of {} cases: {}",
                    broken.len(),
                    cases.len(),
                    broken.join("; ")
                ),
                met: Some(false),
            },
        }
    }

    /// One line for people.
    pub fn line(&self) -> String {
        let verdict = match self.met {
            Some(true) => "met     ",
            Some(false) => "NOT MET ",
            None => "open    ",
        };
        format!("{verdict} {}\n", self.text)
    }
}

/// A report: the table, its drawing, its claims.
#[derive(Debug, Clone)]
pub struct Report {
    /// For people.
    pub table: String,
    /// The drawing.
    pub svg: String,
    /// What is claimed.
    pub claims: Vec<Claim>,
}

impl Report {
    /// Table and claims.
    pub fn text(&self) -> String {
        let claims: String = self.claims.iter().map(Claim::line).collect();
        format!("{}\n{claims}", self.table)
    }

    /// Whether no claim was found wrong. What could not be measured is said, not held against it.
    pub fn good(&self) -> bool {
        self.claims.iter().all(|claim| claim.met != Some(false))
    }
}

/// The measurement of a kernel, if there is one in `dir`.
///
/// # Errors
///
/// If it cannot be read.
pub fn load<T: DeserializeOwned>(dir: &Path, kernel: &str) -> Result<Option<T>> {
    let path = dir.join(format!("{kernel}.json"));
    if !path.exists() {
        return Ok(None);
    }
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    serde_json::from_str(&text).with_context(|| path.display().to_string()).map(Some)
}

/// A number for a table, a dash for what is missing.
pub(crate) fn cell(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.0}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_names_what_breaks_it() {
        let case = |name: &str, met| (name.to_owned(), met);
        let claim = Claim::about("x", vec![case("a", true), case("b", false)]);
        assert_eq!(claim.met, Some(false));
        assert_eq!(claim.line(), "NOT MET  x: not in 1 of 2 cases: b\n");
        assert_eq!(Claim::about("x", vec![case("a", true)]).met, Some(true));
        assert_eq!(Claim::about("x", Vec::new()).met, None);
    }
}
