// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `telesteer replay`: send a capture or a generated load from many exporter addresses.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;

use crate::replay::{self, config};

/// Arguments of `telesteer replay`.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    load: Verb,
    /// Equal seeds give equal loads.
    #[arg(long, global = true, default_value_t = 0)]
    seed: u64,
    /// Seconds to send for; without it, until SIGTERM.
    #[arg(long, global = true)]
    duration: Option<f64>,
    /// Print a line of counters every second.
    #[arg(long, global = true)]
    progress: bool,
}

#[derive(Subcommand)]
enum Verb {
    /// BMP sessions of generated routers.
    Bmp(config::Bmp),
    /// Generated IPFIX exporters.
    Ipfix(config::Flow),
    /// Generated NetFlow v9 exporters.
    Netflow9(config::Flow),
    /// Generated UDP-notif publishers.
    Notif(config::Notif),
    /// A BGP speaker that feeds a router.
    Bgp(config::Bgp),
    /// A capture: datagrams one by one, TCP streams reassembled.
    Pcap(config::Pcap),
    /// Everything a load file describes, in one process.
    Generate {
        /// The load file (TOML).
        #[arg(long)]
        config: PathBuf,
    },
}

/// Runs the verb: sends until told to end, then prints what was sent as one JSON line.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let mut load = config::Load { seed: args.seed, ..config::Load::default() };
    match args.load {
        Verb::Bmp(section) => load.bmp.push(section),
        Verb::Ipfix(section) => load.ipfix.push(section),
        Verb::Netflow9(section) => load.netflow9.push(section),
        Verb::Notif(section) => load.notif.push(section),
        Verb::Bgp(section) => load.bgp.push(section),
        Verb::Pcap(section) => load.pcap.push(section),
        Verb::Generate { config } => {
            load = config::Load::read(&config)?;
            if args.seed != 0 {
                load.seed = args.seed;
            }
        }
    }
    if args.duration.is_some() {
        load.duration_s = args.duration;
    }
    replay::run(&load, args.progress)?;
    Ok(ExitCode::SUCCESS)
}
