// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Who receives which flow in a short phase. Where a server leaves, its exporters reach another one,
//! and there the instance with the same number, or another.
//!
//! Times and domains are the capture's; the journals say only who received a datagram.

pub mod claims;
pub mod share;

use crate::error::{Error, Result};
use crate::fnv::fnv1a64;
use crate::members::Member;
use crate::outputs::{self, Read};
use crate::packet::{self, Transport};
use crate::pcap::Reader;
use crate::scene::{self, CaptureStats, Event, PhaseInfo, Ports, read_json};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::path::Path;

/// Datagrams believed of a capture.
const MAX_DATAGRAMS: usize = 1 << 20;

/// Exporter, its port, the collectors' port, observation domain.
pub type Flow = (IpAddr, u16, u16, u32);

/// One short phase.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Maps {
    /// Name of the phase.
    pub name: String,
    /// Flows heard before anything happened.
    pub flows: u64,
    /// Of these: with more than one receiver while nothing happened.
    pub wandering: u64,
    /// Of these: received on another server while theirs was away.
    pub crossed: u64,
    /// Of these: by the instance with the same number.
    pub same_instance: u64,
    /// Exporters with several domains.
    pub exporters: u64,
    /// Of these: whose domains are received by several instances.
    pub split: u64,
    /// Flows by the number of the instance that received them.
    pub by_instance: BTreeMap<u64, u64>,
    /// Journalled datagrams that nobody sent.
    pub phantom: u64,
    /// Packets the capture lost.
    pub capture_drops: u64,
    /// Captured records that are not whole.
    pub capture_cut: u64,
    /// What getsockopt gave back.
    pub members: Vec<Member>,
    /// Who received each flow before anything happened.
    #[serde(skip)]
    pub map: BTreeMap<Flow, u64>,
}

/// The quiet stretches of a phase, in Unix microseconds.
#[derive(Clone, Copy, Debug)]
struct Spans {
    /// Everything runs, nothing has happened.
    before: (i64, i64),
    /// A server is away; empty if none leaves.
    without: (i64, i64),
}

impl Spans {
    fn read(path: &Path) -> Result<Self> {
        let events = scene::events(path)?;
        let find = |name| events.iter().find(|one: &&Event| one.event == name).map(|one| one.ts_us);
        let need = |name: &'static str| {
            find(name).ok_or_else(|| Error::NoEvent { path: path.to_path_buf(), event: name })
        };
        let stop = need("stop")?;
        Ok(Self {
            before: (need("steady")?, find("withdraw_start").unwrap_or(stop)),
            without: (find("withdrawn").unwrap_or(stop), stop),
        })
    }

    fn of(&self, ts_us: i64) -> Option<usize> {
        [self.before, self.without].iter().position(|(from, to)| (*from..*to).contains(&ts_us))
    }
}

/// Datagrams as they were sent: when, and of which domain.
struct Sent {
    datagrams: HashMap<(IpAddr, u16, u16, u64), (i64, u32)>,
    cut: u64,
}

impl Sent {
    fn read(path: &Path, ports: Ports) -> Result<Self> {
        let mut reader = Reader::open(path)?;
        let link = reader.link();
        let mut sent = Self { datagrams: HashMap::new(), cut: 0 };
        while let Some(record) = reader.record()? {
            sent.cut += u64::from(record.wire_len > record.data.len());
            let Some(ip) = packet::ip(link, record.data) else { continue };
            let Some(Transport::Udp(udp)) = packet::transport(ip.protocol, ip.body) else {
                continue;
            };
            let Some(domain) = domain(udp.data).filter(|_| ports.is_flow(udp.dport)) else {
                continue;
            };
            if sent.datagrams.len() == MAX_DATAGRAMS {
                sent.cut += 1;
                continue;
            }
            let key = (ip.src, udp.sport, udp.dport, fnv1a64(udp.data));
            sent.datagrams.entry(key).or_insert((record.ts_us, domain));
        }
        sent.cut += u64::from(reader.torn());
        Ok(sent)
    }
}

