// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the kernel holds for sockets and cgroups, before and after.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde::Serialize;

use super::cgroup::{Cgroup, dying};
use super::fleet::drop_caches;

/// Slab caches of TCP.
const SLABS: [&str; 6] =
    ["TCP", "TCPv6", "request_sock_TCP", "request_sock_TCPv6", "tw_sock_TCP", "tw_sock_TCPv6"];

/// Named amounts at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Baseline(BTreeMap<String, u64>);

/// One amount, before and after.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Amount {
    /// What.
    pub(crate) name: String,
    /// Before the storm.
    pub(crate) before: u64,
    /// After it had settled.
    pub(crate) after: u64,
    /// How much more is none: what the kernel keeps per processor for later.
    pub(crate) slack: u64,
}

impl Baseline {
    /// Reads all amounts, after caches were dropped.
    pub(crate) fn take(root: &Cgroup) -> Result<Self> {
        drop_caches();
        let mut amounts = BTreeMap::new();
        for (file, protocols) in
            [("/proc/net/sockstat", &["TCP:"][..]), ("/proc/net/sockstat6", &["TCP6:"])]
        {
            let text = std::fs::read_to_string(file).context(file)?;
            for line in text.lines() {
                let mut words = line.split_whitespace();
                let Some(protocol) = words.next().filter(|name| protocols.contains(name)) else {
                    continue;
                };
                let words: Vec<&str> = words.collect();
                for pair in words.chunks_exact(2) {
                    let name = format!("{protocol} {}", pair[0]);
                    amounts.insert(name, pair[1].parse().unwrap_or(0));
                }
            }
        }
        for slab in SLABS {
            // Flushes the per-CPU slabs, whose free objects count as used.
            let _ = std::fs::write(format!("/sys/kernel/slab/{slab}/shrink"), "1");
        }
        let text = std::fs::read_to_string("/proc/slabinfo").context("/proc/slabinfo")?;
        for line in text.lines() {
            let mut words = line.split_whitespace();
            if let (Some(name), Some(active)) = (words.next(), words.next())
                && SLABS.contains(&name)
            {
                amounts.insert(format!("slab {name}"), active.parse().unwrap_or(0));
            }
        }
        amounts.insert("memory.stat sock".into(), root.sock_bytes()?);
        amounts.insert("nr_dying_descendants".into(), dying()?);
        Ok(Self(amounts))
    }

    /// Waits until everything is back at this baseline, at most for `most`; returns what is.
    pub(crate) fn settle(&self, root: &Cgroup, most: Duration) -> Result<Vec<Amount>> {
        let deadline = Instant::now() + most;
        loop {
            let now = Self::take(root)?;
            let amounts: Vec<Amount> = self
                .0
                .iter()
                .map(|(name, before)| {
                    let after = now.0.get(name).copied().unwrap_or(0);
                    let slack = if name == "TCP: mem" { reserve() } else { 0 };
                    Amount { name: name.clone(), before: *before, after, slack }
                })
                .collect();
            if amounts.iter().all(Amount::is_back) || Instant::now() >= deadline {
                return Ok(amounts);
            }
            std::thread::sleep(Duration::from_millis(500));
        }
    }
}

impl Amount {
    /// Whether nothing more is held than before.
    pub(crate) fn is_back(&self) -> bool {
        self.after <= self.before + self.slack
    }
}

/// Pages of socket memory that all processors may keep in reserve (net.core.mem_pcpu_rsv).
fn reserve() -> u64 {
    let text = std::fs::read_to_string("/proc/sys/net/core/mem_pcpu_rsv").unwrap_or_default();
    let pages = text.trim().parse().unwrap_or(256);
    pages * std::thread::available_parallelism().map_or(1, |count| count.get() as u64)
}

/// The takeover counters of this network namespace.
pub(crate) fn mibs() -> Result<BTreeMap<String, u64>> {
    let text = std::fs::read_to_string("/proc/net/netstat").context("/proc/net/netstat")?;
    let mut lines = text.lines().filter(|line| line.starts_with("TcpExt:"));
    let names = lines.next().unwrap_or_default().split_whitespace();
    let values = lines.next().unwrap_or_default().split_whitespace();
    let pairs = names.zip(values).filter(|(name, _)| name.starts_with("TCPTakeover"));
    Ok(pairs.map(|(name, value)| (name.to_string(), value.parse().unwrap_or(0))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn less_is_back_and_more_is_not() {
        let amount = |before, after, slack| Amount { name: String::new(), before, after, slack };
        assert!(
            amount(3, 3, 0).is_back() && amount(3, 2, 0).is_back() && amount(3, 5, 2).is_back()
        );
        assert!(!amount(3, 4, 0).is_back() && !amount(3, 6, 2).is_back());
    }
}
