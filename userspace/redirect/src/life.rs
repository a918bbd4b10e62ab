// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The life of one rule: absent, pending, installed, idle, withdrawing, absent; or failed.

use crate::path::PathName;
use crate::settings::Settings;
use serde::Serialize;
use std::fmt;
use telesteer_fam::Ns;

/// Why an entry is not as it should be, and is tried again only seldom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The device matches no ports, so it would redirect more than the flow.
    NoPorts,
    /// The device matches no IPv6.
    NoIpv6,
    /// The device holds no more rules, and stronger ones go first.
    NoRoom,
    /// The device said it is installed, and it is not there.
    NotThere,
    /// The device says no, in its words.
    Refused(String),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoPorts => "the device matches no ports",
            Self::NoIpv6 => "the device matches no IPv6",
            Self::NoRoom => "the device is full",
            Self::NotThere => "said to be installed and not there",
            Self::Refused(said) => said,
        })
    }
}

/// Where a rule is in its life.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Wanted, not there; aged out by the device, until a flow needs it again.
    Absent,
    /// Wanted, and asked for or about to be.
    Pending,
    /// Read back from the device.
    Installed {
        /// When it was first read back.
        since: Ns,
    },
    /// Read back, and without alpha flows.
    Idle {
        /// Since when.
        since: Ns,
    },
    /// Not wanted, and still there.
    Withdrawing,
    /// Given up but for a try now and then. What is to go never is: packets follow it until it is gone.
    Failed(Reason),
}

impl State {
    /// It was read back and is as it should be.
    pub fn is_installed(&self) -> bool {
        matches!(self, Self::Installed { .. } | Self::Idle { .. })
    }
}

/// What reading back showed of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The device holds exactly what is wanted; nothing, if nothing is.
    pub right: bool,
    /// It holds what has to go.
    pub wrong: bool,
    /// The device has said that it would, since it was last read.
    pub claimed: bool,
    /// The device has aged it out since it was last read.
    pub expired: bool,
}

/// What happened in a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happened {
    /// Nothing to tell of.
    Nothing,
    /// The device had claimed what is not so.
    Lied,
    /// It had been read back and is gone or altered.
    Vanished,
    /// It had been read back, and the device aged it out.
    Expired,
}

/// A rule that is there or wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Life {
    /// Where it is.
    pub state: State,
    /// The path it should have; none if it should go.
    pub goal: Option<PathName>,
    /// Tries that failed since the goal was set.
    pub failures: u32,
    /// Not to be tried before.
    pub not_before: Ns,
}

impl Life {
    /// A rule nothing is known of yet.
    pub fn new(goal: Option<PathName>) -> Self {
        let state = if goal.is_some() { State::Pending } else { State::Withdrawing };
        Self { state, goal, failures: 0, not_before: Ns::MIN }
    }

    /// Another goal makes a new start.
    pub fn aim(&mut self, goal: Option<&PathName>) {
        if self.goal.as_ref() != goal {
            *self = Self::new(goal.cloned());
        }
    }

    /// Takes note of what was read back.
    pub fn seen(&mut self, seen: Seen, now: Ns, settings: &Settings) -> Happened {
        if seen.right {
            if !self.state.is_installed() {
                self.state = State::Installed { since: now };
            }
            self.failures = 0;
            self.not_before = Ns::MIN;
            return Happened::Nothing;
        }
        let vanished = self.state.is_installed() && self.goal.is_some();
        if vanished && seen.expired && !seen.claimed {
            self.state = State::Absent;
            return Happened::Expired;
        }
        if seen.wrong && self.is_failed() {
            self.not_before = now;
        }
        if seen.wrong || !(self.is_failed() || self.state == State::Absent) {
            self.state = if self.goal.is_some() { State::Pending } else { State::Withdrawing };
        }
        if seen.claimed {
            if seen.wrong {
                self.postpone(now, settings);
            } else {
                self.failed(Reason::NotThere, now, settings);
            }
            return Happened::Lied;
        }
        if vanished { Happened::Vanished } else { Happened::Nothing }
    }

    /// What is to come did not: wait longer, or give it up for a while.
    pub fn failed(&mut self, reason: Reason, now: Ns, settings: &Settings) {
        self.postpone(now, settings);
        if self.goal.is_some() && self.failures >= settings.tries {
            self.state = State::Failed(reason);
            self.not_before = now.saturating_add(settings.again);
        }
    }

    /// A try did not succeed: wait longer than the last time. What has to go is never given up.
    pub fn postpone(&mut self, now: Ns, settings: &Settings) {
        self.failures = self.failures.saturating_add(1);
        self.not_before = now.saturating_add(settings.wait(self.failures));
    }

