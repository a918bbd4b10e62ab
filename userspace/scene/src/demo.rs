// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `telesteer-scene demo`: plays the phases one after the other on the same network.

use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use crate::anycast::ecmp::Hash;
use crate::anycast::net::{ANYCAST, Net};
use crate::anycast::routing::Routing;
use crate::collectors::{MAPS, PHASES, Policy, Spec, UNLOADED};
use crate::kernel::{self, Unloaded};
use crate::load::Load;
use crate::phase::{Stage, compare, play};
use crate::process::run as run_program;
use crate::progress::Progress;
use crate::timeline::now_us;

/// The policy that is no module.
const BUILT_IN: &str = "source";
/// How long a policy that keeps live exporters where they are does so in the demo.
const LAZY_MS: u64 = 20_000;
/// Memory a phase may fill in a guest, in MiB.
const SCRATCH_MIB: u32 = 1536;

/// Servers behind the anycast address.
const SERVERS: usize = 2;

/// Arguments of `telesteer-scene demo`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folder for everything the scene leaves behind; made if it is not there.
    #[arg(long)]
    out: PathBuf,
    /// Play only these phases: stock, bpf-modulo, telesteer, one-map, shares, unloaded.
    #[arg(long, value_delimiter = ',')]
    phase: Vec<String>,
    /// The kernel policy of the phases that steer by one.
    #[arg(long, value_name = "NAME", default_value = "stable")]
    policy: String,
    /// How long a policy that keeps live exporters where they are may do so; for others it is 0.
    #[arg(long, value_name = "MS")]
    policy_deadline: Option<u64>,
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
    let (phases, maps) = chosen(&args.phase)?;
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
        "servers": SERVERS, "policy": args.policy,
        "phases": phases.iter().map(describe).collect::<Vec<_>>(),
        "maps": maps.iter().map(describe).collect::<Vec<_>>(),
        "complete": false,
    });
    write_scene(&out, &scene)?;
    let net = Net::build(SERVERS, true).context("the scene's network")?;
    // By addresses alone: only then do a router's session and its datagrams meet, in both families.
    Hash::Addresses.apply(&net)?;
    let log = out.join("routing");
    fs::create_dir_all(&log).with_context(|| format!("make {}", log.display()))?;
    let routing = RefCell::new(Routing::start(&net, &log).context("routing")?);
    let exporters = load.exporters().len();
    progress.step(&format!(
        "{SERVERS} servers behind {}, {exporters} exporters, kernel {}",
        ANYCAST[0],
        kernel::release()
    ));
    let lazy = if args.policy == BUILT_IN { 0 } else { LAZY_MS };
    let policy =
        Policy { name: args.policy.clone(), deadline_ms: args.policy_deadline.unwrap_or(lazy) };
    let stage =
        Stage { net: &net, load: &load, telesteer: &telesteer, policy: &policy, routing: &routing };
    for &spec in phases.iter().chain(&maps) {
        // What cannot be taken out is not asked for.
        let kept = spec.name == UNLOADED && args.policy == BUILT_IN;
        let spec = if kept { Spec { steering: "none", ..spec } } else { spec };
        let target = out.join(spec.name);
        if target.exists() {
            fs::remove_dir_all(&target).with_context(|| format!("remove {}", target.display()))?;
        }
        let dir = scratch.as_ref().map_or(target.clone(), |scratch| scratch.0.join(spec.name));
        let unloaded =
            (spec.name == UNLOADED).then(|| Unloaded::policy(&args.policy)).transpose()?;
        let script = if maps.iter().any(|one| one.name == spec.name) { compare } else { play };
        let played = script(&stage, spec, &dir, &mut progress);
        if dir != target {
            let copied =
                run_program(&["cp", "-r", &dir.to_string_lossy(), &target.to_string_lossy()]);
            fs::remove_dir_all(&dir).with_context(|| format!("remove {}", dir.display()))?;
            // What went wrong in the phase is the more important word.
            if played.is_ok() {
                copied?;
            }
        }
        played.with_context(|| format!("phase {}", spec.name))?;
        drop(unloaded);
    }
    drop(routing);
    drop(net);
    scene["complete"] = true.into();
    scene["ended_us"] = now_us().into();
    write_scene(&out, &scene)?;
    progress.step(&format!("all phases played, see {}", out.display()));
    Ok(ExitCode::SUCCESS)
}

fn describe(spec: &Spec) -> Value {
    json!({
        "name": spec.name, "steering": spec.steering, "takeover": spec.takeover, "key": spec.key,
        "weighted": spec.weighted,
    })
}

/// Phases and map phases of these names, all if there are none.
fn chosen(names: &[String]) -> anyhow::Result<(Vec<Spec>, Vec<Spec>)> {
    let all = || PHASES.iter().chain(&MAPS);
    for name in names {
        let known: Vec<&str> = all().map(|spec| spec.name).collect();
        ensure!(
            known.contains(&name.as_str()),
            "there is no phase {name:?}, only {}",
            known.join(", ")
        );
    }
    let wanted = |spec: &&Spec| names.is_empty() || names.iter().any(|name| name == spec.name);
    let pick = |list: &[Spec]| list.iter().filter(wanted).copied().collect();
    Ok((pick(&PHASES), pick(&MAPS)))
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
        let (picked, maps) = chosen(&names(&["telesteer", "stock"])).unwrap();
        assert_eq!(picked.iter().map(|spec| spec.name).collect::<Vec<_>>(), ["stock", "telesteer"]);
        assert!(maps.is_empty());
        let (all, maps) = chosen(&[]).unwrap();
        assert_eq!((all.len(), maps.len()), (3, 3));
        assert!(chosen(&names(&["sock"])).unwrap_err().to_string().contains("bpf-modulo"));
    }
}
