// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What happened to tickets so far.

use crate::ticket::refused::Refused;
use serde::{Deserialize, Serialize};

/// Counts since the book was made; they are kept with it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counters {
    /// Tickets made.
    pub created: u64,
    /// Of these, those that joined a service that was there.
    pub joined: u64,
    /// Ends moved.
    pub extended: u64,
    /// Tickets ended by their holder.
    pub cancelled: u64,
    /// Tickets whose end came.
    pub expired: u64,
    /// Finished tickets that made room for later ones.
    pub forgotten: u64,
    /// Requests refused, in the order of [`Refused::CODES`].
    pub refused: [u64; Refused::CODES.len()],
}

impl Counters {
    /// Counts a refusal.
    pub(crate) fn refuse(&mut self, refused: &Refused) {
        if let Some(count) = self.refused.get_mut(refused.index()) {
            *count += 1;
        }
    }

    /// Names and values of all but refusals.
    pub fn events(&self) -> [(&'static str, u64); 6] {
        [
            ("created", self.created),
            ("joined", self.joined),
            ("extended", self.extended),
            ("cancelled", self.cancelled),
            ("expired", self.expired),
            ("forgotten", self.forgotten),
        ]
    }

    /// Refusals by code.
    pub fn refusals(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        Refused::CODES.into_iter().zip(self.refused)
    }
}
