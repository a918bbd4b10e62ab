// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The records: the n-th is the same for everyone who asks, so that files and datagrams hold the same.
//!
//! One day of an unsampled link. Of each 100 000 records one is above 1 GB, a report of one of 64 flows
//! between two of 125 pairs of networks. Of the others one in twenty is between such, the rest between
//! any of 65 536 hosts a side.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use anyhow::Context;
use serde::{Deserialize, Serialize};
use telesteer_engine::stored::Writer;
use telesteer_fam::time::SECOND;
use telesteer_fam::{FiveTuple, Ns, Record, Sampling};

use crate::Done;

/// H: an alpha report has more.
pub(crate) const H: u64 = 1_000_000_000;
/// Pairs of networks in the table.
pub(crate) const PAIRS: u64 = 125;
/// Of so many records in a row one is alpha.
const ALPHA: u64 = 100_000;
/// Alpha flows, however many records there are.
pub(crate) const FLOWS: u64 = 64;
/// One in so many of the others is between networks of the table.
const NEAR: u64 = 20;
/// First second: 2011-05-01.
const START: i64 = 15_095 * 86_400;
/// Files of the day.
const HOURS: u64 = 24;

/// What a folder holds.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Made {
    /// Records.
    pub(crate) records: u64,
    /// Octets of their files.
    pub(crate) octets: u64,
}

/// A step of splitmix64, by a number instead of a state.
fn mixed(number: u64, salt: u64) -> u64 {
    let mut z = number
        .wrapping_mul(0x9e37_79b9_7f4a_7c15)
        .wrapping_add(salt.wrapping_mul(0xd134_2543_de82_ef95));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Source and destination network of a pair.
pub(crate) fn pair(number: u64) -> (Ipv4Addr, Ipv4Addr) {
    let third = number as u8;
    (Ipv4Addr::new(10, 1, third, 0), Ipv4Addr::new(10, 2, third.wrapping_mul(7), 0))
}

/// The record of a number below `of`.
pub(crate) fn record(number: u64, of: u64) -> Record {
    let dice = |salt: u64| mixed(number, salt);
    let block = number / ALPHA;
    let alpha = number % ALPHA == mixed(block, 1) % ALPHA;
    // Reports of one flow have its key in common.
    let key = |salt: u64| mixed(if alpha { u64::MAX - block % FLOWS } else { number }, salt);
    let near = alpha || dice(2) % NEAR == 0;
    let host = |network: Ipv4Addr, salt: u64| {
        Ipv4Addr::from_bits(network.to_bits() | (key(salt) % 250 + 1) as u32)
    };
    let any = |high: u8, salt: u64| {
        let low = dice(salt) as u16;
        Ipv4Addr::new(high, (low >> 10) as u8, (low >> 4) as u8, ((low as u8) << 4) | 7)
    };
    let (src, dst) = if near {
        let (src, dst) = pair(key(3) % PAIRS);
        (host(src, 4), host(dst, 5))
    } else {
        (any(100 + (dice(6) % 4) as u8, 4), any(200, 5))
    };
    // Sizes of flows have a long tail: up to 2^9 times as many octets, half as often each time.
    let octets = match alpha {
        true => H + 1 + dice(7) % (2 * H),
        false => (40 + dice(7) % 20_000) << dice(8).trailing_zeros().min(9),
    };
    let second = number.wrapping_mul(86_400) / of.max(1);
    let first: Ns = (START + second as i64) * SECOND + (dice(9) % 1_000_000_000) as i64;
    let length = if alpha { 60 * SECOND } else { (dice(10) % (60 * SECOND as u64)) as i64 };
    Record {
        exporter: Ipv4Addr::new(10, 0, 0, 1).into(),
        first,
        last: first + length,
        key: FiveTuple {
            src: IpAddr::V4(src),
            dst: IpAddr::V4(dst),
            proto: if key(11) % 8 == 0 { 17 } else { 6 },
            src_port: key(12) as u16,
            dst_port: [443, 80, 53, 2811, key(13) as u16][(key(14) % 5) as usize],
        },
        in_if: 1 + (dice(15) % 4) as u32,
        out_if: 10 + (dice(16) % 4) as u32,
        next_hop: None,
        tos: 0,
        octets,
        packets: octets / 900 + 1,
        sampling: Some(Sampling::NONE),
    }
}

/// The keys of the alpha flows of so many records.
pub(crate) fn alpha_keys(of: u64) -> impl Iterator<Item = FiveTuple> {
    let first_of = |block: u64| block * ALPHA + mixed(block, 1) % ALPHA;
    let numbers = (0..FLOWS).map(first_of).take_while(move |number| *number < of);
    numbers.map(move |number| record(number, of).key)
}

/// Writes the files, and how much that is.
pub(crate) fn make(records: u64, out: &Path) -> Done {
    fs::create_dir_all(out).with_context(|| format!("making {}", out.display()))?;
    let mut octets = 0;
    for hour in 0..HOURS {
        let path = out.join(format!("{hour:02}.parquet"));
        let at = || format!("writing {}", path.display());
        let mut file = Writer::create(&path).with_context(at)?;
        for number in records * hour / HOURS..records * (hour + 1) / HOURS {
            file.write(&record(number, records)).with_context(at)?;
        }
        file.close().with_context(at)?;
        octets += path.metadata().with_context(at)?.len();
    }
    let made = Made { records, octets };
    let path = out.join("made.json");
    fs::write(&path, serde_json::to_vec(&made)?)
        .with_context(|| format!("writing {}", path.display()))?;
    eprintln!("{records} records in {octets} octets");
    Ok(())
}

/// What a folder of [`make`] holds.
pub(crate) fn made(data: &Path) -> anyhow::Result<Made> {
    let path = data.join("made.json");
    let text = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
    Ok(serde_json::from_slice(&text)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_as_said() {
        let of = 1_000_000;
        let records: Vec<Record> = (0..of).map(|number| record(number, of)).collect();
        let alpha = |record: &&Record| record.octets > H;
        assert_eq!(records.iter().filter(alpha).count(), 10);
        let keys = |blocks: std::ops::Range<u64>| -> std::collections::BTreeSet<FiveTuple> {
            let numbers = blocks.start * ALPHA..blocks.end * ALPHA;
            let records = numbers.map(|number| record(number, of));
            records.filter(|record| alpha(&record)).map(|record| record.key).collect()
        };
        let few = keys(0..FLOWS / 8);
        assert_eq!(few.len() as u64, FLOWS / 8);
        let told: std::collections::BTreeSet<FiveTuple> = alpha_keys(of).collect();
        assert_eq!(told, keys(0..of / ALPHA));
        assert_eq!(keys(FLOWS..FLOWS + FLOWS / 8), few, "flows come again");
        let near = |record: &&Record| record.key.src.to_string().starts_with("10.1.");
        let near = records.iter().filter(near).count();
        assert!((45_000..55_000).contains(&near), "{near} in networks of the table");
        let days = records.iter().map(|record| record.first / SECOND / 86_400);
        assert!(days.into_iter().all(|day| day == 15_095));
        assert_eq!(record(17, of), record(17, of));
    }
}
