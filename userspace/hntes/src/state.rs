// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Days kept between runs, a file each, so that a new day costs one day.
//!
//! A run replaces the days whose records it reads: they have to be given whole. Read again, a day
//! becomes what it was. Days are worth something under the reading they were made with only, so that
//! is kept beside them.

use anyhow::{Context, Result, bail};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use telesteer_fam::Reading;
use telesteer_fam::series::Days;

/// A folder of days.
#[derive(Debug)]
pub struct State {
    dir: PathBuf,
}

/// The part of a reading that days depend on.
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

/// Writes a file whole or not at all.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let partial = path.with_extension("partial");
    fs::write(&partial, bytes)
        .and_then(|()| fs::rename(&partial, path))
        .with_context(|| format!("writing {}", path.display()))
}

impl State {
    /// Opens or makes the folder. Refuses one that another reading made.
    pub fn open(dir: &Path, reading: &Reading) -> Result<Self> {
        fs::create_dir_all(dir).with_context(|| format!("making {}", dir.display()))?;
        let path = dir.join("reading.json");
        let own = of_days(reading);
        match fs::read(&path) {
            Ok(bytes) => {
                let kept: Reading = serde_json::from_slice(&bytes)
                    .with_context(|| format!("reading {}", path.display()))?;
                if kept != own {
                    bail!("{} was made with another reading; use another folder", path.display());
                }
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                write_whole(&path, &serde_json::to_vec_pretty(&own)?)?;
            }
            Err(error) => return Err(error).with_context(|| format!("reading {}", path.display())),
        }
        Ok(Self { dir: dir.to_owned() })
    }

    fn path(&self, label: &str) -> PathBuf {
        self.dir.join(format!("{label}.day.json"))
    }

    /// All days kept.
    pub fn load(&self, reading: &Reading) -> Result<Days> {
        let at = || format!("reading {}", self.dir.display());
        let mut days = Days::new();
        for entry in fs::read_dir(&self.dir).with_context(at)? {
            let path = entry.with_context(at)?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("");
            let Some(label) = name.strip_suffix(".day.json") else { continue };
            let day = reading.calendar.parse(label);
            let day = day.with_context(|| format!("{} is no day", path.display()))?;
            let bytes = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
            let alpha = serde_json::from_slice(&bytes)
                .with_context(|| format!("reading {}", path.display()))?;
            days.insert(day, alpha);
        }
        Ok(days)
    }

    /// Keeps `days`, in place of what was there of them.
    pub fn store(&self, days: &Days, reading: &Reading) -> Result<()> {
        for (day, alpha) in days {
            let path = self.path(&reading.calendar.label(*day));
            write_whole(&path, &serde_json::to_vec(alpha)?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use telesteer_fam::Day;
    use telesteer_fam::day::AlphaDay;
    use telesteer_fam::reading::Gap;

    #[test]
    fn keeps_days_under_their_reading() {
        let dir = tempfile::tempdir().unwrap();
        let reading = Reading::default();
        let mut alpha = AlphaDay::default();
        alpha.totals.records = 7;
        let days = Days::from([(Day(15_095), alpha)]);
        State::open(dir.path(), &reading).unwrap().store(&days, &reading).unwrap();
        // What does not change days may change.
        let other = Reading { gap: Gap::Under, ..Reading::default() };
        let state = State::open(dir.path(), &other).unwrap();
        assert_eq!(state.load(&other).unwrap(), days);
        state.store(&days, &reading).unwrap();
        assert_eq!(state.load(&reading).unwrap(), days);
        let other = Reading { h: 5, ..Reading::default() };
        assert!(State::open(dir.path(), &other).unwrap_err().to_string().contains("another"));
        fs::write(dir.path().join("2011-05-02.day.json"), "{").unwrap();
        let error = format!("{:#}", state.load(&reading).unwrap_err());
        assert!(error.contains("2011-05-02.day.json"), "{error}");
    }
}
