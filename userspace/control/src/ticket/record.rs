// SPDX-License-Identifier: Apache-2.0 OR MIT
//! One ticket.

use crate::ticket::draft::Announcement;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use telesteer_fam::Ns;

/// Who holds tickets: the name of a token.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Holder(Arc<str>);

/// No name of a holder.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a name: 1 to 64 letters, digits, dots, dashes, underscores")]
pub struct BadHolder(pub String);

impl Holder {
    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Holder {
    type Err = BadHolder;

    fn from_str(text: &str) -> Result<Self, BadHolder> {
        let plain = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'-' | b'_');
        if text.is_empty() || text.len() > 64 || !text.bytes().all(plain) {
            return Err(BadHolder(text.to_owned()));
        }
        Ok(Self(text.into()))
    }
}

impl TryFrom<String> for Holder {
    type Error = BadHolder;

    fn try_from(text: String) -> Result<Self, BadHolder> {
        text.parse()
    }
}

impl From<Holder> for String {
    fn from(holder: Holder) -> Self {
        holder.as_str().to_owned()
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Names a ticket: `t17`. Later tickets have higher numbers, and none is used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TicketId(pub u64);

/// No name of a ticket.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a ticket such as t17")]
pub struct BadTicketId(pub String);

impl fmt::Display for TicketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "t{}", self.0)
    }
}

impl FromStr for TicketId {
    type Err = BadTicketId;

    fn from_str(text: &str) -> Result<Self, BadTicketId> {
        let number = text.strip_prefix('t').and_then(|rest| rest.parse().ok()).map(Self);
        let same = number.filter(|id| id.to_string() == text);
        same.ok_or_else(|| BadTicketId(text.to_owned()))
    }
}

impl Serialize for TicketId {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TicketId {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(de::Error::custom)
    }
}

/// Where a ticket is in its life: waiting, active, then one of the other two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Its start is still to come.
    Waiting,
    /// Between its start and its end.
    Active,
    /// Its end has come.
    Expired,
    /// Its holder ended it.
    Cancelled,
}

impl State {
    /// Whether nothing is announced by it any more.
    pub fn is_finished(self) -> bool {
        matches!(self, Self::Expired | Self::Cancelled)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Active => "active",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A request of a holder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    /// Its name.
    pub id: TicketId,
    /// Whose it is.
    pub holder: Holder,
    /// What is announced; its end moves with extensions.
    pub announcement: Announcement,
    /// How far it is.
    pub state: State,
    /// When it was made.
    pub created: Ns,
    /// How often its end was moved.
    pub extended: u32,
    /// When it expired or was cancelled.
    pub finished: Option<Ns>,
}

/// What time, or want of room, did to a ticket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The ticket.
    pub id: TicketId,
    /// Whose it is.
    pub holder: Holder,
    /// What happened.
    pub what: What,
}

/// What happened to a ticket without its holder's doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// Its start came.
    Began,
    /// Its end came.
    Expired,
    /// It had finished, and made room for later ones.
    Forgotten,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert_eq!("t17".parse(), Ok(TicketId(17)));
        for bad in ["", "t", "17", "t017", "t+1", "t-1", "T1", "t18446744073709551616"] {
            assert!(bad.parse::<TicketId>().is_err(), "{bad}");
        }
        assert_eq!("data-mover.site_1".parse::<Holder>().unwrap().as_str(), "data-mover.site_1");
        for bad in ["", "a b", "a\n", "ä", &"x".repeat(65)] {
            assert!(bad.parse::<Holder>().is_err(), "{bad}");
        }
    }
}
