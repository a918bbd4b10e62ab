// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What goes wrong, on standard error, not too often.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::metrics::Metrics;

/// Shortest time between two complaints.
const EVERY: Duration = Duration::from_secs(10);

/// The complaints of one sink.
#[derive(Debug, Default)]
pub(super) struct Complaints(Mutex<Option<Instant>>);

impl Complaints {
    /// Says what is wrong with a path, unless something was said lately.
    pub(super) fn say(&self, path: &str, error: &str, metrics: &Metrics) {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_some_and(|at| at.elapsed() < EVERY) {
            return;
        }
        *last = Some(Instant::now());
        let lost: u64 = metrics.parquet_rows_lost.snapshot().iter().map(|(_, n)| n).sum();
        eprintln!("telesteer: {path}: {error}; {lost} flow rows lost so far, collecting goes on");
    }
}
