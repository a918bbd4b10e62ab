// SPDX-License-Identifier: (GPL-2.0 WITH Linux-syscall-note) OR Apache-2.0 OR MIT
//! Takeover of established TCP sessions by a sibling listener, level `SOL_TCP`.

/// Option: when a sibling may inherit the connection (`int`, see [`EXIT`], [`CLOSE`], [`budget`]).
///
/// On a listener any value may be set; children inherit it. On an accepted socket only what the
/// listener gave may be cleared and set again. `getsockopt` returns the value in force.
pub const TCP_TAKEOVER: i32 = 47;

/// Option, read only: [`TcpTakeoverInfo`].
pub const TCP_TAKEOVER_INFO: i32 = 48;

/// The connection moves on when its last owner dies with it open.
pub const EXIT: u32 = 1 << 0;

/// The connection moves on at any last close, so that a drain hands it over.
pub const CLOSE: u32 = 1 << 1;

/// Where the no-progress budget stands in the option value.
pub const BUDGET_SHIFT: u32 = 8;

/// The bits of the no-progress budget in the option value.
pub const BUDGET_MASK: u32 = 0xff << BUDGET_SHIFT;

/// Budget value for "never give a session up".
pub const BUDGET_NONE: u8 = 255;

/// The option bits for a no-progress budget: after that many owners in a row died holding unread
/// data, the session is closed instead of handed on. 0 is the kernel's default.
pub const fn budget(owners: u8) -> u32 {
    (owners as u32) << BUDGET_SHIFT
}

/// `struct tcp_takeover_info`: what the owner of a connection may know of its past.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TcpTakeoverInfo {
    /// Takeovers of this connection so far.
    pub count: u32,
    /// [`EXIT`] or [`CLOSE`]: why the last one happened; 0 if there was none.
    pub reason: u32,
    /// Stream bytes read by all owners so far: the stream offset of the next byte to read.
    pub bytes_consumed: u64,
    /// Stream bytes readable now.
    pub bytes_queued: u64,
    /// Stream bytes handed to the kernel for sending by all owners.
    pub bytes_written: u64,
    /// Of these, the bytes the peer has not acknowledged.
    pub bytes_unacked: u64,
    /// Owners in a row that died without consuming anything of what was queued.
    pub no_progress: u32,
    /// The budget in force for that number.
    pub budget: u32,
}

const _: () = assert!(size_of::<TcpTakeoverInfo>() == 48);
const _: () = assert!(align_of::<TcpTakeoverInfo>() == 8);
