// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Open vSwitch with its userspace datapath, in the namespace of the calling thread, and what it does
//! with a packet according to itself.

use crate::bed::Bed;
use crate::labs::{Lab, PlainLab};
use crate::matches::{entry, flow, host, name, net, tuple};
use crate::space::{Space, may, run};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use telesteer_redirect::life::State;
use telesteer_redirect::openflow::{Egress, OpenFlow, Timeouts};
use telesteer_redirect::{Device, round};

const SCHEMA: &str = "/usr/share/openvswitch/vswitch.ovsschema";
/// What a switch is made with.
const PROGRAMS: [&str; 6] =
    ["ip", "ovs-ofctl", "ovs-vsctl", "ovsdb-server", "ovs-vswitchd", "ovsdb-tool"];
/// Patience for a daemon to begin on an emulated machine.
const PATIENCE: Duration = Duration::from_secs(300);

/// A running switch with one bridge; dropping it ends it.
pub(crate) struct Switch {
    daemons: Vec<Child>,
    dir: PathBuf,
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < end, "{what} does not come");
        thread::sleep(Duration::from_millis(20));
    }
}

impl Switch {
    pub(crate) fn start() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let dir = PathBuf::from(format!("/run/redirect-ovs-{}-{number}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let mut switch = Self { daemons: Vec::new(), dir };
        let (file, socket) = (switch.path("conf.db"), switch.path("db.sock"));
        run(&["ovsdb-tool", "create", &file, SCHEMA]);
        switch.daemon("ovsdb-server", &[&file, &format!("--remote=punix:{socket}")], "db");
        until("the database", || Path::new(&socket).exists());
        switch.vsctl(&["--no-wait", "init"]);
        switch.daemon("ovs-vswitchd", &[&format!("unix:{socket}")], "vs");
        switch.vsctl(&[
            "add-br",
            "br0",
            "--",
            "set",
            "bridge",
            "br0",
            "datapath_type=netdev",
            "protocols=OpenFlow13",
            "fail_mode=secure",
        ]);
        for (port, number) in [("in", "1"), ("plain", "2"), ("lsp", "3")] {
            let far = format!("{port}-far");
            run(&["ip", "link", "add", port, "type", "veth", "peer", "name", &far]);
            run(&["ip", "link", "set", port, "up"]);
            run(&["ip", "link", "set", &far, "up"]);
            let request = format!("ofport_request={number}");
            switch.vsctl(&["add-port", "br0", port, "--", "set", "interface", port, &request]);
        }
        let management = switch.path("br0.mgmt");
        until("the bridge", || Path::new(&management).exists());
        switch
    }

    fn path(&self, name: &str) -> String {
        self.dir.join(name).to_string_lossy().into_owned()
    }

    fn daemon(&mut self, program: &str, args: &[&str], short: &str) {
        let child = Command::new(program)
            .args(args)
            .arg(format!("--pidfile={}", self.path(&format!("{short}.pid"))))
            .arg(format!("--unixctl={}", self.path(&format!("{short}.ctl"))))
            .arg("-vconsole:warn")
            .env("OVS_RUNDIR", &self.dir)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        self.daemons.push(child);
    }

    fn vsctl(&self, args: &[&str]) {
        let db = format!("--db=unix:{}", self.path("db.sock"));
        run(&[&["ovs-vsctl", &db, "--timeout", "300"][..], args].concat());
    }

    fn bridge(&self) -> String {
        format!("unix:{}", self.path("br0.mgmt"))
    }

    fn ofctl(&self, args: &[&str]) -> String {
        run(&[&["ovs-ofctl", "-O", "OpenFlow13"][..], args].concat())
    }

    /// Path `a` leaves by port 3 with label 200, path `b` by port 3 as it is.
    pub(crate) fn open(&self, limit: usize) -> OpenFlow {
        let lsp = Egress { port: 3, label: Some(200), mac: None };
        let other = Egress { port: 3, label: None, mac: Some([2, 0, 0, 0, 0, 9]) };
        let egress = BTreeMap::from([(name("a"), lsp), (name("b"), other), (name("c"), other)]);
        OpenFlow::open("ovs", &self.bridge(), egress, limit).unwrap()
    }

    pub(crate) fn add_flow(&self, text: &str) {
        self.ofctl(&["add-flow", &self.bridge(), text]);
    }

    pub(crate) fn delete_flows(&self, text: &str) {
        self.ofctl(&["del-flows", &self.bridge(), text]);
    }

    pub(crate) fn flows(&self) -> String {
        self.ofctl(&["dump-flows", &self.bridge()])
    }

    /// What the switch says it would do with a packet.
    fn trace(&self, packet: &str) -> String {
        let control = self.path("vs.ctl");
        run(&["ovs-appctl", "-t", &control, "ofproto/trace", "br0", packet])
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        for child in self.daemons.iter_mut().rev() {
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// `OpenFlow` on Open vSwitch in a namespace.
pub(crate) struct OvsLab(pub(crate) Switch);

impl Lab for OvsLab {
    fn open(&self, limit: usize) -> Box<dyn Device> {
        Box::new(self.0.open(limit))
    }

    fn plant(&self) {
        self.0.add_flow("cookie=0x7,priority=40000,ip,nw_src=203.0.113.0/24,actions=drop");
    }

    fn planted(&self) -> bool {
        self.0.flows().contains("nw_src=203.0.113.0/24")
    }

    fn spoil(&self) {
        self.0.delete_flows("cookie=0x484e544500000065/-1");
    }
}

impl OvsLab {
    /// Calls the test with a running switch, or says why not.
    pub(crate) fn with_switch(test: impl FnOnce(&Self) + Send) {
        if may(&PROGRAMS) {
            Space::new("ovs").within(|| test(&Self(Switch::start())));
        }
    }
}

impl PlainLab for OvsLab {
    fn with(test: impl FnOnce(&dyn Lab) + Send) {
        Self::with_switch(|lab| test(lab));
    }
}

/// The same with times that do not run out in a test.
pub(crate) struct TimedOvsLab(OvsLab);

impl Lab for TimedOvsLab {
    fn open(&self, limit: usize) -> Box<dyn Device> {
        let timeouts = Timeouts { idle: 3000, hard: 30_000 };
        Box::new(self.0.0.open(limit).with_timeouts(timeouts))
    }

    fn plant(&self) {
        self.0.plant();
    }

    fn planted(&self) -> bool {
        self.0.planted()
    }

    fn spoil(&self) {
        self.0.spoil();
    }
}

impl PlainLab for TimedOvsLab {
    fn with(test: impl FnOnce(&dyn Lab) + Send) {
        if may(&PROGRAMS) {
            Space::new("ovs").within(|| test(&Self(OvsLab(Switch::start()))));
        }
    }
}

#[test]
fn what_the_switch_ages_out_comes_again_for_a_flow() {
    OvsLab::with_switch(|lab| {
        let switch = &lab.0;
        let timeouts = Timeouts { idle: 3, hard: 0 };
        let mut bed = Bed::new(Box::new(switch.open(100).with_timeouts(timeouts)));
        let key = tuple(1, 1, 40_000);
        for one in [flow(key), net(key)] {
            bed.controller.want(entry(one, "a"), bed.now).unwrap();
        }
        bed.settle();
        assert!(bed.controller.state(&flow(key)).is_installed());
        assert_eq!(switch.flows().matches("idle_timeout=3,").count(), 1, "pairs have none");
        until("the switch's aging", || !switch.flows().contains("idle_timeout"));
        let turn = |bed: &mut Bed| round(&mut bed.controller, &mut bed.device, bed.now).unwrap();
        turn(&mut bed);
        turn(&mut bed);
        assert_eq!(bed.controller.state(&flow(key)), State::Absent);
        assert!(bed.controller.settled(), "nobody needs it");
        assert_eq!(bed.controller.next_due(), None);
        let counters = bed.controller.counters();
        assert_eq!((counters.expired, counters.vanished, counters.asked), (1, 0, 2));
        assert!(bed.controller.state(&net(key)).is_installed());
        // A flow that is alive has it set again.
        bed.controller.alpha_begins(&key, bed.now);
        turn(&mut bed);
        assert!(bed.controller.state(&flow(key)).is_installed());
        assert_eq!(bed.controller.counters().asked, 3);
        // Taken away by somebody before its time is another matter.
        bed.device = Box::new(switch.open(100).with_timeouts(Timeouts { idle: 3000, hard: 0 }));
        bed.settle();
        turn(&mut bed);
        switch.delete_flows("cookie=0x484e544500000065/-1,tcp");
        turn(&mut bed);
        bed.settle();
        let counters = bed.controller.counters();
        assert_eq!(
            (counters.expired, counters.vanished),
            (1, 2),
            "with the other time it was amiss"
        );
        assert!(bed.controller.state(&flow(key)).is_installed());
        // Nobody wants it any more when it is aged out: nothing is left of it.
        bed.device = Box::new(switch.open(100).with_timeouts(timeouts));
        bed.controller.alpha_ends(&key, bed.now);
        bed.settle();
        turn(&mut bed);
        until("the switch's aging", || !switch.flows().contains("idle_timeout"));
        turn(&mut bed);
        bed.controller.unwant(&flow(key));
        bed.settle();
        bed.must_agree();
        assert_eq!(bed.controller.counters().withdrawn, 0);
    });
}

/// The switch's own forwarding decides which entry a packet follows.
#[test]
fn the_switch_prefers_narrow_entries() {
    OvsLab::with_switch(|lab| {
        let switch = &lab.0;
        switch.add_flow("priority=1,ip,in_port=1,actions=output:2");
        let mut bed = Bed::new(Box::new(switch.open(100)));
        let key = tuple(1, 1, 40_000);
        let packet = |port: u16| {
            let trace = switch.trace(&format!(
                "in_port=1,dl_src=02:00:00:00:00:01,dl_dst=02:00:00:00:00:02,tcp,nw_src={},\
                 nw_dst={},tp_src={port},tp_dst={}",
                key.src, key.dst, key.dst_port
            ));
            let last = trace.lines().find(|line| line.starts_with("Datapath actions:"));
            last.unwrap_or_else(|| panic!("{trace}")).to_owned()
        };
        let plain = packet(40_000);
        bed.controller.want(entry(net(key), "a"), 0).unwrap();
        bed.settle();
        let labelled = packet(40_000);
        assert!(labelled.contains("push_mpls(label=200"), "{labelled}");
        bed.controller.want(entry(host(key), "b"), 0).unwrap();
        bed.settle();
        let other = packet(40_000);
        assert!(!other.contains("push_mpls") && other != plain, "{other}");
        bed.controller.want(entry(flow(key), "a"), 0).unwrap();
        bed.settle();
        assert_eq!(packet(40_000), labelled);
        assert_eq!(packet(40_001), other, "other flows of the pair");
        for one in [flow(key), host(key), net(key)] {
            bed.controller.unwant(&one);
        }
        bed.settle();
        assert_eq!(packet(40_000), plain);
    });
}
