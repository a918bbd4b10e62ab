// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A server of the anycast scene: its `telesteer announce`, started and told to leave.

use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;

use crate::collectors::metrics_port;
use crate::error::{Error, Result};
use crate::process::Process;

use super::net::PREFIXES;
use super::routing::{GOBGP_API, Speaker};

/// How long an `announce` may take to withdraw and end. A withdrawal through vtysh is six commands,
/// and a command that is stopped begins anew: patience is cheaper.
const LEAVE_MAX: Duration = Duration::from_secs(800);

/// A running `telesteer announce`.
#[derive(Debug)]
pub(crate) struct Announce {
    /// The process; its last line is an event.
    pub process: Process,
}

impl Announce {
    /// Starts it in the server's namespace, watching the collectors with these instance numbers.
    pub(crate) fn start(
        telesteer: &str,
        space: &str,
        speaker: &Speaker,
        instances: &[u32],
        log: &Path,
    ) -> Result<Self> {
        let mut argv: Vec<String> = [
            telesteer,
            "announce",
            "--json",
            "--group",
            "tcp:1790",
            "--interval",
            "500",
            "--rise",
            "2",
            // A busy guest answers late; nothing restarts here.
            "--fall",
            "120",
            "--audit",
            "60000",
            "--hold",
            "500",
            "--linger",
            "300",
            "--command-limit",
            "120000",
            "--drain-limit",
            "600000",
            "--patience",
            "5000",
        ]
        .map(str::to_owned)
        .to_vec();
        for prefix in PREFIXES {
            argv.extend(["--prefix", prefix].map(str::to_owned));
        }
        for &instance in instances {
            argv.extend(["--watch".to_owned(), format!("127.0.0.1:{}", metrics_port(instance))]);
        }
        match speaker {
            Speaker::Frr(socket, asn) => {
                let (socket, asn) = (socket.to_string_lossy().into_owned(), asn.to_string());
                argv.extend(
                    ["--via", "frr", "--asn", &asn, "--vty-socket", &socket].map(str::to_owned),
                );
            }
            Speaker::GoBgp => {
                argv.extend(["--via", "gobgp", "--gobgp-api", GOBGP_API].map(str::to_owned));
            }
        }
        let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
        Ok(Self { process: Process::start("announce", space, &argv, log)? })
    }

    /// Tells it to withdraw and waits for its end.
    pub(crate) fn leave(self) -> Result<()> {
        Self::leave_all([self])
    }

    /// Tells all of these to withdraw and waits for their ends.
    pub(crate) fn leave_all(all: impl IntoIterator<Item = Self>) -> Result<()> {
        let told = all.into_iter().inspect(|one| one.process.signal(Signal::TERM));
        for Self { mut process } in told.collect::<Vec<_>>() {
            let status = process.reap(LEAVE_MAX);
            if status.and_then(|status| status.code()) != Some(0) {
                let why = format!("{status:?}: {} {}", process.last_line(), process.talk());
                return Err(Error::Odd { what: "announce after SIGTERM".to_owned(), why });
            }
        }
        Ok(())
    }
}
