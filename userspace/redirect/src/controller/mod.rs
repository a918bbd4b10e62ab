// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Decides what a device should change, from what is wanted and what was read back.
//!
//! Nothing here talks to a device or reads a clock. The order of a round is: [`Controller::observe`],
//! [`Controller::plan`], apply, [`Controller::applied`], and observe again; [`crate::round()`] does that.
//! Tell the controller all that is wanted before its first plan: what it finds and does not know of, it
//! withdraws.

mod observe;
mod plan;

use crate::audit::{Counters, Transition};
use crate::device::Capabilities;
use crate::life::{Life, Reason, State};
use crate::live::{Live, covering};
use crate::matching::Match;
use crate::path::{BadPath, PathName, Paths, Target};
use crate::rule::Listed;
use crate::settings::Settings;
use crate::wanted::{Aging, Entry, Full, Wanted};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use telesteer_fam::{FiveTuple, Ns};

/// What the device said it would do, until it is read again.
#[derive(Clone, Debug)]
struct Claim {
    matches: BTreeSet<Match>,
    /// Of these, the ones that were only to go for now.
    cleared: BTreeSet<Match>,
    purge: bool,
    due: Ns,
}

impl Claim {
    /// Whether a rule of which this is found should be as it is wanted.
    fn covers(&self, matching: &Match, found: &[PathName]) -> bool {
        let cleared = found.is_empty() && self.cleared.contains(matching);
        self.matches.contains(matching) && !cleared
    }
}

/// Brings one device to hold what is wanted.
#[derive(Debug)]
pub struct Controller {
    settings: Settings,
    capabilities: Capabilities,
    wanted: Wanted,
    live: Live,
    /// Set when `wanted` changed since `lives` and `unfit` followed from it.
    stale: bool,
    /// Rules that are wanted and that the device cannot hold.
    unfit: BTreeMap<Match, Reason>,
    lives: BTreeMap<Match, Life>,
    /// What was read back; none before the first reading.
    there: Option<BTreeMap<Match, Vec<PathName>>>,
    amiss: Listed,
    foreign: Listed,
    /// What is being applied, and what of it is only to go for now.
    asked: Vec<Match>,
    asked_cleared: BTreeSet<Match>,
    asked_purge: bool,
    claim: Option<Claim>,
    batch: usize,
    /// Of the device as a whole, in a row.
    failures: u32,
    not_before: Ns,
    /// The last reading failed.
    unreadable: bool,
    /// A change was refused: a part of it may have been made.
    in_doubt: bool,
    /// The same for what is amiss.
    purge: Life,
    counters: Counters,
    transitions: VecDeque<Transition>,
}

impl Controller {
    /// For a device with these capabilities.
    pub fn new(settings: Settings, capabilities: Capabilities) -> Self {
        Self {
            batch: settings.batch.max(1),
            settings,
            capabilities,
            wanted: Wanted::default(),
            live: Live::default(),
            stale: false,
            unfit: BTreeMap::new(),
            lives: BTreeMap::new(),
            there: None,
            amiss: Listed::default(),
            foreign: Listed::default(),
            asked: Vec::new(),
            asked_cleared: BTreeSet::new(),
            asked_purge: false,
            claim: None,
            failures: 0,
            not_before: Ns::MIN,
            unreadable: false,
            in_doubt: false,
            purge: Life::new(None),
            counters: Counters::default(),
            transitions: VecDeque::new(),
        }
    }

    /// Wants an entry, or wants it otherwise. Its path need not be known or up yet.
    ///
    /// # Errors
    ///
    /// If there is no room for it.
    pub fn want(&mut self, entry: Entry, now: Ns) -> Result<(), Full> {
        match self.wanted.want(entry, now, self.settings.entries) {
            Ok(changed) => self.stale |= changed,
            Err(full) => {
                self.counters.full += 1;
                return Err(full);
            }
        }
        Ok(())
    }

    /// Wants an entry no more.
    pub fn unwant(&mut self, matching: &Match) {
        self.stale |= self.wanted.unwant(matching);
    }

    /// Takes over a new offline table: its entries, and no other that is kept for ever. Entries with
    /// an age are not touched.
    ///
    /// # Errors
    ///
    /// The first entry there was no room for; the others are in.
    pub fn swap(&mut self, table: Vec<Entry>, now: Ns) -> Result<(), Full> {
        let new: BTreeSet<Match> = table.iter().map(|entry| entry.matching).collect();
        let kept = |aging| matches!(aging, Aging::Kept);
        let wishes = self.wanted.wishes().filter(|wish| kept(wish.entry.aging));
        let old: Vec<Match> = wishes.map(|wish| wish.entry.matching).collect();
        for matching in old.iter().filter(|matching| !new.contains(matching)) {
            self.unwant(matching);
        }
        let mut first = Ok(());
        for entry in table {
            let result = self.want(entry, now);
            first = first.and(result);
        }
        first
    }

