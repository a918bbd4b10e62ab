// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Opens the device of a router, in its network namespace.

use super::file::File;
use super::settings::{Kind, Settings};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use telesteer_fam::Ns;
use telesteer_fam::time::SECOND;
use telesteer_redirect::device::Device;
use telesteer_redirect::flowspec::{self, FlowSpec, RouteTarget};
use telesteer_redirect::frr::{Frr, Site};
use telesteer_redirect::iprule::IpRule;
use telesteer_redirect::junos::Junos;
use telesteer_redirect::nft::{self, Nft};
use telesteer_redirect::openflow::{self, Egress, OpenFlow};
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

/// Opens the device of router `name`.
///
/// # Errors
///
/// With what was tried.
pub fn open(name: &str, settings: &Settings) -> Result<Box<dyn Device>, String> {
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
            Box::new(OpenFlow::open(name, &of.bridge, egress, limit).map_err(bad)?)
        }
        Kind::Junos => {
            let of = settings.junos.as_ref().ok_or_else(|| lacks("junos"))?;
            let session = Session::start(&of.command)?;
            let limit = settings.limit.unwrap_or(junos::LIMIT);
            Box::new(Junos::open(name, session, named(&of.instances)?, limit).map_err(bad)?)
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

/// A command's input and output as one stream.
struct Session {
    child: Child,
    input: ChildStdin,
    output: ChildStdout,
}

impl Session {
    fn start(command: &[String]) -> Result<Self, String> {
        let (program, args) = command.split_first().ok_or("command: empty")?;
        let said = |error: io::Error| format!("`{}`: {error}", command.join(" "));
        let mut child = Command::new(program)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(said)?;
        match (child.stdin.take(), child.stdout.take()) {
            (Some(input), Some(output)) => Ok(Self { child, input, output }),
            _ => Err(said(io::ErrorKind::BrokenPipe.into())),
        }
    }
}

impl Read for Session {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.output.read(into)
    }
}

impl Write for Session {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.input.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.input.flush()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
