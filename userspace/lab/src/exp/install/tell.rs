// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What is said of how long devices took.

use super::{COMMIT, DEVICES, Reading, Without};
use crate::draw::{Axis, Line, plot, short, stack};
use crate::report::{Claim, Findings};
use crate::stats::percentile;
use serde_json::json;
use telesteer_fam::time::SECOND;

/// Milliseconds that 99 of 100 installations are to take at most on a machine that is not emulated.
const P99_MS: f64 = 10.0;
/// What `ip` says of a VRF where the kernel has none, and FRR has no way onto a path.
const NO_VRF: &str = "Unknown device type";

impl Reading {
    /// Whether all its entries were read back, and none was left in the end.
    pub(super) fn is_whole(&self) -> bool {
        let added = self.whole_ms.len();
        added > 0 && self.missing == 0 && self.held == self.entries + added && self.left == 0
    }

    /// What part of the entries were read back within how many milliseconds.
    fn quantiles(&self) -> Vec<(f64, f64)> {
        let count = self.whole_ms.len().max(1) as f64;
        let part = |(at, ms): (usize, &f64)| (ms + self.commit_ms, (at + 1) as f64 * 100.0 / count);
        self.whole_ms.iter().enumerate().map(part).collect()
    }
}

/// How long it took, by device, each with the largest table it had.
fn distribution(readings: &[Reading], devices: &[&'static str]) -> String {
    let largest = |device: &&'static str| {
        let of_device = readings.iter().filter(|one| one.device == *device);
        of_device.max_by_key(|one| one.entries)
    };
    let named: Vec<(String, Vec<(f64, f64)>)> = devices
        .iter()
        .filter_map(largest)
        .map(|one| (format!("{}, {}", one.device, one.entries), one.quantiles()))
        .collect();
    let lines: Vec<Line<'_>> = named
        .iter()
        .map(|(name, points)| Line { name, points: points.clone(), joined: true })
        .collect();
    plot(
        "Its distribution, with the largest table of each",
        Axis { label: "ms", log: true },
        Axis { label: "% of entries", log: false },
        &lines,
    )
}

/// Which devices have a table, and which must.
fn all_there(readings: &[Reading], without: &[Without], guest: bool) -> Claim {
    let has = |device: &&&str| readings.iter().any(|one| one.device == **device);
    let missing: Vec<&str> = DEVICES.iter().filter(|device| !has(device)).copied().collect();
    let excused = |device: &&str| {
        !guest && without.iter().any(|one| one.device == *device && one.why.starts_with(NO_VRF))
    };
    let said = match missing.is_empty() {
        true => String::new(),
        false => format!(", without {}", missing.join(", ")),
    };
    Claim::new(
        format!(
            "every device has tables, but for one that needs a VRF where the kernel has none: {} of {}{said}",
            DEVICES.len() - missing.len(),
            DEVICES.len()
        ),
        missing.iter().all(excused),
    )
}

