// SPDX-License-Identifier: Apache-2.0 OR MIT
//! When there were more than so many octets in some time, packet by packet: what nobody can know sooner.

use super::frame::{Frame, each};
use crate::error::Result;
use std::collections::VecDeque;
use std::path::Path;

/// The last so many microseconds, packet by packet.
#[derive(Debug)]
struct Window {
    us: i64,
    octets: u64,
    packets: VecDeque<(i64, u64)>,
}

impl Window {
    /// Takes a packet; gives the octets of the window that ends with it.
    fn take(&mut self, at_us: i64, octets: u64) -> u64 {
        self.packets.push_back((at_us, octets));
        self.octets += octets;
        while let Some((at, octets)) = self.packets.front().copied()
            && at < at_us - self.us
        {
            self.packets.pop_front();
            self.octets -= octets;
        }
        self.octets
    }
}

/// Unix time in microseconds of the packet with which what `wanted` takes of a capture had more than
/// `octets` (strictly) in some `us` microseconds, if it ever had.
pub(crate) fn above(
    file: &Path,
    wanted: impl Fn(&Frame) -> bool,
    octets: u64,
    us: i64,
) -> Result<Option<i64>> {
    let mut window = Window { us, octets: 0, packets: VecDeque::new() };
    let mut found = None;
    each(file, |frame| {
        if found.is_none() && wanted(&frame) && window.take(frame.at_us, frame.octets) > octets {
            found = Some(frame.at_us);
        }
    })?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_has_its_last_packets() {
        let mut window = Window { us: 10, octets: 0, packets: VecDeque::new() };
        let seen = [(0, 5), (10, 3), (11, 1), (40, 2)].map(|(at, octets)| window.take(at, octets));
        assert_eq!(seen, [5, 8, 4, 2]);
    }
}
