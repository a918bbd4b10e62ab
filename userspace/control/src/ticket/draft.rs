// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A request as it came, and what it announces once it is checked.

use crate::ticket::limits::{Limits, ns};
use crate::ticket::pattern::{Pattern, touching};
use crate::ticket::ports::Ports;
use crate::ticket::protocol::Protocol;
use crate::ticket::refused::Refused;
use crate::ticket::routes::{Routes, routes};
use crate::ticket::stamp;
use serde::{Deserialize, Serialize};
use std::fmt::Display;
use telesteer_fam::{Ns, Prefix};

/// Bytes of a note.
pub const NOTE: usize = 256;
/// Highest DSCP (RFC 2474: six bits).
pub const DSCP: u32 = 63;

/// A request for a ticket, as JSON says it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Draft {
    /// Addresses or prefixes, /24 to /32 or /64 to /128, all of one family.
    pub sources: Vec<String>,
    /// The same; every source to every destination is a pair.
    pub destinations: Vec<String>,
    /// `any` if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    /// `any` if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_ports: Option<String>,
    /// `any` if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination_ports: Option<String>,
    /// 0 to 63; any if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dscp: Option<u32>,
    /// RFC 3339; now if left out or past.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<String>,
    /// RFC 3339.
    pub end: String,
    /// Mb/s to reserve for all pairs together; none if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_mbps: Option<u64>,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// What a ticket announces. Spans of time are half open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announcement {
    /// At least one, each once.
    pub sources: Vec<Prefix>,
    /// The same.
    pub destinations: Vec<Prefix>,
    /// IP protocol.
    pub protocol: Protocol,
    /// Ports of sources.
    pub source_ports: Ports,
    /// Ports of destinations.
    pub destination_ports: Ports,
    /// Code point.
    pub dscp: Option<u8>,
    /// First instant.
    pub start: Ns,
    /// First instant after it.
    pub end: Ns,
    /// Mb/s for all pairs together.
    pub rate_mbps: Option<u64>,
    /// For people.
    pub note: Option<String>,
}

impl Draft {
    /// Checks it against `limits`, at `now`.
    ///
    /// # Errors
    ///
    /// [`Refused::Invalid`], naming the field, or the limit that is passed.
    pub fn check(&self, limits: &Limits, now: Ns) -> Result<Announcement, Refused> {
        let pairs = self.sources.len().saturating_mul(self.destinations.len());
        if pairs > limits.pairs_per_ticket {
            return Err(Refused::Pairs { limit: limits.pairs_per_ticket });
        }
        let checked = Announcement {
            sources: prefixes("sources", &self.sources)?,
            destinations: prefixes("destinations", &self.destinations)?,
            protocol: read("protocol", self.protocol.as_deref())?,
            source_ports: read("source_ports", self.source_ports.as_deref())?,
            destination_ports: read("destination_ports", self.destination_ports.as_deref())?,
            dscp: self.dscp()?,
            start: self.start(limits, now)?,
            end: stamp::parse(&self.end).map_err(|bad| invalid("end", bad))?,
            rate_mbps: self.rate(limits)?,
            note: self.note()?,
        };
        lasting(checked.start, checked.end, limits, now)?;
        checked.ports_have_a_protocol()?;
        checked.has_routes()?;
        Ok(checked)
    }

    fn dscp(&self) -> Result<Option<u8>, Refused> {
        let fits = |dscp: u32| u8::try_from(dscp).ok().filter(|_| dscp <= DSCP);
        match self.dscp {
            None => Ok(None),
            Some(dscp) => match fits(dscp) {
                Some(dscp) => Ok(Some(dscp)),
                None => Err(invalid("dscp", format_args!("{dscp} is more than {DSCP}"))),
            },
        }
    }

    fn start(&self, limits: &Limits, now: Ns) -> Result<Ns, Refused> {
        let Some(text) = &self.start else { return Ok(now) };
        let start = stamp::parse(text).map_err(|bad| invalid("start", bad))?.max(now);
        if start > now.saturating_add(ns(limits.ahead)) {
            return Err(Refused::Ahead { limit_s: limits.ahead });
        }
        Ok(start)
    }

    fn rate(&self, limits: &Limits) -> Result<Option<u64>, Refused> {
        match self.rate_mbps {
            Some(0) => Err(invalid("rate_mbps", "0 is no rate: leave it out for none")),
            Some(rate) if rate > limits.rate_mbps => {
                let most = limits.rate_mbps;
                Err(invalid("rate_mbps", format_args!("{rate} is more than {most} Mb/s")))
            }
            rate => Ok(rate),
        }
    }

    fn note(&self) -> Result<Option<String>, Refused> {
        match &self.note {
            Some(note) if note.len() > NOTE => {
                Err(invalid("note", format_args!("more than {NOTE} bytes")))
            }
            Some(note) if note.contains(char::is_control) => {
                Err(invalid("note", "a control character"))
            }
            note => Ok(note.clone()),
        }
    }
}

