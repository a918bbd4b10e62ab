// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What decoding a datagram came to: results, errors and counters.

use serde::{Deserialize, Serialize};

/// Why a whole datagram could not be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Shorter than its header.
    #[error("{0} octets are too few for a message header")]
    TooShort(usize),
    /// Neither 9 nor 10 at its start.
    #[error("version {0} is neither NetFlow v9 nor IPFIX")]
    UnknownVersion(u16),
}

impl Error {
    /// The reason as a counter label.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::TooShort(_) => "too_short",
            Self::UnknownVersion(_) => "unknown_version",
        }
    }
}

/// What was wrong inside a datagram; everything else in it was decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Problem {
    /// The header's length is more than what came.
    #[error("the message says it is longer than the datagram")]
    MessageTruncated,
    /// The header's length is less than what came; the rest was not read.
    #[error("octets after the end of the message")]
    TrailingOctets,
    /// A set length below 4 or past the end of the message.
    #[error("a set length that does not fit the message")]
    BadSetLength,
    /// A set id without a meaning (IPFIX 0, 1 and 4-255; v9 2-255).
    #[error("a reserved set id")]
    ReservedSet,
    /// A template that ends inside a field, describes no octet or has an id below 256.
    #[error("a template that cannot be used")]
    BadTemplate,
    /// More fields or longer records than the limit.
    #[error("a template with too many fields")]
    TemplateTooLarge,
    /// No room for another template.
    #[error("too many templates in one domain")]
    TooManyTemplates,
    /// A record of variable length that ends after its set does.
    #[error("a record that ends after its set")]
    TruncatedRecord,
    /// Entries refused by a full options table.
    #[error("too many entries in an options table")]
    TooManyOptions,
}

impl Problem {
    /// All of them, in the order of their counters.
    pub const ALL: [Problem; 9] = [
        Problem::MessageTruncated,
        Problem::TrailingOctets,
        Problem::BadSetLength,
        Problem::ReservedSet,
        Problem::BadTemplate,
        Problem::TemplateTooLarge,
        Problem::TooManyTemplates,
        Problem::TruncatedRecord,
        Problem::TooManyOptions,
    ];

    /// The reason as a counter label.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::MessageTruncated => "message_truncated",
            Self::TrailingOctets => "trailing_octets",
            Self::BadSetLength => "bad_set_length",
            Self::ReservedSet => "reserved_set",
            Self::BadTemplate => "bad_template",
            Self::TemplateTooLarge => "template_too_large",
            Self::TooManyTemplates => "too_many_templates",
            Self::TruncatedRecord => "truncated_record",
            Self::TooManyOptions => "too_many_options",
        }
    }
}

/// A problem and where it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProblemAt {
    /// Octet of the datagram at which the set (or the header) starts.
    pub offset: u32,
    /// Set id, 0 for the message itself.
    pub set: u16,
    /// What it was.
    pub problem: Problem,
}

/// How a message's sequence number follows the one before it in its domain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sequence {
    /// Nothing to compare with: the first one, or after a set whose records could not be counted.
    #[default]
    Unknown,
    /// As expected.
    InOrder,
    /// So many are missing: records (IPFIX) or messages (v9).
    Lost(u32),
    /// From before the expected number: reordered, repeated, or the exporter restarted.
    Back,
}

/// A set that waited for its template and has been decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Late {
    /// Tag of the datagram it came in.
    pub tag: u64,
    /// Observation domain.
    pub domain: u32,
    /// Set id.
    pub set: u16,
    /// Data records delivered from it.
    pub data_records: u32,
    /// Options records delivered from it.
    pub options_records: u32,
}

/// What a datagram came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DatagramReport {
    /// 9 or 10.
    pub version: u16,
    /// Observation domain or source id.
    pub domain: u32,
    /// Export time, Unix seconds.
    pub export_time: u32,
    /// Sequence number of the message.
    pub sequence_number: u32,
    /// Data records delivered from this datagram.
    pub data_records: u32,
    /// Options records delivered from this datagram.
    pub options_records: u32,
    /// Templates, options or sampling differ from before: time for a checkpoint of `domain`.
    pub state_changed: bool,
    /// Sets of this datagram that lack their template.
    pub missing: Vec<u16>,
    /// Sets of earlier datagrams (or of this one) that got their template now.
    pub late: Vec<Late>,
    /// How the sequence number follows.
    pub sequence: Sequence,
    /// What was wrong, at most [`Self::PROBLEMS_MAX`] of them.
    pub problems: Vec<ProblemAt>,
}

impl DatagramReport {
    /// Most problems told one by one; the counters count all.
    pub const PROBLEMS_MAX: usize = 16;
}

/// What a session has seen, for metrics. All counts only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Datagrams with a readable header.
    pub datagrams: u64,
    /// Datagrams refused as a whole.
    pub refused: u64,
    /// Data records delivered, late ones included.
    pub data_records: u64,
    /// Options records delivered, late ones included.
    pub options_records: u64,
    /// Template announcements taken.
    pub templates: u64,
    /// Templates withdrawn.
    pub withdrawn: u64,
    /// Sets put aside for want of a template.
    pub sets_waited: u64,
    /// Sets put aside and decoded later.
    pub sets_late: u64,
    /// Sets given up: no room, too old, or waiting is off.
    pub sets_given_up: u64,
    /// Domains forgotten to make room.
    pub domains_evicted: u64,
    /// Records (IPFIX) or messages (v9) missing by sequence number.
    pub sequence_lost: u64,
    /// Messages from before the expected sequence number.
    pub sequence_back: u64,
    /// Problems by kind, in the order of [`Problem::ALL`].
    pub problems: [u64; Problem::ALL.len()],
}
