// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Taking in what is wanted and what was read back.

use super::{Claim, Controller};
use crate::aging;
use crate::audit::Transition;
use crate::life::{Happened, Life, Reason, Seen, State};
use crate::matching::Match;
use crate::path::PathName;
use crate::rule::{ReadBack, Rule};
use std::collections::{BTreeMap, BTreeSet};
use telesteer_fam::Ns;

impl Controller {
    /// Brings `lives` and `unfit` in line with what is wanted.
    pub(super) fn refit(&mut self, now: Ns) {
        if !std::mem::take(&mut self.stale) {
            return;
        }
        self.unfit.clear();
        let mut fit = self.wanted.rules();
        let able = self.capabilities;
        fit.retain(|matching, _| {
            let reason = if matching.ports().is_some() && !able.ports {
                Reason::NoPorts
            } else if !matching.is_ipv4() && !able.ipv6 {
                Reason::NoIpv6
            } else {
                return true;
            };
            self.unfit.insert(*matching, reason);
            false
        });
        if fit.len() > able.limit {
            let mut order: Vec<Match> = fit.keys().copied().collect();
            order.sort_by_key(|matching| (matching.rank(), *matching));
            for matching in order.drain(able.limit..) {
                fit.remove(&matching);
                self.unfit.insert(matching, Reason::NoRoom);
            }
        }
        let keys: BTreeSet<Match> = fit.keys().chain(self.lives.keys()).copied().collect();
        for matching in keys {
            let goal = fit.get(&matching);
            let before = self.lives.get(&matching).map(|life| life.state.clone());
            let life = self.lives.entry(matching).or_insert_with(|| Life::new(goal.cloned()));
            life.aim(goal);
            // Aged out by the device already: nothing is to be withdrawn.
            if goal.is_none() && before == Some(State::Absent) {
                self.lives.remove(&matching);
            }
            self.note(matching, before.unwrap_or(State::Absent), now);
        }
    }

    /// Tells of a step, if one was made.
    pub(super) fn note(&mut self, matching: Match, from: State, now: Ns) {
        let life = self.lives.get(&matching);
        let to = life.map_or(State::Absent, |life| life.state.clone());
        if from == to {
            return;
        }
        if matches!(to, State::Failed(_)) {
            self.counters.failed += 1;
        }
        let goal = life.and_then(|life| life.goal.clone());
        if self.transitions.len() >= self.settings.transitions {
            self.transitions.pop_front();
            self.counters.transitions_dropped += 1;
        }
        self.transitions.push_back(Transition { at: now, matching, goal, from, to });
    }

    /// Takes in what the device holds.
    pub fn observe(&mut self, back: ReadBack, now: Ns) {
        self.refit(now);
        self.in_doubt = false;
        if std::mem::take(&mut self.unreadable) {
            self.failures = 0;
            self.not_before = Ns::MIN;
        }
        let claim = self.claim.take_if(|claim| claim.due <= now);
        let mut there: BTreeMap<Match, Vec<PathName>> = BTreeMap::new();
        for rule in back.rules {
            there.entry(rule.matching).or_default().push(rule.path);
        }
        for matching in there.keys() {
            self.lives.entry(*matching).or_insert_with(|| Life::new(None));
        }
        self.there = Some(there);
        for matching in self.lives.keys().copied().collect::<Vec<_>>() {
            let goal = self.lives.get(&matching).and_then(|life| life.goal.clone());
            let expired = goal.is_some_and(|path| back.expired.contains(&Rule { matching, path }));
            self.look(matching, claim.as_ref(), expired, now);
        }
        if back.amiss.is_empty() {
            self.purge = Life::new(None);
        } else {
            self.counters.amiss += 1;
            if claim.is_some_and(|claim| claim.purge) {
                self.purge.postpone(now, &self.settings);
            }
        }
        self.amiss = back.amiss;
        self.foreign = back.foreign;
        self.mark_idle(now);
    }

    /// Takes in what the device holds of what it was just asked for; it was read as a whole before.
    pub fn observe_some(&mut self, asked: &[Rule], found: &BTreeSet<Rule>, now: Ns) {
        let Some(there) = &mut self.there else { return };
        for rule in asked {
            let found = found.iter().filter(|one| one.matching == rule.matching);
            let paths: Vec<PathName> = found.map(|one| one.path.clone()).collect();
            if paths.is_empty() {
                there.remove(&rule.matching);
            } else {
                there.insert(rule.matching, paths);
            }
        }
        let claim = self.claim.take_if(|claim| claim.due <= now);
        for rule in asked {
            self.look(rule.matching, claim.as_ref(), false, now);
        }
    }

    /// Compares one rule with what was read.
    fn look(&mut self, matching: Match, claim: Option<&Claim>, expired: bool, now: Ns) {
        let Some(life) = self.lives.get_mut(&matching) else { return };
        let from = life.state.clone();
        let there = self.there.as_ref().and_then(|there| there.get(&matching));
        let found = there.map_or(&[][..], Vec::as_slice);
        let right = found.iter().eq(&life.goal);
        let wrong = found.iter().any(|path| Some(path) != life.goal.as_ref());
        let claimed = claim.is_some_and(|claim| claim.covers(&matching, found));
        let expired = expired && found.is_empty();
        match life.seen(Seen { right, wrong, claimed, expired }, now, &self.settings) {
            Happened::Nothing => {}
            Happened::Lied => self.counters.lies += 1,
            Happened::Vanished => self.counters.vanished += 1,
            Happened::Expired => self.counters.expired += 1,
        }
        if right && life.goal.is_none() {
            self.lives.remove(&matching);
        }
        self.note(matching, from, now);
    }

    /// The device could not be read.
    pub fn unread(&mut self, now: Ns) {
        self.counters.unread += 1;
        self.unreadable = true;
        self.failures = self.failures.saturating_add(1);
        self.not_before = now.saturating_add(self.settings.wait(self.failures));
    }

    fn mark_idle(&mut self, now: Ns) {
        let mut steps = Vec::new();
        for (matching, life) in &self.lives {
            let Some(wish) = self.wanted.wish(matching) else { continue };
            let alive = self.alive(&wish.entry);
            let idle = aging::idle_since(wish, alive, now, &self.settings);
            match (&life.state, idle) {
                (State::Installed { .. }, Some(since)) => {
                    steps.push((*matching, State::Idle { since }));
                }
                (State::Idle { .. }, None) => {
                    steps.push((*matching, State::Installed { since: now }));
                }
                _ => {}
            }
        }
        for (matching, to) in steps {
            if let Some(life) = self.lives.get_mut(&matching) {
                let from = std::mem::replace(&mut life.state, to);
                self.note(matching, from, now);
            }
        }
    }
}
