// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Open vSwitch with its userspace datapath: a bridge of three ports.

use crate::error::{Result, at};
use crate::process::{Process, run, until};
use crate::space::Space;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use telesteer_redirect::openflow::{Egress, LIMIT, OpenFlow};
use telesteer_redirect::{Device, DeviceError, PathName};

const SCHEMA: &str = "/usr/share/openvswitch/vswitch.ovsschema";
/// Patience for a daemon to begin on an emulated machine.
const PATIENCE: Duration = Duration::from_secs(120);
/// Label of packets that leave onto the science path.
pub(crate) const LABEL: u32 = 200;
/// Its ports, in the order of their numbers; the other end of each is `NAME-far`.
pub(crate) const PORTS: [&str; 3] = ["in", "plain", "lsp"];

/// A running switch; dropping it ends it.
#[derive(Debug)]
pub(crate) struct Switch {
    // The switch before its database.
    _daemons: Vec<Process>,
    dir: PathBuf,
}

impl Switch {
    /// Starts one in a namespace; its files go to a folder of `dir`.
    ///
    /// # Errors
    ///
    /// If a program is missing or does not come up.
    pub(crate) fn start(space: &Space, dir: &Path) -> Result<Self> {
        let dir = dir.join("ovs");
        std::fs::create_dir_all(&dir).map_err(at(&dir))?;
        let path = |name: &str| dir.join(name).to_string_lossy().into_owned();
        let (file, socket) = (path("conf.db"), path("db.sock"));
        // One of a run before.
        let _ = std::fs::remove_file(&file);
        run(&["ovsdb-tool", "create", &file, SCHEMA])?;
        let daemon = |name: &str, args: &[&str]| {
            let run_dir = format!("OVS_RUNDIR={}", dir.to_string_lossy());
            let pid = format!("--pidfile={}", path(&format!("{name}.pid")));
            let control = format!("--unixctl={}", path(&format!("{name}.ctl")));
            let argv = [&["env", &run_dir, name][..], args, &[&pid, &control, "-vconsole:warn"]];
            Process::start(name, Some(&space.name), &dir, &argv.concat())
        };
        let mut database = daemon("ovsdb-server", &[&file, &format!("--remote=punix:{socket}")])?;
        until("the database of Open vSwitch", PATIENCE, || {
            database.must_run()?;
            Ok(Path::new(&socket).exists())
        })?;
        let vsctl = |args: &[&str]| {
            let db = format!("--db=unix:{socket}");
            space.run(&[&["ovs-vsctl", &db, "--timeout", "120"][..], args].concat()).map(drop)
        };
        vsctl(&["--no-wait", "init"])?;
        let mut switch = daemon("ovs-vswitchd", &[&format!("unix:{socket}")])?;
        vsctl(&[
            "add-br",
            "br0",
            "--",
            "set",
            "bridge",
            "br0",
            "datapath_type=netdev",
            "protocols=OpenFlow13",
            "fail_mode=secure",
        ])?;
        for (number, port) in (1..).zip(PORTS) {
            space.ip(&format!(
                "link add {port} type veth peer name {port}-far\nlink set {port} up\n\
                 link set {port}-far up\n"
            ))?;
            let wish = format!("ofport_request={number}");
            vsctl(&["add-port", "br0", port, "--", "set", "interface", port, &wish])?;
        }
        until("the bridge", PATIENCE, || {
            switch.must_run()?;
            Ok(dir.join("br0.mgmt").exists())
        })?;
        Ok(Self { _daemons: vec![switch, database], dir })
    }

    /// What `ovs-ofctl` calls the bridge.
    fn bridge(&self) -> String {
        format!("unix:{}", self.dir.join("br0.mgmt").display())
    }

    /// What comes in at the first port leaves by the second, unless an entry says otherwise.
    ///
    /// # Errors
    ///
    /// If the bridge does not take that.
    pub(crate) fn forward(&self, space: &Space) -> Result<()> {
        let flow = "priority=1,in_port=1,actions=output:2";
        space.run(&["ovs-ofctl", "-O", "OpenFlow13", "add-flow", &self.bridge(), flow]).map(drop)
    }

    /// Its flows as a device; the path `name` leaves by the third port with a label, to the neighbour
    /// with this address if there is one.
    ///
    /// # Errors
    ///
    /// If the bridge does not answer.
    pub(crate) fn open(
        &self,
        name: &PathName,
        mac: Option<[u8; 6]>,
    ) -> std::result::Result<Box<dyn Device + Send>, DeviceError> {
        let egress = Egress { port: 3, label: Some(LABEL), mac };
        let bridge = self.bridge();
        let egress = BTreeMap::from([(name.clone(), egress)]);
        Ok(Box::new(OpenFlow::open("openflow", &bridge, egress, LIMIT)?))
    }
}
