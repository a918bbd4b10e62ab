// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Routers whose own programs must run: Open vSwitch, FRR, GoBGP with our receiver, each in a namespace
//! of the lab.

pub(crate) mod flowspec;
pub(crate) mod frr;
pub(crate) mod ovs;

use crate::error::Result;
use crate::space::Space;
use std::path::Path;
use telesteer_redirect::iprule::IpRule;
use telesteer_redirect::nft::Nft;
use telesteer_redirect::{Device, DeviceError, PathName, Target};

/// What runs beside a device; dropping it ends it.
#[derive(Debug)]
pub(crate) enum Programs {
    /// Nothing.
    None,
    /// Open vSwitch.
    Ovs(ovs::Switch),
    /// FRR.
    Frr(frr::Daemons),
    /// GoBGP and a receiver.
    FlowSpec(flowspec::Session),
}

impl Programs {
    /// Starts what `device` needs in a namespace. Packets to redirect come in at `interface`, which is
    /// there; the path is `name`, with this mark and table.
    ///
    /// # Errors
    ///
    /// If a program is missing or does not come up.
    pub(crate) fn start(
        device: &str,
        space: &Space,
        dir: &Path,
        interface: &str,
        (name, target): (&PathName, Target),
    ) -> Result<Self> {
        Ok(match device {
            "openflow" => Self::Ovs(ovs::Switch::start(space, dir)?),
            "frr" => Self::Frr(frr::Daemons::start(space, dir, interface, target.table)?),
            "flowspec" => Self::FlowSpec(flowspec::Session::start(space, dir, name, target)?),
            _ => Self::None,
        })
    }

    /// Opens the device, in the namespace of the calling thread.
    ///
    /// # Errors
    ///
    /// If it does not answer.
    pub(crate) fn open(
        &self,
        device: &str,
        name: &PathName,
    ) -> std::result::Result<Box<dyn Device + Send>, DeviceError> {
        Ok(match self {
            Self::Ovs(switch) => switch.open(name, None)?,
            Self::Frr(daemons) => daemons.open(name)?,
            Self::FlowSpec(session) => session.open(name)?,
            Self::None if device == "ip-rule" => Box::new(IpRule::open(device)?),
            Self::None => Box::new(Nft::open(device)?),
        })
    }
}
