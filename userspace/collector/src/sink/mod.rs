// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Flow records as Parquet files, partitioned by the hour a flow began in.
//!
//! ```text
//! readers ──rows──▶ thread parquet ──files──▶ thread parquet-store ──▶ folder or bucket
//! ```
//!
//! | module | what it is |
//! |---|---|
//! | `row` | [`Row`]s as they are stored; `docs/parquet.md` explains them |
//! | `partition` | hours, and when their files are closed |
//! | `place`, `store` | where the files go, and trying again |
//!
//! One number bounds the memory: the rows that have been taken and are not stored yet, wherever they
//! are. Beyond it rows are counted as lost, and nobody waits: readers never do.

mod complaints;
mod partition;
mod place;
mod row;
mod store;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
        mpsc,
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::Context;

pub use telesteer_wire::flow::{LeftOut, Row};

use self::{
    complaints::Complaints,
    partition::{Bounds, Closed, Partitions},
    place::Place,
    store::Storer,
};
use crate::{line, metrics::Metrics, settings::Limits};

/// How often is looked whether a partition's time has come.
const TICK: Duration = Duration::from_secs(1);

enum Message {
    Rows(Vec<Row>),
    /// Store everything and end.
    Finish,
}

/// Takes rows.
pub struct Sink {
    messages: mpsc::Sender<Message>,
    bound: u64,
    place: String,
    complaints: Arc<Complaints>,
    ending: Arc<AtomicBool>,
    metrics: Arc<Metrics>,
}

/// The two threads, to be joined after [`Sink::finish`].
pub struct Threads([JoinHandle<()>; 2]);

impl Threads {
    /// Waits until everything is stored or given up.
    pub fn join(self) {
        for thread in self.0 {
            // One that panicked has nothing left to give.
            let _ = thread.join();
        }
    }
}

impl Sink {
    /// Opens the place and starts the threads.
    ///
    /// # Errors
    ///
    /// If it is no place, or a folder that cannot be made; the path is in the text.
    pub fn open(
        told: &str,
        instance: u64,
        start_ms: u128,
        limits: &Limits,
        metrics: Arc<Metrics>,
    ) -> anyhow::Result<(Self, Threads)> {
        let ending = Arc::new(AtomicBool::new(false));
        let complaints = Arc::new(Complaints::default());
        let storer = Storer {
            place: Place::open(told)?,
            stem: format!("{instance}-{start_ms}"),
            retry: Duration::from_millis(limits.parquet_retry),
            ending: Arc::clone(&ending),
            metrics: Arc::clone(&metrics),
            complaints: Arc::clone(&complaints),
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .context("runtime")?,
        };
        let bounds = Bounds {
            file: limits.parquet_rows,
            // The other half is for what waits to be encoded or stored.
            open: limits.parquet_held / 2,
            partitions: limits.parquet_partitions,
            grace: Duration::from_secs(limits.parquet_grace),
        };
        let (messages, taken) = mpsc::channel();
        let (closed, files) = mpsc::channel();
        let encoder = Encoder {
            partitions: Partitions::new(bounds, instance),
            closed,
            metrics: Arc::clone(&metrics),
        };
        let spawn = |name: &str| thread::Builder::new().name(name.to_owned());
        let threads = [
            spawn("parquet").spawn(move || encoder.run(&taken)).context("thread")?,
            spawn("parquet-store").spawn(move || storer.run(&files)).context("thread")?,
        ];
        let (bound, place) = (limits.parquet_held as u64, told.to_owned());
        Ok((Self { messages, bound, place, complaints, ending, metrics }, Threads(threads)))
    }

    /// Takes rows, or counts them as lost if too many are held already. Never waits.
    pub fn take(&self, rows: Vec<Row>) {
        let count = rows.len() as u64;
        if count == 0 {
            return;
        }
        // Added first, so that readers who come at once see each other's.
        self.metrics.parquet_rows_held.add(count);
        let reason = if self.metrics.parquet_rows_held.get() > self.bound {
            "memory_full"
        } else if self.messages.send(Message::Rows(rows)).is_err() {
            "stopped"
        } else {
            return;
        };
        self.metrics.parquet_rows_held.sub(count);
        self.metrics.parquet_rows_lost.add(reason, count);
        if reason == "memory_full" {
            let error = "storage does not keep up, memory is full";
            self.complaints.say(&self.place, error, &self.metrics);
        }
    }

    /// Asks for everything to be stored. Rows that come later are lost.
    pub fn finish(&self) {
        self.ending.store(true, Relaxed);
        // A thread that is gone already has nothing to store.
        let _ = self.messages.send(Message::Finish);
    }
}

/// Turns rows into files.
struct Encoder {
    partitions: Partitions,
    closed: mpsc::Sender<Closed>,
    metrics: Arc<Metrics>,
}

impl Encoder {
    fn run(mut self, messages: &mpsc::Receiver<Message>) {
        let mut closed = Vec::new();
        loop {
            let message = messages.recv_timeout(TICK);
            let now = line::now();
            match message {
                Ok(Message::Rows(rows)) => {
                    rows.iter().for_each(|row| self.partitions.add(row, now, &mut closed));
                }
                Err(mpsc::RecvTimeoutError::Timeout) => {}
                Ok(Message::Finish) | Err(mpsc::RecvTimeoutError::Disconnected) => break,
            }
            self.partitions.due(now, &mut closed);
            self.hand_over(&mut closed);
        }
        self.partitions.finish(&mut closed);
        self.hand_over(&mut closed);
    }

    fn hand_over(&mut self, closed: &mut Vec<Closed>) {
        self.metrics.parquet_partitions_open.set(self.partitions.len() as u64);
        for file in closed.drain(..) {
            if let Err(mpsc::SendError(file)) = self.closed.send(file) {
                let rows = file.rows as u64;
                self.metrics.parquet_rows_lost.add("stopped", rows);
                self.metrics.parquet_rows_held.sub(rows);
            }
        }
    }
}

#[cfg(test)]
#[path = "sink_tests.rs"]
mod tests;