    /// A path can take packets.
    ///
    /// # Errors
    ///
    /// If its mark or table is of no use.
    pub fn path_up(&mut self, name: PathName, target: Target) -> Result<(), BadPath> {
        self.stale = true;
        self.wanted.path_up(name, target)
    }

    /// A path can take packets no more: rules onto it are withdrawn.
    pub fn path_down(&mut self, name: &PathName) {
        self.stale = true;
        self.wanted.path_down(name);
    }

    /// A path is to be released. True if it may be: no rule is on it, by what was read back, and it is
    /// forgotten then. Else its rules are withdrawn first; ask again.
    pub fn release(&mut self, name: &PathName) -> bool {
        self.path_down(name);
        let Some(there) = &self.there else { return false };
        let used = there.values().flatten().any(|path| path == name);
        if used || self.claim.is_some() || self.in_doubt {
            return false;
        }
        self.wanted.forget(name);
        true
    }

    /// An alpha flow began: the entries that match it are kept until it ends.
    pub fn alpha_begins(&mut self, flow: &FiveTuple, now: Ns) {
        if !self.live.begin(*flow, self.settings.live) {
            self.counters.live_full += 1;
        }
        self.alpha_seen(flow, now);
    }

    /// An alpha flow ended.
    pub fn alpha_ends(&mut self, flow: &FiveTuple, now: Ns) {
        self.alpha_seen(flow, now);
        self.live.end(flow);
    }

    /// An alpha flow was alive at `now`.
    pub fn alpha_seen(&mut self, flow: &FiveTuple, now: Ns) {
        for matching in covering(flow) {
            // Either of the two may be an entry of its own.
            for one in [matching, matching.reverse()] {
                if let Some(wish) = self.wanted.wish_mut(&one) {
                    wish.last_alpha = wish.last_alpha.max(now);
                }
            }
        }
    }

    fn alive(&self, entry: &Entry) -> bool {
        let back = entry.back.is_some() && self.live.any(&entry.matching.reverse());
        back || self.live.any(&entry.matching)
    }

    /// Where a rule is in its life. The direction counts: the reverse has a life of its own.
    pub fn state(&self, matching: &Match) -> State {
        match (self.unfit.get(matching), self.lives.get(matching)) {
            (Some(reason), _) => State::Failed(reason.clone()),
            (None, Some(life)) => life.state.clone(),
            (None, None) => State::Absent,
        }
    }

    /// All rules that are wanted or there, and where they are in their life.
    pub fn states(&self) -> impl Iterator<Item = (Match, State)> + '_ {
        let unfit = self.unfit.iter().map(|(m, reason)| (*m, State::Failed(reason.clone())));
        let lives = self.lives.iter().filter(|(m, _)| !self.unfit.contains_key(m));
        unfit.chain(lives.map(|(m, life)| (*m, life.state.clone())))
    }

    /// The device holds what is wanted of it and nothing of ours besides, by the last reading. What
    /// was given up or aged out counts as settled.
    pub fn settled(&self) -> bool {
        !self.stale
            && self.there.is_some()
            && self.claim.is_none()
            && !self.in_doubt
            && self.amiss.is_empty()
            && self.lives.values().all(Life::is_at_rest)
    }

    /// Whether the device has to be read as a whole before anything can be decided.
    pub fn must_read(&self, now: Ns) -> bool {
        let due = self.claim.as_ref().is_some_and(|claim| claim.due <= now);
        self.there.is_none() || self.in_doubt || self.unreadable || due
    }

    /// Whether the device has been read.
    pub fn was_read(&self) -> bool {
        self.there.is_some()
    }

    /// What is wanted.
    pub fn wanted(&self) -> &Wanted {
        &self.wanted
    }

    /// Paths that are known.
    pub fn paths(&self) -> &Paths {
        self.wanted.paths()
    }

    /// What was read back and is not ours.
    pub fn foreign(&self) -> &Listed {
        &self.foreign
    }

    /// What was read back and is ours, but not as it should be.
    pub fn amiss(&self) -> &Listed {
        &self.amiss
    }

    /// What happened so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// The steps since this was last asked, in order.
    pub fn take_transitions(&mut self) -> Vec<Transition> {
        self.transitions.drain(..).collect()
    }
}
