// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The kill storm: collectors die by SIGKILL at random moments under a BMP load, a thousand
//! times, and every byte sent must stand in their outputs.
//!
//! Runs in a network namespace of its own, as root, on a kernel with the series. The bytes are
//! made by a generator that can be asked again for any offset ([`load`]), so nothing is kept to
//! compare with; outputs are checked while they grow, by the ledger's code, and removed once
//! their writer is dead ([`check`]). With `--fail` the slab allocator fails under the takeover
//! ([`fault`]); then, and only then, sessions may end, each counted by the kernel.

mod baseline;
mod cgroup;
mod check;
mod fault;
mod fleet;
pub(crate) mod load;
mod random;
mod sender;
mod verdict;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use baseline::Baseline;
use check::Checker;
use fleet::{Fleet, Settings};
use random::Random;
use sender::Sender;
use verdict::{Numbers, Verdict};

/// How long anything may take; an emulated guest on a busy host is slow, not stuck.
const PATIENCE: Duration = Duration::from_secs(900);

/// Kill collectors at random moments under load; check every byte, then for leaks.
#[derive(Debug, clap::Args)]
#[command(args_override_self = true)]
pub(crate) struct Args {
    /// The collector's binary [default: `telesteer` beside this program].
    #[arg(long)]
    telesteer: Option<PathBuf>,
    /// Folder for report.json and table.txt.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Empty or new folder for outputs and check-points, on a tmpfs.
    #[arg(long, default_value = "/dev/shm/telesteer-storm")]
    dir: PathBuf,
    /// Collectors.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u64).range(2..=64))]
    collectors: u64,
    /// BMP sessions open at a time.
    #[arg(long, default_value_t = 64)]
    sessions: usize,
    /// SIGKILLs.
    #[arg(long, default_value_t = 1000)]
    kills: u64,
    /// Longest pause between two kills, ms.
    #[arg(long, default_value_t = 300)]
    pause: u64,
    /// Bytes sent per second, all sessions together.
    #[arg(long, default_value_t = 1_000_000)]
    rate: u64,
    /// Seconds after which no further kill is begun.
    #[arg(long, default_value_t = 3600)]
    limit: u64,
    /// Percent of the allocations under the takeover that fail; 0: none.
    #[arg(long, default_value_t = 0)]
    fail: u32,
    /// Seed of load, chunks, pauses and victims.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print the verdict as JSON.
    #[arg(long)]
    json: bool,
}

/// What all threads of the storm share.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// Sessions that are open or not yet proved.
    sessions: Mutex<Vec<Arc<Session>>>,
    /// Kills so far.
    kills: AtomicU64,
    /// No new bytes.
    quiet: AtomicBool,
    /// All threads end.
    stop: AtomicBool,
}

impl Shared {
    fn sessions(&self) -> Vec<Arc<Session>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn add(&self, session: Arc<Session>) {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner).push(session);
    }

    /// Forgets sessions that are over and proved.
    fn forget(&self, over: impl Fn(&Session) -> bool) {
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.retain(|session| !over(session));
    }
}

/// One BMP session, as the sender made it and the checker sees it.
#[derive(Debug)]
pub(crate) struct Session {
    /// Number in the storm; seeds its bytes.
    number: u64,
    /// The exporter's end.
    exporter: SocketAddr,
    /// Bytes handed to the kernel.
    sent: AtomicU64,
    /// Bytes proved, from the first on.
    proved: AtomicU64,
    /// The sender is done with it.
    over: AtomicBool,
    /// The collectors' side ended it.
    cut: AtomicBool,
}

