// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The one trait of all providers of circuits.
//!
//! It is asynchronous, with boxed futures: NSI answers come later to an endpoint of ours, netlink is
//! asynchronous in its crate, and a driver has many calls under way that must not wait for one
//! another. A box per call is nothing beside a call.

use crate::error::Error;
use crate::request::{Name, Rate, Request};
use crate::time::At;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::pin::Pin;

/// What a provider calls a circuit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Id(pub String);

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A reservation not yet committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// What the provider calls it.
    pub id: Id,
    /// When the provider gives up waiting for the commit, if it says.
    pub until: Option<At>,
}

/// How far a circuit is, as its provider tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Seen {
    /// Being looked at.
    Requested,
    /// Held for us, not committed.
    Held,
    /// Reserved; nothing configured.
    Committed,
    /// Configured, or about to be; no traffic passes yet.
    Provisioned,
    /// Traffic passes.
    Up,
    /// Not to be used any more, for whatever reason; it may still have to be terminated.
    Failed,
    /// Gone.
    Gone,
}

/// A circuit of ours at a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    /// What the provider calls it.
    pub id: Id,
    /// Our name for it; `None`: not made by us.
    pub name: Option<Name>,
    /// How far it is.
    pub seen: Seen,
    /// How much it is for, as far as the provider says.
    pub rate: Rate,
    /// Its end.
    pub until: Option<At>,
}

/// Something a provider told by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Traffic passes.
    Active,
    /// No traffic passes.
    Inactive,
    /// The hold has run out.
    HoldExpired,
    /// The provider has ended it, and why.
    Ended(String),
    /// The provider could not set it up or lost it, and why.
    Error(String),
}

/// The future of an answer.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'a>>;

/// A provider of circuits. Every answer comes in bounded time. Each call may be repeated when its
/// answer was lost: a second commit, provision, release or terminate of one circuit is no error.
pub trait Circuits: Send + Sync {
    /// For messages.
    fn server(&self) -> &str;

    /// Holds a circuit, or says why not.
    fn reserve<'a>(&'a self, request: &'a Request) -> Answer<'a, Held>;

    /// Keeps what is held.
    fn commit<'a>(&'a self, id: &'a Id) -> Answer<'a, ()>;

    /// Has it configured. That traffic passes comes as a notice.
    fn provision<'a>(&'a self, id: &'a Id) -> Answer<'a, ()>;

    /// Moves its end.
    fn extend<'a>(&'a self, id: &'a Id, until: Option<At>) -> Answer<'a, ()>;

    /// Has it unconfigured; it stays reserved.
    fn release<'a>(&'a self, id: &'a Id) -> Answer<'a, ()>;

    /// Gives it back, in whatever state it is.
    fn terminate<'a>(&'a self, id: &'a Id) -> Answer<'a, ()>;

    /// All circuits there that were asked for under our name.
    fn list(&self) -> Answer<'_, Vec<Remote>>;

    /// What came since the last call, oldest first. Does not wait.
    fn notices(&self) -> Answer<'_, Vec<(Id, Notice)>>;
}
