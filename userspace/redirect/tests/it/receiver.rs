// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The receiver of FlowSpec routes against a speaker that is this test: octets over a real connection on
//! the one side, a device in memory on the other.

use crate::labs::Shared;
use crate::matches::{name, target};
use socket2::{Domain, Socket, Type};
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use telesteer_fam::time::SECOND;
use telesteer_redirect::bgp::message::{self, Kind};
use telesteer_redirect::bgp::{Family, Neighbour, Notification, Open};
use telesteer_redirect::flowspec::receiver::{Counters, Meet, Receiver, Settings, Way};
use telesteer_redirect::memory::Memory;

const PATIENCE: Duration = Duration::from_secs(120);
/// What GoBGP says to redirect 10.1.0.1:40000 to 10.2.0.1:5201, TCP, to 64512:101; and to end that.
const ANNOUNCE: &str = "000000404001010240020040050400000064c00804fc000054800e1d00018500001701200a020\
    00102200a0100010381060591145106919c40c010088008fc0000000065";
const WITHDRAW: &str = "0000001e800f1b0001851701200a02000102200a0100010381060591145106919c40";

fn octets(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

/// A receiver in a thread of its own.
struct Running {
    memory: Arc<Mutex<Memory>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Counters>>,
}

impl Running {
    fn start(meet: Meet) -> Self {
        let memory = Arc::new(Mutex::new(Memory::new("m")));
        let device = Shared(Arc::clone(&memory), 100);
        let id = Ipv4Addr::new(192, 0, 2, 2);
        let redirect = "64512:101".parse().unwrap();
        let settings = Settings {
            neighbour: Neighbour { local_as: 64_512, id, peer_as: 64_512, hold: 90 },
            meet,
            ways: vec![Way { path: name("a"), redirect, target: target(1) }],
            limit: 10,
            check: SECOND,
            grace: 600 * SECOND,
        };
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let mut receiver = Receiver::new(settings, device).unwrap();
            receiver.run(&told, &mut |text| eprintln!("receiver: {text}")).unwrap();
            receiver.counters()
        });
        Self { memory, stop, thread: Some(thread) }
    }

    fn rules(&self) -> BTreeSet<String> {
        self.memory.lock().unwrap().rules.iter().map(ToString::to_string).collect()
    }

    fn until(&self, count: usize) {
        let end = Instant::now() + PATIENCE;
        while self.rules().len() != count {
            assert!(Instant::now() < end, "{count} rules do not come: {:?}", self.rules());
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn stop(mut self) -> Counters {
        self.stop.store(true, Ordering::Release);
        self.thread.take().unwrap().join().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
    }
}

/// The other end of its session.
struct Speaker(TcpStream, Vec<u8>);

impl Speaker {
    fn new(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(stream, Vec::new())
    }

    fn say(&mut self, kind: Kind, body: &[u8]) {
        self.0.write_all(&message::wrap(kind, body)).unwrap();
    }

    /// The next message; none at the end of the connection.
    fn hear(&mut self) -> Option<(Kind, Vec<u8>)> {
        loop {
            if let Some((kind, body, length)) = message::first(&self.1).unwrap() {
                let body = body.to_vec();
                self.1.drain(..length);
                return Some((kind, body));
            }
            let mut bytes = [0; 4096];
            match self.0.read(&mut bytes).unwrap() {
                0 => return None,
                count => self.1.extend(&bytes[..count]),
            }
        }
    }

    /// Opens the session as a good speaker does, and has its say at once.
    fn open(&mut self, update: &str) {
        self.greet();
        self.begin(update);
    }

    /// Exchanges the OPENs.
    fn greet(&mut self) {
        let (kind, body) = self.hear().unwrap();
        assert_eq!((kind, Open::parse(&body).unwrap().asn), (Kind::Open, 64_512));
        let (id, families) = (Ipv4Addr::new(192, 0, 2, 1), Family::ALL.into());
        let ours = Open { asn: 64_512, hold: 90, id, families, four_octet: true };
        self.say(Kind::Open, &ours.encode());
        assert_eq!(self.hear().unwrap().0, Kind::Keepalive);
    }

    /// Confirms the session and has its say at once.
    fn begin(&mut self, update: &str) {
        let both =
            [message::wrap(Kind::Keepalive, &[]), message::wrap(Kind::Update, &octets(update))];
        self.0.write_all(&both.concat()).unwrap();
    }
}

/// 1. A route comes, and is an entry; it goes, and is none; it comes again.
/// 2. The speaker goes without a word: so does the entry.
/// 3. The receiver finds the speaker again, by itself.
#[test]
fn routes_end_with_their_session() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let running = Running::start(Meet::Connect(listener.local_addr().unwrap()));
    let mut speaker = Speaker::new(listener.accept().unwrap().0);
    speaker.open(ANNOUNCE);
    running.until(1);
    let rule = "10.1.0.1:40000 10.2.0.1:5201 protocol 6 onto a".to_owned();
    assert_eq!(running.rules(), [rule].into());
    speaker.say(Kind::Update, &octets(WITHDRAW));
    running.until(0);
    speaker.say(Kind::Update, &octets(ANNOUNCE));
    running.until(1);
    drop(speaker);
    running.until(0);
    let mut speaker = Speaker::new(listener.accept().unwrap().0);
    speaker.open(ANNOUNCE);
    running.until(1);
    // Stopped in order it says so, and takes away what it set.
    let memory = Arc::clone(&running.memory);
    let counters = running.stop();
    assert_eq!(memory.lock().unwrap().rules.len(), 0);
    let (kind, body) = speaker.hear().unwrap();
    assert_eq!((kind, body), (Kind::Notification, vec![6, 2]));
    assert_eq!((counters.sessions, counters.ended, counters.failed), (2, 2, 0));
    assert_eq!((counters.routes.announced, counters.routes.withdrawn), (3, 1));
}

