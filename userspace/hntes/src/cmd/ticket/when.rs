// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Times and lengths as people write them.

use anyhow::{Context, Result};
use jiff::{SignedDuration, Timestamp};
use std::str::FromStr;

/// An instant, or a time from now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum When {
    At(Timestamp),
    In(Length),
}

/// How long: more than nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Length(pub(super) SignedDuration);

impl FromStr for Length {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let length: SignedDuration = text
            .parse()
            .map_err(|_| format!("`{text}` is not a duration such as 90m, 2h30m or 3 days"))?;
        if length.is_positive() { Ok(Self(length)) } else { Err(format!("`{text}` is no time")) }
    }
}

impl Length {
    /// So much later, by RFC 3339.
    pub(super) fn after(self, start: Timestamp) -> Result<String> {
        let end = start.checked_add(self.0).context("beyond all calendars")?;
        Ok(end.to_string())
    }
}

impl FromStr for When {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(length) = text.strip_prefix('+') {
            return length.parse().map(Self::In);
        }
        text.parse().map(Self::At).map_err(|_| {
            format!(
                "`{text}` is not a time such as 2026-11-26T22:00:00Z, or +2h for a time from now"
            )
        })
    }
}

impl When {
    /// The instant.
    pub(super) fn at(&self, now: Timestamp) -> Result<Timestamp> {
        match self {
            Self::At(at) => Ok(*at),
            Self::In(length) => now.checked_add(length.0).context("beyond all calendars"),
        }
    }

    /// The instant by RFC 3339.
    pub(super) fn text(&self, now: Timestamp) -> Result<String> {
        Ok(self.at(now)?.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_lengths() {
        let now: Timestamp = "2026-11-26T12:00:00Z".parse().unwrap();
        let at = |text: &str| text.parse::<When>().unwrap().text(now).unwrap();
        assert_eq!(at("+2h30m"), "2026-11-26T14:30:00Z");
        assert_eq!(at("2026-11-26T23:00:00+01:00"), "2026-11-26T22:00:00Z");
        assert_eq!("90m".parse::<Length>().unwrap().after(now).unwrap(), "2026-11-26T13:30:00Z");
        for bad in ["", "2h", "tomorrow", "+", "+x", "+-1h", "2026-11-26", "+0s"] {
            assert!(bad.parse::<When>().is_err(), "{bad}");
        }
    }
}
