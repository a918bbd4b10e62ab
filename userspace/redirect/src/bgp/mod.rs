// SPDX-License-Identifier: Apache-2.0 OR MIT
//! As much of BGP-4 (RFC 4271) as a receiver of FlowSpec routes needs: it opens a session, keeps it and
//! reads what comes. It announces nothing. No sockets and no clock: bytes and times come from the caller,
//! and whatever a peer sends is answered by a NOTIFICATION at worst.

mod cursor;
pub mod message;
pub mod notification;
pub mod open;
pub mod session;
pub mod update;

pub(crate) use cursor::Cursor;

pub use notification::Notification;
pub use open::{Family, Open};
pub use session::{Ended, Neighbour, Session};
pub use update::Update;
