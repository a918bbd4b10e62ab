// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a running collector says about its exporters: `GET /status`.

use std::{
    collections::HashMap,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use anyhow::{Context, bail};
use serde::Deserialize;

/// Time for connecting, for asking, and between two pieces of an answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Longest answer.
const ANSWER: u64 = 16 << 20;

/// The part of `/status` that is of use here.
#[derive(Debug, Deserialize)]
pub struct Status {
    /// The collector's instance, its member id.
    pub instance: u64,
    sockets: Vec<Socket>,
    exporters: Vec<Exporter>,
    exporters_known: u64,
}

#[derive(Debug, Deserialize)]
struct Socket {
    service: String,
    addr: SocketAddr,
}

#[derive(Debug, Deserialize)]
struct Exporter {
    service: String,
}

impl Status {
    /// Asks the collector that serves its metrics at `addr`.
    ///
    /// # Errors
    ///
    /// If nobody answers there, or somebody else does.
    pub fn ask(addr: SocketAddr) -> anyhow::Result<Self> {
        let mut stream = TcpStream::connect_timeout(&addr, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        write!(stream, "GET /status HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.take(ANSWER).read_to_string(&mut answer)?;
        Self::parse(&answer)
    }

    fn parse(answer: &str) -> anyhow::Result<Self> {
        let (head, body) = answer.split_once("\r\n\r\n").context("no HTTP answer")?;
        let line = head.lines().next().unwrap_or_default();
        if line.split(' ').nth(1) != Some("200") {
            bail!("{line}");
        }
        serde_json::from_str(body).context("not the status of a collector")
    }

    /// Exporters heard at the socket bound to `local`, if the collector has it.
    ///
    /// The collector counts by service and address of the exporter: with several sockets of one
    /// service each shows the sum. None too if the list it gives is not whole.
    pub fn exporters(&self, local: SocketAddr) -> Option<u64> {
        let socket = self.sockets.iter().find(|socket| socket.addr == local)?;
        let mut by_service = HashMap::<&str, u64>::new();
        for exporter in &self.exporters {
            *by_service.entry(&exporter.service).or_default() += 1;
        }
        (self.exporters_known == self.exporters.len() as u64)
            .then(|| by_service.get(socket.service.as_str()).copied().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = r#"{"instance":3,"mode":"x","sockets":[
        {"service":"ipfix","addr":"127.0.0.1:4739","received":7},
        {"service":"notif","addr":"127.0.0.1:10003"}],
        "exporters":[{"service":"ipfix","exporter":"192.0.2.1"},{"service":"bmp"},
        {"service":"ipfix"}],"exporters_known":3}"#;

    fn status(body: &str) -> anyhow::Result<Status> {
        Status::parse(&format!("HTTP/1.1 200 OK\r\nContent-Type: x\r\n\r\n{body}"))
    }

    #[test]
    fn exporters_are_counted_by_the_service_of_the_socket() {
        let found = status(BODY).unwrap();
        assert_eq!(found.instance, 3);
        let at = |addr: &str| found.exporters(addr.parse().unwrap());
        assert_eq!(at("127.0.0.1:4739"), Some(2));
        assert_eq!(at("127.0.0.1:10003"), Some(0));
        assert_eq!(at("127.0.0.1:2055"), None);
    }

    #[test]
    fn half_a_list_is_no_count() {
        let found = status(&BODY.replace("\"exporters_known\":3", "\"exporters_known\":9"));
        assert_eq!(found.unwrap().exporters("127.0.0.1:4739".parse().unwrap()), None);
    }

    #[test]
    fn other_answers_are_errors() {
        assert!(status("{}").is_err());
        assert!(Status::parse("HTTP/1.1 404 Not Found\r\n\r\n{}").is_err());
        assert!(Status::parse("SSH-2.0\r\n").is_err());
    }
}
