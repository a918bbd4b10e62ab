// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The thread that stores files: one after the other, each tried again for a bounded time.
//!
//! A file that could not be stored costs its rows, which are counted, and is complained about with
//! its path. While a place stays broken, every file gets one try.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
    mpsc,
};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::{runtime::Runtime, time::timeout};

use super::{complaints::Complaints, partition::Closed, place::Place};
use crate::metrics::Metrics;

/// Longest wait for one try; storage that does not answer must not hold the thread for good.
const PATIENCE: Duration = Duration::from_secs(60);
/// The same, and the time for all tries of a file, once the collector ends.
const LAST_PATIENCE: Duration = Duration::from_secs(5);
/// Pause between two tries.
const PAUSE: Duration = Duration::from_millis(200);
/// What stores the files of a collector.
pub(super) struct Storer {
    pub(super) place: Place,
    /// First part of every file's name: instance and start.
    pub(super) stem: String,
    /// How long a file is tried.
    pub(super) retry: Duration,
    /// The collector ends.
    pub(super) ending: Arc<AtomicBool>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) complaints: Arc<Complaints>,
    pub(super) runtime: Runtime,
}

/// What became of earlier files.
#[derive(Default)]
struct Past {
    files: u64,
    broken: bool,
}

impl Storer {
    /// Stores what comes until nobody is left to send.
    pub(super) fn run(self, files: &mpsc::Receiver<Closed>) {
        let mut past = Past::default();
        for Closed { hour, rows, file } in files {
            let name = format!("{hour}/{}-{}.parquet", self.stem, past.files);
            past.files += 1;
            let outcome = match file {
                Ok(file) => self.store(&name, &file.into(), &mut past),
                Err(error) => Err(("encoding", error.to_string())),
            };
            let (metrics, rows) = (&self.metrics, rows as u64);
            match outcome {
                Ok(()) => {
                    metrics.parquet_rows_written.add(rows);
                    metrics.parquet_files_written.inc();
                }
                Err((reason, error)) => {
                    metrics.parquet_rows_lost.add(reason, rows);
                    self.complain(&name, &error);
                }
            }
            metrics.parquet_rows_held.sub(rows);
        }
        // A try that never came back must not hold the end up.
        self.runtime.shutdown_background();
    }

    fn store(
        &self,
        name: &str,
        file: &Bytes,
        past: &mut Past,
    ) -> Result<(), (&'static str, String)> {
        let begun = Instant::now();
        loop {
            let (patience, retry) = if self.ending.load(Relaxed) {
                (LAST_PATIENCE, self.retry.min(LAST_PATIENCE))
            } else {
                (PATIENCE, self.retry)
            };
            let put = async { timeout(patience, self.place.put(name, file.clone())).await };
            let error = match self.runtime.block_on(put) {
                Ok(Ok(())) => {
                    past.broken = false;
                    return Ok(());
                }
                Ok(Err(error)) => error.to_string(),
                Err(_) => format!("no answer within {} s", patience.as_secs()),
            };
            self.metrics.parquet_errors.inc();
            if past.broken || begun.elapsed() >= retry {
                past.broken = true;
                return Err(("storage", error));
            }
            self.complain(name, &error);
            thread::sleep(PAUSE);
        }
    }

    fn complain(&self, name: &str, error: &str) {
        self.complaints.say(&self.place.display(name), error, &self.metrics);
    }
}
