// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Circuits of the lab's routers, by the provider `local` of crate circuit: MPLS and queues.

use crate::error::{Result, odd};
use crate::exp::Bench;
use crate::net::Net;
use std::sync::Arc;
use std::time::Duration;
use telesteer_circuit::circuits::{Circuits, Id};
use telesteer_circuit::clock::now;
use telesteer_circuit::counters::Counters;
use telesteer_circuit::local::client::{Entrance, Local, Settings};
use telesteer_circuit::plan::Numbers;
use telesteer_circuit::request::{Best, Name, Pair, Rate, Request};
use telesteer_circuit::time::Span;
use tokio::runtime::{Builder, Runtime};

/// The provider, and what it runs in.
pub(crate) struct Lsps {
    // Before the runtime: its agents end while that is there.
    local: Local,
    runtime: Runtime,
}

/// A circuit that is up.
#[derive(Clone, Debug)]
pub(crate) struct Lsp {
    id: Id,
    /// Where packets go in, at its beginning and at its end.
    pub(crate) entrances: Vec<Entrance>,
}

impl Lsps {
    /// Takes over the routers of `net`, whose links have so many Mb/s for circuits.
    ///
    /// # Errors
    ///
    /// If the agents do not start or the kernel has no MPLS.
    pub(crate) fn start(net: &Net, bench: &Bench, mbps: u64) -> Result<Self> {
        let settings = Settings {
            topology: net.topology(&bench.work, mbps, (0, 0))?,
            state: bench.work.join(format!("circuits-{}.json", std::process::id())),
            agent: bench.programs.join("circuit-agent"),
            numbers: Numbers::default(),
            hold_ms: 60_000,
            poll_ms: 1000,
        };
        // One of an experiment before.
        let _ = std::fs::remove_file(&settings.state);
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| odd("tokio", error))?;
        let local = runtime
            .block_on(Local::start(settings, Arc::new(Counters::default())))
            .map_err(|error| odd("circuits", error))?;
        Ok(Self { local, runtime })
    }

    /// Sets up a circuit between the edge routers of the sites, both ways; on the science path, or
    /// where packets go anyway.
    ///
    /// # Errors
    ///
    /// What the provider says, such as that there is no room for it.
    pub(crate) fn up(&self, rate: Rate, off_ip_path: bool) -> Result<Lsp> {
        // Names hold the time in milliseconds, and no two circuits have one name.
        std::thread::sleep(Duration::from_millis(2));
        let at = now();
        let name = Name::of(&Pair::new("pe1", "pe2"), at).map_err(|error| odd("circuit", error))?;
        let span = Span { from: at, until: None };
        let request = Request { name, rate, span, best: Best::Hops, off_ip_path, both: true };
        let done = self.runtime.block_on(async {
            let held = self.local.reserve(&request).await?;
            self.local.commit(&held.id).await?;
            self.local.provision(&held.id).await?;
            let entrances = self.local.entrances(&held.id).await;
            Ok::<_, telesteer_circuit::error::Error>(Lsp { id: held.id, entrances })
        });
        done.map_err(|error| odd("circuit", error))
    }

    /// Takes a circuit down and gives it back.
    ///
    /// # Errors
    ///
    /// What the provider says.
    pub(crate) fn down(&self, lsp: &Lsp) -> Result<()> {
        let done = self.runtime.block_on(async {
            self.local.release(&lsp.id).await?;
            self.local.terminate(&lsp.id).await
        });
        done.map_err(|error| odd("circuit", error))
    }
}
