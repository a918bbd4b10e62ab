// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The output files. One thread per kind of file takes batches of whole lines from a bounded queue
//! and gives each batch to one `write(2)`.
//!
//! A disk that is full does not stop the readers: a failed batch is cut off the file again and
//! retried for a bounded time, then its lines are counted as lost. While the disk stays broken
//! every batch gets one try.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Arc, mpsc},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::metrics::Metrics;

/// The kinds of output, each a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// BMP messages.
    Bmp,
    /// Flow records.
    Flow,
    /// UDP-notif messages.
    Notif,
    /// What happened to the collector and its sessions.
    Events,
    /// One line per datagram.
    Journal,
}

impl Kind {
    const ALL: [Self; 5] = [Self::Bmp, Self::Flow, Self::Notif, Self::Events, Self::Journal];

    /// First part of the file's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bmp => "bmp",
            Self::Flow => "flow",
            Self::Notif => "notif",
            Self::Events => "events",
            Self::Journal => "journal",
        }
    }
}

/// What became of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// `write(2)` took all of it.
    Written,
    /// It was given up and counted.
    Lost,
}

/// Queue space is counted in pieces of this many bytes.
const PIECE: usize = 1 << 10;
/// Batches are joined up to this many bytes for one write.
const JOIN: usize = 1 << 20;
/// How long a UDP reader waits for room in a full queue.
const ROOM_WAIT: Duration = Duration::from_millis(100);
/// Pause between two tries of one batch.
const RETRY_PAUSE: Duration = Duration::from_millis(50);
/// Shortest time between two complaints about one file.
const COMPLAIN_EVERY: Duration = Duration::from_secs(10);

struct Job {
    lines: Vec<u8>,
    count: u64,
    done: Option<oneshot::Sender<Outcome>>,
    _room: OwnedSemaphorePermit,
}

/// One file's queue.
struct Sink {
    jobs: mpsc::Sender<Job>,
    room: Arc<Semaphore>,
    pieces: u32,
}

/// All output files of a collector.
pub struct Outputs {
    sinks: [Sink; 5],
    metrics: Arc<Metrics>,
}

/// The writing threads, to be joined after the last [`Outputs`] is gone.
pub struct Writers(Vec<JoinHandle<()>>);

impl Writers {
    /// Waits until every queue is written.
    pub fn join(self) {
        for thread in self.0 {
            // A writer that panicked has nothing left to give.
            let _ = thread.join();
        }
    }
}

impl Outputs {
    /// Opens the files in `dir` and starts their writers.
    ///
    /// # Errors
    ///
    /// If the folder or a file cannot be made; the path is in the text.
    pub fn open(
        dir: &Path,
        instance: u64,
        start_ms: u128,
        queue: usize,
        retry: Duration,
        metrics: Arc<Metrics>,
    ) -> io::Result<(Self, Writers)> {
        let named = |path: &Path, e: io::Error| {
            io::Error::new(e.kind(), format!("{}: {e}", path.display()))
        };
        std::fs::create_dir_all(dir).map_err(|e| named(dir, e))?;
        let pieces = u32::try_from(queue / PIECE).unwrap_or(u32::MAX).max(1);
        let mut threads = Vec::new();
        let mut open = |kind: Kind| -> io::Result<Sink> {
            let path = dir.join(format!("{}-{instance}-{start_ms}.jsonl", kind.name()));
            let file = OpenOptions::new()
                .append(true)
                .create_new(true)
                .open(&path)
                .map_err(|e| named(&path, e))?;
            let (sender, receiver) = mpsc::channel();
            let mut writer = Writer {
                path,
                file,
                len: 0,
                retry,
                broken: false,
                complained: None,
                metrics: Arc::clone(&metrics),
            };
            threads.push(
                thread::Builder::new()
                    .name(format!("out-{}", kind.name()))
                    .spawn(move || writer.run(&receiver))?,
            );
            let room = Arc::new(Semaphore::new(pieces as usize));
            Ok(Sink { jobs: sender, room, pieces })
        };
        let [a, b, c, d, e] = Kind::ALL;
        let sinks = [open(a)?, open(b)?, open(c)?, open(d)?, open(e)?];
        Ok((Self { sinks, metrics: Arc::clone(&metrics) }, Writers(threads)))
    }

