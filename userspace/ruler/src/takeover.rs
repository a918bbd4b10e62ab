// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a takeover costs: instructions per session from the death of its owner to its heir's
//! `accept`, beside what a stock kernel spends on closing it and accepting it again.
//!
//! A donor, a process of its own in a cgroup of its own, accepts all sessions; then a sibling joins
//! and the donor is killed. On loopback the FIN of a closing session would be received and
//! acknowledged at the closer's expense, which no network card does: the strict reading cuts the
//! wire first.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use socket2::{Domain, Socket, Type};
use telesteer_sys::counter::{children_time, cycles, process_time};
use telesteer_sys::{bound, diag, features, process, takeover};

use crate::group::Group;
use crate::guest;
use crate::steering::Steering;

/// Port of the group, and of the listener for the plain accepts.
const PORT: u16 = 1790;
const PLAIN_PORT: u16 = 1791;
/// Looks at the queue of a listener, a hundredth of a second apart.
const QUEUE_LOOKS: usize = 3000;
/// Sessions of one peer address.
const PER_PEER: usize = 100;
/// The donor's cgroup.
const CGROUP: &str = "/sys/fs/cgroup/ruler-donor";

/// What to measure.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Sessions of the process that dies.
    #[arg(long, value_delimiter = ',', default_values_t = [0, 100, 1000, 3000, 10_000])]
    pub sessions: Vec<usize>,
    /// Kernel policy of the group, where there is one.
    #[arg(long, default_value = "source")]
    pub policy: String,
    /// Readings of each row.
    #[arg(long, default_value_t = 3)]
    pub readings: usize,
}

/// One measurement in a namespace of its own.
#[derive(Debug, Clone, clap::Args)]
pub struct Once {
    /// Sessions.
    #[arg(long)]
    pub sessions: usize,
    /// Kernel policy, where there is one.
    #[arg(long, default_value = "source")]
    pub policy: String,
    /// Let nothing leave the machine while the donor dies.
    #[arg(long)]
    pub cut: bool,
}

/// The process that dies.
#[derive(Debug, Clone, clap::Args)]
pub struct Donor {
    /// Where its group listens.
    #[arg(long)]
    pub addr: SocketAddr,
    /// How it is steered.
    #[arg(long)]
    pub steering: Steering,
    /// Leave the sessions to siblings.
    #[arg(long)]
    pub takeover: bool,
    /// Sessions to accept.
    #[arg(long)]
    pub sessions: usize,
}

/// Instructions, all sessions together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Sessions.
    pub sessions: usize,
    /// Whether the wire was cut.
    pub cut: bool,
    /// From the kill to the end of the donor.
    pub death: u64,
    /// The heir's accepts of what it inherited; 0 on a kernel without takeover.
    pub inherit: u64,
    /// Accepts of as many new sessions.
    pub accept: u64,
    /// Sessions the heir got.
    pub moved: usize,
}

/// All rows of a kernel: for each number of sessions the least of each column.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Run {
    /// The kernel's name.
    pub kernel: String,
    /// Whether it hands sessions over.
    pub takeover: bool,
    /// The rows.
    pub rows: Vec<Row>,
}

/// Measures every row.
///
/// # Errors
///
/// If a session gets lost that should have moved, or a process cannot be started.
pub fn run(args: &Args) -> Result<Run> {
    let mut run =
        Run { kernel: guest::kernel()?, takeover: features::probe()?.takeover, rows: Vec::new() };
    for cut in [true, false] {
        for sessions in &args.sessions {
            let mut least: Option<Row> = None;
            for _ in 0..args.readings {
                let row = in_namespace(*sessions, &args.policy, cut)?;
                let so_far = least.get_or_insert(row);
                so_far.death = so_far.death.min(row.death);
                so_far.inherit = so_far.inherit.min(row.inherit);
                so_far.accept = so_far.accept.min(row.accept);
            }
            let Some(row) = least else { bail!("no reading was asked for") };
            let each = |sum: u64| sum as f64 / (*sessions).max(1) as f64;
            eprintln!(
                "{sessions:6} sessions{}: death {:9.0}, inherit {:7.0}, accept {:7.0} each",
                if cut { ", wire cut" } else { "" },
                each(row.death),
                each(row.inherit),
                each(row.accept)
            );
            run.rows.push(row);
        }
    }
    Ok(run)
}

