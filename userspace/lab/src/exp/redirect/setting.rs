// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The configuration of `hntes run` for the lab's network.

use crate::error::{Result, at};
use crate::exp::Bench;
use crate::net::Net;
use crate::process;
use serde_json::json;
use std::fs;
use std::path::PathBuf;

/// How long the loop takes over things.
#[derive(Clone, Copy, Debug)]
pub(in crate::exp) struct Times {
    /// Seconds after its last flow that an entry stays.
    pub(in crate::exp) age_s: u32,
    /// And up to so many more.
    pub(in crate::exp) jitter_s: u32,
    /// Seconds that a flow of a loop before counts as alive.
    pub(in crate::exp) doubt_s: u32,
    /// Milliseconds that a circuit stays after its last flow.
    pub(in crate::exp) linger_ms: u32,
    /// Milliseconds of a circuit from one extension's end to the next.
    pub(in crate::exp) lease_ms: u32,
    /// Bytes at which the journal is written anew.
    pub(in crate::exp) journal_bytes: u32,
    /// Milliseconds that the IP-routed and the science path take, as the topology says.
    pub(in crate::exp) delays_ms: (u32, u32),
}

/// The folder of offline tables.
pub(in crate::exp) fn tables(bench: &Bench) -> PathBuf {
    bench.work.join("tables")
}

/// Writes the table of a day, of these pairs of networks and their reverses; the older ones stay.
///
/// # Errors
///
/// If it cannot be written.
pub(in crate::exp) fn table(bench: &Bench, day: &str, pairs: &[(&str, &str)]) -> Result<()> {
    let dir = tables(bench);
    fs::create_dir_all(&dir).map_err(at(&dir))?;
    let entries: Vec<_> =
        pairs.iter().map(|(src, dst)| json!({"src": src, "dst": dst, "lsps": []})).collect();
    let table = json!({"version": 1, "day": day, "both_directions": true, "entries": entries});
    // The loop looks into the folder at any time.
    let new = dir.join(format!("pbr-{day}.json.new"));
    process::write(&new, format!("{table:#}\n"))?;
    fs::rename(&new, dir.join(format!("pbr-{day}.json"))).map_err(at(&new))
}

/// The section of the offline table.
pub(in crate::exp) fn offline(bench: &Bench, routes: bool, circuits: bool) -> String {
    format!(
        "\n[offline]\ntables = \"{}\"\nlook-every-s = 1\nroutes = {routes}\ncircuits = {circuits}\n",
        tables(bench).display()
    )
}

impl Default for Times {
    fn default() -> Self {
        Self {
            age_s: 5,
            jitter_s: 2,
            doubt_s: 150,
            linger_ms: 2000,
            lease_ms: 600_000,
            journal_bytes: 8 << 20,
            delays_ms: (0, 0),
        }
    }
}

/// The folder of the loop's journal and audit log.
pub(in crate::exp) fn store(bench: &Bench) -> PathBuf {
    bench.work.join("store")
}

/// The file of the provider's circuits.
pub(in crate::exp) fn circuits(bench: &Bench) -> PathBuf {
    bench.work.join("circuits-of-run.json")
}

/// Writes it, with the sections that say where flows become known; gives the file.
///
/// # Errors
///
/// If a file cannot be written.
pub(in crate::exp) fn write(
    bench: &Bench,
    net: &Net,
    inputs: &str,
    times: Times,
) -> Result<PathBuf> {
    write_with(bench, net, inputs, "", times)
}

/// The same with more keys of the section `[online]`.
///
/// # Errors
///
/// If a file cannot be written.
pub(in crate::exp) fn write_with(
    bench: &Bench,
    net: &Net,
    inputs: &str,
    online: &str,
    times: Times,
) -> Result<PathBuf> {
    let Times { age_s, jitter_s, doubt_s, linger_ms, lease_ms, journal_bytes, delays_ms } = times;
    let store = store(bench);
    // Of a run before.
    let _ = fs::remove_dir_all(&store);
    fs::create_dir_all(&store).map_err(at(&store))?;
    let topology = net.topology(&bench.work, 100, delays_ms)?;
    let state = circuits(bench);
    let _ = fs::remove_file(&state);
    let text = format!(
        r#"[store]
dir = "{store}"
journal-bytes = {journal_bytes}

{inputs}
[online]
{online}
age-s = {age_s}
jitter-s = {jitter_s}
doubt-s = {doubt_s}
reach = "flow"
start-wait-s = 20

[circuits]
provider = "local"
list-every-s = 5

[circuits.manner]
lease-ms = {lease_ms}
linger-ms = {linger_ms}
off-ip-path = true

[circuits.local]
topology = "{topology}"
state = "{state}"
agent = "{agent}"
poll-ms = 2000

[routers.pe1]
addresses = ["10.255.0.1", "192.0.2.1"]
prefixes = ["10.1.0.0/16"]
device = "nft"
netns = "{pe1}"
read-every-s = 2

[routers.pe2]
addresses = ["10.255.0.4", "10.9.3.2"]
prefixes = ["10.2.0.0/16"]
device = "nft"
netns = "{pe2}"
read-every-s = 2
"#,
        store = store.display(),
        topology = topology.display(),
        state = state.display(),
        agent = bench.programs.join("circuit-agent").display(),
        pe1 = net.pe1.name,
        pe2 = net.pe2.name,
    );
    let path = bench.work.join("run.toml");
    process::write(&path, text)?;
    Ok(path)
}
