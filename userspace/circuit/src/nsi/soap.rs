// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Requests to the provider, by SOAP.

use crate::error::Why;
use crate::http::{self, Failed};
use crate::nsi::message::{Header, of_connection, query, reserve};
use crate::nsi::names::{CONTENT, action};
use crate::nsi::reply::{Body, Message, read};
use crate::nsi::wire::{Ask, Sent};
use crate::xml::element::Limits;
use bytes::Bytes;
use hyper::{Method, StatusCode};
use std::time::Duration;

/// The provider's end of SOAP.
#[derive(Debug)]
pub(crate) struct Soap {
    pub(crate) url: String,
    pub(crate) limits: Limits,
}

impl Soap {
    pub(crate) async fn send(
        &self,
        name: &str,
        header: &Header<'_>,
        ask: &Ask<'_>,
        wait_ms: u64,
    ) -> Sent {
        let text = match ask {
            Ask::Reserve(what) => reserve(header, what),
            Ask::Of(connection) => of_connection(header, name, connection),
            Ask::Query(connection) => query(header, *connection),
        };
        let answer = http::ask(http::Ask {
            method: Method::POST,
            url: &self.url,
            headers: vec![("soapaction", action(name))],
            kind: Some(CONTENT),
            body: text.into_bytes(),
            wait: Duration::from_millis(wait_ms),
            most: self.limits.bytes,
        });
        match answer.await {
            Ok((status, body)) => match self.at_once(status, &body) {
                Ok(body) => Sent::Said(body),
                Err(why) => Sent::Not(why),
            },
            Err(Failed::Address(said) | Failed::Connect(said)) => Sent::Not(Why::Unreachable(said)),
            Err(Failed::Broken(said)) => Sent::Unsure(Why::Garbled(said)),
            Err(Failed::Late(ms)) => Sent::Unsure(Why::Silent(ms)),
        }
    }

    /// What the provider said at once, or why it said nothing we know.
    fn at_once(&self, status: StatusCode, body: &Bytes) -> Result<Body, Why> {
        if body.is_empty() && status.is_success() {
            return Ok(Body::Acknowledged);
        }
        match read(body, self.limits) {
            Ok(Message { body: Body::Fault(said), .. }) => Err(Why::Refused(said)),
            Ok(message) if status.is_success() => Ok(message.body),
            _ if status.is_client_error() => Err(Why::Refused(format!("HTTP {status}"))),
            Ok(_) => Err(Why::Garbled(format!("HTTP {status}"))),
            Err(odd) => Err(Why::Garbled(format!("HTTP {status}: {odd}"))),
        }
    }
}
