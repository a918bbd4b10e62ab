// SPDX-License-Identifier: Apache-2.0 OR MIT
//! CPU time of a process with all its children, and drops of its sockets.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};

/// Clock ticks per second in /proc (USER_HZ, 100 on every Linux ABI).
const TICKS: u64 = 100;

/// User plus system time of `root` and everything below it, dead children included.
pub(crate) fn of_tree(root: u32) -> Result<Duration> {
    let mut parents: BTreeMap<u32, u32> = BTreeMap::new();
    let mut ticks: BTreeMap<u32, u64> = BTreeMap::new();
    for entry in std::fs::read_dir("/proc").context("/proc")?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // A process may be gone by now.
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else { continue };
        if let Some((parent, used)) = parse(&stat) {
            parents.insert(pid, parent);
            ticks.insert(pid, used);
        }
    }
    let below = |mut pid: u32| {
        for _ in 0..64 {
            if pid == root {
                return true;
            }
            match parents.get(&pid) {
                Some(parent) => pid = *parent,
                None => return false,
            }
        }
        false
    };
    let used: u64 = ticks.iter().filter(|(pid, _)| below(**pid)).map(|(_, used)| used).sum();
    Ok(Duration::from_millis(used * 1000 / TICKS))
}

/// Parent and used ticks (utime, stime, cutime, cstime) of a /proc/PID/stat line.
fn parse(stat: &str) -> Option<(u32, u64)> {
    // The name may hold anything, so fields are counted from its closing bracket.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let parent = fields.get(1)?.parse().ok()?;
    let used = fields.get(11..15)?.iter().filter_map(|field| field.parse::<u64>().ok()).sum();
    Some((parent, used))
}

/// Sums over the UDP sockets bound to a port: (bytes waiting, datagrams dropped).
pub(crate) fn udp_sockets(port: u16) -> Result<(u64, u64)> {
    let mut sums = (0, 0);
    for file in ["/proc/net/udp", "/proc/net/udp6"] {
        let text = std::fs::read_to_string(file).context(file)?;
        let lines = text.lines().skip(1).filter_map(|line| socket(line, port));
        for (waiting, dropped) in lines {
            sums.0 += waiting;
            sums.1 += dropped;
        }
    }
    Ok(sums)
}

/// Bytes waiting in the TCP sockets whose own port is `port`.
pub(crate) fn tcp_waiting(port: u16) -> Result<u64> {
    let mut waiting = 0;
    for file in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let text = std::fs::read_to_string(file).context(file)?;
        // A listener shows the length of its queue there.
        let lines =
            text.lines().skip(1).filter(|line| line.split_whitespace().nth(3) != Some("0A"));
        waiting += lines.filter_map(|line| socket(line, port)).map(|(bytes, _)| bytes).sum::<u64>();
    }
    Ok(waiting)
}

/// (receive queue, drops) of a line of /proc/net/udp or tcp about `port`.
fn socket(line: &str, port: u16) -> Option<(u64, u64)> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let (_, own) = fields.get(1)?.rsplit_once(':')?;
    if u16::from_str_radix(own, 16).ok()? != port {
        return None;
    }
    let (_, waiting) = fields.get(4)?.split_once(':')?;
    let dropped = fields.get(12).and_then(|field| field.parse().ok()).unwrap_or(0);
    Some((u64::from_str_radix(waiting, 16).ok()?, dropped))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets() {
        let stat = "7 (a) b (c)) S 3 7 7 0 -1 4194560 1 2 3 4 50 60 7 8 20 0 1 0 99";
        assert_eq!(parse(stat), Some((3, 125)));
        assert_eq!(parse("7 (a"), None);
    }

    #[test]
    fn a_line_of_udp() {
        let line = "  9: 00000000:1283 00000000:0000 07 00000000:000000FF 00:00000000 00000000 \
                    0 0 9 2 0000000000000000 17";
        assert_eq!(socket(line, 4739), Some((255, 17)));
        assert_eq!(socket(line, 4740), None);
    }

    #[test]
    fn our_own_time_passes() {
        let before = of_tree(std::process::id()).unwrap();
        let mut sum = 0u64;
        while of_tree(std::process::id()).unwrap() == before {
            sum = (0..1_000_000u64).fold(sum, |sum, n| sum.wrapping_mul(31).wrapping_add(n));
        }
        assert!(std::hint::black_box(sum) != 1);
    }
}
