// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Takes connections off the listeners. Runs on a thread of its own with nothing else to do, so that
//! an inherited session is picked up at once even while every other thread decodes.

use std::{
    io,
    net::SocketAddr,
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
    thread,
    time::Duration,
};

use telesteer_sys::{bound, ident, ready, takeover};
use tokio::sync::{mpsc, watch};

use crate::{
    events::{Event, SessionRef},
    line,
    listeners::Listener,
    shared::{Shared, turned},
};

/// Seconds of silence after which a peer is probed.
const KEEP_ALIVE: Duration = Duration::from_secs(60);
/// Pause when no descriptor is left; the queue waits meanwhile.
const EXHAUSTED: Duration = Duration::from_millis(50);

/// What names a session and where it stood when it was accepted.
#[derive(Debug)]
pub struct Accepted {
    /// The exporter's end.
    pub peer: SocketAddr,
    /// Our end.
    pub local: SocketAddr,
    /// Boot id, namespace cookie and socket cookie: the same for every owner.
    pub name: String,
    /// Stream offset of the next byte to read.
    pub offset: u64,
    /// Takeovers so far; 0 if we are the first owner.
    pub takeovers: u32,
}

/// Accepts until `drain` turns true, then closes the listeners and returns. Everything accepted goes
/// to `sessions`; the session limit is kept here.
///
/// # Errors
///
/// If the thread or its event loop cannot be made.
pub fn spawn(
    listeners: Vec<Listener>,
    shared: Arc<Shared>,
    sessions: mpsc::UnboundedSender<(OwnedFd, Accepted)>,
    drain: watch::Receiver<bool>,
) -> io::Result<thread::JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    thread::Builder::new().name("accept".into()).spawn(move || {
        runtime.block_on(async move {
            let mut tasks = tokio::task::JoinSet::new();
            for listener in listeners {
                let (shared, sessions) = (Arc::clone(&shared), sessions.clone());
                tasks.spawn(serve(listener, shared, sessions, drain.clone()));
            }
            while tasks.join_next().await.is_some() {}
        });
    })
}

async fn serve(
    listener: Listener,
    shared: Arc<Shared>,
    sessions: mpsc::UnboundedSender<(OwnedFd, Accepted)>,
    mut drain: watch::Receiver<bool>,
) {
    let Listener { socket, row, .. } = listener;
    let ready = match ready::readable(Arc::clone(&socket)) {
        Ok(ready) => ready,
        Err(error) => {
            eprintln!("telesteer: {} {}: {error}", row.service, row.addr);
            return;
        }
    };
    loop {
        let mut guard = tokio::select! {
            biased;
            () = turned(&mut drain) => return,
            guard = ready.readable() => match guard {
                Ok(guard) => guard,
                Err(_) => return,
            },
        };
        loop {
            match bound::accept(&socket) {
                Ok((connection, peer)) => {
                    row.received.inc();
                    take(connection, peer, &shared, &sessions);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    guard.clear_ready();
                    break;
                }
                Err(error) if is_of_connection(&error) => shared.metrics.accept_errors.inc(),
                Err(_) => {
                    shared.metrics.accept_errors.inc();
                    tokio::time::sleep(EXHAUSTED).await;
                    break;
                }
            }
        }
    }
}

/// Errors that concern the one connection only: the next can be accepted at once.
fn is_of_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted, TimedOut};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted | TimedOut)
}

fn take(
    connection: OwnedFd,
    peer: SocketAddr,
    shared: &Shared,
    sessions: &mpsc::UnboundedSender<(OwnedFd, Accepted)>,
) {
    let ts = line::now();
    let metrics = &shared.metrics;
    if metrics.sessions_open.get() >= shared.limits.bmp_sessions as u64 {
        metrics.sessions_refused.inc();
        return;
    }
    let fd = connection.as_fd();
    // On a kernel without it nobody has had the session before.
    let info = takeover::info(fd).unwrap_or_default();
    // What ends from now on ends for the peer too, unless we die or drain.
    if let Some(budget) = shared.takeover
        && takeover::set(fd, takeover::EXIT | budget).is_err()
    {
        metrics.accept_errors.inc();
    }
    let (Ok(cookie), Ok(local)) = (ident::socket_cookie(fd), bound::local_addr(fd)) else {
        metrics.accept_errors.inc();
        return;
    };
    // A peer that vanished without a word is only found out by probes; not vital.
    let _ = bound::keep_alive(fd, KEEP_ALIVE);
    let name = format!("{}-{cookie:x}", shared.place);
    metrics.sessions_accepted.inc();
    if info.count > 0 {
        metrics.sessions_inherited.inc();
    }
    let session = SessionRef { peer, name: &name, offset: info.bytes_consumed };
    let event = Event::Accept { session, takeovers: info.count, queued: info.bytes_queued };
    shared.event_at(ts, &event);
    metrics.sessions_open.inc();
    let accepted =
        Accepted { peer, local, name, offset: info.bytes_consumed, takeovers: info.count };
    if sessions.send((connection, accepted)).is_err() {
        metrics.sessions_open.sub(1);
    }
}
