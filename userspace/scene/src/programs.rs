// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The senders of a phase: FRR, GoBGP and BIRD with a neighbour each, softflowd, pmacctd and Open
//! vSwitch on real traffic, and the replayed exporters.

mod switch;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::anycast::net::{Net, PEER, PEER_LINK, ROUTER_INSIDE, ROUTER_SWITCHED, Routers};
use crate::error::{Error, Result, at};
use crate::load::Load;
use crate::process::Process;

const BGPD_CONF: &str = include_str!("../../../vm/scene/bgpd.conf");
const GOBGPD_CONF: &str = include_str!("../../../vm/scene/gobgpd.toml");
const BIRD_CONF: &str = include_str!("../../../vm/scene/bird.conf");
const PMACCTD_CONF: &str = include_str!("../../../vm/scene/pmacctd.conf");

/// How long a sender may take to end.
const STOP_MAX: Duration = Duration::from_secs(20);
/// Routes and changed routes per second of the routers beside FRR.
const FEW_ROUTES: [&str; 2] = ["100", "4"];

/// What ends a sender when the load is paused.
#[derive(Clone, Copy, Debug)]
enum Pause {
    /// It ends by this signal, and may say a last word.
    End(Signal),
    /// It is frozen: its session stays open.
    Freeze,
    /// It goes on; nobody listens to it any more.
    Stay,
}

/// Everything that sends.
#[derive(Debug)]
pub(crate) struct Programs {
    /// All generated exporters.
    pub replay: Process,
    /// Feeds FRR.
    feed: Process,
    /// In the order they are paused.
    real: Vec<(Process, Pause)>,
    switch: Option<switch::Switch>,
    paused: bool,
}

/// Where a phase's senders live and leave their words.
struct Stage<'a> {
    net: &'a Net,
    conf: PathBuf,
    log: PathBuf,
    telesteer: &'a str,
}

impl Stage<'_> {
    fn file(&self, name: &str, text: &str) -> Result<String> {
        let path = self.conf.join(name);
        fs::write(&path, text).map_err(at(&path))?;
        Ok(path.to_string_lossy().into_owned())
    }

    fn path(&self, name: &str) -> String {
        self.conf.join(name).to_string_lossy().into_owned()
    }

    fn start(&self, name: &str, space: &str, argv: &[&str]) -> Result<Process> {
        Process::start(name, space, argv, &self.log.join(format!("{name}.stderr")))
    }

    /// A BGP neighbour that announces so many routes and changes so many a second.
    fn feed(
        &self,
        name: &str,
        space: &str,
        (source, to): (&str, &str),
        [routes, churn]: [&str; 2],
    ) -> Result<Process> {
        let neighbor = format!("{to}:179");
        let argv = [
            self.telesteer,
            "replay",
            "bgp",
            "--source",
            source,
            "--neighbor",
            &neighbor,
            "--routes",
            routes,
            "--churn",
            churn,
            "--progress",
        ];
        self.start(name, space, &argv)
    }
}

