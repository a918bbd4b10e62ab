// SPDX-License-Identifier: Apache-2.0 OR MIT
//! FRR with pbrd, and a VRF whose table leads onto the science path.

use crate::error::{Result, at};
use crate::process::{Process, until};
use crate::space::Space;
use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use telesteer_redirect::frr::{Frr, Site};
use telesteer_redirect::{Device, DeviceError, PathName};

const DAEMONS: [&str; 3] = ["mgmtd", "zebra", "pbrd"];
/// Patience for a daemon to begin on an emulated machine.
const PATIENCE: Duration = Duration::from_secs(120);
/// The VRF whose table leads onto the science path.
const VRF: &str = "vrf-lsp";

/// Running daemons; dropping them ends them.
#[derive(Debug)]
pub(crate) struct Daemons {
    _daemons: Vec<Process>,
    /// Keeps them apart from other daemons of FRR.
    name: String,
    /// Where packets to redirect come in.
    interface: String,
}

impl Daemons {
    /// Starts them in a namespace, with a VRF of this table; packets to redirect come in at
    /// `interface`, which is there.
    ///
    /// # Errors
    ///
    /// If a program is missing or does not come up, or the kernel has no VRF.
    pub(crate) fn start(space: &Space, dir: &Path, interface: &str, table: u32) -> Result<Self> {
        let name = space.name.clone();
        let sockets = PathBuf::from("/run/frr").join(&name);
        fs::create_dir_all(&sockets).map_err(at(&sockets))?;
        // The daemons are not root, and make their sockets there.
        fs::set_permissions(&sockets, Permissions::from_mode(0o777)).map_err(at(&sockets))?;
        space.ip(&format!("link add {VRF} type vrf table {table}\nlink set {VRF} up\n"))?;
        let mut daemons = Vec::new();
        for daemon in DAEMONS {
            let program = format!("/usr/lib/frr/{daemon}");
            let argv = [program.as_str(), "-A", "127.0.0.1", "-P", "0", "-N", &name];
            let mut process = Process::start(daemon, Some(&space.name), dir, &argv)?;
            let socket = sockets.join(format!("{daemon}.vty"));
            until(daemon, PATIENCE, || {
                process.must_run()?;
                Ok(socket.exists())
            })?;
            daemons.push(process);
        }
        // pbrd refuses a VRF that zebra has not told it of yet.
        let tell = |lines: [&str; 3]| {
            let mut argv = vec!["vtysh", "-N", &name];
            lines
                .into_iter()
                .filter(|line| !line.is_empty())
                .for_each(|line| argv.extend(["-c", line]));
            space.run(&argv)
        };
        let vrf = format!("set vrf {VRF}");
        until("the VRF in pbrd", PATIENCE, || {
            Ok(tell(["configure terminal", "pbr-map PROBE seq 1", &vrf]).is_ok())
        })?;
        tell(["configure terminal", "no pbr-map PROBE seq 1", ""])?;
        Ok(Self { _daemons: daemons, name, interface: interface.to_owned() })
    }

    /// The pbr-map as a device; the path `name` is the VRF.
    ///
    /// # Errors
    ///
    /// If pbrd does not answer.
    pub(crate) fn open(
        &self,
        name: &PathName,
    ) -> std::result::Result<Box<dyn Device + Send>, DeviceError> {
        let site = Site {
            vtysh: ["vtysh", "-N", &self.name].map(str::to_owned).into(),
            map: "HNTES".to_owned(),
            interfaces: vec![self.interface.clone()],
            vrfs: BTreeMap::from([(name.clone(), VRF.to_owned())]),
        };
        Ok(Box::new(Frr::open("frr", site)?))
    }
}
