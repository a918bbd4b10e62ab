// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Opens the device of a router, in its network namespace.

use super::file::File;
use super::settings::{Kind, Settings};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::collections::BTreeMap;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use telesteer_fam::Ns;
use telesteer_fam::time::SECOND;
use telesteer_redirect::device::Device;
use telesteer_redirect::flowspec::{self, FlowSpec, RouteTarget};
use telesteer_redirect::frr::{Frr, Site};
use telesteer_redirect::iprule::IpRule;
use telesteer_redirect::junos::{Junos, Link};
use telesteer_redirect::nft::{self, Nft};
use telesteer_redirect::openflow::{self, Egress, OpenFlow, Timeouts};
use telesteer_redirect::slow::Slow;
use telesteer_redirect::{PathName, junos};

/// Where namespaces have names.
const NAMESPACES: &str = "/run/netns";

/// Enters the namespace of a router with the calling thread, and with what it starts.
///
/// # Errors
///
/// If there is none of that name, or it may not be entered.
pub fn enter(netns: &Path) -> Result<(), String> {
    let path = Path::new(NAMESPACES).join(netns);
    let said = |error: io::Error| format!("entering {}: {error}", path.display());
    let file = std::fs::File::open(&path).map_err(said)?;
    move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))
        .map_err(|error| said(error.into()))
}

fn named<T: Clone>(by_path: &BTreeMap<String, T>) -> Result<BTreeMap<PathName, T>, String> {
    let one = |(name, value): (&String, &T)| {
        let name = PathName::new(name).map_err(|bad| bad.to_string())?;
        Ok((name, value.clone()))
    };
    by_path.iter().map(one).collect()
}

/// Opens the device of router `name`. Once `stop` is set, a session that waits for its router ends.
///
/// # Errors
///
/// With what was tried.
pub fn open(
    name: &str,
    settings: &Settings,
    stop: &Arc<AtomicBool>,
) -> Result<Box<dyn Device>, String> {
    let lacks = |what: &str| format!("routers.{name}.{what}: missing");
    let bad = |error: telesteer_redirect::DeviceError| error.to_string();
    if let Some(netns) = &settings.netns {
        enter(netns)?;
    }
    let device: Box<dyn Device> = match settings.device {
        Kind::Nft => {
            Box::new(Nft::with_limit(name, settings.limit.unwrap_or(nft::LIMIT)).map_err(bad)?)
        }
        Kind::IpRule => Box::new(IpRule::open(name).map_err(bad)?),
        Kind::Frr => {
            let of = settings.frr.as_ref().ok_or_else(|| lacks("frr"))?;
            let site = Site {
                vtysh: of.vtysh.clone(),
                map: of.map.clone(),
                interfaces: of.interfaces.clone(),
                vrfs: named(&of.vrfs)?,
            };
            Box::new(Frr::open(name, site).map_err(bad)?)
        }
        Kind::Openflow => {
            let of = settings.openflow.as_ref().ok_or_else(|| lacks("openflow"))?;
            let mut egress = BTreeMap::new();
            for (path, one) in named(&of.egress)? {
                let mac = one.octets()?;
                egress.insert(path, Egress { port: one.port, label: one.label, mac });
            }
            let limit = settings.limit.unwrap_or(openflow::LIMIT);
            let timeouts = Timeouts { idle: of.idle_timeout_s, hard: of.hard_timeout_s };
            let switch = OpenFlow::open(name, &of.bridge, egress, limit).map_err(bad)?;
            Box::new(switch.with_timeouts(timeouts))
        }
        Kind::Junos => {
            let of = settings.junos.as_ref().ok_or_else(|| lacks("junos"))?;
            let answer = Duration::try_from_secs_f64(of.answer_s).unwrap_or(junos::ANSWER);
            let link = Link::start(&of.command, answer, stop.clone())?;
            let limit = settings.limit.unwrap_or(junos::LIMIT);
            Box::new(Junos::open(name, link, named(&of.instances)?, limit).map_err(bad)?)
        }
        Kind::Flowspec => {
            let of = settings.flowspec.as_ref().ok_or_else(|| lacks("flowspec"))?;
            let mut targets = BTreeMap::new();
            for (path, target) in named(&of.targets)? {
                let read = target.parse::<RouteTarget>();
                let target = read.map_err(|error| format!("path {path}: {error}"))?;
                targets.insert(path, target);
            }
            let (gobgp, community) = (of.gobgp.clone(), of.community);
            let site = flowspec::Site { gobgp, targets, community };
            let limit = settings.limit.unwrap_or(flowspec::LIMIT);
            let router = Box::new(Nft::with_limit(name, nft::LIMIT).map_err(bad)?);
            Box::new(FlowSpec::open(name, site, router, limit).map_err(bad)?)
        }
        Kind::File => {
            let path: &PathBuf = settings.file.as_ref().ok_or_else(|| lacks("file"))?;
            Box::new(File::new(name, path.clone()))
        }
    };
    let slow = (settings.slow_s * SECOND as f64) as Ns;
    Ok(if slow > 0 { Box::new(Slow::new(device, slow)) } else { device })
}

#[cfg(test)]
mod tests {
    use super::super::Station;
    use super::*;
    use crate::bell::Bell;
    use crate::crash::Crash;
    use std::thread;
    use std::time::Instant;

    /// A router that took the session and says nothing.
    #[test]
    fn a_router_that_hangs_does_not_keep_its_thread() {
        let dir = tempfile::tempdir().unwrap();
        let begun = dir.path().join("begun");
        let command = format!("echo >{}; exec sleep 1000", begun.display());
        let settings: Settings = toml::from_str(&format!(
            "device = 'junos'\n[junos]\ncommand = ['sh', '-c', \"{command}\"]\ninstances = {{}}\n"
        ))
        .unwrap();
        let bounds = telesteer_redirect::Settings::default();
        let home = Arc::new(Bell::default());
        let mut station = Station::start("r1", settings, bounds, None, Crash::default(), home);
        let begin = Instant::now();
        while !begun.exists() {
            assert!(begin.elapsed() < Duration::from_secs(60), "the session does not begin");
            thread::sleep(Duration::from_millis(10));
        }
        let asked = Instant::now();
        station.stop();
        assert!(asked.elapsed() < Duration::from_secs(10), "it took {:?}", asked.elapsed());
    }
}
