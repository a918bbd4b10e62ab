// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Whether an address, as two numbers, lies in one of many networks: nearly all rows are asked, nearly
//! none is in.

use std::collections::BTreeSet;
use std::net::IpAddr;

use hashbrown::HashSet;
use telesteer_fam::Width;
use telesteer_flowfile::halves;

use crate::pick::Between;

/// Bits of a [`Sieve`] for each network, and the fewest: they fit into a core's first cache.
const BITS_EACH: usize = 32;
const BITS_MIN: usize = 1 << 16;
/// The most: 8 MiB.
const BITS_MAX: usize = 1 << 26;

/// Networks of one width.
#[derive(Clone, Debug)]
pub(crate) struct Networks {
    /// Of an IPv4 address's lower half.
    v4_mask: u64,
    v4: HashSet<u64>,
    /// Of both halves.
    v6_mask: (u64, u64),
    v6: HashSet<(u64, u64)>,
    sieve: Sieve,
}

impl Networks {
    /// Those of the sources.
    pub(crate) fn src(between: &Between) -> Self {
        Self::new(&between.src, between.width.unwrap_or(Width::HOST))
    }

    /// Those of the destinations.
    pub(crate) fn dst(between: &Between) -> Self {
        Self::new(&between.dst, between.width.unwrap_or(Width::HOST))
    }

    fn new(networks: &BTreeSet<IpAddr>, width: Width) -> Self {
        let (v4_mask, v6_mask) = masks(width);
        let mut new = Self {
            v4_mask,
            v4: HashSet::new(),
            v6_mask,
            v6: HashSet::new(),
            sieve: Sieve::new(networks.len()),
        };
        for network in networks {
            let (hi, lo) = halves::of(*network);
            if halves::is_v4(hi, lo) {
                new.v4.insert(lo & v4_mask);
                new.sieve.add(lo & v4_mask);
            } else {
                let key = (hi & v6_mask.0, lo & v6_mask.1);
                new.v6.insert(key);
                new.sieve.add(key.0 ^ key.1);
            }
        }
        new
    }

    /// Which IPv4 addresses, told by their lower halves, are in one of them: a bit each, the first one
    /// lowest. The sieve is asked for 64 at a time without a branch, for what it says cannot be foreseen.
    pub(crate) fn within(&self, lower: &[u64]) -> Vec<u64> {
        let word = |lower: &[u64]| {
            let mut word = lower.iter().rev().fold(0, |word, lo| {
                (word << 1) | u64::from(self.sieve.may_have(lo & self.v4_mask))
            });
            let mut asked = word;
            while asked != 0 {
                let at = asked.trailing_zeros();
                asked &= asked - 1;
                if !lower.get(at as usize).is_some_and(|lo| self.have(0, *lo)) {
                    word &= !(1 << at);
                }
            }
            word
        };
        lower.chunks(u64::BITS as usize).map(word).collect()
    }

    /// Whether the address is in one of them.
    pub(crate) fn have(&self, hi: u64, lo: u64) -> bool {
        if halves::is_v4(hi, lo) {
            let key = lo & self.v4_mask;
            return self.sieve.may_have(key) && self.v4.contains(&key);
        }
        let key = (hi & self.v6_mask.0, lo & self.v6_mask.1);
        self.sieve.may_have(key.0 ^ key.1) && self.v6.contains(&key)
    }
}

/// What names a network: of an IPv4 address's lower half, and of both halves of an IPv6 address.
pub(crate) fn masks(width: Width) -> (u64, (u64, u64)) {
    // A shift by all bits is none.
    let v6 = u128::MAX.checked_shl(128 - u32::from(width.v6.min(128))).unwrap_or(0);
    let v4 = u64::MAX << (32 - u32::from(width.v4.min(32)));
    (v4, ((v6 >> 64) as u64, v6 as u64))
}

/// A bit for each network at a place that its number decides: where none is set, there is none.
#[derive(Clone, Debug)]
struct Sieve {
    bits: Box<[u64]>,
    /// By how much a product is shifted to become the number of a bit.
    shift: u32,
}

