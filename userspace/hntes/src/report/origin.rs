// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Where the records come from, and so what each figure is worth: made to come out, or found.

use super::slides::PUBLISHED;
use super::unit::{Unit, number};
use super::view::View;
use crate::tables::Table;
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Name of the truth beside a workload.
const TRUTH: &str = "truth.json";

/// The part of a workload's truth that the report holds figures against.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Truth {
    /// The profile.
    pub profile: String,
    /// The seed.
    pub seed: u64,
    raw_flows: u64,
    prefix_flows: BTreeMap<String, u64>,
    effectiveness: BTreeMap<String, BTreeMap<String, f64>>,
    lsps: Vec<u64>,
    days: Vec<TrueDay>,
}

/// A day of it.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
struct TrueDay {
    alpha_bytes: u64,
    alpha_time_ms: u64,
    most_of_one: u64,
}

/// Where records come from.
#[derive(Clone, Debug, PartialEq)]
pub enum Origin {
    /// Of a network.
    Recorded,
    /// Of `hntes generate`.
    Made(Box<Truth>),
}

/// What a figure is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// The workload was fitted to it.
    Construction,
    /// It follows from how the workload is made, without having been aimed at.
    Process,
    /// The records say so.
    Finding,
}

impl Standing {
    fn text(self) -> &'static str {
        match self {
            Self::Construction => "by construction",
            Self::Process => "outcome of the process",
            Self::Finding => "finding",
        }
    }
}

/// Where the truth of a file or folder may be.
fn beside(path: &Path) -> Vec<PathBuf> {
    if path.is_dir() {
        return vec![path.join(TRUTH)];
    }
    // A file of messages has a truth of its own name, and Parquet lies in date=…/hour=….
    let mut places = vec![path.with_extension(TRUTH)];
    for folder in path.ancestors().skip(1) {
        places.push(folder.join(TRUTH));
        if !folder.file_name().is_some_and(|name| name.to_string_lossy().contains('=')) {
            break;
        }
    }
    places
}

/// Profiles that keep what `slides` is fitted to.
const FITTED: [&str; 5] = ["slides", "parallel", "beta", "duplicates", "ipv6"];

impl Origin {
    /// The truth named, else the one beside the files. A folder with a truth holds a workload.
    pub fn find(named: Option<&Path>, files: &[PathBuf]) -> Result<Self> {
        let path = match named {
            Some(path) => path.to_owned(),
            None => match files.iter().flat_map(|file| beside(file)).find(|path| path.is_file()) {
                Some(path) => path,
                None => return Ok(Self::Recorded),
            },
        };
        let at = || {
            let taken = "records beside a truth.json are taken for a workload";
            format!("reading {} ({taken})", path.display())
        };
        let text = std::fs::read_to_string(&path).with_context(at)?;
        let truth: Truth = serde_json::from_str(&text).with_context(at)?;
        if truth.days.is_empty() {
            bail!("{}: no days", path.display());
        }
        Ok(Self::Made(Box::new(truth)))
    }

    fn profile(&self) -> Option<&str> {
        match self {
            Self::Recorded => None,
            Self::Made(truth) => Some(&truth.profile),
        }
    }

    /// What the origin means for everything in the report.
    pub fn words(&self) -> String {
        match self {
            Self::Recorded => {
                "The records come from a network. All figures are findings about it; \
                               published figures stand beside them for comparison only."
                    .to_owned()
            }
            Self::Made(truth) => {
                let fitted = if FITTED.contains(&truth.profile.as_str()) {
                    "It is fitted to the published figures, so these are reproduced by construction \
                     and are no evidence for the hypothesis behind them. The same process without \
                     the fit redirects far more."
                } else {
                    "What it adds moves it away from the published figures; its own truth says \
                     where to."
                };
                format!(
                    "The records are a workload: hntes generate, profile {}, seed {}. {fitted} \
                     They test the arithmetic of this analysis, not a network.",
                    truth.profile, truth.seed
                )
            }
        }
    }

    /// Why the verdict on the hypothesis came out as it did, if it was made to.
    pub fn about_verdict(&self) -> Option<&'static str> {
        Some(match self.profile()? {
            "renumbered" => {
                "By construction: this workload gives networks other addresses every three days."
            }
            _ => "By construction: core prefix flows of this workload stay to its end.",
        })
    }

    /// What a figure is worth, and why. `aimed`: the workload is fitted to it.
    fn standing(&self, aimed: bool) -> (Standing, &'static str) {
        match self.profile() {
            None => (Standing::Finding, "recorded"),
            Some(profile) if aimed && FITTED.contains(&profile) => {
                (Standing::Construction, "the workload is fitted to it")
            }
            Some(_) if aimed => (Standing::Process, "the profile changes what slides is fitted to"),
            Some(_) => (Standing::Process, "follows from how the workload is made"),
        }
    }
}