    fn sink(&self, kind: Kind) -> &Sink {
        &self.sinks[kind as usize]
    }

    /// Queues `lines` and waits until the file has them or they are lost. Waits for room without a
    /// bound of its own: the caller's peer is held back instead, by its window.
    pub async fn write(&self, kind: Kind, lines: Vec<u8>, count: u64) -> Outcome {
        let sink = self.sink(kind);
        let Ok(room) = Arc::clone(&sink.room).acquire_many_owned(sink.pieces_of(&lines)).await
        else {
            return self.lose(count);
        };
        let (done, outcome) = oneshot::channel();
        if !self.send(kind, Job { lines, count, done: Some(done), _room: room }) {
            return self.lose(count);
        }
        outcome.await.unwrap_or(Outcome::Lost)
    }

    /// Queues `lines`; waits a bounded time for room, then counts them as overrun.
    pub async fn push(&self, kind: Kind, lines: Vec<u8>, count: u64) {
        if lines.is_empty() {
            return;
        }
        let sink = self.sink(kind);
        let room = Arc::clone(&sink.room).acquire_many_owned(sink.pieces_of(&lines));
        match tokio::time::timeout(ROOM_WAIT, room).await {
            Ok(Ok(room)) => self.send_or_count(kind, lines, count, room),
            _ => self.metrics.lines_overrun.add(count),
        }
    }

    /// Queues `lines` if there is room now, else counts them as overrun.
    pub fn try_push(&self, kind: Kind, lines: Vec<u8>, count: u64) {
        let sink = self.sink(kind);
        match Arc::clone(&sink.room).try_acquire_many_owned(sink.pieces_of(&lines)) {
            Ok(room) => self.send_or_count(kind, lines, count, room),
            _ => self.metrics.lines_overrun.add(count),
        }
    }

    fn send_or_count(&self, kind: Kind, lines: Vec<u8>, count: u64, room: OwnedSemaphorePermit) {
        if !self.send(kind, Job { lines, count, done: None, _room: room }) {
            self.metrics.lines_overrun.add(count);
        }
    }

    fn send(&self, kind: Kind, job: Job) -> bool {
        let bytes = job.lines.len() as u64;
        self.metrics.output_queue_bytes.add(bytes);
        let sent = self.sink(kind).jobs.send(job).is_ok();
        if !sent {
            self.metrics.output_queue_bytes.sub(bytes);
        }
        sent
    }

    fn lose(&self, count: u64) -> Outcome {
        self.metrics.lines_lost.add(count);
        Outcome::Lost
    }
}

impl Sink {
    /// Queue space for `lines`; a batch larger than the queue takes all of it.
    fn pieces_of(&self, lines: &[u8]) -> u32 {
        u32::try_from(lines.len().div_ceil(PIECE)).unwrap_or(u32::MAX).clamp(1, self.pieces)
    }
}

/// The writing end of one file.
struct Writer {
    path: PathBuf,
    file: File,
    /// Length of the file up to the last whole line.
    len: u64,
    retry: Duration,
    broken: bool,
    complained: Option<Instant>,
    metrics: Arc<Metrics>,
}

impl Writer {
    fn run(&mut self, jobs: &mpsc::Receiver<Job>) {
        while let Ok(first) = jobs.recv() {
            let mut batch = vec![first];
            let mut bytes = batch[0].lines.len();
            while bytes < JOIN {
                let Ok(job) = jobs.try_recv() else { break };
                bytes += job.lines.len();
                batch.push(job);
            }
            let count = batch.iter().map(|job| job.count).sum();
            let outcome = match batch.as_slice() {
                [only] => self.write(&only.lines, count),
                many => {
                    let mut joined = Vec::with_capacity(bytes);
                    many.iter().for_each(|job| joined.extend_from_slice(&job.lines));
                    self.write(&joined, count)
                }
            };
            self.metrics.output_queue_bytes.sub(bytes as u64);
            for job in batch {
                if let Some(done) = job.done {
                    // The session that asked may have ended meanwhile.
                    let _ = done.send(outcome);
                }
            }
        }
    }

