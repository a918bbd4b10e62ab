// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Transfers that end hosts announce, so that their path is there before their first byte.
//!
//! A *ticket* is one request of one holder: from where, to where, which ports, from when to when.
//! Tickets of a holder that announce some of the same traffic at touching times are one *service*.
//! What the loop acts on are [`Flow`]s: each pattern once, over all the time that any ticket of the
//! holder announces it. So to extend a ticket moves an end and changes nothing else, and to cancel one
//! takes nothing away that another still announces. Lambda Station and TeraPaths worked so.
//!
//! - [`ports`], [`protocol`], [`pattern`], [`routes`]: traffic, and what a router can match of it.
//! - [`draft`]: a request as it came, checked. [`limits`]: bounds. [`stamp`]: instants as text.
//! - [`record`]: a ticket. [`flows`]: services and flows. [`book`]: all tickets, without I/O and
//!   without a clock.
//! - [`operation`], [`show`]: what may be asked of a book, and its answers. [`counters`]: what
//!   happened.
//! - [`token`]: who may ask.

pub mod book;
pub mod counters;
pub mod draft;
pub mod flows;
pub mod limits;
pub mod operation;
pub mod pattern;
pub mod ports;
pub mod protocol;
pub mod record;
pub mod refused;
pub mod routes;
pub mod show;
pub mod stamp;
pub mod token;

#[cfg(test)]
mod book_laws;
#[cfg(test)]
mod book_tests;
#[cfg(test)]
mod testing;

pub use book::Book;
pub use draft::{Announcement, Draft};
pub use flows::Flow;
pub use limits::Limits;
pub use operation::{Answer, Operation};
pub use pattern::Pattern;
pub use record::{Change, Holder, State, Ticket, TicketId, What};
pub use refused::Refused;
