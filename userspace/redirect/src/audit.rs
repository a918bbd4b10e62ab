// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a controller tells of its work.

use crate::life::State;
use crate::matching::Match;
use crate::path::PathName;
use serde::Serialize;
use telesteer_fam::Ns;

/// What happened so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// Rules asked for.
    pub asked: u64,
    /// Rules asked to go.
    pub withdrawn: u64,
    /// Changes the device refused, or that did not reach it.
    pub refused: u64,
    /// Rules the device claimed to hold and did not, or to have removed and had not.
    pub lies: u64,
    /// Rules that were read back once and then were gone or altered.
    pub vanished: u64,
    /// Rules that the device itself aged out.
    pub expired: u64,
    /// Rules given up for a while.
    pub failed: u64,
    /// Entries that aged out.
    pub aged: u64,
    /// Times something of ours was found amiss.
    pub amiss: u64,
    /// Entries refused for want of room in the table of wishes.
    pub full: u64,
    /// Alpha flows not kept as alive for want of room.
    pub live_full: u64,
    /// Readings of the device that failed.
    pub unread: u64,
    /// Transitions dropped because nobody fetched them.
    pub transitions_dropped: u64,
}

/// A step in a rule's life, for the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Transition {
    /// When.
    pub at: Ns,
    /// Of which rule.
    pub matching: Match,
    /// The path it is meant for, if it is meant to be.
    pub goal: Option<PathName>,
    /// Before.
    pub from: State,
    /// After.
    pub to: State,
}
