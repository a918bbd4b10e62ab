// SPDX-License-Identifier: Apache-2.0 OR MIT
//! When the analysis of a day is due. Reads no clock.

use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use telesteer_fam::Ns;

/// A time of day that is none, or a zone nobody knows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {why}")]
pub struct Bad {
    /// `at` or `zone`.
    pub key: &'static str,
    /// Why not.
    pub why: String,
}

/// A time of every day in a zone.
#[derive(Clone, Debug)]
pub struct Clock {
    at: Time,
    zone: TimeZone,
}

impl Clock {
    /// HH:MM in a zone of the IANA database.
    ///
    /// # Errors
    ///
    /// If there is no such time or zone.
    pub fn new(at: &str, zone: &str) -> Result<Self, Bad> {
        let time = Time::strptime("%H:%M", at).map_err(|error| Bad {
            key: "at",
            why: format!("`{at}` is no time of day as HH:MM: {error}"),
        })?;
        let zone =
            TimeZone::get(zone).map_err(|error| Bad { key: "zone", why: error.to_string() })?;
        Ok(Self { at: time, zone })
    }

    /// The day of an instant, as text.
    pub fn day(&self, now: Ns) -> String {
        let stamp = Timestamp::from_nanosecond(now.into()).unwrap_or(Timestamp::UNIX_EPOCH);
        stamp.to_zoned(self.zone.clone()).date().to_string()
    }

    /// The day whose analysis is due at `now`: the latest whose time has come, if it is not `done`.
    /// Where the clock skips that time, it comes as late as the clock goes on.
    pub fn due(&self, now: Ns, done: Option<&str>) -> Option<String> {
        let stamp = Timestamp::from_nanosecond(now.into()).ok()?;
        let today = stamp.to_zoned(self.zone.clone()).date();
        let comes = |date: jiff::civil::Date| {
            let zoned = date.to_datetime(self.at).to_zoned(self.zone.clone()).ok()?;
            (zoned.timestamp() <= stamp).then_some(date)
        };
        let day = comes(today).or_else(|| today.checked_sub(1.day()).ok())?.to_string();
        (done != Some(day.as_str())).then_some(day)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ns(text: &str) -> Ns {
        Ns::try_from(text.parse::<Timestamp>().unwrap().as_nanosecond()).unwrap()
    }

    #[test]
    fn a_day_is_due_once() {
        let clock = Clock::new("02:30", "UTC").unwrap();
        let due = |now: &str, done: Option<&str>| clock.due(ns(now), done);
        assert_eq!(due("2026-11-26T02:30:00Z", Some("2026-11-25")).as_deref(), Some("2026-11-26"));
        assert_eq!(due("2026-11-26T23:00:00Z", Some("2026-11-26")), None);
        assert_eq!(due("2026-11-27T02:29:59Z", Some("2026-11-26")), None);
        // After a long time off, only the last.
        assert_eq!(due("2026-12-24T00:00:00Z", Some("2026-11-26")).as_deref(), Some("2026-12-23"));
        assert_eq!(due("2026-12-24T00:00:00Z", None).as_deref(), Some("2026-12-23"));
        assert_eq!(clock.day(ns("2026-11-26T23:59:59Z")), "2026-11-26");
    }

    #[test]
    fn a_time_that_the_clock_skips_comes_all_the_same() {
        let clock = Clock::new("02:30", "Europe/Berlin").unwrap();
        let due = |now: &str| clock.due(ns(now), Some("2026-03-28"));
        // 02:00 becomes 03:00, at 01:00 UTC: 02:30 comes at 01:30 UTC, which is called 03:30.
        assert_eq!(due("2026-03-29T01:29:59Z"), None);
        assert_eq!(due("2026-03-29T01:30:00Z").as_deref(), Some("2026-03-29"));
    }

    #[test]
    fn what_is_no_time_or_zone() {
        assert_eq!(Clock::new("24:30", "UTC").unwrap_err().key, "at");
        assert_eq!(Clock::new("half past", "UTC").unwrap_err().key, "at");
        assert_eq!(Clock::new("02:30", "Nowhere/Land").unwrap_err().key, "zone");
    }
}