    /// Nothing is to be done for it now: it is there, or was given up, or aged out.
    pub fn is_at_rest(&self) -> bool {
        self.state.is_installed() || self.is_failed() || self.state == State::Absent
    }

    /// Whether it may be tried.
    pub fn ready(&self, now: Ns) -> bool {
        self.state != State::Absent && self.not_before <= now
    }

    /// Whether it was given up.
    pub fn is_failed(&self) -> bool {
        matches!(self.state, State::Failed(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::testing::name;

    const RIGHT: Seen = Seen { right: true, wrong: false, claimed: true, expired: false };
    const NOT_YET: Seen = Seen { right: false, wrong: false, claimed: false, expired: false };
    const LIE: Seen = Seen { right: false, wrong: false, claimed: true, expired: false };
    const KEPT: Seen = Seen { right: false, wrong: true, claimed: true, expired: false };

    #[test]
    fn a_life_from_pending_to_withdrawing() {
        let settings = Settings::default();
        let mut life = Life::new(Some(name("a")));
        assert_eq!(life.state, State::Pending);
        assert_eq!(life.seen(NOT_YET, 1, &settings), Happened::Nothing);
        assert_eq!(life.seen(RIGHT, 2, &settings), Happened::Nothing);
        assert_eq!(life.state, State::Installed { since: 2 });
        life.seen(RIGHT, 3, &settings);
        assert_eq!(life.state, State::Installed { since: 2 });
        assert_eq!(life.seen(NOT_YET, 4, &settings), Happened::Vanished);
        assert_eq!(life.state, State::Pending);
        life.aim(None);
        assert_eq!(life.state, State::Withdrawing);
    }

    #[test]
    fn what_the_device_aged_out_is_absent_and_no_loss() {
        let settings = Settings::default();
        let mut life = Life::new(Some(name("a")));
        life.seen(RIGHT, 1, &settings);
        let expired = Seen { expired: true, ..NOT_YET };
        assert_eq!(life.seen(expired, 2, &settings), Happened::Expired);
        assert_eq!((&life.state, life.ready(Ns::MAX)), (&State::Absent, false));
        assert_eq!(life.seen(NOT_YET, 3, &settings), Happened::Nothing);
        assert_eq!(life.state, State::Absent);
        life.seen(RIGHT, 4, &settings);
        assert_eq!(life.state, State::Installed { since: 4 });
    }

    #[test]
    fn lies_are_counted_up_to_a_bound() {
        let settings = Settings { tries: 3, backoff: 10, again: 1000, ..Settings::default() };
        let mut life = Life::new(Some(name("a")));
        assert_eq!(life.seen(LIE, 0, &settings), Happened::Lied);
        assert!(!life.ready(9) && life.ready(10));
        life.seen(LIE, 10, &settings);
        assert!(!life.ready(29) && life.ready(30));
        life.seen(LIE, 30, &settings);
        assert_eq!(life.state, State::Failed(Reason::NotThere));
        assert!(!life.ready(1029) && life.ready(1030), "again, seldom");
        life.seen(LIE, 1030, &settings);
        assert_eq!(life.state, State::Failed(Reason::NotThere), "one try is enough then");
        assert!(!life.ready(2029) && life.ready(2030));
        // Another path is another matter, and so is the device coming round.
        let mut other = life.clone();
        other.aim(Some(&name("b")));
        assert!(other.ready(30));
        life.seen(RIGHT, 99, &settings);
        assert_eq!(life.state, State::Installed { since: 99 });
    }

    #[test]
    fn what_is_to_go_is_never_given_up() {
        let settings = Settings { tries: 1, backoff: 10, backoff_max: 70, ..Settings::default() };
        for (goal, state) in [(None, State::Withdrawing), (Some(name("a")), State::Pending)] {
            let mut life = Life::new(goal);
            for wait in [10, 20, 40, 70, 70, 70] {
                assert_eq!(life.seen(KEPT, 0, &settings), Happened::Lied);
                assert_eq!(life.state, state);
                assert!(!life.ready(wait - 1) && life.ready(wait));
            }
        }
        // Not even when it comes after what should come in its place was given up.
        let mut life = Life::new(Some(name("a")));
        life.seen(LIE, 0, &settings);
        assert!(life.is_failed() && !life.ready(5));
        life.seen(Seen { claimed: false, ..KEPT }, 5, &settings);
        assert!(!life.is_failed() && life.ready(5));
    }
}
