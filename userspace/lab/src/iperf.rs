// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Alpha flows by iperf3: one server and one client, and what they say of it.

use crate::error::{Result, odd};
use crate::process::{Process, until};
use crate::space::Space;
use serde_json::Value;
use std::path::Path;
use std::time::Duration;

/// Patience for a program to begin or end on an emulated machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan<'a> {
    /// From this address.
    pub(crate) from: &'a str,
    /// And this port, if it must be known; the connection of control has another. One of TCP cannot be
    /// used again for a minute.
    pub(crate) from_port: Option<u16>,
    /// To this address.
    pub(crate) to: &'a str,
    /// And this port.
    pub(crate) port: u16,
    /// For so long.
    pub(crate) seconds: u32,
    /// At this rate; as fast as it goes if none.
    pub(crate) mbps: Option<f64>,
    /// UDP instead of TCP.
    pub(crate) udp: bool,
}

/// A run under way.
#[derive(Debug)]
pub(crate) struct Iperf {
    server: Process,
    client: Process,
    longest: Duration,
}

/// What iperf3 says.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Said {
    /// Bytes sent.
    pub(crate) sent: u64,
    /// Bytes that the receiver had.
    pub(crate) received: u64,
    /// Segments sent again; 0 of UDP.
    pub(crate) retransmits: u64,
}

impl Iperf {
    /// Begins to send from `near` to `far`.
    ///
    /// # Errors
    ///
    /// If iperf3 does not start.
    pub(crate) fn start(near: &Space, far: &Space, dir: &Path, plan: &Plan<'_>) -> Result<Self> {
        let port = plan.port.to_string();
        let name = format!("iperf-server-{port}");
        // Else it answers UDP from the address that is nearest to the client, who does not listen to it.
        let argv = ["iperf3", "-s", "-1", "-B", plan.to, "-p", &port, "--forceflush"];
        let mut server = Process::start(&name, Some(&far.name), dir, &argv)?;
        until(&name, PATIENCE, || {
            server.must_run()?;
            Ok(server.printed().contains("Server listening"))
        })?;
        let (from_port, seconds) =
            (plan.from_port.map(|port| port.to_string()), plan.seconds.to_string());
        // 0 is as fast as it goes, for UDP too.
        let rate = plan.mbps.map_or("0".to_owned(), |mbps| format!("{:.0}", mbps * 1e6));
        let mut argv = vec![
            "iperf3", "-c", plan.to, "-p", &port, "-B", plan.from, "-t", &seconds, "-b", &rate,
            "--json",
        ];
        argv.extend(from_port.iter().flat_map(|port| ["--cport", port]));
        match (plan.udp, plan.mbps) {
            (true, _) => argv.extend(["-u", "-l", "1400"]),
            // Else a rate is that of bursts of 128 KiB.
            (false, Some(_)) => argv.extend(["-l", "1448"]),
            (false, None) => {}
        }
        let client = Process::start(&format!("iperf-client-{port}"), Some(&near.name), dir, &argv)?;
        let longest = Duration::from_secs(plan.seconds.into()) + PATIENCE;
        Ok(Self { server, client, longest })
    }

    /// Waits until the flow's two ends know one another.
    ///
    /// # Errors
    ///
    /// If the client ends before that.
    pub(crate) fn connected(&mut self) -> Result<()> {
        until("iperf3 to connect", PATIENCE, || {
            self.client.must_run()?;
            Ok(self.server.printed().contains("connected to"))
        })
    }

    /// An error if it has ended before its time.
    pub(crate) fn must_run(&mut self) -> Result<()> {
        self.client.must_run()
    }

    /// Waits for its end.
    ///
    /// # Errors
    ///
    /// If iperf3 failed.
    pub(crate) fn finish(mut self) -> Result<Said> {
        self.client.finish(self.longest)?;
        self.server.finish(PATIENCE)?;
        said(&self.client.printed())
    }
}

/// Reads iperf3's JSON.
fn said(text: &str) -> Result<Said> {
    let value: Value = serde_json::from_str(text).map_err(|error| odd("iperf3's JSON", error))?;
    let end = &value["end"];
    let number = |of: &Value| of.as_u64();
    // Of UDP there is one sum, of the sender.
    let sent = number(&end["sum_sent"]["bytes"]).or(number(&end["sum"]["bytes"]));
    let sent = sent.ok_or_else(|| odd("iperf3's JSON", "no sum of bytes sent"))?;
    Ok(Said {
        sent,
        received: number(&end["sum_received"]["bytes"]).unwrap_or(0),
        retransmits: number(&end["sum_sent"]["retransmits"]).unwrap_or(0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_iperf3_says() {
        let tcp = r#"{"end":{"sum_sent":{"bytes":9,"retransmits":2},"sum_received":{"bytes":8}}}"#;
        assert_eq!(said(tcp).unwrap(), Said { sent: 9, received: 8, retransmits: 2 });
        let udp = r#"{"end":{"sum":{"bytes":7}}}"#;
        assert_eq!(said(udp).unwrap().sent, 7);
        assert!(said(r#"{"error":"no route"}"#).is_err() && said("").is_err());
    }
}
