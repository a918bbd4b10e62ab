// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Typed calls for the sockets of a telemetry collector.
//!
//! One function per option or operation, each saying what its absence from the kernel looks like.
//! All calls are non-blocking unless they say otherwise. With `telesteer-uapi` this is the only
//! crate of the workspace that may hold `unsafe`.
#![expect(unsafe_code, reason = "system calls need it; every block states why it is sound")]

pub mod bound;
pub mod counter;
pub mod datagram;
pub mod diag;
pub mod features;
pub mod heap;
pub mod ident;
pub mod listen;
pub mod mirror;
pub mod process;
pub mod ready;
pub mod reuseport;
mod sockopt;
pub mod stream;
pub mod takeover;

/// An option call that failed, with the option's name.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The running kernel does not know the option.
    #[error("this kernel has no {0}")]
    Missing(&'static str),
    /// The kernel knows the option and refused.
    #[error("{0}: {1}")]
    Refused(&'static str, std::io::Error),
}

impl Error {
    /// Sorts the errno of a failed call on option `name`.
    fn of(name: &'static str, error: std::io::Error) -> Self {
        match error.raw_os_error() {
            Some(libc::ENOPROTOOPT | libc::EOPNOTSUPP) => Self::Missing(name),
            _ => Self::Refused(name, error),
        }
    }

    /// Whether the running kernel lacks the option.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Missing(_))
    }
}

/// Result of an option call.
pub type Result<T> = std::result::Result<T, Error>;
