// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Clients that are slow, greedy, broken or many. Each is held off and counted, and others are served.

use crate::raw::{Reply, ask, connect, rest, send};
use crate::shelf::{Set, alice, bob};
use crate::tickets::draft;
use std::io::Write;
use std::net::TcpStream;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;
use telesteer_control::http::Bounds;
use telesteer_control::ticket::Limits;

const SHORT: Duration = Duration::from_millis(300);

fn set(bounds: Bounds) -> Set {
    Set::with(bounds, Limits::default())
}

fn usual(set: &Set) -> Reply {
    let reply = ask(set.to, "GET", "/metrics", "", None);
    assert_eq!(reply.status, 200, "{reply:?}");
    reply
}

/// Waits until it is so; what waits too long has failed.
fn until(what: &str, so: impl Fn() -> bool) {
    for _ in 0..3000 {
        if so() {
            return;
        }
        thread::sleep(Duration::from_millis(20));
    }
    panic!("{what} has not come");
}

fn post(length: &str, body: &str) -> String {
    format!(
        "POST /api/v1/tickets HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\n{length}\r\n\r\n{body}",
        alice()
    )
}

/// The same body at the bound and one byte beyond: JSON may have blanks around it.
#[test]
fn a_body_has_a_bound() {
    let set = set(Bounds { body_bytes: 2000, ..Bounds::default() });
    let body = |bytes: usize| {
        let text = draft().to_string();
        let blanks = " ".repeat(bytes - text.len());
        text + &blanks
    };
    let create = |bytes| ask(set.to, "POST", "/api/v1/tickets", &alice(), Some(&body(bytes)));
    assert_eq!(create(2000).status, 201);
    let reply = create(2001);
    assert_eq!((reply.status, reply.code().as_str()), (413, "large_body"));
    assert_eq!(create(500_000).status, 413, "its sender reads the answer, not a reset");
    // Of no said length.
    let chunk = format!("{:x}\r\n{}\r\n", 1500, body(1500));
    let reply = send(
        set.to,
        post("Transfer-Encoding: chunked", &format!("{chunk}{chunk}0\r\n\r\n")).as_bytes(),
    );
    assert_eq!((reply.status, reply.code().as_str()), (413, "large_body"));
    assert_eq!(set.counted("large_bodies"), 3);
    assert_eq!(set.shelf.book.lock().unwrap().tickets().len(), 1);
}

#[test]
fn a_slow_head_is_cut_off_while_others_are_served() {
    let set = set(Bounds { head_wait: SHORT, ..Bounds::default() });
    let mut slow: Vec<TcpStream> = (0..8)
        .map(|_| {
            let mut stream = connect(set.to);
            stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ").unwrap();
            stream
        })
        .collect();
    let mut silent = connect(set.to);
    usual(&set);
    for stream in slow.iter_mut().chain([&mut silent]) {
        let said = rest(stream);
        assert!(!said.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&said));
    }
    until("the count of slow heads", || set.counted("broken_connections") >= 9);
    usual(&set);
}

/// A head that trickles is cut off too: the bound is of the whole head.
#[test]
fn a_trickling_head_is_cut_off() {
    let set = set(Bounds { head_wait: SHORT, ..Bounds::default() });
    let mut stream = connect(set.to);
    let mut sent = 0u32;
    // The server's end comes as an error of a write.
    let head = b"GET / HTTP/1.1\r\nX: ".iter().chain(std::iter::repeat(&b'x'));
    for byte in head {
        if stream.write_all(&[*byte]).is_err() {
            break;
        }
        sent += 1;
        assert!(sent < 3000, "it was never cut off");
        thread::sleep(Duration::from_millis(20));
    }
    until("the count", || set.counted("broken_connections") == 1);
    usual(&set);
}

