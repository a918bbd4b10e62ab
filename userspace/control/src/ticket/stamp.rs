// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Instants as text, by RFC 3339.

use jiff::Timestamp;
use telesteer_fam::Ns;

/// Not an instant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a time such as 2026-11-26T12:00:00Z (RFC 3339, with a zone, 1970 to 2262)")]
pub struct BadStamp(pub String);

/// Reads an instant.
///
/// # Errors
///
/// If it is none, has no zone, or is before 1970.
pub fn parse(text: &str) -> Result<Ns, BadStamp> {
    let stamp = text.parse::<Timestamp>().ok();
    let ns = stamp.and_then(|stamp| Ns::try_from(stamp.as_nanosecond()).ok());
    ns.filter(|ns| *ns >= 0).ok_or_else(|| BadStamp(text.to_owned()))
}

/// Writes an instant, in UTC, with no more digits than it has.
pub fn text(at: Ns) -> String {
    Timestamp::from_nanosecond(i128::from(at))
        .map_or_else(|_| format!("{at} ns"), |s| s.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        for at in [0, 1_795_694_400_000_000_000, 1_795_694_400_123_456_789, Ns::MAX] {
            assert_eq!(parse(&text(at)), Ok(at));
        }
        assert_eq!(parse("2026-11-26T13:00:00+01:00"), parse("2026-11-26T12:00:00Z"));
        for bad in ["", "now", "2026-11-26", "2026-11-26T12:00:00", "1969-12-31T23:00:00Z"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        assert!(parse("2263-01-01T00:00:00Z").is_err());
    }
}
