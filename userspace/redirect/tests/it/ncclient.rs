// SPDX-License-Identifier: Apache-2.0 OR MIT
//! ncclient, a NETCONF client that others wrote, on the router that `Junos` is tried on: what the one
//! writes the other reads, and the router keeps to the protocol with both.

use crate::bed::Bed;
use crate::junos::{JunosLab, instances};
use crate::labs::Lab;
use crate::matches::{entry, flow, host, net, tuple, tuple6};
use crate::netconf::{Router, serve};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use telesteer_redirect::Match;

const SCRIPT: &str = include_str!("ncclient.py");

/// A router that listens; dropping it takes its socket away.
struct Listening {
    lab: JunosLab,
    socket: PathBuf,
}

impl Listening {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let file = format!("redirect-netconf-{}-{number}", std::process::id());
        let socket = std::env::temp_dir().join(file);
        let listener = UnixListener::bind(&socket).unwrap();
        let router = Arc::new(Mutex::new(Router::default()));
        let shared = Arc::clone(&router);
        // It waits for ever; the process's end is its own.
        thread::spawn(move || {
            for stream in listener.incoming() {
                let router = Arc::clone(&shared);
                thread::spawn(move || serve(&router, stream.unwrap()));
            }
        });
        Self { lab: JunosLab(router), socket }
    }

    /// Runs the script and gives what it printed, a line each.
    fn ncclient(&self, words: &[&str]) -> Vec<String> {
        let output = Command::new("python3")
            .args(["-c", SCRIPT])
            .arg(&self.socket)
            .args(words)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{words:?}: {said}");
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.socket);
    }
}

/// Whether there is an ncclient; says if not. In our own guest it must be there.
fn there_is_one() -> bool {
    let asked = Command::new("python3").args(["-c", "import ncclient"]).output();
    let there = asked.is_ok_and(|output| output.status.success());
    if !there {
        eprintln!("skipped: no `python3` with ncclient (Debian package python3-ncclient)");
        assert!(std::env::var_os("TELESTEER_GUEST").is_none(), "the guest lacks ncclient");
    }
    there
}

/// A rule as the script prints it.
fn line(matching: &Match, instance: &str) -> String {
    let ports = matching.ports().map_or(String::new(), |(_, src, dst)| format!("{src} {dst} "));
    format!("{} {} {ports}{instance}", matching.src(), matching.dst())
}

#[test]
fn an_independent_client_reads_what_we_write() {
    if !there_is_one() {
        return;
    }
    let router = Listening::new();
    let mut bed = Bed::new(router.lab.open(1000));
    // A mesh that is not quite one, hosts, 5-tuples, and IPv6.
    let pair = |src: u16, dst: u16| {
        let (src, dst) = (net(tuple(src, 1, 1)).src(), net(tuple(dst, 1, 1)).dst());
        Match::pair(telesteer_fam::PrefixFlow { src, dst }).unwrap()
    };
    let mesh = (0..4).flat_map(|src| (0..4).map(move |dst| (src, dst)));
    let mesh = mesh.filter(|(src, dst)| *src != 1 || *dst != 2).map(|(src, dst)| pair(src, dst));
    let (v4, v6) = (tuple(7, 1, 40_000), tuple6(7, 1, 40_000));
    let narrow = [host(v4), flow(v4), net(v6), host(v6), flow(v6)];
    for (matching, path) in mesh.chain(narrow).zip(["a", "b"].into_iter().cycle()) {
        bed.controller.want(entry(matching, path), bed.now).unwrap();
    }
    bed.settle();
    let wanted = bed.wanted();
    let told: BTreeSet<String> =
        wanted.iter().map(|(matching, path)| line(matching, &instances()[path])).collect();
    let read = router.ncclient(&["rules"]);
    assert_eq!(read.len(), wanted.len(), "no pair twice");
    assert_eq!(read.into_iter().collect::<BTreeSet<_>>(), told);
}

#[test]
fn an_independent_client_writes_what_we_read() {
    if !there_is_one() {
        return;
    }
    let router = Listening::new();
    let mut bed = Bed::new(router.lab.open(1000));
    let pair = net(tuple(1, 1, 1));
    let (src, dst) = (pair.src().to_string(), pair.dst().to_string());
    let words = |verb: &'static str| [verb, src.as_str(), dst.as_str(), "LSP-b"];
    assert_eq!(router.ncclient(&words("discard")), ["1", "0"]);
    assert_eq!(bed.rules().len(), 0);
    assert_eq!(router.ncclient(&words("forget")), ["1"], "the router went back");
    assert_eq!(bed.rules().len(), 0);
    router.ncclient(&words("write"));
    let rules: Vec<_> = bed.rules().into_iter().collect();
    assert_eq!(
        rules.iter().map(|rule| (rule.matching, rule.path.as_str())).collect::<Vec<_>>(),
        [(pair, "b")]
    );
    // One wants it, and has nothing to do; then another path, and all of it is replaced.
    bed.controller.want(entry(pair, "b"), bed.now).unwrap();
    bed.settle();
    assert_eq!(bed.controller.counters().asked, 0);
    bed.controller.want(entry(pair, "a"), bed.now).unwrap();
    bed.settle();
    assert_eq!(router.ncclient(&["rules"]), [line(&pair, "LSP-a")]);
    // What one has locked the other may not have.
    router.lab.0.lock().unwrap().locked = Some(99);
    let odd = "<config xmlns=\"urn:ietf:params:xml:ns:netconf:base:1.0\"><configuration><x/>\
               </configuration></config>";
    assert_eq!(router.ncclient(&["refused", odd]), ["lock-denied", "unknown-element"]);
}
