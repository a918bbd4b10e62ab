// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How good the early rule was, counted against what the flows turned out to be.

use telesteer_fam::Ns;

/// Flows by what the early rule said of them and what the window rule said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Score {
    /// Alpha, and named before the window rule found them.
    pub before: u64,
    /// Nanoseconds by which, in all.
    pub lead: u64,
    /// Alpha, named with the same report.
    pub same: u64,
    /// Alpha, named later than by the window rule.
    pub later: u64,
    /// Alpha, never named.
    pub missed: u64,
    /// Named, and never alpha: false alarms.
    pub false_alarms: u64,
    /// Neither.
    pub rightly_silent: u64,
    /// Displaced before anybody knew.
    pub unknown: u64,
}

impl Score {
    /// Counts a flow that has ended: when the rules named it, if they did.
    pub fn judge(&mut self, early: Option<Ns>, alpha: Option<Ns>) {
        match (early, alpha) {
            (Some(early), Some(alpha)) if early < alpha => {
                self.before += 1;
                self.lead = self.lead.saturating_add(alpha.saturating_sub(early) as u64);
            }
            (Some(early), Some(alpha)) if early > alpha => self.later += 1,
            (Some(_), Some(_)) => self.same += 1,
            (None, Some(_)) => self.missed += 1,
            (Some(_), None) => self.false_alarms += 1,
            (None, None) => self.rightly_silent += 1,
        }
    }

    /// Flows that were alpha.
    pub fn alpha(&self) -> u64 {
        self.before + self.same + self.later + self.missed
    }

    /// Of the flows named, those that were not alpha.
    pub fn false_share(&self) -> Option<f64> {
        let named = self.before + self.same + self.later + self.false_alarms;
        (named > 0).then(|| self.false_alarms as f64 / named as f64)
    }

    /// Of the flows that were not alpha, those named.
    pub fn false_rate(&self) -> Option<f64> {
        let beta = self.false_alarms + self.rightly_silent;
        (beta > 0).then(|| self.false_alarms as f64 / beta as f64)
    }

    /// Of the alpha flows, those missed or named later than by the window rule.
    pub fn miss_rate(&self) -> Option<f64> {
        let alpha = self.alpha();
        (alpha > 0).then(|| (self.later + self.missed) as f64 / alpha as f64)
    }

    /// Mean nanoseconds by which the early rule was before the window rule, where it was.
    pub fn mean_lead(&self) -> Option<f64> {
        (self.before > 0).then(|| self.lead as f64 / self.before as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_rates() {
        let mut score = Score::default();
        assert_eq!((score.false_share(), score.miss_rate()), (None, None));
        let flows = [
            (Some(1), Some(4)),
            (Some(4), Some(4)),
            (Some(5), Some(4)),
            (None, Some(4)),
            (Some(1), None),
            (None, None),
            (None, None),
            (None, None),
        ];
        flows.iter().for_each(|(early, alpha)| score.judge(*early, *alpha));
        assert_eq!((score.false_share(), score.false_rate()), (Some(0.25), Some(0.25)));
        assert_eq!((score.miss_rate(), score.mean_lead()), (Some(0.5), Some(3.0)));
    }
}
