// SPDX-License-Identifier: Apache-2.0 OR MIT
//! BMP throughput: TCP loses nothing, so a given number of messages is sent and the CPU time
//! until the receiver has come to rest is taken.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde::Serialize;
use socket2::{Domain, Socket, Type};

use super::peers::{self, BMP_PORT, Running};
use crate::storm::load::{Count, GROUP, Load};

/// Sessions the messages are spread over.
const SESSIONS: u8 = 8;

/// What a receiver made of the messages.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Found {
    /// The receiver.
    pub(crate) receiver: String,
    /// Messages sent.
    pub(crate) messages: u64,
    /// Bytes sent.
    pub(crate) bytes: u64,
    /// Seconds until it had come to rest.
    pub(crate) seconds: f64,
    /// CPU seconds of the receiver.
    pub(crate) cpu: f64,
    /// Lines it should have written: one a message, or one a route.
    pub(crate) given: u64,
    /// Lines it wrote.
    pub(crate) kept: u64,
}

impl Found {
    /// Messages per CPU-second.
    pub(crate) fn per_cpu(&self) -> f64 {
        self.messages as f64 / self.cpu.max(0.01)
    }
}

/// Sends `messages` messages, or a few more.
pub(crate) fn run(messages: u64, running: &mut Running) -> Result<Found> {
    let mut sessions = Vec::new();
    for number in 0..SESSIONS {
        sessions.push((connect(number)?, Load::new(7, u64::from(number)), 0u64));
    }
    let (mut sent, mut bytes) = (Count::default(), 0);
    let (start, cpu) = (Instant::now(), running.cpu()?);
    while sent.messages < messages {
        for (stream, load, offset) in &mut sessions {
            let group = load.at(*offset);
            stream.write_all(group).context("write")?;
            sent.add(&Count::of(group));
            *offset += GROUP;
            bytes += GROUP;
        }
    }
    running.rest(Duration::from_secs(300))?;
    let seconds = start.elapsed().as_secs_f64();
    let cpu = running.cpu()?.saturating_sub(cpu).as_secs_f64();
    drop(sessions);
    running.stop()?;
    eprintln!(
        "bench: {:10} {} BMP messages in {seconds:.1} s, {cpu:.2} CPU s",
        running.receiver.name, sent.messages
    );
    Ok(Found {
        receiver: running.receiver.name.to_string(),
        messages: sent.messages,
        bytes,
        seconds,
        cpu,
        given: peers::expected(&running.receiver, &sent),
        kept: running.counted()?,
    })
}

fn connect(number: u8) -> Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).context("socket")?;
    let own = SocketAddr::from((Ipv4Addr::new(127, 9, 1, number + 1), 0));
    socket.bind(&own.into()).context("bind")?;
    let target = SocketAddr::from((Ipv4Addr::LOCALHOST, BMP_PORT));
    socket.connect(&target.into()).context("connect")?;
    Ok(socket.into())
}
