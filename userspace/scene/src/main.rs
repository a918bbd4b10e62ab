// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `telesteer-scene`: plays scenes of routers, exporters and collectors that die, in network
//! namespaces of one machine. Run it in a guest or on a host of your own; it needs root.

mod anycast;
mod bench;
mod bpffs;
mod capture;
mod collectors;
mod demo;
mod error;
mod get;
mod kernel;
mod load;
mod outputs;
mod phase;
mod process;
mod programs;
mod progress;
mod sockets;
mod storm;
mod timeline;
mod traffic;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Routers, exporters and collectors in network namespaces, and what happens when one dies.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Play the demo: stock, bpf-modulo and telesteer on the same scene.
    Demo(demo::Args),
    /// Kill collectors a thousand times under load and prove every byte.
    #[command(name = "kill-storm")]
    Storm(storm::Args),
    /// Measure receivers of flows and of BMP side by side.
    BenchCollect(bench::Args),
    /// Take a server out of an anycast address and back, under each way to spread.
    BenchAnycast(anycast::bench::Args),
    /// Keep a resilient group of next hops in step with FRR's route.
    #[command(hide = true)]
    Mirror(anycast::mirror::Args),
    /// Send or answer traffic for flow exporters to measure.
    #[command(hide = true)]
    Traffic(traffic::Args),
    /// Fetch a page over HTTP.
    #[command(hide = true)]
    Get(get::Args),
}

fn main() -> ExitCode {
    let done = match Cli::parse().verb {
        Verb::Demo(args) => demo::run(&args),
        Verb::Storm(args) => storm::run(&args),
        Verb::BenchCollect(args) => bench::run(&args),
        Verb::BenchAnycast(args) => anycast::bench::run(&args),
        Verb::Mirror(args) => anycast::mirror::run(&args),
        Verb::Traffic(args) => traffic::run(&args),
        Verb::Get(args) => get::run(&args),
    };
    done.unwrap_or_else(|error| {
        eprintln!("telesteer-scene: {error:#}");
        ExitCode::from(2)
    })
}
