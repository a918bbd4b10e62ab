// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A pass over many files by several workers.

use super::source::Source;
use super::{Assume, FileReport, read_source};
use crate::watch::Watch;
use anyhow::{Result, bail};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use telesteer_fam::Record;

/// Records between two ticks of the watch.
const TICK: u64 = 8192;

/// Files to go over more than once.
#[derive(Clone, Copy, Debug)]
pub struct Passes<'f> {
    /// The files.
    pub files: &'f [&'f Source],
    /// What they do not say.
    pub assume: &'f Assume,
    /// Workers, at least one.
    pub threads: usize,
    /// Who watches.
    pub watch: &'f Watch,
}

impl Passes<'_> {
    /// Shows every record of every file to a state; each worker has its own, merged in the end. The
    /// reports come in the order of the files. Fails if the watch ends it.
    pub fn run<P: Send>(
        &self,
        new: impl Fn() -> P + Sync,
        observe: impl Fn(&mut P, &Record) + Sync,
        merge: impl Fn(&mut P, P),
    ) -> Result<(P, Vec<FileReport>)> {
        let next = AtomicUsize::new(0);
        let stopped: Mutex<Option<String>> = Mutex::new(None);
        let stop = |reason: String| {
            next.store(self.files.len(), Ordering::Relaxed);
            let mut stopped = stopped.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            stopped.get_or_insert(reason);
        };
        let work = || {
            let mut state = new();
            let mut reports = Vec::new();
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(source) = self.files.get(index) else { break };
                let (mut records, mut ended) = (0, false);
                let outcome = read_source(source, self.assume, |record| {
                    if ended {
                        return;
                    }
                    observe(&mut state, record);
                    records += 1;
                    if records % TICK == 0
                        && let Err(reason) = self.watch.tick(TICK)
                    {
                        stop(reason);
                        ended = true;
                    }
                });
                if !ended && let Err(reason) = self.watch.tick(records % TICK) {
                    stop(reason);
                }
                let report =
                    outcome.unwrap_or_else(|error| FileReport::failed(&source.name, &error));
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
        if let Some(reason) =
            stopped.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)
        {
            bail!("{reason}");
        }
        reports.sort_by_key(|(index, _)| *index);
        Ok((state, reports.into_iter().map(|(_, report)| report).collect()))
    }
}
