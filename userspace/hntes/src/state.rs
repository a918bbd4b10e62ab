// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Days kept between runs, a file each, so that a new day costs one day.
//!
//! A run replaces the days whose records it reads: they have to be given whole. Read again, a day
//! becomes what it was. Files cut by time of export begin with records of the day before, and a
//! skewed clock may put a record on any day: a day of which fewer records were read than are kept
//! stays as it is. Days are worth something only under what they were made with, so that is kept
//! beside them.
//!
//! The beta traffic of a day is kept in a file of its own with the hash of everything it was held
//! against ([`Needs`]): the day's alpha flows, the tables in force, the alpha flows that records met.
//! It is good as long as that is the same; if an earlier day became known or another aging is asked for
//! it is not, and the day has to be read again.

use crate::input::Assume;
use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use telesteer_fam::beta::BetaDay;
use telesteer_fam::day::AlphaDay;
use telesteer_fam::plan::Needs;
use telesteer_fam::series::Days;
use telesteer_fam::time::{SECOND, Zone};
use telesteer_fam::{Calendar, Day, Reading};

/// No zone is further from UTC.
const ZONE_MAX_NS: i64 = 18 * 3600 * SECOND;

/// What days depend on beside their records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Basis {
    /// The part of a reading that days depend on.
    reading: Reading,
    /// What the zone was called.
    zone: String,
    /// What was said in place of records.
    assume: Assume,
}

impl Basis {
    /// Of a run; `zone` is the name of the reading's zone.
    pub fn new(reading: &Reading, zone: &str, assume: &Assume) -> Self {
        Self { reading: of_days(reading), zone: zone.to_owned(), assume: assume.clone() }
    }

    /// What is another than when `days` were made.
    fn differs(&self, made: &Self, days: (Day, Day)) -> Option<String> {
        let but_zone = |basis: &Self| {
            let Calendar { step, .. } = basis.reading.calendar;
            let calendar = Calendar { zone: Zone::utc(), step };
            Reading { calendar, ..basis.reading.clone() }
        };
        if but_zone(self) != but_zone(made) {
            return Some("other switches".to_owned());
        }
        if self.assume != made.assume {
            return Some("another --assume-exporter or --assume-sampling".to_owned());
        }
        // What a zone does at other times says nothing about these days: rules change.
        let length = self.reading.calendar.length() as i64;
        let from = i64::from(days.0.0).saturating_mul(length).saturating_sub(ZONE_MAX_NS);
        let until = (i64::from(days.1.0) + 1).saturating_mul(length).saturating_add(ZONE_MAX_NS);
        let zone = |basis: &Self| basis.reading.calendar.zone.within(from, until);
        (zone(self) != zone(made)).then(|| format!("--zone {}, and another clock", made.zone))
    }
}

fn of_days(reading: &Reading) -> Reading {
    let Reading { h, t, grace, longest, detector, threshold, long_report, .. } = *reading;
    let Reading { calendar, duplicates, exporters, egress_from, egress, .. } = reading.clone();
    Reading {
        h,
        t,
        grace,
        longest,
        detector,
        threshold,
        long_report,
        calendar,
        duplicates,
        exporters,
        egress_from,
        egress,
        ..Reading::default()
    }
}

/// A day that stayed as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The day.
    pub day: Day,
    /// Records it was made of.
    pub kept: u64,
    /// Records of it that were read now.
    pub read: u64,
}

/// The beta traffic of a day, and what it was held against.
#[derive(Serialize, Deserialize)]
struct KeptBeta<B> {
    needs: String,
    beta: B,
}

/// A name for what the beta traffic of a day is held against: equal if that is.
fn name(needs: &Needs<'_>) -> Result<String> {
    let text = serde_json::to_vec(needs).context("writing down what a day's beta needs")?;
    Ok(Sha256::digest(&text).iter().map(|octet| format!("{octet:02x}")).collect())
}

/// A folder of days.
#[derive(Debug)]
pub struct State {
    dir: PathBuf,
}

/// Writes a file whole or not at all.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let partial = path.with_extension("partial");
    fs::write(&partial, bytes)
        .and_then(|()| fs::rename(&partial, path))
        .with_context(|| format!("writing {}", path.display()))
}

fn read(path: &Path) -> Result<AlphaDay> {
    let at = || format!("reading {}", path.display());
    serde_json::from_slice(&fs::read(path).with_context(at)?).with_context(at)
}

