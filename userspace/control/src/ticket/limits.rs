// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Bounds of a book.

use serde::{Deserialize, Serialize};
use telesteer_fam::Ns;
use telesteer_fam::time::SECOND;

/// How much holders may ask for. What is refused is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Limits {
    /// Unfinished tickets of all holders.
    pub tickets: usize,
    /// Unfinished tickets of one holder.
    pub tickets_per_holder: usize,
    /// Pairs of a source and a destination of one ticket.
    pub pairs_per_ticket: usize,
    /// Pairs of all unfinished tickets of one holder.
    pub pairs_per_holder: usize,
    /// Finished tickets of one holder that can still be looked at; the oldest are forgotten.
    pub finished_per_holder: usize,
    /// Longest time from start to end, in seconds, extensions included.
    pub longest: u64,
    /// Latest start, in seconds from now.
    pub ahead: u64,
    /// Highest rate, Mb/s.
    pub rate_mbps: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            tickets: 4096,
            tickets_per_holder: 64,
            pairs_per_ticket: 64,
            pairs_per_holder: 1024,
            finished_per_holder: 64,
            longest: 30 * 86_400,
            ahead: 90 * 86_400,
            rate_mbps: 1_000_000,
        }
    }
}

/// Seconds as [`Ns`]; what is beyond its range is its end.
pub(crate) fn ns(seconds: u64) -> Ns {
    Ns::try_from(seconds).map_or(Ns::MAX, |seconds| seconds.saturating_mul(SECOND))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_says_only_what_is_otherwise() {
        let limits: Limits = toml::from_str("tickets-per-holder = 3\n").unwrap();
        assert_eq!(limits, Limits { tickets_per_holder: 3, ..Limits::default() });
        let error = toml::from_str::<Limits>("ticket-per-holder = 3\n").unwrap_err();
        assert!(error.to_string().contains("ticket-per-holder"), "{error}");
        assert_eq!((ns(2), ns(u64::MAX)), (2_000_000_000, Ns::MAX));
    }
}
