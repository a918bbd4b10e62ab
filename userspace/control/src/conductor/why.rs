// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Why an entry is wanted.

use std::fmt;

/// Why an entry is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// An alpha flow lives, or did until lately; so many bytes of it may overtake others when the entry
    /// is set, if the path's delay is known.
    Online(Option<u64>),
    /// Somebody announced it.
    Ticket(String),
    /// It is in the offline table of this day.
    Offline(String),
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Online(_) => f.write_str("alpha flow"),
            Self::Ticket(name) => write!(f, "ticket {name}"),
            Self::Offline(day) => write!(f, "table of {day}"),
        }
    }
}

impl Why {
    /// When it begins to be wanted.
    pub(super) fn told(&self) -> String {
        match self {
            Self::Online(Some(bytes)) => format!("{self}; {bytes} bytes may overtake others"),
            other => other.to_string(),
        }
    }
}
