// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Facts about the machine the scene is played on, and its network counters.

use std::fs;
use std::path::Path;

use serde_json::{Map, Value};

use crate::error::{Result, at};
use crate::process::run;
use crate::progress::until;

/// The running kernel's release.
pub(crate) fn release() -> String {
    fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned()
}

/// How instructions run: `TELESTEER_ACCEL` as the VM's starter says, else by the processor's name.
pub(crate) fn accel() -> String {
    if let Ok(accel) = std::env::var("TELESTEER_ACCEL") {
        return accel;
    }
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    if cpu.contains("QEMU") || cpu.contains("TCG") { "tcg".to_owned() } else { "native".to_owned() }
}

/// Counters `TcpExt`, `Tcp`, `Udp` and `Udp6` of the namespace the process `pid` lives in.
pub(crate) fn counters(pid: u32) -> Value {
    let mut all = Map::new();
    for file in ["netstat", "snmp"] {
        let text = fs::read_to_string(format!("/proc/{pid}/net/{file}")).unwrap_or_default();
        all.extend(pairs(&text));
    }
    let text = fs::read_to_string(format!("/proc/{pid}/net/snmp6")).unwrap_or_default();
    let udp6: Map<String, Value> = text
        .lines()
        .filter_map(|line| {
            let (name, value) = line.split_once(char::is_whitespace)?;
            Some((name.strip_prefix("Udp6")?.to_owned(), value.trim().parse::<u64>().ok()?.into()))
        })
        .collect();
    all.insert("Udp6".to_owned(), udp6.into());
    all.into()
}

/// The kernel without the module of a policy, which nobody's request brings back, until it is dropped.
#[derive(Debug)]
pub(crate) struct Unloaded(Option<String>);

/// Patience for a module that is still in use.
const PATIENCE_S: u64 = 60;
/// The program the kernel calls for a module it wants.
const MODPROBE: &str = "/proc/sys/kernel/modprobe";

impl Unloaded {
    /// Takes the module out. Where there is none that could be loaded nothing is changed.
    pub(crate) fn policy(name: &str) -> Result<Self> {
        let module = format!("reuseport_{name}");
        let known = run(&["modprobe", "-n", "-q", &module]).is_ok();
        if !known && !is_loaded(&module) {
            return Ok(Self(None));
        }
        let path = Path::new(MODPROBE);
        let before = fs::read_to_string(path).map_err(at(path))?;
        fs::write(path, "/bin/false").map_err(at(path))?;
        let held = Self(Some(before));
        // The last group lets go of it a grace period after its sockets have gone.
        until(&format!("{module} to leave the kernel"), PATIENCE_S, || {
            let done =
                if is_loaded(&module) { run(&["rmmod", &module]) } else { Ok(String::new()) };
            Ok((done.is_ok(), done.err().map_or_else(String::new, |error| error.to_string())))
        })?;
        Ok(held)
    }
}

impl Drop for Unloaded {
    fn drop(&mut self) {
        if let Some(before) = &self.0
            && let Err(error) = fs::write(MODPROBE, before.trim())
        {
            eprintln!("telesteer-scene: {MODPROBE} is left without a program: {error}");
        }
    }
}

/// What is built in may have a folder, too, but no state.
fn is_loaded(module: &str) -> bool {
    Path::new("/sys/module").join(module).join("initstate").exists()
}

/// Two lines a group: names, then values.
fn pairs(text: &str) -> Map<String, Value> {
    let lines: Vec<&str> = text.lines().collect();
    let mut groups = Map::new();
    for pair in lines.chunks_exact(2) {
        let [names, values] = pair else { continue };
        let (Some((group, names)), Some((_, values))) =
            (names.split_once(':'), values.split_once(':'))
        else {
            continue;
        };
        if !["TcpExt", "Tcp", "Udp"].contains(&group) {
            continue;
        }
        let fields: Map<String, Value> = names
            .split_whitespace()
            .zip(values.split_whitespace())
            .filter_map(|(name, value)| Some((name.to_owned(), value.parse::<i64>().ok()?.into())))
            .collect();
        groups.insert(group.to_owned(), fields.into());
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_read_by_group() {
        let groups = pairs("TcpExt: A TCPTakeoverExit\nTcpExt: 1 2\nIpExt: X\nIpExt: 3\n");
        assert_eq!(groups["TcpExt"]["TCPTakeoverExit"], 2);
        assert!(!groups.contains_key("IpExt"));
        assert!(counters(std::process::id())["Udp"]["InDatagrams"].is_u64());
    }
}
