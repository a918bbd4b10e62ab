// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A loop that keeps a book and a view and does nothing else, and a server for it.

use serde_json::json;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::SystemTime;
use telesteer_control::http::{AuditPage, Board, Bounds, Denied, Keys, Server, serve};
use telesteer_control::ticket::{Answer, Book, Holder, Limits, Operation, token};
use telesteer_control::view::{
    Delay, Event, Flow, Input, Link, Lost, Lsp, Mode, Router, VERSION, View,
};
use tempfile::TempDir;

/// The loop.
pub(crate) struct Shelf {
    pub(crate) book: Mutex<Book>,
    pub(crate) view: Mutex<Arc<View>>,
    /// Views wait while it is set.
    held: Mutex<bool>,
    released: Condvar,
    /// The next call breaks.
    pub(crate) breaks: AtomicBool,
}

pub(crate) fn now_ms() -> u64 {
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap();
    u64::try_from(now.as_millis()).unwrap()
}

impl Shelf {
    /// Holds all views back until it is told to release them.
    pub(crate) fn hold(&self, held: bool) {
        *self.held.lock().unwrap() = held;
        self.released.notify_all();
    }
}

impl Board for Shelf {
    fn view(&self) -> Arc<View> {
        let held = self.held.lock().unwrap();
        drop(self.released.wait_while(held, |held| *held).unwrap());
        self.view.lock().unwrap().clone()
    }

    fn metrics(&self) -> String {
        "# TYPE hntes_up gauge\nhntes_up 1\n".to_owned()
    }

    fn audit(&self, after: u64, most: usize) -> AuditPage {
        let lines = (after + 1..=7).take(most).map(|seq| json!({"seq": seq})).collect::<Vec<_>>();
        let last = after + lines.len() as u64;
        AuditPage { oldest: 1, last, lines }
    }

    fn ticket(&self, holder: &Holder, operation: Operation) -> Result<Answer, Denied> {
        assert!(!self.breaks.swap(false, Ordering::Relaxed), "told to break");
        let now = i64::try_from(now_ms() * 1_000_000).unwrap();
        let mut book = self.book.lock().unwrap();
        book.due(now);
        Ok(book.run(holder, operation, now)?.answer)
    }
}

/// A view with something of everything.
pub(crate) fn view() -> View {
    let now_ms = now_ms();
    let text = str::to_owned;
    let mut delay = Delay::new("detection", "first byte to event");
    delay.add(40);
    View {
        version: VERSION,
        now_ms,
        started_ms: now_ms - 60_000,
        mode: Mode::Live,
        inputs: vec![Input { name: text("records"), last_ms: Some(now_ms), ..Input::default() }],
        routers: vec![Router { name: text("r1"), ..Router::default() }],
        links: vec![Link { a: text("r1"), b: text("r2"), mbps: 1000, ..Link::default() }],
        lsps: vec![Lsp {
            name: text("lsp-1"),
            hops: vec![text("r1"), text("r2")],
            ..Lsp::default()
        }],
        circuits: [(text("up"), 1)].into(),
        routes: [(text("r1"), [(text("installed"), 2)].into())].into(),
        flows: vec![Flow { key: text("a flow"), lsp: Some(text("lsp-1")), ..Flow::default() }],
        tickets: [(text("active"), 1)].into(),
        history: vec![Event { seq: 7, what: text("route installed"), ..Event::default() }],
        delays: vec![delay],
        lost: vec![Lost { name: text("events"), count: 3, meaning: text("lost events") }],
        left_off: [(text("history"), 4)].into(),
    }
}

/// A served shelf.
pub(crate) struct Set {
    pub(crate) shelf: Arc<Shelf>,
    pub(crate) server: Server,
    pub(crate) to: SocketAddr,
    /// The folder of the file of tokens.
    pub(crate) dir: TempDir,
}

/// Tokens of two holders.
pub(crate) fn alice() -> String {
    token::token(&[1; 32])
}

pub(crate) fn bob() -> String {
    token::token(&[2; 32])
}

impl Set {
    /// A server with these bounds.
    pub(crate) fn with(bounds: Bounds, limits: Limits) -> Self {
        let shelf = Arc::new(Shelf {
            book: Mutex::new(Book::new(limits)),
            view: Mutex::new(Arc::new(view())),
            held: Mutex::new(false),
            released: Condvar::new(),
            breaks: AtomicBool::new(false),
        });
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tokens");
        let line = |name: &str, token: &str| token::line(&name.parse().unwrap(), token);
        fs::write(&path, format!("{}\n{}\n", line("alice", &alice()), line("bob", &bob())))
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = serve(listener, shelf.clone(), Keys::file(&path).unwrap(), bounds).unwrap();
        let to = server.address();
        Self { shelf, server, to, dir }
    }

    /// A server with the usual bounds, but for the number of requests.
    pub(crate) fn new() -> Self {
        Self::with(Bounds { pace: 10_000, burst: 10_000, ..Bounds::default() }, Limits::default())
    }

    /// A counter of the server.
    pub(crate) fn counted(&self, name: &str) -> u64 {
        let all = self.server.counters().read();
        all.iter().find(|(own, ..)| *own == name).unwrap().2
    }
}