/// Checks when a ticket ends.
pub(crate) fn lasting(start: Ns, end: Ns, limits: &Limits, now: Ns) -> Result<(), Refused> {
    if end <= now {
        return Err(invalid("end", "it has passed"));
    }
    if end <= start {
        return Err(invalid("end", "it is not after the start"));
    }
    if end.saturating_sub(start) > ns(limits.longest) {
        return Err(Refused::Long { limit_s: limits.longest });
    }
    Ok(())
}

pub(crate) fn invalid(field: impl Into<String>, why: impl Display) -> Refused {
    Refused::Invalid { field: field.into(), why: why.to_string() }
}

fn prefixes(field: &str, texts: &[String]) -> Result<Vec<Prefix>, Refused> {
    if texts.is_empty() {
        return Err(invalid(field, "none is given"));
    }
    let mut prefixes: Vec<Prefix> = Vec::with_capacity(texts.len());
    for (at, text) in texts.iter().enumerate() {
        let name = || format!("{field}[{at}]");
        let prefix: Prefix = text.parse().map_err(|bad| invalid(name(), bad))?;
        if let Some(other) = prefixes.iter().find(|other| touching(**other, prefix)) {
            return Err(invalid(name(), format_args!("{prefix} and {other} overlap")));
        }
        prefixes.push(prefix);
    }
    prefixes.sort_unstable();
    Ok(prefixes)
}

fn read<T: std::str::FromStr<Err: Display> + Default>(
    field: &str,
    text: Option<&str>,
) -> Result<T, Refused> {
    text.map_or(Ok(T::default()), |text| text.parse().map_err(|bad| invalid(field, bad)))
}

impl Announcement {
    /// Pairs of a source and a destination.
    pub fn pairs(&self) -> usize {
        self.sources.len().saturating_mul(self.destinations.len())
    }

