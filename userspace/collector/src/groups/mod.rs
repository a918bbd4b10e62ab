// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The `SO_REUSEPORT` groups of this network namespace as the kernel tells of them, with what `/proc`
//! and the collectors can add.

pub mod owners;
pub mod status;
pub mod table;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    io,
    net::{IpAddr, SocketAddr},
    path::Path,
};

use serde::Serialize;
use telesteer_sys::{
    diag::{self, DiagSocket, Protocol, states},
    reuseport::MEMBER_DRAIN,
};

use owners::{Owners, Process};
use status::Status;

/// Sockets of groups that are looked at; a group holds 32768 at most.
const SOCKETS: usize = 1 << 16;
/// Sessions that are counted.
const SESSIONS: usize = 1 << 20;

/// What to look for.
#[derive(Debug, Default)]
pub struct Query {
    /// Local ports; all if there is none.
    pub ports: Vec<u16>,
    /// Groups that use none of the options too, by their address.
    pub all: bool,
}

/// One socket of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Member {
    /// Its id; none if it has no handle or the kernel does not tell.
    pub id: Option<u64>,
    /// Its share relative to the others.
    pub weight: Option<u32>,
    /// It gets nothing new.
    pub draining: Option<bool>,
    /// Lookups that ended here.
    pub selections: Option<u64>,
    /// TCP: addresses with a session; UDP: addresses heard, by the collector's word.
    pub exporters: Option<u64>,
    /// TCP: established sessions its process holds.
    pub sessions: Option<u64>,
    /// TCP: sessions not accepted; UDP: bytes not read.
    pub queue: u32,
    /// `SO_COOKIE`.
    pub cookie: u64,
    /// Who holds it; empty if that may not be known.
    pub processes: Vec<Process>,
    #[serde(skip)]
    inode: u32,
}

/// A group of sockets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Group {
    /// Number of the group; none if it is a guess by the address.
    pub group: Option<u32>,
    /// `tcp` or `udp`.
    pub protocol: &'static str,
    /// Where its sockets are bound.
    pub local: SocketAddr,
    /// User they belong to.
    pub uid: u32,
    /// Policy in force, if the kernel tells of one.
    pub policy: Option<String>,
    /// Sockets in the group.
    pub sockets: u32,
    /// Those that were seen.
    pub members: Vec<Member>,
    /// Established sessions that no process has accepted yet.
    pub unaccepted: u64,
    #[serde(skip)]
    key: Key,
}

/// What tells one group from another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Told(u32),
    Guessed(Protocol, SocketAddr, bool, u32, u32),
}

/// Everything that was found, and what could not be.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// The groups, by protocol and address.
    pub groups: Vec<Group>,
    /// One line for each thing that is missing.
    pub lacks: Vec<String>,
}

/// Reads the groups that `query` asks for.
///
/// # Errors
///
/// If the kernel or `/proc` cannot be asked.
pub fn read(query: &Query, statuses: &[Status]) -> io::Result<Report> {
    let tells = telesteer_sys::features::probe()?.member;
    let mut report = Report::default();
    if !tells {
        report.lacks.push(
            "this kernel does not tell of members: ids, weights, policies and selections are not \
             known, and sockets that share an address are taken for a group"
                .to_owned(),
        );
    }
    let mut found = Found::default();
    for (protocol, states) in
        [(Protocol::Tcp, states::LISTEN), (Protocol::Udp, states::UNCONNECTED)]
    {
        diag::dump(protocol, states, |socket| {
            if query.ports.is_empty() || query.ports.contains(&socket.local.port()) {
                found.add(protocol, socket);
            }
        })?;
    }
    if found.left_out > 0 {
        report.lacks.push(format!("{} sockets are beyond the limit of {SOCKETS}", found.left_out));
    }
    report.groups = found.groups(query.all || !tells);
    let sessions = Sessions::read(&report.groups)?;
    if sessions.left_out > 0 {
        report
            .lacks
            .push(format!("{} sessions are beyond the limit of {SESSIONS}", sessions.left_out));
    }
    let inodes = report.groups.iter().flat_map(|group| &group.members).map(|member| member.inode);
    let inodes = inodes.chain(sessions.inodes()).collect();
    let owners = Owners::find(Path::new("/proc"), &inodes)?;
    for (index, group) in report.groups.iter_mut().enumerate() {
        own(group, &owners);
        sessions.count(index, group, &owners);
        for status in statuses {
            heard(group, status);
        }
    }
    let unknown = report.groups.iter().flat_map(|group| &group.members);
    let unknown = unknown.filter(|member| member.processes.is_empty()).count();
    if unknown > 0 {
        report.lacks.push(format!(
            "the processes of {unknown} sockets are not to be seen by this user, nor their sessions"
        ));
    }
    Ok(report)
}

/// Sockets sorted into groups.
#[derive(Debug, Default)]
struct Found {
    groups: BTreeMap<Key, Vec<(Protocol, DiagSocket)>>,
    sockets: usize,
    left_out: u64,
}

impl Found {
    fn add(&mut self, protocol: Protocol, socket: DiagSocket) {
        if self.sockets >= SOCKETS {
            self.left_out += 1;
            return;
        }
        let key = match &socket.reuseport {
            Some(reuseport) => Key::Told(reuseport.group),
            None => {
                Key::Guessed(protocol, socket.local, socket.only_v6, socket.interface, socket.uid)
            }
        };
        self.groups.entry(key).or_default().push((protocol, socket));
        self.sockets += 1;
    }

