// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A pass over many files by several workers.

use super::{Assume, FileReport, read};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use telesteer_fam::Record;

/// Files to go over more than once.
#[derive(Clone, Copy, Debug)]
pub struct Passes<'f> {
    /// The files.
    pub files: &'f [PathBuf],
    /// What they do not say.
    pub assume: &'f Assume,
    /// Workers, at least one.
    pub threads: usize,
}

impl Passes<'_> {
    /// Shows every record of every file to a state; each worker has its own, merged in the end. The
    /// reports come in the order of the files.
    pub fn run<P: Send>(
        &self,
        new: impl Fn() -> P + Sync,
        observe: impl Fn(&mut P, &Record) + Sync,
        merge: impl Fn(&mut P, P),
    ) -> (P, Vec<FileReport>) {
        let next = AtomicUsize::new(0);
        let work = || {
            let mut state = new();
            let mut reports = Vec::new();
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(path) = self.files.get(index) else { break };
                let outcome = read(path, self.assume, |record| observe(&mut state, record));
                let report = outcome.unwrap_or_else(|error| FileReport::failed(path, &error));
                reports.push((index, report));
            }
            (state, reports)
        };
        let (state, mut reports) = thread::scope(|scope| {
            let others = self.threads.clamp(1, 64) - 1;
            let others: Vec<_> = (0..others).map(|_| scope.spawn(work)).collect();
            let (mut state, mut reports) = work();
            for other in others {
                match other.join() {
                    Ok((theirs, more)) => {
                        merge(&mut state, theirs);
                        reports.extend(more);
                    }
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            (state, reports)
        });
        reports.sort_by_key(|(index, _)| *index);
        (state, reports.into_iter().map(|(_, report)| report).collect())
    }
}
