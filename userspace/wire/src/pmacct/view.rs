// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What pmacct reads out of a flow record: which element answers which question.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde_json::Value;

use super::{RdKey, Settings, route_distinguisher, timestamp};
use crate::flow::{Element, NETFLOW_V9, Record, Value as Field};

/// A record, the exporter it came from and the settings it is read with.
pub(super) struct View<'a> {
    pub(super) record: &'a Record<'a>,
    pub(super) exporter: IpAddr,
    pub(super) arrival_ns: u64,
    pub(super) settings: &'a Settings,
}

impl View<'_> {
    /// The first of these elements that is there, as an integer; 0 without any.
    pub(super) fn number(&self, ids: &[u16]) -> u64 {
        self.some_number(ids).unwrap_or(0)
    }

    fn some_number(&self, ids: &[u16]) -> Option<u64> {
        ids.iter().find_map(|id| self.record.unsigned(*id))
    }

    /// Like [`Self::number`], skipping zeros.
    fn nonzero(&self, ids: &[u16]) -> u64 {
        ids.iter().filter_map(|id| self.record.unsigned(*id)).find(|value| *value > 0).unwrap_or(0)
    }

    /// The first address that is not unspecified, else the first one, else that of the flow's
    /// family.
    pub(super) fn address(&self, ids: &[u16]) -> IpAddr {
        let found: Vec<IpAddr> =
            ids.iter().filter_map(|id| self.record.get(Element::iana(*id))?.as_ip()).collect();
        let none = if self.is_v6() {
            IpAddr::V6(Ipv6Addr::UNSPECIFIED)
        } else {
            IpAddr::V4(Ipv4Addr::UNSPECIFIED)
        };
        *found
            .iter()
            .find(|address| !address.is_unspecified())
            .or_else(|| found.iter().find(|address| address.is_ipv6() == self.is_v6()))
            .or(found.first())
            .unwrap_or(&none)
    }

    /// By `ipVersion` (60) if it is there, else by which source address is.
    fn is_v6(&self) -> bool {
        match self.record.unsigned(60) {
            Some(version) => version == 6,
            None => {
                let told = |id| self.record.get(Element::iana(id)).and_then(|value| value.as_ip());
                match (told(8), told(27)) {
                    (Some(v4), Some(v6)) => v4.is_unspecified() && !v6.is_unspecified(),
                    (None, Some(_)) => true,
                    _ => false,
                }
            }
        }
    }

    /// The network of an address by the mask the record tells.
    pub(super) fn network(&self, addresses: &[u16], masks: &[u16]) -> IpAddr {
        let mask = self.nonzero(masks);
        match self.address(addresses) {
            IpAddr::V4(address) => {
                let bits = u32::from(address);
                let kept = 32u64.saturating_sub(mask);
                let mask = u32::MAX.checked_shl(kept as u32).unwrap_or(0);
                IpAddr::V4(Ipv4Addr::from(bits & mask))
            }
            IpAddr::V6(address) => {
                let kept = 128u64.saturating_sub(mask);
                let mask = u128::MAX.checked_shl(kept as u32).unwrap_or(0);
                IpAddr::V6(Ipv6Addr::from(u128::from(address) & mask))
            }
        }
    }

    pub(super) fn mask(&self, ids: &[u16]) -> u64 {
        self.nonzero(ids)
    }

    /// A MAC address; zeros without one.
    pub(super) fn mac(&self, ids: &[u16]) -> String {
        let found = ids.iter().find_map(|id| match self.record.get(Element::iana(*id))? {
            Field::Mac(mac) => Some(mac),
            _ => None,
        });
        let [a, b, c, d, e, f] = found.unwrap_or_default();
        format!("{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}")
    }

    /// A string without its padding; empty without one.
    pub(super) fn text(&self, element: Element) -> String {
        let octets = self.record.octets(element).unwrap_or_default();
        String::from_utf8_lossy(octets).trim_end_matches('\0').to_owned()
    }

    /// The labels of the stack from the top: elements 70 to 79, three octets each, of which
    /// twenty bits are the label.
    pub(super) fn labels(&self) -> Vec<u32> {
        let mut labels = Vec::new();
        for id in 70..80 {
            let Some(&[a, b, c, ..]) = self.record.octets(Element::iana(id)) else { continue };
            let entry = u32::from_be_bytes([0, a, b, c]);
            if entry == 0 {
                continue;
            }
            labels.push(entry >> 4);
        }
        labels
    }

    /// Route distinguisher and where it is from.
    pub(super) fn rd(&self) -> (String, &'static str) {
        let told = self.record.octets(Element::iana(90));
        if let Some(rd) = told.and_then(|octets| <[u8; 8]>::try_from(octets).ok())
            && rd != [0; 8]
        {
            return (route_distinguisher(rd), "flow");
        }
        let id = |ids: &[u16]| u32::try_from(self.nonzero(ids)).unwrap_or(0);
        let vrf = id(&[234, 235]);
        let keys = [RdKey::In(id(&[10, 252])), RdKey::Out(id(&[14, 253])), RdKey::Vrf(vrf)];
        if let Some(rd) = keys.iter().find_map(|key| self.settings.rds.get(key)) {
            return (rd.clone(), "map");
        }
        let id = vrf;
        if id == 0 {
            return ("0:0:0".to_owned(), "unknown");
        }
        match self.record.options().vrfs.get(&id).and_then(|vrf| vrf.rd) {
            Some(rd) if rd != [0; 8] => (route_distinguisher(rd), "flow"),
            _ => (format!("vrfid:{id}"), "flow"),
        }
    }

    /// Name of a VRF by its id's element, from the exporter's options.
    pub(super) fn vrf_name(&self, id: u16) -> String {
        let vrf = u32::try_from(self.number(&[id])).ok();
        vrf.and_then(|id| self.record.options().vrfs.get(&id)?.name.clone()).unwrap_or_default()
    }

    /// Name of an interface by its index' elements, from the exporter's options.
    pub(super) fn interface_name(&self, ids: &[u16]) -> String {
        let index = u32::try_from(self.number(ids)).ok();
        index
            .and_then(|index| self.record.options().interfaces.get(&index)?.name.clone())
            .unwrap_or_default()
    }

    /// A flow time in whichever way the record tells it: v9 uptime, seconds, milliseconds,
    /// microseconds or nanoseconds since 1970.
    pub(super) fn time(&self, uptime: u16, absolute: [u16; 4]) -> Value {
        let header = self.record.header();
        let [seconds, milliseconds, microseconds, nanoseconds] = absolute;
        let read = |id| self.record.unsigned(id);
        let time_ns = read(milliseconds)
            .map(|ms| ms.saturating_mul(1_000_000))
            .or_else(|| read(seconds).map(|s| s.saturating_mul(1_000_000_000)))
            .or_else(|| read(microseconds).map(|us| us.saturating_mul(1000)))
            .or_else(|| read(nanoseconds))
            .or_else(|| {
                let since_boot = read(uptime)?;
                if header.version == NETFLOW_V9 {
                    let ago_ms = u64::from(header.uptime_ms).wrapping_sub(since_boot) as u32;
                    let exported_ms = u64::from(header.export_time) * 1000;
                    if self.settings.whole_seconds {
                        // Whole seconds are taken off the export time, the rest is cut.
                        let exported = u64::from(header.export_time);
                        let ago = u64::from(ago_ms / 1000);
                        return Some(exported.saturating_sub(ago) * 1_000_000_000);
                    }
                    return Some(exported_ms.saturating_sub(u64::from(ago_ms)) * 1_000_000);
                }
                // IPFIX counts from systemInitTimeMilliseconds.
                Some((read(160)? + since_boot).saturating_mul(1_000_000))
            })
            .unwrap_or(0);
        self.stamp(time_ns)
    }

    /// A time as text, cut to seconds if so set.
    pub(super) fn stamp(&self, time_ns: u64) -> Value {
        let cut = if self.settings.whole_seconds { 1_000_000_000 } else { 1 };
        timestamp(time_ns / cut * cut)
    }

    /// What packets and bytes are multiplied by.
    pub(super) fn factor(&self) -> u64 {
        if !self.settings.renormalize {
            return 1;
        }
        u64::from(self.settings.sampling.or(self.record.sampling_interval()).unwrap_or(1).max(1))
    }
}
