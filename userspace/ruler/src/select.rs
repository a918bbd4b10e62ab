// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a choice costs: instructions per datagram and per SYN, up to the chosen socket.
//!
//! One process sends whole packets from many source addresses through a raw socket; loopback
//! delivers them in the sender's context, and a filter drops each at the socket that was chosen. So
//! a reading is send + IP + lookup + choice + drop, the same for all ways of steering but for the
//! choice. Taking off the reading for a single socket leaves the choice.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use telesteer_sys::counter::cycles;
use telesteer_sys::datagram::Batch;

use crate::group::Group;
use crate::guest;
use crate::packet::Traffic;
use crate::sample::Sample;
use crate::steering::Steering;

/// Exporters.
const SOURCES: u16 = 256;
/// Port of the group.
const PORT: u16 = 4739;
/// Packets per reading: few, so that the timer spares most readings.
const PIECE: usize = 8;
/// Ports an exporter sends from; the measured rounds use the first.
const PORTS: [u16; 2] = [30_000, 30_001];
/// `IPPROTO_RAW`: the packet brings its header.
const RAW: i32 = 255;

/// One cell of the table.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Cell {
    /// How it was steered.
    pub steering: Steering,
    /// What arrived.
    pub traffic: Traffic,
    /// Members of the group.
    pub members: usize,
    /// Instructions per packet, sender included.
    pub cost: Sample,
    /// How many members got something when nothing was dropped (UDP only).
    pub reached: Option<usize>,
    /// Exporters whose two ports went to two members (UDP only).
    pub torn: Option<usize>,
}

/// All cells of a kernel.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Run {
    /// The kernel's name.
    pub kernel: String,
    /// The cells.
    pub cells: Vec<Cell>,
    /// What could not be measured, and why.
    pub skipped: Vec<String>,
}

/// What to measure.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Members of the groups.
    #[arg(long, value_delimiter = ',', default_values_t = [2, 16, 64, 256])]
    pub members: Vec<usize>,
    /// Kernel policies to measure; one that the kernel lacks is skipped with a line.
    #[arg(long, value_delimiter = ',', default_values_t = ["source".to_owned(), "stable".to_owned()])]
    pub policies: Vec<String>,
    /// Only these ways of steering.
    #[arg(long, value_delimiter = ',')]
    pub only: Vec<Steering>,
    /// Readings of each cell; seven times as many where no more than three instructions are allowed.
    #[arg(long, default_value_t = 9)]
    pub readings: usize,
}

/// Measures every cell.
///
/// # Errors
///
/// If a group cannot be made, or does not steer as it says.
pub fn run(args: &Args) -> Result<Run> {
    guest::own_namespace()?;
    let mut run = Run { kernel: guest::kernel()?, cells: Vec::new(), skipped: Vec::new() };
    let mut asked = Asked::default();
    for steering in args.list() {
        if let Some(why) = asked.why_not(&steering, args)? {
            skip(&mut run.skipped, &steering, &why);
            continue;
        }
        let beside = match (&steering, args.policies.first()) {
            (Steering::HashBeside, Some(policy)) => Some(Group::of(
                &Steering::Policy(policy.clone()),
                false,
                (Traffic::Udp4.loopback(), 0).into(),
                1,
            )?),
            _ => None,
        };
        for traffic in Traffic::ALL {
            let single = [1];
            let sizes =
                if steering == Steering::Single { &single[..] } else { args.members.as_slice() };
            for members in sizes {
                let cell = cell(&steering, traffic, *members, args.readings_of(&steering))
                    .with_context(|| format!("{steering}, {}, {members}", traffic.name()))?;
                eprintln!(
                    "{steering:18} {:18} {members:4} {:9.1} ±{:.1}",
                    traffic.name(),
                    cell.cost.least,
                    cell.cost.spread()
                );
                run.cells.push(cell);
            }
        }
        drop(beside);
    }
    Ok(run)
}

impl Args {
    /// The timer may spare none of nine readings; what is compared to three instructions has more.
    fn readings_of(&self, steering: &Steering) -> usize {
        match steering {
            Steering::Single | Steering::Hash | Steering::HashBeside => 7 * self.readings,
            _ => self.readings,
        }
    }

    /// What is asked for, in the order in which it is measured.
    pub(crate) fn list(&self) -> Vec<Steering> {
        let mut list = Steering::table(&self.policies);
        list.retain(|steering| self.only.is_empty() || self.only.contains(steering));
        list
    }
}

/// What the kernel was asked about its policies. Asking creates a group, so it is done late.
#[derive(Debug, Default)]
pub(crate) struct Asked(BTreeMap<String, Option<String>>);

