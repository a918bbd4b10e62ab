// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Bounds and times of the controller.

use serde::{Deserialize, Serialize};
use telesteer_fam::Ns;
use telesteer_fam::time::SECOND;

/// Every field has a default; times are in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Entries that may be wanted; more are refused and counted.
    pub entries: usize,
    /// Entries changed in one go.
    pub batch: usize,
    /// Tries of one entry before it counts as failed.
    pub tries: u32,
    /// From one try of a failed entry to the next.
    pub again: Ns,
    /// Wait after the first failure; it doubles.
    pub backoff: Ns,
    /// The longest wait.
    pub backoff_max: Ns,
    /// An installed entry without alpha flows is called idle after so long.
    pub idle: Ns,
    /// Aged entries go at a random time within so long, so that they do not all go at once.
    pub jitter: Ns,
    /// What that randomness is drawn from.
    pub seed: u64,
    /// Alpha flows known to be alive at once; more do not keep their entries, and are counted.
    pub live: usize,
    /// Transitions kept for whoever fetches them; more are dropped and counted.
    pub transitions: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            entries: 32_768,
            batch: 4096,
            tries: 8,
            again: 300 * SECOND,
            backoff: SECOND / 10,
            backoff_max: 60 * SECOND,
            idle: 60 * SECOND,
            jitter: 30 * SECOND,
            seed: 0,
            live: 65_536,
            transitions: 65_536,
        }
    }
}

impl Settings {
    /// The wait after failure number `failures`, counted from 1.
    pub fn wait(&self, failures: u32) -> Ns {
        let doubled = 1_i64.checked_shl(failures.saturating_sub(1).min(40)).unwrap_or(i64::MAX);
        self.backoff.saturating_mul(doubled).clamp(0, self.backoff_max.max(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_bound() {
        let settings = Settings { backoff: 100, backoff_max: 1000, ..Settings::default() };
        let waits: Vec<_> = [1, 2, 3, 4, 5, 6, 60, u32::MAX].map(|n| settings.wait(n)).into();
        assert_eq!(waits, [100, 200, 400, 800, 1000, 1000, 1000, 1000]);
    }

    #[test]
    fn a_misspelt_setting_is_an_error() {
        assert!(serde_json::from_str::<Settings>(r#"{"bacth": 1}"#).is_err());
        assert_eq!(serde_json::from_str::<Settings>("{}").unwrap(), Settings::default());
    }
}
