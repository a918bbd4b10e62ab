// SPDX-License-Identifier: Apache-2.0 OR MIT
//! UDP-notif (draft-ietf-netconf-udp-notif): YANG notifications in datagrams, segmented if large.
//!
//! The header is read here and not by a crate: netgauze's decoder for it links an SSH client, an
//! HTTP client and a TLS library (more than 400 packages) for the sake of twelve octets.

mod header;
mod payload;
mod reassembler;
#[cfg(test)]
mod tests;

pub use header::{Header, Segment};
pub use payload::{Encoding, Payload};
pub use reassembler::{Counters, Limits, Message, Pushed, Reassembler};

/// Why a datagram is not a UDP-notif message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Fewer octets than the header says, or than any header has.
    #[error("{0} octets are fewer than the header says")]
    TooShort(usize),
    /// Only version 1 is defined.
    #[error("version {0} is not 1")]
    UnknownVersion(u8),
    /// The header's own length is below 12 or above the message's.
    #[error("a header length of {0} is not possible")]
    BadHeaderLength(u8),
    /// An option that ends after the header, or a segmentation option that is not four octets.
    #[error("an option of type {0} does not fit")]
    BadOption(u8),
    /// More segments or octets than the limits.
    #[error("a message larger than the limit")]
    TooLarge,
    /// Two segments of one message disagree: same number with different octets, or two last ones.
    #[error("segments that contradict each other")]
    Contradiction,
}

impl Error {
    /// The reason as a counter label.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::TooShort(_) => "too_short",
            Self::UnknownVersion(_) => "unknown_version",
            Self::BadHeaderLength(_) => "bad_header_length",
            Self::BadOption(_) => "bad_option",
            Self::TooLarge => "too_large",
            Self::Contradiction => "contradiction",
        }
    }
}