/// The domain of an IPFIX message, the source id of a NetFlow v9 datagram.
fn domain(datagram: &[u8]) -> Option<u32> {
    let at = match datagram.get(..2)? {
        [0, 10] => 12,
        [0, 9] => 16,
        _ => return None,
    };
    Some(u32::from_be_bytes(datagram.get(at..at + 4)?.try_into().ok()?))
}

/// The receivers of a flow in each of the two spans.
type Receivers = [BTreeSet<u64>; 2];

/// Reads the phase in `folder`.
pub fn account(name: &str, folder: &Path, ports: Ports) -> Result<Maps> {
    let spans = Spans::read(&folder.join("timeline.jsonl"))?;
    let info: PhaseInfo = read_json(&folder.join("phase.json"))?;
    let stats: CaptureStats = read_json(&folder.join("capture.json"))?;
    let sent = Sent::read(&folder.join("exporters.pcap"), ports)?;
    let mut maps = Maps {
        name: name.to_string(),
        members: info.members,
        capture_drops: stats.dropped_by_kernel + stats.dropped_by_interface,
        capture_cut: sent.cut,
        ..Maps::default()
    };
    let mut seen: BTreeMap<Flow, Receivers> = BTreeMap::new();
    let mut read = Read::default();
    for file in outputs::files(&folder.join("out"))? {
        outputs::read(&file, &mut read, |line| {
            let (true, Some(exporter)) = (line.kind == "datagram", line.exporter()) else { return };
            let fnv = u64::from_str_radix(&line.fnv, 16).unwrap_or(0);
            match sent.datagrams.get(&(exporter, line.port, line.local_port, fnv)) {
                Some((ts_us, domain)) => {
                    let flow = (exporter, line.port, line.local_port, *domain);
                    if let Some(span) = spans.of(*ts_us) {
                        seen.entry(flow).or_default()[span].insert(line.instance);
                    }
                }
                None => maps.phantom += u64::from(ports.is_flow(line.local_port)),
            }
        })?;
    }
    maps.count(&seen);
    Ok(maps)
}

impl Maps {
    fn count(&mut self, seen: &BTreeMap<Flow, Receivers>) {
        let mut domains: BTreeMap<(IpAddr, u16, u16), Vec<u64>> = BTreeMap::new();
        for (flow, [before, without]) in seen {
            let Some(&owner) = before.first() else { continue };
            self.flows += 1;
            self.wandering += u64::from(before.len() > 1 || without.len() > 1);
            self.map.insert(*flow, owner);
            *self.by_instance.entry(owner % 100).or_default() += 1;
            domains.entry((flow.0, flow.1, flow.2)).or_default().push(owner % 100);
            if let Some(heir) = without.first().filter(|heir| *heir / 100 != owner / 100) {
                self.crossed += 1;
                self.same_instance += u64::from(heir % 100 == owner % 100);
            }
        }
        for list in domains.values().filter(|list| list.len() > 1) {
            self.exporters += 1;
            self.split += u64::from(list.iter().any(|one| *one != list[0]));
        }
    }
}

