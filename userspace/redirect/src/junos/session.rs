// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A NETCONF session (RFC 6241, RFC 6242): hello, framing, one request after the other.

use super::link::Link;
use super::xml::{self, Node};
use crate::error::{DeviceError, Kind};
use std::fmt;
use std::io;

/// Bytes of one message.
const MAX_MESSAGE: usize = 256 << 20;
const BASE: &str = "urn:ietf:params:xml:ns:netconf:base:1.0";
/// Ends a message before, or without, chunks.
const END: &[u8] = b"]]>]]>";
/// What the router must be able to do besides.
const NEEDED: [&str; 2] = [":candidate:", ":confirmed-commit:"];

/// A session over a link.
pub(crate) struct Session {
    device: String,
    link: Link,
    /// Why nothing more is said: what comes next would be the answer to something else.
    broken: Option<String>,
    buffer: Vec<u8>,
    chunked: bool,
    number: u64,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("device", &self.device).finish_non_exhaustive()
    }
}

impl Session {
    pub(crate) fn open(device: &str, link: Link) -> Result<Self, DeviceError> {
        let mut session = Self {
            device: device.to_owned(),
            link,
            broken: None,
            buffer: Vec::new(),
            chunked: false,
            number: 0,
        };
        let hello = format!(
            "<hello xmlns=\"{BASE}\"><capabilities><capability>{BASE}</capability>\
             <capability>urn:ietf:params:netconf:base:1.1</capability></capabilities></hello>"
        );
        session.link.begin();
        session.send("hello", &hello)?;
        let answer = session.receive("hello")?;
        let root = session.tree("hello", &answer)?;
        let list = root.find(&["hello", "capabilities"]);
        let list = list.ok_or_else(|| session.error("hello", Kind::Garbled, "no capabilities"))?;
        let can = |what: &str| list.all("capability").any(|one| one.text.contains(what));
        if let Some(missing) = NEEDED.iter().find(|what| !can(what)) {
            let said = format!("the router lacks {}", missing.trim_matches(':'));
            return Err(session.error("hello", Kind::Unsupported, said));
        }
        session.chunked = can("base:1.1");
        Ok(session)
    }

    pub(crate) fn error(&self, command: &str, kind: Kind, said: impl fmt::Display) -> DeviceError {
        DeviceError::new(&self.device, command, kind, said)
    }

    fn tree(&self, command: &str, text: &str) -> Result<Node, DeviceError> {
        xml::parse(text).map_err(|why| self.error(command, Kind::Garbled, why))
    }

    fn send(&mut self, command: &str, text: &str) -> Result<(), DeviceError> {
        let mut bytes = Vec::with_capacity(text.len() + 32);
        if self.chunked {
            bytes.extend(format!("\n#{}\n", text.len()).into_bytes());
            bytes.extend(text.as_bytes());
            bytes.extend(b"\n##\n");
        } else {
            bytes.extend(text.as_bytes());
            bytes.extend(END);
        }
        self.link.write_all(&bytes).map_err(|error| self.lost(command, &error))
    }

    fn lost(&self, command: &str, error: &io::Error) -> DeviceError {
        let late = error.kind() == io::ErrorKind::TimedOut;
        self.error(command, if late { Kind::Late } else { Kind::Unreachable }, error)
    }

    /// Reads more; the message is not whole yet.
    fn more(&mut self, command: &str) -> Result<(), DeviceError> {
        let mut part = [0; 16 << 10];
        if self.buffer.len() > MAX_MESSAGE {
            return Err(self.error(command, Kind::Garbled, "a message without an end"));
        }
        match self.link.read(&mut part) {
            Ok(0) => Err(self.error(command, Kind::Unreachable, "the session has ended")),
            Ok(read) => {
                self.buffer.extend(&part[..read]);
                Ok(())
            }
            Err(error) => Err(self.lost(command, &error)),
        }
    }