    /// The groups. A guess takes two sockets at least.
    fn groups(self, guess: bool) -> Vec<Group> {
        let mut groups: Vec<Group> = self
            .groups
            .into_iter()
            .filter(|(key, sockets)| match key {
                Key::Told(_) => true,
                Key::Guessed(..) => guess && sockets.len() > 1,
            })
            .filter_map(|(key, sockets)| group(key, sockets))
            .collect();
        groups.sort_by_key(|group| (group.protocol, group.local, group.key.clone()));
        groups
    }
}

fn group(key: Key, sockets: Vec<(Protocol, DiagSocket)>) -> Option<Group> {
    let (protocol, first) = sockets.first()?;
    let told = first.reuseport.clone();
    let mut group = Group {
        group: told.as_ref().map(|told| told.group),
        protocol: if *protocol == Protocol::Tcp { "tcp" } else { "udp" },
        local: first.local,
        uid: first.uid,
        policy: told.as_ref().and_then(|told| told.policy.clone()),
        sockets: told.map_or(sockets.len() as u32, |told| told.members),
        members: sockets.into_iter().map(|(_, socket)| member(&socket)).collect(),
        unaccepted: 0,
        key,
    };
    group.members.sort_by_key(|member| (member.id.is_none(), member.id, member.cookie));
    Some(group)
}

fn member(socket: &DiagSocket) -> Member {
    let stats = socket.reuseport.as_ref().and_then(|told| told.member);
    Member {
        id: stats.map(|stats| stats.member.id),
        weight: stats.map(|stats| stats.member.weight),
        draining: stats.map(|stats| stats.member.flags & MEMBER_DRAIN != 0),
        selections: stats.map(|stats| stats.selections),
        exporters: None,
        sessions: None,
        queue: socket.receive_queue,
        cookie: socket.cookie,
        processes: Vec::new(),
        inode: socket.inode,
    }
}

fn own(group: &mut Group, owners: &Owners) {
    for member in &mut group.members {
        member.processes = owners.of(member.inode).to_vec();
        member.processes.sort();
    }
}

/// Takes the count of exporters from the collector that is this member.
fn heard(group: &mut Group, status: &Status) {
    let Some(exporters) = status.exporters(group.local) else { return };
    for member in &mut group.members {
        if group.protocol == "udp" && member.id == Some(status.instance) {
            member.exporters = Some(exporters);
        }
    }
}

/// Established sessions at the addresses of the groups, by group and inode.
#[derive(Debug, Default)]
struct Sessions {
    by_group: HashMap<(usize, u32), Vec<IpAddr>>,
    counted: usize,
    left_out: u64,
}

impl Sessions {
    fn read(groups: &[Group]) -> io::Result<Self> {
        let mut sessions = Self::default();
        if groups.iter().all(|group| group.protocol != "tcp") {
            return Ok(sessions);
        }
        let wanted = states::ESTABLISHED | states::CLOSE_WAIT;
        diag::dump(Protocol::Tcp, wanted, |socket| sessions.add(groups, &socket))?;
        Ok(sessions)
    }

    /// A session belongs to the group with its own address before one with any.
    fn add(&mut self, groups: &[Group], session: &DiagSocket) {
        let at = |exact: bool| {
            groups.iter().position(|group| {
                let (bound, own) = (group.local, session.local);
                group.protocol == "tcp"
                    && bound.port() == own.port()
                    && bound.is_ipv4() == own.is_ipv4()
                    && if exact { bound.ip() == own.ip() } else { bound.ip().is_unspecified() }
            })
        };
        let Some(index) = at(true).or_else(|| at(false)) else { return };
        if self.counted >= SESSIONS {
            self.left_out += 1;
            return;
        }
        self.counted += 1;
        let peer = session.remote.ip().to_canonical();
        self.by_group.entry((index, session.inode)).or_default().push(peer);
    }

    fn inodes(&self) -> impl Iterator<Item = u32> {
        self.by_group.keys().map(|(_, inode)| *inode).filter(|inode| *inode != 0)
    }

    /// Gives each member the sessions of its processes; members with one process share nothing that
    /// could be told apart, so they get no count.
    fn count(&self, index: usize, group: &mut Group, owners: &Owners) {
        if group.protocol != "tcp" {
            return;
        }
        group.unaccepted = self.by_group.get(&(index, 0)).map_or(0, |peers| peers.len() as u64);
        let mut holders = HashMap::<u32, usize>::new();
        for process in group.members.iter().flat_map(|member| &member.processes) {
            *holders.entry(process.pid).or_default() += 1;
        }
        for member in &mut group.members {
            let alone = |process: &Process| holders.get(&process.pid) == Some(&1);
            if member.processes.is_empty() || !member.processes.iter().all(alone) {
                continue;
            }
            let (mut sessions, mut peers) = (0, HashSet::<IpAddr>::new());
            for ((_, inode), addrs) in self.by_group.iter().filter(|((at, _), _)| *at == index) {
                let held = owners.of(*inode).iter().any(|holder| member.processes.contains(holder));
                if *inode != 0 && held {
                    sessions += addrs.len() as u64;
                    peers.extend(addrs);
                }
            }
            member.sessions = Some(sessions);
            member.exporters = Some(peers.len() as u64);
        }
    }
}

#[cfg(test)]
mod tests;
