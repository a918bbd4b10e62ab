// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What goes wrong with a device.

use crate::matching::Match;
use std::fmt;

/// Bytes of a device's words that are kept.
const MAX_SAID: usize = 2048;

/// What kind of trouble it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The device, or the program that talks to it, could not be reached.
    Unreachable,
    /// It said no.
    Refused,
    /// It cannot do what was asked: no ports, no IPv6, no such path.
    Unsupported,
    /// It holds no more rules.
    Full,
    /// It said something that was not understood.
    Garbled,
    /// It did not answer in time.
    Late,
    /// It was not asked to add anything, for reasons that are not its own. What was to go was made to go.
    NotAsked,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unreachable => "unreachable",
            Self::Refused => "refused",
            Self::Unsupported => "unsupported",
            Self::Full => "full",
            Self::Garbled => "not understood",
            Self::Late => "no answer in time",
            Self::NotAsked => "not asked",
        })
    }
}

/// A device did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{device}, `{command}`{}: {kind}: {said}", .entry.map(|one| format!(", entry {one}")).unwrap_or_default())]
pub struct DeviceError {
    /// Which one.
    pub device: String,
    /// What it was told.
    pub command: String,
    /// The entry it is about, if that is known.
    pub entry: Option<Match>,
    /// What kind of trouble.
    pub kind: Kind,
    /// What it said.
    pub said: String,
}

impl DeviceError {
    /// An error about no single entry.
    pub fn new(device: &str, command: &str, kind: Kind, said: impl fmt::Display) -> Self {
        let mut said = said.to_string().trim().to_owned();
        if said.len() > MAX_SAID {
            let end = (0..=MAX_SAID).rev().find(|at| said.is_char_boundary(*at)).unwrap_or(0);
            said.truncate(end);
        }
        Self { device: device.to_owned(), command: command.to_owned(), entry: None, kind, said }
    }

    /// The same about `entry`.
    #[must_use]
    pub fn about(mut self, entry: Match) -> Self {
        self.entry = Some(entry);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use telesteer_fam::PrefixFlow;

    #[test]
    fn it_names_device_command_entry_and_words() {
        let pair = PrefixFlow {
            src: "192.0.2.0/24".parse().unwrap(),
            dst: "198.51.100.0/24".parse().unwrap(),
        };
        let error = DeviceError::new("r1", "nft -j -f -", Kind::Refused, " File exists\n");
        assert_eq!(error.to_string(), "r1, `nft -j -f -`: refused: File exists");
        let error = error.about(Match::pair(pair).unwrap());
        assert_eq!(
            error.to_string(),
            "r1, `nft -j -f -`, entry 192.0.2.0/24 198.51.100.0/24: refused: File exists"
        );
        let long = DeviceError::new("r1", "x", Kind::Garbled, "ä".repeat(4000));
        assert!(long.said.len() <= MAX_SAID);
    }
}
