// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The switches of a reading as options. Defaults are the reference reading.

use crate::input::stamp::offset;
use crate::lists;
use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use telesteer_fam::aging::Aging;
use telesteer_fam::reading as fam;
use telesteer_fam::time::{SECOND, Step, Zone};
use telesteer_fam::utilisation::BIN_LEAST;
use telesteer_fam::{Calendar, Reading};

/// Gives an enum of fam's names on the command line.
macro_rules! choice {
    ($(#[$doc:meta])* $name:ident = $of:path { $($(#[$help:meta])* $variant:ident),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, ValueEnum)]
        enum $name {
            $($(#[$help])* $variant),*
        }

        impl From<$name> for $of {
            fn from(choice: $name) -> Self {
                match choice {
                    $($name::$variant => Self::$variant),*
                }
            }
        }
    };
}

choice!(
    Detector = fam::Detector {
        /// One report above H.
        Report,
        /// All reports in some window of T with more than H.
        Window,
    }
);
choice!(
    Threshold = fam::Threshold {
        /// More than H.
        Exceeds,
        /// H or more.
        Reaches,
    }
);
choice!(
    LongReport = fam::LongReport {
        /// The share that fits into T, if bytes were sent evenly.
        Spread,
        /// All of it.
        Whole,
    }
);
choice!(
    Gap = fam::Gap {
        /// In force up to A intervals after the last alpha flow.
        UpTo,
        /// One less.
        Under,
        /// One more.
        OneMore,
    }
);
choice!(
    Mean = fam::Mean {
        /// All matched bytes over all bytes.
        RatioOfSums,
        /// Mean of the days' percentages.
        OfDays,
    }
);
choice!(
    Bytes = fam::Bytes {
        /// Those of alpha reports.
        AlphaReports,
        /// All of alpha raw flows.
        WholeFlows,
    }
);
choice!(
    Refresh = fam::Refresh {
        /// Alpha flows keep an entry young.
        AlphaFlows,
        /// Any record does while it is in force.
        AnyTraffic,
    }
);
choice!(
    Credit = fam::Credit {
        /// Entries are installed overnight.
        NextDay,
        /// From the end of the first alpha report on.
        SameDay,
    }
);
choice!(
    Directions = fam::Directions {
        /// The way of its alpha flows: as the slides count.
        OneWay,
        /// The way back too, as PBRs are set.
        Both,
    }
);
choice!(
    Duplicates = fam::Duplicates {
        /// A flow seen by several exporters counts once.
        Once,
        /// It counts as often as it was seen.
        Each,
    }
);
choice!(
    EgressFrom = fam::EgressFrom {
        /// BGP next hop, else output interface, else --egress.
        Record,
        /// --egress, else the record.
        Table,
    }
);

/// Changes of a zone's clock are known from 1970 until here: the year 2100.
const ZONE_END_S: i64 = 4_102_444_800;

/// How the definitions are read.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = "Reading")]
pub struct Switches {
    /// H: bytes that an alpha report exceeds. A GB is 10^9 bytes.
    #[arg(long, default_value_t = 1_000_000_000, value_name = "BYTES")]
    h: u64,
    /// T in seconds.
    #[arg(long, default_value_t = 60.0, value_name = "SECONDS")]
    t: f64,
    /// Seconds by which a report may be longer than T and still count as one of T.
    #[arg(long, default_value_t = 0.0, value_name = "SECONDS")]
    grace: f64,
    /// What makes a report an alpha report.
    #[arg(long, value_enum, default_value = "report")]
    detector: Detector,
    /// What counts at H itself.
    #[arg(long, value_enum, default_value = "exceeds")]
    threshold: Threshold,
    /// What a report longer than T counts.
    #[arg(long, value_enum, default_value = "spread")]
    long_report: LongReport,
    /// Intervals are hours (of UTC), not days.
    #[arg(long)]
    hourly: bool,
    /// Zone of the days: a name such as America/New_York, an offset from UTC, +HH:MM or -HH:MM, or a
    /// rule such as CET-1CEST,M3.5.0,M10.5.0/3.
    #[arg(long, default_value = "UTC", allow_hyphen_values = true)]
    zone: String,
    /// When an entry of age A goes.
    #[arg(long, value_enum, default_value = "up-to")]
    gap: Gap,
    /// How days become one figure.
    #[arg(long, value_enum, default_value = "ratio-of-sums")]
    mean: Mean,
    /// First intervals that do not count in effectiveness.
    #[arg(long, default_value_t = 0, value_name = "INTERVALS")]
    warm_up: u32,
    /// Which bytes effectiveness is about.
    #[arg(long, value_enum, default_value = "alpha-reports")]
    bytes: Bytes,
    /// What keeps an entry young.
    #[arg(long, value_enum, default_value = "alpha-flows")]
    refresh: Refresh,
    /// From when on an entry redirects.
    #[arg(long, value_enum, default_value = "next-day")]
    credit: Credit,
    /// Which way an entry redirects: sizes, effectiveness, what is installed, beta traffic, --emit.
    /// Sizes are told the other way too.
    #[arg(long, value_enum, default_value = "one-way")]
    directions: Directions,
    /// What a flow seen by several exporters counts.
    #[arg(long, value_enum, default_value = "once")]
    duplicates: Duplicates,
    /// Count this exporter's records only.
    #[arg(long, conflicts_with = "ingress", value_name = "ADDR")]
    exporter: Option<IpAddr>,
    /// Count only what came in here: exporter and number of the interface, may be given more than once.
    #[arg(long, value_name = "ADDR/IF")]
    ingress: Vec<String>,
    /// Where egress routers come from.
    #[arg(long, value_enum, default_value = "record")]
    egress_from: EgressFrom,
    /// Egress routers by destination: lines of PREFIX ROUTER.
    #[arg(long, value_name = "FILE")]
    egress: Option<PathBuf>,
    /// Days without a record, or `never`: what is farther from the bulk of the days is left out if it is
    /// little, or more than twelve times as far.
    #[arg(long, default_value = "31", value_name = "DAYS")]
    far: Aging,
    /// Seconds between reports of a flow that are still one stay in the sweep of flows.
    #[arg(long, default_value_t = 0.0, value_name = "SECONDS")]
    adjacent: f64,
    /// Buckets in which the window detector sums flows, 12 octets each for every worker. Good are four
    /// for every H bytes of the period. Results do not depend on it.
    #[arg(long, default_value_t = 1 << 21, value_name = "N")]
    suspect_buckets: u32,
    /// Most reports of flows that may be alpha which the window detector holds, some 100 octets each; it
    /// goes over the records again where there are more. Results do not depend on it.
    #[arg(long, default_value_t = 1 << 22, value_name = "N")]
    suspect_reports: u64,
    /// Bin of LSP utilisation in seconds, at least one.
    #[arg(long, default_value_t = 10.0, value_name = "SECONDS")]
    utilisation_bin: f64,
}

pub(super) fn nanoseconds(seconds: f64, name: &str) -> Result<i64> {
    let value = (seconds * SECOND as f64).round();
    if !(0.0..=9e18).contains(&value) {
        bail!("--{name} {seconds}: not a number of seconds");
    }
    Ok(value as i64)
}

/// A zone by offset; by rule; or by name, from the system's zone files.
fn zone(text: &str) -> Result<Zone> {
    if let Some(offset) = offset(text) {
        return Ok(Zone::fixed(offset));
    }
    if text == "UTC" {
        return Ok(Zone::utc());
    }
    // The names of zones have no comma, and rules of a clock that is changed have two.
    let named = match text.contains(',') {
        true => TimeZone::posix(text).context("no rule such as CET-1CEST,M3.5.0,M10.5.0/3"),
        false => {
            TimeZone::get(text).context("neither +HH:MM, -HH:MM, nor a zone this system knows")
        }
    }?;
    let second = |second: i64| Timestamp::from_second(second).unwrap_or(Timestamp::UNIX_EPOCH);
    let (from, until) = (second(0), second(ZONE_END_S));
    let changes = named
        .following(from)
        .take_while(|change| change.timestamp() < until)
        .map(|change| (change.timestamp().as_second() * SECOND, change.offset().seconds()));
    Ok(Zone::new(named.to_offset(from).seconds(), changes.collect()))
}

impl Switches {
    /// What the zone was called.
    pub fn zone(&self) -> &str {
        &self.zone
    }

    /// The reading.
    pub fn reading(&self) -> Result<Reading> {
        let zone = zone(&self.zone).with_context(|| format!("--zone {}", self.zone))?;
        let step = if self.hourly { Step::Hour } else { Step::Day };
        let egress = self.egress.as_deref().map_or(Ok(BTreeMap::new()), lists::egress)?;
        let exporters = match (self.exporter, self.ingress.as_slice()) {
            (Some(exporter), _) => fam::Exporters::Only(exporter.to_canonical()),
            (None, []) => fam::Exporters::All,
            (None, edges) => fam::Exporters::Ingress(
                edges.iter().map(|edge| edge_of(edge)).collect::<Result<_>>()?,
            ),
        };
        let bin = nanoseconds(self.utilisation_bin, "utilisation-bin")?;
        if bin < BIN_LEAST {
            bail!("--utilisation-bin {}: less than a second", self.utilisation_bin);
        }
        Ok(Reading {
            h: self.h,
            far: match self.far {
                Aging::After(days) => Some(days),
                Aging::Never => None,
            },
            t: nanoseconds(self.t, "t")?,
            grace: nanoseconds(self.grace, "grace")?,
            detector: self.detector.into(),
            threshold: self.threshold.into(),
            long_report: self.long_report.into(),
            calendar: Calendar { zone, step },
            gap: self.gap.into(),
            mean: self.mean.into(),
            warm_up: self.warm_up,
            bytes: self.bytes.into(),
            refresh: self.refresh.into(),
            credit: self.credit.into(),
            directions: self.directions.into(),
            duplicates: self.duplicates.into(),
            exporters,
            egress_from: self.egress_from.into(),
            egress: egress.into(),
            adjacent: nanoseconds(self.adjacent, "adjacent")?,
            utilisation_bin: bin,
            suspect_buckets: self.suspect_buckets,
            suspect_reports: self.suspect_reports,
            ..Reading::default()
        })
    }
}

fn edge_of(text: &str) -> Result<(IpAddr, u32)> {
    let edge = text
        .rsplit_once('/')
        .and_then(|(exporter, interface)| Some((exporter.parse().ok()?, interface.parse().ok()?)))
        .map(|(exporter, interface): (IpAddr, u32)| (exporter.to_canonical(), interface));
    edge.with_context(|| format!("--ingress {text}: not EXPORTER/INTERFACE"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        switches: Switches,
    }

    fn reading(args: &[&str]) -> Result<Reading> {
        Cli::parse_from(["x"].iter().chain(args)).switches.reading()
    }

    #[test]
    fn defaults_are_the_reference_reading() {
        assert_eq!(reading(&[]).unwrap(), Reading::default());
    }

    /// New York left summer time on 6 November 2011 at 06:00 UTC.
    #[test]
    fn zones_have_rules_and_names() {
        let new_york = |zone: Zone| {
            let change = 1_320_559_200 * SECOND;
            assert_eq!((zone.offset_s(change - 1), zone.offset_s(change)), (-14_400, -18_000));
            assert_eq!(zone.offset_s(3_900_000_000 * SECOND), -14_400, "rules go on");
        };
        new_york(zone("EST5EDT,M3.2.0,M11.1.0").unwrap());
        // Not whether jiff finds it: that is under test.
        if std::path::Path::new("/usr/share/zoneinfo/America/New_York").exists() {
            new_york(zone("America/New_York").unwrap());
        } else {
            println!("the name is left out: this system has no zone files");
        }
    }

    #[test]
    fn switches_switch() {
        let read = reading(&["--t", "0.5", "--zone", "-05:30", "--gap", "one-more", "--hourly"]);
        let read = read.unwrap();
        assert_eq!((read.t, read.gap), (SECOND / 2, fam::Gap::OneMore));
        assert_eq!(read.calendar.zone.offset_s(0), -19_800);
        assert_eq!(read.calendar.step, Step::Hour);
        let read = reading(&["--ingress", "2001:db8::1/7"]).unwrap();
        let edge = ("2001:db8::1".parse().unwrap(), 7);
        assert_eq!(read.exporters, fam::Exporters::Ingress([edge].into()));
        let read = reading(&["--exporter=::ffff:192.0.2.1"]).unwrap();
        assert_eq!(read.exporters, fam::Exporters::Only("192.0.2.1".parse().unwrap()));
        assert_eq!(reading(&["--far", "never"]).unwrap().far, None);
        for bad in [
            ["--zone", "Mars/Olympus"],
            ["--utilisation-bin", "0.9"],
            ["--zone", "EST5EDT,M3.2.0,x"],
            ["--t", "-1"],
            ["--ingress", "x/1"],
            ["--zone", "+19:00"],
        ] {
            assert!(reading(&[&bad.join("=")]).is_err(), "{bad:?}");
        }
    }
}
