// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Which rows a pass is after. Every pick takes all rows that matter and some that do not: whoever
//! gets them decides.

use std::collections::BTreeSet;
use std::net::IpAddr;

use telesteer_fam::{FiveTuple, Prefix, PrefixFlow, Reading, Width};

/// Rows that may matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pick {
    /// All.
    All,
    /// Those whose scaled bytes may make an alpha report. Of the rows of unknown sampling, those that
    /// would with the highest of the assumed rates.
    Above {
        /// H.
        bytes: u64,
        /// The highest N that is assumed of records that tell none, 0 if nothing is.
        assumed: u64,
    },
    /// Those between sources and destinations of some flows.
    Between(Between),
}

/// Networks of sources and of destinations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Between {
    /// How much of an address names a network. Lengths of IPv4 are a multiple of 8, of IPv6 of 16.
    pub width: Option<Width>,
    /// Sources.
    pub src: BTreeSet<IpAddr>,
    /// Destinations.
    pub dst: BTreeSet<IpAddr>,
}

impl Pick {
    /// The first pass of the report detector.
    pub fn above(reading: &Reading, assumed: u64) -> Self {
        Self::Above { bytes: reading.h, assumed }
    }

    /// Rows of these flows.
    pub fn flows(keys: impl IntoIterator<Item = FiveTuple>) -> Self {
        let mut between = Between { width: Some(Width::HOST), ..Between::default() };
        for key in keys {
            between.src.insert(key.src);
            between.dst.insert(key.dst);
        }
        Self::Between(between)
    }

    /// Rows of these prefix flows, which are of any widths. Where a width is none that
    /// [`Between::width`] may be, the next wider one is taken.
    pub fn prefixes(pairs: impl IntoIterator<Item = PrefixFlow>) -> Self {
        let pairs: Vec<PrefixFlow> = pairs.into_iter().collect();
        let ends = || pairs.iter().flat_map(|pair| [pair.src, pair.dst]);
        let shortest = |v4: bool, step: u8| {
            let lengths = ends().filter(|end| end.addr().is_ipv4() == v4).map(Prefix::len);
            lengths.min().unwrap_or(if v4 { 32 } else { 128 }) / step * step
        };
        let width = Width { v4: shortest(true, 8), v6: shortest(false, 16) };
        let mut between = Between { width: Some(width), ..Between::default() };
        for pair in pairs {
            between.src.insert(Prefix::of(pair.src.addr(), width).addr());
            between.dst.insert(Prefix::of(pair.dst.addr(), width).addr());
        }
        Self::Between(between)
    }

    /// Whether the record is between these, if they are what is picked by.
    #[cfg(feature = "sql")]
    pub(crate) fn between(&self, record: &telesteer_fam::Record) -> bool {
        match self {
            Self::Between(between) => between.src(record.key.src) && between.dst(record.key.dst),
            Self::All | Self::Above { .. } => true,
        }
    }

    /// The fewest octets of a row that may be above, if rows tell N up to `highest`: what a column's
    /// statistics can be held against. 0 if everything may be.
    pub fn floor(&self, highest: u64) -> u64 {
        match self {
            Self::Above { bytes, assumed } => bytes / highest.max(*assumed).max(1),
            Self::All | Self::Between(_) => 0,
        }
    }
}

impl Between {
    /// Whether an address may be a source.
    pub fn src(&self, addr: IpAddr) -> bool {
        self.src.contains(&self.network(addr))
    }

    /// Whether an address may be a destination.
    pub fn dst(&self, addr: IpAddr) -> bool {
        self.dst.contains(&self.network(addr))
    }

    fn network(&self, addr: IpAddr) -> IpAddr {
        Prefix::of(addr, self.width.unwrap_or(Width::HOST)).addr()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(src: &str, dst: &str) -> PrefixFlow {
        PrefixFlow { src: src.parse().unwrap(), dst: dst.parse().unwrap() }
    }

    #[test]
    fn prefixes_of_several_widths_become_networks_of_the_widest() {
        let pairs =
            [pair("192.0.2.0/24", "198.51.100.0/24"), pair("192.0.2.7/32", "203.0.113.1/32")];
        let Pick::Between(between) = Pick::prefixes(pairs) else { panic!("no networks") };
        assert_eq!(between.width, Some(Width { v4: 24, v6: 128 }));
        assert!(between.src("192.0.2.255".parse().unwrap()));
        assert!(!between.src("198.51.100.1".parse().unwrap()));
        assert!(between.dst("203.0.113.9".parse().unwrap()), "wider than asked");
        let odd = [pair("192.0.2.0/23", "198.51.100.0/23"), pair("2001:db8::/56", "2001:db8::/56")];
        let Pick::Between(between) = Pick::prefixes(odd) else { panic!("no networks") };
        assert_eq!(between.width, Some(Width { v4: 16, v6: 48 }));
        assert!(between.src("192.0.2.1".parse().unwrap()));
    }

    #[test]
    fn a_floor_is_below_every_row_that_may_be_above() {
        let pick = Pick::Above { bytes: 1_000_000_000, assumed: 0 };
        assert_eq!(pick.floor(1), 1_000_000_000);
        assert_eq!(pick.floor(0), 1_000_000_000, "nobody samples, nobody is known");
        assert_eq!(pick.floor(1000), 1_000_000);
        assert_eq!(Pick::Above { bytes: 10, assumed: 100 }.floor(1), 0);
        assert_eq!(Pick::All.floor(7), 0);
    }
}
