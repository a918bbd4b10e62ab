// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Where redirected packets go: LSPs by name, each with a mark and a routing table.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Paths of one router.
pub const MAX_PATHS: usize = 1024;
/// Characters of a name.
pub const MAX_NAME: usize = 64;
/// Routing tables with a meaning of their own: default, main, local.
const SYSTEM_TABLES: std::ops::RangeInclusive<u32> = 253..=255;

/// Why a path is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPath {
    /// It goes into configuration of routers, so it is plain.
    #[error("path name {0:?}: 1 to {max} letters, digits, dots, dashes, underscores", max = MAX_NAME)]
    Name(String),
    /// 0 is "no mark".
    #[error("path {0}: mark 0 is no mark")]
    Mark(PathName),
    /// The system's, or none.
    #[error("path {0}: table {1} is the system's")]
    Table(PathName, u32),
    /// Two paths cannot be told apart.
    #[error("path {0} shares its mark or its table with path {1}")]
    Shared(PathName, PathName),
    /// [`MAX_PATHS`].
    #[error("path {0}: there are {max} already", max = MAX_PATHS)]
    TooMany(PathName),
    /// A path keeps its mark and table while it is known: rules on a router carry them.
    #[error("path {0} is known with another mark or table")]
    Changed(PathName),
}

/// Names a path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PathName(Arc<str>);

impl PathName {
    /// Checks and takes a name.
    ///
    /// # Errors
    ///
    /// If it is empty, too long or not plain.
    pub fn new(name: &str) -> Result<Self, BadPath> {
        let plain = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'-' | b'_');
        if name.is_empty() || name.len() > MAX_NAME || !name.bytes().all(plain) {
            return Err(BadPath::Name(name.to_owned()));
        }
        Ok(Self(name.into()))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for PathName {
    type Error = BadPath;

    fn try_from(name: String) -> Result<Self, BadPath> {
        Self::new(&name)
    }
}

impl From<PathName> for String {
    fn from(name: PathName) -> Self {
        name.as_str().to_owned()
    }
}

impl fmt::Display for PathName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How a router puts a packet onto a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// Packet mark.
    pub mark: u32,
    /// Routing table.
    pub table: u32,
}

/// Paths a router has been told of, whether up or not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Paths {
    by_name: BTreeMap<PathName, Target>,
    by_mark: BTreeMap<u32, PathName>,
    by_table: BTreeMap<u32, PathName>,
}

impl Paths {
    /// Adds a path. To add a known one as it is changes nothing.
    ///
    /// # Errors
    ///
    /// If its mark or table is taken or of no use, if it is known otherwise, or if there are too many.
    pub fn insert(&mut self, name: PathName, target: Target) -> Result<(), BadPath> {
        match self.by_name.get(&name) {
            Some(known) if *known == target => return Ok(()),
            Some(_) => return Err(BadPath::Changed(name)),
            None => {}
        }
        if target.mark == 0 {
            return Err(BadPath::Mark(name));
        }
        if target.table == 0 || SYSTEM_TABLES.contains(&target.table) {
            return Err(BadPath::Table(name, target.table));
        }
        let taken = self.by_mark.get(&target.mark).or(self.by_table.get(&target.table));
        if let Some(other) = taken {
            return Err(BadPath::Shared(name, other.clone()));
        }
        if self.by_name.len() >= MAX_PATHS {
            return Err(BadPath::TooMany(name));
        }
        self.by_mark.insert(target.mark, name.clone());
        self.by_table.insert(target.table, name.clone());
        self.by_name.insert(name, target);
        Ok(())
    }

    /// Forgets a path.
    pub fn remove(&mut self, name: &PathName) {
        if let Some(target) = self.by_name.remove(name) {
            self.by_mark.remove(&target.mark);
            self.by_table.remove(&target.table);
        }
    }

    /// Mark and table of a path.
    pub fn get(&self, name: &PathName) -> Option<Target> {
        self.by_name.get(name).copied()
    }

    /// The path with this mark.
    pub fn with_mark(&self, mark: u32) -> Option<&PathName> {
        self.by_mark.get(&mark)
    }

    /// The path with this table.
    pub fn with_table(&self, table: u32) -> Option<&PathName> {
        self.by_table.get(&table)
    }

    /// All, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&PathName, Target)> {
        self.by_name.iter().map(|(name, target)| (name, *target))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain() {
        assert_eq!(PathName::new("r1-r2.7_a").unwrap().as_str(), "r1-r2.7_a");
        for bad in ["", "a b", "a;b", "ä", &"x".repeat(MAX_NAME + 1)] {
            assert!(PathName::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn marks_and_tables_tell_paths_apart() {
        let name = |text: &str| PathName::new(text).unwrap();
        let mut paths = Paths::default();
        paths.insert(name("a"), Target { mark: 1, table: 100 }).unwrap();
        paths.insert(name("a"), Target { mark: 1, table: 100 }).unwrap();
        for (other, mark, table) in
            [("b", 1, 101), ("b", 2, 100), ("b", 0, 101), ("b", 2, 254), ("b", 2, 0), ("a", 2, 101)]
        {
            let error = paths.insert(name(other), Target { mark, table }).unwrap_err();
            assert!(error.to_string().contains(&format!("path {other}")), "{error}");
        }
        assert_eq!(paths.with_mark(1), paths.with_table(100));
        paths.remove(&name("a"));
        assert_eq!(paths, Paths::default());
    }
}
