// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Open vSwitch with its userspace datapath: a bridge between peer and router that exports IPFIX,
//! tens of templates at once and fields of variable length.

use std::fs;
use std::path::{Path, PathBuf};

use crate::anycast::net::OVS_PORTS;
use crate::error::{Result, at};
use crate::process::{Process, run};
use crate::progress::until;

const SCHEMA: &str = "/usr/share/openvswitch/vswitch.ovsschema";
/// Patience for a daemon to begin.
const PATIENCE_S: u64 = 600;
/// The same for a command.
const COMMAND_S: &str = "600";

/// A running switch. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Switch {
    vswitchd: Process,
    database: Process,
    dir: PathBuf,
}

impl Switch {
    /// Starts it in the namespace `space`, with its words in the folder `log`.
    pub(crate) fn start(space: &str, log: &Path) -> Result<Self> {
        let dir = PathBuf::from(format!("/run/telesteer-ovs-{}", std::process::id()));
        fs::create_dir_all(&dir).map_err(at(&dir))?;
        let path = |name: &str| dir.join(name).to_string_lossy().into_owned();
        let (file, socket) = (path("conf.db"), path("db.sock"));
        if !Path::new(&file).exists() {
            run(&["ovsdb-tool", "create", &file, SCHEMA])?;
        }
        let start = |name: &str, argv: &[String]| {
            let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
            Process::start(name, space, &argv, &log.join(format!("{name}.stderr")))
        };
        let usual = |name: &str| {
            let (pid, control) = (path(&format!("{name}.pid")), path(&format!("{name}.ctl")));
            [format!("--pidfile={pid}"), format!("--unixctl={control}"), "-vconsole:warn".into()]
        };
        let argv = ["ovsdb-server".to_owned(), file.clone(), format!("--remote=punix:{socket}")];
        let database = start("ovsdb-server", &[&argv[..], &usual("db")].concat())?;
        until("Open vSwitch's database", PATIENCE_S, || {
            Ok((Path::new(&socket).exists(), database.talk()))
        })?;
        let db = format!("--db=unix:{socket}");
        run(&["ovs-vsctl", &db, "--timeout", COMMAND_S, "--no-wait", "init"])?;
        let argv = ["ovs-vswitchd".to_owned(), format!("unix:{socket}")];
        let vswitchd = start("ovs-vswitchd", &[&argv[..], &usual("vs")].concat())?;
        let [port_a, port_b] = OVS_PORTS;
        run(&[
            "ovs-vsctl",
            &db,
            "--timeout",
            COMMAND_S,
            "--may-exist",
            "add-br",
            "br0",
            "--",
            "set",
            "bridge",
            "br0",
            "datapath_type=netdev",
            "--",
            "--may-exist",
            "add-port",
            "br0",
            port_a,
            "--",
            "--may-exist",
            "add-port",
            "br0",
            port_b,
            "--",
            "--id=@export",
            "create",
            "IPFIX",
            "targets=\"192.0.2.1:4739\"",
            "obs_domain_id=123",
            "obs_point_id=7",
            "sampling=1",
            "cache_active_timeout=1",
            "cache_max_flows=64",
            "--",
            "set",
            "bridge",
            "br0",
            "ipfix=@export",
        ])?;
        Ok(Self { vswitchd, database, dir })
    }

    /// An error if it has ended.
    pub(crate) fn must_run(&mut self) -> Result<()> {
        self.vswitchd.must_run()?;
        self.database.must_run()
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        let most = std::time::Duration::from_secs(5);
        self.vswitchd.stop(rustix::process::Signal::KILL, most);
        self.database.stop(rustix::process::Signal::KILL, most);
        let _ = fs::remove_dir_all(&self.dir);
    }
}
