// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A router of the lab whose policy routes crate redirect sets: its controller, its device, its clock.

use crate::error::{Error, Result, odd};
use crate::lsp::Lsp;
use crate::space::Space;
use std::time::{Duration, Instant};
use telesteer_fam::{FiveTuple, Ns, Prefix, PrefixFlow, Width};
use telesteer_redirect::nft::Nft;
use telesteer_redirect::{
    Aging, Controller, Device, DeviceError, Entry, Match, PathName, Settings, Target, quick, round,
};

/// Patience until a device holds what is wanted.
const PATIENCE: Duration = Duration::from_secs(120);
/// Between two turns.
const TURN: Duration = Duration::from_millis(5);
/// The name of the path over the circuit.
pub(crate) const SCIENCE: &str = "science";
/// Mark of packets onto it.
pub(crate) const SCIENCE_MARK: u32 = 1;

/// A router.
pub(crate) struct Router<'a> {
    space: &'a Space,
    /// What is wanted of it.
    pub(crate) controller: Controller,
    device: Box<dyn Device + Send>,
    began: Instant,
}

impl<'a> Router<'a> {
    /// Opens the device of the router that is the namespace `space`.
    ///
    /// # Errors
    ///
    /// If there is none.
    pub(crate) fn open(
        space: &'a Space,
        settings: Settings,
        open: impl FnOnce() -> std::result::Result<Box<dyn Device + Send>, DeviceError> + Send,
    ) -> Result<Self> {
        let device = space.within(open)??;
        let controller = Controller::new(settings, device.capabilities());
        Ok(Self { space, controller, device, began: Instant::now() })
    }

    /// The same with nftables, the default device.
    ///
    /// # Errors
    ///
    /// If there is no `nft`.
    pub(crate) fn nft(space: &'a Space, settings: Settings) -> Result<Self> {
        Self::open(space, settings, || Ok(Box::new(Nft::open("nft")?)))
    }

    /// Its time, from 1 second on.
    pub(crate) fn now(&self) -> Ns {
        let second = 1_000_000_000;
        Ns::try_from(self.began.elapsed().as_nanos()).map_or(Ns::MAX, |ns| ns + second)
    }

    /// A circuit is the science path from here.
    ///
    /// # Errors
    ///
    /// If it has no entrance at this router, or its table is of no use.
    pub(crate) fn science_up(&mut self, lsp: &Lsp) -> Result<()> {
        let here = |entrance: &&telesteer_circuit::local::client::Entrance| {
            entrance.netns.as_deref() == Some(self.space.name.as_str())
        };
        let entrance = lsp.entrances.iter().find(here);
        let entrance = entrance.ok_or_else(|| odd("circuit", "it does not begin here"))?;
        let target = Target { mark: SCIENCE_MARK, table: entrance.table };
        self.controller
            .path_up(path(SCIENCE)?, target)
            .map_err(|error| odd("the science path", error))
    }

    /// Wants an entry onto the science path.
    ///
    /// # Errors
    ///
    /// If there is no room for it.
    pub(crate) fn want(&mut self, matching: Match, aging: Aging) -> Result<()> {
        let now = self.now();
        let entry = Entry { matching, path: path(SCIENCE)?, back: None, aging };
        self.controller.want(entry, now).map_err(|error| odd("an entry", error))
    }

    /// A table of entries onto the science path, in place of the one before.
    ///
    /// # Errors
    ///
    /// If there is no room for it.
    pub(crate) fn swap(&mut self, table: Vec<Match>) -> Result<()> {
        let (now, path) = (self.now(), path(SCIENCE)?);
        let entry =
            |matching| Entry { matching, path: path.clone(), back: None, aging: Aging::Kept };
        let table = table.into_iter().map(entry).collect();
        self.controller.swap(table, now).map_err(|error| odd("a table", error))
    }

    /// Takes one turn: reads back, decides, applies, reads back.
    ///
    /// # Errors
    ///
    /// What the device says.
    pub(crate) fn turn(&mut self) -> Result<()> {
        let now = self.now();
        let (controller, device) = (&mut self.controller, &mut self.device);
        self.space.within(move || round(controller, device, now))??;
        Ok(())
    }

    /// Takes turns until the device holds what is wanted; gives how long that took.
    ///
    /// # Errors
    ///
    /// What the device said last, if it does not in two minutes; an entry that was given up.
    pub(crate) fn settle(&mut self) -> Result<Duration> {
        let begin = Instant::now();
        // What is known serves for the first turn.
        let now = self.now();
        let (controller, device) = (&mut self.controller, &mut self.device);
        let mut last = self.space.within(move || quick(controller, device, now))?.err();
        while last.is_some() || !self.controller.settled() {
            if begin.elapsed() > PATIENCE {
                let seconds = PATIENCE.as_secs();
                return Err(last.map_or(
                    Error::Waited { what: "the router's table".to_owned(), seconds },
                    Error::Device,
                ));
            }
            std::thread::sleep(TURN);
            last = match self.turn() {
                Err(Error::Device(error)) => Some(error),
                other => other.map(|()| None)?,
            };
        }
        let took = begin.elapsed();
        let failed = self.controller.states().find(|(_, state)| !state.is_installed());
        match failed {
            Some((entry, state)) => Err(odd(entry.to_string(), format!("{state:?}"))),
            None => Ok(took),
        }
    }

    /// Rules that it holds, by reading it.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    pub(crate) fn held(&mut self) -> Result<usize> {
        let now = self.now();
        let (controller, device) = (&self.controller, &mut self.device);
        let back = self.space.within(move || device.read_back(controller.paths(), now))??;
        Ok(back.rules.len())
    }
}

/// A path's name.
///
/// # Errors
///
/// If it is too long or not plain.
pub(crate) fn path(name: &str) -> Result<PathName> {
    PathName::new(name).map_err(|error| odd("a path", error))
}

/// What a flow of UDP or TCP between two ends is matched by.
///
/// # Errors
///
/// If an address is none or a port is 0.
pub(crate) fn flow(proto: u8, from: (&str, u16), to: (&str, u16)) -> Result<Match> {
    Match::flow(tuple(proto, from, to)?).map_err(|error| odd("a flow", error))
}

/// The 5-tuple itself.
///
/// # Errors
///
/// If an address is none.
pub(crate) fn tuple(proto: u8, from: (&str, u16), to: (&str, u16)) -> Result<FiveTuple> {
    let addr = |text: &str| text.parse().map_err(|error| odd(format!("address {text}"), error));
    let (src, dst) = (addr(from.0)?, addr(to.0)?);
    Ok(FiveTuple { src, dst, proto, src_port: from.1, dst_port: to.1 })
}

/// A pair of hosts.
///
/// # Errors
///
/// If an address is none.
pub(crate) fn hosts(from: &str, to: &str) -> Result<Match> {
    let one = |text: &str| {
        let addr = text.parse().map_err(|error| odd(format!("address {text}"), error))?;
        Ok::<_, Error>(Prefix::of(addr, Width::HOST))
    };
    let pair = PrefixFlow { src: one(from)?, dst: one(to)? };
    Match::pair(pair).map_err(|error| odd("a pair", error))
}
