// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Services and flows: what follows from all tickets of a holder, whatever their order.

use crate::ticket::draft::Announcement;
use crate::ticket::pattern::Pattern;
use crate::ticket::record::{Holder, Ticket, TicketId};
use serde::Serialize;
use std::collections::BTreeMap;
use telesteer_fam::Ns;

/// Announced traffic, once for all tickets of a holder that announce it at touching times.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Flow {
    /// What is announced.
    pub pattern: Pattern,
    /// From the first start.
    pub from: Ns,
    /// To the last end; the instant is not in it.
    pub until: Ns,
    /// Who announces it.
    pub holder: Holder,
    /// The service it belongs to, by its oldest ticket.
    pub service: TicketId,
    /// The tickets that announce it, the oldest first.
    pub tickets: Vec<TicketId>,
    /// Mb/s that the service needs at its peak, for all its flows together; `None` if no ticket of it
    /// says a rate.
    pub rate_mbps: Option<u64>,
}

impl Flow {
    /// Whether it is announced for `at`, or begins at most `lead` after it: so much before its first
    /// byte, its path is to be made.
    pub fn is_due(&self, at: Ns, lead: Ns) -> bool {
        self.from.saturating_sub(lead) <= at && at < self.until
    }
}

/// What follows from the unfinished tickets of one holder.
#[derive(Clone, Debug, Default)]
pub(crate) struct Derived {
    /// The service of each.
    pub(crate) services: BTreeMap<TicketId, TicketId>,
    /// By pattern, then by time.
    pub(crate) flows: Vec<Flow>,
}

impl Derived {
    /// Derives it from these, all unfinished and of one holder, in the order of their numbers.
    pub(crate) fn of(tickets: &[&Ticket]) -> Self {
        let services = services(tickets);
        let rates = rates(tickets, &services);
        let mut by_pattern: BTreeMap<Pattern, Vec<&Ticket>> = BTreeMap::new();
        for ticket in tickets {
            for pattern in ticket.announcement.patterns() {
                by_pattern.entry(pattern).or_default().push(ticket);
            }
        }
        let mut flows: Vec<Flow> = Vec::new();
        for (pattern, mut owners) in by_pattern {
            owners.sort_by_key(|ticket| (ticket.announcement.start, ticket.id));
            for ticket in owners {
                let Announcement { start, end, .. } = ticket.announcement;
                match flows.last_mut() {
                    Some(last) if last.pattern == pattern && start <= last.until => {
                        last.until = last.until.max(end);
                        last.tickets.push(ticket.id);
                        last.tickets.sort_unstable();
                    }
                    _ => {
                        let service = services.get(&ticket.id).copied().unwrap_or(ticket.id);
                        flows.push(Flow {
                            pattern,
                            from: start,
                            until: end,
                            holder: ticket.holder.clone(),
                            service,
                            tickets: vec![ticket.id],
                            rate_mbps: rates.get(&service).copied(),
                        });
                    }
                }
            }
        }
        Self { services, flows }
    }

    /// The other tickets of its service.
    pub(crate) fn joined(&self, id: TicketId) -> Vec<TicketId> {
        let Some(service) = self.services.get(&id) else { return Vec::new() };
        let same = self.services.iter().filter(|(other, of)| *of == service && **other != id);
        same.map(|(other, _)| *other).collect()
    }
}

/// Tickets that meet are of one service, and so are those that meet one of these.
fn services(tickets: &[&Ticket]) -> BTreeMap<TicketId, TicketId> {
    let mut services: BTreeMap<TicketId, TicketId> = BTreeMap::new();
    for (at, ticket) in tickets.iter().enumerate() {
        services.insert(ticket.id, ticket.id);
        for other in tickets.iter().take(at) {
            if !ticket.announcement.meets(&other.announcement) {
                continue;
            }
            let both = services.get(&ticket.id).copied().zip(services.get(&other.id).copied());
            if let Some((one, two)) = both.filter(|(one, two)| one != two) {
                let joined = services.values_mut().filter(|of| **of == one || **of == two);
                joined.for_each(|of| *of = one.min(two));
            }
        }
    }
    services
}