/// Sockets of one reading must not meet those of another, which linger in TIME_WAIT and FIN_WAIT.
fn in_namespace(sessions: usize, policy: &str, cut: bool) -> Result<Row> {
    let mut command = Command::new("unshare");
    command.arg("--net").arg(std::env::current_exe().context("own path")?);
    command.args(["takeover-once", "--policy", policy, "--sessions", &sessions.to_string()]);
    if cut {
        command.arg("--cut");
    }
    let output = command.stderr(Stdio::inherit()).output().context("unshare")?;
    ensure!(output.status.success(), "a reading of {sessions} sessions: {}", output.status);
    serde_json::from_slice(&output.stdout).context("the reading's row")
}

/// One reading.
///
/// # Errors
///
/// As [`run`].
pub fn once(args: &Once) -> Result<Row> {
    guest::own_namespace()?;
    guest::set("net/ipv4/tcp_max_syn_backlog", "65535")?;
    process::raise_descriptor_limit().context("descriptors")?;
    let features = features::probe()?;
    let steering =
        if features.policy { Steering::Policy(args.policy.clone()) } else { Steering::Hash };
    let mut row = Row { sessions: args.sessions, cut: args.cut, ..Row::default() };
    row.accept = plain_accepts(args.sessions)?;

    let addr: SocketAddr = (Ipv4Addr::LOCALHOST, PORT).into();
    let mut donor = Dying::start(addr, &steering, features.takeover, args.sessions)?;
    let peers = connect(addr, args.sessions)?;
    queued(addr, args.sessions)?;
    donor.await_sessions()?;
    let mut heir = Group::new(&steering, true, addr, 2)?;
    if features.takeover {
        heir = heir.with_takeover();
    }
    heir.join(1)?;
    if args.cut {
        tc(&["replace", "dev", "lo", "root", "netem", "loss", "100%"])?;
    }
    row.death = donor.kill()?;
    if features.takeover {
        let listener = heir.socket(1).context("the heir has a listener")?;
        let mut sessions = Vec::with_capacity(args.sessions);
        let before = cycles();
        while let Ok((session, _)) = bound::accept(listener) {
            sessions.push(session);
        }
        row.inherit = cycles() - before;
        row.moved = sessions.len();
        ensure!(row.moved == args.sessions, "{} of {} sessions", row.moved, args.sessions);
        for session in &sessions {
            ensure!(takeover::info(session)?.count == 1, "a session that was not inherited");
        }
    }
    if args.cut {
        tc(&["del", "dev", "lo", "root"])?;
    }
    drop(peers);
    Ok(row)
}

fn tc(words: &[&str]) -> Result<()> {
    let status = Command::new("tc").arg("qdisc").args(words).status().context("tc")?;
    ensure!(status.success(), "tc qdisc {}: {status}", words.join(" "));
    Ok(())
}

/// Accepts of as many new sessions at a listener of its own.
fn plain_accepts(sessions: usize) -> Result<u64> {
    let addr = (Ipv4Addr::LOCALHOST, PLAIN_PORT).into();
    let group = Group::of(&Steering::Single, true, addr, 1)?;
    let peers = connect(addr, sessions)?;
    queued(addr, sessions)?;
    let listener = group.socket(0).context("a listener")?;
    let mut accepted = Vec::with_capacity(sessions);
    let before = cycles();
    while let Ok((session, _)) = bound::accept(listener) {
        accepted.push(session);
    }
    let took = cycles() - before;
    ensure!(accepted.len() == sessions, "{} of {sessions} accepted", accepted.len());
    // By RST, so that nothing lingers.
    for peer in &peers {
        peer.set_linger(Some(Duration::ZERO))?;
    }
    Ok(took)
}

