// SPDX-License-Identifier: (GPL-2.0 WITH Linux-syscall-note) OR Apache-2.0 OR MIT
//! What the patched kernel and its user space agree on: option numbers, structs and flags.
//!
//! The numbers are those of x86, arm64, riscv and every other architecture with the generic socket
//! option table. They come from `include/uapi/linux/tcp.h`, `include/uapi/linux/reuseport.h`,
//! `include/uapi/linux/inet_diag.h` and `include/uapi/asm-generic/socket.h` of the series in `linux-patches/`; the test `headers`
//! compares all of them, and the layout of every struct, with what bindgen reads there.
//!
//! All structs are extensible by length: the kernel fills what fits and says how much that was, and
//! accepts a longer struct only if the part it does not know is zero.
#![no_std]

pub mod diag;
pub mod reuseport;
pub mod takeover;

/// Version of this contract. A change that an older collector could misread raises it.
pub const CONTRACT_VERSION: u32 = 1;