/// Rows of the table in the making.
struct Rows<'o> {
    origin: &'o Origin,
    table: Table,
}

impl Rows<'_> {
    fn put(
        &mut self,
        figure: &str,
        found: Option<String>,
        published: &str,
        truth: &str,
        aimed: bool,
    ) {
        let (standing, why) = self.origin.standing(aimed);
        self.special(figure, found, published, truth, (standing, why));
    }

    fn special(
        &mut self,
        figure: &str,
        found: Option<String>,
        published: &str,
        truth: &str,
        (standing, why): (Standing, &str),
    ) {
        let Some(found) = found else { return };
        let dash = |text: &str| if text.is_empty() { "–".to_owned() } else { text.to_owned() };
        self.table.push([
            figure.into(),
            found.into(),
            dash(published).into(),
            dash(truth).into(),
            standing.text().into(),
            why.into(),
        ]);
    }
}

/// Every number the report is about: as found, as published, as the workload was planned, and what
/// it is worth.
pub fn standing(view: View<'_>, origin: &Origin) -> Table {
    let columns = ["figure", "found", "published", "planned", "standing", "why"];
    let title = "what is reproduced by construction and what is found";
    let mut rows = Rows { origin, table: Table::new("standing", title, &columns) };
    let truth = match origin {
        Origin::Recorded => None,
        Origin::Made(truth) => Some(truth.as_ref()),
    };
    let planned = |of: &dyn Fn(&Truth) -> Option<String>| truth.and_then(of).unwrap_or_default();
    let count = |cell: Option<f64>| cell.map(number);

    let raw = count(view.figure("raw_flows").and_then(|cell| cell.number()));
    let plan = planned(&|truth| Some(number(truth.raw_flows as f64)));
    rows.put("alpha raw flows", raw, "22\u{202f}041", &plan, true);
    for (width, published) in [("/24", "125"), ("/32", "1548")] {
        let line = view.sheet("prefix_flows").map(|sheet| sheet.with(&[("width", width)]));
        let found = line.and_then(|lines| count(lines.first()?.number("prefix_flows")));
        let plan = planned(&|truth| Some(number(*truth.prefix_flows.get(width)? as f64)));
        rows.put(&format!("{width} prefix flows"), found, published, &plan, true);
    }
    for (width, ages) in PUBLISHED {
        for (age, published) in ages {
            let lines =
                view.sheet("effectiveness").map(|s| s.with(&[("width", width), ("aging", age)]));
            let found = lines.and_then(|lines| lines.first()?.number("effectiveness_percent"));
            let plan = planned(&|truth| {
                let percent = truth.effectiveness.get(width)?.get(age)?;
                Some(format!("{percent:.2} %"))
            });
            let found = found.map(|percent| format!("{percent:.2} %"));
            let figure = format!("effectiveness {width}, aging {age}");
            rows.put(&figure, found, &Unit::Percent.amount(published), &plan, true);
        }
    }
    largest(&mut rows, view, truth);
    months(&mut rows, view, truth);
    outcomes(&mut rows, view);
    rows.table
}

/// The largest day and the busiest prefix flow.
fn largest(rows: &mut Rows<'_>, view: View<'_>, truth: Option<&Truth>) {
    let most = |of: fn(&TrueDay) -> u64| truth.and_then(|t| t.days.iter().map(of).max());
    let text = |name: &str| view.figure(name).map(|cell| cell.text());
    let bytes = view.figure("most_alpha_bytes").and_then(|cell| cell.number());
    let plan = most(|day| day.alpha_bytes).map(|v| Unit::Bytes.amount(v as f64));
    let plan = plan.unwrap_or_default();
    let found = bytes.map(|bytes| Unit::Bytes.amount(bytes));
    rows.put("most alpha bytes in a day", found, "2.65 TB", &plan, true);
    let hours = view.figure("most_alpha_time_h").and_then(|cell| cell.number());
    let plan = most(|day| day.alpha_time_ms).map(|v| Unit::Hours.amount(v as f64 / 3.6e6));
    let found = hours.map(|hours| Unit::Hours.amount(hours));
    rows.put("most alpha time in a day", found, "9.3 h", &plan.unwrap_or_default(), true);
    rows.put("day of most alpha bytes", text("day_of_most_alpha_bytes"), "day 89", "", true);
    rows.put("day of most alpha time", text("day_of_most_alpha_time"), "day 89", "", true);
    let of_one = view.figure("most_of_one").and_then(|cell| cell.number()).map(number);
    let plan = most(|day| day.most_of_one).map(|v| number(v as f64)).unwrap_or_default();
    rows.put("most raw flows of a prefix flow in a day", of_one, "1240", &plan, true);
}

