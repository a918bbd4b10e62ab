// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Network namespaces of a run's own.

use crate::error::{Error, Result, at, odd};
use crate::process::{run, run_with};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::fs::{self, File};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

/// A namespace; dropping it takes it away.
#[derive(Debug)]
pub(crate) struct Space {
    /// What `ip netns` calls it.
    pub(crate) name: String,
}

impl Space {
    /// Makes one, with its loopback device up.
    pub(crate) fn new(part: &str) -> Result<Self> {
        let name = format!("lab-{}-{part}", own());
        run(&["ip", "netns", "add", &name])?;
        let space = Self { name };
        space.ip("link set lo up\n")?;
        Ok(space)
    }

    /// Several `ip` commands, a line each.
    pub(crate) fn ip(&self, lines: &str) -> Result<()> {
        run_with(&["ip", "-n", &self.name, "-batch", "-"], lines)
            .map(drop)
            .map_err(|error| odd(format!("{} (given: {})", self.name, lines.trim()), error))
    }

    /// One program in it, to its end.
    pub(crate) fn run(&self, argv: &[&str]) -> Result<String> {
        run(&[&["ip", "netns", "exec", &self.name][..], argv].concat())
    }

    /// Sets a sysctl, given as a path below /proc/sys.
    pub(crate) fn sysctl(&self, name: &str, value: &str) -> Result<()> {
        let path = PathBuf::from("/proc/sys").join(name);
        self.within(|| fs::write(&path, value).map_err(at(&path)))?
    }

    /// Moves the calling thread into it, for good.
    pub(crate) fn enter(&self) -> Result<()> {
        Self::enter_named(&self.name)
    }

    /// The same by its name.
    pub(crate) fn enter_named(name: &str) -> Result<()> {
        let path = PathBuf::from("/run/netns").join(name);
        let file = File::open(&path).map_err(at(&path))?;
        move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))
            .map_err(|error| odd(format!("entering {name}"), error))
    }

    /// Calls `what` in it, in a thread that ends with it.
    pub(crate) fn within<T: Send>(&self, what: impl FnOnce() -> T + Send) -> Result<T> {
        let call = || self.enter().map(|()| what());
        thread::scope(|scope| match scope.spawn(call).join() {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    }

    /// A counter of the namespace's TCP, by its name in /proc/net/netstat.
    pub(crate) fn tcp_counter(&self, name: &str) -> Result<u64> {
        let text = self.run(&["cat", "/proc/net/netstat"])?;
        counter(&text, "TcpExt:", name)
            .ok_or_else(|| odd("/proc/net/netstat", format!("no {name}")))
    }
}

/// What no other run's namespaces are called. The process's number is not enough: in a root of its own it
/// is 1, and a run that was killed leaves names behind.
fn own() -> &'static str {
    static OWN: OnceLock<String> = OnceLock::new();
    OWN.get_or_init(|| {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        format!("{}-{:x}", std::process::id(), unix.as_micros() & 0xff_ffff)
    })
}

/// A value of a file of pairs of lines, names over values.
fn counter(text: &str, group: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines().filter(|line| line.starts_with(group));
    let (names, values) = (lines.next()?, lines.next()?);
    let place = names.split_whitespace().position(|one| one == name)?;
    values.split_whitespace().nth(place)?.parse().ok()
}

impl Drop for Space {
    fn drop(&mut self) {
        if let Err(error) = run(&["ip", "netns", "del", &self.name]) {
            eprintln!("telesteer-lab: namespace {} is left behind: {error}", self.name);
        }
    }
}

/// Refuses to run where the lab cannot: it needs root, and `ip`.
pub(crate) fn check() -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        return Err(odd("the lab", "it needs root for network namespaces; run `cargo xtask lab`"));
    }
    match run(&["ip", "-V"]) {
        Err(Error::Start { .. }) => Err(odd("the lab", "there is no `ip` (iproute2)")),
        other => other.map(drop),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_is_found_by_its_name() {
        let text = "TcpExt: A TCPOFOQueue B\nTcpExt: 1 27 3\nIpExt: TCPOFOQueue\nIpExt: 9\n";
        assert_eq!(counter(text, "TcpExt:", "TCPOFOQueue"), Some(27));
        assert_eq!(counter(text, "TcpExt:", "C"), None);
    }
}
