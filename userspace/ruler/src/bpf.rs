// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The BPF programs that are compared with, as the collector's own steering loads them, but with
//! one load for the whole group.

use std::os::fd::{AsRawFd, OwnedFd};

use anyhow::{Context, Result};
use aya::Ebpf;
use aya::maps::{Array, ReusePortSockArray};
use aya::programs::SkReuseport;

use crate::steering::Steering;

static MODULO: &[u8] = aya::include_bytes_aligned!("../../collector/bpf/modulo.bpf.o");
static RENDEZVOUS: &[u8] = aya::include_bytes_aligned!("../../collector/bpf/rendezvous.bpf.o");

/// Seed of the rendezvous programs.
const SEED: u64 = 0x7465_6c65_7374_6565;

/// A loaded program with its maps. The group keeps the program; the maps live with it.
#[derive(Debug)]
pub struct Program {
    ebpf: Ebpf,
    weighted: bool,
}

impl Program {
    /// Loads the program of `steering` for `slots` slots; `None` if it has none.
    ///
    /// # Errors
    ///
    /// If the kernel refuses it.
    pub fn load(steering: &Steering, slots: usize) -> Result<Option<Self>> {
        let (object, name) = match steering {
            Steering::BpfModulo => (MODULO, "select_by_source"),
            Steering::BpfRendezvous => (RENDEZVOUS, "select_rendezvous"),
            Steering::BpfWeighted => (RENDEZVOUS, "select_weighted"),
            _ => return Ok(None),
        };
        let mut ebpf = Ebpf::load(object).with_context(|| format!("loading {steering}"))?;
        let program: &mut SkReuseport =
            ebpf.program_mut(name).context("the object lacks its program")?.try_into()?;
        program.load().with_context(|| format!("loading {name}"))?;
        let mut loaded = Self { ebpf, weighted: *steering == Steering::BpfWeighted };
        loaded.shape(slots as u64)?;
        Ok(Some(loaded))
    }

    fn shape(&mut self, slots: u64) -> Result<()> {
        if let Some(map) = self.ebpf.map_mut("modulo") {
            Array::<_, u32>::try_from(map)?.set(0, slots as u32, 0)?;
        } else if let Some(map) = self.ebpf.map_mut("shape") {
            Array::<_, [u64; 2]>::try_from(map)?.set(0, [slots, SEED], 0)?;
        }
        Ok(())
    }

    /// Makes the program that of the socket's group.
    ///
    /// # Errors
    ///
    /// If the socket is in none.
    pub fn attach(&mut self, socket: &OwnedFd) -> Result<()> {
        let (_, program) = self
            .ebpf
            .programs_mut()
            .find(|(_, program)| program.fd().is_ok())
            .context("no program is loaded")?;
        let program: &mut SkReuseport = program.try_into()?;
        program.attach(socket).context("attaching")?;
        Ok(())
    }

    /// Puts a bound socket into a slot.
    ///
    /// # Errors
    ///
    /// If the kernel refuses it.
    pub fn enter(&mut self, slot: usize, socket: &OwnedFd, weight: u32) -> Result<()> {
        let slot = slot as u32;
        if self.weighted {
            let map = self.ebpf.map_mut("weights").context("no map `weights`")?;
            Array::<_, u32>::try_from(map)?.set(slot, weight, 0)?;
        }
        let map = self.ebpf.map_mut("members").context("no map `members`")?;
        let mut members = ReusePortSockArray::try_from(map)?;
        members.set(slot, &socket.as_raw_fd(), 0).with_context(|| format!("slot {slot}"))
    }

    /// Empties a slot, and returns when nothing is on its way to its socket any more.
    ///
    /// # Errors
    ///
    /// If the slot is empty already.
    pub fn leave(&mut self, slot: usize) -> Result<()> {
        let map = self.ebpf.map_mut("members").context("no map `members`")?;
        ReusePortSockArray::try_from(map)?.clear_index(&(slot as u32))?;
        telesteer_sys::counter::grace_period().context("membarrier")
    }
}
