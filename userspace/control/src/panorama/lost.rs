// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What fell off by any bound, was refused, or was not as it was said to be.

use super::Panorama;
use crate::router;
use crate::view::Lost;

impl Panorama<'_> {
    pub(super) fn lost(&self) -> Vec<Lost> {
        let of = self.conductor.counters();
        let circuits = self.office.lost;
        let sum = |read: fn(&router::Report) -> u64| -> u64 {
            self.stations.values().map(read).fold(0, u64::saturating_add)
        };
        let rows: Vec<(&str, u64, &str)> = vec![
            (
                "flows_outside_the_table",
                of.outside,
                "alpha flows not in the offline table, left alone",
            ),
            (
                "flows_of_nowhere",
                of.nowhere,
                "alpha flows of which nobody knows where they come in or leave",
            ),
            ("flows_of_one_router", of.local, "alpha flows that leave where they come in"),
            ("flows_without_ports", of.portless, "alpha flows that got a pair of hosts instead"),
            ("flows_unmatched", of.unmatched, "alpha flows that no router matches"),
            ("flows_without_room", of.full, "alpha flows not taken, flows being enough"),
            ("idle_without_room", of.idle_full, "entries that went without waiting for their age"),
            ("flow_ends_unknown", of.unknown_ends, "ends of flows that were not known"),
            ("flows_given_up", of.given_up, "flows not seen since a restart"),
            ("lines_dropped", of.lines_dropped, "lines of the audit log dropped for want of room"),
            ("audit_failures", self.audit_failures, "lines of the audit log not written"),
            (
                "tickets_of_nowhere",
                self.announced.nowhere,
                "announced flows of which nobody knows where they go",
            ),
            (
                "tickets_unmatched",
                self.announced.unmatched,
                "announced flows that no router matches",
            ),
            ("tickets_widened", self.announced.widened, "announced flows whose routes match more"),
            ("tickets_unrated", self.announced.unrated, "announced flows whose rate no path has"),
            (
                "circuits_without_room",
                circuits.circuits,
                "circuits not asked for, circuits being enough",
            ),
            ("circuit_flows_without_room", circuits.flows, "flows not counted on a circuit"),
            ("circuits_given_up", circuits.given_up, "circuits given up after the last attempt"),
            ("circuits_stuck", circuits.stuck, "circuits that could not be given back"),
            (
                "circuits_under_traffic",
                circuits.under_traffic,
                "circuits taken down with packets sent into them",
            ),
            (
                "circuit_steps_dropped",
                circuits.steps,
                "steps of circuits dropped before they were told",
            ),
            ("circuit_news_dropped", self.office.dropped, "steps and troubles of circuits dropped"),
            (
                "routes_refused",
                sum(|r| r.counters.refused),
                "changes refused by routers, or not reached",
            ),
            ("route_lies", sum(|r| r.counters.lies), "rules that routers said to hold and did not"),
            ("routes_vanished", sum(|r| r.counters.vanished), "rules that were there and are gone"),
            (
                "routes_expired",
                sum(|r| r.counters.expired),
                "rules that a device aged out by itself",
            ),
            ("routes_failed", sum(|r| r.counters.failed), "rules given up"),
            ("routes_without_room", sum(|r| r.counters.full), "entries refused for want of room"),
            ("routers_unread", sum(|r| r.counters.unread), "readings of routers that failed"),
            (
                "route_flows_without_room",
                sum(|r| r.counters.live_full),
                "alpha flows that routers do not keep as alive for want of room",
            ),
            (
                "route_steps_dropped",
                sum(|r| r.counters.transitions_dropped),
                "steps of routes dropped before they were told",
            ),
            ("route_news_dropped", sum(|r| r.dropped), "steps and troubles of routes dropped"),
            ("store_failures", self.journal.failures, "records that could not be written"),
            (
                "store_unwritten",
                self.journal.unwritten,
                "times routes were taken away without a record",
            ),
            (
                "store_uncompacted",
                self.journal.uncompacted,
                "times the store could not be written anew",
            ),
        ];
        let lost = |(name, count, meaning): (&str, u64, &str)| Lost {
            name: name.to_owned(),
            count,
            meaning: meaning.to_owned(),
        };
        let heard = self.tallies.iter().map(|one| (one.name, one.count, one.meaning));
        rows.into_iter().chain(heard).map(lost).collect()
    }
}