/// Waits until all wait to be accepted: `connect` is back before its last ACK has been seen.
fn queued(addr: SocketAddr, sessions: usize) -> Result<()> {
    let mut waiting = 0;
    for _ in 0..QUEUE_LOOKS {
        waiting = 0;
        diag::dump(diag::Protocol::Tcp, diag::states::LISTEN, |socket| {
            if socket.local == addr {
                waiting += socket.receive_queue as usize;
            }
        })
        .context("sock_diag")?;
        if waiting == sessions {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    bail!("{waiting} of {sessions} sessions wait to be accepted");
}

/// Sessions from many addresses.
fn connect(to: SocketAddr, sessions: usize) -> Result<Vec<Socket>> {
    (0..sessions)
        .map(|n| {
            let [high, low] = ((n / PER_PEER) as u16).to_be_bytes();
            let from = SocketAddr::from((Ipv4Addr::new(127, 1 + high, low, 1), 0));
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
            socket.bind(&from.into())?;
            socket.connect(&to.into()).with_context(|| format!("session {n}"))?;
            Ok(socket)
        })
        .collect()
}

/// The donor as seen by who kills it.
#[derive(Debug)]
struct Dying {
    child: Child,
    said: BufReader<std::process::ChildStdout>,
    _held: ChildStdin,
}

impl Dying {
    fn start(
        addr: SocketAddr,
        steering: &Steering,
        takeover: bool,
        sessions: usize,
    ) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe().context("own path")?);
        command.args(["takeover-donor", "--addr", &addr.to_string()]);
        command.args(["--steering", &steering.to_string(), "--sessions", &sessions.to_string()]);
        if takeover {
            command.arg("--takeover");
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("starting the donor")?;
        let said = BufReader::new(child.stdout.take().context("the donor's stdout")?);
        let held = child.stdin.take().context("the donor's stdin")?;
        let mut dying = Self { child, said, _held: held };
        dying.line("listening")?;
        Ok(dying)
    }

    fn line(&mut self, wanted: &str) -> Result<()> {
        let mut line = String::new();
        self.said.read_line(&mut line).context("the donor's word")?;
        ensure!(line.trim() == wanted, "the donor says {line:?} instead of {wanted:?}");
        Ok(())
    }

    fn await_sessions(&mut self) -> Result<()> {
        self._held.write_all(b"\n").context("telling the donor")?;
        self.line("accepted")
    }

    /// What the donor still does from the signal to its end. Its own time, not the clock's: while it
    /// waits for something the clock of an idle guest jumps.
    fn kill(mut self) -> Result<u64> {
        let (others, before) = (children_time()?, process_time(self.child.id())?);
        self.child.kill().context("killing the donor")?;
        self.child.wait().context("waiting for the donor")?;
        Ok((children_time()? - others).saturating_sub(before))
    }
}

/// The donor's part: listens, accepts what waits when it is told, holds it until it is killed.
///
/// # Errors
///
/// If it cannot listen, or not all sessions are there.
pub fn donor(args: &Donor) -> Result<()> {
    process::raise_descriptor_limit().context("descriptors")?;
    own_cgroup()?;
    let mut group = Group::new(&args.steering, true, args.addr, 2)?;
    if args.takeover {
        group = group.with_takeover();
    }
    group.join(0)?;
    println!("listening");
    let mut word = [0];
    std::io::stdin().read_exact(&mut word).context("waiting for the word")?;
    let sessions: Vec<_> = group.accept()?.into_values().flatten().collect();
    ensure!(sessions.len() == args.sessions, "{} of {} sessions", sessions.len(), args.sessions);
    println!("accepted");
    // Until killed; or until who would kill is gone.
    let _ = std::io::stdin().read(&mut word);
    Ok(())
}

/// Two services do not share a cgroup: the sessions have to change theirs.
fn own_cgroup() -> Result<()> {
    fs::create_dir_all(CGROUP).with_context(|| format!("making {CGROUP}"))?;
    fs::write(format!("{CGROUP}/cgroup.procs"), std::process::id().to_string())
        .with_context(|| format!("entering {CGROUP}"))
}
