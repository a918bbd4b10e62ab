// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a router can match of announced traffic.
//!
//! Policy routes match a 5-tuple, a pair of hosts or a pair of networks ([`telesteer_redirect::Match`]).
//! A pattern becomes the narrowest of these that hold all of it; where they hold more, other traffic is
//! redirected too, and the holder is told.

use crate::ticket::pattern::Pattern;
use crate::ticket::ports::Ports;
use telesteer_fam::{FiveTuple, Prefix, PrefixFlow, Width};
use telesteer_redirect::Match;
use telesteer_redirect::matching::BadMatch;

/// Most 5-tuples that ranges of ports are written out as; beyond it, the pair of hosts is matched.
pub const TUPLES: u32 = 64;

/// What stands for a pattern on a router.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Routes {
    /// At least one, each another.
    pub matches: Vec<Match>,
    /// They match nothing but the pattern.
    pub exact: bool,
}

/// No policy route can stand for a pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unroutable {
    /// A prefix is wider than the widest route.
    #[error("{0}: /24 is the widest a route matches, /64 with IPv6")]
    Wide(Prefix),
    /// As the crate of routes says.
    #[error(transparent)]
    Match(#[from] BadMatch),
}

/// The routes for a pattern.
///
/// # Errors
///
/// If its prefixes are too wide, of two families, or nothing that is forwarded.
pub fn routes(pattern: &Pattern) -> Result<Routes, Unroutable> {
    let Pattern { src, dst, .. } = *pattern;
    for prefix in [src, dst] {
        if prefix.len() < net(prefix) {
            return Err(Unroutable::Wide(prefix));
        }
    }
    let hosts = src.len() == full(src) && dst.len() == full(dst);
    let unmarked = pattern.dscp.is_none();
    if hosts && let Some(matches) = tuples(pattern)? {
        return Ok(Routes { matches, exact: unmarked });
    }
    let plain = unmarked
        && pattern.protocol.number().is_none()
        && pattern.src_ports.is_any()
        && pattern.dst_ports.is_any();
    let (pair, exact) = if hosts {
        (PrefixFlow { src, dst }, plain)
    } else {
        let wide = |prefix: Prefix| Prefix::new(prefix.addr(), net(prefix));
        let nets = PrefixFlow { src: wide(src), dst: wide(dst) };
        (nets, plain && nets == PrefixFlow { src, dst })
    };
    Ok(Routes { matches: vec![Match::pair(pair)?], exact })
}

/// The 5-tuples of a pair of hosts, if all that makes one is said and they are not too many.
fn tuples(pattern: &Pattern) -> Result<Option<Vec<Match>>, BadMatch> {
    let Some(proto) = pattern.protocol.number().filter(|_| pattern.protocol.has_ports()) else {
        return Ok(None);
    };
    let counts = pattern.src_ports.count().zip(pattern.dst_ports.count());
    if counts.is_none_or(|(sources, destinations)| sources.saturating_mul(destinations) > TUPLES) {
        return Ok(None);
    }
    let mut matches = Vec::new();
    for src_port in each(pattern.src_ports) {
        for dst_port in each(pattern.dst_ports) {
            let (src, dst) = (pattern.src.addr(), pattern.dst.addr());
            matches.push(Match::flow(FiveTuple { src, dst, proto, src_port, dst_port })?);
        }
    }
    Ok(Some(matches))
}

fn each(ports: Ports) -> impl Iterator<Item = u16> {
    ports.bounds().into_iter().flat_map(|(first, last)| first..=last)
}

fn full(prefix: Prefix) -> u8 {
    if prefix.addr().is_ipv4() { Width::HOST.v4 } else { Width::HOST.v6 }
}

fn net(prefix: Prefix) -> u8 {
    if prefix.addr().is_ipv4() { Width::NET.v4 } else { Width::NET.v6 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ticket::testing::pattern;
    use telesteer_redirect::Rank;

    /// Rank, number and exactness of the routes of a pattern.
    fn of(text: &str) -> (Rank, usize, bool) {
        let routes = routes(&pattern(text)).unwrap();
        (routes.matches[0].rank(), routes.matches.len(), routes.exact)
    }

    #[test]
    fn the_narrowest_that_hold_it() {
        assert_eq!(of("192.0.2.1 198.51.100.2 tcp 40000 5001"), (Rank::Flow, 1, true));
        assert_eq!(of("192.0.2.1 198.51.100.2 udp 1-8 1-8"), (Rank::Flow, 64, true));
        assert_eq!(of("192.0.2.1 198.51.100.2 udp 1-8 1-9"), (Rank::Host, 1, false));
        assert_eq!(of("192.0.2.1 198.51.100.2 tcp any 5001"), (Rank::Host, 1, false));
        assert_eq!(of("192.0.2.1 198.51.100.2 tcp 1-65535 1-65535"), (Rank::Host, 1, false));
        assert_eq!(of("192.0.2.1 198.51.100.2 47 any any"), (Rank::Host, 1, false));
        assert_eq!(of("192.0.2.1 198.51.100.2 any any any"), (Rank::Host, 1, true));
        assert_eq!(of("192.0.2.0/24 198.51.100.0/24 any any any"), (Rank::Net, 1, true));
        assert_eq!(of("192.0.2.0/24 198.51.100.2 any any any"), (Rank::Net, 1, false));
        assert_eq!(of("192.0.2.16/28 198.51.100.0/24 any any any"), (Rank::Net, 1, false));
        assert_eq!(of("2001:db8::/64 2001:db8:1::7 any any any"), (Rank::Net, 1, false));
        // No route matches a code point, so none is all there is to it.
        for text in [
            "192.0.2.1 198.51.100.2 tcp 40000 5001",
            "192.0.2.1 198.51.100.2 any any any",
            "192.0.2.0/24 198.51.100.0/24 any any any",
        ] {
            let marked = Pattern { dscp: Some(8), ..pattern(text) };
            assert!(!routes(&marked).unwrap().exact, "{text}");
        }
    }

    #[test]
    fn what_no_route_can_match_is_refused() {
        for text in [
            "192.0.0.0/16 198.51.100.0/24 any any any",
            "192.0.2.0/24 0.0.0.0/0 any any any",
            "2001:db8::/48 2001:db8:1::/64 any any any",
            "192.0.2.1 2001:db8::1 any any any",
            "192.0.2.1 2001:db8::1 tcp 1 2",
            "127.0.0.1 198.51.100.2 any any any",
        ] {
            assert!(routes(&pattern(text)).is_err(), "{text}");
        }
    }

    /// Whatever it is, the routes hold every flow of the pattern.
    #[test]
    fn routes_hold_the_whole_pattern() {
        for text in [
            "192.0.2.1 198.51.100.2 tcp 7-9 5001-5004",
            "192.0.2.1 198.51.100.2 tcp any 5001-5004",
            "192.0.2.16/28 198.51.100.2 tcp any 5001-5004",
        ] {
            let pattern = pattern(text);
            let matches = routes(&pattern).unwrap().matches;
            let (src, dst) = (pattern.src.addr(), pattern.dst.addr());
            for src_port in 7..=9 {
                for dst_port in 5001..=5004 {
                    let key = FiveTuple { src, dst, proto: 6, src_port, dst_port };
                    assert!(pattern.holds(&key));
                    let held = matches.iter().any(|one| {
                        let ports = one.ports();
                        one.src().contains(src)
                            && one.dst().contains(dst)
                            && ports.is_none_or(|ports| ports == (6, src_port, dst_port))
                    });
                    assert!(held, "{text}: {key:?}");
                }
            }
        }
    }
}
