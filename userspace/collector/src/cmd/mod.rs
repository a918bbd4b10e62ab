// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The verbs of the `telesteer` command.

pub mod announce;
pub mod collect;
pub mod decode;
pub mod dedup;
pub mod ls;
pub mod replay;
