// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Captures on a link: tcpdump with a large buffer and full packets.

use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::process::Process;

/// Kernel buffer in KiB.
const BUFFER_KIB: &str = "65536";

/// A running capture.
#[derive(Debug)]
pub(crate) struct Capture {
    name: String,
    process: Process,
}

impl Capture {
    /// Starts to capture on `link` in the namespace `space` into `dir/NAME.pcap`; wait for
    /// [`Capture::listening`].
    pub(crate) fn start(space: &str, link: &str, dir: &Path, name: &str) -> Result<Self> {
        let file = dir.join(format!("{name}.pcap")).to_string_lossy().into_owned();
        let argv =
            ["tcpdump", "-Z", "root", "-n", "-i", link, "-s", "0", "-B", BUFFER_KIB, "-w", &file];
        let log = dir.join(format!("log/tcpdump-{name}.stderr"));
        let process = Process::start(&format!("tcpdump of {name}"), space, &argv, &log)?;
        Ok(Self { name: name.to_owned(), process })
    }

    /// The name it was started with.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// True when packets are being captured.
    pub(crate) fn listening(&mut self) -> Result<bool> {
        self.process.must_run()?;
        Ok(self.process.talk().contains("listening on"))
    }

    /// Ends the capture; its statistics, for `capture.json`.
    pub(crate) fn finish(mut self) -> Result<Value> {
        self.process.stop(Signal::INT, Duration::from_secs(30));
        statistics(&self.process.talk())
    }
}

/// Reads tcpdump's last words.
fn statistics(talk: &str) -> Result<Value> {
    let count = |words: &str| {
        talk.lines().find_map(|line| line.trim().strip_suffix(words)?.trim().parse::<u64>().ok())
    };
    let plural = |one: &str, many: &str| count(many).or_else(|| count(one));
    let odd = || Error::Odd { what: "tcpdump's statistics".to_owned(), why: format!("{talk:?}") };
    let captured = plural(" packet captured", " packets captured").ok_or_else(odd)?;
    let received =
        plural(" packet received by filter", " packets received by filter").ok_or_else(odd)?;
    let kernel =
        plural(" packet dropped by kernel", " packets dropped by kernel").ok_or_else(odd)?;
    let interface =
        plural(" packet dropped by interface", " packets dropped by interface").unwrap_or(0);
    Ok(json!({
        "captured": captured,
        "received_by_filter": received,
        "dropped_by_kernel": kernel,
        "dropped_by_interface": interface,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_are_read_and_their_absence_is_an_error() {
        let talk = "tcpdump: listening on x0\n518 packets captured\n519 packets received by filter\n7 packets dropped by kernel\n";
        let read = statistics(talk).unwrap();
        assert_eq!((&read["captured"], &read["dropped_by_kernel"]), (&json!(518), &json!(7)));
        assert!(statistics("tcpdump: listening on x0\n").is_err());
    }
}