pub(super) fn findings(readings: &[Reading], without: &[Without], guest: bool) -> Findings {
    let middle = |one: &Reading| percentile(&one.whole_ms, 50.0) + one.commit_ms;
    let of = |device: &str, entries| {
        readings.iter().find(|one| one.device == device && one.entries == entries)
    };
    let devices: Vec<&'static str> = readings.iter().fold(Vec::new(), |mut all, one| {
        if !all.contains(&one.device) {
            all.push(one.device);
        }
        all
    });
    let lines: Vec<Line<'_>> = devices
        .iter()
        .map(|device| Line {
            name: device,
            points: readings
                .iter()
                .filter(|one| one.device == *device)
                .map(|one| (one.entries as f64, middle(one)))
                .collect(),
            joined: true,
        })
        .collect();
    let mut rows: Vec<Vec<String>> = readings
        .iter()
        .map(|one| {
            let mut row = vec![one.device.to_owned(), one.entries.to_string()];
            let numbers = [
                one.fill_ms,
                percentile(&one.apply_ms, 50.0),
                percentile(&one.whole_ms, 50.0),
                percentile(&one.whole_ms, 99.0),
                one.commit_ms,
                one.read_ms,
            ];
            row.extend(numbers.map(short));
            row
        })
        .collect();
    for one in without {
        let mut row = vec![one.device.to_owned(), one.entries.to_string(), one.why.clone()];
        row.resize(8, "-".to_owned());
        rows.push(row);
    }
    let grows = of("nft", 1).zip(of("nft", 10_000)).map(|(one, all)| middle(all) / middle(one));
    let said = grows.map_or(String::new(), |times| {
        format!(
            " With nftables one more entry among 10 000 took {} times as long as the second one.",
            short(times)
        )
    });
    let mut claims = Vec::new();
    if !guest {
        for device in ["nft", "ip-rule"] {
            let all = readings.iter().filter(|one| one.device == device);
            let worst = all.map(|one| percentile(&one.whole_ms, 99.0)).fold(f64::NAN, f64::max);
            claims.push(Claim::new(
                format!(
                    "{device}, natively: installed and read back, p99 at most {P99_MS:.0} ms in \
                     every table: {} ms",
                    short(worst)
                ),
                worst <= P99_MS,
            ));
        }
    }
    claims.push(all_there(readings, without, guest));
    let read_back = readings.iter().filter(|one| one.is_whole()).count();
    claims.push(Claim::new(
        format!(
            "every entry was read back and in the end none was left: {read_back} of {} tables",
            readings.len()
        ),
        read_back == readings.len() && !readings.is_empty(),
    ));
    let place = match guest {
        true => {
            "in an emulated guest, so that times compare with one another and not with a router"
        }
        false => "in namespaces of a machine",
    };
    Findings {
        title: "Time to install a policy route",
        paragraph: format!(
            "One pair of hosts at a time is added to a table of 1, 125, 1548 and 10 000, and read \
             back from the device itself; {} times each, {place}. What costs the time is a program that is \
             started for it: ovs-ofctl, vtysh and gobgp are, `nft` and `ip-rule` are netlink. The slow router commits for \
             {} s, which is added and not waited for.{said}",
            readings.first().map_or(0, |one| one.whole_ms.len()),
            COMMIT / SECOND
        ),
        columns: vec![
            "device",
            "entries",
            "fill ms",
            "apply p50 ms",
            "read back p50 ms",
            "p99 ms",
            "commit ms",
            "read all ms",
        ],
        rows,
        claims,
        figure: stack(&[
            plot(
                "One more entry, installed and read back",
                Axis { label: "entries that are there", log: true },
                Axis { label: "ms", log: true },
                &lines,
            ),
            distribution(readings, &devices),
        ]),
        data: json!({"readings": readings, "without": without}),
    }
}

#[cfg(test)]
mod tests {
    use super::super::gist;
    use super::*;

    fn one(device: &'static str, ms: f64) -> Reading {
        Reading {
            device,
            entries: 1,
            fill_ms: 1.0,
            read_ms: 1.0,
            apply_ms: vec![ms],
            whole_ms: vec![ms],
            commit_ms: 0.0,
            missing: 0,
            held: 2,
            left: 0,
        }
    }

    /// Readings of all devices but this one.
    fn all_but(device: &str) -> Vec<Reading> {
        let others = DEVICES.into_iter().filter(|one| *one != device);
        others.map(|device| one(device, 1.0)).collect()
    }

    #[test]
    fn natively_it_must_be_quick() {
        let with = |device, ms| {
            let mut all = all_but(device);
            all.push(one(device, ms));
            findings(&all, &[], false)
        };
        assert!(with("nft", 9.0).good());
        assert!(!with("nft", 11.0).good() && !with("ip-rule", 11.0).good());
        assert!(!findings(&all_but("ip-rule"), &[], false).good());
    }

    #[test]
    fn a_rule_that_is_not_there_or_stays_is_seen() {
        let whole = || one("nft", 1.0);
        assert!(whole().is_whole());
        for bad in [
            Reading { missing: 1, ..whole() },
            Reading { held: 1, ..whole() },
            Reading { left: 1, ..whole() },
            Reading { whole_ms: Vec::new(), ..whole() },
        ] {
            assert!(!bad.is_whole(), "{bad:?}");
            let mut all = all_but("nft");
            all.push(bad);
            assert!(!findings(&all, &[], true).good());
        }
    }

    #[test]
    fn a_device_that_is_missing_is_counted() {
        let why = |why: &str| [Without { device: "frr", entries: 1, why: gist(why) }];
        let words =
            "x (given: a\nb): `ip`: exit status: 1: Error: Unknown device type.\nCommand failed";
        assert_eq!(gist(words), "Unknown device type.");
        assert!(findings(&all_but("frr"), &why(words), false).good());
        assert!(!findings(&all_but("frr"), &why(words), true).good());
        assert!(!findings(&all_but("frr"), &why("no program\nof that name"), false).good());
        assert!(!findings(&all_but("openflow"), &why(words), false).good());
    }

    #[test]
    fn a_distribution_has_every_entry() {
        let slow = Reading { whole_ms: vec![1.0, 3.0], commit_ms: 10.0, ..one("slow", 1.0) };
        assert_eq!(slow.quantiles(), [(11.0, 50.0), (13.0, 100.0)]);
        let larger = Reading { entries: 9, ..one("nft", 1.0) };
        let drawn = distribution(&[one("nft", 1.0), larger, slow], &["nft", "slow"]);
        assert!(drawn.contains(">nft, 9<") && drawn.contains(">slow, 1<"), "{drawn}");
    }
}
