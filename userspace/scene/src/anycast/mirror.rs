// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `telesteer-scene mirror`: keeps a resilient group of our own in step with a route of FRR.
//!
//! FRR cannot make its BGP groups resilient. So the gateways of its route are mirrored into a
//! resilient group in a table of its own, which an `ip rule` looks at first. In the main table FRR
//! would learn our route, withdraw its own, and both would follow each other for ever.
//!
//! What is known to bite. IPv4 asks a group only if it has more than one entry (IPv6 always does): as
//! long as one server is left alone, no bucket notes that it is used, and when the second returns
//! the kernel takes all of them for idle and gives half away at once. So a lone next hop gets a twin, the same
//! gateway under another id, with so little weight that no bucket is its own. Then, a link that goes down takes its next hop objects along and a link that
//! comes up restores none, so a change that fails is followed by a rebuild; and a resilient group is
//! replaced only by one with the same type and number of buckets.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::Context;

use crate::error::{Error, Result, at};
use crate::process::{Process, run as run_program, run_with_input};
use crate::progress::until;
use crate::timeline::now_us;

use super::net::{Net, PREFIXES, batch};
use super::routes::{self, Hop};

/// The table the mirrored routes live in.
const TABLE: &str = "900";
/// Groups and next hops of the first prefix have ids from here on, of the second 1000 higher.
const BASE: u32 = 90_000;
/// A lone next hop and its twin: of 128 buckets all go to the first.
const WEIGHTS: [u32; 2] = [256, 1];
/// Added to the id of a group for the twin.
const TWIN: u32 = 500;
/// A look without news, should a message have been missed.
const LOOK: Duration = Duration::from_secs(1);
/// Bytes of one route message are few; several messages of one change are looked at together.
const SETTLE: Duration = Duration::from_millis(5);

/// Arguments of `telesteer-scene mirror`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Buckets of a group.
    #[arg(long, default_value_t = 128)]
    pub buckets: u32,
    /// Seconds a bucket must be idle to move to a next hop that has too few.
    #[arg(long, default_value_t = 120)]
    pub idle: u32,
    /// Leave a lone next hop alone, to show what that does to IPv4.
    #[arg(long)]
    pub bare: bool,
}

/// Mirrors until killed.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let (news, heard) = mpsc::channel();
    let mut monitor = Command::new("ip")
        .args(["-o", "monitor", "route"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("ip -o monitor route")?;
    let lines = BufReader::new(monitor.stdout.take().context("no output of ip monitor")?);
    thread::spawn(move || {
        for _ in lines.lines().map_while(std::result::Result::ok) {
            if news.send(()).is_err() {
                return;
            }
        }
    });
    let mut groups: Vec<Group> =
        (0..).zip(PREFIXES).map(|(n, prefix)| Group::new(n, prefix)).collect();
    loop {
        for group in &mut groups {
            if let Err(error) = group.follow(args) {
                eprintln!("telesteer-scene: mirror {}: {error}", group.prefix);
            }
        }
        match heard.recv_timeout(LOOK) {
            Ok(()) => {
                thread::sleep(SETTLE);
                while heard.try_recv().is_ok() {}
            }
            Err(mpsc::RecvTimeoutError::Timeout) => {}
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                anyhow::bail!("ip monitor ended: {}", monitor.wait()?);
            }
        }
    }
}

/// One prefix and what was made for it.
#[derive(Debug)]
struct Group {
    prefix: &'static str,
    id: u32,
    /// Every gateway keeps its id, so that one that returns is the same next hop.
    ids: BTreeMap<Hop, u32>,
    have: Vec<Hop>,
}

impl Group {
    fn new(number: u32, prefix: &'static str) -> Self {
        Self { prefix, id: BASE + number * 1000, ids: BTreeMap::new(), have: Vec::new() }
    }

