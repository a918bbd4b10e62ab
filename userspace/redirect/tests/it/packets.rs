// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Numbered datagrams, and a receiver that says by which link each of them came. This shares nothing
//! with what it judges.

use crate::space::Space;
use socket2::{Domain, Socket, Type};
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, Scope, ScopedJoinHandle};
use std::time::Duration;

/// Bytes a socket may hold while its reader does not run.
const BUFFER: usize = 4 << 20;
/// How often somebody who waits looks up.
const LOOK: Duration = Duration::from_millis(20);
/// Looks at an empty socket before a receiver takes it that nothing more is on its way.
const QUIET: u32 = 25;

/// From where to where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flow {
    pub(crate) from: SocketAddr,
    pub(crate) to: SocketAddr,
}

/// What came of one flow: by link, the numbers in the order in which they came.
pub(crate) type Came = BTreeMap<&'static str, Vec<u64>>;

/// Sends one datagram of every flow in turn, until told to stop. Gives how many rounds it made.
pub(crate) struct Sender<'scope> {
    pub(crate) rounds: &'scope AtomicU64,
    pub(crate) stop: &'scope AtomicBool,
}

impl<'scope> Sender<'scope> {
    pub(crate) fn start(
        self,
        scope: &'scope Scope<'scope, '_>,
        space: &'scope Space,
        flows: &'scope [Flow],
        pause: Duration,
    ) -> ScopedJoinHandle<'scope, u64> {
        scope.spawn(move || {
            space.enter();
            let sockets: Vec<UdpSocket> = flows
                .iter()
                .map(|flow| {
                    let socket = UdpSocket::bind(flow.from).unwrap();
                    socket.connect(flow.to).unwrap();
                    socket
                })
                .collect();
            let mut number = 0_u64;
            while !self.stop.load(Ordering::Acquire) {
                for (flow, socket) in (0_u32..).zip(&sockets) {
                    let bytes = [&flow.to_be_bytes()[..], &number.to_be_bytes()].concat();
                    // An unreachable port would be told here; the receiver has them all.
                    socket.send(&bytes).unwrap();
                }
                number += 1;
                self.rounds.store(number, Ordering::Release);
                thread::sleep(pause);
            }
            number
        })
    }
}

/// Receives until told to stop and until nothing more comes.
pub(crate) fn receive<'scope>(
    scope: &'scope Scope<'scope, '_>,
    space: &'scope Space,
    ports: &[SocketAddr],
    links: [&'static str; 2],
    flows: usize,
    stop: &'scope AtomicBool,
) -> ScopedJoinHandle<'scope, Vec<Came>> {
    let sockets: Vec<(&'static str, UdpSocket)> = space.within(|| {
        let all = ports.iter().flat_map(|port| links.map(|link| (link, *port)));
        all.map(|(link, port)| (link, open(link, port))).collect()
    });
    scope.spawn(move || {
        let readers: Vec<_> = sockets
            .into_iter()
            .map(|(link, socket)| scope.spawn(move || (link, read(&socket, flows, stop))))
            .collect();
        let mut all = vec![Came::new(); flows];
        for reader in readers {
            let (link, by_flow) = reader.join().unwrap();
            for (came, numbers) in all.iter_mut().zip(by_flow) {
                came.entry(link).or_default().extend(numbers);
            }
        }
        all
    })
}

/// A socket that takes what comes to `port` by `link` only.
fn open(link: &str, port: SocketAddr) -> UdpSocket {
    let socket = Socket::new(Domain::for_address(port), Type::DGRAM, None).unwrap();
    socket.set_reuse_address(true).unwrap();
    socket.bind_device(Some(link.as_bytes())).unwrap();
    socket.set_recv_buffer_size(BUFFER).unwrap();
    socket.set_read_timeout(Some(LOOK)).unwrap();
    socket.bind(&port.into()).unwrap();
    socket.into()
}

fn read(socket: &UdpSocket, flows: usize, stop: &AtomicBool) -> Vec<Vec<u64>> {
    let mut by_flow = vec![Vec::new(); flows];
    let (mut bytes, mut quiet) = ([0; 64], 0);
    while quiet < QUIET {
        match socket.recv(&mut bytes) {
            Ok(12) => {
                quiet = 0;
                let flow = u32::from_be_bytes(bytes[..4].try_into().unwrap());
                let number = u64::from_be_bytes(bytes[4..12].try_into().unwrap());
                by_flow[flow as usize].push(number);
            }
            Ok(length) => panic!("a datagram of {length} bytes"),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                quiet += u32::from(stop.load(Ordering::Acquire));
            }
            Err(error) => panic!("receiving: {error}"),
        }
    }
    by_flow
}
