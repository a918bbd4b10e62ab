// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The collectors: started each in a cgroup of its own, killed, started again with the same id.

use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use super::cgroup::Cgroup;
use super::{sender, wait};

/// How every collector is started.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings<'a> {
    /// The binary.
    pub(crate) telesteer: &'a Path,
    /// Folder for outputs.
    pub(crate) out: &'a Path,
    /// Folder for check-points.
    pub(crate) state: &'a Path,
    /// Cgroup above all.
    pub(crate) root: &'a Cgroup,
}

/// One life of a collector.
#[derive(Debug)]
struct Life {
    child: Child,
    cgroup: Cgroup,
    ready: Arc<AtomicBool>,
}

/// All collectors.
#[derive(Debug)]
pub(crate) struct Fleet<'a> {
    settings: Settings<'a>,
    lives: Vec<Life>,
    begun: u64,
    died_on_their_own: u64,
    rmdir_failed: u64,
}

impl<'a> Fleet<'a> {
    /// Starts `count` collectors with the ids 1 to `count`.
    pub(crate) fn start(count: u64, settings: Settings<'a>) -> Result<Self> {
        let mut fleet =
            Self { settings, lives: Vec::new(), begun: 0, died_on_their_own: 0, rmdir_failed: 0 };
        for id in 1..=count {
            let life = fleet.begin(id)?;
            fleet.lives.push(life);
        }
        Ok(fleet)
    }

    /// Number of collectors.
    pub(crate) fn len(&self) -> usize {
        self.lives.len()
    }

    /// Collectors that ended without being asked to.
    pub(crate) fn died_on_their_own(&self) -> u64 {
        self.died_on_their_own
    }

    fn begin(&mut self, id: u64) -> Result<Life> {
        self.begun += 1;
        let cgroup = self.settings.root.child(&format!("life-{}", self.begun))?;
        // The shell puts itself into the cgroup before it becomes the collector, so that all of
        // the collector's memory is charged there.
        let mut command = Command::new("sh");
        command.args(["-c", "echo 0 >\"$1\" && shift && exec \"$@\"", "sh"]).arg(cgroup.procs());
        command.arg(self.settings.telesteer).args(["collect", "--raw", "--steering", "auto"]);
        // The storm may kill faster than a session is read.
        command.args(["--takeover", "auto", "--takeover-budget", "255"]);
        command.args(["--listen", "127.0.0.1", "--listen", "::1"]);
        command.args(["--ipfix-port", "0", "--netflow-port", "0", "--notif-port", "0"]);
        command.args(["--bmp-port", &sender::PORT.to_string(), "--instance", &id.to_string()]);
        command.arg("--out").arg(self.settings.out).arg("--state").arg(self.settings.state);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().context("sh")?;
        let ready = Arc::new(AtomicBool::new(false));
        if let Some(talk) = child.stderr.take() {
            let ready = Arc::clone(&ready);
            let first = self.begun == id;
            // Ends with the collector, which holds the other end.
            std::thread::spawn(move || {
                for line in BufReader::new(talk).lines().map_while(std::result::Result::ok) {
                    if line.contains("telesteer: ready") {
                        ready.store(true, Ordering::Release);
                    }
                    // A thousand lives all say the same.
                    if first {
                        eprintln!("storm: collector {id}: {line}");
                    }
                }
            });
        }
        Ok(Life { child, cgroup, ready })
    }

    fn is_ready(&self, which: usize) -> bool {
        self.lives.get(which).is_some_and(|life| life.ready.load(Ordering::Acquire))
    }

    /// Waits until all are ready.
    pub(crate) fn all_ready(&mut self, most: Duration) -> Result<()> {
        wait("all collectors to be ready", most, || (0..self.len()).all(|n| self.is_ready(n)))
    }

    /// Waits until a collector other than `victim` is ready; raises those that died by themselves.
    pub(crate) fn another_ready(&mut self, victim: usize, most: Duration) -> Result<()> {
        for which in 0..self.len() {
            if let Some(status) = self.lives[which].child.try_wait().context("waitpid")? {
                eprintln!("storm: collector {} died on its own: {status}", which + 1);
                self.died_on_their_own += 1;
                self.again(which)?;
            }
        }
        wait("a second collector to be ready", most, || {
            (0..self.len()).any(|which| which != victim && self.is_ready(which))
        })
    }

    /// SIGKILL, and a new life at once.
    pub(crate) fn kill(&mut self, which: usize) -> Result<()> {
        let life = &mut self.lives[which];
        life.child.kill().context("kill")?;
        let status = life.child.wait().context("waitpid")?;
        if status.signal() != Some(9) {
            eprintln!("storm: collector {} died on its own: {status}", which + 1);
            self.died_on_their_own += 1;
        }
        self.again(which)
    }

    fn again(&mut self, which: usize) -> Result<()> {
        if !self.lives[which].cgroup.remove(Duration::from_secs(30)) {
            self.rmdir_failed += 1;
        }
        self.lives[which] = self.begin(which as u64 + 1)?;
        Ok(())
    }

    /// Ends all by SIGTERM, one after another; returns how many cgroups could not be removed.
    pub(crate) fn end(mut self, most: Duration) -> Result<u64> {
        let deadline = Instant::now() + most;
        for life in &mut self.lives {
            if let Some(pid) = Pid::from_raw(life.child.id() as i32) {
                let _ = kill_process(pid, Signal::TERM);
            }
            while life.child.try_wait().context("waitpid")?.is_none() {
                if Instant::now() >= deadline {
                    bail!("a collector does not end on SIGTERM");
                }
                std::thread::sleep(Duration::from_millis(10));
            }
            self.rmdir_failed += u64::from(!life.cgroup.remove(Duration::from_secs(30)));
        }
        Ok(self.rmdir_failed)
    }
}

impl Drop for Fleet<'_> {
    fn drop(&mut self) {
        for life in &mut self.lives {
            let _ = life.child.kill();
            let _ = life.child.wait();
            life.cgroup.remove(Duration::from_secs(1));
        }
    }
}

/// Takes everything clean out of the page cache and the slabs: what is left is held by someone.
pub(crate) fn drop_caches() {
    let _ = std::fs::write("/proc/sys/vm/drop_caches", "3");
}