#[test]
fn a_slow_body_is_told_so() {
    let set = set(Bounds { body_wait: SHORT, ..Bounds::default() });
    let reply = send(set.to, post("Content-Length: 500", "{\"sources\":").as_bytes());
    assert_eq!((reply.status, reply.code().as_str()), (408, "slow_body"));
    assert_eq!(set.counted("slow_bodies"), 1);
}

#[test]
fn a_head_has_a_bound() {
    let set = set(Bounds { head_bytes: 8192, head_lines: 20, ..Bounds::default() });
    let get = |more: &str| {
        format!("GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{more}\r\n")
    };
    assert_eq!(send(set.to, get(&format!("X: {}\r\n", "x".repeat(4000))).as_bytes()).status, 200);
    assert_eq!(send(set.to, get(&format!("X: {}\r\n", "x".repeat(9000))).as_bytes()).status, 431);
    assert_eq!(send(set.to, get(&"X: x\r\n".repeat(18)).as_bytes()).status, 200);
    assert_eq!(send(set.to, get(&"X: x\r\n".repeat(19)).as_bytes()).status, 431);
    until("the count", || set.counted("broken_connections") == 2);
}

#[test]
fn what_is_no_http_harms_nobody() {
    let set = set(Bounds { head_wait: SHORT, ..Bounds::default() });
    for bytes in [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".as_slice(),
        b"\0\0\0\0\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        &[0xff; 3000],
    ] {
        let mut stream = connect(set.to);
        stream.write_all(bytes).unwrap();
        let said = String::from_utf8_lossy(&rest(&mut stream)).into_owned();
        assert!(said.is_empty() || said.starts_with("HTTP/1.1 4"), "{said}");
    }
    usual(&set);
    assert!(set.counted("broken_connections") >= 6);
}

/// Those beyond the bound are closed at once; a place that is given back is taken by the next.
#[test]
fn connections_have_a_bound() {
    let check = |bounds: Bounds, counter: &str| {
        let set = set(bounds);
        let open: Vec<TcpStream> = (0..3).map(|_| connect(set.to)).collect();
        until("the connections", || set.counted("connections") == 3);
        assert_eq!(rest(&mut connect(set.to)), b"");
        assert_eq!(set.counted(counter), 1);
        drop(open);
        let get = format!("GET /metrics HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", set.to);
        until("a place", || {
            let mut stream = connect(set.to);
            // It may be closed before it has read this.
            let _ = stream.write_all(get.as_bytes());
            rest(&mut stream).starts_with(b"HTTP/1.1 200")
        });
    };
    check(Bounds { connections: 3, ..Bounds::default() }, "refused_connections");
    check(Bounds { connections_per_peer: 3, ..Bounds::default() }, "refused_of_peer");
}

/// A name that is not the server's, as DNS rebinding has it, reads nothing and makes no ticket.
#[test]
fn a_request_by_another_name_is_refused() {
    let set = set(Bounds::default());
    let by = |head: &str, path: &str| {
        send(set.to, format!("{head} {path} HTTP/1.1\r\nConnection: close\r\n\r\n").as_bytes())
    };
    let named = |host: &str, path: &str| {
        let text = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        send(set.to, text.as_bytes())
    };
    for path in ["/", "/status.json", "/audit", "/metrics", "/api/v1/tickets"] {
        let reply = named("evil.example:8642", path);
        assert_eq!((reply.status, reply.code().as_str()), (421, "misdirected"), "{path}");
    }
    assert_eq!(by("GET", "/status.json").status, 421);
    assert_eq!(by("GET", "http://evil.example/status.json").status, 421);
    assert_eq!(set.counted("misdirected"), 7);
    for host in ["localhost", "127.0.0.1:1", "[::1]:8642"] {
        assert_eq!(named(host, "/status.json").status, 200, "{host}");
    }
}

/// A connection that is kept open ends, but not within a request.
#[test]
fn connections_have_a_life() {
    let set = set(Bounds { life: SHORT, ..Bounds::default() });
    let mut stream = connect(set.to);
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let said = String::from_utf8(rest(&mut stream)).unwrap();
    assert!(said.starts_with("HTTP/1.1 200") && said.contains("hntes_up 1"), "{said}");
}

