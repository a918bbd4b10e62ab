// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The client against the server.

use crate::shelf::{Set, alice};
use crate::tickets::{draft, end};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;
use std::time::Duration;
use telesteer_control::http::Bounds;
use telesteer_control::http::client::{Client, Failed};
use telesteer_control::ticket::{Draft, Limits, State, TicketId};

const WAIT: Duration = Duration::from_secs(60);

fn client(server: &str, token: &str, wait: Duration) -> Client {
    Client::new(server, token, wait).unwrap()
}

#[test]
fn it_does_all_there_is() {
    // More than a page of tickets.
    let limits = Limits { tickets_per_holder: 200, ..Limits::default() };
    let set = Set::with(Bounds { pace: 10_000, burst: 10_000, ..Bounds::default() }, limits);
    let client = client(&format!("http://{}/", set.to), &format!("{}\n", alice()), WAIT);
    let draft: Draft = serde_json::from_value(draft()).unwrap();
    let made = client.create(&draft).unwrap();
    assert_eq!((made.id, made.state), (TicketId(1), State::Active));
    assert_eq!(client.show(made.id).unwrap(), made);
    assert_eq!(client.extend(made.id, &end(7200)).unwrap().extended, 1);
    for _ in 0..150 {
        client.create(&draft).unwrap();
    }
    client.cancel(TicketId(2)).unwrap();
    assert_eq!(client.list(false).unwrap().len(), 150);
    let all = client.list(true).unwrap();
    assert_eq!((all.len(), all[1].state), (151, State::Cancelled));
    match client.show(TicketId(999)) {
        Err(Failed::Problem(problem)) => assert_eq!(&*problem.code, "unknown_ticket"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn it_says_who_does_not_answer_and_why() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = free.local_addr().unwrap();
    let said =
        |server: &str| match client(server, "t", Duration::from_millis(300)).show(TicketId(1)) {
            Err(error @ Failed::Server { .. }) => error.to_string(),
            other => panic!("{other:?}"),
        };
    // Nobody takes the connection: it waits, and not for ever.
    assert!(said(&format!("http://{to}")).contains("no answer in 300 ms"));
    let other = thread::spawn(move || {
        let (mut stream, _) = free.accept().unwrap();
        // The one that was given up, then the next.
        drop(stream);
        stream = free.accept().unwrap().0;
        let _ = stream.read(&mut [0; 4096]).unwrap();
        stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno").unwrap();
        drop(free);
    });
    let text = said(&format!("http://{to}"));
    assert!(text.contains("404") && text.contains("not from this interface"), "{text}");
    other.join().unwrap();
    assert!(said(&format!("http://{to}")).contains(&to.to_string()));
    assert!(said("https://127.0.0.1").contains("only http"));
    assert!(said("nonsense").contains("nonsense"));
}
