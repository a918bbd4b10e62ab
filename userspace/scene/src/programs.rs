// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The senders of a phase: FRR, softflowd and pmacctd on real traffic, and the replayed exporters.

use std::fs;
use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::error::{Error, Result, at};
use crate::load::Load;
use crate::net::{DOWNLINK, Net, PEER, PEER_LINK, ROUTER_INSIDE};
use crate::process::Process;

const BGPD_CONF: &str = include_str!("../../../vm/scene/bgpd.conf");
const PMACCTD_CONF: &str = include_str!("../../../vm/scene/pmacctd.conf");

/// How long a sender may take to end.
const STOP_MAX: Duration = Duration::from_secs(20);

/// Everything that sends.
#[derive(Debug)]
pub(crate) struct Programs {
    /// All generated exporters.
    pub replay: Process,
    /// Feeds FRR.
    feed: Process,
    bgpd: Process,
    softflowd: Process,
    pmacctd: Process,
    echo: Process,
    traffic: Process,
    paused: bool,
}

impl Programs {
    /// Starts all senders; `dir` is the phase's folder, `telesteer` the program under test.
    pub(crate) fn start(net: &Net, load: &Load, dir: &Path, telesteer: &str) -> Result<Self> {
        let own = std::env::current_exe().map_err(at(Path::new("/proc/self/exe")))?;
        let own = own.to_string_lossy().into_owned();
        let (conf, log) = (dir.join("conf"), dir.join("log"));
        let file = |name: &str, text: &str| -> Result<String> {
            let path = conf.join(name);
            fs::write(&path, text).map_err(at(&path))?;
            Ok(path.to_string_lossy().into_owned())
        };
        let load_file = file("load.toml", &load.toml())?;
        let bgpd_conf = file("bgpd.conf", BGPD_CONF)?;
        let pmacctd_conf = file("pmacctd.conf", PMACCTD_CONF)?;
        let start = |name: &str, space: &str, argv: &[&str]| {
            Process::start(name, space, argv, &log.join(format!("{name}.stderr")))
        };
        let echo = start("echo", &net.router, &[&own, "traffic", "--echo"])?;
        let vty = conf.to_string_lossy().into_owned();
        let pid_file = conf.join("bgpd.pid").to_string_lossy().into_owned();
        // -Z: no zebra is needed, routes go nowhere but to BMP.
        let bgpd = [
            "/usr/lib/frr/bgpd",
            "-Z",
            "-S",
            "-M",
            "bmp",
            "-f",
            &bgpd_conf,
            "-i",
            &pid_file,
            "--vty_socket",
            &vty,
            "-A",
            "127.0.0.1",
        ];
        let bgpd = start("bgpd", &net.router, &bgpd)?;
        let neighbor = format!("{}:179", ROUTER_INSIDE[0]);
        let (routes, churn) = (load.routes.to_string(), load.churn.to_string());
        let feed = [
            telesteer,
            "replay",
            "bgp",
            "--source",
            PEER,
            "--neighbor",
            &neighbor,
            "--routes",
            &routes,
            "--churn",
            &churn,
            "--progress",
        ];
        let feed = start("feed", &net.peer, &feed)?;
        let replay = start(
            "replay",
            &net.router,
            &[telesteer, "replay", "generate", "--config", &load_file, "--progress"],
        )?;
        // -C: full packets, or the kernel hands them over only every few minutes.
        fs::create_dir_all("/run/softflowd/chroot")
            .map_err(at(Path::new("/run/softflowd/chroot")))?;
        let pid_file = conf.join("softflowd.pid").to_string_lossy().into_owned();
        let softflowd = [
            "softflowd",
            "-d",
            "-i",
            PEER_LINK,
            "-n",
            "192.0.2.1:4739",
            "-v",
            "10",
            "-6",
            "-A",
            "milli",
            "-C",
            "1600",
            "-p",
            &pid_file,
            "-c",
            "none",
            "-t",
            "udp=2s",
            "-t",
            "general=2s",
            "-t",
            "maxlife=5s",
            "-t",
            "expint=1s",
            "-t",
            "icmp=2s",
            "not port 4739 and not port 179",
        ];
        let softflowd = start("softflowd", &net.peer, &softflowd)?;
        let pmacctd = start("pmacctd", &net.router, &["pmacctd", "-f", &pmacctd_conf])?;
        let to = ROUTER_INSIDE.join(",");
        let traffic = start("traffic", &net.peer, &[&own, "traffic", "--to", &to])?;
        debug_assert!(PMACCTD_CONF.contains(DOWNLINK));
        Ok(Self { replay, feed, bgpd, softflowd, pmacctd, echo, traffic, paused: false })
    }

    /// An error if one of them has ended.
    pub(crate) fn must_run(&mut self) -> Result<()> {
        if self.paused {
            return self.replay.must_run();
        }
        for process in [
            &mut self.replay,
            &mut self.feed,
            &mut self.bgpd,
            &mut self.softflowd,
            &mut self.pmacctd,
            &mut self.echo,
            &mut self.traffic,
        ] {
            process.must_run()?;
        }
        Ok(())
    }

    /// A counter of the generated load (`/bmp/connected`), 0 before the first report.
    pub(crate) fn counter(&self, pointer: &str) -> u64 {
        counter(&self.replay, pointer)
    }

    /// True when the whole table has been announced to FRR.
    pub(crate) fn table_sent(&self) -> bool {
        counter(&self.feed, "/bgp/tables_sent") > 0
    }

    /// Datagrams the generated exporters have sent.
    pub(crate) fn datagrams(&self) -> u64 {
        ["/ipfix/datagrams", "/netflow9/datagrams", "/notif/datagrams"]
            .iter()
            .map(|pointer| self.counter(pointer))
            .sum()
    }

    /// Stops all sending but leaves BMP sessions open: what is on its way can still arrive.
    pub(crate) fn pause(&mut self) {
        self.paused = true;
        self.traffic.stop(Signal::KILL, STOP_MAX);
        // Both send their open flows when they end.
        self.softflowd.stop(Signal::TERM, STOP_MAX);
        self.pmacctd.stop(Signal::INT, STOP_MAX);
        self.bgpd.signal(Signal::STOP);
        self.replay.signal(Signal::USR1);
    }

    /// Ends everything and returns what the replayed exporters say they sent.
    pub(crate) fn finish(mut self) -> Result<Value> {
        self.replay.stop(Signal::TERM, STOP_MAX);
        let last = self.replay.last_line();
        serde_json::from_str(&last).map_err(|error| Error::Odd {
            what: format!("last words of replay: {last:?}"),
            why: error.to_string(),
        })
    }
}

fn counter(process: &Process, pointer: &str) -> u64 {
    let line: Value = serde_json::from_str(&process.last_line()).unwrap_or_default();
    line.pointer(pointer).and_then(Value::as_u64).unwrap_or(0)
}
