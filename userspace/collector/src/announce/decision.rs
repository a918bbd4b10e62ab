// SPDX-License-Identifier: Apache-2.0 OR MIT
//! When to announce and when to withdraw. Decides only: what is seen and the time come from outside.
//!
//! ```text
//!            rise looks well in a row, hold over
//!   withdrawn ---------------------------------> announced
//!       ^  <----------------------------------     |
//!       |     fall looks ill in a row              |
//!       +---- drain: at once, and for good --------+
//! ```
//!
//! A withdrawal waits for `fall` looks only: a server that cannot collect must not attract
//! exporters. `hold` keeps a flapping server away, so it delays the way back.

use std::time::Duration;

/// What can be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Looks in a row that must be well before announcing.
    pub rise: u32,
    /// Looks in a row that must be ill before withdrawing.
    pub fall: u32,
    /// Time a withdrawn address stays away at least.
    pub hold: Duration,
    /// First and longest pause between two attempts to make the speaker do something.
    pub retry: (Duration, Duration),
}

/// What the speaker has of the prefixes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Present {
    /// All are announced.
    All,
    /// Some are, some are not.
    Part,
    /// None is.
    None,
    /// It did not answer.
    Unknown,
}

/// Why something is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// The collectors became well or ill.
    Health,
    /// The speaker does not have what it should have: it was restarted, somebody typed.
    Differs,
    /// The server leaves.
    Drain,
}

/// What is to be done now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Nothing.
    Keep,
    /// Announce every prefix.
    Announce(Why),
    /// Withdraw every prefix.
    Withdraw(Why),
}

/// The state between two looks.
#[derive(Debug)]
pub struct Decision {
    limits: Limits,
    /// `None` until the first look.
    wanted: Option<bool>,
    draining: bool,
    /// Looks in a row that speak against `wanted`.
    against: u32,
    withdrawn: Option<Duration>,
    /// What the next attempt is made for, and when it may be made.
    cause: Why,
    next: Duration,
    pause: Duration,
}

