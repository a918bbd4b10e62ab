// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `telesteer announce`: arguments, signals, exit code.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode, sync::mpsc, time::Duration};

use anyhow::{Context, ensure};
use tokio::signal::unix::{SignalKind, signal};

use crate::announce::{
    decision::Limits,
    health::{Group, Needs},
    prefix::Prefix,
    speaker::Speaker,
    watch::Watch,
};

/// What `--help` says at its end.
pub const TEACH: &str = "\
The address itself must be on this server all the time (ip address add 192.0.2.1/32 dev lo); only the
route comes and goes. In FRR the BGP instance needs `no bgp network import-check`, or the address on lo.

  telesteer announce --prefix 192.0.2.1/32 --prefix 2001:db8:ffff::1/128 \\
      --watch 127.0.0.1:9101 --watch 127.0.0.1:9102 --group tcp:1790 --via frr --asn 65101

A server that leaves must lose its route before its collectors leave. On SIGTERM the route is
withdrawn, read back until it is gone, and only then, --linger later, does this program end with 0. So
let systemd start it after the collectors: it then stops it before them.

  [Unit]
  After=telesteer-collect@1.service telesteer-collect@2.service frr.service

Killed by SIGKILL it leaves the route as it is; started again it takes over what is announced.
Exit status: 0 withdrawn, 1 the speaker did not obey in time, 2 could not run.";

/// Arguments of `telesteer announce`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Prefix to announce, may be given more than once; all come and go together.
    #[arg(long, required = true, value_name = "PREFIX")]
    prefix: Vec<Prefix>,
    /// The BGP speaker of this server.
    #[arg(long, value_enum)]
    via: Via,
    /// FRR: the AS of `router bgp`.
    #[arg(long, value_name = "ASN", required_if_eq("via", "frr"))]
    asn: Option<u32>,
    /// FRR: the VRF of `router bgp` [default: the default one].
    #[arg(long, value_name = "NAME")]
    vrf: Option<String>,
    /// FRR: the program.
    #[arg(long, value_name = "FILE", default_value = "vtysh")]
    vtysh: PathBuf,
    /// FRR: folder of the daemons' sockets [default: FRR's own].
    #[arg(long, value_name = "DIR")]
    vty_socket: Option<PathBuf>,
    /// GoBGP: the program.
    #[arg(long, value_name = "FILE", default_value = "gobgp")]
    gobgp: PathBuf,
    /// GoBGP: address and port of its API.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:50051")]
    gobgp_api: String,
    /// A collector's --metrics address; it is ready if /ready there says so.
    #[arg(long, value_name = "ADDR:PORT")]
    watch: Vec<SocketAddr>,
    /// Collectors that must be ready.
    #[arg(long, value_name = "N", default_value_t = 1)]
    min_ready: usize,
    /// A group of sockets to count, as tcp:1790 or udp:4739.
    #[arg(long, value_name = "GROUP")]
    group: Vec<Group>,
    /// Members each group must have in each announced address family.
    #[arg(long, value_name = "N", default_value_t = 1)]
    min_members: usize,
    /// Looks in a row that must be well before announcing.
    #[arg(long, value_name = "N", default_value_t = 3)]
    rise: u32,
    /// Looks in a row that must be ill before withdrawing.
    #[arg(long, value_name = "N", default_value_t = 2)]
    fall: u32,
    /// Milliseconds between two looks.
    #[arg(long, value_name = "MS", default_value_t = 500)]
    interval: u64,
    /// Milliseconds between two questions to a speaker that has nothing to do: how soon a route that
    /// a restart lost is noticed.
    #[arg(long, value_name = "MS", default_value_t = 5000)]
    audit: u64,
    /// Milliseconds a withdrawn address stays away at least, unless the server leaves for good.
    #[arg(long, value_name = "MS", default_value_t = 5000)]
    hold: u64,
    /// Milliseconds a collector may take to answer.
    #[arg(long, value_name = "MS", default_value_t = 1000)]
    patience: u64,
    /// Milliseconds a command of the speaker may take.
    #[arg(long, value_name = "MS", default_value_t = 5000)]
    command_limit: u64,
    /// Milliseconds a drain may try to withdraw before it gives up with exit status 1.
    #[arg(long, value_name = "MS", default_value_t = 20_000)]
    drain_limit: u64,
    /// Milliseconds between the withdrawal and the end: time for the routers to change theirs.
    #[arg(long, value_name = "MS", default_value_t = 1000)]
    linger: u64,
    /// Show the commands and change nothing.
    #[arg(long)]
    dry_run: bool,
    /// Events as JSON lines on standard output.
    #[arg(long)]
    json: bool,
}

