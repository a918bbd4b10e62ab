// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Flow records of the edge routers: softflowd and pmacctd send IPFIX to one address, behind which three
//! collectors stand that our kernel steers to.

use crate::error::{Result, at};
use crate::exp::Bench;
use crate::net::Net;
use crate::process::{Process, until, write};
use rustix::process::Signal;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The collectors' address, at the ingress router.
const ANYCAST: &str = "192.0.2.1";
const COLLECTORS: [u8; 3] = [1, 2, 3];
/// Patience for programs to begin or end on an emulated machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Collectors and exporters; dropping them ends them.
#[derive(Debug)]
pub(crate) struct Telemetry {
    processes: Vec<Process>,
    out: PathBuf,
}

impl Telemetry {
    /// Starts the collectors, and softflowd at the ingress router with this active timeout in seconds.
    ///
    /// # Errors
    ///
    /// If a program does not come up.
    pub(crate) fn start(bench: &Bench, net: &Net, seconds: u32) -> Result<Self> {
        let pe1 = &net.pe1;
        pe1.ip(&format!("addr replace {ANYCAST}/32 dev lo\n"))?;
        let dir = bench.work.join("collect");
        // Of a run before.
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).map_err(at(&dir))?;
        let out = dir.join("out");
        let mut this = Self { processes: Vec::new(), out };
        let telesteer = bench.programs.join("telesteer").to_string_lossy().into_owned();
        let (out, state) = (this.out.to_string_lossy().into_owned(), dir.join("state"));
        for number in COLLECTORS {
            let number = number.to_string();
            let argv = [
                telesteer.as_str(),
                "collect",
                "--instance",
                &number,
                "--listen",
                ANYCAST,
                "--out",
                &out,
                "--state",
                &state.to_string_lossy(),
                "--policy",
                "stable",
            ];
            let name = format!("collector-{number}");
            let mut one = Process::start(&name, Some(&pe1.name), &dir, &argv)?;
            until(&name, PATIENCE, || {
                one.must_run()?;
                Ok(one.said().contains("telesteer: ready"))
            })?;
            this.processes.push(one);
        }
        let chroot = Path::new("/run/softflowd/chroot");
        fs::create_dir_all(chroot).map_err(at(chroot))?;
        let (target, life) = (format!("{ANYCAST}:4739"), format!("maxlife={seconds}"));
        let pid = dir.join("softflowd.pid");
        // -C: whole packets, or the kernel hands them over late.
        let argv = [
            "softflowd",
            "-d",
            "-i",
            "to-site1",
            "-n",
            &target,
            "-v",
            "10",
            "-A",
            "milli",
            "-C",
            "1600",
            "-t",
            &life,
            "-t",
            "expint=1",
            "-c",
            "none",
            "-p",
            &pid.to_string_lossy(),
        ];
        this.processes.push(Process::start("softflowd", Some(&pe1.name), &dir, &argv)?);
        Ok(this)
    }

    /// The other edge router exports what it sees of the same flows, by pmacctd.
    ///
    /// # Errors
    ///
    /// If it does not start.
    pub(crate) fn second(&mut self, bench: &Bench, net: &Net, seconds: u32) -> Result<()> {
        net.pe2.ip(&format!("route replace {ANYCAST}/32 via 10.9.3.1\n"))?;
        net.p1.ip(&format!("route replace {ANYCAST}/32 via 10.9.2.1\n"))?;
        let conf = bench.work.join("pmacctd.conf");
        write(
            &conf,
            format!(
                "daemonize: false\npcap_interface: to-site2\n\
                 aggregate: src_host, dst_host, src_port, dst_port, proto, tos, tcpflags\n\
                 plugins: nfprobe\nnfprobe_receiver: {ANYCAST}:4739\nnfprobe_version: 10\n\
                 nfprobe_timeouts: tcp={seconds}:tcp.rst={seconds}:tcp.fin=3:udp={seconds}:\
                 icmp={seconds}:general={seconds}:maxlife={seconds}:expint=1\n"
            ),
        )?;
        let argv = ["pmacctd", "-f", &conf.to_string_lossy()];
        let dir = bench.work.join("collect");
        self.processes.push(Process::start("pmacctd", Some(&net.pe2.name), &dir, &argv)?);
        Ok(())
    }

    /// The folder that all collectors write into.
    pub(crate) fn out(&self) -> &Path {
        &self.out
    }

    /// A file with records; none before there are some.
    ///
    /// # Errors
    ///
    /// If the folder cannot be read.
    pub(crate) fn file(&self) -> Result<Option<PathBuf>> {
        with_lines(&self.out)
    }

    /// An error if one of them has ended.
    ///
    /// # Errors
    ///
    /// Which one, and its last words.
    pub(crate) fn must_run(&mut self) -> Result<()> {
        self.processes.iter_mut().try_for_each(Process::must_run)
    }

    /// Ends all, the exporters first.
    pub(crate) fn end(&mut self) {
        for process in self.processes.iter_mut().rev() {
            process.stop(Signal::TERM, PATIENCE);
        }
    }
}

/// The file of flow records that has some.
fn with_lines(dir: &Path) -> Result<Option<PathBuf>> {
    let Ok(entries) = fs::read_dir(dir) else { return Ok(None) };
    for entry in entries {
        let entry = entry.map_err(at(dir))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let length = entry.metadata().map_err(at(&entry.path()))?.len();
        if name.starts_with("flow-") && length > 0 {
            return Ok(Some(entry.path()));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_that_has_records() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(with_lines(&dir.path().join("none")).unwrap(), None);
        for (name, text) in
            [("flow-1-5.jsonl", ""), ("bmp-2-5.jsonl", "x"), ("flow-3-5.jsonl", "x")]
        {
            fs::write(dir.path().join(name), text).unwrap();
        }
        assert_eq!(with_lines(dir.path()).unwrap(), Some(dir.path().join("flow-3-5.jsonl")));
    }
}
