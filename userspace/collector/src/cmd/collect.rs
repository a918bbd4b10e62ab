// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `telesteer collect`: settings from file and flags, signals, exit code.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    service,
    settings::{PolicyKey, Seed, Settings, Steering, Takeover},
};

/// Arguments of `telesteer collect`. Each is also a key of the file given with `--config`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// TOML file with settings; flags win over it.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Stable number of this collector among its siblings; its member id in the kernel [default: 1].
    #[arg(long, value_name = "ID")]
    instance: Option<u64>,
    /// Share of the exporters relative to the siblings; 0 takes nothing new [default: 1].
    #[arg(long, value_name = "N")]
    weight: Option<u32>,
    /// Address to listen on, may be given more than once [default: :: and 0.0.0.0].
    #[arg(long, value_name = "ADDR")]
    listen: Vec<IpAddr>,
    /// TCP port for BMP; 0 is off [default: 1790].
    #[arg(long, value_name = "PORT")]
    bmp_port: Option<u16>,
    /// UDP port for IPFIX, takes NetFlow v9 too; 0 is off [default: 4739].
    #[arg(long, value_name = "PORT")]
    ipfix_port: Option<u16>,
    /// UDP port for NetFlow v9, takes IPFIX too; 0 is off [default: 2055].
    #[arg(long, value_name = "PORT")]
    netflow_port: Option<u16>,
    /// UDP port for UDP-notif; 0 is off [default: 10003].
    #[arg(long, value_name = "PORT")]
    notif_port: Option<u16>,
    /// How exporters are spread over the collectors [default: auto].
    #[arg(long, value_enum)]
    steering: Option<Steering>,
    /// Name of the kernel policy [default: source].
    #[arg(long, value_name = "NAME")]
    policy: Option<String>,
    /// What names an exporter: `saddr[,sport,payload]`, by default `saddr`.
    #[arg(long, value_name = "KEY")]
    policy_key: Option<PolicyKey>,
    /// Seed of the policy's hash, 32 hex digits [default: the kernel's own].
    #[arg(long, value_name = "HEX32")]
    policy_seed: Option<Seed>,
    /// Silence after which an exporter may move at any time, with policy `stable` [default: 0, the
    /// policy's own].
    #[arg(long, value_name = "MS")]
    policy_idle: Option<u32>,
    /// How long an exporter stays at most where it no longer belongs after a collector has joined, with
    /// policy `stable`; 1 is at once [default: 0, the policy's own].
    #[arg(long, value_name = "MS")]
    policy_deadline: Option<u32>,
    /// Thousandths by which a collector may exceed its share of the load and still get silent
    /// exporters, with policy `stable` [default: 0, no bound].
    #[arg(long, value_name = "N")]
    policy_bound: Option<u32>,
    /// Folder on a BPF file system for the maps of bpf-modulo and bpf-rendezvous.
    #[arg(long, value_name = "DIR")]
    bpf_pin: Option<PathBuf>,
    /// N of bpf-modulo: the number of collectors; for bpf-rendezvous more than any instance number
    /// [default: 1].
    #[arg(long, value_name = "N")]
    bpf_size: Option<u32>,
    /// Whether siblings inherit the sessions of a collector that ends [default: auto].
    #[arg(long, value_enum)]
    takeover: Option<Takeover>,
    /// Owners of a session that may die in a row without reading on before the kernel ends it; 255 is
    /// never [default: 0, the kernel's own].
    #[arg(long, value_name = "N")]
    takeover_budget: Option<u8>,
    /// Folder for the output files [default: .].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Folder for check-points, the same for all collectors of a host [default: OUT/state].
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Add the received bytes as hex to BMP lines.
    #[arg(long)]
    raw: bool,
    /// Write one line per datagram to the journal.
    #[arg(long)]
    journal: bool,
    /// Store flow records as Parquet too: a folder, or the URL of a bucket (s3://BUCKET/PATH) in a
    /// build with `--features cloud`.
    ///
    /// A file is closed 5 minutes after its hour, when it has 524288 rows, and at the end, and appears
    /// whole: date=YYYY-MM-DD/hour=HH/INSTANCE-STARTED-NUMBER.parquet, in UTC, by the begin of the
    /// flows. Times are absolute, also those of NetFlow v9. Collectors may share the folder. Records
    /// without times or addresses are left out and counted; when storage fails, rows are lost and
    /// counted, and everything else goes on. The columns: docs/parquet.md. `hntes fam DIR` reads it.
    #[arg(long, value_name = "DIR|URL")]
    parquet: Option<String>,
    /// Where to serve /metrics (Prometheus), /status (JSON) and /ready (200, or 503 in a drain).
    #[arg(long, value_name = "ADDR:PORT")]
    metrics: Option<SocketAddr>,
    /// Receive buffer of each socket [default: 8388608].
    #[arg(long, value_name = "BYTES")]
    rcvbuf: Option<u32>,
}

impl Args {
    /// The file's settings, or the defaults, with the flags on top.
    fn settings(self) -> anyhow::Result<Settings> {
        let mut all = match &self.config {
            Some(path) => Settings::read(path)?,
            None => Settings::default(),
        };
        fn over<T>(value: &mut T, flag: Option<T>) {
            if let Some(flag) = flag {
                *value = flag;
            }
        }
        over(&mut all.instance, self.instance);
        over(&mut all.weight, self.weight);
        over(&mut all.listen, (!self.listen.is_empty()).then_some(self.listen));
        over(&mut all.bmp_port, self.bmp_port);
        over(&mut all.ipfix_port, self.ipfix_port);
        over(&mut all.netflow_port, self.netflow_port);
        over(&mut all.notif_port, self.notif_port);
        over(&mut all.steering, self.steering);
        over(&mut all.policy, self.policy);
        over(&mut all.policy_key, self.policy_key);
        over(&mut all.policy_seed, self.policy_seed);
        over(&mut all.policy_idle, self.policy_idle);
        over(&mut all.policy_deadline, self.policy_deadline);
        over(&mut all.policy_bound, self.policy_bound);
        over(&mut all.bpf_pin, self.bpf_pin.map(Some));
        over(&mut all.bpf_size, self.bpf_size);
        over(&mut all.takeover, self.takeover);
        over(&mut all.takeover_budget, self.takeover_budget);
        over(&mut all.out, self.out);
        over(&mut all.state, self.state.map(Some));
        over(&mut all.raw, self.raw.then_some(true));
        over(&mut all.journal, self.journal.then_some(true));
        over(&mut all.parquet, self.parquet.map(Some));
        over(&mut all.metrics, self.metrics.map(Some));
        over(&mut all.rcvbuf, self.rcvbuf);
        all.check()?;
        Ok(all)
    }
}

/// Runs the collector until SIGTERM or SIGINT, drains it, and exits with 0.
///
/// # Errors
///
/// Settings that cannot be used, and what cannot be had at the start.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let settings = args.settings()?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("runtime")?;
    runtime.block_on(async {
        // Before anything is opened, so that no signal is missed from the ready line on.
        let mut terminate = signal(SignalKind::terminate()).context("SIGTERM")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT")?;
        let shutdown = async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        service::run(settings, shutdown).await
    })?;
    // A drain that was cut off may leave tasks behind; they must not hold the exit up.
    runtime.shutdown_background();
    Ok(ExitCode::SUCCESS)
}
