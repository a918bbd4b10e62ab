// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Sends a capture again. Waits for the reader of captures.

use std::sync::Arc;

use super::config::Pcap;
use super::counters::Counters;
use super::phase::Watch;

/// A capture to be sent.
#[derive(Debug)]
pub(crate) struct Replay {}

impl Replay {
    /// Reads the capture.
    pub(crate) fn read(section: &Pcap) -> anyhow::Result<Self> {
        anyhow::bail!("{}: captures cannot be sent yet", section.file.display())
    }

    /// Sends it.
    pub(crate) async fn run(self, _counters: &Arc<Counters>, _watch: Watch) {}
}
