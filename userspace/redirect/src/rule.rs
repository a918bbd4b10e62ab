// SPDX-License-Identifier: Apache-2.0 OR MIT
//! One rule of a device, what a device is asked to change, and what it is found to hold.

use crate::matching::Match;
use crate::path::PathName;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;

/// Texts a [`Listed`] keeps; more are only counted.
pub const MAX_LISTED: usize = 256;

/// Packets that match go onto the path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Rule {
    /// Which packets.
    pub matching: Match,
    /// Where they go.
    pub path: PathName,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} onto {}", self.matching, self.path)
    }
}

/// What a device is to change, at once where it can.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Rules that are there and must go.
    pub remove: Vec<Rule>,
    /// Rules that are not there and must come.
    pub add: Vec<Rule>,
    /// Whatever is ours and amiss must go or be mended as well.
    pub purge: bool,
}

impl Change {
    /// Nothing to do.
    pub fn is_empty(&self) -> bool {
        self.remove.is_empty() && self.add.is_empty() && !self.purge
    }
}

/// Texts, at most [`MAX_LISTED`] of them, and how many there were.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listed {
    /// The first.
    pub shown: Vec<String>,
    /// All.
    pub total: usize,
}

impl Listed {
    /// Adds one.
    pub fn push(&mut self, text: impl Into<String>) {
        self.total += 1;
        if self.shown.len() < MAX_LISTED {
            self.shown.push(text.into());
        }
    }

    /// None at all.
    pub fn is_empty(&self) -> bool {
        self.total == 0
    }
}

/// What a device holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadBack {
    /// Our rules that are in force as they should be.
    pub rules: BTreeSet<Rule>,
    /// Rules that were there at the reading before and that the device itself has aged out since.
    pub expired: BTreeSet<Rule>,
    /// What is ours but not as we make it: a path nobody knows, a wrong priority, a part that is gone.
    pub amiss: Listed,
    /// What is not ours and lies where ours is. It is left alone.
    pub foreign: Listed,
}