    fn write(&mut self, lines: &[u8], count: u64) -> Outcome {
        let begun = Instant::now();
        loop {
            let error = match self.file.write(lines) {
                Ok(n) if n == lines.len() => {
                    self.len += n as u64;
                    self.broken = false;
                    self.metrics.lines_written.add(count);
                    return Outcome::Written;
                }
                Ok(_) => io::Error::from(io::ErrorKind::StorageFull),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => e,
            };
            self.metrics.output_errors.inc();
            // A part may have been written: a torn line must not stay before later lines.
            let cut = self.file.set_len(self.len);
            if self.broken || begun.elapsed() >= self.retry {
                self.broken = true;
                self.metrics.lines_lost.add(count);
                self.complain(&error, &cut);
                return Outcome::Lost;
            }
            thread::sleep(RETRY_PAUSE);
        }
    }

    fn complain(&mut self, error: &io::Error, cut: &io::Result<()>) {
        if self.complained.is_some_and(|at| at.elapsed() < COMPLAIN_EVERY) {
            return;
        }
        self.complained = Some(Instant::now());
        let (path, lost) = (self.path.display(), self.metrics.lines_lost.get());
        eprintln!(
            "telesteer: {path}: {error}; {lost} output lines lost so far, collecting goes on"
        );
        if let Err(cut) = cut {
            eprintln!("telesteer: {path}: a torn line could not be cut off: {cut}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(dir: &Path, queue: usize) -> (Outputs, Writers, Arc<Metrics>) {
        let metrics = Arc::new(Metrics::default());
        let (outputs, writers) =
            Outputs::open(dir, 7, 1, queue, Duration::ZERO, Arc::clone(&metrics)).unwrap();
        (outputs, writers, metrics)
    }

    #[tokio::test]
    async fn lines_are_in_the_file_when_write_returns() {
        let dir = tempfile::tempdir().unwrap();
        let (outputs, writers, metrics) = open(dir.path(), 1 << 20);
        assert_eq!(outputs.write(Kind::Bmp, b"{}\n".to_vec(), 1).await, Outcome::Written);
        assert_eq!(std::fs::read(dir.path().join("bmp-7-1.jsonl")).unwrap(), b"{}\n");
        // A batch larger than the queue still gets through.
        let large = vec![b'x'; 3 << 20];
        assert_eq!(outputs.write(Kind::Bmp, large, 1).await, Outcome::Written);
        outputs.push(Kind::Flow, b"a\n".to_vec(), 1).await;
        drop(outputs);
        writers.join();
        assert_eq!(std::fs::read(dir.path().join("flow-7-1.jsonl")).unwrap(), b"a\n");
        assert_eq!((metrics.lines_written.get(), metrics.output_queue_bytes.get()), (3, 0));
    }

    #[tokio::test]
    async fn a_full_queue_counts_what_it_refuses() {
        let dir = tempfile::tempdir().unwrap();
        let (outputs, writers, metrics) = open(dir.path(), 1 << 10);
        let hold = Arc::clone(&outputs.sinks[1].room).acquire_owned().await.unwrap();
        outputs.try_push(Kind::Flow, b"a\n".to_vec(), 1);
        outputs.push(Kind::Flow, b"b\n".to_vec(), 1).await;
        assert_eq!(metrics.lines_overrun.get(), 2);
        drop(hold);
        outputs.try_push(Kind::Flow, b"c\n".to_vec(), 1);
        drop(outputs);
        writers.join();
        assert_eq!(std::fs::read(dir.path().join("flow-7-1.jsonl")).unwrap(), b"c\n");
    }
}
