// SPDX-License-Identifier: Apache-2.0 OR MIT
//! One session, from the moment its connection stands (RFC 4271, section 8).
//!
//! ```text
//!            OPEN that fits            KEEPALIVE
//! OpenSent ------------------> OpenConfirm ------------> Established
//!     \___________________________|__________________________/
//!          NOTIFICATION, hold time over, anything unexpected: Ended
//! ```
//!
//! The owner of the connection calls [`Session::receive`] with what came, [`Session::tick`] now and then,
//! and sends what [`Session::take_output`] gives, also once more after the end.

use super::message::{self, Kind};
use super::notification::{Fault, Notification};
use super::open::{Family, Open};
use super::update::Update;
use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use telesteer_fam::Ns;
use telesteer_fam::time::SECOND;

/// How long an OPEN is waited for.
const OPEN_WAIT: Ns = 240 * SECOND;

/// The two ends of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Neighbour {
    /// Our AS.
    pub local_as: u32,
    /// Our identifier, which no other speaker has.
    pub id: Ipv4Addr,
    /// The AS the other must be of.
    pub peer_as: u32,
    /// Seconds of silence after which the other is dead, if it does not want less; 0 or at least 3.
    pub hold: u16,
}

/// What came of bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The session stands; routes may come.
    Up,
    /// Routes.
    Update(Update),
}

/// Why a session is over.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Ended {
    /// The other said so.
    #[error("the peer says: {0}")]
    Theirs(Notification),
    /// This side says so; the message is in the output.
    #[error("told the peer: {0}")]
    Ours(Notification),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    OpenSent,
    OpenConfirm,
    Established,
    Ended,
}

/// A session. It holds at most one message that is not complete.
#[derive(Clone, Debug)]
pub struct Session {
    neighbour: Neighbour,
    state: State,
    input: Vec<u8>,
    output: Vec<u8>,
    /// What both agreed on; 0 until then, and for "for ever".
    hold: Ns,
    /// When the other is dead unless something comes; none for never.
    dead: Option<Ns>,
    /// When the next sign of life is due from here.
    alive: Option<Ns>,
    four_octet: bool,
    families: BTreeSet<Family>,
}

impl Session {
    /// Begins one on a connection that stands; an OPEN is in the output.
    pub fn new(neighbour: Neighbour, now: Ns) -> Self {
        let mut session = Self {
            neighbour,
            state: State::OpenSent,
            input: Vec::new(),
            output: Vec::new(),
            hold: 0,
            dead: Some(now.saturating_add(OPEN_WAIT)),
            alive: None,
            four_octet: false,
            families: BTreeSet::new(),
        };
        let open = session.ours().encode();
        session.say(Kind::Open, &open);
        session
    }

    fn ours(&self) -> Open {
        Open {
            asn: self.neighbour.local_as,
            hold: self.neighbour.hold,
            id: self.neighbour.id,
            families: Family::ALL.into(),
            four_octet: true,
        }
    }

    fn say(&mut self, kind: Kind, body: &[u8]) {
        self.output.extend(message::wrap(kind, body));
    }