impl Asked {
    /// Why the kernel cannot steer that way, if it cannot.
    pub(crate) fn why_not(&mut self, steering: &Steering, args: &Args) -> Result<Option<String>> {
        let policy = match steering {
            Steering::HashBeside => args.policies.first().map(String::as_str),
            other => other.policy(),
        };
        let Some(policy) = policy else { return Ok(None) };
        if let Some(known) = self.0.get(policy) {
            return Ok(known.clone());
        }
        let why = guest::lacks(policy)?;
        self.0.insert(policy.to_owned(), why.clone());
        Ok(why)
    }
}

/// Says what is not measured, and why.
pub(crate) fn skip(skipped: &mut Vec<String>, steering: &Steering, why: &str) {
    let line = format!("{steering}: {why}");
    eprintln!("skipped: {line}");
    skipped.push(line);
}

fn cell(steering: &Steering, traffic: Traffic, members: usize, readings: usize) -> Result<Cell> {
    let group = Group::of(steering, traffic.is_tcp(), (traffic.loopback(), PORT).into(), members)?;
    let sender = Sender::new(traffic, group.addr())?;
    let (reached, torn) = if traffic.is_tcp() {
        (None, None)
    } else {
        let (reached, torn) = proof(&group, &sender)?;
        (Some(reached), Some(torn))
    };
    group.drop_all()?;
    // The first round fills caches of routes and of slabs.
    sender.round(0)?;
    let mut rounds = Vec::with_capacity(readings);
    for _ in 0..readings {
        rounds.push(sender.timed()?);
    }
    let cost = Sample::of_pieces(&rounds, usize::from(SOURCES));
    Ok(Cell { steering: steering.clone(), traffic, members, cost, reached, torn })
}

/// Sends from two ports of every exporter and looks who got it: the cost of a choice that is not
/// made, or not made as it should be, must not get into the table.
fn proof(group: &Group, sender: &Sender) -> Result<(usize, usize)> {
    let mut batch = Batch::new(64);
    let mut homes: BTreeMap<IpAddr, BTreeSet<usize>> = BTreeMap::new();
    let mut reached = BTreeSet::new();
    let mut received = 0;
    for round in 0..PORTS.len() {
        sender.round(round)?;
        for (member, senders) in group.read(&mut batch)? {
            for from in senders {
                homes.entry(from.ip()).or_default().insert(member);
                reached.insert(member);
                received += 1;
            }
        }
    }
    let sent = usize::from(SOURCES) * PORTS.len();
    ensure!(received == sent, "{received} of {sent} datagrams arrived");
    let torn = homes.values().filter(|members| members.len() > 1).count();
    let members = group.members().count();
    if group.steering().keeps_sources_together() {
        ensure!(torn == 0, "{torn} exporters have two homes");
    } else {
        ensure!(torn > 0, "the hash of the ports keeps every exporter together");
    }
    ensure!(members == 1 || reached.len() > 1, "one member gets everything");
    Ok((reached.len(), torn))
}

/// A raw socket and the packets it sends.
struct Sender {
    socket: Socket,
    to: SockAddr,
    /// By port, by exporter.
    packets: Vec<Vec<Vec<u8>>>,
}

impl Sender {
    fn new(traffic: Traffic, to: SocketAddr) -> Result<Self> {
        let domain = if traffic.is_ipv6() { Domain::IPV6 } else { Domain::IPV4 };
        let socket = Socket::new(domain, Type::RAW, Some(Protocol::from(RAW)))
            .context("a raw socket (this needs root)")?;
        if traffic.is_ipv6() {
            socket.set_header_included_v6(true)?;
        }
        let packets = PORTS
            .iter()
            .map(|port| {
                (1..=SOURCES)
                    .map(|n| traffic.packet((traffic.source(n), *port).into(), to))
                    .collect()
            })
            .collect();
        let to = SocketAddr::new(to.ip(), 0).into();
        Ok(Self { socket, to, packets })
    }

    /// One packet from every exporter.
    fn round(&self, port: usize) -> Result<()> {
        for packet in self.packets.get(port).into_iter().flatten() {
            self.socket.send_to(packet, &self.to)?;
        }
        Ok(())
    }

    /// The same with the first port, timed piece by piece.
    fn timed(&self) -> Result<Vec<u64>> {
        let packets = self.packets.first().context("no packets")?;
        let mut pieces = Vec::with_capacity(packets.len().div_ceil(PIECE));
        for piece in packets.chunks(PIECE) {
            let before = cycles();
            for packet in piece {
                self.socket.send_to(packet, &self.to)?;
            }
            pieces.push(cycles() - before);
        }
        Ok(pieces)
    }
}
