// SPDX-License-Identifier: Apache-2.0 OR MIT
//! FRR's pbrd in the namespace of the calling thread, with a VRF for each path.

use crate::bed::Bed;
use crate::labs::{Lab, PlainLab};
use crate::matches::{entry, host, name, net, tuple};
use crate::space::{Space, may, run};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use telesteer_redirect::Device;
use telesteer_redirect::frr::{Frr, Site};

const DAEMONS: [&str; 3] = ["mgmtd", "zebra", "pbrd"];
/// Patience for a daemon to begin on an emulated machine.
const PATIENCE: Duration = Duration::from_secs(300);
const INTERFACE: &str = "in1";

/// `Frr` with its daemons; dropping it ends them.
pub(crate) struct FrrLab {
    daemons: Vec<Child>,
    /// Keeps them apart from other daemons of FRR.
    name: String,
    dir: String,
}

impl FrrLab {
    fn start() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("redirect-{}-{number}", std::process::id());
        let dir = format!("/run/frr/{name}");
        fs::create_dir_all(&dir).unwrap();
        // The daemons are not root, and make their sockets there.
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o777)).unwrap();
        for (path, table) in [("a", "101"), ("b", "102"), ("c", "103")] {
            let vrf = format!("vrf-{path}");
            run(&["ip", "link", "add", &vrf, "type", "vrf", "table", table]);
            run(&["ip", "link", "set", &vrf, "up"]);
        }
        run(&["ip", "link", "add", INTERFACE, "type", "veth", "peer", "name", "in1-far"]);
        run(&["ip", "link", "set", INTERFACE, "up"]);
        run(&["ip", "link", "set", "in1-far", "up"]);
        let mut lab = Self { daemons: Vec::new(), name, dir };
        for daemon in DAEMONS {
            let child = Command::new(format!("/usr/lib/frr/{daemon}"))
                .args(["-A", "127.0.0.1", "-P", "0", "-N", &lab.name])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            lab.daemons.push(child);
            let socket = format!("{}/{daemon}.vty", lab.dir);
            lab.until(daemon, || Path::new(&socket).exists());
        }
        // pbrd refuses a VRF that zebra has not told it of yet.
        lab.until("the VRFs", || lab.told("pbr-map PROBE seq 1", "set vrf vrf-c"));
        lab.vtysh(&["configure terminal", "no pbr-map PROBE seq 1"]);
        lab
    }

    fn until(&self, what: &str, mut done: impl FnMut() -> bool) {
        let end = Instant::now() + PATIENCE;
        while !done() {
            assert!(Instant::now() < end, "{what} does not come");
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn argv<'a>(&'a self, lines: &[&'a str]) -> Vec<&'a str> {
        let mut argv = vec!["vtysh", "-N", &self.name];
        lines.iter().for_each(|line| argv.extend(["-c", line]));
        argv
    }

    fn vtysh(&self, lines: &[&str]) -> String {
        run(&self.argv(lines))
    }

    fn told(&self, first: &str, second: &str) -> bool {
        let argv = self.argv(&["configure terminal", first, second]);
        let output = Command::new(argv[0]).args(&argv[1..]).stdin(Stdio::null()).output().unwrap();
        output.status.success()
    }
}

impl Drop for FrrLab {
    fn drop(&mut self) {
        for child in self.daemons.iter_mut().rev() {
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = fs::remove_dir_all(&self.dir);
    }
}

impl Lab for FrrLab {
    fn open(&self, _limit: usize) -> Box<dyn Device> {
        let vrfs = ["a", "b", "c"].map(|path| (name(path), format!("vrf-{path}")));
        let site = Site {
            vtysh: ["vtysh", "-N", &self.name].map(str::to_owned).into(),
            map: "HNTES".to_owned(),
            interfaces: vec![INTERFACE.to_owned()],
            vrfs: BTreeMap::from(vrfs),
        };
        Box::new(Frr::open("frr", site).unwrap())
    }

    fn plant(&self) {
        self.vtysh(&[
            "configure terminal",
            "pbr-map OTHER seq 5",
            "match src-ip 203.0.113.0/24",
            "set vrf vrf-b",
        ]);
    }

    fn planted(&self) -> bool {
        self.vtysh(&["show running-config"]).contains("match src-ip 203.0.113.0/24")
    }

    /// Takes rules out of the kernel; FRR goes on to say that they are installed.
    fn spoil(&self) {
        let rules = run(&["ip", "rule", "show"]);
        let ours = rules.lines().filter(|line| line.contains(INTERFACE));
        let priority = ours.filter_map(|line| line.split(':').next()).next().unwrap().to_owned();
        run(&["ip", "rule", "del", "priority", &priority]);
    }
}

impl PlainLab for FrrLab {
    fn with(test: impl FnOnce(&dyn Lab) + Send) {
        if !may(&["ip", "vtysh", "/usr/lib/frr/pbrd"]) {
            return;
        }
        let space = Space::new("frr");
        space.within(|| {
            let vrf = ["link", "add", "probe", "type", "vrf", "table", "9"];
            let vrf = Command::new("ip").args(vrf).stderr(Stdio::null()).status().unwrap();
            if vrf.success() {
                test(&Self::start());
            } else {
                eprintln!("skipped: this kernel has no VRF");
                assert!(std::env::var_os("TELESTEER_GUEST").is_none(), "the guest has no VRF");
            }
        });
    }
}

/// The configuration goes on to show a rule that the kernel does not have: it is not called installed.
#[test]
fn what_frr_only_says_is_not_believed() {
    FrrLab::with(|lab| {
        let mut bed = Bed::new(lab.open(100));
        let pairs = [net(tuple(1, 1, 1)), host(tuple(2, 1, 1))];
        for one in pairs {
            bed.controller.want(entry(one, "a"), bed.now).unwrap();
        }
        bed.settle();
        bed.must_agree();
        lab.spoil();
        let back = bed.device.read_back(bed.controller.paths(), bed.now).unwrap();
        assert_eq!((back.rules.len(), back.amiss.total), (1, 1));
        bed.settle();
        bed.must_agree();
        let rules = run(&["ip", "rule", "show"]);
        assert!(rules.contains("to 10.32.1.0/24 iif in1 lookup"), "{rules}");
    });
}
