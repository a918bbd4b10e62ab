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

/// Bytes waiting in the UDP sockets bound to a port.
pub(crate) fn udp_waiting(port: u16) -> Result<u64> {
    let mut waiting = 0;
    for file in ["/proc/net/udp", "/proc/net/udp6"] {
        let text = std::fs::read_to_string(file).context(file)?;
        waiting += text.lines().skip(1).filter_map(|line| socket(line, port)).sum::<u64>();
    }
    Ok(waiting)
}

/// Datagrams that programs of this network namespace have read so far. What was sent and never
/// read was lost, in a socket or before it.
pub(crate) fn udp_read() -> Result<u64> {
    let text = std::fs::read_to_string("/proc/net/snmp").context("/proc/net/snmp")?;
    in_datagrams(&text).context("/proc/net/snmp: no Udp InDatagrams")
}

fn in_datagrams(snmp: &str) -> Option<u64> {
    let mut lines = snmp.lines().filter(|line| line.starts_with("Udp:"));
    let mut names = lines.next()?.split_whitespace();
    let at = names.position(|name| name == "InDatagrams")?;
    lines.next()?.split_whitespace().nth(at)?.parse().ok()
}

/// Bytes waiting in the TCP sockets whose own port is `port`.
pub(crate) fn tcp_waiting(port: u16) -> Result<u64> {
    let mut waiting = 0;
    for file in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let text = std::fs::read_to_string(file).context(file)?;
        // A listener shows the length of its queue there.
        let lines =
            text.lines().skip(1).filter(|line| line.split_whitespace().nth(3) != Some("0A"));
        waiting += lines.filter_map(|line| socket(line, port)).sum::<u64>();
    }
    Ok(waiting)
}

/// Receive queue of a line of /proc/net/udp or tcp about `port`.
fn socket(line: &str, port: u16) -> Option<u64> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let (_, own) = fields.get(1)?.rsplit_once(':')?;
    if u16::from_str_radix(own, 16).ok()? != port {
        return None;
    }
    let (_, waiting) = fields.get(4)?.split_once(':')?;
    u64::from_str_radix(waiting, 16).ok()
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
        assert_eq!(socket(line, 4739), Some(255));
        assert_eq!(socket(line, 4740), None);
    }

    #[test]
    fn datagrams_read() {
        let snmp = "Tcp: a b\nTcp: 1 2\nUdp: InDatagrams NoPorts\nUdp: 7 8\nUdpLite: InDatagrams\n";
        assert_eq!(in_datagrams(snmp), Some(7));
        assert_eq!(in_datagrams("Udp: NoPorts\nUdp: 8\n"), None);
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