/// The highest sum of rates at any instant, of services that say one.
fn rates(tickets: &[&Ticket], services: &BTreeMap<TicketId, TicketId>) -> BTreeMap<TicketId, u64> {
    let mut steps: BTreeMap<TicketId, Vec<(Ns, bool, u64)>> = BTreeMap::new();
    for ticket in tickets {
        let Announcement { start, end, rate_mbps, .. } = ticket.announcement;
        if let Some((rate, service)) = rate_mbps.zip(services.get(&ticket.id)) {
            // Ends sort before starts of the same instant.
            steps.entry(*service).or_default().extend([(start, true, rate), (end, false, rate)]);
        }
    }
    let peak = |mut steps: Vec<(Ns, bool, u64)>| {
        steps.sort_unstable();
        let (mut sum, mut peak) = (0u64, 0u64);
        for (_, begins, rate) in steps {
            sum = if begins { sum.saturating_add(rate) } else { sum.saturating_sub(rate) };
            peak = peak.max(sum);
        }
        peak
    };
    steps.into_iter().map(|(service, steps)| (service, peak(steps))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ticket::record::State;
    use crate::ticket::testing::{T0, announcement, holder};
    use telesteer_fam::time::SECOND;

    const HOSTS: &str = "192.0.2.10 198.51.100.20 tcp any 5001";
    const NETS: &str = "192.0.2.0/24 198.51.100.0/24 tcp any any";
    const OTHER: &str = "192.0.2.10 198.51.100.99 tcp any 5001";

    fn ticket(id: u64, text: &str, start: i64, end: i64, rate: Option<u64>) -> Ticket {
        let mut announcement = announcement(text, start, end);
        announcement.rate_mbps = rate;
        let (state, created) = (State::Waiting, T0);
        let (id, holder) = (TicketId(id), holder("a"));
        Ticket { id, holder, announcement, state, created, extended: 0, finished: None }
    }

    /// From, until, service, tickets of each flow.
    fn derive(tickets: &[Ticket]) -> Vec<(i64, i64, u64, Vec<u64>)> {
        let derived = Derived::of(&tickets.iter().collect::<Vec<_>>());
        let seconds = |at: Ns| (at - T0) / SECOND;
        let of = |flow: &Flow| {
            let tickets = flow.tickets.iter().map(|id| id.0).collect();
            (seconds(flow.from), seconds(flow.until), flow.service.0, tickets)
        };
        derived.flows.iter().map(of).collect()
    }

    #[test]
    fn the_same_traffic_at_touching_times_is_one_flow() {
        let three =
            [(1, 0, 10), (2, 10, 20), (3, 21, 30)].map(|(id, s, e)| ticket(id, HOSTS, s, e, None));
        assert_eq!(derive(&three), [(0, 20, 1, vec![1, 2]), (21, 30, 3, vec![3])]);
        let nested = [(1, 5, 6), (2, 0, 20)].map(|(id, s, e)| ticket(id, HOSTS, s, e, None));
        assert_eq!(derive(&nested), [(0, 20, 1, vec![1, 2])]);
    }

    #[test]
    fn what_meets_is_one_service_through_others_too() {
        let hosts = ticket(1, HOSTS, 0, 10, None);
        let other = ticket(2, OTHER, 0, 10, None);
        let apart = derive(&[hosts.clone(), other.clone()]);
        assert_eq!(apart.iter().map(|flow| flow.2).collect::<Vec<_>>(), [1, 2]);
        let joined = derive(&[hosts, other, ticket(3, NETS, 9, 30, None)]);
        assert_eq!(joined.len(), 3, "a narrower pattern keeps its own route");
        assert!(joined.iter().all(|flow| flow.2 == 1), "{joined:?}");
    }

    #[test]
    fn a_service_needs_the_peak_of_its_rates() {
        let rate = |tickets: &[Ticket]| {
            Derived::of(&tickets.iter().collect::<Vec<_>>()).flows[0].rate_mbps
        };
        let of = |id, start, end, rate| ticket(id, HOSTS, start, end, rate);
        assert_eq!(rate(&[of(1, 0, 10, None)]), None);
        assert_eq!(rate(&[of(1, 0, 10, Some(5)), of(2, 5, 15, Some(7))]), Some(12));
        assert_eq!(rate(&[of(1, 0, 10, Some(5)), of(2, 10, 15, Some(7))]), Some(7));
        assert_eq!(rate(&[of(1, 0, 10, Some(5)), of(2, 2, 3, None)]), Some(5));
        assert_eq!(rate(&[of(1, 0, 9, Some(u64::MAX)), of(2, 0, 9, Some(9))]), Some(u64::MAX));
    }

    #[test]
    fn a_flow_is_due_before_its_first_byte() {
        let one = ticket(1, HOSTS, 100, 200, None);
        let flow = Derived::of(&[&one]).flows[0].clone();
        let due = |at: i64, lead: i64| flow.is_due(T0 + at * SECOND, lead * SECOND);
        assert!(!due(99, 0) && due(100, 0) && due(199, 0) && !due(200, 0));
        assert!(due(40, 60) && !due(39, 60) && !due(200, 60));
    }
}
