// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What is odd about the records of a file that are records all the same.

use std::path::Path;
use std::time::UNIX_EPOCH;

use telesteer_fam::time::SECOND;
use telesteer_fam::{Ns, Sampling};

/// Seconds by which a record may end after its export: the export time has whole seconds.
const EXPORT_GRACE_S: i64 = 2;
/// How long after its file was written a record may begin: clocks differ.
const FILE_GRACE: Ns = 60 * SECOND;

/// An oddity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Oddity {
    /// It ends before it begins. Left out.
    Negative,
    /// Nobody tells its sampling rate. Left out.
    UnknownSampling,
    /// It ends after it was exported: one of the exporter's clocks is wrong.
    AfterExport,
    /// It begins after its file was written: the exporter's clock is ahead.
    Ahead,
}

impl Oddity {
    const ALL: [Self; 4] = [Self::Negative, Self::UnknownSampling, Self::AfterExport, Self::Ahead];

    /// For a message about records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Negative => "end before they begin",
            Self::UnknownSampling => "have no known sampling rate",
            Self::AfterExport => "end after they were exported (clock skew)",
            Self::Ahead => "begin after the file was written (clock skew)",
        }
    }
}

/// Records of one oddity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Note {
    /// How many.
    pub records: u64,
    /// Number of the first row or line, from 1; 0 if there is none.
    pub first: u64,
}

/// What was seen in one file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Notes {
    /// When the file was written, if anyone knows.
    written: Option<Ns>,
    notes: [Note; 4],
}

impl Notes {
    /// Nothing seen yet in a file last written then.
    pub fn new(written: Option<Ns>) -> Self {
        Self { written, notes: Default::default() }
    }

    /// Nothing seen yet in this file.
    pub fn of(path: &Path) -> Self {
        let written = path.metadata().and_then(|about| about.modified()).ok();
        let since = written.and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        Self::new(since.and_then(|since| Ns::try_from(since.as_nanos()).ok()))
    }

    /// Looks at the row or line of this number.
    pub fn look(
        &mut self,
        number: u64,
        (first, last): (Ns, Ns),
        sampling: Option<Sampling>,
        export_s: Option<i64>,
    ) {
        if last < first {
            self.add(Oddity::Negative, number);
        }
        if sampling.is_none() {
            self.add(Oddity::UnknownSampling, number);
        }
        if export_s.is_some_and(|at| last.div_euclid(SECOND) > at.saturating_add(EXPORT_GRACE_S)) {
            self.add(Oddity::AfterExport, number);
        }
        if self.written.is_some_and(|at| first > at.saturating_add(FILE_GRACE)) {
            self.add(Oddity::Ahead, number);
        }
    }

    fn add(&mut self, oddity: Oddity, number: u64) {
        let note = &mut self.notes[oddity as usize];
        note.first = if note.records == 0 { number } else { note.first.min(number) };
        note.records += 1;
    }

    /// Adds what was seen in another part of the file.
    pub fn merge(&mut self, other: &Self) {
        for (ours, theirs) in self.notes.iter_mut().zip(&other.notes) {
            ours.first = match (ours.records, theirs.records) {
                (_, 0) => ours.first,
                (0, _) => theirs.first,
                (_, _) => ours.first.min(theirs.first),
            };
            ours.records += theirs.records;
        }
    }

    /// What was seen at least once.
    pub fn seen(&self) -> impl Iterator<Item = (Oddity, Note)> + '_ {
        Oddity::ALL.into_iter().zip(self.notes).filter(|(_, note)| note.records > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn oddities_are_counted_with_their_first() {
        let mut notes = Notes::new(Some(1_000 * SECOND));
        let known = Some(Sampling::NONE);
        notes.look(1, (0, 1), known, None);
        notes.look(2, (5 * SECOND, 9 * SECOND), known, Some(7));
        notes.look(3, (5 * SECOND, 10 * SECOND), known, Some(7));
        notes.look(4, (5, 4), None, Some(0));
        let mut other = Notes::new(None);
        other.look(9, (2_000 * SECOND, 2_000 * SECOND), known, None);
        assert_eq!(other.seen().count(), 0, "nobody knows when that file was written");
        let mut more = Notes::new(Some(1_000 * SECOND));
        more.look(8, (1_061 * SECOND, 1_061 * SECOND), known, None);
        more.look(7, (1_060 * SECOND, SECOND), known, None);
        notes.merge(&more);
        let seen: Vec<_> =
            notes.seen().map(|(what, note)| (what, note.records, note.first)).collect();
        let expected = [
            (Oddity::Negative, 2, 4),
            (Oddity::UnknownSampling, 1, 4),
            (Oddity::AfterExport, 1, 3),
            (Oddity::Ahead, 1, 8),
        ];
        assert_eq!(seen, expected);
    }
}
