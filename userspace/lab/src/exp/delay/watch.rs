// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `hntes online` at the ingress router: beside a mirrored port, or behind exporter and collectors.

use super::point::Kind;
use super::{H, T_S};
use crate::error::{Result, odd};
use crate::exp::Bench;
use crate::net::Net;
use crate::process::Process;
use crate::telemetry::Telemetry;
use rustix::process::Signal;
use serde_json::Value;
use std::time::Duration;

/// Length of a mirror's bin, in seconds.
pub(super) const BIN_S: f64 = 0.2;
/// Seconds by which a report may be longer than asked for: the exporter looks once a second.
const GRACE: &str = "1.5";
/// Patience for programs to begin on an emulated machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// And to listen to a link once they run; too short only loses packets of flows that are not alpha.
const SETTLE: Duration = Duration::from_secs(3);

/// A flow that was found to be alpha.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Event {
    /// Source.
    pub(super) from: (String, u16),
    /// Destination.
    pub(super) to: (String, u16),
    /// IP protocol.
    pub(super) proto: u8,
}

/// What finds flows.
pub(super) struct Watch<'a> {
    bench: &'a Bench,
    net: &'a Net,
    online: Option<Process>,
    telemetry: Option<Telemetry>,
    /// Lines that were looked at.
    seen: usize,
}

impl<'a> Watch<'a> {
    /// Starts all that can be started before there is a flow.
    pub(super) fn start(bench: &'a Bench, net: &'a Net, kind: Kind) -> Result<Self> {
        let mut this = Self { bench, net, online: None, telemetry: None, seen: 0 };
        match kind {
            Kind::Mirror => {
                this.online = Some(this.online(&["--interface", "to-site1"], &BIN_S.to_string())?)
            }
            Kind::Reports(seconds) => {
                let telemetry = Telemetry::start(bench, net, seconds)?;
                let (slot, out) = (seconds.to_string(), telemetry.out().to_string_lossy());
                let input = ["--grace", GRACE, "--assume-sampling", "1", "--follow", &out];
                this.online = Some(this.online(&input, &slot)?);
                this.telemetry = Some(telemetry);
            }
        }
        // Until they listen to the link.
        std::thread::sleep(SETTLE);
        Ok(this)
    }

    fn online(&self, input: &[&str], slot: &str) -> Result<Process> {
        let hntes = self.bench.programs.join("hntes").to_string_lossy().into_owned();
        let (h, t) = (H.to_string(), T_S.to_string());
        let argv = [hntes.as_str(), "online", "--json", "--h", &h, "--t", &t, "--slot", slot];
        let argv = [&argv[..], input].concat();
        Process::start("online", Some(&self.net.pe1.name), &self.bench.work, &argv)
    }

    /// Flows found since the last call.
    pub(super) fn events(&mut self) -> Result<Vec<Event>> {
        if let Some(telemetry) = &mut self.telemetry {
            telemetry.must_run()?;
        }
        let Some(online) = &mut self.online else { return Ok(Vec::new()) };
        online.must_run()?;
        let text = online.printed();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let new: Vec<&str> = whole.lines().skip(self.seen).collect();
        self.seen += new.len();
        new.into_iter().filter_map(event).collect()
    }

    /// Ends all.
    pub(super) fn end(mut self) {
        if let Some(online) = &mut self.online {
            online.stop(Signal::TERM, PATIENCE);
        }
        if let Some(telemetry) = &mut self.telemetry {
            telemetry.end();
        }
    }
}

/// Reads a line of `hntes online`; none if it is not that a flow is alpha.
fn event(line: &str) -> Option<Result<Event>> {
    let value: Value = match serde_json::from_str(line) {
        Ok(value) => value,
        Err(error) => return Some(Err(odd("hntes online", format!("{error}: {line}")))),
    };
    if value["event"] != "alpha" {
        return None;
    }
    let read = || {
        let end = |addr: &str, port: &str| {
            let addr = value[addr].as_str()?.to_owned();
            Some((addr, u16::try_from(value[port].as_u64()?).ok()?))
        };
        let proto = u8::try_from(value["proto"].as_u64()?).ok()?;
        Some(Event { from: end("src", "src_port")?, to: end("dst", "dst_port")?, proto })
    };
    Some(read().ok_or_else(|| odd("hntes online", format!("no flow in {line}"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_alpha_counts() {
        let line = |event: &str| {
            format!(
                r#"{{"version":1,"event":"{event}","src":"10.1.1.1","dst":"10.2.1.1","proto":17,
                "src_port":20000,"dst_port":7000}}"#
            )
        };
        let found = event(&line("alpha")).unwrap().unwrap();
        assert_eq!((found.from.1, found.to.0.as_str(), found.proto), (20_000, "10.2.1.1", 17));
        assert!(event(&line("ended")).is_none());
        assert!(event("x").unwrap().is_err() && event(r#"{"event":"alpha"}"#).unwrap().is_err());
    }
}
