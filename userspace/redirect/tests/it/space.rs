// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Network namespaces of a test's own.

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::fs::File;
use std::os::fd::AsFd;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

/// A namespace; dropping it takes it away.
#[derive(Debug)]
pub(crate) struct Space {
    pub(crate) name: String,
}

/// Whether a test that needs root and these programs may run; says why not. In our own guest a skip
/// would hide that something is missing.
pub(crate) fn may(programs: &[&str]) -> bool {
    let missing = programs.iter().find(|program| !on_path(program));
    let why = if !rustix::process::geteuid().is_root() {
        "not root, so no network namespaces".to_owned()
    } else if let Some(program) = missing {
        format!("no `{program}` on the path")
    } else {
        return true;
    };
    eprintln!("skipped: {why}");
    assert!(std::env::var_os("TELESTEER_GUEST").is_none(), "the guest lacks something: {why}");
    false
}

fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(program).is_file())
}

/// Runs a command, which must succeed, and gives what it printed.
pub(crate) fn run(argv: &[&str]) -> String {
    let output = Command::new(argv[0])
        .args(&argv[1..])
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{argv:?}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{argv:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

impl Space {
    pub(crate) fn new(part: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        // `ip netns add` prepares its folder without asking whether another does just now.
        static ONE: Mutex<()> = Mutex::new(());
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("redirect-{}-{number}-{part}", std::process::id());
        let guard = ONE.lock();
        run(&["ip", "netns", "add", &name]);
        drop(guard);
        let space = Self { name };
        space.ip("link set lo up");
        space
    }

    /// Moves the calling thread into it.
    pub(crate) fn enter(&self) {
        let file = File::open(format!("/run/netns/{}", self.name)).unwrap();
        move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
    }

    /// Calls `what` in it, in a thread that ends with it.
    pub(crate) fn within<T: Send>(&self, what: impl FnOnce() -> T + Send) -> T {
        let call = || {
            self.enter();
            what()
        };
        thread::scope(|scope| match scope.spawn(call).join() {
            Ok(value) => value,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    }

    /// One `ip` command.
    pub(crate) fn ip(&self, words: &str) -> String {
        let mut argv = vec!["ip", "-n", &self.name];
        argv.extend(words.split_whitespace());
        run(&argv)
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        let deleted = Command::new("ip").args(["netns", "del", &self.name]).status();
        if !deleted.is_ok_and(|status| status.success()) {
            eprintln!("namespace {} is left behind", self.name);
        }
    }
}