    /// Takes the next `length` bytes.
    fn take(&mut self, command: &str, length: usize) -> Result<Vec<u8>, DeviceError> {
        if length > MAX_MESSAGE {
            return Err(self.error(command, Kind::Garbled, "too long a chunk"));
        }
        while self.buffer.len() < length {
            self.more(command)?;
        }
        let rest = self.buffer.split_off(length);
        Ok(std::mem::replace(&mut self.buffer, rest))
    }

    fn receive(&mut self, command: &str) -> Result<String, DeviceError> {
        let bytes = if self.chunked { self.chunks(command)? } else { self.until_end(command)? };
        String::from_utf8(bytes).map_err(|error| self.error(command, Kind::Garbled, error))
    }

    fn until_end(&mut self, command: &str) -> Result<Vec<u8>, DeviceError> {
        let mut looked = 0;
        loop {
            let found = self.buffer[looked..].windows(END.len()).position(|part| part == END);
            if let Some(at) = found {
                let mut message = self.take(command, looked + at + END.len())?;
                message.truncate(looked + at);
                return Ok(message);
            }
            looked = self.buffer.len().saturating_sub(END.len());
            self.more(command)?;
        }
    }

    fn chunks(&mut self, command: &str) -> Result<Vec<u8>, DeviceError> {
        let mut message = Vec::new();
        loop {
            // "\n#", then a number or another "#", then "\n".
            let mut head = self.take(command, 3)?;
            while head.last() != Some(&b'\n') && head.len() < 16 {
                head.extend(self.take(command, 1)?);
            }
            let head = String::from_utf8_lossy(&head).into_owned();
            let bad = || self.error(command, Kind::Garbled, format!("no chunk: {head:?}"));
            let inner = head.strip_prefix("\n#").and_then(|rest| rest.strip_suffix('\n'));
            match inner.ok_or_else(bad)? {
                "#" => return Ok(message),
                length => {
                    let length: usize = length.parse().map_err(|_| bad())?;
                    if message.len().saturating_add(length) > MAX_MESSAGE {
                        return Err(self.error(command, Kind::Garbled, "too long a message"));
                    }
                    message.extend(self.take(command, length)?);
                }
            }
        }
    }

    /// Makes a request and gives the reply, unless it is an error. A session on which one got no
    /// proper reply is closed: an unconfirmed commit then does not last.
    pub(crate) fn rpc(&mut self, command: &str, body: &str) -> Result<Node, DeviceError> {
        if let Some(why) = &self.broken {
            return Err(self.error(command, Kind::Unreachable, format!("session closed: {why}")));
        }
        self.link.begin();
        let reply = self.ask(command, body).inspect_err(|error| {
            self.broken = Some(format!("`{}`: {}", error.command, error.said));
            self.link.close();
        })?;
        let fatal = |one: &&Node| one.text_at(&["error-severity"]) != Some("warning");
        let said = reply.all("rpc-error").find(fatal).map(|error| {
            let said = error.text_at(&["error-message"]).or(error.text_at(&["error-tag"]));
            said.unwrap_or("an error").to_owned()
        });
        match said {
            None => Ok(reply),
            Some(said) => Err(self.error(command, Kind::Refused, said)),
        }
    }

    fn ask(&mut self, command: &str, body: &str) -> Result<Node, DeviceError> {
        self.number += 1;
        let id = self.number.to_string();
        let text = format!("<rpc xmlns=\"{BASE}\" message-id=\"{id}\">{body}</rpc>");
        self.send(command, &text)?;
        let answer = self.receive(command)?;
        let mut root = self.tree(command, &answer)?;
        let reply = root.children.pop().filter(|node| node.name == "rpc-reply");
        let reply = reply.ok_or_else(|| self.error(command, Kind::Garbled, &answer))?;
        if reply.message_id.as_deref() != Some(id.as_str()) {
            let got = reply.message_id.as_deref().unwrap_or("none");
            let said = format!("message-id is {got}, not {id}: the answer to something else");
            return Err(self.error(command, Kind::Garbled, said));
        }
        Ok(reply)
    }
}
