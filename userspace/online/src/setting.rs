// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a detector looks for, and its bounds.

use telesteer_fam::Ns;
use telesteer_fam::time::SECOND;

/// Most slots in T: it bounds what a flow costs.
pub const SLOTS_MAX: i64 = 4096;

/// How flows are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    /// H in bytes: a flow with more than it in T is alpha.
    pub h: u64,
    /// T.
    pub t: Ns,
    /// τ: length of a report, or of the bins that packets fall into.
    pub slot: Ns,
    /// A report of at most τ + grace counts as one of τ: exporters' timers are late.
    pub grace: Ns,
    /// A report that is so much behind the newest of its flow still counts in every window it lies in.
    pub lateness: Ns,
    /// A flow silent for so long has ended.
    pub idle: Ns,
    /// k of the early rule: so many slots running whose rate, kept up for T, is more than H. 0: no
    /// early rule.
    pub early: u32,
    /// Most flows that are kept exactly.
    pub flows: usize,
    /// Flows of which the heaviest others are kept.
    pub rest: usize,
}

impl Default for Setting {
    fn default() -> Self {
        Self {
            h: 1_000_000_000,
            t: 60 * SECOND,
            slot: 10 * SECOND,
            grace: 0,
            lateness: 10 * SECOND,
            idle: 70 * SECOND,
            early: 0,
            flows: 65_536,
            rest: 4096,
        }
    }
}

/// A setting that makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSetting {
    /// T is no time.
    #[error("T has to be more than 0")]
    T,
    /// τ does not fit T.
    #[error("a slot has to be more than 0 and at most T")]
    Slot,
    /// Too many slots.
    #[error("T has more than {SLOTS_MAX} slots; take longer ones")]
    Slots,
    /// Grace or lateness.
    #[error("grace and lateness have to be between 0 and T")]
    Late,
    /// Reports come every τ.
    #[error("a flow cannot end by silence of less than a slot")]
    Idle,
    /// More slots running than there are.
    #[error("the early rule wants more slots than T has")]
    Early,
    /// No room.
    #[error("there has to be room for a flow of either kind")]
    Room,
}

impl Setting {
    /// Whether it makes sense.
    ///
    /// # Errors
    ///
    /// What does not.
    pub fn check(&self) -> Result<(), BadSetting> {
        let within = |time: Ns| (0..=self.t).contains(&time);
        if self.t <= 0 {
            return Err(BadSetting::T);
        }
        if self.slot <= 0 || self.slot > self.t {
            return Err(BadSetting::Slot);
        }
        if self.t / self.slot >= SLOTS_MAX {
            return Err(BadSetting::Slots);
        }
        if !within(self.grace) || !within(self.lateness) {
            return Err(BadSetting::Late);
        }
        if self.idle < self.slot {
            return Err(BadSetting::Idle);
        }
        if i64::from(self.early) > self.slots() {
            return Err(BadSetting::Early);
        }
        if self.flows == 0 || self.rest == 0 {
            return Err(BadSetting::Room);
        }
        Ok(())
    }

    /// T/τ, rounded up.
    pub fn slots(&self) -> i64 {
        parts(self.t, self.slot)
    }

    /// How long a report matters.
    pub fn reach(&self) -> Ns {
        self.t.saturating_add(self.lateness)
    }

    /// Most slots of a flow: neighbours together are longer than τ, so twice as many as fit, and some.
    pub fn ring_slots(&self) -> usize {
        let slots = parts(self.reach(), self.slot).clamp(1, 2 * SLOTS_MAX);
        2 * slots as usize + 2
    }
}

fn parts(time: Ns, slot: Ns) -> i64 {
    let slot = slot.max(1);
    time / slot + i64::from(time % slot != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_make_no_sense() {
        let good = Setting::default();
        assert_eq!(good.check(), Ok(()));
        assert_eq!((good.slots(), good.ring_slots()), (6, 16));
        let cases = [
            (Setting { t: 0, ..good }, BadSetting::T),
            (Setting { slot: 0, ..good }, BadSetting::Slot),
            (Setting { slot: good.t + 1, ..good }, BadSetting::Slot),
            (Setting { slot: good.t / 5000, ..good }, BadSetting::Slots),
            (Setting { lateness: -1, ..good }, BadSetting::Late),
            (Setting { grace: good.t + 1, ..good }, BadSetting::Late),
            (Setting { idle: SECOND, ..good }, BadSetting::Idle),
            (Setting { early: 7, ..good }, BadSetting::Early),
            (Setting { rest: 0, ..good }, BadSetting::Room),
            (Setting { flows: 0, ..good }, BadSetting::Room),
        ];
        for (setting, bad) in cases {
            assert_eq!(setting.check(), Err(bad));
        }
        assert_eq!(Setting { slot: 7 * SECOND, ..good }.slots(), 9);
    }
}
