// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Our endpoint: what comes is acknowledged and goes into the mailbox, or is refused.

use crate::counters::{Counters, count};
use crate::http::Came;
use crate::nsi::mailbox::Mailbox;
use crate::nsi::message::{self, Header};
use crate::nsi::reply::{Body, Message, read};
use crate::xml::element::Limits;
use std::sync::Arc;
use uuid::Uuid;

/// What our endpoint needs.
pub(crate) struct Desk {
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) limits: Limits,
    pub(crate) provider: String,
    pub(crate) requester: String,
}

impl Desk {
    /// The status and the body of the answer to what came.
    pub(crate) fn answer(&self, came: Came) -> (u16, String) {
        let bad = |status, said: &str| {
            count(&self.counters.bad_messages);
            (status, message::fault(said))
        };
        let body = match came {
            Ok((_, body)) => body,
            Err(said) => return bad(400, &said),
        };
        match read(&body, self.limits) {
            Err(odd) => bad(500, &odd.to_string()),
            Ok(Message {
                body: Body::Acknowledged | Body::Response(_) | Body::Fault(_) | Body::Summary(_),
                ..
            }) => bad(500, "not for a requester"),
            Ok(message) => {
                let correlation =
                    message.correlation.clone().unwrap_or_else(|| Uuid::nil().urn().to_string());
                self.mailbox.take(message);
                let (requester, provider) = (&self.requester, &self.provider);
                let header =
                    Header { correlation: &correlation, requester, provider, reply_to: None };
                (200, message::acknowledgment(&header))
            }
        }
    }
}
