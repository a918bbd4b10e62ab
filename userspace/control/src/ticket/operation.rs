// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What may be asked of a book, as one value: what comes in by HTTP goes to the loop so.

use crate::ticket::draft::Draft;
use crate::ticket::record::{Ticket, TicketId};
use crate::ticket::show::{ShownPage, ShownTicket};
use telesteer_fam::Ns;

/// Most tickets of a page.
pub const PAGE: usize = 100;

/// A holder's request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// A new ticket.
    Create(Box<Draft>),
    /// One of the holder's.
    Show(TicketId),
    /// The holder's, by their numbers.
    List {
        /// Only those after this one.
        after: Option<TicketId>,
        /// At most so many, and at most [`PAGE`].
        most: usize,
        /// Finished ones too.
        finished: bool,
    },
    /// A later end.
    Extend(TicketId, Ns),
    /// An end now.
    Cancel(TicketId),
}

impl Operation {
    /// Whether it changes nothing.
    pub fn is_read(&self) -> bool {
        matches!(self, Self::Show(_) | Self::List { .. })
    }
}

/// What a holder gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A ticket, as it is now.
    Ticket(Box<ShownTicket>),
    /// Some of them.
    Page(ShownPage),
}

/// An operation that was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    /// For the holder.
    pub answer: Answer,
    /// What to store before the holder gets the answer; `None` if nothing changed.
    pub changed: Option<Ticket>,
    /// Finished tickets that made room for it, for the store.
    pub forgotten: Vec<TicketId>,
}
