// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A router that is a file, for rehearsals: the loop runs as it would, outlives and is outlived by its
//! routes, and no packet is touched. Lines are JSON, one rule each; they may be edited by hand.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;
use telesteer_fam::Ns;
use telesteer_redirect::Match;
use telesteer_redirect::device::{Capabilities, Commit, Device};
use telesteer_redirect::error::{DeviceError, Kind};
use telesteer_redirect::path::{PathName, Paths};
use telesteer_redirect::rule::{Change, ReadBack, Rule};

/// Rules it holds.
pub const LIMIT: usize = 65_536;
/// Longest file.
const BYTES: u64 = 64 << 20;

/// The file.
#[derive(Clone, Debug)]
pub struct File {
    name: String,
    path: PathBuf,
}

/// A rule as it is in the file: with mark and table, as a router's would be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Line {
    matching: Match,
    path: PathName,
    mark: u32,
    table: u32,
}

impl File {
    /// A file that need not be there yet.
    pub fn new(name: &str, path: PathBuf) -> Self {
        Self { name: name.to_owned(), path }
    }

    fn error(&self, what: &str, kind: Kind, said: impl std::fmt::Display) -> DeviceError {
        DeviceError::new(&self.name, &format!("{what} {}", self.path.display()), kind, said)
    }

    fn lines(&self) -> Result<BTreeSet<Line>, DeviceError> {
        let bad = |error: std::io::Error| self.error("read", Kind::Unreachable, error);
        let text = match fs::metadata(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(BTreeSet::new()),
            Ok(told) if told.len() > BYTES => {
                return Err(self.error("read", Kind::Garbled, format!("more than {BYTES} bytes")));
            }
            _ => fs::read_to_string(&self.path).map_err(bad)?,
        };
        let read = |(number, line): (usize, &str)| {
            serde_json::from_str::<Line>(line).map_err(|error| {
                let said = format!("line {}: {error}", number + 1);
                self.error("read", Kind::Garbled, said)
            })
        };
        text.lines().enumerate().map(read).collect()
    }

    fn write(&self, lines: &BTreeSet<Line>) -> Result<(), DeviceError> {
        let bad = |error: std::io::Error| self.error("write", Kind::Unreachable, error);
        let mut text = String::new();
        for line in lines {
            text.push_str(&serde_json::to_string(line).map_err(|error| bad(error.into()))?);
            text.push('\n');
        }
        let mut name = self.path.clone().into_os_string();
        name.push(".new");
        fs::write(&name, text).and_then(|()| fs::rename(&name, &self.path)).map_err(bad)
    }

    fn line(&self, paths: &Paths, rule: &Rule) -> Result<Line, DeviceError> {
        let Some(target) = paths.get(&rule.path) else {
            let said = format!("unknown path {}", rule.path);
            return Err(self.error("change", Kind::Unsupported, said).about(rule.matching));
        };
        let Rule { matching, path } = rule.clone();
        Ok(Line { matching, path, mark: target.mark, table: target.table })
    }
}

impl Device for File {
    fn name(&self) -> &str {
        &self.name
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { ports: true, ipv6: true, atomic: true, limit: LIMIT }
    }

    fn read_back(&mut self, paths: &Paths, _now: Ns) -> Result<ReadBack, DeviceError> {
        let mut back = ReadBack::default();
        for line in self.lines()? {
            let rule = Rule { matching: line.matching, path: line.path };
            let target = paths.get(&rule.path);
            if target.is_some_and(|target| (target.mark, target.table) == (line.mark, line.table)) {
                back.rules.insert(rule);
            } else {
                back.amiss.push(format!("{rule}: unknown path or mark"));
            }
        }
        Ok(back)
    }

    fn apply(&mut self, paths: &Paths, change: &Change, _now: Ns) -> Result<Commit, DeviceError> {
        let mut lines = self.lines()?;
        for rule in &change.remove {
            if !lines.remove(&self.line(paths, rule)?) {
                let said = "it is not there";
                return Err(self.error("change", Kind::Refused, said).about(rule.matching));
            }
        }
        if change.purge {
            lines.retain(|line| {
                let rule = Rule { matching: line.matching, path: line.path.clone() };
                self.line(paths, &rule).is_ok_and(|right| right == *line)
            });
        }
        for rule in &change.add {
            if lines.len() >= LIMIT {
                let said = format!("{LIMIT} rules are there");
                return Err(self.error("change", Kind::Full, said).about(rule.matching));
            }
            if lines.iter().any(|line| line.matching == rule.matching) {
                let said = "it is there already";
                return Err(self.error("change", Kind::Refused, said).about(rule.matching));
            }
            lines.insert(self.line(paths, rule)?);
        }
        self.write(&lines)?;
        Ok(Commit::Done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::testing::net;
    use telesteer_redirect::path::Target;

    #[test]
    fn a_file_is_a_router_that_outlives_us() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("r1.rules");
        let name = |text: &str| PathName::new(text).unwrap();
        let mut paths = Paths::default();
        paths.insert(name("a"), Target { mark: 1, table: 101 }).unwrap();
        let rule = |n| Rule { matching: net(n), path: name("a") };
        let change = |remove, add| Change { remove, add, purge: false };
        let mut device = File::new("r1", path.clone());
        device.apply(&paths, &change(vec![], vec![rule(1), rule(2)]), 0).unwrap();
        device.apply(&paths, &change(vec![rule(1)], vec![rule(3)]), 0).unwrap();
        assert!(device.apply(&paths, &change(vec![rule(1)], vec![]), 0).is_err());
        assert!(device.apply(&paths, &change(vec![], vec![rule(3)]), 0).is_err());
        let mut next = File::new("r1", path.clone());
        let back = next.read_back(&paths, 0).unwrap();
        assert_eq!(back.rules, [rule(2), rule(3)].into());

        // The next life gives the path another mark.
        let mut other = Paths::default();
        other.insert(name("a"), Target { mark: 2, table: 102 }).unwrap();
        let back = next.read_back(&other, 0).unwrap();
        assert_eq!((back.rules.len(), back.amiss.total), (0, 2));
        let purge = Change { add: vec![rule(2)], purge: true, ..Change::default() };
        next.apply(&other, &purge, 0).unwrap();
        let back = next.read_back(&other, 0).unwrap();
        assert_eq!((back.rules, back.amiss.total), ([rule(2)].into(), 0));

        fs::write(&path, "{}\n").unwrap();
        let said = next.read_back(&other, 0).unwrap_err().to_string();
        assert!(said.contains("line 1") && said.contains("r1.rules"), "{said}");
    }
}
