// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Why a book does not do what is asked.

use crate::ticket::record::TicketId;

/// What was refused, for people and, by [`Refused::code`], for programs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// A field says nothing that can be.
    #[error("{field}: {why}")]
    Invalid {
        /// Its name, with the place in its list.
        field: String,
        /// What is wrong with it.
        why: String,
    },
    /// More sources times destinations than a ticket may have.
    #[error("more than {limit} pairs of a source and a destination")]
    Pairs {
        /// The bound.
        limit: usize,
    },
    /// From start to end is too long.
    #[error("from start to end are more than {limit_s} s")]
    Long {
        /// The bound.
        limit_s: u64,
    },
    /// It starts too late.
    #[error("its start is more than {limit_s} s away")]
    Ahead {
        /// The bound.
        limit_s: u64,
    },
    /// The holder has as many unfinished tickets as may be.
    #[error("{limit} tickets of yours are unfinished: cancel one, or wait until one expires")]
    Tickets {
        /// The bound.
        limit: usize,
    },
    /// The holder's unfinished tickets have as many pairs as may be.
    #[error("your unfinished tickets would have more than {limit} pairs")]
    HolderPairs {
        /// The bound.
        limit: usize,
    },
    /// All holders together have as many tickets as may be.
    #[error("{limit} tickets of all holders are unfinished")]
    Full {
        /// The bound.
        limit: usize,
    },
    /// No such ticket of this holder.
    #[error("{0} is no ticket of yours")]
    Unknown(TicketId),
    /// It has expired or was cancelled.
    #[error("{0} has finished")]
    Finished(TicketId),
    /// An extension that does not extend.
    #[error("{id} ends at {end}: an extension ends later")]
    NotLater {
        /// The ticket.
        id: TicketId,
        /// When it ends.
        end: String,
    },
}

impl Refused {
    /// All codes, for whoever counts.
    pub const CODES: [&str; 10] = [
        "invalid",
        "too_many_pairs",
        "too_long",
        "too_far_ahead",
        "too_many_tickets",
        "too_many_pairs_of_holder",
        "full",
        "unknown_ticket",
        "finished",
        "not_later",
    ];

    /// Place in [`Self::CODES`].
    pub(crate) fn index(&self) -> usize {
        match self {
            Self::Invalid { .. } => 0,
            Self::Pairs { .. } => 1,
            Self::Long { .. } => 2,
            Self::Ahead { .. } => 3,
            Self::Tickets { .. } => 4,
            Self::HolderPairs { .. } => 5,
            Self::Full { .. } => 6,
            Self::Unknown(_) => 7,
            Self::Finished(_) => 8,
            Self::NotLater { .. } => 9,
        }
    }

    /// For programs; it does not change.
    pub fn code(&self) -> &'static str {
        Self::CODES.get(self.index()).copied().unwrap_or("invalid")
    }
}
