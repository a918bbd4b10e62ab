// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Proof that a quiet kernel log means something: every detector is tripped once and must be seen.

use std::path::Path;

use crate::guest::{Report, Step};
use crate::ktap::Tally;
use crate::run::say;

/// A detector: the module's parameter, and words its complaint holds.
#[derive(Debug)]
struct Trip {
    name: &'static str,
    says: &'static str,
}

/// In this order: lockdep switches itself off after its first complaint and after KASAN's, and an
/// oops leaves things behind.
const TRIPS: &[Trip] = &[
    Trip { name: "rcu", says: "suspicious RCU usage" },
    Trip { name: "atomic", says: "sleeping function called from invalid context" },
    Trip { name: "net", says: "WARNING: " },
    Trip { name: "warn", says: "WARNING: " },
    Trip { name: "refcount", says: "refcount_t: " },
    Trip { name: "tracker", says: "ref_tracker" },
    Trip { name: "objects", says: "ODEBUG: " },
    Trip { name: "lockdep", says: "possible circular locking dependency" },
    Trip { name: "list", says: "list_del corruption" },
    Trip { name: "kasan", says: "KASAN: " },
    // The module is gone when leaks are listed, so its functions have no names any more.
    Trip { name: "leak", says: "comm \"insmod\"" },
    Trip { name: "oops", says: "Oops: " },
];

/// Seconds for one load of the module.
const TIMEOUT: u64 = 120;

/// The steps for one boot of the debug kernel. The first is the twin that must stay silent.
pub(crate) fn steps(module: &Path) -> Vec<Step> {
    std::iter::once("none")
        .chain(TRIPS.iter().map(|trip| trip.name))
        .map(|name| Step {
            name: format!("canary {name}"),
            dir: "/".into(),
            argv: vec![
                "insmod".into(),
                module.to_string_lossy().into_owned(),
                format!("trip={name}"),
            ],
            timeout: TIMEOUT,
        })
        .collect()
}

/// Checks that each step was seen, and the silent one was not.
pub(crate) fn judge(report: &Report) -> Tally {
    let mut tally = Tally::default();
    let said = |step: usize| {
        report
            .splats
            .iter()
            .filter(move |splat| splat.step == Some(step))
            .map(|splat| splat.text.as_str())
    };
    let mut verdict = |name: &str, good: bool| {
        if !good {
            say(format!("canary {name}: NOT seen as it should be"));
        }
        tally.add(if good { Tally::PASS } else { Tally::FAIL });
    };
    let ran = report.steps.first().is_some_and(|outcome| outcome.status.is_some());
    verdict("none", ran && said(0).next().is_none());
    for (index, trip) in TRIPS.iter().enumerate() {
        let seen = match trip.name {
            // Leaks are looked for once, at the end of the run.
            "leak" => report.splats.iter().any(|splat| {
                splat.step.is_none()
                    && splat.text.starts_with("kmemleak:")
                    && splat.text.contains(trip.says)
            }),
            _ => said(index + 1).any(|text| text.contains(trip.says)),
        };
        verdict(trip.name, seen);
    }
    tally
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::Duration;

    use super::*;
    use crate::guest::Outcome;
    use crate::splat::Splat;

    fn report(splats: Vec<Splat>) -> Report {
        let outcome = Outcome { status: Some(1), out: PathBuf::new(), err: PathBuf::new() };
        Report {
            steps: vec![outcome; TRIPS.len() + 1],
            splats,
            console: PathBuf::new(),
            died: None,
            booted: true,
            boot: Duration::ZERO,
            took: Duration::ZERO,
        }
    }

    fn all() -> Vec<Splat> {
        let splat = |(index, trip): (usize, &Trip)| match trip.name {
            "leak" => Splat { step: None, text: format!("kmemleak:\n  {}", trip.says) },
            _ => Splat { step: Some(index + 1), text: format!("x {} y", trip.says) },
        };
        TRIPS.iter().enumerate().map(splat).collect()
    }

    #[test]
    fn every_detector_seen_passes() {
        assert_eq!(judge(&report(all())), Tally { passed: TRIPS.len() + 1, failed: 0, skipped: 0 });
    }

    #[test]
    fn a_detector_that_is_off_fails() {
        for (missing, trip) in TRIPS.iter().enumerate() {
            let mut splats = all();
            splats.remove(missing);
            assert_eq!(judge(&report(splats)).failed, 1, "{}", trip.name);
        }
    }

    #[test]
    fn noise_without_a_trip_fails() {
        let mut splats = all();
        splats.push(Splat { step: Some(0), text: "WARNING: ".into() });
        assert_eq!(judge(&report(splats)).failed, 1);
    }
}
