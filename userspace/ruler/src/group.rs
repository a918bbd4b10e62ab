// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A `SO_REUSEPORT` group under any way of steering, for measuring and for testing alike.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use anyhow::{Context, Result, bail};
use socket2::{SockFilter, SockRef, Socket};
use telesteer_sys::datagram::Batch;
use telesteer_sys::listen::Unbound;
use telesteer_sys::reuseport::{self, KEY_SADDR, MEMBER_DRAIN, ReuseportMember};
use telesteer_sys::{bound, takeover};

use crate::bpf::Program;
use crate::steering::Steering;

/// Seed of the policies, the same in every run.
const SEED: [u8; 16] = *b"telesteer-ruler!";
/// Backlog of a listener, beyond any number of sessions that is measured.
const BACKLOG: i32 = 32_768;
/// Receive buffer of a UDP socket: room for all that one round sends.
const BUFFER: u32 = 8 << 20;
/// Classic BPF `ret 0`: the socket takes nothing.
const RETURN_NOTHING: (u16, u8, u8, u32) = (0x06, 0, 0, 0);

/// Sockets of one address, by the number of the collector each stands for.
#[derive(Debug)]
pub struct Group {
    steering: Steering,
    tcp: bool,
    addr: SocketAddr,
    sockets: BTreeMap<usize, OwnedFd>,
    program: Option<Program>,
    takeover: bool,
}

impl Group {
    /// An empty group with room for `slots` members (which matters to BPF programs only).
    ///
    /// # Errors
    ///
    /// If its program cannot be loaded.
    pub fn new(steering: &Steering, tcp: bool, addr: SocketAddr, slots: usize) -> Result<Self> {
        Ok(Self {
            steering: steering.clone(),
            tcp,
            addr,
            sockets: BTreeMap::new(),
            program: Program::load(steering, slots)?,
            takeover: false,
        })
    }

    /// A group of `members` that has come together.
    ///
    /// # Errors
    ///
    /// If a socket cannot be made or the kernel refuses an option.
    pub fn of(steering: &Steering, tcp: bool, addr: SocketAddr, members: usize) -> Result<Self> {
        let mut group = Self::new(steering, tcp, addr, members)?;
        for at in 0..members {
            group.join(at)?;
        }
        Ok(group)
    }

    /// Members leave their sessions to siblings from now on (those that join after this).
    pub fn with_takeover(mut self) -> Self {
        self.takeover = true;
        self
    }

    /// Where the group listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// How it is steered.
    pub fn steering(&self) -> &Steering {
        &self.steering
    }

    /// Numbers of the members that are there.
    pub fn members(&self) -> impl Iterator<Item = usize> {
        self.sockets.keys().copied()
    }

    /// The socket of a member.
    pub fn socket(&self, at: usize) -> Option<&OwnedFd> {
        self.sockets.get(&at)
    }

    /// Member `at` joins with the weight the steering gives it.
    ///
    /// # Errors
    ///
    /// If the socket cannot be made or the kernel refuses an option.
    pub fn join(&mut self, at: usize) -> Result<()> {
        let unbound = self.prepare(at)?;
        self.enter(at, unbound)
    }

    /// The first half of a join: a socket with its options, not bound.
    ///
    /// # Errors
    ///
    /// As [`Group::join`].
    pub fn prepare(&self, at: usize) -> Result<Unbound> {
        let unbound = if self.tcp {
            Unbound::tcp(self.addr)?
        } else {
            let unbound = Unbound::udp(self.addr)?;
            unbound.receive_buffer(BUFFER)?;
            unbound
        };
        if self.steering == Steering::Single {
            SockRef::from(&unbound).set_reuse_port(false)?;
        }
        if let Some(name) = self.steering.policy() {
            reuseport::set_policy(&unbound, &reuseport::request(name, KEY_SADDR, SEED)?)
                .with_context(|| format!("policy {name}"))?;
            reuseport::set_member(&unbound, &self.member(at, 0))?;
        }
        if self.takeover {
            takeover::set(&unbound, takeover::EXIT)?;
        }
        Ok(unbound)
    }

