// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What every task of the service holds.

use std::sync::Arc;

use tokio::sync::watch;

use crate::{
    checkpoint::Store,
    events::Event,
    line::{self, Line},
    metrics::Metrics,
    output::{Kind, Outputs},
    settings::Limits,
    sink::Sink,
};

/// Waits until a flag turns true, or until nobody is left to turn it.
pub async fn turned(flag: &mut watch::Receiver<bool>) {
    // The value behind the reference is not needed, and holding it would block the sender.
    drop(flag.wait_for(|flag| *flag).await);
}

/// Handles and settings shared by all tasks.
pub struct Shared {
    /// The instance number, part of every line.
    pub instance: u64,
    /// Add received bytes to BMP lines.
    pub raw: bool,
    /// Write a journal line per datagram.
    pub journal: bool,
    /// The budget bits for `TCP_TAKEOVER` if sessions are left to siblings.
    pub takeover: Option<u32>,
    /// Bounds.
    pub limits: Limits,
    /// Boot id and network namespace cookie: the first two parts of a session's name.
    pub place: String,
    /// Output files.
    pub outputs: Outputs,
    /// Parquet files, if flow records are to become some.
    pub sink: Option<Sink>,
    /// Check-points.
    pub store: Store,
    /// Counters.
    pub metrics: Arc<Metrics>,
}

impl Shared {
    /// Writes an event line with the time now.
    pub fn event(&self, event: &Event<'_>) {
        self.event_at(line::now(), event);
    }

    /// Writes an event line with the time it happened.
    pub fn event_at(&self, ts: std::time::Duration, event: &Event<'_>) {
        let mut out = Vec::with_capacity(256);
        event.write(Line::begin(&mut out, "event", self.instance, ts));
        self.outputs.try_push(Kind::Events, out, 1);
    }
}
