// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Steering by a BPF program, for kernels without policies. Each collector's sockets stand in the
//! slot of its number. `modulo` is what operators do today: the source address modulo N, and an empty
//! slot refuses the exporter (`bpf/modulo.bpf.c`). `rendezvous` lets the slots draw for the exporter,
//! by weight, and an empty slot falls to the next best (`bpf/rendezvous.bpf.c`). The maps are pinned,
//! one set per group, so that whoever comes later finds those of whoever came first.

use std::{
    fs, io,
    net::SocketAddr,
    os::fd::{AsFd, AsRawFd, OwnedFd},
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use aya::{
    Ebpf, EbpfLoader,
    maps::{Array, ReusePortSockArray},
    programs::SkReuseport,
};
use telesteer_sys::{bound, counter};

use super::Transport;
use crate::settings::{Settings, Steering};

/// The compiled programs, kept in the tree; their sources say how to build them again.
static MODULO: &[u8] = aya::include_bytes_aligned!("../../bpf/modulo.bpf.o");
static RENDEZVOUS: &[u8] = aya::include_bytes_aligned!("../../bpf/rendezvous.bpf.o");

/// Tries to load while siblings pin the same maps at the same moment.
const RACES: usize = 10;

/// Which program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Modulo,
    Rendezvous,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Modulo => "bpf-modulo",
            Self::Rendezvous => "bpf-rendezvous",
        }
    }

    fn object(self) -> &'static [u8] {
        match self {
            Self::Modulo => MODULO,
            Self::Rendezvous => RENDEZVOUS,
        }
    }

    fn program(self) -> &'static str {
        match self {
            Self::Modulo => "select_by_source",
            Self::Rendezvous => "select_weighted",
        }
    }

    /// The maps that the collectors of a group share.
    fn maps(self) -> &'static [&'static str] {
        match self {
            Self::Modulo => &["members", "modulo"],
            Self::Rendezvous => &["members", "shape", "weights"],
        }
    }
}

/// A program and this collector's slot.
#[derive(Debug)]
pub struct Program {
    kind: Kind,
    pin: PathBuf,
    size: u32,
    slot: u32,
    weight: u32,
    seed: u64,
}

impl Program {
    /// From the settings.
    ///
    /// # Errors
    ///
    /// If the folder for the maps is missing.
    pub fn new(settings: &Settings) -> anyhow::Result<Self> {
        let kind = match settings.steering {
            Steering::BpfRendezvous => Kind::Rendezvous,
            _ => Kind::Modulo,
        };
        let Some(pin) = settings.bpf_pin.clone() else {
            bail!("bpf-pin: {} needs a folder on a BPF file system", kind.name());
        };
        let size = settings.bpf_size.max(1);
        let seed = u128::from_be_bytes(settings.policy_seed.0);
        Ok(Self {
            kind,
            pin,
            size,
            slot: (settings.instance % u64::from(size)) as u32,
            weight: settings.weight,
            seed: seed as u64 ^ (seed >> 64) as u64,
        })
    }

    /// For people.
    pub fn describe(&self) -> String {
        format!("{}({}/{})", self.kind.name(), self.slot, self.size)
    }

    /// Puts a bound socket into its slot and attaches the program to its group.
    ///
    /// # Errors
    ///
    /// If the program does not load, the pinned maps are of another N, or the socket is refused.
    pub fn enter(
        &self,
        socket: &OwnedFd,
        transport: Transport,
        addr: SocketAddr,
    ) -> anyhow::Result<()> {
        let folder = self.folder(transport, addr);
        fs::create_dir_all(&folder).with_context(|| format!("bpf-pin {}", folder.display()))?;
        let mut ebpf = self.load(&folder)?;
        self.agree(&mut ebpf, &folder)?;
        if let Some(map) = ebpf.map_mut("weights") {
            Array::<_, u32>::try_from(map)?.set(self.slot, self.weight, 0)?;
        }
        let map = ebpf.map_mut("members").context("the program has no map `members`")?;
        let mut members = ReusePortSockArray::try_from(map)?;
        members
            .set(self.slot, &socket.as_raw_fd(), 0)
            .with_context(|| format!("slot {} of {}", self.slot, folder.display()))?;
        let name = self.kind.program();
        let program: &mut SkReuseport = ebpf
            .program_mut(name)
            .with_context(|| format!("the object has no program `{name}`"))?
            .try_into()?;
        program.load()?;
        program.attach(socket)?;
        Ok(())
    }