/// Which program speaks BGP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Via {
    /// FRR, by `network` statements through vtysh.
    Frr,
    /// GoBGP, by paths of its global table.
    Gobgp,
}

impl Args {
    fn watch(self) -> anyhow::Result<Watch> {
        ensure!(
            !self.watch.is_empty() || !self.group.is_empty(),
            "without --watch or --group nothing says whether this server is well"
        );
        ensure!(self.rise > 0 && self.fall > 0, "--rise and --fall are at least 1");
        ensure!(self.interval > 0, "--interval is at least 1");
        ensure!(
            self.watch.is_empty() || self.min_ready <= self.watch.len(),
            "--min-ready {} of {} collectors can never be",
            self.min_ready,
            self.watch.len()
        );
        let ms = Duration::from_millis;
        let speaker = match self.via {
            Via::Frr => Speaker::Frr {
                vtysh: self.vtysh,
                socket: self.vty_socket,
                asn: self.asn.context("--via frr needs --asn")?,
                vrf: self.vrf,
            },
            Via::Gobgp => {
                let (host, port) = self
                    .gobgp_api
                    .rsplit_once(':')
                    .with_context(|| format!("--gobgp-api {}: no port", self.gobgp_api))?;
                let port =
                    port.parse().with_context(|| format!("--gobgp-api {}", self.gobgp_api))?;
                Speaker::GoBgp { gobgp: self.gobgp, host: host.to_owned(), port }
            }
        };
        let speaker = if self.dry_run {
            Speaker::Dry { of: Box::new(speaker), announced: Vec::new() }
        } else {
            speaker
        };
        let families =
            [false, true].map(|ipv6| self.prefix.iter().any(|prefix| prefix.is_ipv6() == ipv6));
        Ok(Watch {
            prefixes: self.prefix,
            speaker,
            needs: Needs {
                watch: self.watch,
                min_ready: self.min_ready,
                groups: self.group,
                min_members: self.min_members,
                families,
                patience: ms(self.patience),
            },
            limits: Limits {
                rise: self.rise,
                fall: self.fall,
                hold: ms(self.hold),
                retry: (ms(self.interval), ms(self.interval.max(10_000))),
            },
            interval: ms(self.interval),
            audit: ms(self.audit),
            command: ms(self.command_limit),
            drain: ms(self.drain_limit),
            linger: ms(self.linger),
            json: self.json,
        })
    }
}

/// Watches until SIGTERM or SIGINT, then withdraws.
///
/// # Errors
///
/// Arguments that do not go together, and signals that cannot be caught.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let watch = args.watch()?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let (leave, left) = mpsc::channel();
    {
        // Registered before the first look, so that no signal is missed.
        let _inside = runtime.enter();
        for kind in [SignalKind::terminate(), SignalKind::interrupt()] {
            let (mut signal, leave) = (signal(kind).context("signal")?, leave.clone());
            runtime.spawn(async move {
                while signal.recv().await.is_some() {
                    if leave.send(()).is_err() {
                        return;
                    }
                }
            });
        }
    }
    let withdrawn = watch.run(&left);
    runtime.shutdown_background();
    Ok(if withdrawn { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
