// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A small router: holds a BGP session with one speaker, and makes the FlowSpec routes it is told the
//! entries of a device, by the same loop that sets entries anywhere else. So what is missing in the
//! device comes again, and what is there of ours and was not told goes.
//!
//! It serves where a router's own FlowSpec does not redirect, as that of FRR on Linux. It trusts its one
//! speaker: routes are not checked against unicast ones (RFC 9117 leaves that to the operator). Without
//! graceful restart, routes end with their session and packets then follow IP routing again.

use super::action::Redirect;
use super::table::{self, Step, Table};
use crate::bgp::session::{Ended, Event};
use crate::bgp::{Neighbour, Session};
use crate::controller::Controller;
use crate::device::Device;
use crate::path::{BadPath, PathName, Target};
use crate::round::{quick, round};
use crate::settings::Settings as Bounds;
use crate::wanted::{Aging, Entry};
use serde::Serialize;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use telesteer_fam::Ns;
use telesteer_fam::time::SECOND;

/// How long the connection is waited on before the clock is looked at.
const TICK: Duration = Duration::from_millis(100);
/// Between two tries to reach the speaker, and the longest such try.
const RETRY: Duration = Duration::from_millis(500);
/// A speaker that takes nothing for so long is gone.
const SEND: Duration = Duration::from_secs(10);
/// Octets read at once.
const BUFFER: usize = 64 << 10;
/// Turns that it may take at the end to leave nothing behind.
const LAST_TURNS: usize = 16;

/// How the connection comes about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meet {
    /// The speaker waits there.
    Connect(SocketAddr),
    /// The speaker comes, from this address and no other.
    Listen {
        /// Where it is waited for.
        at: SocketAddr,
        /// Its address.
        from: IpAddr,
    },
}

/// A path, and how routes name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    /// Its name here.
    pub path: PathName,
    /// What routes redirect to.
    pub redirect: Redirect,
    /// Its mark and table.
    pub target: Target,
}

/// What a receiver is told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Both ends of the session.
    pub neighbour: Neighbour,
    /// How they meet.
    pub meet: Meet,
    /// The paths there are.
    pub ways: Vec<Way>,
    /// Routes that are taken; more are refused and counted.
    pub limit: usize,
    /// The device is read as a whole so often, in nanoseconds.
    pub check: Ns,
    /// Entries of a receiver before this one stay until the session is quiet, or for so long.
    pub grace: Ns,
}

/// What happened so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// Sessions that came up.
    pub sessions: u64,
    /// Sessions and connections that ended.
    pub ended: u64,
    /// Connections from somebody else, closed.
    pub strangers: u64,
    /// Turns in which the device failed.
    pub failed: u64,
    /// What the routes were.
    pub routes: table::Counters,
}

/// The receiver of one speaker's routes, for one device.
#[derive(Debug)]
pub struct Receiver<D> {
    settings: Settings,
    table: Table,
    controller: Controller,
    device: D,
    begin: Instant,
    /// What was told is complete enough to make the device follow it.
    started: bool,
    next_check: Ns,
    counters: Counters,
    /// The last complaint; one that repeats is not told again.
    said: String,
}

impl<D: Device> Receiver<D> {
    /// A receiver that has met nobody yet.
    ///
    /// # Errors
    ///
    /// If two paths share a mark or a table, or one has none.
    pub fn new(settings: Settings, device: D) -> Result<Self, BadPath> {
        let limit = settings.limit;
        let redirects = settings.ways.iter().map(|way| (way.redirect, way.path.clone())).collect();
        // Routes change all the time, so a failure waits for a second at most before the next try.
        let bounds = Bounds {
            entries: limit,
            tries: u32::MAX,
            backoff_max: SECOND,
            transitions: 0,
            ..Bounds::default()
        };
        let mut controller = Controller::new(bounds, device.capabilities());
        for way in &settings.ways {
            controller.path_up(way.path.clone(), way.target)?;
        }
        Ok(Self {
            table: Table::new(redirects, settings.neighbour.local_as, limit),
            settings,
            controller,
            device,
            begin: Instant::now(),
            started: false,
            next_check: 0,
            counters: Counters::default(),
            said: String::new(),
        })
    }

    /// What happened so far.
    pub fn counters(&self) -> Counters {
        Counters { routes: self.table.counters(), ..self.counters }
    }

    fn now(&self) -> Ns {
        Ns::try_from(self.begin.elapsed().as_nanos()).unwrap_or(Ns::MAX)
    }

    /// Meets the speaker, again and again, until told to `stop`; then takes away what it set. `say` gets
    /// a line whenever something happens that somebody may want to know.
    ///
    /// # Errors
    ///
    /// If nobody can be waited for at the address.
    pub fn run(&mut self, stop: &AtomicBool, say: &mut dyn FnMut(&str)) -> io::Result<()> {
        let listener = match self.settings.meet {
            Meet::Connect(_) => None,
            Meet::Listen { at, .. } => {
                let listener = TcpListener::bind(at)?;
                listener.set_nonblocking(true)?;
                Some(listener)
            }
        };
        while !stop.load(Ordering::Acquire) {
            if let Some(stream) = self.meet(listener.as_ref(), say) {
                let why = self.converse(stream, stop, say);
                self.counters.ended += 1;
                self.complain(&format!("the session is over: {why}"), say);
                self.forget();
            }
            self.turn(say);
        }
        self.started = true;
        self.forget();
        for _ in 0..LAST_TURNS {
            self.next_check = Ns::MIN;
            self.turn(say);
            if self.controller.settled() {
                return Ok(());
            }
            thread::sleep(TICK);
        }
        self.complain("entries are left behind", say);
        Ok(())
    }

