// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Steering as operators do it today: a BPF program takes the source address modulo N, each
//! collector's sockets stand in the slot of its number, and an empty slot refuses the exporter
//! (`bpf/modulo.bpf.c`). The maps are pinned, one pair per group, so that whoever comes later finds
//! those of whoever came first.

use std::{
    fs, io,
    net::SocketAddr,
    os::fd::{AsRawFd, OwnedFd},
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use aya::{
    Ebpf, EbpfLoader,
    maps::{Array, ReusePortSockArray},
    programs::SkReuseport,
};

use super::Transport;
use crate::settings::Settings;

/// The compiled program, kept in the tree; its source says how to build it again.
static OBJECT: &[u8] = aya::include_bytes_aligned!("../../bpf/modulo.bpf.o");

/// Tries to load while siblings pin the same maps at the same moment.
const RACES: usize = 10;

/// This collector's slot.
#[derive(Debug)]
pub struct Modulo {
    pin: PathBuf,
    size: u32,
    slot: u32,
}

impl Modulo {
    /// From the settings.
    ///
    /// # Errors
    ///
    /// If the folder for the maps is missing or cannot be made.
    pub fn new(settings: &Settings) -> anyhow::Result<Self> {
        let Some(pin) = settings.bpf_pin.clone() else {
            bail!("bpf-pin: bpf-modulo needs a folder on a BPF file system");
        };
        let size = settings.bpf_size.max(1);
        Ok(Self { pin, size, slot: (settings.instance % u64::from(size)) as u32 })
    }

    /// For people.
    pub fn describe(&self) -> String {
        format!("bpf-modulo({}/{})", self.slot, self.size)
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
        let transport = match transport {
            Transport::Tcp => "tcp",
            Transport::Udp => "udp",
        };
        // A name in a BPF file system must not hold a dot.
        let group = format!("{transport}-{}-{}", addr.port(), addr.ip()).replace(['.', ':'], "_");
        let folder = self.pin.join(group);
        fs::create_dir_all(&folder).with_context(|| format!("bpf-pin {}", folder.display()))?;
        let mut ebpf = self.load(&folder)?;
        self.agree_on_size(&mut ebpf, &folder)?;
        let map = ebpf.map_mut("members").context("the program has no map `members`")?;
        let mut members = ReusePortSockArray::try_from(map)?;
        members
            .set(self.slot, &socket.as_raw_fd(), 0)
            .with_context(|| format!("slot {} of {}", self.slot, folder.display()))?;
        let program: &mut SkReuseport = ebpf
            .program_mut("select_by_source")
            .context("the object has no program `select_by_source`")?
            .try_into()?;
        program.load()?;
        program.attach(socket)?;
        Ok(())
    }

    fn load(&self, folder: &Path) -> anyhow::Result<Ebpf> {
        let mut races = 0;
        loop {
            let loaded = EbpfLoader::new()
                .map_pin_path("members", folder.join("members"))
                .map_pin_path("modulo", folder.join("modulo"))
                .load(OBJECT);
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

    fn agree_on_size(&self, ebpf: &mut Ebpf, folder: &Path) -> anyhow::Result<()> {
        let map = ebpf.map_mut("modulo").context("the program has no map `modulo`")?;
        let mut modulo = Array::<_, u32>::try_from(map)?;
        match modulo.get(&0, 0)? {
            0 => modulo.set(0, self.size, 0)?,
            size if size == self.size => {}
            size => bail!("{} was made for bpf-size {size}, not {}", folder.display(), self.size),
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
