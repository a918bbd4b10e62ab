// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Sends telemetry from many exporter addresses: generated loads and captures.
//!
//! A load is described by [`config::Load`] and run by [`run`] on one thread: payloads are made
//! before they are needed, each BMP session is one task, all datagram exporters of a section are
//! one. What was sent is counted as it is sent and printed at the end.
//!
//! `SIGUSR1` pauses a load for good: every session ends its last message, nothing more is sent,
//! connections stay open. `SIGTERM` and `SIGINT` end it.

mod bgp;
mod bgp_peer;
mod bmp;
mod bmp_session;
pub mod config;
mod counters;
mod flow;
mod notif;
mod pace;
mod pcap;
mod phase;
mod rng;
mod senders;
mod sources;
mod udp;

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};

use config::Load;
use counters::Counters;
use phase::Phase;
use senders::Senders;

/// How long senders may take to end after they were told to.
const STOP_MAX: Duration = Duration::from_secs(15);

/// Runs a load to its end; with `progress` a line of counters goes to stdout every second.
///
/// The last line on stdout is the summary: the counters with `"final":true`.
pub fn run(load: &Load, progress: bool) -> anyhow::Result<()> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().context("runtime")?;
    runtime.block_on(drive(load, progress))
}

async fn drive(load: &Load, progress: bool) -> anyhow::Result<()> {
    let mut term = signal(SignalKind::terminate()).context("SIGTERM handler")?;
    let mut int = signal(SignalKind::interrupt()).context("SIGINT handler")?;
    let mut pause = signal(SignalKind::user_defined1()).context("SIGUSR1 handler")?;
    let (switch, watch) = phase::switch();
    // Everything is built before anything is sent: a wrong address is an error and nothing else.
    let Senders { counters, mut tasks } = Senders::start(load, &watch)?;
    let mut second = tokio::time::interval(Duration::from_secs(1));
    let end = async {
        match load.duration_s {
            Some(seconds) => tokio::time::sleep(Duration::from_secs_f64(seconds)).await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(end);
    loop {
        tokio::select! {
            _ = second.tick() => if progress { print(&counters, false)?; },
            _ = pause.recv() => { switch.send_replace(Phase::Pause); }
            _ = term.recv() => break,
            _ = int.recv() => break,
            () = &mut end => break,
            // A paused load waits to be ended; a load that is all sent ends by itself.
            done = tasks.join_next(), if !tasks.is_empty() => drop(done),
            () = std::future::ready(()), if tasks.is_empty() && watch.now() == Phase::Run => break,
        }
    }
    switch.send_replace(Phase::End);
    let all = async { while tasks.join_next().await.is_some() {} };
    if tokio::time::timeout(STOP_MAX, all).await.is_err() {
        eprintln!("telesteer replay: some senders did not end within {} s", STOP_MAX.as_secs());
    }
    print(&counters, true)
}

/// One line of counters on stdout. A reader that went away is no error.
fn print(counters: &Arc<Counters>, last: bool) -> anyhow::Result<()> {
    let mut line = serde_json::to_value(counters.as_ref()).context("counters")?;
    if let Some(fields) = line.as_object_mut() {
        fields.insert("final".to_owned(), last.into());
    }
    match writeln!(std::io::stdout().lock(), "{line}") {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(error).context("write to stdout")
        }
        _ => Ok(()),
    }
}
