// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `telesteer-scene get`: fetches a page over HTTP from inside a namespace.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, ensure};

/// How long connecting and reading may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The largest answer that is read, in bytes.
const ANSWER_MAX: u64 = 16 << 20;

/// Arguments of `telesteer-scene get`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Address and port.
    address: SocketAddr,
    /// Path of the page.
    path: String,
}

/// Prints the body.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let mut stream = TcpStream::connect_timeout(&args.address, PATIENCE)
        .with_context(|| format!("connect to {}", args.address))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET {} HTTP/1.0\r\nHost: {}\r\n\r\n", args.path, args.address)?;
    let mut answer = String::new();
    stream.take(ANSWER_MAX).read_to_string(&mut answer).context("read the answer")?;
    let (head, body) = answer.split_once("\r\n\r\n").context("an answer without a header")?;
    ensure!(head.split(' ').nth(1) == Some("200"), "{}", head.lines().next().unwrap_or_default());
    print!("{body}");
    Ok(ExitCode::SUCCESS)
}