/// Flows of both phases whose instance differs, and those compared.
pub fn differ(one: &Maps, other: &Maps) -> (u64, u64) {
    // The same exporter has another port in another phase.
    let by_exporter = |maps: &Maps| -> BTreeMap<(IpAddr, u16, u32), u64> {
        let key = |(flow, member): (&Flow, &u64)| ((flow.0, flow.2, flow.3), member % 100);
        maps.map.iter().map(key).collect()
    };
    let (one, other) = (by_exporter(one), by_exporter(other));
    let both = one.iter().filter_map(|(key, member)| Some((member, other.get(key)?)));
    both.fold((0, 0), |(differ, all), (a, b)| (differ + u64::from(a != b), all + 1))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::testing::{flow, frame};

    /// A flow: host, domain, receivers before and while server 1 is away.
    pub(crate) type Played = (u8, u32, u64, u64);

    /// Plays a phase with these flows.
    pub(crate) fn played(name: &str, flows: &[Played]) -> Maps {
        let folder = tempfile::tempdir().unwrap();
        let events = ["steady", "withdraw_start", "withdrawn", "stop"];
        let events: Vec<String> = (1..)
            .zip(events)
            .map(|(s, event)| format!(r#"{{"ts_us":{s}0000000,"event":"{event}"}}"#))
            .collect();
        let write = |name: &str, text: &[u8]| std::fs::write(folder.path().join(name), text);
        write("timeline.jsonl", events.join("\n").as_bytes()).unwrap();
        write("phase.json", br#"{"members":[{"server":1,"instance":1,"weight":1}]}"#).unwrap();
        write("capture.json", br#"{"captured":9}"#).unwrap();
        let mut frames = Vec::new();
        for (number, &(host, domain, owner, heir)) in flows.iter().enumerate() {
            for (second, member) in [(15, owner), (35, heir)] {
                let exporter = format!("10.8.0.{host}");
                let bytes = flow::ipfix(domain, &flow::set(256, &[second as u16]));
                let frame = frame::udp(&exporter, 5, "192.0.2.1", 4739, &bytes);
                frames.push((second * 1_000_000, frame));
                let line = format!(
                    r#"{{"type":"datagram","instance":{},"ts":99,"exporter":"{exporter}","port":5,"local_port":4739,"fnv":"{:016x}"}}"#,
                    member % 100,
                    fnv1a64(&bytes)
                );
                let out = format!("out/s{}", member / 100);
                std::fs::create_dir_all(folder.path().join(&out)).unwrap();
                write(&format!("{out}/journal-{second}-{number}.jsonl"), (line + "\n").as_bytes())
                    .unwrap();
            }
        }
        write("exporters.pcap", &frame::pcap(&frames)).unwrap();
        account(name, folder.path(), Ports::default()).unwrap()
    }

    #[test]
    fn the_number_of_the_instance_counts_not_the_server() {
        let maps = played("x", &[(1, 0, 101, 201), (2, 0, 102, 202), (3, 0, 203, 203)]);
        assert_eq!((maps.flows, maps.crossed, maps.same_instance), (3, 2, 2));
        assert_eq!((maps.phantom, maps.capture_cut, maps.members.len()), (0, 0, 1));
        let broken = played("x", &[(1, 0, 101, 201), (2, 0, 102, 203)]);
        assert_eq!((broken.crossed, broken.same_instance), (2, 1));
    }

    #[test]
    fn domains_of_an_exporter_split_or_stay_together() {
        let maps = played("x", &[(1, 0, 101, 201), (1, 1, 101, 201), (2, 0, 101, 201)]);
        assert_eq!((maps.flows, maps.exporters, maps.split), (3, 1, 0));
        let maps = played("x", &[(1, 0, 101, 201), (1, 1, 102, 202)]);
        assert_eq!((maps.exporters, maps.split), (1, 1));
        assert_eq!(maps.by_instance, [(1, 1), (2, 1)].into());
    }

    #[test]
    fn a_flow_with_two_receivers_wanders() {
        let maps = played("x", &[(1, 0, 101, 201), (1, 0, 102, 201)]);
        assert_eq!((maps.flows, maps.wandering), (1, 1));
    }

    #[test]
    fn domains_are_read_where_each_format_has_them() {
        assert_eq!(domain(&flow::ipfix(7, &[])), Some(7));
        assert_eq!(domain(&flow::v9(8, &[])), Some(8));
        assert_eq!(domain(&[0, 10, 0, 4]), None);
        assert_eq!(domain(&[1, 1, 0, 4]), None);
    }
}
