// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Labels of days and hours as an axis names them.

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// `28 Jul` or `28 Jul 13:00` of a label such as `2011-07-28` or `2011-07-28T13Z`.
pub fn short_date(label: &str) -> String {
    let mut parts = label.splitn(3, '-');
    let (_, month, rest) = (parts.next(), parts.next(), parts.next());
    let month = month.and_then(|month| MONTHS.get(month.parse::<usize>().ok()?.checked_sub(1)?));
    let (Some(month), Some(rest)) = (month, rest) else { return label.to_owned() };
    let (date, hour) = rest.split_once('T').map_or((rest, None), |(d, h)| (d, Some(h)));
    let date = date.trim_start_matches('0');
    match hour {
        Some(hour) => format!("{date} {month} {}:00", hour.trim_end_matches('Z')),
        None => format!("{date} {month}"),
    }
}

/// A label that is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tick {
    /// Which one.
    pub at: usize,
    /// As what.
    pub name: String,
    /// The year, where it is to be said.
    pub year: String,
}

/// Which labels are written, `most` at most: beginnings of months where there are some, else a few
/// dates.
pub fn ticks(labels: &[String], most: usize) -> Vec<Tick> {
    let begins = |label: &str| label.ends_with("-01") || label.ends_with("-01T00Z");
    let year = |at: usize| labels[at].get(..4).unwrap_or("").to_owned();
    let months: Vec<usize> = (0..labels.len()).filter(|at| begins(&labels[*at])).collect();
    if months.len() > 1 {
        let every = months.len().div_ceil(most.max(1));
        let tick = |(n, at): (usize, &usize)| {
            let month = labels[*at].get(5..7).and_then(|month| month.parse::<usize>().ok());
            let name = MONTHS.get(month.unwrap_or(1).wrapping_sub(1)).unwrap_or(&"");
            let year = if n == 0 || *name == "Jan" { year(*at) } else { String::new() };
            Tick { at: *at, name: (*name).to_owned(), year }
        };
        return months.iter().enumerate().filter(|(n, _)| n % every == 0).map(tick).collect();
    }
    let every = labels.len().div_ceil((most / 2).max(2)).max(1);
    let tick = |at: usize| {
        let year = if at == 0 { year(at) } else { String::new() };
        Tick { at, name: short_date(&labels[at]), year }
    };
    (0..labels.len()).step_by(every).map(tick).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_or_dates() {
        let date = |n: usize| format!("2011-{:02}-{:02}", 5 + n / 30, n % 30 + 1);
        let names = |count, most| -> Vec<String> {
            let labels: Vec<_> = (0..count).map(date).collect();
            let name = |tick: Tick| format!("{} {}", tick.name, tick.year).trim_end().to_owned();
            ticks(&labels, most).into_iter().map(name).collect()
        };
        assert_eq!(names(90, 8), ["May 2011", "Jun", "Jul"]);
        assert_eq!(names(90, 2), ["May 2011", "Jul"]);
        assert_eq!(names(4, 8), ["1 May 2011", "2 May", "3 May", "4 May"]);
        assert!(names(0, 8).is_empty());
        assert_eq!(short_date("2011-07-28T03Z"), "28 Jul 03:00");
        assert_eq!(short_date("x"), "x");
    }
}
