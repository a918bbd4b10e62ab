// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Opens every socket of the collector: each service on each address, all options set before the
//! socket can receive anything.

use std::{io, net::SocketAddr, os::fd::OwnedFd, sync::Arc};

use anyhow::Context;
use telesteer_sys::{bound, listen::Unbound};

use crate::{
    metrics::{Counter, SocketRow},
    settings::Settings,
    steer::{Plan, Transport},
};

/// Connections that may wait for `accept`; the kernel bounds it by `net.core.somaxconn`.
const BACKLOG: i32 = 4096;

/// An open socket and its row in the metrics.
#[derive(Debug, Clone)]
pub struct Listener {
    /// The socket.
    pub socket: Arc<OwnedFd>,
    /// Its numbers; `service` says what it is for.
    pub row: Arc<SocketRow>,
    /// Its receive buffer in the kernel's count.
    pub buffer: usize,
}

/// All sockets.
#[derive(Debug, Default)]
pub struct Listeners {
    /// BMP listeners.
    pub tcp: Vec<Listener>,
    /// Flow and UDP-notif sockets.
    pub udp: Vec<Listener>,
    /// Addresses of the default list whose family this host lacks, for a message.
    pub skipped: Vec<String>,
}

/// Opens everything in `settings`, the TCP listeners last: what is steered by address should find
/// the UDP side ready.
///
/// # Errors
///
/// The first socket that cannot be had, with its service and address.
pub fn open(settings: &Settings, plan: &Plan) -> anyhow::Result<Listeners> {
    let services = [
        ("ipfix", Transport::Udp, settings.ipfix_port),
        ("netflow", Transport::Udp, settings.netflow_port),
        ("notif", Transport::Udp, settings.notif_port),
        ("bmp", Transport::Tcp, settings.bmp_port),
    ];
    let mut all = Listeners::default();
    for (service, transport, port) in services.into_iter().filter(|(_, _, port)| *port != 0) {
        for ip in &settings.listen {
            let addr = SocketAddr::new(*ip, port);
            match one(settings, plan, service, transport, addr) {
                Ok(listener) if transport == Transport::Tcp => all.tcp.push(listener),
                Ok(listener) => all.udp.push(listener),
                Err(error) if ip.is_unspecified() && lacks_family(&error) => {
                    all.skipped.push(addr.to_string());
                }
                Err(error) => return Err(error.context(format!("{service} on {addr}"))),
            }
        }
    }
    if all.tcp.is_empty() && all.udp.is_empty() {
        anyhow::bail!("none of the addresses can be listened on: {}", all.skipped.join(", "));
    }
    Ok(all)
}

fn one(
    settings: &Settings,
    plan: &Plan,
    service: &'static str,
    transport: Transport,
    addr: SocketAddr,
) -> anyhow::Result<Listener> {
    let socket = match transport {
        Transport::Tcp => Unbound::tcp(addr)?,
        Transport::Udp => Unbound::udp(addr)?,
    };
    // Peeking never lets the kernel grow a buffer: on TCP its size decides what message fits.
    let buffer = socket.receive_buffer(settings.rcvbuf)?;
    plan.before_bind(&socket, transport)?;
    let socket = match transport {
        Transport::Tcp => socket.listen(BACKLOG)?,
        Transport::Udp => socket.bind()?,
    };
    plan.after_bind(&socket, transport, addr)?;
    let addr = bound::local_addr(&socket).context("getsockname")?;
    let socket = Arc::new(socket);
    let row = Arc::new(SocketRow {
        service,
        addr,
        kernel_drops: Counter::default(),
        received: Counter::default(),
        socket: Arc::downgrade(&socket),
    });
    Ok(Listener { socket, row, buffer })
}

/// EAFNOSUPPORT, or EADDRNOTAVAIL of a family that is switched off.
fn lacks_family(error: &anyhow::Error) -> bool {
    const EAFNOSUPPORT: i32 = 97;
    error.downcast_ref::<io::Error>().is_some_and(|e| {
        e.raw_os_error() == Some(EAFNOSUPPORT) || e.kind() == io::ErrorKind::AddrNotAvailable
    })
}
