// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Instants and spans. The caller reads the clock.

use serde::{Deserialize, Serialize};
use std::fmt;

/// An instant: milliseconds since 1970, UTC.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct At(pub u64);

impl At {
    /// `ms` later.
    #[must_use]
    pub fn plus(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Milliseconds from `earlier` to here, 0 if it is not earlier.
    pub fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms =
            i64::try_from(self.0).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
        match ms {
            Some(stamp) => stamp.fmt(f),
            None => write!(f, "{} ms", self.0),
        }
    }
}

/// A span of time, without its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// Its first instant.
    pub from: At,
    /// The first instant after it; `None`: it does not end.
    pub until: Option<At>,
}

impl Span {
    /// Whether it holds `at`.
    pub fn holds(&self, at: At) -> bool {
        self.from <= at && self.until.is_none_or(|until| at < until)
    }

    /// Whether they have an instant in common.
    pub fn meets(&self, other: &Self) -> bool {
        let begins_before = |until: Option<At>, from: At| until.is_none_or(|until| from < until);
        begins_before(self.until, other.from) && begins_before(other.until, self.from)
    }

    /// Whether it holds no instant.
    pub fn is_empty(&self) -> bool {
        self.until.is_some_and(|until| until <= self.from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_half_open() {
        let span = |from, until: Option<u64>| Span { from: At(from), until: until.map(At) };
        assert!(!span(0, Some(10)).meets(&span(10, None)));
        assert!(span(0, Some(11)).meets(&span(10, None)));
        assert!(span(5, None).meets(&span(1000, Some(1001))));
        assert!(span(0, Some(10)).holds(At(9)) && !span(0, Some(10)).holds(At(10)));
        assert!(span(3, Some(3)).is_empty() && !span(3, None).is_empty());
        assert_eq!(At(1_500).to_string(), "1970-01-01T00:00:01.5Z");
    }
}