impl Decision {
    /// Nothing has been seen yet.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            wanted: None,
            draining: false,
            against: 0,
            withdrawn: None,
            cause: Why::Differs,
            next: Duration::ZERO,
            pause: limits.retry.0,
        }
    }

    /// Whether the prefixes should be announced, as things stand.
    pub fn wanted(&self) -> bool {
        self.wanted.unwrap_or(false)
    }

    /// Looks in a row that spoke against the present state.
    pub fn against(&self) -> u32 {
        self.against
    }

    /// The server leaves: from now on nothing is announced any more.
    pub fn drain(&mut self) {
        if !self.draining {
            self.draining = true;
            self.change(false, Why::Drain);
        }
    }

    /// One look at `now`, a time that only grows.
    ///
    /// The first look takes over what is announced already, so that a restart of the watcher moves
    /// nobody.
    pub fn look(&mut self, now: Duration, well: bool, present: Present) -> Act {
        let wanted = *self.wanted.get_or_insert(present == Present::All && !self.draining);
        if !self.draining {
            self.against = if well == wanted { 0 } else { self.against.saturating_add(1) };
            if wanted && self.against >= self.limits.fall {
                self.withdrawn = Some(now);
                self.change(false, Why::Health);
            } else if !wanted && self.against >= self.limits.rise && self.hold_over(now) {
                self.change(true, Why::Health);
            }
        }
        let wanted = self.wanted();
        let as_wanted = match present {
            Present::All => wanted,
            Present::None => !wanted,
            Present::Part => false,
            // A speaker that does not answer may have done what it was told last.
            Present::Unknown => self.cause == Why::Differs,
        };
        if as_wanted {
            (self.cause, self.next, self.pause) = (Why::Differs, now, self.limits.retry.0);
            return Act::Keep;
        }
        if now < self.next {
            return Act::Keep;
        }
        self.next = now + self.pause;
        self.pause = (self.pause * 2).min(self.limits.retry.1);
        if wanted { Act::Announce(self.cause) } else { Act::Withdraw(self.cause) }
    }

    fn change(&mut self, wanted: bool, cause: Why) {
        (self.wanted, self.cause) = (Some(wanted), cause);
        (self.against, self.next, self.pause) = (0, Duration::ZERO, self.limits.retry.0);
    }

    fn hold_over(&self, now: Duration) -> bool {
        self.withdrawn.is_none_or(|since| now.saturating_sub(since) >= self.limits.hold)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);
    const LIMITS: Limits = Limits {
        rise: 3,
        fall: 2,
        hold: Duration::from_secs(10),
        retry: (Duration::from_secs(1), Duration::from_secs(4)),
    };
    const UP: Act = Act::Announce(Why::Health);
    const DOWN: Act = Act::Withdraw(Why::Health);

    /// A speaker that does what it is told, one look a second.
    struct Play {
        decision: Decision,
        present: Present,
        now: Duration,
    }

    impl Play {
        fn new(present: Present) -> Self {
            Self { decision: Decision::new(LIMITS), present, now: Duration::ZERO }
        }

        fn look(&mut self, well: bool) -> Act {
            let act = self.decision.look(self.now, well, self.present);
            self.now += S;
            match act {
                Act::Announce(_) => self.present = Present::All,
                Act::Withdraw(_) => self.present = Present::None,
                Act::Keep => {}
            }
            act
        }

        fn looks(&mut self, well: &[bool]) -> Vec<Act> {
            well.iter().map(|&well| self.look(well)).collect()
        }
    }

    #[test]
    fn it_rises_after_three_and_falls_after_two() {
        let mut play = Play::new(Present::None);
        assert_eq!(play.looks(&[true; 4]), [Act::Keep, Act::Keep, UP, Act::Keep]);
        assert_eq!(play.looks(&[false; 3]), [Act::Keep, DOWN, Act::Keep]);
    }

    #[test]
    fn a_look_to_the_contrary_starts_the_count_anew() {
        let mut play = Play::new(Present::None);
        let looks = play.looks(&[true, true, false, true, true, true]);
        assert_eq!(looks[5], UP);
        assert!(looks[..5].iter().all(|act| *act == Act::Keep));
        assert!(play.looks(&[false, true, false, true]).iter().all(|act| *act == Act::Keep));
    }

    #[test]
    fn hold_delays_the_way_back_and_never_the_withdrawal() {
        let mut play = Play::new(Present::All);
        assert_eq!(play.looks(&[false, false])[1], DOWN);
        // Withdrawn at 1 s, so not before 11 s, though three looks are well long before.
        let looks = play.looks(&[true; 10]);
        assert_eq!(looks.iter().position(|act| *act == UP), Some(9));
        assert_eq!(play.now, 12 * S);
        assert_eq!(play.looks(&[false, false])[1], DOWN);
    }

    #[test]
    fn what_is_announced_already_is_taken_over() {
        let mut play = Play::new(Present::All);
        assert_eq!(play.looks(&[true, true, false, true]), [Act::Keep; 4]);
        assert!(play.decision.wanted());
    }

    #[test]
    fn a_half_announced_start_is_cleared() {
        let mut play = Play::new(Present::Part);
        assert_eq!(play.look(false), Act::Withdraw(Why::Differs));
    }

    #[test]
    fn a_drain_is_at_once_and_for_good() {
        let mut play = Play::new(Present::All);
        assert_eq!(play.look(true), Act::Keep);
        play.decision.drain();
        assert_eq!(play.look(true), Act::Withdraw(Why::Drain));
        assert!(play.looks(&[true; 20]).iter().all(|act| *act == Act::Keep));
        // Somebody announces it again by hand while the server leaves.
        play.present = Present::All;
        assert_eq!(play.look(true), Act::Withdraw(Why::Differs));
    }

    #[test]
    fn a_drain_before_the_first_look_withdraws_what_is_there() {
        let mut play = Play::new(Present::All);
        play.decision.drain();
        assert_eq!(play.look(true), Act::Withdraw(Why::Drain));
    }

    #[test]
    fn a_restarted_speaker_gets_its_prefix_back() {
        let mut play = Play::new(Present::All);
        play.look(true);
        play.present = Present::None;
        assert_eq!(play.look(true), Act::Announce(Why::Differs));
        play.present = Present::Part;
        assert_eq!(play.look(true), Act::Announce(Why::Differs));
    }

    #[test]
    fn a_speaker_that_does_not_obey_is_asked_less_and_less_often() {
        let mut decision = Decision::new(LIMITS);
        decision.drain();
        let acts: Vec<u64> = (0..16)
            .filter(|&now| decision.look(now * S, true, Present::All) == Act::Withdraw(Why::Drain))
            .map(u64::from)
            .collect();
        assert_eq!(acts, [0, 1, 3, 7, 11, 15]);
    }

    #[test]
    fn a_silent_speaker_is_told_once_more_only_if_there_is_something_to_say() {
        let mut decision = Decision::new(LIMITS);
        assert_eq!(decision.look(Duration::ZERO, false, Present::None), Act::Keep);
        assert_eq!(decision.look(S, false, Present::Unknown), Act::Keep);
        decision.look(2 * S, true, Present::Unknown);
        decision.look(3 * S, true, Present::Unknown);
        assert_eq!(decision.look(4 * S, true, Present::Unknown), UP);
        assert_eq!(decision.look(5 * S, true, Present::Unknown), UP);
        assert_eq!(decision.look(6 * S, true, Present::All), Act::Keep);
        assert_eq!(decision.look(7 * S, true, Present::Unknown), Act::Keep);
    }
}