/// What is no message is answered by a NOTIFICATION, and the routes go.
#[test]
fn a_speaker_that_talks_nonsense_is_told_so() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let running = Running::start(Meet::Connect(listener.local_addr().unwrap()));
    let mut speaker = Speaker::new(listener.accept().unwrap().0);
    speaker.open(ANNOUNCE);
    running.until(1);
    speaker.0.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let (kind, body) = speaker.hear().unwrap();
    let said = Notification::parse(&body).to_string();
    assert_eq!((kind, said.as_str()), (Kind::Notification, "connection not synchronized (1/1)"));
    assert_eq!(speaker.hear(), None);
    running.until(0);
    running.stop();
}

/// Entries of a receiver before this one stay until the speaker has had its say: then what it did not
/// tell goes, and what it did was never away.
#[test]
fn what_was_there_stays_until_the_speaker_has_spoken() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let first = Running::start(Meet::Connect(listener.local_addr().unwrap()));
    let mut speaker = Speaker::new(listener.accept().unwrap().0);
    speaker.open(ANNOUNCE);
    first.until(1);
    let kept = first.memory.lock().unwrap().rules.clone();
    first.stop();
    let running = Running::start(Meet::Connect(listener.local_addr().unwrap()));
    // As a receiver that was killed leaves them: one that is told again, and one that is not.
    let mut other = kept.first().unwrap().clone();
    other.matching = other.matching.reverse();
    running.memory.lock().unwrap().rules = kept.iter().cloned().chain([other]).collect();
    let mut speaker = Speaker::new(listener.accept().unwrap().0);
    // Between its OPEN and its KEEPALIVE the receiver had a turn with its device.
    speaker.greet();
    assert_eq!(running.rules().len(), 2, "it has not been told anything yet");
    speaker.begin(ANNOUNCE);
    running.until(1);
    assert_eq!(running.memory.lock().unwrap().rules, kept);
    running.stop();
}

/// Only the speaker's address is let in.
#[test]
fn a_stranger_is_not_let_in() {
    // Nobody else listens on an address of this test's own, whatever its port.
    let octet = u8::try_from(1 + std::process::id() % 250).unwrap();
    let at = SocketAddr::from(([127, 7, octet, 1], 1790));
    let running = Running::start(Meet::Listen { at, from: IpAddr::from([127, 0, 0, 1]) });
    let end = Instant::now() + PATIENCE;
    let connect = |from: [u8; 4]| loop {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from((from, 0)).into()).unwrap();
        if socket.connect(&at.into()).is_ok() {
            return Speaker::new(socket.into());
        }
        assert!(Instant::now() < end, "nobody listens");
        thread::sleep(Duration::from_millis(5));
    };
    let mut stranger = connect([127, 7, octet, 2]);
    assert_eq!(stranger.hear(), None);
    let mut speaker = connect([127, 0, 0, 1]);
    speaker.open(ANNOUNCE);
    running.until(1);
    assert_eq!(running.stop().strangers, 1);
}
