// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Times as other programs write them.

use telesteer_fam::Ns;
use telesteer_fam::time::{SECOND, day_number};

/// Nanoseconds of `12`, `12.5` or `12.000000001` seconds; more digits are cut off.
pub fn seconds(text: &str) -> Option<Ns> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let negative = whole.starts_with('-');
    let seconds: i64 = whole.parse().ok()?;
    if !part.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits = part.bytes().chain(std::iter::repeat(b'0')).take(9);
    let nanos = digits.fold(0i64, |sum, digit| sum * 10 + i64::from(digit - b'0'));
    seconds.checked_mul(SECOND)?.checked_add(if negative { -nanos } else { nanos })
}

/// Nanoseconds of a length of time: in seconds, or as `00:01:02.500`, or `1d 00:01:02.500`.
pub fn length(text: &str) -> Option<Ns> {
    let Some((clock, last)) = text.rsplit_once(':') else { return seconds(text) };
    let (days, clock) = match clock.split_once('d') {
        Some((days, clock)) => (days.parse::<u32>().ok()?, clock.trim_start()),
        None => (0, clock),
    };
    let (hours, minutes) = clock.split_once(':')?;
    let (hours, minutes): (u32, u32) = (hours.parse().ok()?, minutes.parse().ok()?);
    let part = seconds(last)?;
    if hours >= 24 || minutes >= 60 || !(0..=60 * SECOND).contains(&part) || last.starts_with('-') {
        return None;
    }
    let minutes = (Ns::from(days) * 24 + Ns::from(hours)) * 60 + Ns::from(minutes);
    minutes.checked_mul(60 * SECOND)?.checked_add(part)
}

/// Seconds ahead of UTC of `+02:00` or `-05:30`.
pub fn offset(text: &str) -> Option<i32> {
    let (sign, rest) = match text.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = rest.split_once(':')?;
    if !rest.bytes().all(|byte| byte.is_ascii_digit() || byte == b':') {
        return None;
    }
    let (hours, minutes): (i32, i32) = (hours.parse().ok()?, minutes.parse().ok()?);
    let fits = (0..=18).contains(&hours) && (0..60).contains(&minutes);
    fits.then_some(sign * (hours * 3600 + minutes * 60))
}

/// `2011-05-01 13:00:00.123`, with `T` for the blank if one likes: UTC, which a `Z` at the end may
/// say, or ahead of it by an offset at the end. Or seconds since 1970.
pub fn instant(text: &str) -> Option<Ns> {
    let (text, utc) = match text.strip_suffix(['Z', 'z']) {
        Some(text) => (text, true),
        None => (text, false),
    };
    let Some((date, time)) = text.split_once([' ', 'T', 't']) else { return seconds(text) };
    let mut date = date.splitn(3, '-');
    let (year, month, day): (i64, u8, u8) =
        (date.next()?.parse().ok()?, date.next()?.parse().ok()?, date.next()?.parse().ok()?);
    let (time, ahead) = match time.find(['+', '-']) {
        Some(_) if utc => return None,
        Some(at) => (&time[..at], offset(&time[at..])?),
        None => (time, 0),
    };
    let mut time = time.splitn(3, ':');
    let (hour, minute): (i64, i64) = (time.next()?.parse().ok()?, time.next()?.parse().ok()?);
    let second = seconds(time.next()?)?;
    let fits = (1..=12).contains(&month) && (1..=31).contains(&day);
    let fits = fits && (1000..10_000).contains(&year) && (0..24).contains(&hour);
    if !fits || !(0..60).contains(&minute) || !(0..61 * SECOND).contains(&second) {
        return None;
    }
    let minutes = (day_number(year, month, day) * 24 + hour) * 60 + minute;
    // Years of four digits may still not fit into 63 bits of nanoseconds.
    let local = minutes.checked_mul(60 * SECOND)?.checked_add(second)?;
    local.checked_sub(Ns::from(ahead) * SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time() {
        let minute = 60 * SECOND;
        for (text, length) in [
            ("1.5", SECOND * 3 / 2),
            ("00:00:01.500", SECOND * 3 / 2),
            ("01:02:03.000", 62 * minute + 3 * SECOND),
            ("1d 00:00:60.000", 1441 * minute),
            ("12d 23:59:59.999", (12 * 1440 + 1439) * minute + 59_999_000_000),
        ] {
            assert_eq!(super::length(text), Some(length), "{text}");
        }
        for text in ["", ":", "1:2", "00:60:01", "24:00:00", "00:00:61", "00:00:-1", "xd 00:00:01"]
        {
            assert_eq!(length(text), None, "{text}");
        }
    }

    #[test]
    fn reads_what_others_write() {
        let at = 1_304_208_000 * SECOND;
        for text in [
            "2011-05-01 00:00:00",
            "2011-05-01T00:00:00Z",
            "2011-05-01 00:00:00.000",
            "1304208000",
            "1304208000.0",
            "2011-05-01T02:00:00+02:00",
            "2011-04-30 18:30:00.000000-05:30",
            "2011-05-01T00:00:00.0-00:00",
        ] {
            assert_eq!(instant(text), Some(at), "{text}");
        }
        assert_eq!(instant("2011-05-01 00:00:01.25"), Some(at + SECOND * 5 / 4));
        assert_eq!(seconds("-0.5"), Some(-SECOND / 2));
        assert_eq!(seconds("0.0000000019"), Some(1));
        for text in [
            "",
            "x",
            "2011-05-01",
            "2011-13-01 00:00:00",
            "2011-05-01 24:00:00",
            "1.x",
            "2011-05-01T00:00:00+02",
            "2011-05-01T00:00:00+19:00",
            "2011-05-01T00:00:00++1:00",
            "2011-05-01T00:00:00+01:00Z",
        ] {
            assert_eq!(instant(text), None, "{text}");
        }
        assert_eq!(instant("9999-12-31 00:00:00"), None);
    }
}