impl Sieve {
    fn new(networks: usize) -> Self {
        let bits = networks.saturating_mul(BITS_EACH).clamp(BITS_MIN, BITS_MAX);
        let bits = bits.next_power_of_two();
        let shift = u64::BITS - bits.trailing_zeros();
        Self { bits: vec![0; bits / u64::BITS as usize].into_boxed_slice(), shift }
    }

    /// Word and bit of a number.
    fn place(&self, key: u64) -> (usize, u64) {
        let bit = key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> self.shift;
        ((bit / u64::from(u64::BITS)) as usize, 1 << (bit % u64::from(u64::BITS)))
    }

    fn add(&mut self, key: u64) {
        let (word, bit) = self.place(key);
        if let Some(word) = self.bits.get_mut(word) {
            *word |= bit;
        }
    }

    fn may_have(&self, key: u64) -> bool {
        let (word, bit) = self.place(key);
        self.bits.get(word).is_some_and(|word| word & bit != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use telesteer_fam::Prefix;

    fn between(width: Width, src: &[&str]) -> Between {
        let src = src.iter().map(|addr| Prefix::of(addr.parse().unwrap(), width).addr()).collect();
        Between { width: Some(width), src, dst: BTreeSet::new() }
    }

    /// The numbers say what the addresses say.
    #[test]
    fn numbers_and_addresses_agree() {
        let networks = ["192.0.2.0", "10.0.0.0", "0.0.0.0", "2001:db8::", "2001:db8:0:1::", "::"];
        let asked = [
            "192.0.2.1",
            "192.0.20.1",
            "192.0.2.255",
            "192.0.2.0",
            "10.0.0.0",
            "10.0.0.1",
            "10.1.2.3",
            "0.0.0.0",
            "255.255.255.255",
            "100.0.0.1",
            "2001:db8::1",
            "2001:db8:0:1::2",
            "2001:db8:0:2::1",
            "::1",
            "::ffff:192.0.2.9",
            "fe80::1",
        ];
        let mut found = 0;
        for v4 in [0, 8, 16, 24, 32] {
            for v6 in [0, 16, 48, 64, 80, 128] {
                let width = Width { v4, v6 };
                let between = between(width, &networks);
                let compiled = Networks::src(&between);
                for text in asked {
                    let addr: IpAddr = text.parse().unwrap();
                    let (hi, lo) = halves::of(addr);
                    let said = between.src(addr.to_canonical());
                    found += usize::from(said);
                    assert_eq!(compiled.have(hi, lo), said, "{text} with /{v4} and /{v6}");
                }
            }
        }
        assert!(found > 100, "{found} of {}", 30 * asked.len());
    }

    /// As many networks as a sieve has bits for, and more than it may have.
    #[test]
    fn a_full_sieve_loses_nobody() {
        for count in [0, 1, 5000, 70_000] {
            let addr =
                |n: u32| IpAddr::from(std::net::Ipv4Addr::from_bits(n.wrapping_mul(2_654_435_761)));
            let src: BTreeSet<IpAddr> = (0..count).map(addr).collect();
            let between = Between { width: Some(Width::HOST), src, dst: BTreeSet::new() };
            let networks = Networks::src(&between);
            for n in (0..count + 1000).step_by(7) {
                let (hi, lo) = halves::of(addr(n));
                assert_eq!(networks.have(hi, lo), n < count, "{n} of {count}");
            }
            let mut lower: Vec<u64> = (0..count + 1001).map(|n| halves::of(addr(n)).1).collect();
            // No IPv4 address, whatever the sieve says.
            lower.push(lower[0] & u64::from(u32::MAX));
            let words = networks.within(&lower);
            assert_eq!(words.len(), lower.len().div_ceil(64));
            for (at, lo) in lower.iter().enumerate() {
                let said = words[at / 64] >> (at % 64) & 1 == 1;
                assert_eq!(said, networks.have(0, *lo), "{at} of {count}");
            }
            let last = words.last().unwrap() >> (lower.len() % 64);
            assert!(lower.len().is_multiple_of(64) || last == 0, "bits of nobody");
        }
    }
}
