// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How far a load has come: running, paused or ending; one switch that all senders watch.

use tokio::sync::watch;

/// The state of a load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Send.
    Run,
    /// End the last message, send nothing more, stay connected.
    Pause,
    /// End.
    End,
}

/// A sender's view of the switch.
#[derive(Clone, Debug)]
pub(crate) struct Watch(watch::Receiver<Phase>);

/// The switch and the first view of it.
pub(crate) fn switch() -> (watch::Sender<Phase>, Watch) {
    let (sender, receiver) = watch::channel(Phase::Run);
    (sender, Watch(receiver))
}

impl Watch {
    /// The state now.
    pub(crate) fn now(&self) -> Phase {
        *self.0.borrow()
    }

    /// Waits until the load no longer runs.
    pub(crate) async fn not_running(&mut self) {
        // An error means that the switch is gone, which ends the load too.
        let _ = self.0.wait_for(|phase| *phase != Phase::Run).await;
    }

    /// Waits until the load ends.
    pub(crate) async fn end(&mut self) {
        let _ = self.0.wait_for(|phase| *phase == Phase::End).await;
    }
}