/// Runs the storm; exit 0 if every claim is met, 1 if not.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    own_namespace()?;
    let telesteer = match &args.telesteer {
        Some(path) => path.clone(),
        None => std::env::current_exe().context("own path")?.with_file_name("telesteer"),
    };
    std::fs::create_dir_all(&args.dir).with_context(|| args.dir.display().to_string())?;
    // The folder of the build may be a slow share, and a thousand lives begin with reading it.
    let binary = args.dir.join("telesteer");
    std::fs::copy(&telesteer, &binary).with_context(|| telesteer.display().to_string())?;
    let exporters = exporters(args.sessions)?;
    let root = cgroup::Cgroup::create("storm")?;

    let storm = Storm { args, telesteer: &binary, kills: args.kills, fail: args.fail };
    let rehearsal = Storm { kills: 2, fail: 0, ..storm };
    eprintln!("storm: rehearsal, so that the baseline holds what a first run leaves behind");
    rehearsal.run(&exporters, &root)?;
    let before = Baseline::take(&root)?;
    let mibs = baseline::mibs()?;
    eprintln!("storm: {} kills", args.kills);
    let numbers = storm.run(&exporters, &root)?;
    let settled = before.settle(&root, Duration::from_secs(300))?;
    let removed = root.remove(Duration::from_secs(30));
    let verdict = Verdict::of(args, numbers, mibs, settled, removed);
    let json = serde_json::to_string_pretty(&verdict)? + "\n";
    if let Some(out) = &args.out {
        for (name, text) in [("report.json", &json), ("table.txt", &verdict.table())] {
            let path = out.join(name);
            std::fs::write(&path, text).with_context(|| path.display().to_string())?;
        }
    }
    if args.json {
        print!("{json}");
    } else {
        print!("{}", verdict.table());
    }
    Ok(ExitCode::from(u8::from(!verdict.good())))
}

/// One storm.
#[derive(Clone, Copy)]
struct Storm<'a> {
    args: &'a Args,
    telesteer: &'a Path,
    kills: u64,
    fail: u32,
}

impl Storm<'_> {
    fn run(&self, exporters: &[SocketAddr], root: &cgroup::Cgroup) -> Result<Numbers> {
        let args = self.args;
        let out = args.dir.join("out");
        let state = args.dir.join("state");
        for folder in [&out, &state] {
            std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        }
        let settings = Settings { telesteer: self.telesteer, out: &out, state: &state, root };
        let mut fleet = Fleet::start(args.collectors, settings)?;
        fleet.all_ready(PATIENCE)?;

        let shared = Arc::new(Shared::default());
        let sender = Sender::new(args.seed, exporters.to_vec(), args.rate, Arc::clone(&shared));
        let checker = Checker::new(args.seed, out.clone(), Arc::clone(&shared));
        let (numbers, outcome) = std::thread::scope(|scope| {
            let sending = scope.spawn(|| sender.run());
            let checking = scope.spawn(|| checker.run());
            let outcome = self.kill(&mut fleet, &shared);
            shared.quiet.store(true, Ordering::Release);
            let drained = outcome.and_then(|()| wait_until_proved(&shared));
            let mibs = baseline::mibs();
            shared.stop.store(true, Ordering::Release);
            let sent = sending.join().unwrap_or_default();
            let checked = checking.join().unwrap_or_default();
            let kills = shared.kills.load(Ordering::Acquire);
            let mibs = mibs.unwrap_or_default();
            (Numbers { sent, checked, kills, mibs, ..Numbers::default() }, drained)
        });
        let mut numbers = numbers;
        numbers.died_on_their_own = fleet.died_on_their_own();
        numbers.rmdir_failed = fleet.end(PATIENCE)?;
        let open = shared.sessions();
        numbers.lost_bytes = open.iter().map(|session| session.missing()).sum();
        outcome?;
        for folder in [&out, &state] {
            std::fs::remove_dir_all(folder).with_context(|| folder.display().to_string())?;
        }
        Ok(numbers)
    }

    /// The kills. Before each, at least one other collector is ready: someone must inherit.
    fn kill(&self, fleet: &mut Fleet<'_>, shared: &Shared) -> Result<()> {
        let mut random = Random::new(self.args.seed ^ 0x6b69_6c6c);
        let until = Instant::now() + Duration::from_secs(self.args.limit);
        let all_open = || shared.sessions().iter().filter(|s| s.is_open()).count();
        wait("the sessions to be open", PATIENCE, || all_open() >= self.args.sessions)?;
        let _fault = (self.fail > 0).then(|| fault::Fault::arm(self.fail)).transpose()?;
        let mut told = Instant::now();
        for kill in 1..=self.kills {
            if Instant::now() >= until {
                eprintln!("storm: time is up after {} kills", kill - 1);
                break;
            }
            std::thread::sleep(Duration::from_millis(random.below(self.args.pause + 1)));
            let victim = random.below(fleet.len() as u64) as usize;
            fleet.another_ready(victim, PATIENCE)?;
            fleet.kill(victim)?;
            shared.kills.store(kill, Ordering::Release);
            if told.elapsed() > Duration::from_secs(10) {
                told = Instant::now();
                let sessions = shared.sessions();
                let behind: u64 = sessions.iter().map(|session| session.missing()).sum();
                eprintln!(
                    "storm: {kill} kills, {} sessions, {behind} bytes not yet proved",
                    sessions.len()
                );
            }
        }
        Ok(())
    }
}