impl State {
    /// Opens or makes the folder. Refuses one whose days were made on another basis.
    pub fn open(dir: &Path, own: &Basis) -> Result<Self> {
        fs::create_dir_all(dir).with_context(|| format!("making {}", dir.display()))?;
        let state = Self { dir: dir.to_owned() };
        let path = dir.join("reading.json");
        let made: Option<Basis> = match fs::read(&path) {
            Ok(bytes) => Some(
                serde_json::from_slice(&bytes)
                    .with_context(|| format!("reading {}", path.display()))?,
            ),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(error).with_context(|| format!("reading {}", path.display())),
        };
        if let Some(made) = &made {
            // Days of another step have other names.
            let days = state.days(&made.reading.calendar)?;
            if let (Some((first, _)), Some((last, _))) =
                (days.first_key_value(), days.last_key_value())
                && let Some(what) = own.differs(made, (*first, *last))
            {
                let path = path.display();
                bail!("{path} was made with another reading ({what}); use another folder");
            }
        }
        if made.as_ref() != Some(own) {
            write_whole(&path, &serde_json::to_vec_pretty(own)?)?;
        }
        Ok(state)
    }

    fn path(&self, label: &str) -> PathBuf {
        self.dir.join(format!("{label}.day.json"))
    }

    /// The days there are, and their files.
    fn days(&self, calendar: &Calendar) -> Result<BTreeMap<Day, PathBuf>> {
        let at = || format!("reading {}", self.dir.display());
        let mut days = BTreeMap::new();
        for entry in fs::read_dir(&self.dir).with_context(at)? {
            let path = entry.with_context(at)?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("");
            let Some(label) = name.strip_suffix(".day.json") else { continue };
            let day = calendar.parse(label);
            days.insert(day.with_context(|| format!("{} is no day", path.display()))?, path);
        }
        Ok(days)
    }

    /// All days kept but those that `leave` names.
    pub fn load(&self, reading: &Reading, leave: impl Fn(Day) -> bool) -> Result<Days> {
        let days = self.days(&reading.calendar)?.into_iter().filter(|(day, _)| !leave(*day));
        days.map(|(day, path)| Ok((day, read(&path)?))).collect()
    }

    /// Keeps `days` in place of what was there of them. A day that was made of more records stays,
    /// and is returned, unless `replace` says otherwise.
    pub fn store(&self, days: &Days, reading: &Reading, replace: bool) -> Result<Vec<Kept>> {
        let mut stayed = Vec::new();
        for (day, alpha) in days {
            let path = self.path(&reading.calendar.label(*day));
            if !replace && path.exists() {
                let old = read(&path).context("--replace puts another in its place")?;
                let (kept, read) = (old.totals.all(), alpha.totals.all());
                if read < kept {
                    stayed.push(Kept { day: *day, kept, read });
                    continue;
                }
            }
            write_whole(&path, &serde_json::to_vec(alpha)?)?;
        }
        Ok(stayed)
    }

    fn beta_path(&self, label: &str) -> PathBuf {
        self.dir.join(format!("{label}.beta.json"))
    }

    /// Keeps the beta traffic of days in place of what was there of them.
    pub fn store_beta(
        &self,
        beta: &BTreeMap<Day, BetaDay>,
        needs: &BTreeMap<Day, Needs<'_>>,
        reading: &Reading,
    ) -> Result<()> {
        for (day, beta) in beta {
            let Some(needs) = needs.get(day) else { continue };
            let kept = KeptBeta { needs: name(needs)?, beta };
            let path = self.beta_path(&reading.calendar.label(*day));
            write_whole(&path, &serde_json::to_vec(&kept)?)?;
        }
        Ok(())
    }

    /// The beta traffic of those days of `needs` that are not in `beta` yet, added to it, as far as it
    /// was kept under the same needs.
    pub fn load_beta(
        &self,
        beta: &mut BTreeMap<Day, BetaDay>,
        needs: &BTreeMap<Day, Needs<'_>>,
        reading: &Reading,
    ) -> Result<()> {
        for (day, needs) in needs {
            if beta.contains_key(day) {
                continue;
            }
            let path = self.beta_path(&reading.calendar.label(*day));
            let at = || format!("reading {}", path.display());
            let bytes = match fs::read(&path) {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => return Err(error).with_context(at),
            };
            let kept: KeptBeta<BetaDay> = serde_json::from_slice(&bytes).with_context(at)?;
            if kept.needs == name(needs)? {
                beta.insert(*day, kept.beta);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
