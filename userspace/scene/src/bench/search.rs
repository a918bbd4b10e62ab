// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The highest rate at which a receiver loses nothing, and what it costs there.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde::Serialize;

use super::flows::Exporters;
use super::peers::Running;
use super::{Args, cpu};

/// One rate, held for some seconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Trial {
    /// Datagrams per second reached.
    pub(crate) rate: f64,
    /// Datagrams sent.
    pub(crate) sent: u64,
    /// Datagrams sent and never read.
    pub(crate) dropped: u64,
    /// CPU seconds of the receiver.
    pub(crate) cpu: f64,
}

/// A receiver's best.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Found {
    /// The receiver.
    pub(crate) receiver: String,
    /// Flow records per datagram.
    pub(crate) records: usize,
    /// The fastest trial without loss.
    pub(crate) best: Trial,
    /// The sender could not send faster.
    pub(crate) sender_bound: bool,
    /// All trials.
    pub(crate) trials: Vec<Trial>,
    /// Records the receiver was given, over all trials.
    pub(crate) given: u64,
    /// Records it wrote down.
    pub(crate) kept: u64,
}

impl Found {
    /// Datagrams per CPU-second.
    pub(crate) fn datagrams(&self) -> f64 {
        self.best.sent as f64 / self.best.cpu.max(0.01)
    }

    /// Records per CPU-second.
    pub(crate) fn per_cpu(&self) -> f64 {
        self.datagrams() * self.records as f64
    }
}

/// Searches: doubles the rate until something is lost, then halves the gap.
pub(crate) fn best(args: &Args, records: usize, running: &mut Running) -> Result<Found> {
    let mut exporters = Exporters::new(args.exporters, records)?;
    // The templates must not count as datagrams of the first rate.
    running.rest(Duration::from_secs(20))?;
    let time = Duration::from_secs(args.seconds);
    let mut trials: Vec<Trial> = Vec::new();
    let (mut rate, mut good, mut bad, mut sender_bound) = (args.rate, 0u64, None, false);
    for _ in 0..args.tries {
        let trial = hold(&mut exporters, rate, time, running)?;
        eprintln!(
            "bench: {:10} {records:2} records: {:8.0} datagrams/s, {} dropped, {:.2} CPU s",
            running.receiver.name, trial.rate, trial.dropped, trial.cpu
        );
        trials.push(trial);
        if trial.dropped == 0 {
            good = rate;
        } else {
            bad = Some(rate);
        }
        sender_bound = trial.dropped == 0 && trial.rate < 0.85 * rate as f64;
        if sender_bound {
            break;
        }
        rate = match bad {
            None => rate * 2,
            Some(bad) if good == 0 => bad / 2,
            Some(bad) => good + (bad - good) / 2,
        };
        if rate == 0 || bad.is_some_and(|bad| bad - good < bad / 16) {
            break;
        }
    }
    let lossless = trials.iter().filter(|trial| trial.dropped == 0);
    let best = lossless.max_by(|a, b| a.rate.total_cmp(&b.rate)).copied();
    let best = best.context("every rate lost something; begin lower with --rate")?;
    running.stop()?;
    let given: u64 = trials.iter().map(|trial| trial.sent - trial.dropped.min(trial.sent)).sum();
    let (given, kept) = (given * records as u64, running.counted()?);
    if given != kept {
        eprintln!("bench: {} kept {kept} of {given}: {}", running.receiver.name, running.talk());
    }
    Ok(Found {
        receiver: running.receiver.name.to_string(),
        records,
        best,
        sender_bound,
        trials,
        given,
        kept,
    })
}

fn hold(exporters: &mut Exporters, rate: u64, time: Duration, running: &Running) -> Result<Trial> {
    let (cpu, read) = (running.cpu()?, cpu::udp_read()?);
    let start = Instant::now();
    let sent = exporters.send(rate, time)?;
    let took = start.elapsed();
    running.rest(Duration::from_secs(20))?;
    Ok(Trial {
        rate: sent as f64 / took.as_secs_f64(),
        sent,
        dropped: (sent + read).saturating_sub(cpu::udp_read()?),
        cpu: running.cpu()?.saturating_sub(cpu).as_secs_f64(),
    })
}
