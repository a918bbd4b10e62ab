// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The loop as it is run.

mod bed;
mod broken;
mod killed;
mod lives;
mod offline;
mod packets;
mod promised;