    /// Takes a socket out of its slot, so that nothing new comes, and waits until what was on its way
    /// is there. With `modulo` the slot stays: an empty one would refuse.
    ///
    /// # Errors
    ///
    /// If the maps are gone.
    pub fn drain(&self, socket: impl AsFd) -> anyhow::Result<()> {
        if self.kind == Kind::Modulo {
            return Ok(());
        }
        let transport = match bound::is_stream(&socket)? {
            true => Transport::Tcp,
            false => Transport::Udp,
        };
        let folder = self.folder(transport, bound::local_addr(&socket)?);
        let mut ebpf = self.load(&folder)?;
        let map = ebpf.map_mut("members").context("the program has no map `members`")?;
        let mut members = ReusePortSockArray::try_from(map)?;
        members
            .clear_index(&self.slot)
            .with_context(|| format!("slot {} of {}", self.slot, folder.display()))?;
        counter::grace_period().context("waiting for packets on their way")
    }

    /// Where the maps of a group are pinned.
    fn folder(&self, transport: Transport, addr: SocketAddr) -> PathBuf {
        let transport = match transport {
            Transport::Tcp => "tcp",
            Transport::Udp => "udp",
        };
        // A name in a BPF file system must not hold a dot.
        self.pin.join(format!("{transport}-{}-{}", addr.port(), addr.ip()).replace(['.', ':'], "_"))
    }

    fn load(&self, folder: &Path) -> anyhow::Result<Ebpf> {
        let mut races = 0;
        loop {
            let mut loader = EbpfLoader::new();
            for name in self.kind.maps() {
                loader.map_pin_path(name, folder.join(name));
            }
            let loaded = loader.load(self.kind.object());
            match loaded {
                Ok(ebpf) => return Ok(ebpf),
                // A sibling has pinned its map between our look and our own pin.
                Err(error) if races < RACES && is_already_there(&error) => races += 1,
                Err(error) => {
                    return Err(error).with_context(|| {
                        format!("load the steering program with maps in {}", folder.display())
                    });
                }
            }
        }
    }

    /// Whoever comes first says how many slots there are, and by which seed they draw.
    fn agree(&self, ebpf: &mut Ebpf, folder: &Path) -> anyhow::Result<()> {
        let (size, seed) = if let Some(map) = ebpf.map_mut("modulo") {
            let mut modulo = Array::<_, u32>::try_from(map)?;
            if modulo.get(&0, 0)? == 0 {
                modulo.set(0, self.size, 0)?;
            }
            (modulo.get(&0, 0)?, self.seed)
        } else {
            let map = ebpf.map_mut("shape").context("the program has no map `shape`")?;
            let mut shape = Array::<_, [u64; 2]>::try_from(map)?;
            if shape.get(&0, 0)?[0] == 0 {
                shape.set(0, [u64::from(self.size), self.seed], 0)?;
            }
            let [size, seed] = shape.get(&0, 0)?;
            (size as u32, seed)
        };
        if size != self.size {
            bail!("{} was made for bpf-size {size}, not {}", folder.display(), self.size);
        }
        if seed != self.seed {
            bail!("{} was made for another policy-seed", folder.display());
        }
        Ok(())
    }
}

/// Whether a file that exists is somewhere among the causes.
fn is_already_there(error: &aya::EbpfError) -> bool {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = cause {
        if error
            .downcast_ref::<io::Error>()
            .is_some_and(|e| e.kind() == io::ErrorKind::AlreadyExists)
        {
            return true;
        }
        cause = error.source();
    }
    false
}
