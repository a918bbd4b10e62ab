// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A loop to look at: it keeps a view and a book, and does nothing else.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;
use telesteer_control::http::{AuditPage, Board, Bounds, Denied, Keys, Server, serve};
use telesteer_control::ticket::{Answer, Book, Holder, Limits, Operation};
use telesteer_control::view::{
    Delay, Event, Flow, Input, Link, Lost, Lsp, Mode, Router, VERSION, View,
};

/// The loop.
pub(crate) struct Stage {
    view: Mutex<View>,
    /// Whether its clock goes on.
    goes: Mutex<bool>,
    book: Mutex<Book>,
}

pub(crate) fn now_ms() -> u64 {
    u64::try_from(SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap()
}

impl Stage {
    /// Serves `view` to everybody, and tickets to those in a file of tokens.
    pub(crate) fn serve(view: View, tokens: Option<&Path>) -> (Arc<Self>, Server) {
        let book = Mutex::new(Book::new(Limits { tickets_per_holder: 3, ..Limits::default() }));
        let stage = Arc::new(Self { view: Mutex::new(view), goes: Mutex::new(true), book });
        let keys = tokens.map_or_else(Keys::none, |path| Keys::file(path).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = serve(listener, stage.clone(), keys, Bounds::default()).unwrap();
        (stage, server)
    }

    /// Changes what is shown.
    pub(crate) fn change(&self, change: impl FnOnce(&mut View)) {
        change(&mut self.view.lock().unwrap());
    }

    /// Stops its clock, so that its view grows old.
    pub(crate) fn goes(&self, goes: bool) {
        *self.goes.lock().unwrap() = goes;
    }
}

impl Board for Stage {
    fn view(&self) -> Arc<View> {
        let mut view = self.view.lock().unwrap();
        if *self.goes.lock().unwrap() {
            view.now_ms = now_ms();
        }
        Arc::new(view.clone())
    }

    fn metrics(&self) -> String {
        String::new()
    }

    fn audit(&self, after: u64, _: usize) -> AuditPage {
        AuditPage { oldest: 0, last: after, lines: Vec::new() }
    }

    fn ticket(&self, holder: &Holder, operation: Operation) -> Result<Answer, Denied> {
        let now = i64::try_from(now_ms() * 1_000_000).unwrap();
        let mut book = self.book.lock().unwrap();
        book.due(now);
        Ok(book.run(holder, operation, now)?.answer)
    }
}

/// Two tokens' file for a stage: of `alice`, who has the first, and `bob`.
pub(crate) fn tokens(dir: &Path) -> (std::path::PathBuf, [String; 2]) {
    use telesteer_control::ticket::token::{line, token};
    let both = [token(&[1; 32]), token(&[2; 32])];
    let lines = ["alice", "bob"].iter().zip(&both);
    let lines: Vec<_> = lines.map(|(name, token)| line(&name.parse().unwrap(), token)).collect();
    let path = dir.join("tokens");
    fs::write(&path, lines.join("\n")).unwrap();
    (path, both)
}

/// A network of two ways, four paths, and flows on some of them. One flow's name is a trap.
pub(crate) fn view() -> View {
    let (now_ms, text) = (now_ms(), str::to_owned);
    let router = |name: &str, device: &str, trouble: &str| Router {
        name: text(name),
        address: text("192.0.2.1"),
        device: text(device),
        trouble: text(trouble),
    };
    let link = |(a, b): (&str, &str)| Link {
        a: text(a),
        b: text(b),
        mbps: 1000,
        reserved_mbps: 300,
        reservable_mbps: 800,
    };
    let lsp = |name: &str, hops: &[&str], state: &str, rate_mbps, used_mbps| Lsp {
        name: text(name),
        ingress: text(hops[0]),
        egress: text(hops[hops.len() - 1]),
        hops: hops.iter().map(|hop| text(hop)).collect(),
        state: text(state),
        wanted_by: text("offline"),
        rate_mbps,
        used_mbps,
        until_ms: rate_mbps.map(|_| now_ms + 600_000),
    };
    let flow = |key: &str, lsp: Option<&str>, route: &str| Flow {
        key: text(key),
        ingress: text("pe1"),
        egress: text("pe2"),
        lsp: lsp.map(text),
        route: text(route),
        begun_ms: now_ms - 30_000,
        detected_ms: now_ms - 28_500,
        rate_bps: 1_500_000_000,
        bytes: 5_600_000_000,
        ticket: None,
    };
    let delay = |name: &str, ms: &[u64]| {
        let mut delay = Delay::new(name, "from the first byte to the event");
        ms.iter().for_each(|ms| delay.add(*ms));
        delay
    };
    let event = |seq: u64| Event {
        seq,
        at_ms: now_ms - 1000 * (400 - seq),
        what: text("route installed"),
        subject: format!("198.51.100.{}:40000 203.0.113.7:5001 tcp on pe1", seq % 250),
        reason: text("an alpha flow began; the path pe1-pe2 is up and the route was read back"),
    };
    let counts = |list: &[(&str, u64)]| -> BTreeMap<String, u64> {
        list.iter().map(|(name, count)| (text(name), *count)).collect()
    };
    View {
        version: VERSION,
        now_ms,
        started_ms: now_ms - 7_200_000,
        mode: Mode::Live,
        inputs: vec![
            Input {
                name: text("records of the collector"),
                last_ms: Some(now_ms),
                stale_after_ms: Some(86_400_000),
                trouble: String::new(),
                note: text("60 s reports"),
            },
            Input {
                name: text("offline table"),
                last_ms: Some(now_ms - 40_000_000),
                stale_after_ms: None,
                trouble: String::new(),
                note: text("pbr-2026-11-26.json, 1548 entries"),
            },
        ],
        routers: vec![
            router("pe1", "nft", ""),
            router("p1", "", ""),
            router("p2-with-a-long-name.example", "", ""),
            router("pe2", "openflow", "said to be installed and not there"),
            router("peer", "", ""),
        ],
        links: [
            ("pe1", "p1"),
            ("p1", "pe2"),
            ("pe1", "p2-with-a-long-name.example"),
            ("p2-with-a-long-name.example", "pe2"),
            ("pe2", "peer"),
        ]
        .map(link)
        .to_vec(),
        lsps: vec![
            lsp("pe1-pe2", &["pe1", "p1", "pe2"], "up", None, 420.5),
            lsp("pe2-pe1", &["pe2", "p1", "pe1"], "up", None, 0.0),
            lsp("pe1-pe2-rate", &["pe1", "p1", "pe2"], "up", Some(300), 120.0),
            lsp(
                "pe1-peer",
                &["pe1", "p2-with-a-long-name.example", "pe2", "peer"],
                "requested",
                Some(100),
                0.0,
            ),
        ],
        circuits: counts(&[("up", 3), ("requested", 1)]),
        routes: [
            (text("pe1"), counts(&[("installed", 1548), ("pending", 2), ("idle", 12)])),
            (text("pe2"), counts(&[("installed", 1500), ("failed", 3)])),
        ]
        .into(),
        flows: vec![
            flow("192.0.2.10:40000 198.51.100.20:5001 tcp", Some("pe1-pe2"), "installed"),
            flow("192.0.2.11:40001 198.51.100.20:5001 tcp", Some("pe1-pe2"), "installed"),
            flow("192.0.2.12:40002 198.51.100.20:5001 tcp", Some("pe1-pe2-rate"), "idle"),
            flow("<img src=x onerror=alert(1)>", None, "pending"),
        ],
        tickets: counts(&[("active", 2), ("waiting", 1)]),
        history: (340..400).rev().map(event).collect(),
        delays: vec![
            delay("detection", &[900, 1000, 1100, 2400, 7000, 9000, 9500, 61_000]),
            delay("installation", &[4, 4, 5, 6, 6, 7, 9, 12, 30, 90_000]),
        ],
        lost: vec![
            Lost {
                name: text("rest_displaced"),
                count: 7,
                meaning: text("flows that heavier ones displaced"),
            },
            Lost {
                name: text("audit_dropped"),
                count: 0,
                meaning: text("audit lines that were not kept"),
            },
        ],
        left_off: counts(&[("history", 339)]),
    }
}
