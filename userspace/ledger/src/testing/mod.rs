// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Synthetic packets, datagrams and scenes for the tests.

pub(crate) mod flow;
pub(crate) mod frame;
pub(crate) mod play;
