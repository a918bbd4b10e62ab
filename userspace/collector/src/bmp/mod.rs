// SPDX-License-Identifier: Apache-2.0 OR MIT
//! BMP sessions: peek, decode, check-point, write, commit, in that order, message by message.

mod checkpoint;
mod cut;
mod session;

pub use session::run;
