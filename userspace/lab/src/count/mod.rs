// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Counts, from captures alone. Nothing in here knows of routes, circuits, or who says what of them: it
//! shares code with the ledger and with nothing that is judged.
//!
//! - [`frame`]: a captured record as label, addresses, ports, number.
//! - [`order`]: how far out of their order numbers came.
//! - [`way`]: by which of two links each number came.
//! - [`load`]: bytes over time, by label or port.
//! - [`above`]: when there were more than so many bytes in some time.

pub(crate) mod above;
pub(crate) mod frame;
pub(crate) mod load;
pub(crate) mod order;
pub(crate) mod way;
