// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Real traffic for softflowd and pmacctd to measure: short UDP flows from ever new ports.

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, UdpSocket};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

/// First of the ports that echo, and how many.
const PORTS: (u16, u16) = (5000, 8);
/// Datagrams of one flow and their payload, large so that captures fill.
const BURST: usize = 8;
const PAYLOAD: [u8; 1200] = [0x5a; 1200];
/// Pause between two flows.
const PAUSE: Duration = Duration::from_millis(100);

/// Arguments of `telesteer-scene traffic`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Answer what comes in.
    #[arg(long)]
    echo: bool,
    /// Send flows to these addresses, in turn.
    #[arg(long, value_delimiter = ',')]
    to: Vec<IpAddr>,
}

/// Runs until killed.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    if args.echo {
        let mut threads = Vec::new();
        for port in PORTS.0..PORTS.0 + PORTS.1 {
            let socket = UdpSocket::bind(SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), port))?;
            threads.push(thread::spawn(move || echo(&socket)));
        }
        for thread in threads {
            thread.join().map_err(|_| anyhow::anyhow!("an echo thread broke off"))??;
        }
        return Ok(ExitCode::SUCCESS);
    }
    anyhow::ensure!(!args.to.is_empty(), "traffic needs --echo or --to");
    for (turn, &address) in (0_u16..=u16::MAX).cycle().zip(args.to.iter().cycle()) {
        // A port that does not answer (yet) is no reason to stop.
        let _ = flow(SocketAddr::new(address, PORTS.0 + turn % PORTS.1));
        thread::sleep(PAUSE);
    }
    Ok(ExitCode::SUCCESS)
}

fn echo(socket: &UdpSocket) -> io::Result<()> {
    let mut buffer = [0; 2048];
    loop {
        let (length, from) = socket.recv_from(&mut buffer)?;
        // The sender may be gone.
        let _ = socket.send_to(&buffer[..length], from);
    }
}

fn flow(to: SocketAddr) -> io::Result<()> {
    let any: IpAddr = if to.is_ipv4() { [0, 0, 0, 0].into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind(SocketAddr::new(any, 0))?;
    socket.set_read_timeout(Some(PAUSE))?;
    let mut buffer = [0; 2048];
    for _ in 0..BURST {
        socket.send_to(&PAYLOAD, to)?;
        socket.recv_from(&mut buffer)?;
    }
    Ok(())
}