    fn follow(&mut self, args: &Args) -> Result<()> {
        let want = routes::hops(None, self.prefix, "main")?;
        if want == self.have {
            return Ok(());
        }
        let lines = self.plan(&want, args);
        let done = run_with_input(&["ip", "-batch", "-"], &lines);
        // What was done is to be read afterwards: who moved may hang on it.
        eprint!("{} us\n{lines}", now_us());
        if done.is_err() && !self.have.is_empty() {
            // Objects may have gone with their link: start from nothing.
            let _ = run_with_input(&["ip", "-force", "-batch", "-"], &self.teardown());
            self.have.clear();
            let lines = self.plan(&want, args);
            run_with_input(&["ip", "-batch", "-"], &lines)?;
        } else {
            done?;
        }
        let names: Vec<&str> = want.iter().map(|hop| hop.gateway.as_str()).collect();
        println!("{} {}", self.prefix, names.join(" "));
        self.have = want;
        Ok(())
    }

    /// The commands that lead from what there is to `want`.
    fn plan(&mut self, want: &[Hop], args: &Args) -> String {
        let mut lines = String::new();
        // Writing to a string cannot fail.
        let have = self.have.clone();
        for hop in want.iter().filter(|hop| !have.contains(hop)) {
            let id = self.id_of(hop);
            let _ = writeln!(lines, "nexthop replace id {id} via {} dev {}", hop.gateway, hop.dev);
        }
        let (group, prefix) = (self.id, self.prefix);
        if want.is_empty() {
            let _ = writeln!(lines, "route del {prefix} table {TABLE}\nnexthop del id {group}");
        } else {
            let mut members: Vec<String> =
                want.iter().map(|hop| self.id_of(hop).to_string()).collect();
            if let [hop] = want
                && !args.bare
            {
                let twin = group + TWIN;
                let _ = writeln!(
                    lines,
                    "nexthop replace id {twin} via {} dev {}",
                    hop.gateway, hop.dev
                );
                members = vec![
                    format!("{},{}", members[0], WEIGHTS[0]),
                    format!("{twin},{}", WEIGHTS[1]),
                ];
            }
            let _ = writeln!(
                lines,
                "nexthop replace id {group} group {} type resilient buckets {} idle_timer {} \
                 unbalanced_timer 0",
                members.join("/"),
                args.buckets,
                args.idle
            );
            if self.have.is_empty() {
                let _ = writeln!(lines, "route replace {prefix} nhid {group} table {TABLE}");
            }
        }
        for hop in have.iter().filter(|hop| !want.contains(hop)) {
            let _ = writeln!(lines, "nexthop del id {}", self.id_of(hop));
        }
        if have.len() == 1 && want.len() != 1 && !args.bare {
            let _ = writeln!(lines, "nexthop del id {}", group + TWIN);
        }
        lines
    }

    fn teardown(&self) -> String {
        let mut lines =
            format!("route del {} table {TABLE}\nnexthop del id {}\n", self.prefix, self.id);
        let twin = self.id + TWIN;
        for id in self.ids.values().chain([&twin]) {
            let _ = writeln!(lines, "nexthop del id {id}");
        }
        lines
    }

    fn id_of(&mut self, hop: &Hop) -> u32 {
        let next = self.id + 1 + self.ids.len() as u32;
        *self.ids.entry(hop.clone()).or_insert(next)
    }
}

/// A running mirror of the core's routes, and its rules.
#[derive(Debug)]
pub(crate) struct Mirror {
    core: String,
    process: Process,
}

impl Mirror {
    /// Starts it once the core has all its next hops: a bucket given away is not idle for a while.
    pub(crate) fn start(net: &Net, log: &Path, args: &Args) -> Result<Self> {
        let own = std::env::current_exe().map_err(at(Path::new("/proc/self/exe")))?;
        let (own, buckets) = (own.to_string_lossy(), args.buckets.to_string());
        let idle = args.idle.to_string();
        let mut argv = vec![&*own, "mirror", "--buckets", &buckets, "--idle", &idle];
        argv.extend(args.bare.then_some("--bare"));
        let process = Process::start("mirror", &net.core, &argv, log)?;
        let mut mirror = Self { core: net.core.clone(), process };
        let want = PREFIXES.map(|prefix| routes::hops(Some(&net.core), prefix, "main"));
        let want: Vec<_> = want.into_iter().collect::<Result<_>>()?;
        until("the mirrored routes", 60, || {
            mirror.process.must_run()?;
            let have: Vec<_> = mirror.hops()?;
            Ok((have == want, format!("{have:?}, {}", mirror.process.talk())))
        })?;
        rules(&net.core, "add")?;
        Ok(mirror)
    }

