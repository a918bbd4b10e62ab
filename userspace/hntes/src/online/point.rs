// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A point of the delay curve: how flows are reported, and how long a route takes to be set.

use anyhow::{Context, Error, Result, bail};
use std::fmt;
use std::str::FromStr;
use telesteer_fam::Ns;
use telesteer_fam::time::SECOND;
use telesteer_online::delay::Reporting;

/// Active timeout of the exporter behind files.
const ACTIVE: Ns = 60 * SECOND;

/// A point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    /// How flows are reported.
    pub reporting: Reporting,
    /// From when a flow is known until its packets take the new route.
    pub install: Ns,
}

/// The points that hntes is known by: a mirror and a fast router, records and a fast one, 60 s records
/// and a router that takes a minute to commit, files and such a router.
pub const USUAL: &str = "mirror:1+0.02,reports:10+0.02,reports:60+0.02,reports:60+60,files:300+60";

impl FromStr for Point {
    type Err = Error;

    /// Reads `KIND:SECONDS+SECONDS`.
    fn from_str(text: &str) -> Result<Self> {
        let form = || format!("{text:?} is none of mirror, reports or files:SECONDS+SECONDS");
        let (kind, times) = text.split_once(':').with_context(form)?;
        let (length, install) = times.split_once('+').with_context(form)?;
        let time = |text: &str, least: f64| {
            let seconds = text.parse::<f64>().ok().filter(|s| (least..=86_400.0).contains(s));
            seconds.map(|seconds| (seconds * SECOND as f64).round() as Ns)
        };
        let length = time(length, 0.01).with_context(form)?;
        let install = time(install, 0.0).with_context(form)?;
        let reporting = match kind {
            "mirror" => Reporting::Mirror { bin: length },
            "reports" => Reporting::Reports { active: length },
            "files" => Reporting::Files { active: ACTIVE, every: length },
            _ => bail!(form()),
        };
        Ok(Self { reporting, install })
    }
}

impl Point {
    /// `60 s reports`.
    pub fn reporting_name(&self) -> String {
        match self.reporting {
            Reporting::Mirror { bin } => format!("{} mirror", short(bin)),
            Reporting::Reports { active } => format!("{} reports", short(active)),
            Reporting::Files { every, .. } => format!("{} files", short(every)),
        }
    }
}

impl fmt::Display for Point {
    /// `60 s + 20 ms`, to name it where there is little room.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.reporting {
            Reporting::Mirror { bin } => format!("mirror {}", short(bin)),
            Reporting::Reports { active } => short(active),
            Reporting::Files { every, .. } => format!("files {}", short(every)),
        };
        write!(f, "{kind} + {}", short(self.install))
    }
}

fn short(time: Ns) -> String {
    let seconds = time as f64 / SECOND as f64;
    if seconds > 0.0 && seconds < 1.0 {
        format!("{} ms", seconds * 1e3)
    } else if seconds >= 120.0 && seconds % 60.0 == 0.0 {
        format!("{} min", seconds / 60.0)
    } else {
        format!("{seconds} s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_read_and_named() {
        let points = USUAL.split(',').map(|text| text.parse::<Point>().unwrap());
        let names: Vec<String> = points.map(|point| point.to_string()).collect();
        assert_eq!(
            names,
            [
                "mirror 1 s + 20 ms",
                "10 s + 20 ms",
                "60 s + 20 ms",
                "60 s + 60 s",
                "files 5 min + 60 s"
            ]
        );
        let point: Point = "files:300+0".parse().unwrap();
        assert_eq!(point.reporting_name(), "5 min files");
        for text in ["mirror", "mirror:1", "x:1+1", "mirror:0+1", "reports:x+1", "reports:1+-1"] {
            let error = text.parse::<Point>().unwrap_err().to_string();
            assert!(error.contains(text), "{error}");
        }
    }
}
