// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Why a loop cannot begin.

use crate::http::keys::BadKeys;
use crate::{audit, journal, network, schedule};
use std::io;
use std::net::SocketAddr;

/// Why a loop cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum Bad {
    /// Two routers cannot be told apart.
    #[error(transparent)]
    Network(network::Shared),
    /// The time of the analysis.
    #[error("offline.{0}")]
    Clock(schedule::Bad),
    /// The store.
    #[error("store: {0}")]
    Store(journal::Bad),
    /// The audit log.
    #[error("audit log: {0}")]
    Audit(audit::Bad),
    /// The interface.
    #[error("http.listen {0}: {1}")]
    Listen(SocketAddr, io::Error),
    /// Tokens.
    #[error("http.tokens: {0}")]
    Keys(BadKeys),
}
