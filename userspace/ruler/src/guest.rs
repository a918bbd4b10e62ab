// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Where a measurement runs, and what the kernel there can do.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, bail};
use telesteer_sys::features;
use telesteer_sys::listen::Unbound;
use telesteer_sys::reuseport::{self, KEY_SADDR};

/// The kernel's name in the reports: what the guest was told, else its release.
///
/// # Errors
///
/// If /proc is not there.
pub fn kernel() -> Result<String> {
    if let Ok(name) = std::env::var("TELESTEER_VM") {
        return Ok(name);
    }
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").context("osrelease")?;
    Ok(release.trim().to_owned())
}

/// Refuses to run among other sockets, and brings the loopback device up.
///
/// # Errors
///
/// Outside a network namespace of its own.
pub fn own_namespace() -> Result<()> {
    let ours = fs::read_link("/proc/self/ns/net").context("our network namespace")?;
    if fs::read_link("/proc/1/ns/net").is_ok_and(|first| first == ours) {
        bail!("run this in a network namespace of its own: unshare --net …");
    }
    let status = Command::new("ip").args(["link", "set", "lo", "up"]).status().context("ip")?;
    if !status.success() {
        bail!("ip link set lo up: {status}");
    }
    set("net/core/somaxconn", "65535")
}

/// Sets a sysctl, given as a path.
///
/// # Errors
///
/// With its name.
pub fn set(name: &str, value: &str) -> Result<()> {
    fs::write(format!("/proc/sys/{name}"), value).with_context(|| format!("sysctl {name}"))
}

/// Why the kernel cannot steer by `policy`; `None` if it can.
///
/// # Errors
///
/// If no socket can be made.
pub fn lacks(policy: &str) -> Result<Option<String>> {
    if !features::probe()?.policy {
        return Ok(Some("this kernel has no SO_REUSEPORT_POLICY".to_owned()));
    }
    let socket = Unbound::udp(([127, 0, 0, 1], 0).into())?;
    let request = reuseport::request(policy, KEY_SADDR, [1; 16])?;
    Ok(reuseport::set_policy(&socket, &request)
        .err()
        .map(|error| format!("this kernel has no policy {policy} ({error})")))
}
