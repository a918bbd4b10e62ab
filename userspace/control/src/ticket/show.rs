// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Tickets as JSON says them.

use crate::ticket::flows::Derived;
use crate::ticket::ports::Ports;
use crate::ticket::protocol::Protocol;
use crate::ticket::record::{Holder, State, Ticket, TicketId};
use crate::ticket::stamp;
use serde::{Deserialize, Serialize};
use telesteer_fam::Prefix;

/// What stands for a ticket on a router.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownRoutes {
    /// Policy routes, one direction.
    pub entries: usize,
    /// They match what is announced and nothing else.
    pub exact: bool,
}

/// A ticket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownTicket {
    /// Its name.
    pub id: TicketId,
    /// Whose it is.
    pub holder: Holder,
    /// How far it is.
    pub state: State,
    /// Sources.
    pub sources: Vec<Prefix>,
    /// Destinations.
    pub destinations: Vec<Prefix>,
    /// IP protocol.
    pub protocol: Protocol,
    /// Ports of sources.
    pub source_ports: Ports,
    /// Ports of destinations.
    pub destination_ports: Ports,
    /// Code point; any if null.
    pub dscp: Option<u8>,
    /// RFC 3339.
    pub start: String,
    /// RFC 3339.
    pub end: String,
    /// Mb/s for all pairs together.
    pub rate_mbps: Option<u64>,
    /// For people.
    pub note: Option<String>,
    /// The oldest ticket of its service; null once it has finished.
    pub service: Option<TicketId>,
    /// The other tickets of its service.
    pub joined: Vec<TicketId>,
    /// On routers.
    pub routes: ShownRoutes,
    /// RFC 3339.
    pub created: String,
    /// How often its end was moved.
    pub extended: u32,
    /// RFC 3339; null before it expired or was cancelled.
    pub finished: Option<String>,
}

/// Some tickets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownPage {
    /// By their numbers.
    pub tickets: Vec<ShownTicket>,
    /// Ask for those after this one; null if these were the last.
    pub next: Option<TicketId>,
}

impl ShownTicket {
    /// The ticket, with what follows from all of its holder's.
    pub(crate) fn of(ticket: &Ticket, derived: &Derived) -> Self {
        let announced = &ticket.announcement;
        let (entries, exact) = announced.routes();
        Self {
            id: ticket.id,
            holder: ticket.holder.clone(),
            state: ticket.state,
            sources: announced.sources.clone(),
            destinations: announced.destinations.clone(),
            protocol: announced.protocol,
            source_ports: announced.source_ports,
            destination_ports: announced.destination_ports,
            dscp: announced.dscp,
            start: stamp::text(announced.start),
            end: stamp::text(announced.end),
            rate_mbps: announced.rate_mbps,
            note: announced.note.clone(),
            service: derived.services.get(&ticket.id).copied(),
            joined: derived.joined(ticket.id),
            routes: ShownRoutes { entries, exact },
            created: stamp::text(ticket.created),
            extended: ticket.extended,
            finished: ticket.finished.map(stamp::text),
        }
    }
}