    /// What is to be sent.
    pub fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }

    /// Routes may come.
    pub fn is_up(&self) -> bool {
        self.state == State::Established
    }

    /// Families both speak, once the session is up.
    pub fn families(&self) -> &BTreeSet<Family> {
        &self.families
    }

    /// Takes in bytes, as many messages as they make. Events from before an end come with it.
    pub fn receive(&mut self, bytes: &[u8], now: Ns) -> (Vec<Event>, Result<(), Ended>) {
        let mut events = Vec::new();
        if self.state == State::Ended {
            return (events, Ok(()));
        }
        let mut input = std::mem::take(&mut self.input);
        input.extend_from_slice(bytes);
        let mut at = 0;
        let result = loop {
            match message::first(input.get(at..).unwrap_or_default()) {
                Ok(None) => break Ok(()),
                Ok(Some((kind, body, length))) => {
                    at += length;
                    match self.one(kind, body, now) {
                        Ok(event) => events.extend(event),
                        Err(ended) => break Err(ended),
                    }
                }
                Err(error) => break Err(Ended::Ours(error)),
            }
        };
        // What is left is the beginning of a message, shorter than the longest.
        input.drain(..at);
        self.input = input;
        (events, result.map_err(|ended| self.end(ended)))
    }

    fn one(&mut self, kind: Kind, body: &[u8], now: Ns) -> Result<Option<Event>, Ended> {
        if kind == Kind::Notification {
            return Err(Ended::Theirs(Notification::parse(body)));
        }
        let event = match (self.state, kind) {
            (State::OpenSent, Kind::Open) => {
                self.opened(&Open::parse(body).map_err(Ended::Ours)?, now)?;
                None
            }
            (State::OpenConfirm, Kind::Keepalive) => {
                self.state = State::Established;
                Some(Event::Up)
            }
            (State::Established, Kind::Update) => {
                let update = Update::parse(body, self.four_octet).map_err(Ended::Ours)?;
                Some(Event::Update(update))
            }
            // There is nothing to tell again: nothing is announced.
            (State::Established, Kind::Keepalive | Kind::RouteRefresh) => None,
            // RFC 6608: which of the states it came in.
            (State::OpenSent, _) => return Err(unexpected(1)),
            (State::OpenConfirm, _) => return Err(unexpected(2)),
            (State::Established | State::Ended, _) => return Err(unexpected(3)),
        };
        if self.hold > 0 {
            self.dead = Some(now.saturating_add(self.hold));
        }
        Ok(event)
    }

    fn opened(&mut self, theirs: &Open, now: Ns) -> Result<(), Ended> {
        let ours = |fault: Fault| Ended::Ours(fault.into());
        if theirs.asn != self.neighbour.peer_as {
            return Err(ours(Fault::PeerAs));
        }
        if matches!(theirs.hold, 1 | 2) {
            return Err(ours(Fault::HoldTime));
        }
        let internal = theirs.asn == self.neighbour.local_as;
        if theirs.id.is_unspecified() || (internal && theirs.id == self.neighbour.id) {
            return Err(ours(Fault::Identifier));
        }
        if theirs.families.is_empty() {
            return Err(ours(Fault::Capability));
        }
        self.families.clone_from(&theirs.families);
        self.four_octet = theirs.four_octet;
        self.hold = Ns::from(theirs.hold.min(self.neighbour.hold)) * SECOND;
        self.dead = (self.hold > 0).then(|| now.saturating_add(self.hold));
        self.state = State::OpenConfirm;
        self.keep_alive(now);
        Ok(())
    }

    fn keep_alive(&mut self, now: Ns) {
        self.say(Kind::Keepalive, &[]);
        // A third of the hold time, as is usual.
        self.alive = (self.hold > 0).then(|| now.saturating_add(self.hold / 3));
    }

    /// Lets time pass.
    ///
    /// # Errors
    ///
    /// If nothing came for too long.
    pub fn tick(&mut self, now: Ns) -> Result<(), Ended> {
        if self.state == State::Ended {
            return Ok(());
        }
        if self.dead.is_some_and(|dead| dead <= now) {
            return Err(self.end(Ended::Ours(Fault::HoldExpired.into())));
        }
        if self.alive.is_some_and(|alive| alive <= now) {
            self.keep_alive(now);
        }
        Ok(())
    }

    /// Ends it from here, as an operator does.
    pub fn shut_down(&mut self) -> Ended {
        self.end(Ended::Ours(Fault::Shutdown.into()))
    }

    fn end(&mut self, ended: Ended) -> Ended {
        if let Ended::Ours(notification) = &ended
            && self.state != State::Ended
        {
            let body = notification.encode();
            self.say(Kind::Notification, &body);
        }
        self.state = State::Ended;
        ended
    }
}

fn unexpected(subcode: u8) -> Ended {
    Ended::Ours(Notification { subcode, ..Fault::Unexpected.into() })
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