    /// What is announced, a pattern a pair.
    pub fn patterns(&self) -> impl Iterator<Item = Pattern> + '_ {
        let Self { protocol, source_ports, destination_ports, dscp, .. } = *self;
        let pattern = move |src, dst| Pattern {
            src,
            dst,
            protocol,
            src_ports: source_ports,
            dst_ports: destination_ports,
            dscp,
        };
        let each = move |src: &Prefix| {
            let src = *src;
            self.destinations.iter().map(move |dst| pattern(src, *dst))
        };
        self.sources.iter().flat_map(each)
    }

    /// Whether some packet is announced by both, or would be if one of them ended a moment later.
    pub fn meets(&self, other: &Self) -> bool {
        let any = |own: &[Prefix], others: &[Prefix]| {
            own.iter().any(|one| others.iter().any(|other| touching(*one, *other)))
        };
        self.start <= other.end
            && other.start <= self.end
            && self.protocol.meets(other.protocol)
            && self.source_ports.meets(other.source_ports)
            && self.destination_ports.meets(other.destination_ports)
            && (self.dscp.is_none() || other.dscp.is_none() || self.dscp == other.dscp)
            && any(&self.sources, &other.sources)
            && any(&self.destinations, &other.destinations)
    }

    /// How many routes it takes, and whether they match nothing else.
    pub fn routes(&self) -> (usize, bool) {
        // All pairs were routable when it was checked.
        let all: Vec<Routes> = self.patterns().filter_map(|one| routes(&one).ok()).collect();
        let matches = all.iter().flat_map(|routes| routes.matches.iter().copied());
        let each: std::collections::BTreeSet<_> = matches.collect();
        (each.len(), all.iter().all(|routes| routes.exact))
    }

    fn ports_have_a_protocol(&self) -> Result<(), Refused> {
        let all =
            [("source_ports", self.source_ports), ("destination_ports", self.destination_ports)];
        match all.into_iter().find(|(_, ports)| !ports.is_any()) {
            Some((field, _)) if !self.protocol.has_ports() => {
                let protocol = self.protocol;
                Err(invalid(field, format_args!("protocol {protocol} has no ports")))
            }
            _ => Ok(()),
        }
    }

    fn has_routes(&self) -> Result<(), Refused> {
        for pattern in self.patterns() {
            let field = || format!("{} to {}", pattern.src, pattern.dst);
            routes(&pattern).map_err(|bad| invalid(field(), bad))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ticket::testing::{T0, draft};
    use telesteer_fam::time::SECOND;

    fn check(change: impl FnOnce(&mut Draft)) -> Result<Announcement, Refused> {
        let mut draft = draft(60, 3600);
        change(&mut draft);
        draft.check(&Limits::default(), T0)
    }

    #[test]
    fn what_is_left_out_is_any_and_now() {
        let checked = check(|draft| {
            (draft.protocol, draft.destination_ports, draft.start) = (None, None, None);
        })
        .unwrap();
        assert_eq!((checked.start, checked.end), (T0, T0 + 3600 * SECOND));
        assert_eq!((checked.protocol, checked.source_ports), (Protocol::ANY, Ports::ANY));
        assert_eq!(checked.routes(), (1, true));
        // A client whose clock is slow starts now.
        assert_eq!(check(|d| d.start = Some(stamp::text(T0 - SECOND))).unwrap().start, T0);
    }

    #[test]
    fn pairs_are_all_sources_to_all_destinations() {
        let checked = check(|draft| {
            draft.sources = ["192.0.2.9", "192.0.2.3"].map(str::to_owned).to_vec();
            draft.destinations.push("198.51.100.21".to_owned());
        })
        .unwrap();
        let pairs: Vec<_> =
            checked.patterns().map(|p| (p.src.to_string(), p.dst.to_string())).collect();
        assert_eq!((pairs.len(), checked.pairs()), (4, 4));
        assert_eq!(pairs[0].0, "192.0.2.3/32");
        assert_eq!(checked.routes(), (4, false));
    }

    #[test]
    fn an_error_names_its_field() {
        let field = |change: fn(&mut Draft)| match check(change) {
            Err(Refused::Invalid { field, .. }) => field,
            other => panic!("{other:?}"),
        };
        assert_eq!(field(|d| d.sources.clear()), "sources");
        assert_eq!(field(|d| d.destinations.push("x".to_owned())), "destinations[1]");
        assert_eq!(field(|d| d.sources.push("192.0.2.0/24".to_owned())), "sources[1]");
        assert_eq!(field(|d| d.protocol = Some("icmp".to_owned())), "protocol");
        assert_eq!(field(|d| d.protocol = Some("47".to_owned())), "destination_ports");
        assert_eq!(field(|d| d.source_ports = Some("9-8".to_owned())), "source_ports");
        assert_eq!(field(|d| d.dscp = Some(64)), "dscp");
        assert_eq!(field(|d| d.start = Some("tomorrow".to_owned())), "start");
        assert_eq!(field(|d| d.end = stamp::text(T0)), "end");
        assert_eq!(field(|d| d.end = stamp::text(T0 + 60 * SECOND)), "end");
        assert_eq!(field(|d| d.rate_mbps = Some(0)), "rate_mbps");
        assert_eq!(field(|d| d.rate_mbps = Some(u64::MAX)), "rate_mbps");
        assert_eq!(field(|d| d.note = Some("x".repeat(257))), "note");
        assert_eq!(field(|d| d.note = Some("a\u{1b}b".to_owned())), "note");
        let pair = field(|d| d.destinations = vec!["2001:db8::1".to_owned()]);
        assert_eq!(pair, "192.0.2.10/32 to 2001:db8::1/128");
        assert_eq!(
            field(|d| d.sources = vec!["192.0.0.0/16".to_owned()]),
            "192.0.0.0/16 to 198.51.100.20/32"
        );
    }

    #[test]
    fn limits_hold_at_their_edge() {
        let limits = Limits::default();
        let end = |start: u64, length: u64| {
            let at = |seconds: u64| stamp::text(T0 + ns(seconds));
            check(|d| (d.start, d.end) = (Some(at(start)), at(start + length)))
        };
        assert!(end(limits.ahead, limits.longest).is_ok());
        assert_eq!(end(limits.ahead + 1, 9), Err(Refused::Ahead { limit_s: limits.ahead }));
        assert_eq!(end(0, limits.longest + 1), Err(Refused::Long { limit_s: limits.longest }));
        let many = |n: u8| {
            check(|d| {
                (d.protocol, d.destination_ports) = (None, None);
                d.sources = (0..n).map(|n| format!("192.0.2.{n}")).collect();
            })
        };
        assert!(many(64).is_ok());
        assert_eq!(many(65), Err(Refused::Pairs { limit: 64 }));
    }

    #[test]
    fn meeting_needs_traffic_and_time() {
        use crate::ticket::testing::announcement;
        let one = announcement("192.0.2.0/24 198.51.100.0/24 tcp any 5001", 0, 10);
        let meets = |text, start, end| {
            let other = announcement(text, start, end);
            assert_eq!(one.meets(&other), other.meets(&one));
            one.meets(&other)
        };
        assert!(meets("192.0.2.7 198.51.100.7 tcp any 5001", 10, 20), "touching times are met");
        assert!(!meets("192.0.2.7 198.51.100.7 tcp any 5001", 11, 20));
        assert!(!meets("192.0.2.7 198.51.101.7 tcp any 5001", 0, 10));
        assert!(!meets("192.0.2.7 198.51.100.7 tcp any 5002", 0, 10));
        assert!(!meets("192.0.2.7 198.51.100.7 udp any 5001", 0, 10));
        assert!(meets("192.0.2.7 198.51.100.7 any any any", 0, 10));
    }
}
