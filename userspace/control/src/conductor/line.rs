// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A line of the audit log.

use serde::{Deserialize, Serialize};
use telesteer_fam::Ns;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// The loop began.
    Started,
    /// The loop ended.
    Stopped,
    /// A call to the outside had begun when the loop was killed.
    Interrupted,
    /// A flow is alpha, or may become it.
    FlowBegan,
    /// It is over, or nobody looks at it any more.
    FlowEnded,
    /// An entry without flows has gone.
    Aged,
    /// Another offline table is in force.
    TableTaken,
    /// A ticket was made, changed, or is over.
    Ticket,
    /// A route is wanted of a router.
    RouteWanted,
    /// It is wanted no more.
    RouteUnwanted,
    /// It would be wanted, but waits: too much of its flow would overtake.
    RouteHeld,
    /// A route changed its state, by what was read back.
    RouteStep,
    /// A circuit changed its state.
    CircuitStep,
    /// Something went wrong outside.
    Trouble,
}

/// A change, and its reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// When, in nanoseconds since 1970, UTC.
    #[serde(rename = "at_ns")]
    pub at: Ns,
    /// What.
    pub what: What,
    /// Of which flow, route, circuit, table, ticket, router.
    pub subject: String,
    /// At this router.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub router: Option<String>,
    /// Onto this path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Why.
    pub reason: String,
}