    /// The mirrored next hops, IPv4 and IPv6.
    pub(crate) fn hops(&self) -> Result<Vec<Vec<Hop>>> {
        PREFIXES.into_iter().map(|prefix| routes::hops(Some(&self.core), prefix, TABLE)).collect()
    }

    /// An error if it has ended.
    pub(crate) fn must_run(&mut self) -> Result<()> {
        self.process.must_run()
    }

    /// Takes rules, routes and groups away.
    pub(crate) fn stop(mut self) -> Result<()> {
        self.process.stop(rustix::process::Signal::KILL, LOOK);
        rules(&self.core, "del")?;
        // Groups first: next hops in use are taken out of them one by one, which moves buckets.
        let mut lines = String::new();
        for number in 0..PREFIXES.len() as u32 {
            let _ = writeln!(lines, "nexthop del id {}", BASE + number * 1000);
        }
        batch(&self.core, &lines)?;
        let space = self.core.as_str();
        let argv = ["ip", "-n", space, "-force", "-batch", "-"];
        let mut lines = String::new();
        for number in 0..PREFIXES.len() as u32 {
            for hop in (1..=8).chain([TWIN]) {
                let _ = writeln!(lines, "nexthop del id {}", BASE + number * 1000 + hop);
            }
        }
        // Those that were never there cannot be deleted.
        match run_with_input(&argv, &lines) {
            Ok(_) | Err(Error::Failed { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// Adds or deletes the rules that lead to the mirrored routes.
fn rules(space: &str, verb: &str) -> Result<()> {
    for prefix in PREFIXES {
        let family = if prefix.contains(':') { "-6" } else { "-4" };
        run_program(&[
            "ip", family, "-n", space, "rule", verb, "to", prefix, "lookup", TABLE, "pref", "900",
        ])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARGS: Args = Args { buckets: 128, idle: 60, bare: false };

    fn hop(number: u32) -> Hop {
        Hop { gateway: format!("10.9.2{number}.2"), dev: format!("s{number}") }
    }

    /// Plans the step to `want` and takes it as done.
    fn step(group: &mut Group, want: &[Hop]) -> Vec<String> {
        let lines = group.plan(want, &ARGS);
        group.have = want.to_vec();
        lines.lines().map(str::to_owned).collect()
    }

    const TYPE: &str = "type resilient buckets 128 idle_timer 60 unbalanced_timer 0";

    #[test]
    fn one_leaves_and_comes_back_as_the_same_next_hop() {
        let mut group = Group::new(0, PREFIXES[0]);
        assert_eq!(
            step(&mut group, &[hop(1), hop(2)]),
            [
                "nexthop replace id 90001 via 10.9.21.2 dev s1",
                "nexthop replace id 90002 via 10.9.22.2 dev s2",
                &format!("nexthop replace id 90000 group 90001/90002 {TYPE}"),
                "route replace 192.0.2.1/32 nhid 90000 table 900",
            ]
        );
        assert_eq!(
            step(&mut group, &[hop(2)]),
            [
                "nexthop replace id 90500 via 10.9.22.2 dev s2",
                &format!("nexthop replace id 90000 group 90002,256/90500,1 {TYPE}"),
                "nexthop del id 90001",
            ]
        );
        assert_eq!(
            step(&mut group, &[hop(1), hop(2)]),
            [
                "nexthop replace id 90001 via 10.9.21.2 dev s1",
                &format!("nexthop replace id 90000 group 90001/90002 {TYPE}"),
                "nexthop del id 90500",
            ]
        );
    }

    #[test]
    fn bare_means_no_twin() {
        let (mut group, args) = (Group::new(0, PREFIXES[0]), Args { bare: true, ..ARGS });
        let lines = group.plan(&[hop(2)], &args);
        assert!(lines.contains(&format!("nexthop replace id 90000 group 90001 {TYPE}")), "{lines}");
    }

    #[test]
    fn the_last_one_takes_the_route_along() {
        let mut group = Group::new(1, PREFIXES[1]);
        step(&mut group, &[hop(1)]);
        assert_eq!(
            step(&mut group, &[]),
            [
                "route del 2001:db8:ffff::1/128 table 900",
                "nexthop del id 91000",
                "nexthop del id 91001",
                "nexthop del id 91500",
            ]
        );
    }
}
