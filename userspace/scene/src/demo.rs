// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `telesteer-scene demo`: plays the phases one after the other on the same network.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use crate::collectors::{PHASES, Spec};
use crate::kernel;
use crate::load::Load;
use crate::net::{ANYCAST, Net};
use crate::phase::{Stage, play};
use crate::process::run as run_program;
use crate::progress::Progress;
use crate::timeline::now_us;

/// Memory a phase may fill in a guest, in MiB.
const SCRATCH_MIB: u32 = 1536;

/// Arguments of `telesteer-scene demo`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folder for everything the scene leaves behind; made if it is not there.
    #[arg(long)]
    out: PathBuf,
    /// Play only these phases: stock, bpf-modulo, telesteer.
    #[arg(long, value_delimiter = ',')]
    phase: Vec<String>,
    /// A small load, for trying a change.
    #[arg(long)]
    quick: bool,
    /// Print a line of state every second, as on a terminal, not only every five.
    #[arg(long)]
    live: bool,
    /// The program under test; by default the `telesteer` beside this program.
    #[arg(long)]
    telesteer: Option<PathBuf>,
    /// Play in memory, a tmpfs of so many MiB, and copy the results to the folder at the end of each
    /// phase; 0 plays in the folder. By default only in a guest, where the folder is a slow share.
    #[arg(long, value_name = "MIB")]
    scratch: Option<u32>,
}

/// A tmpfs that goes away with its owner.
struct Scratch(PathBuf);

impl Scratch {
    fn mount(mib: u32) -> anyhow::Result<Self> {
        let path = PathBuf::from(format!("/run/telesteer-scratch-{}", std::process::id()));
        fs::create_dir_all(&path).with_context(|| format!("make {}", path.display()))?;
        let size = format!("size={mib}m");
        run_program(&["mount", "-t", "tmpfs", "-o", &size, "tmpfs", &path.to_string_lossy()])?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = run_program(&["umount", &self.0.to_string_lossy()]) {
            eprintln!("telesteer-scene: {error}");
        }
        let _ = fs::remove_dir(&self.0);
    }
}

/// Plays the demo; on an error everything is taken down and `scene.json` stays incomplete.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let phases = chosen(&args.phase)?;
    let telesteer = program(args.telesteer.as_deref())?;
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&interrupted)).context("signal handler")?;
    }
    let mut progress = Progress::new(args.live, interrupted);
    fs::create_dir_all(&args.out).with_context(|| format!("make {}", args.out.display()))?;
    let out = args.out.canonicalize().with_context(|| format!("find {}", args.out.display()))?;
    let in_guest = if kernel::accel() == "native" { 0 } else { SCRATCH_MIB };
    let scratch = Some(args.scratch.unwrap_or(in_guest)).filter(|&mib| mib > 0);
    let scratch = scratch.map(Scratch::mount).transpose()?;
    let load = if args.quick { Load::quick() } else { Load::full() };
    let mut scene = json!({
        "kernel": kernel::release(), "accel": kernel::accel(),
        "cpus": std::thread::available_parallelism().map_or(0, usize::from),
        "started_us": now_us(), "anycast": ANYCAST,
        "ports": { "bmp": 1790, "ipfix": 4739, "netflow": 2055, "notif": 10003 },
        "phases": phases.iter().map(describe).collect::<Vec<_>>(),
        "complete": false,
    });
    write_scene(&out, &scene)?;
    let net = Net::build().context("the scene's network")?;
    let exporters = load.exporters().len();
    progress
        .step(&format!("three namespaces, {exporters} exporters, kernel {}", kernel::release()));
    let stage = Stage { net: &net, load: &load, telesteer: &telesteer };
    for &spec in &phases {
        let target = out.join(spec.name);
        if target.exists() {
            fs::remove_dir_all(&target).with_context(|| format!("remove {}", target.display()))?;
        }
        let dir = scratch.as_ref().map_or(target.clone(), |scratch| scratch.0.join(spec.name));
        let played = play(&stage, spec, &dir, &mut progress);
        if dir != target {
            run_program(&["cp", "-r", &dir.to_string_lossy(), &target.to_string_lossy()])?;
            fs::remove_dir_all(&dir).with_context(|| format!("remove {}", dir.display()))?;
        }
        played.with_context(|| format!("phase {}", spec.name))?;
    }
    drop(net);
    scene["complete"] = true.into();
    scene["ended_us"] = now_us().into();
    write_scene(&out, &scene)?;
    progress.step(&format!("all phases played, see {}", out.display()));
    Ok(ExitCode::SUCCESS)
}

fn describe(spec: &Spec) -> Value {
    json!({ "name": spec.name, "steering": spec.steering, "takeover": spec.takeover })
}

fn chosen(names: &[String]) -> anyhow::Result<Vec<Spec>> {
    for name in names {
        ensure!(
            PHASES.iter().any(|spec| spec.name == name),
            "there is no phase {name:?}, only {}",
            PHASES.map(|spec| spec.name).join(", ")
        );
    }
    let wanted = |spec: &&Spec| names.is_empty() || names.iter().any(|name| name == spec.name);
    Ok(PHASES.iter().filter(wanted).copied().collect())
}

/// The program under test.
pub(crate) fn program(given: Option<&Path>) -> anyhow::Result<String> {
    let path = match given {
        Some(path) => path.to_owned(),
        None => std::env::current_exe().context("own path")?.with_file_name("telesteer"),
    };
    let path = path.canonicalize().with_context(|| format!("the program {}", path.display()))?;
    Ok(path.to_string_lossy().into_owned())
}

fn write_scene(out: &Path, scene: &Value) -> anyhow::Result<()> {
    let path = out.join("scene.json");
    fs::write(&path, format!("{scene:#}\n")).with_context(|| format!("write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_keep_their_order_and_unknown_ones_are_refused() {
        let names = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let picked = chosen(&names(&["telesteer", "stock"])).unwrap();
        assert_eq!(picked.iter().map(|spec| spec.name).collect::<Vec<_>>(), ["stock", "telesteer"]);
        assert_eq!(chosen(&[]).unwrap().len(), 3);
        assert!(chosen(&names(&["sock"])).unwrap_err().to_string().contains("bpf-modulo"));
    }
}
