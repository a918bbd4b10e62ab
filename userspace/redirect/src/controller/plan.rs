// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What to change next, and what became of it.

use super::{Claim, Controller};
use crate::aging;
use crate::device::Commit;
use crate::error::{DeviceError, Kind};
use crate::life::{Reason, State};
use crate::matching::Match;
use crate::path::PathName;
use crate::rule::{Change, Rule};
use crate::wanted::Wish;
use telesteer_fam::Ns;

impl Controller {
    /// Takes away entries that have been without alpha flows for too long.
    fn age(&mut self, now: Ns) {
        let old = |wish: &&Wish| {
            let due = aging::due(wish, self.alive(&wish.entry), &self.settings);
            due.is_some_and(|due| due <= now)
        };
        let gone: Vec<Match> =
            self.wanted.wishes().filter(old).map(|wish| wish.entry.matching).collect();
        for matching in gone {
            self.counters.aged += 1;
            self.unwant(&matching);
        }
    }

    /// What the device aged out comes again for a flow that is alive.
    fn revive(&mut self, now: Ns) {
        let needed = |matching: &Match| {
            self.wanted.wish(matching).is_some_and(|wish| self.alive(&wish.entry))
        };
        let absent = self.lives.iter().filter(|(_, life)| life.state == State::Absent);
        let again: Vec<Match> = absent.map(|(matching, _)| *matching).filter(needed).collect();
        for matching in again {
            if let Some(life) = self.lives.get_mut(&matching) {
                life.state = State::Pending;
                self.note(matching, State::Absent, now);
            }
        }
    }

    /// What to change next; none if there is nothing to do, or nothing before a wait is over.
    pub fn plan(&mut self, now: Ns) -> Option<Change> {
        self.age(now);
        self.refit(now);
        self.revive(now);
        let there = self.there.as_ref()?;
        if now < self.not_before || self.claim.is_some() {
            return None;
        }
        let purge = !self.amiss.is_empty() && self.purge.ready(now);
        let due = |given_up: bool| {
            let due = self.lives.iter().filter(|(matching, life)| {
                let found = there.get(matching).map_or(&[][..], Vec::as_slice);
                life.is_failed() == given_up && life.ready(now) && !found.iter().eq(&life.goal)
            });
            due.map(|(matching, life)| (life.goal.is_some(), *matching)).collect()
        };
        let mut todo: Vec<(bool, Match)> = due(false);
        if todo.is_empty() && !purge {
            // Apart from the others, which they would only hold up.
            todo = due(true);
        }
        // What must go goes first, then what is strong.
        todo.sort_by_key(|(stays, matching)| (*stays, matching.rank(), *matching));
        todo.truncate(self.batch);
        let mut change = Change { purge, ..Change::default() };
        self.asked_cleared.clear();
        for (_, matching) in &todo {
            let Some(life) = self.lives.get(matching) else { continue };
            let found = there.get(matching).map_or(&[][..], Vec::as_slice);
            let rule = |path: &PathName| Rule { matching: *matching, path: path.clone() };
            let wrong = found.iter().filter(|path| Some(*path) != life.goal.as_ref());
            let before = change.remove.len();
            change.remove.extend(wrong.map(rule));
            if change.remove.len() > before && life.failures > 0 {
                // At once was refused. What comes must not keep there what has to go.
                self.asked_cleared.insert(*matching);
                continue;
            }
            change.add.extend(life.goal.iter().filter(|goal| !found.contains(goal)).map(rule));
        }
        if change.is_empty() {
            return None;
        }
        self.counters.asked += change.add.len() as u64;
        self.counters.withdrawn += change.remove.len() as u64;
        self.asked = todo.into_iter().map(|(_, matching)| matching).collect();
        self.asked_purge = change.purge;
        Some(change)
    }

    /// Takes in what the device said to the change that [`Self::plan`] gave.
    pub fn applied(&mut self, result: &Result<Commit, DeviceError>, now: Ns) {
        let asked = std::mem::take(&mut self.asked);
        let cleared = std::mem::take(&mut self.asked_cleared);
        match result {
            Ok(commit) => {
                let due = match commit {
                    Commit::Done => now,
                    Commit::Due(due) => *due,
                };
                let matches = asked.into_iter().collect();
                self.claim = Some(Claim { matches, cleared, purge: self.asked_purge, due });
                self.failures = 0;
                self.batch = self.batch.saturating_mul(2).min(self.settings.batch.max(1));
            }
            Err(error) => {
                self.counters.refused += 1;
                self.in_doubt = true;
                if error.kind == Kind::NotAsked {
                    // What was to go is gone, and more may have to go soon: only what comes waits.
                    for matching in &asked {
                        let life = self.lives.get_mut(matching);
                        if let Some(life) = life.filter(|life| life.goal.is_some()) {
                            life.postpone(now, &self.settings);
                        }
                    }
                    return;
                }
                if matches!(error.kind, Kind::Unreachable | Kind::Late) {
                    // No entry's fault: the device is asked again, ever more seldom up to a bound.
                    self.failures = self.failures.saturating_add(1);
                    self.not_before = now.saturating_add(self.settings.wait(self.failures));
                    return;
                }
                let culprit = error.entry.filter(|entry| asked.contains(entry));
                if self.asked_purge && culprit.is_none() {
                    // What is amiss is suspected first: entries are tried without it.
                    self.purge.postpone(now, &self.settings);
                    return;
                }
                let alone = asked.first().copied().filter(|_| asked.len() == 1);
                if let Some(matching) = culprit.or(alone)
                    && let Some(life) = self.lives.get_mut(&matching)
                {
                    // The others are not to blame, and need not wait.
                    let from = life.state.clone();
                    let found = self.there.as_ref().and_then(|there| there.get(&matching));
                    if found.is_some_and(|found| !found.is_empty()) {
                        life.postpone(now, &self.settings);
                    } else {
                        life.failed(Reason::Refused(error.to_string()), now, &self.settings);
                    }
                    self.note(matching, from, now);
                    return;
                }
                // Nobody knows who is to blame: halves find it.
                self.batch = (asked.len() / 2).max(1);
                self.failures = self.failures.saturating_add(1);
                self.not_before = now.saturating_add(self.settings.wait(self.failures));
            }
        }
    }

    /// The device refused or was away, and is not to be asked before that time.
    pub fn waits_until(&self) -> Option<Ns> {
        (self.failures > 0).then_some(self.not_before)
    }

    /// When something will be due though nothing happens: a wait that ends, or an entry that ages.
    pub fn next_due(&self) -> Option<Ns> {
        let wishes = self.wanted.wishes();
        let aged =
            wishes.filter_map(|wish| aging::due(wish, self.alive(&wish.entry), &self.settings));
        let waits = self.lives.values();
        let waits = waits.filter(|life| !life.state.is_installed() && life.state != State::Absent);
        let amiss = (!self.amiss.is_empty()).then_some(&self.purge);
        // While a commit is under way nothing else is asked for.
        let free = self.claim.as_ref().map_or(self.not_before, |claim| claim.due);
        let waits = waits.chain(amiss).map(|life| life.not_before.max(free));
        let away = (self.unreadable || self.in_doubt).then_some(self.not_before);
        let due = aged.chain(waits).chain(away);
        due.chain(self.claim.iter().map(|claim| claim.due)).min()
    }
}
