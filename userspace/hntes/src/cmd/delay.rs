// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `hntes delay`: what is left to redirect once a flow is found.

use crate::cmd::known::Known;
use crate::cmd::online::nanoseconds;
use crate::cmd::switches::Switches;
use crate::cmd::{assume, remarks};
use crate::input::source::Sources;
use crate::online::curve::{curve, flows};
use crate::online::figure::figure;
use crate::online::point::{Point, USUAL};
use crate::tables;
use crate::watch::{Watch, octets};
use crate::work::{Engine, Work};
use anyhow::{Context, Result, bail};
use std::fs;
use std::io::{ErrorKind, Write};
use std::net::IpAddr;
use std::path::PathBuf;
use telesteer_fam::Reading;
use telesteer_fam::aging::{Aging, Traffic, age};
use telesteer_fam::series::{Days, PairHistory};
use telesteer_online::Setting;

const NOTES: &str = "\
A flow is known from its records: what it sent and when. It is reported again as a point says, found by
the rules of `hntes online`, and what it sends after it is known and its route is set is redirected.

A point is KIND:SECONDS+SECONDS, the second being the time a route takes:
  mirror:1+0.02    headers are mirrored and counted in bins of a second
  reports:60+60    an exporter with an active timeout of a minute, a router that commits for one
  files:300+60     60 s reports in files of five minutes, read when they are complete

Columns: `online` all flows are looked for; `gated` only those of the table; `with_table` flows of the
table take its entries from their first byte, the others are looked for; `table_alone` the former only.";

/// Say which share of alpha bytes is left to redirect, by the delay of reports and of routes.
#[derive(clap::Args, Debug)]
#[command(after_help = NOTES)]
pub struct Args {
    /// Files of flow records, or folders of them, as `fam` reads them.
    #[arg(required = true, value_name = "FILE|DIR|-")]
    files: Vec<PathBuf>,
    /// Most octets of pipes that are copied to TMPDIR to be read more than once, such as 512M or 20G.
    #[arg(long, value_name = "SIZE", default_value = "8G", value_parser = octets)]
    spool: u64,
    #[command(flatten)]
    switches: Switches,
    /// Points of the curve.
    #[arg(long, value_delimiter = ',', default_value = USUAL, value_name = "POINT")]
    points: Vec<Point>,
    /// Rules: 0 is the window rule, K the early rule that wants K slots running.
    #[arg(long, value_delimiter = ',', default_value = "0,1", value_name = "K")]
    early: Vec<u32>,
    /// IPv4 prefix length of the table: 24 or 32.
    #[arg(long, default_value_t = 24, value_name = "BITS")]
    width: u8,
    /// Its aging.
    #[arg(long, default_value = "30", value_name = "AGE")]
    aging: Aging,
    /// A flow silent for longer, in seconds, is two flows.
    #[arg(long, default_value_t = 70.0, value_name = "SECONDS")]
    idle: f64,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Write the curve as a drawing.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Exporter of records that name none.
    #[arg(long, value_name = "ADDR")]
    assume_exporter: Option<IpAddr>,
    /// Sampling where records tell none: N, or EXPORTER=N; may be given more than once.
    #[arg(long, value_name = "[ADDR=]N")]
    assume_sampling: Vec<String>,
    /// Workers. Results do not depend on it.
    #[arg(long, default_value_t = 2)]
    threads: usize,
}

/// Reckons the curve and prints it.
pub fn run(args: &Args) -> Result<()> {
    let reading = args.switches.reading()?;
    let setting = Setting { h: reading.h, t: reading.t, ..Setting::default() };
    for early in &args.early {
        let slots = setting.slots();
        if i64::from(*early) > slots {
            bail!("--early {early}: more slots than the {slots} of 10 s that T has");
        }
    }
    let days = args.days(&reading)?;
    let width = reading.widths.iter().find(|width| width.v4 == args.width);
    let width = *width.with_context(|| format!("--width {}: not analysed", args.width))?;
    let history = PairHistory::new(&days, width);
    let aged = age(&history, args.aging, &reading, &Traffic::new());
    let flows = flows(&days, &aged.in_force, width, nanoseconds(args.idle, "idle")?);
    let table = curve(&flows, &args.points, &args.early, &setting);
    if let Some(path) = &args.svg {
        let drawn = figure(&table).file();
        fs::write(path, drawn).with_context(|| format!("writing {}", path.display()))?;
    }
    let text = match args.json {
        true => format!("{}\n", tables::to_json(&[table])),
        false => table.to_text(),
    };
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        // Whoever read had enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => other.context("writing to standard output"),
    }
}

impl Args {
    /// The alpha flows of all days.
    fn days(&self, reading: &Reading) -> Result<Days> {
        let assume = assume::assume(self.assume_exporter, &self.assume_sampling)?;
        let sources = Sources::new(&self.files, self.spool)?;
        remarks::of_sources(&sources);
        let (watch, engine) = (Watch::new(None), Engine::default());
        let files = &sources.files;
        let mut work = Work::new(files, &engine, None, &assume, self.threads, &watch)?;
        let mut found = work.try_all(|work| work.read(reading))?;
        let days = std::mem::take(&mut found.days);
        let Known { days, far, .. } = Known::new(days, None, false, reading)?;
        let far = work.try_all(|work| work.far(&far, reading))?;
        remarks::say(&found.reports, &days, &[], &far, reading);
        Ok(days)
    }
}
