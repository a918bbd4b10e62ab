// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Takes connections, on a thread of its own.

use crate::http::board::Board;
use crate::http::bounds::Bounds;
use crate::http::counters::{Counters, count};
use crate::http::desk::Desk;
use crate::http::host::Hosts;
use crate::http::keys::Keys;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener as StdListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use telesteer_fam::{Prefix, Width};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// What counts as one peer.
const PEER: Width = Width { v4: 32, v6: 64 };

/// How long a call to the loop may keep the server from ending.
const ENDS: Duration = Duration::from_secs(2);

/// A server: ends when it is dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    counters: Arc<Counters>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Serves on a bound listener until the server is dropped.
///
/// # Errors
///
/// If the listener or the thread cannot be set up.
pub fn serve(
    listener: StdListener,
    board: Arc<dyn Board>,
    keys: Keys,
    bounds: Bounds,
) -> io::Result<Server> {
    serve_hosts(listener, board, keys, bounds, Hosts::default())
}

/// The same of a server that has names.
///
/// # Errors
///
/// As [`serve`].
pub fn serve_hosts(
    listener: StdListener,
    board: Arc<dyn Board>,
    keys: Keys,
    bounds: Bounds,
    hosts: Hosts,
) -> io::Result<Server> {
    let address = listener.local_addr()?;
    listener.set_nonblocking(true)?;
    let runtime = Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(bounds.calls.max(1))
        .build()?;
    let listener = {
        let _inside = runtime.enter();
        TcpListener::from_std(listener)?
    };
    let counters = Arc::new(Counters::default());
    let desk = Arc::new(Desk::new(board, keys, bounds, hosts, counters.clone()));
    let (stop, stopped) = oneshot::channel();
    let thread = std::thread::Builder::new().name("http".to_owned()).spawn(move || {
        runtime.block_on(async move {
            tokio::select! {
                // Told to stop, or the server was leaked and its channel closed.
                _ = stopped => {}
                () = accept(listener, desk, bounds) => {}
            }
        });
        runtime.shutdown_timeout(ENDS);
    })?;
    Ok(Server { address, counters, stop: Some(stop), thread: Some(thread) })
}

impl Server {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it did.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // The thread may have ended by itself.
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Open connections of each peer.
#[derive(Debug, Default)]
struct Peers(Mutex<HashMap<Prefix, usize>>);

/// One of them; it is given back when it is dropped.
struct Place {
    peers: Arc<Peers>,
    peer: Prefix,
    _permit: OwnedSemaphorePermit,
}

impl Peers {
    /// Takes a place of `peer`, if it has fewer than `most`.
    fn take(
        self: &Arc<Self>,
        from: IpAddr,
        most: usize,
        permit: OwnedSemaphorePermit,
    ) -> Option<Place> {
        let peer = Prefix::of(from.to_canonical(), PEER);
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let own = open.get(&peer).copied().unwrap_or(0);
        if own >= most {
            return None;
        }
        open.insert(peer, own + 1);
        Some(Place { peers: self.clone(), peer, _permit: permit })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.peers.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = open.get_mut(&self.peer) {
            *own = own.saturating_sub(1);
            if *own == 0 {
                open.remove(&self.peer);
            }
        }
    }
}

async fn accept(listener: TcpListener, desk: Arc<Desk>, bounds: Bounds) {
    let places = Arc::new(Semaphore::new(bounds.connections));
    let peers = Arc::new(Peers::default());
    let counters = desk.counters.clone();
    // Connections end with this.
    let mut open = JoinSet::new();
    loop {
        while open.try_join_next().is_some() {}
        let Ok((stream, from)) = listener.accept().await else {
            // Out of descriptors, most likely: others may close some.
            sleep(Duration::from_millis(100)).await;
            continue;
        };
        let Ok(permit) = places.clone().try_acquire_owned() else {
            count(&counters.refused_connections);
            continue;
        };
        let Some(place) = peers.take(from.ip(), bounds.connections_per_peer, permit) else {
            count(&counters.refused_of_peer);
            continue;
        };
        count(&counters.connections);
        let (desk, counters) = (desk.clone(), counters.clone());
        open.spawn(async move {
            if !converse(stream, desk, &bounds).await {
                count(&counters.broken_connections);
            }
            drop(place);
        });
    }
}

/// Serves a connection; `false` if it broke off.
async fn converse(stream: TcpStream, desk: Arc<Desk>, bounds: &Bounds) -> bool {
    let one = service_fn(move |request| {
        let desk = desk.clone();
        async move { Ok::<_, Infallible>(desk.answer(request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(bounds.head_wait)
        .max_buf_size(bounds.head_bytes.max(8192))
        .max_header_size(bounds.head_bytes)
        .max_headers(bounds.head_lines)
        .serve_connection(TokioIo::new(stream), one);
    tokio::pin!(connection);
    tokio::select! {
        done = connection.as_mut() => return done.is_ok(),
        () = sleep(bounds.life) => {}
    }
    connection.as_mut().graceful_shutdown();
    timeout(bounds.head_wait, connection).await.is_ok_and(|done| done.is_ok())
}