#[test]
fn a_holder_has_its_pace() {
    let set = set(Bounds { pace: 1, burst: 3, ..Bounds::default() });
    let list = |token: &str| ask(set.to, "GET", "/api/v1/tickets", token, None);
    // The fourth of four is one too many, unless the test itself is slower than the pace.
    let replies: Vec<Reply> = (0..40).map(|_| list(&alice())).collect();
    let late: Vec<&Reply> = replies.iter().filter(|reply| reply.status != 200).collect();
    assert!(!late.is_empty() && replies[..3].iter().all(|reply| reply.status == 200));
    for reply in &late {
        assert_eq!((reply.status, reply.code().as_str()), (429, "too_many_requests"));
        assert_eq!(reply.header("retry-after"), Some("1"));
    }
    assert_eq!(set.counted("paced"), late.len() as u64);
    assert_eq!(list(&bob()).status, 200, "others have their own");
    usual(&set);
}

/// While the loop has no time, who asks more is told so; what needs no loop is served.
#[test]
fn a_busy_loop_is_not_piled_on() {
    let set = set(Bounds { calls: 2, ..Bounds::default() });
    set.shelf.hold(true);
    let waiting: Vec<_> = (0..2)
        .map(|_| {
            let to = set.to;
            thread::spawn(move || ask(to, "GET", "/status.json", "", None))
        })
        .collect();
    until("both calls", || set.counted("requests") == 2);
    until("a refusal", || ask(set.to, "GET", "/metrics", "", None).status == 503);
    let reply = ask(set.to, "GET", "/status.json", "", None);
    assert_eq!((reply.code().as_str(), reply.header("retry-after")), ("busy", Some("1")));
    assert_eq!(ask(set.to, "GET", "/", "", None).status, 200);
    set.shelf.hold(false);
    for thread in waiting {
        assert_eq!(thread.join().unwrap().status, 200);
    }
    assert!(set.counted("busy") >= 2);
    usual(&set);
}

#[test]
fn a_call_that_breaks_is_one_answer_and_no_more() {
    let set = set(Bounds { calls: 1, ..Bounds::default() });
    for _ in 0..3 {
        set.shelf.breaks.store(true, Ordering::Relaxed);
        let reply = ask(set.to, "GET", "/api/v1/tickets", &alice(), None);
        assert_eq!((reply.status, reply.code().as_str()), (500, "internal"));
    }
    assert_eq!(ask(set.to, "GET", "/api/v1/tickets", &alice(), None).status, 200);
}

#[test]
fn tokens_are_taken_back_while_it_runs() {
    let set = set(Bounds::default());
    let list = || ask(set.to, "GET", "/api/v1/tickets", &alice(), None);
    assert_eq!(list().status, 200);
    let path = set.dir.path().join("tokens");
    let others = std::fs::read_to_string(&path).unwrap().lines().skip(1).collect::<String>();
    std::fs::write(&path, others).unwrap();
    until("the change", || list().status == 401);
    assert_eq!(ask(set.to, "GET", "/api/v1/tickets", &bob(), None).status, 200);
    std::fs::write(&path, "what is this\n").unwrap();
    until("the fault", || list().status == 503);
    let reply = list();
    assert_eq!(reply.code(), "tokens");
    assert!(!reply.body.contains(path.to_str().unwrap()), "where it is, is nobody's business");
    assert!(set.counted("token_file_faults") >= 1);
}

/// Connections end with the server, and its port is free.
#[test]
fn a_server_ends_with_all_it_has() {
    let set = set(Bounds::default());
    let mut open = connect(set.to);
    usual(&set);
    let to = set.to;
    drop(set);
    assert_eq!(rest(&mut open), b"");
    drop(std::net::TcpListener::bind(to).unwrap());
}