fn months(rows: &mut Rows<'_>, view: View<'_>, truth: Option<&Truth>) {
    let Some(sheet) = view.sheet("lsp_months") else { return };
    let total: Vec<String> = sheet.lines().map(|line| line.text("total")).collect();
    let plan =
        truth.map(|truth| truth.lsps.iter().map(u64::to_string).collect::<Vec<_>>().join(" "));
    let plan = plan.unwrap_or_default();
    rows.put("LSPs by month", Some(total.join(" ")), "13 15 16 16 18 18 18", &plan, true);
}

/// What nothing is fitted to, or only by one profile.
fn outcomes(rows: &mut Rows<'_>, view: View<'_>) {
    if let Some(sheet) = view.sheet("new_prefix_flows")
        && let Some(line) = sheet.with(&[("width", "/24"), ("aging", "-")]).first()
    {
        let days = ["days_0", "days_1", "days_2_or_more"].map(|name| line.text(name));
        let found = format!("{} / {} / {}", days[0], days[1], days[2]);
        rows.put(
            "days with 0 / 1 / more new /24 prefix flows",
            Some(found),
            "most 0 or 1",
            "",
            false,
        );
    }
    if let Some(sheet) = view.sheet("table_sizes")
        && let Some(line) = sheet.with(&[("width", "/24"), ("aging", "30")]).first()
    {
        let found = format!("mean {}, at the end {}", line.text("mean"), line.text("last"));
        rows.put("size of the /24 table, aging 30", Some(found), "almost flat", "", false);
    }
    if let Some(sheet) = view.sheet("hypothesis")
        && let Some(line) = sheet.lines().next()
    {
        let standing = match rows.origin {
            Origin::Recorded => (Standing::Finding, "recorded"),
            Origin::Made(_) => (Standing::Construction, "whether addresses stay is planned"),
        };
        let found = Some(line.text("verdict"));
        rows.special("hypothesis that addresses stay", found, "assumed", "", standing);
    }
    let profile = rows.origin.profile().unwrap_or("").to_owned();
    let known = |name: &str| profile == name;
    if let Some(sheet) = view.sheet("simultaneous") {
        let most = sheet.lines().filter_map(|line| line.number("most")).fold(0.0, f64::max);
        let standing = match known("parallel") {
            true => (Standing::Construction, "4 to 16 streams begin together"),
            false => rows.origin.standing(false),
        };
        rows.special("most simultaneous alpha flows", Some(number(most)), "", "", standing);
    }
    if let Some(sheet) = view.sheet("beta")
        && let Some(line) = sheet.with(&[("width", "/24"), ("aging", "30")]).first()
    {
        let standing = match known("beta") {
            true => (Standing::Construction, "40 % of beta flows are put into alpha networks"),
            false => rows.origin.standing(false),
        };
        let share = line.number("beta1_share_of_lsp_percent").unwrap_or(0.0);
        let found = format!("{} of what LSPs carry", Unit::Percent.amount(share));
        rows.special("redirected beta, /24, aging 30", Some(found), "", "", standing);
    }
    for (figure, table) in [
        ("four dimensions", "dimensions"),
        ("LSP utilisation", "lsp_utilisation"),
        ("match with data doors, undeclared hosts", "doors"),
    ] {
        if view.sheet(table).is_some() {
            rows.put(figure, Some("see the figure".to_owned()), "", "", false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_truth_is_beside_what_it_is_of() {
        let of = |path: &str| beside(Path::new(path));
        assert_eq!(of("w/m.ipfix"), ["w/m.truth.json", "w/truth.json"].map(PathBuf::from));
        let stored = of("w/date=2011-05-01/hour=00/slides-1.parquet");
        assert_eq!(stored.last(), Some(&PathBuf::from("w/truth.json")));
        assert_eq!(of("all.csv").last(), Some(&PathBuf::from("truth.json")));
    }
}