    fn complain(&mut self, text: &str, say: &mut dyn FnMut(&str)) {
        if self.said != text {
            say(text);
            text.clone_into(&mut self.said);
        }
    }

    /// A connection, if there is one; takes a moment if not.
    fn meet(
        &mut self,
        listener: Option<&TcpListener>,
        say: &mut dyn FnMut(&str),
    ) -> Option<TcpStream> {
        let result = match (self.settings.meet, listener) {
            (Meet::Listen { from, .. }, Some(listener)) => match listener.accept() {
                Ok((stream, addr)) if addr.ip() == from => return Some(stream),
                Ok((_, addr)) => {
                    self.counters.strangers += 1;
                    self.complain(&format!("{} is not the speaker", addr.ip()), say);
                    return None;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(TICK),
                Err(error) => Err(format!("accepting: {error}")),
            },
            (Meet::Listen { at: addr, .. } | Meet::Connect(addr), _) => {
                match TcpStream::connect_timeout(&addr, RETRY) {
                    Ok(stream) => return Some(stream),
                    Err(error) => Err(format!("connecting to {addr}: {error}")),
                }
            }
        };
        let wait = result.unwrap_or_else(|why| {
            self.complain(&why, say);
            RETRY
        });
        thread::sleep(wait);
        None
    }

    /// Holds a session; gives why it is over.
    fn converse(
        &mut self,
        mut stream: TcpStream,
        stop: &AtomicBool,
        say: &mut dyn FnMut(&str),
    ) -> String {
        let ready = stream
            .set_nonblocking(false)
            .and_then(|()| stream.set_read_timeout(Some(TICK)))
            .and_then(|()| stream.set_write_timeout(Some(SEND)))
            .and_then(|()| stream.set_nodelay(true));
        if let Err(error) = ready {
            return format!("setting the connection up: {error}");
        }
        let mut session = Session::new(self.settings.neighbour, self.now());
        let mut buffer = vec![0; BUFFER];
        loop {
            if let Err(error) = stream.write_all(&session.take_output()) {
                return format!("sending: {error}");
            }
            let mut quiet = false;
            let result = if stop.load(Ordering::Acquire) {
                Err(session.shut_down())
            } else {
                match stream.read(&mut buffer) {
                    Ok(0) => return "the speaker closed the connection".to_owned(),
                    Ok(count) => {
                        let bytes = buffer.get(..count).unwrap_or_default();
                        self.hear(&mut session, bytes, say)
                    }
                    Err(error) if waits(&error) => {
                        quiet = true;
                        session.tick(self.now())
                    }
                    Err(error) => return format!("receiving: {error}"),
                }
            };
            if let Err(ended) = result {
                // The other may be gone already.
                let _ = stream.write_all(&session.take_output());
                return ended.to_string();
            }
            self.started |= quiet && session.is_up();
            self.turn(say);
        }
    }

    fn hear(
        &mut self,
        session: &mut Session,
        bytes: &[u8],
        say: &mut dyn FnMut(&str),
    ) -> Result<(), Ended> {
        let now = self.now();
        let (events, result) = session.receive(bytes, now);
        for event in events {
            match event {
                Event::Up => {
                    self.counters.sessions += 1;
                    self.complain("the session is up", say);
                }
                Event::Update(update) => {
                    let steps = self.table.take(&update);
                    self.follow(steps, now);
                }
            }
        }
        result.and_then(|()| session.tick(now))
    }

    /// Routes go with the session that brought them.
    fn forget(&mut self) {
        let steps = self.table.clear();
        self.follow(steps, self.now());
    }

    fn follow(&mut self, steps: Vec<Step>, now: Ns) {
        for step in steps {
            match step {
                Step::Set(matching, path) => {
                    let entry = Entry { matching, path, back: None, aging: Aging::Kept };
                    // The table holds no more routes than the controller does entries.
                    let _ = self.controller.want(entry, now);
                }
                Step::Gone(matching) => self.controller.unwant(&matching),
            }
        }
    }

    /// Makes the device follow.
    fn turn(&mut self, say: &mut dyn FnMut(&str)) {
        let now = self.now();
        self.started |= now >= self.settings.grace;
        if !self.started {
            return;
        }
        let whole = now >= self.next_check;
        let result = if whole {
            self.next_check = now.saturating_add(self.settings.check);
            round(&mut self.controller, &mut self.device, now)
        } else {
            quick(&mut self.controller, &mut self.device, now)
        };
        if let Err(error) = result {
            self.counters.failed += 1;
            self.complain(&error.to_string(), say);
        }
    }
}

fn waits(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}
