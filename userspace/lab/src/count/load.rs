// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Bytes over time, and how long datagrams took from one capture to another.

use super::frame::{Frame, each};
use crate::error::Result;
use std::collections::BTreeMap;
use std::path::Path;

/// Packets and octets of IP, and when the first and the last came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Load {
    /// Packets.
    pub(crate) packets: u64,
    /// Octets of their IP packets.
    pub(crate) octets: u64,
    /// Unix time of the first, in microseconds.
    pub(crate) first_us: i64,
    /// Of the last.
    pub(crate) last_us: i64,
}

impl Load {
    fn add(&mut self, frame: &Frame) {
        if self.packets == 0 {
            self.first_us = frame.at_us;
        }
        self.packets += 1;
        self.octets += frame.octets;
        self.last_us = frame.at_us;
    }

    /// Mb/s of 10^6 bits between the first and the last; 0 of fewer than two packets.
    pub(crate) fn mbps(&self) -> f64 {
        let us = self.last_us - self.first_us;
        if us > 0 { self.octets as f64 * 8.0 / us as f64 } else { 0.0 }
    }
}

/// What of a capture `wanted` takes.
pub(crate) fn load(file: &Path, wanted: impl Fn(&Frame) -> bool) -> Result<Load> {
    let mut load = Load::default();
    each(file, |frame| {
        if wanted(&frame) {
            load.add(&frame);
        }
    })?;
    Ok(load)
}

/// Loads by port.
pub(crate) type Loads = BTreeMap<u16, Load>;

/// What of a capture `port` gives a port for, by that port.
pub(crate) fn loads(file: &Path, port: impl Fn(&Frame) -> Option<u16>) -> Result<Loads> {
    let mut all = Loads::new();
    each(file, |frame| {
        if let Some(port) = port(&frame) {
            all.entry(port).or_default().add(&frame);
        }
    })?;
    Ok(all)
}

/// When each number of a flow came, in microseconds.
fn moments(file: &Path, flow: u32) -> Result<BTreeMap<u64, i64>> {
    let mut all = BTreeMap::new();
    each(file, |frame| {
        if let Some((of, number)) = frame.number
            && of == flow
        {
            all.entry(number).or_insert(frame.at_us);
        }
    })?;
    Ok(all)
}

/// Microseconds each datagram of a flow took from one capture to another, in the order of their
/// numbers; and how many never came.
pub(crate) fn transit(from: &Path, to: &Path, flow: u32) -> Result<(Vec<i64>, u64)> {
    let (sent, came) = (moments(from, flow)?, moments(to, flow)?);
    let took = |(number, at): (&u64, &i64)| came.get(number).map(|end| end - at);
    let times: Vec<i64> = sent.iter().filter_map(took).collect();
    let lost = (sent.len() - times.len()) as u64;
    Ok((times, lost))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::count::frame::tests::datagram;

    /// A capture with these frames at these microseconds.
    fn capture(dir: &Path, name: &str, frames: &[(u32, Vec<u8>)]) -> std::path::PathBuf {
        let mut bytes = 0xa1b2_c3d4_u32.to_le_bytes().to_vec();
        bytes.extend([2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 1, 0, 0, 0]);
        for (us, frame) in frames {
            for word in [us / 1_000_000, us % 1_000_000, frame.len() as u32, frame.len() as u32] {
                bytes.extend(word.to_le_bytes());
            }
            bytes.extend(frame);
        }
        let path = dir.join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    #[test]
    fn loads_and_times_of_captures() {
        let dir = tempfile::tempdir().unwrap();
        let (plain, labelled) = (|n| datagram(&[], 1, n), |n| datagram(&[9], 1, n));
        let sent = [(0, plain(0)), (500_000, plain(1)), (1_000_000, plain(2))];
        let from = capture(dir.path(), "from", &sent);
        let to = capture(dir.path(), "to", &[(700, plain(0)), (501_000, labelled(1))]);
        let all = load(&from, |_| true).unwrap();
        assert_eq!((all.packets, all.octets), (3, 132));
        assert!((all.mbps() - 132.0 * 8.0 / 1e6).abs() < 1e-12);
        assert_eq!(load(&to, |frame| frame.label.is_some()).unwrap().packets, 1);
        let by_port = loads(&from, |frame| frame.ports.map(|ports| ports.1)).unwrap();
        assert_eq!(by_port[&7000], all);
        assert_eq!(transit(&from, &to, 1).unwrap(), (vec![700, 1000], 1));
        assert_eq!(transit(&from, &to, 2).unwrap(), (Vec::new(), 0));
    }
}
