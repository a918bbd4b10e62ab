// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `hntes report`: the analysis as a page.

use crate::cmd::fam::{self, Outcome};
use crate::cmd::output::write_csv;
use crate::report::origin::Origin;
use crate::report::view::View;
use crate::report::{Report, page};
use anyhow::{Context, Result};
use serde_json::Value;
use std::path::PathBuf;
use telesteer_fam::Reading;

/// Analyse as `fam` does, and write a page with figures, a verdict on the hypothesis behind the
/// tables, and every table as CSV and JSON beside it.
#[derive(clap::Args, Debug)]
#[command(after_help = HELP)]
pub struct Args {
    #[command(flatten)]
    fam: fam::Args,
    /// Folder for report.html, its drawings, and the numbers.
    #[arg(long, value_name = "DIR", default_value = "report")]
    out: PathBuf,
    /// The truth of the workload that the records are; default: truth.json beside the first file
    /// that has one. Records without a truth are taken for a network's.
    #[arg(long, value_name = "FILE")]
    truth: Option<PathBuf>,
}

const HELP: &str = "\
Examples:
  hntes report flows --out report                    then open report/report.html
  hntes report --doors doors.list --capacities lsps.list --out report flows
  hntes generate --profile renumbered --out w && hntes report w --out false

With --each-exporter the page is about all routers together; tables of each are beside it in exporter-ADDR.
Standard output has the verdict on the hypothesis in a sentence, or the tables that --json or --table
asks for.
Exit: 0 written, whatever the verdict; 1 is not used; 2 could not run: wrong arguments, no file that can
be read.";

/// Writes the page; prints the verdict, or the tables if they are asked for.
pub fn run(args: &Args) -> Result<()> {
    let Args { fam: args, out, truth } = args;
    // Nothing is beside a pipe.
    let files = args.files().iter().filter(|path| path.is_file() || path.is_dir());
    let origin = Origin::find(truth.as_deref(), &files.cloned().collect::<Vec<_>>())?;
    let reading = in_words(&args.reading()?)?;
    let outcome = fam::analyse(args)?;
    let Outcome { tables, each } = &outcome;
    let report = Report::new(tables, origin, reading);
    let path = report.write(out)?;
    if !each.is_empty() {
        write_csv(&outcome, out)?;
    }
    eprintln!("hntes: the report is {}", path.display());
    if args.output().wants_tables() {
        return args.output().print(&outcome);
    }
    if let Some((_, sentence)) = page::verdict_line(View::new(tables)) {
        println!("{sentence}");
    }
    Ok(())
}

/// H and T, and what differs from the reference reading.
fn in_words(reading: &Reading) -> Result<String> {
    let fields = |reading: &Reading| {
        serde_json::to_value(reading).context("writing the reading down").map(|value| match value {
            Value::Object(fields) => fields,
            _ => serde_json::Map::new(),
        })
    };
    let (own, reference) = (fields(reading)?, fields(&Reading::default())?);
    let differs = |(name, value): (&String, &Value)| {
        let other = reference.get(name) != Some(value);
        (other && name != "h" && name != "t").then(|| format!("{name} {value}"))
    };
    let switched: Vec<String> = own.iter().filter_map(differs).collect();
    let (bytes, seconds) = (reading.h as f64 / 1e9, reading.t as f64 / 1e9);
    let limits = format!("H = {bytes} GB, T = {seconds} s");
    Ok(match switched.is_empty() {
        true => format!("{limits}, else the reference reading"),
        false => format!("{limits}; other than the reference: {}", switched.join(", ")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use telesteer_fam::reading::Gap;

    #[test]
    fn a_reading_names_what_is_switched() {
        let plain = in_words(&Reading::default()).unwrap();
        assert_eq!(plain, "H = 1 GB, T = 60 s, else the reference reading");
        let other = Reading { gap: Gap::Under, h: 500_000_000, ..Reading::default() };
        let other = in_words(&other).unwrap();
        assert_eq!(other, "H = 0.5 GB, T = 60 s; other than the reference: gap \"under\"");
    }
}