impl Programs {
    /// Starts all senders; `dir` is the phase's folder, `telesteer` the program under test.
    pub(crate) fn start(net: &Net, load: &Load, dir: &Path, telesteer: &str) -> Result<Self> {
        let Some(routers) = &net.routers else {
            let (what, why) = ("the scene's network".to_owned(), "has no routers".to_owned());
            return Err(Error::Odd { what, why });
        };
        let own = std::env::current_exe().map_err(at(Path::new("/proc/self/exe")))?;
        let own = own.to_string_lossy().into_owned();
        let stage = Stage { net, conf: dir.join("conf"), log: dir.join("log"), telesteer };
        // Before the load: it is four programs one after the other, and each wants the processor.
        let switch = switch::Switch::start(&routers.ovs, &stage.log)?;
        let echo = stage.start("echo", &net.router, &[&own, "traffic", "--echo"])?;
        let mut real = stage.speakers(routers)?;
        let (routes, churn) = (load.routes.to_string(), load.churn.to_string());
        let ends = (PEER, ROUTER_INSIDE[0]);
        let feed = stage.feed("feed", &routers.peer, ends, [&routes, &churn])?;
        let load_file = stage.file("load.toml", &load.toml())?;
        let replay = stage.start(
            "replay",
            &net.router,
            &[telesteer, "replay", "generate", "--config", &load_file, "--progress"],
        )?;
        // Both send their open flows when they end.
        real.insert(0, (stage.softflowd(routers)?, Pause::End(Signal::TERM)));
        let pmacctd = stage.file("pmacctd.conf", PMACCTD_CONF)?;
        let pmacctd = stage.start("pmacctd", &net.router, &["pmacctd", "-f", &pmacctd])?;
        real.insert(1, (pmacctd, Pause::End(Signal::INT)));
        let to = [&ROUTER_INSIDE[..], &[ROUTER_SWITCHED]].concat().join(",");
        let traffic = stage.start("traffic", &routers.peer, &[&own, "traffic", "--to", &to])?;
        real.insert(0, (traffic, Pause::End(Signal::KILL)));
        real.push((echo, Pause::Stay));
        Ok(Self { replay, feed, real, switch: Some(switch), paused: false })
    }

    /// An error if one of them has ended.
    pub(crate) fn must_run(&mut self) -> Result<()> {
        if self.paused {
            return self.replay.must_run();
        }
        self.replay.must_run()?;
        self.feed.must_run()?;
        self.real.iter_mut().try_for_each(|(process, _)| process.must_run())?;
        self.switch.iter_mut().try_for_each(switch::Switch::must_run)
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
        for (process, pause) in &mut self.real {
            match *pause {
                Pause::End(signal) => {
                    process.stop(signal, STOP_MAX);
                }
                Pause::Freeze => process.signal(Signal::STOP),
                Pause::Stay => {}
            }
        }
        self.switch = None;
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

impl Stage<'_> {
    /// FRR, GoBGP and BIRD, and the neighbours of the last two.
    fn speakers(&self, routers: &Routers) -> Result<Vec<(Process, Pause)>> {
        let bgpd_conf = self.file("bgpd.conf", BGPD_CONF)?;
        let (vty, pid_file) = (self.path(""), self.path("bgpd.pid"));
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
        let bgpd = self.start("bgpd", &self.net.router, &bgpd)?;
        let gobgpd_conf = self.file("gobgpd.toml", GOBGPD_CONF)?;
        let gobgpd = ["gobgpd", "-f", &gobgpd_conf, "-l", "warn", "--api-hosts", "127.0.0.1:50051"];
        let gobgpd = self.start("gobgpd", &routers.gobgp, &gobgpd)?;
        let bird_conf = self.file("bird.conf", BIRD_CONF)?;
        let (control, pid_file) = (self.path("bird.ctl"), self.path("bird.pid"));
        let bird = ["bird", "-f", "-c", &bird_conf, "-s", &control, "-P", &pid_file];
        let bird = self.start("bird", &routers.bird, &bird)?;
        let ends = ("10.11.0.2", "10.11.0.1");
        let feeds = [
            self.feed("feed-gobgp", &routers.gobgp, ends, FEW_ROUTES)?,
            self.feed("feed-bird", &routers.bird, ends, FEW_ROUTES)?,
        ];
        let mut all: Vec<_> = [bgpd, gobgpd, bird].map(|one| (one, Pause::Freeze)).into();
        all.extend(feeds.map(|one| (one, Pause::Stay)));
        Ok(all)
    }

    fn softflowd(&self, routers: &Routers) -> Result<Process> {
        // -C: full packets, or the kernel hands them over only every few minutes.
        let chroot = Path::new("/run/softflowd/chroot");
        fs::create_dir_all(chroot).map_err(at(chroot))?;
        let pid_file = self.path("softflowd.pid");
        let argv = [
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
        self.start("softflowd", &routers.peer, &argv)
    }
}

fn counter(process: &Process, pointer: &str) -> u64 {
    let line: Value = serde_json::from_str(&process.last_line()).unwrap_or_default();
    line.pointer(pointer).and_then(Value::as_u64).unwrap_or(0)
}