impl Session {
    fn new(number: u64, exporter: SocketAddr) -> Self {
        Self {
            number,
            exporter,
            sent: AtomicU64::new(0),
            proved: AtomicU64::new(0),
            over: AtomicBool::new(false),
            cut: AtomicBool::new(false),
        }
    }

    fn is_open(&self) -> bool {
        !self.over.load(Ordering::Acquire)
    }

    /// Bytes that should be proved and are not (yet); none for a session that was cut.
    fn missing(&self) -> u64 {
        if self.cut.load(Ordering::Acquire) {
            return 0;
        }
        self.sent.load(Ordering::Acquire).saturating_sub(self.proved.load(Ordering::Acquire))
    }
}

/// Waits until every byte is proved, or nothing has come for five minutes.
fn wait_until_proved(shared: &Shared) -> Result<()> {
    let (mut least, mut since) = (u64::MAX, Instant::now());
    let mut told = Instant::now();
    loop {
        let sessions = shared.sessions();
        let missing: u64 = sessions.iter().map(|session| session.missing()).sum();
        if missing == 0 {
            return Ok(());
        }
        let stuck = since.elapsed() > Duration::from_secs(300);
        if stuck || told.elapsed() > Duration::from_secs(20) {
            told = Instant::now();
            eprintln!("storm: waiting for {missing} bytes: {}", missing_of(&sessions));
        }
        if missing < least {
            (least, since) = (missing, Instant::now());
        } else if stuck {
            eprintln!("storm: {missing} bytes do not come");
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The first sessions of which bytes are not proved, for people.
fn missing_of(sessions: &[Arc<Session>]) -> String {
    let missing = sessions.iter().filter(|session| session.missing() > 0);
    let words = missing.take(3).map(|session| {
        let (sent, proved) = (&session.sent, &session.proved);
        let (sent, proved) = (sent.load(Ordering::Acquire), proved.load(Ordering::Acquire));
        let state = if session.is_open() { "open" } else { "over" };
        format!("{} of {} from {} ({state})", sent - proved, sent, session.exporter)
    });
    words.collect::<Vec<_>>().join(", ")
}

/// Polls a condition until a deadline.
fn wait(what: &str, most: Duration, mut condition: impl FnMut() -> bool) -> Result<()> {
    let deadline = Instant::now() + most;
    while !condition() {
        if Instant::now() >= deadline {
            bail!("waited {} s in vain for {what}", most.as_secs());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// Refuses to run beside others: ports, counters and addresses must be the storm's own.
fn own_namespace() -> Result<()> {
    let link = |pid: &str| {
        let path = format!("/proc/{pid}/ns/net");
        std::fs::read_link(Path::new(&path)).with_context(|| path)
    };
    if link("self")? == link("1")? {
        bail!("run this in a network namespace of its own: unshare --net telesteer-scene storm …");
    }
    Ok(())
}

/// Addresses of the exporters, IPv4 and IPv6 in turn, all on the loopback of the namespace.
fn exporters(count: usize) -> Result<Vec<SocketAddr>> {
    ip(&["link", "set", "lo", "up"])?;
    let mut found = Vec::with_capacity(count);
    for number in 0..count {
        let low = number / 2 + 1;
        if number % 2 == 0 {
            let [high, low] = (low as u16).to_be_bytes();
            found.push(SocketAddr::from(([127, 8, high, low], 0)));
        } else {
            let address = [0xfd00, 8, 0, 0, 0, 0, 0, low as u16];
            let text = std::net::Ipv6Addr::from(address).to_string() + "/128";
            ip(&["-6", "address", "replace", &text, "dev", "lo", "nodad"])?;
            found.push(SocketAddr::from((address, 0)));
        }
    }
    Ok(found)
}

fn ip(arguments: &[&str]) -> Result<()> {
    let what = || format!("ip {}", arguments.join(" "));
    let output = Command::new("ip").args(arguments).output().with_context(what)?;
    if !output.status.success() {
        bail!("{}: {}", what(), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