    /// The second half of a join: binds, listens, enters the program's map.
    ///
    /// # Errors
    ///
    /// As [`Group::join`].
    pub fn enter(&mut self, at: usize, unbound: Unbound) -> Result<()> {
        let socket = if self.tcp { unbound.listen(BACKLOG) } else { unbound.bind() }
            .with_context(|| format!("member {at} at {}", self.addr))?;
        self.addr = bound::local_addr(&socket)?;
        if let Some(program) = &mut self.program {
            program.enter(at, &socket, self.steering.weight(at))?;
            if self.sockets.is_empty() {
                program.attach(&socket)?;
            }
        }
        self.sockets.insert(at, socket);
        Ok(())
    }

    fn member(&self, at: usize, flags: u32) -> ReuseportMember {
        ReuseportMember { id: at as u64 + 1, weight: self.steering.weight(at), flags }
    }

    /// Member `at` dies: its socket closes as it is.
    ///
    /// # Errors
    ///
    /// If it is not there.
    pub fn kill(&mut self, at: usize) -> Result<()> {
        self.sockets.remove(&at).map(drop).with_context(|| format!("no member {at}"))
    }

    /// Whether [`Group::drain`] can do anything.
    pub fn can_drain(&self) -> bool {
        self.steering.policy().is_some()
            || self.program.is_some() && self.steering != Steering::BpfModulo
    }

    /// Member `at` gets nothing new from now on and stays open. Waits for a grace period.
    ///
    /// # Errors
    ///
    /// If the way of steering knows no drain.
    pub fn drain(&mut self, at: usize) -> Result<()> {
        let socket = self.sockets.get(&at).with_context(|| format!("no member {at}"))?;
        match (&mut self.program, self.steering.policy()) {
            (_, Some(_)) => Ok(reuseport::set_member(socket, &self.member(at, MEMBER_DRAIN))?),
            (Some(program), _) if self.steering != Steering::BpfModulo => program.leave(at),
            _ => bail!("{} knows no drain", self.steering),
        }
    }

    /// Every member drops what arrives, right after it was chosen: what a packet costs then is the
    /// way to the choice and nothing behind it.
    ///
    /// # Errors
    ///
    /// If the kernel refuses the filter.
    pub fn drop_all(&self) -> Result<()> {
        let (code, jt, jf, k) = RETURN_NOTHING;
        for socket in self.sockets.values() {
            SockRef::from(socket).attach_filter(&[SockFilter::new(code, jt, jf, k)])?;
        }
        Ok(())
    }

    /// Reads what waits in UDP sockets: senders by member.
    ///
    /// # Errors
    ///
    /// If a socket fails.
    pub fn read(&self, batch: &mut Batch) -> Result<BTreeMap<usize, Vec<SocketAddr>>> {
        let mut all = BTreeMap::new();
        for (at, socket) in &self.sockets {
            let senders: &mut Vec<SocketAddr> = all.entry(*at).or_default();
            loop {
                match batch.receive(socket) {
                    Ok(0) => break,
                    Ok(_) => senders.extend(batch.iter().map(|datagram| datagram.from)),
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(all)
    }

    /// Accepts what waits at TCP listeners: connections by member.
    ///
    /// # Errors
    ///
    /// If a listener fails.
    pub fn accept(&self) -> Result<BTreeMap<usize, Vec<(Socket, SocketAddr)>>> {
        let mut all = BTreeMap::new();
        for (at, socket) in &self.sockets {
            let accepted: &mut Vec<_> = all.entry(*at).or_default();
            loop {
                match bound::accept(socket) {
                    Ok((fd, from)) => accepted.push((Socket::from(fd), from)),
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(all)
    }
}
