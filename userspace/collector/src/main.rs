// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `telesteer`: the collector and its tools, one verb a module in [`telesteer::cmd`].

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use telesteer::cmd;

/// Telemetry collection that survives its collectors.
#[derive(Parser)]
#[command(version, about, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Announce the anycast address by BGP while the collectors of this server are well.
    #[command(after_help = cmd::announce::TEACH)]
    Announce(cmd::announce::Args),
    /// Receive BMP, IPFIX, NetFlow v9 and UDP-notif and write JSON lines.
    Collect(cmd::collect::Args),
    /// Print what the decoders make of a capture as JSON lines.
    Decode(cmd::decode::Args),
    /// Merge the outputs of several collectors into exactly one copy of each message.
    Dedup(cmd::dedup::Args),
    /// Show the groups of sockets, their members and who feeds them.
    #[command(long_about = cmd::ls::HELP)]
    Ls(cmd::ls::Args),
    /// Send a capture or a generated load from many exporter addresses.
    Replay(cmd::replay::Args),
}

fn main() -> ExitCode {
    let done = match Cli::parse().verb {
        Verb::Announce(args) => cmd::announce::run(args),
        Verb::Collect(args) => cmd::collect::run(args),
        Verb::Decode(args) => cmd::decode::run(args),
        Verb::Dedup(args) => cmd::dedup::run(args),
        Verb::Ls(args) => cmd::ls::run(args),
        Verb::Replay(args) => cmd::replay::run(args),
    };
    done.unwrap_or_else(|error| {
        eprintln!("telesteer: {error:#}");
        ExitCode::from(2)
    })
}
