// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Who exported the records of a run: from their rows, or from one column where files have columns.

use crate::input::passes::Passes;
use anyhow::Result;
use arrow_array::cast::AsArray;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use std::collections::BTreeSet;
use std::fs::File;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use telesteer_engine::stored::Stored;
use telesteer_engine::{Error, Run};

/// Most exporters that are remembered; whoever asks for fewer learns that there are too many.
const EXPORTERS_MAX: usize = 65_536;
/// Most workers.
const THREADS_MAX: usize = 64;
/// Rows read at a time.
const BATCH: usize = 65_536;

/// By the rows of files.
pub fn of_rows(passes: &Passes<'_>) -> Result<BTreeSet<IpAddr>> {
    let add = |found: &mut BTreeSet<IpAddr>, exporter: IpAddr| {
        if found.len() < EXPORTERS_MAX {
            found.insert(exporter);
        }
    };
    let (found, _) = passes.run(
        BTreeSet::new,
        |found, record| add(found, record.exporter),
        |ours, theirs| theirs.into_iter().for_each(|exporter| add(ours, exporter)),
    )?;
    Ok(found)
}

/// By a column of files that an engine takes.
pub fn of_columns(run: &Run<'_>) -> Result<BTreeSet<IpAddr>, Error> {
    let next = AtomicUsize::new(0);
    let work = || -> Result<BTreeSet<IpAddr>, Error> {
        let mut found = BTreeSet::new();
        while let Some(stored) = run.files.get(next.fetch_add(1, Ordering::Relaxed)) {
            of_file(stored, run.tick, &mut found)?;
        }
        Ok(found)
    };
    thread::scope(|scope| {
        let others = run.threads.clamp(1, THREADS_MAX) - 1;
        let others: Vec<_> = (0..others).map(|_| scope.spawn(work)).collect();
        let mut found = work();
        for other in others {
            let theirs = match other.join() {
                Ok(theirs) => theirs,
                Err(panic) => std::panic::resume_unwind(panic),
            };
            // The first error is as good as any: the pass is done again without the file it names.
            found = match (found, theirs) {
                (Ok(mut ours), Ok(theirs)) => {
                    ours.extend(theirs);
                    Ok(ours)
                }
                (Err(error), _) | (_, Err(error)) => Err(error),
            };
        }
        found
    })
}

fn of_file(
    stored: &Stored,
    tick: &(dyn Fn(u64) -> Result<(), String> + Sync),
    found: &mut BTreeSet<IpAddr>,
) -> Result<(), Error> {
    let damaged = |reason: String| Error::File { path: stored.path.clone(), reason };
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let mut reader = guarded(|| {
        let file = File::open(&stored.path).map_err(|error| error.to_string())?;
        let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(file, options)
            .map_err(|error| error.to_string())?;
        let at = builder.schema().index_of("exporter").map_err(|error| error.to_string())?;
        let mask = ProjectionMask::roots(builder.parquet_schema(), [at]);
        let builder = builder.with_projection(mask).with_batch_size(BATCH);
        builder.build().map_err(|error| error.to_string())
    })
    .map_err(damaged)?;
    let mut last = String::new();
    loop {
        let batch = guarded(|| reader.next().transpose().map_err(|error| error.to_string()));
        let Some(batch) = batch.map_err(damaged)? else { return Ok(()) };
        for text in batch.column(0).as_string::<i32>().iter().flatten() {
            // Records of one exporter come one after the other.
            if text == last {
                continue;
            }
            last.clear();
            last.push_str(text);
            let exporter = text.parse::<IpAddr>();
            let exporter = exporter.map_err(|_| damaged(format!("exporter {text:?}")))?;
            if found.len() < EXPORTERS_MAX {
                found.insert(exporter.to_canonical());
            }
        }
        tick(batch.num_rows() as u64).map_err(Error::Stopped)?;
    }
}

/// A step of the decoder, which panics at some kinds of damage where it should say an error.
fn guarded<T>(step: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    let gave_up = || Err("it is damaged, the decoder gave up".to_owned());
    catch_unwind(AssertUnwindSafe(step)).unwrap_or_else(|_| gave_up())
}
