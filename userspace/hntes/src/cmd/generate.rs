// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `hntes generate`: a workload in one of several forms, and its truth.

use crate::generate::beta;
use crate::generate::carrier::{Carrier, Datagrams, MessageFile};
use crate::generate::csv::Csv;
use crate::generate::export::Messages;
use crate::generate::pairs::DAYS;
use crate::generate::parquet::Parquet;
use crate::generate::profile::{Profile, Scale, Workload};
use crate::generate::records;
use crate::generate::sink::{Form, Sink, whole};
use crate::generate::truth::truth;
use anyhow::{Context, Result, bail};
use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

/// Make a workload whose figures are known, and write what they are to truth.json.
///
/// At most one day of records is in memory.
#[derive(clap::Args, Debug)]
#[command(after_help = HELP)]
pub struct Args {
    /// What it is like.
    #[arg(long, value_enum, default_value = "slides")]
    profile: Profile,
    /// The same seed makes the same workload.
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
    /// How it is written.
    #[arg(long, value_enum, default_value = "csv")]
    format: Form,
    /// Folder to write to, truth.json too; default: PROFILE-SEED in the current folder. With --format
    /// ipfix and without --to: a file, or a folder that is there, default PROFILE-SEED.ipfix; its truth
    /// is beside it under the ending .truth.json.
    #[arg(long, value_name = "DIR|FILE")]
    out: Option<PathBuf>,
    /// Days to make, from 1 May 2011.
    #[arg(long, default_value_t = DAYS, value_name = "N",
          value_parser = clap::value_parser!(u16).range(1..=i64::from(DAYS)))]
    days: u16,
    /// Beta flows of a day in the profile `beta`: 187000 make 40 million records in all. Memory grows
    /// with it, to 0.4 GB.
    #[arg(long, default_value_t = beta::FLOWS, value_name = "N",
          value_parser = clap::value_parser!(u32).range(1..=i64::from(beta::FLOWS_MAX)))]
    beta_flows: u32,
    /// Send the messages to a collector over UDP.
    ///
    /// One host stands for all exporters: each has an observation domain (1 is the ingress router, N + 1
    /// the egress router 10.0.1.N) and a source port of its own. Its address is told in an options record
    /// (exporterIPv4Address); the source address is this host's, or see --from.
    #[arg(long, value_name = "ADDR:PORT")]
    to: Option<SocketAddr>,
    /// Source address of the first, second, … exporter; the last given is that of all others. Has to be
    /// an address of this host, any of 127.0.0.0/8 for a collector on loopback.
    #[arg(long, value_name = "ADDR", value_delimiter = ',', requires = "to")]
    from: Vec<IpAddr>,
    /// Datagrams a second at most.
    #[arg(long, default_value_t = 1000, value_name = "N", requires = "to",
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    rate: u32,
}

const HELP: &str = "\
Examples:
  hntes generate --profile slides --seed 42 --out w && hntes fam w
  hntes generate --profile renumbered --format parquet --out w       as telesteer collect stores it
  hntes generate --format ipfix --to 127.0.0.1:4739 --days 30 --out w    to a collector, then compare with
                                                     w/truth.json

Profiles add one thing each to slides, which hits every published figure by construction; the README has
the list. Exit: 0 written; 1 is not used; 2 could not run: wrong arguments, no such folder, nobody listens.";

/// Writes the workload and its truth.
pub fn run(args: &Args) -> Result<()> {
    if args.to.is_some() && args.format != Form::Ipfix {
        bail!("--to needs --format ipfix");
    }
    if args.beta_flows != beta::FLOWS && args.profile != Profile::Beta {
        bail!("--beta-flows needs --profile beta");
    }
    let in_messages = args.format == Form::Ipfix;
    let scale = Scale { days: args.days, beta_flows: args.beta_flows, in_messages };
    let mut workload = Workload::new(args.profile, args.seed, scale)
        .with_context(|| format!("no workload for seed {}; try another", args.seed))?;
    let (mut sink, truth_path) = args.sink(&workload)?;
    let mut count = 0;
    for day in 1..=args.days {
        let records = records::day(&workload, day);
        count += records.len();
        let lost = sink.day(&records)?;
        workload.lose(day, &lost);
    }
    let export = sink.finish()?;
    let mut truth = truth(&workload);
    if let Some(export) = &export {
        let (messages, lost) = (export.messages, export.lost_messages);
        eprintln!("hntes: {messages} messages of {} octets, {lost} more lost", export.octets);
    }
    truth.export = export;
    whole(&truth_path, |file| {
        serde_json::to_writer_pretty(&mut *file, &truth)?;
        Ok(writeln!(file)?)
    })?;
    let (flows, path) = (truth.raw_flows, truth_path.display());
    eprintln!("hntes: {count} records of {flows} alpha flows, truth in {path}");
    Ok(())
}

impl Args {
    /// Where the records go, and the path of the truth.
    fn sink(&self, workload: &Workload) -> Result<(Box<dyn Sink>, PathBuf)> {
        let name = format!("{:?}-{}", self.profile, self.seed).to_lowercase();
        let dir = self.out.clone().unwrap_or_else(|| PathBuf::from(&name));
        let truth_path = dir.join("truth.json");
        let loss = (self.profile == Profile::Loss).then(|| workload.loss_rng());
        Ok(match (self.format, self.to) {
            (Form::Csv, _) => (Box::new(Csv { dir }), truth_path),
            (Form::Parquet, _) => (Box::new(Parquet { dir, name }), truth_path),
            (Form::Ipfix, Some(to)) => {
                let datagrams = Datagrams::new(to, self.from.clone(), self.rate);
                (Box::new(Messages::new(Carrier::Udp(datagrams), loss)), truth_path)
            }
            (Form::Ipfix, None) => {
                let file = format!("{name}.ipfix");
                let path = match &self.out {
                    None => file.into(),
                    Some(out) if out.is_dir() => out.join(file),
                    Some(out) => out.clone(),
                };
                let file = Carrier::File(MessageFile::create(&path)?);
                (Box::new(Messages::new(file, loss)), path.with_extension("truth.json"))
            }
        })
    }
}
