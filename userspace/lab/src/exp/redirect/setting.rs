// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The configuration of `hntes run` for the lab's network.

use crate::error::{Result, at};
use crate::exp::Bench;
use crate::net::Net;
use crate::process;
use std::fs;
use std::path::PathBuf;

/// Seconds after its last flow that an entry stays, and jitter.
const AGE_S: u32 = 5;
const JITTER_S: u32 = 2;
/// Milliseconds that a circuit stays after its last flow.
const LINGER_MS: u32 = 2000;

/// The folder of the loop's journal and audit log.
pub(in crate::exp) fn store(bench: &Bench) -> PathBuf {
    bench.work.join("store")
}

/// Writes it, with the sections that say where flows become known; gives the file.
///
/// # Errors
///
/// If a file cannot be written.
pub(in crate::exp) fn write(bench: &Bench, net: &Net, inputs: &str) -> Result<PathBuf> {
    let store = store(bench);
    // Of a run before.
    let _ = fs::remove_dir_all(&store);
    fs::create_dir_all(&store).map_err(at(&store))?;
    let topology = net.topology(&bench.work, 100)?;
    let text = format!(
        r#"[store]
dir = "{store}"

{inputs}
[online]
age-s = {AGE_S}
jitter-s = {JITTER_S}
reach = "flow"
start-wait-s = 20

[circuits]
provider = "local"
list-every-s = 5

[circuits.manner]
linger-ms = {LINGER_MS}
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
        state = bench.work.join("circuits-of-run.json").display(),
        agent = bench.programs.join("circuit-agent").display(),
        pe1 = net.pe1.name,
        pe2 = net.pe2.name,
    );
    // Of a run before, too.
    let _ = fs::remove_file(bench.work.join("circuits-of-run.json"));
    let path = bench.work.join("run.toml");
    process::write(&path, text)?;
    Ok(path)
}
