// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Numbered datagrams: who sends them, and what keeps their ports from refusing them.

use crate::error::{Result, odd};
use crate::space::Space;
use rustix::thread::{CpuSet, sched_getcpu, sched_setaffinity};
use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};

/// First octets of a payload; the flow's number, 4 octets, and the datagram's, 8, follow.
pub(crate) const MAGIC: [u8; 4] = *b"TSLB";
/// Octets of the shortest payload.
pub(crate) const LEAST: usize = 16;
/// How far a sender may fall behind before it leaves out what it missed.
const BEHIND: Duration = Duration::from_millis(50);

/// One flow: addresses with ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Flow {
    /// From.
    pub(crate) from: (String, u16),
    /// To.
    pub(crate) to: (String, u16),
}

impl Flow {
    /// From a host and port to a host and port.
    pub(crate) fn new(from: &str, from_port: u16, to: &str, to_port: u16) -> Self {
        Self { from: (from.to_owned(), from_port), to: (to.to_owned(), to_port) }
    }
}

/// How flows are sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// From one round, a datagram of each flow, to the next.
    pub(crate) every: Duration,
    /// Octets of a payload, at least [`LEAST`].
    pub(crate) octets: usize,
}

/// A sender under way: rounds so far, and a flag that ends it.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    rounds: AtomicU64,
    halt: AtomicBool,
}

impl Progress {
    /// Waits until so many more rounds have gone out.
    ///
    /// # Errors
    ///
    /// If they do not within a minute.
    pub(crate) fn wait(&self, more: u64) -> Result<()> {
        let goal = self.rounds.load(Ordering::Acquire) + more;
        crate::process::until("datagrams to be sent", Duration::from_secs(60), || {
            Ok(self.rounds.load(Ordering::Acquire) >= goal)
        })
    }
}

/// Calls `during` while flows are sent from `space`; gives what it gave and the rounds that went out.
///
/// # Errors
///
/// The sender's, else those of `during`.
pub(crate) fn under<T>(
    space: &Space,
    flows: &[Flow],
    pace: Pace,
    during: impl FnOnce(&Progress) -> Result<T>,
) -> Result<(T, u64)> {
    let progress = Progress::default();
    thread::scope(|scope| {
        let sending = send(scope, space, flows, pace, &progress);
        let done = progress.wait(20).and_then(|()| during(&progress));
        progress.halt.store(true, Ordering::Release);
        let sent = match sending.join() {
            Ok(sent) => sent?,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        Ok((done?, sent))
    })
}

/// Sends one datagram of each flow in turn from `space` until told to stop; gives the rounds made.
fn send<'scope>(
    scope: &'scope Scope<'scope, '_>,
    space: &'scope Space,
    flows: &'scope [Flow],
    pace: Pace,
    progress: &'scope Progress,
) -> ScopedJoinHandle<'scope, Result<u64>> {
    scope.spawn(move || {
        space.enter()?;
        stay()?;
        let sockets: Vec<UdpSocket> = flows.iter().map(open).collect::<Result<_>>()?;
        let mut bytes = vec![0; pace.octets.max(LEAST)];
        let mut due = Instant::now();
        let mut number = 0_u64;
        while !progress.halt.load(Ordering::Acquire) {
            for (flow, socket) in (0_u32..).zip(&sockets) {
                let head = [&MAGIC[..], &flow.to_be_bytes(), &number.to_be_bytes()].concat();
                bytes[..LEAST].copy_from_slice(&head);
                socket.send(&bytes).map_err(|error| odd("sending a datagram", error))?;
            }
            number += 1;
            progress.rounds.store(number, Ordering::Release);
            due += pace.every;
            match due.checked_duration_since(Instant::now()) {
                Some(rest) => thread::sleep(rest),
                None if due.elapsed() > BEHIND => due = Instant::now(),
                None => {}
            }
        }
        Ok(number)
    })
}

/// Keeps the calling thread on one processor, and so all the way of what it sends, as a network card keeps
/// a flow. Else a packet may be on its way on one of them while later ones overtake it on another: two of
/// 10 651 were out of order by that, and not by a route.
fn stay() -> Result<()> {
    let mut one = CpuSet::new();
    one.set(sched_getcpu());
    sched_setaffinity(None, &one).map_err(|error| odd("keeping to one processor", error))
}

fn open(flow: &Flow) -> Result<UdpSocket> {
    let whose = |error| odd(format!("a socket for {flow:?}"), error);
    let socket = UdpSocket::bind((flow.from.0.as_str(), flow.from.1)).map_err(whose)?;
    socket.connect((flow.to.0.as_str(), flow.to.1)).map_err(whose)?;
    Ok(socket)
}

/// Ports that take datagrams and let them fall: captures count, nobody else.
#[derive(Debug)]
pub(crate) struct Sink {
    _sockets: Vec<UdpSocket>,
}

impl Sink {
    /// Opens `ports` in a namespace, on all its addresses.
    pub(crate) fn open(space: &Space, ports: &[u16]) -> Result<Self> {
        let open = |port: &u16| {
            UdpSocket::bind(("0.0.0.0", *port)).map_err(|error| odd(format!("port {port}"), error))
        };
        let sockets = space.within(|| ports.iter().map(open).collect::<Result<Vec<_>>>())??;
        Ok(Self { _sockets: sockets })
    }
}
