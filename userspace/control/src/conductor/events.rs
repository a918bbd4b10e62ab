// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Flows that begin and end.

use super::{Conductor, Known, Reach, What};
use crate::record::{Idle, Live, Record};
use std::net::IpAddr;
use telesteer_circuit::request::Pair;
use telesteer_fam::{FiveTuple, Ns, PrefixFlow, Width};
use telesteer_online::{End, Event, What as Heard};
use telesteer_redirect::Match;

impl Conductor {
    /// What a detector said.
    pub fn hear(&mut self, event: &Event, now: Ns) {
        self.counters.events += 1;
        match event.what {
            Heard::Early if !self.settings.early => {}
            Heard::Early | Heard::Alpha => self.begin(event, now),
            Heard::Ended(why) => {
                let Some(known) = self.flows.get_mut(&event.key) else {
                    self.counters.unknown_ends += 1;
                    return;
                };
                match why {
                    End::Idle | End::Fin => {
                        self.end(&event.key, now, why.name(), why == End::Idle);
                    }
                    // It may live on.
                    End::Displaced | End::Stop => {
                        known.doubt = Some(now.saturating_add(self.settings.doubt));
                        self.stale = true;
                    }
                }
            }
        }
    }

    /// The detector is gone: what it said last may not be so any more.
    pub fn doubt_all(&mut self, now: Ns) {
        let until = Some(now.saturating_add(self.settings.doubt));
        self.flows.values_mut().for_each(|known| known.doubt = known.doubt.or(until));
        self.stale = true;
    }

    fn begin(&mut self, event: &Event, now: Ns) {
        if let Some(known) = self.flows.get_mut(&event.key) {
            self.stale |= known.doubt.take().is_some();
            if known.live.rate != event.rate {
                known.live.rate = event.rate;
                self.records.push(Record::Flow(event.key, known.live));
                self.stale = true;
            }
            return;
        }
        if self.settings.gated && !self.gate.admits(&event.key) {
            self.counters.outside += 1;
            return;
        }
        if self.flows.len() >= self.settings.flows {
            self.counters.full += 1;
            return;
        }
        // A mirror has no address of its own.
        let exporter = Some(event.exporter).filter(|addr| !addr.is_unspecified());
        let Some((matching, pair)) = self.place(&event.key, exporter) else { return };
        let live = Live { exporter, since: now, rate: event.rate };
        self.records.push(Record::Flow(event.key, live));
        if self.idle.remove(&matching).is_some() {
            self.records.push(Record::NotIdle(matching));
        }
        let reason =
            format!("{}: {} bytes, {} bit/s, {pair}", event.what.name(), event.window, event.rate);
        self.say(now, What::FlowBegan, text(&event.key), reason);
        self.flows.insert(event.key, Known { live, matching, pair, doubt: None });
        self.stale = true;
    }

    /// A flow is over; `idle`: it is known to send nothing. A route that waited for that is not set for
    /// any other end.
    pub(super) fn end(&mut self, flow: &FiveTuple, now: Ns, why: &str, idle: bool) {
        let unset = !idle && self.is_held(flow);
        let Some(Known { matching, pair, .. }) = self.flows.remove(flow) else { return };
        self.records.push(Record::Over(*flow));
        self.say(now, What::FlowEnded, text(flow), why.to_owned());
        let more = self.flows.values().any(|known| known.matching == matching);
        let full = !more && self.idle.len() >= self.settings.flows;
        self.counters.idle_full += u64::from(full);
        // Without room its entry goes at once.
        if !more && !full && !unset {
            let idle = Idle { pair, since: now };
            self.records.push(Record::Idle(matching, idle.clone()));
            self.idle.insert(matching, idle);
        }
        self.stale = true;
    }

    /// What an entry for the flow matches, and between which routers it goes.
    pub(super) fn place(
        &mut self,
        flow: &FiveTuple,
        exporter: Option<IpAddr>,
    ) -> Option<(Match, Pair)> {
        let Some(pair) = self.network.pair_of(flow, exporter) else {
            self.counters.nowhere += 1;
            return None;
        };
        if pair.ingress == pair.egress {
            self.counters.local += 1;
            return None;
        }
        let pair_of = |width: Width| Match::pair(PrefixFlow::of(flow, width));
        let matching = match self.settings.reach {
            Reach::Flow => Match::flow(*flow).or_else(|bad| match bad {
                telesteer_redirect::matching::BadMatch::Portless(_) => {
                    self.counters.portless += 1;
                    pair_of(Width::HOST)
                }
                other => Err(other),
            }),
            Reach::Host => pair_of(Width::HOST),
            Reach::Net => pair_of(Width::NET),
        };
        if matching.is_err() {
            self.counters.unmatched += 1;
        }
        Some((matching.ok()?, pair))
    }
}

/// A flow, for messages.
pub fn text(flow: &FiveTuple) -> String {
    let end = |addr, port| std::net::SocketAddr::new(addr, port);
    let (src, dst) = (end(flow.src, flow.src_port), end(flow.dst, flow.dst_port));
    format!("{src} {dst} protocol {}", flow.proto)
}
