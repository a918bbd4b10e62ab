// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The task of one BMP session.
//!
//! Part in the shutdown: when `drain` turns true the task handles the whole messages that are there,
//! marks the connection for its siblings and closes it.

use std::{
    io,
    os::fd::OwnedFd,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use telesteer_sys::{bound, ready, stream, takeover};
use telesteer_wire::{
    bmp::{Kind as MessageKind, Limits as ContextLimits, Session as Decoder},
    json,
};
use tokio::{io::unix::AsyncFd, sync::watch, time::Instant};

use super::{
    checkpoint::{self, State},
    cut::{Cut, RawRun, cut},
};
use crate::{
    accept::Accepted,
    checkpoint::About,
    events::{Event, SessionRef},
    line::{self, Line},
    metrics::ExporterRow,
    output::Kind,
    shared::{Shared, turned},
};

/// Bytes looked at in one go, first and after that was filled; a longer message gets as much as it
/// needs.
const GLANCE: usize = 16 << 10;
const PEEK: usize = 128 << 10;
/// Noise in a row after which the peer is taken for something else than a router.
const NOISE_MAX: u64 = 1 << 20;

/// Looks at a session that ends with this process, in a drain.
const LAST_LOOKS: usize = 256;

/// Message kinds in the order of a batch's counts.
const KINDS: [MessageKind; 8] = [
    MessageKind::RouteMonitoring,
    MessageKind::Stats,
    MessageKind::PeerDown,
    MessageKind::PeerUp,
    MessageKind::Initiation,
    MessageKind::Termination,
    MessageKind::RouteMirroring,
    MessageKind::Raw,
];

/// What one look at the stream came to.
enum Look {
    /// Something was handled; look again.
    Went,
    /// No whole message is there; so many bytes are.
    Waits(usize),
    /// The peer has closed, or the connection broke.
    Ended(&'static str),
}

/// One session.
struct Session {
    shared: Arc<Shared>,
    of: Accepted,
    row: Arc<ExporterRow>,
    decoder: Decoder,
    /// Stream offset of the next byte to commit.
    offset: u64,
    run: RawRun,
    /// The state last stored.
    saved: Option<State>,
    /// Longest message handled as one.
    cap: usize,
    /// Bytes of noise since the last message.
    noise: u64,
    /// Bytes to look at next time.
    want: usize,
}

/// Serves an accepted session to its end.
pub async fn run(
    shared: Arc<Shared>,
    socket: OwnedFd,
    of: Accepted,
    mut drain: watch::Receiver<bool>,
) {
    let mut session = Session::start(shared, &socket, of);
    // Only fails when memory for the event loop's entry is out.
    let Ok(fd) = ready::readable(socket) else {
        return session.close("exhausted");
    };
    let reason = session.serve(&fd, &mut drain).await;
    session.close(reason);
}

impl Session {
    fn start(shared: Arc<Shared>, socket: &OwnedFd, of: Accepted) -> Self {
        let limits = ContextLimits {
            context_bytes: shared.limits.checkpoint_size / 5,
            ..ContextLimits::default()
        };
        let mut saved = None;
        if of.takeovers > 0 {
            saved = shared
                .store
                .get(About::Session, &of.name)
                .and_then(|(file, _)| checkpoint::decode(&file, of.offset));
            if saved.is_none() && of.offset > 0 {
                shared.metrics.sessions_without_checkpoint.inc();
            }
        }
        let decoder = match &saved {
            Some(state) => Decoder::restore(limits, &state.context),
            None => Decoder::new(limits),
        };
        // A peeked message occupies the window until it is committed, and small segments cost the
        // kernel several times their bytes: four of the longest must fit into what was asked for,
        // which the kernel doubles when told.
        let room = bound::receive_buffer(socket).unwrap_or(0) / 8;
        Self {
            row: shared.metrics.exporters.row("bmp", of.peer.ip()),
            decoder,
            offset: of.offset,
            run: RawRun {
                until: saved.as_ref().map_or(0, |state| state.raw_until),
                reason: "oversize",
            },
            saved,
            cap: shared.limits.bmp_message.min(room).max(4096),
            noise: 0,
            want: GLANCE,
            shared,
            of,
        }
    }

    /// Runs until there is a reason to close.
    async fn serve(
        &mut self,
        fd: &AsyncFd<OwnedFd>,
        drain: &mut watch::Receiver<bool>,
    ) -> &'static str {
        let stall = Duration::from_secs(self.shared.limits.bmp_stall.max(1));
        let (mut pending, mut since) = (0, Instant::now());
        loop {
            let guard = tokio::select! {
                biased;
                () = turned(drain) => return self.finish(fd).await,
                guard = fd.readable() => match guard {
                    Ok(guard) => Some(guard),
                    Err(_) => return "exhausted",
                },
                () = tokio::time::sleep_until(since + stall), if pending > 0 => {
                    // Half a message that stands still, perhaps because the window is shut: its
                    // bytes are kept raw so that the stream can go on.
                    self.give_up_on_message(fd.get_ref());
                    None
                }
            };
            let closed = guard.as_ref().is_some_and(|guard| guard.ready().is_read_closed());
            match self.look(fd.get_ref()).await {
                Look::Went => pending = 0,
                Look::Waits(n) if closed && n > 0 => {
                    // The rest of this message will never come.
                    self.run = RawRun { until: self.offset + n as u64, reason: "truncated" };
                }
                Look::Waits(n) => {
                    if n != pending {
                        (pending, since) = (n, Instant::now());
                    }
                    if let Some(mut guard) = guard {
                        guard.clear_ready();
                    }
                }
                Look::Ended(reason) => return reason,
            }
        }
    }

    /// The planned drain: whole messages that are there, then the hand-over.
    async fn finish(&mut self, fd: &AsyncFd<OwnedFd>) -> &'static str {
        // More may come all the time: what is not read now is left to the heir, or without one is
        // lost with the session.
        let looks = if self.shared.takeover.is_some() { 1 } else { LAST_LOOKS };
        for _ in 0..looks {
            match self.look(fd.get_ref()).await {
                Look::Went => {}
                Look::Waits(_) => break,
                Look::Ended(reason) => return reason,
            }
        }
        if let Some(budget) = self.shared.takeover
            && takeover::set(fd.get_ref(), takeover::EXIT | takeover::CLOSE | budget).is_err()
        {
            return "drain_failed";
        }
        "drain"
    }

    /// Starts a raw run over the unfinished message at the head of the stream.
    fn give_up_on_message(&mut self, fd: &OwnedFd) {
        let mut head = [0; 6];
        if let Ok(n) = stream::peek(fd, &mut head) {
            let len = match cut(&head[..n], self.offset, self.cap, &mut self.run.clone()) {
                Cut::Need(len) => len.max(n),
                Cut::Message(len) | Cut::Raw(len, _) => len,
            };
            self.run = RawRun { until: self.offset + len as u64, reason: "stalled" };
        }
    }

    /// Peeks once, handles every whole message seen, and commits them.
    async fn look(&mut self, fd: &OwnedFd) -> Look {
        let mut buf = vec![0; self.want];
        let n = match stream::peek(fd, &mut buf) {
            Ok(0) => return Look::Ended("eof"),
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Look::Waits(0),
            Err(_) => return Look::Ended("reset"),
        };
        let bytes = buf.get(..n).unwrap_or_default();
        let before = (self.run, self.noise);
        let mut batch = Batch::new(self.shared.raw, n);
        let need = self.handle(bytes, &mut batch);
        if batch.consumed == 0 {
            // Look at more only if more is there than fitted.
            if need > self.want && n == self.want {
                self.want = need.min(self.cap).max(PEEK);
                return Look::Went;
            }
            self.want = need.clamp(GLANCE, self.cap.max(PEEK));
            return Look::Waits(n);
        }
        self.want = if n == self.want { PEEK } else { GLANCE };
        let next = self.offset + batch.consumed as u64;
        if self.shared.takeover.is_some()
            && (batch.context_changed || self.run != before.0 || self.saved.is_none())
        {
            self.save(next, before.0);
        }
        let Batch { lines, count, consumed, kinds, .. } = batch;
        for (kind, n) in KINDS.into_iter().zip(kinds).filter(|(_, n)| *n > 0) {
            self.shared.metrics.bmp_messages_by_kind.add(kind.name(), n);
        }
        self.shared.outputs.write(Kind::Bmp, lines, count).await;
        match stream::commit(fd, consumed) {
            Ok(took) if took == consumed => {}
            // Bytes that were queued cannot vanish; if they do, nothing is known any more.
            _ => return Look::Ended("commit_failed"),
        }
        self.offset = next;
        self.shared.metrics.bmp_bytes.add(consumed as u64);
        self.shared.metrics.bmp_commits.inc();
        self.row.bytes.add(consumed as u64);
        self.row.last_seen.set(line::now().as_secs());
        if self.noise > NOISE_MAX { Look::Ended("noise") } else { Look::Went }
    }

    /// Decodes what is whole in `bytes`; says how many bytes the next message needs.
    fn handle(&mut self, bytes: &[u8], batch: &mut Batch) -> usize {
        loop {
            let at = self.offset + batch.consumed as u64;
            let rest = bytes.get(batch.consumed..).unwrap_or_default();
            let len = match cut(rest, at, self.cap, &mut self.run) {
                Cut::Need(need) => return need,
                Cut::Message(len) => {
                    let message = rest.get(..len).unwrap_or_default();
                    self.message(message, at, batch);
                    self.noise = 0;
                    len
                }
                Cut::Raw(len, reason) => {
                    let piece = rest.get(..len).unwrap_or_default();
                    self.raw(piece, at, reason, batch);
                    self.noise += len as u64 * u64::from(reason.starts_with("bad_"));
                    len
                }
            };
            batch.consumed += len;
        }
    }

    /// Decodes one message into a line.
    fn message(&mut self, message: &[u8], at: u64, batch: &mut Batch) {
        let metrics = &self.shared.metrics;
        metrics.bmp_messages.inc();
        self.row.messages.inc();
        let decoder = &mut self.decoder;
        // The decoder is not ours. If it panics the message is kept raw, and what it knew is
        // restored from the last check-point.
        let Ok(decoded) = catch_unwind(AssertUnwindSafe(|| decoder.feed(message))) else {
            self.decoder = match &self.saved {
                Some(state) => Decoder::restore(ContextLimits::default(), &state.context),
                None => Decoder::new(ContextLimits::default()),
            };
            metrics.bmp_undecodable.add("decoder_panic", 1);
            metrics.bmp_messages_by_kind.add("raw", 1);
            self.row.undecodable.inc();
            return self.line(message, at, "raw", batch, |line| {
                line.json("peer", null).json("message", null).string("error", "decoder_panic")
            });
        };
        batch.context_changed |= decoded.context_changed;
        if let Some(at) = KINDS.iter().position(|kind| *kind == decoded.kind) {
            batch.kinds[at] += 1;
        }
        if decoded.error.is_some() {
            let kind = MessageKind::of(decoded.message_type).name();
            let how = if decoded.message.is_some() { "partial" } else { "undecoded" };
            metrics.bmp_undecodable.add(&format!("{how}_{kind}"), 1);
            self.row.undecodable.inc();
        }
        let keep_raw = batch.raw || decoded.error.is_some();
        self.line_with(message, at, decoded.kind.name(), keep_raw, batch, |line| {
            let line = line
                .json("peer", |out| {
                    // Writing into a Vec cannot fail.
                    let _ = serde_json::to_writer(out, &decoded.peer);
                })
                .json("message", |out| decoded.write_message_json(out));
            match &decoded.error {
                Some(error) => line.string("error", error),
                None => line,
            }
        });
    }

    /// Keeps bytes raw in a line.
    fn raw(&mut self, piece: &[u8], at: u64, reason: &'static str, batch: &mut Batch) {
        let metrics = &self.shared.metrics;
        metrics.bmp_raw_bytes.add(piece.len() as u64);
        metrics.bmp_undecodable.add(reason, 1);
        metrics.bmp_messages_by_kind.add("raw", 1);
        self.row.undecodable.inc();
        self.line(piece, at, "raw", batch, |line| {
            line.json("peer", null).json("message", null).string("error", reason)
        });
    }

    fn line(
        &self,
        bytes: &[u8],
        at: u64,
        kind: &str,
        batch: &mut Batch,
        fields: impl FnOnce(Line<'_>) -> Line<'_>,
    ) {
        self.line_with(bytes, at, kind, true, batch, fields);
    }

    fn line_with(
        &self,
        bytes: &[u8],
        at: u64,
        kind: &str,
        keep_raw: bool,
        batch: &mut Batch,
        fields: impl FnOnce(Line<'_>) -> Line<'_>,
    ) {
        let of = &self.of;
        let line = Line::begin(&mut batch.lines, "bmp", self.shared.instance, batch.ts)
            .ip("exporter", of.peer.ip())
            .number("port", u64::from(of.peer.port()))
            .ip("local", of.local.ip())
            .number("local_port", u64::from(of.local.port()))
            .string("session", &of.name)
            .number("offset", at)
            .number("len", bytes.len() as u64)
            .string("kind", kind);
        let line = fields(line);
        let line = if keep_raw { line.json("raw", |out| json::hex(out, bytes)) } else { line };
        line.end();
        batch.count += 1;
    }

    /// Stores the state at `next`, and the state at the offset where the stream stands until then.
    fn save(&mut self, next: u64, run: RawRun) {
        let newer =
            State { offset: next, raw_until: self.run.until, context: self.decoder.context() };
        let older = State {
            offset: self.offset,
            raw_until: run.until,
            context: self.saved.take().map(|state| state.context).unwrap_or_default(),
        };
        let known = self.of.takeovers > 0 || self.offset > self.of.offset;
        let file = checkpoint::encode(&newer, Some(&older));
        self.shared.store.put(About::Session, &self.of.name, known, &file);
        self.saved = Some(newer);
    }

    fn close(self, reason: &'static str) {
        let metrics = &self.shared.metrics;
        metrics.sessions_open.sub(1);
        metrics.sessions_closed.add(reason, 1);
        if matches!(reason, "eof" | "reset") {
            metrics.sessions_ended.inc();
        }
        let session = SessionRef { peer: self.of.peer, name: &self.of.name, offset: self.offset };
        self.shared.event(&Event::Close { session, reason });
        // An heir needs the check-point; nobody else will.
        if self.shared.takeover.is_some() && reason != "drain" {
            self.shared.store.remove(About::Session, &self.of.name);
        }
    }
}

/// Lines made from one look at the stream.
struct Batch {
    lines: Vec<u8>,
    count: u64,
    consumed: usize,
    context_changed: bool,
    raw: bool,
    ts: Duration,
    kinds: [u64; KINDS.len()],
}

impl Batch {
    fn new(raw: bool, bytes: usize) -> Self {
        Self {
            lines: Vec::with_capacity(bytes * 4),
            count: 0,
            consumed: 0,
            context_changed: false,
            raw,
            ts: line::now(),
            kinds: [0; KINDS.len()],
        }
    }
}

fn null(out: &mut Vec<u8>) {
    out.extend_from_slice(b"null");
}
