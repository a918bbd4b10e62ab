// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Tickets by raw requests.

use crate::raw::{ask, send};
use crate::shelf::{Set, alice, bob};
use serde_json::{Value, json};
use telesteer_control::http::Bounds;
use telesteer_control::ticket::Limits;

const TICKETS: &str = "/api/v1/tickets";

/// A transfer that ends far away.
pub(crate) fn draft() -> Value {
    json!({
        "sources": ["192.0.2.10"], "destinations": ["198.51.100.20"], "protocol": "tcp",
        "source_ports": "40000", "destination_ports": "5001", "end": end(3600),
    })
}

/// So many seconds from now.
pub(crate) fn end(seconds: u64) -> String {
    let ms = i64::try_from(crate::shelf::now_ms() + 1000 * seconds).unwrap();
    jiff::Timestamp::from_millisecond(ms).unwrap().to_string()
}

fn with(change: impl FnOnce(&mut Value)) -> String {
    let mut draft = draft();
    change(&mut draft);
    draft.to_string()
}

/// It is made, and its place is told; it is found there and in the list; its end moves, and only its
/// end; it is ended, stays ended, and is listed only if finished ones are asked for.
#[test]
fn a_ticket_is_made_moved_and_ended() {
    let set = Set::new();
    let token = alice();
    let made = ask(set.to, "POST", TICKETS, &token, Some(&draft().to_string()));
    assert_eq!((made.status, made.header("location")), (201, Some("/api/v1/tickets/t1")));
    let made = made.json();
    assert_eq!((&made["holder"], &made["state"]), (&json!("alice"), &json!("active")));
    assert_eq!(made["routes"], json!({"entries": 1, "exact": true}));
    assert_eq!(made["sources"], json!(["192.0.2.10/32"]));
    assert_eq!((&made["service"], &made["joined"]), (&json!("t1"), &json!([])));

    let place = format!("{TICKETS}/t1");
    assert_eq!(ask(set.to, "GET", &place, &token, None).json(), made);
    let list = |query: &str| ask(set.to, "GET", &format!("{TICKETS}{query}"), &token, None).json();
    assert_eq!(list(""), json!({"tickets": [made], "next": null}));

    let later = json!({"end": end(7200)}).to_string();
    let moved = ask(set.to, "POST", &format!("{place}/extend"), &token, Some(&later));
    assert_eq!(moved.status, 200);
    let mut moved = moved.json();
    assert_ne!(moved["end"], made["end"]);
    (moved["end"], moved["extended"]) = (made["end"].clone(), json!(0));
    assert_eq!(moved, made);
    let again = ask(set.to, "POST", &format!("{place}/extend"), &token, Some(&later));
    assert_eq!((again.status, again.code().as_str()), (409, "not_later"));

    let ended = ask(set.to, "DELETE", &place, &token, None);
    assert_eq!((ended.status, &ended.json()["state"]), (200, &json!("cancelled")));
    assert_eq!(ask(set.to, "DELETE", &place, &token, None).json(), ended.json());
    let dead = ask(set.to, "POST", &format!("{place}/extend"), &token, Some(&later));
    assert_eq!((dead.status, dead.code().as_str()), (409, "finished"));
    assert_eq!(list("")["tickets"], json!([]));
    assert_eq!(list("?finished=true")["tickets"], json!([ended.json()]));
    assert_eq!(set.counted("refused_requests"), 2);
}

/// A code point is part of what is announced; no router matches it, which is told.
#[test]
fn a_code_point_is_kept_and_widens_routes() {
    let set = Set::new();
    let body = with(|draft| draft["dscp"] = json!(10));
    let made = ask(set.to, "POST", TICKETS, &alice(), Some(&body)).json();
    assert_eq!(
        (&made["dscp"], &made["routes"]),
        (&json!(10), &json!({"entries": 1, "exact": false}))
    );
    let book = set.shelf.book.lock().unwrap();
    assert_eq!(book.flows().map(|flow| flow.pattern.dscp).collect::<Vec<_>>(), [Some(10)]);
}

#[test]
fn requests_of_one_holder_join_and_those_of_two_do_not() {
    let set = Set::new();
    let create =
        |token: &str| ask(set.to, "POST", TICKETS, token, Some(&draft().to_string())).json();
    assert_eq!(create(&alice())["service"], "t1");
    let joined = create(&alice());
    assert_eq!((&joined["service"], &joined["joined"]), (&json!("t1"), &json!(["t1"])));
    assert_eq!(create(&bob())["service"], "t3");
    let book = set.shelf.book.lock().unwrap();
    let flows: Vec<_> =
        book.flows().map(|flow| (flow.holder.to_string(), flow.tickets.len())).collect();
    assert_eq!(flows, [("alice".to_owned(), 2), ("bob".to_owned(), 1)]);
}

#[test]
fn lists_come_in_pages() {
    let set = Set::new();
    (0..5).for_each(|_| drop(ask(set.to, "POST", TICKETS, &alice(), Some(&draft().to_string()))));
    let mut query = String::from("?limit=2");
    let mut pages = Vec::new();
    loop {
        let page = ask(set.to, "GET", &format!("{TICKETS}{query}"), &alice(), None).json();
        pages.push(page["tickets"].as_array().unwrap().len());
        let Some(next) = page["next"].as_str() else { break };
        query = format!("?limit=2&after={next}");
        assert!(pages.len() < 9);
    }
    assert_eq!(pages, [2, 2, 1]);
    for odd in ["?limit=x", "?after=17", "?page=2", "?limit=1&limit=2", "?finished=yes"] {
        let reply = ask(set.to, "GET", &format!("{TICKETS}{odd}"), &alice(), None);
        assert_eq!((reply.status, reply.code().as_str()), (400, "bad_query"), "{odd}");
    }
}

#[test]
fn nobody_gets_in_without_a_token_or_to_what_is_anothers() {
    let set = Set::new();
    ask(set.to, "POST", TICKETS, &alice(), Some(&draft().to_string()));
    let places = [
        ("GET", "/api/v1/tickets"),
        ("POST", "/api/v1/tickets"),
        ("GET", "/api/v1/tickets/t1"),
        ("DELETE", "/api/v1/tickets/t1"),
        ("POST", "/api/v1/tickets/t1/extend"),
    ];
    let wrong = format!("{}0", alice());
    for (method, path) in places {
        for token in ["", "x", wrong.as_str(), &"x".repeat(2000)] {
            let reply = ask(set.to, method, path, token, Some("{}"));
            assert_eq!(
                (reply.status, reply.code().as_str()),
                (401, "unauthorised"),
                "{method} {path}"
            );
            assert!(reply.header("www-authenticate").unwrap().starts_with("Bearer realm"));
        }
    }
    assert_eq!(set.counted("unauthorised"), 20);
    for scheme in ["Basic", "Bearer", "bearer", "Token"] {
        let text = format!(
            "GET {TICKETS} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: {scheme} {}\r\n\r\n",
            alice()
        );
        let right = scheme.eq_ignore_ascii_case("bearer");
        assert_eq!(send(set.to, text.as_bytes()).status, if right { 200 } else { 401 }, "{scheme}");
    }
    let later = json!({"end": end(9000)}).to_string();
    for (method, path, body) in [
        ("GET", "/api/v1/tickets/t1", None),
        ("DELETE", "/api/v1/tickets/t1", None),
        ("POST", "/api/v1/tickets/t1/extend", Some(later.as_str())),
    ] {
        let reply = ask(set.to, method, path, &bob(), body);
        assert_eq!((reply.status, reply.code().as_str()), (404, "unknown_ticket"), "{method}");
    }
    assert_eq!(ask(set.to, "GET", TICKETS, &bob(), None).json()["tickets"], json!([]));
}

/// Each says what is wrong, and of which field.
#[test]
fn what_is_wrong_is_said() {
    let set = Set::new();
    let field = |name: &str, value: Value| with(|draft| draft[name] = value);
    let many: Vec<String> = (0..65).map(|n| format!("192.0.2.{n}")).collect();
    let cases: Vec<(String, u16, &str, Option<&str>)> = vec![
        (String::new(), 400, "bad_body", None),
        ("{".to_owned(), 400, "bad_body", None),
        ("[]".to_owned(), 400, "bad_body", None),
        ("nonsense".to_owned(), 400, "bad_body", None),
        ("\u{0}".to_owned(), 400, "bad_body", None),
        (format!("{}x", draft()), 400, "bad_body", None),
        (format!("{}{}{}", "[".repeat(500), "1", "]".repeat(500)), 400, "bad_body", None),
        (field("color", json!("red")), 400, "bad_body", None),
        (field("sources", json!("192.0.2.10")), 400, "bad_body", None),
        (field("dscp", json!(-1)), 400, "bad_body", None),
        (field("end", Value::Null), 400, "bad_body", None),
        (with(|draft| drop(draft.as_object_mut().unwrap().remove("end"))), 400, "bad_body", None),
        (field("sources", json!([])), 422, "invalid", Some("sources")),
        (field("sources", json!(["192.0.2.10", "bad"])), 422, "invalid", Some("sources[1]")),
        (
            field("destinations", json!(["198.51.100.20/24"])),
            422,
            "invalid",
            Some("destinations[0]"),
        ),
        (
            field("destinations", json!(["198.51.0.0/16"])),
            422,
            "invalid",
            Some("192.0.2.10/32 to 198.51.0.0/16"),
        ),
        (field("protocol", json!("ftp")), 422, "invalid", Some("protocol")),
        (field("destination_ports", json!("0")), 422, "invalid", Some("destination_ports")),
        (field("dscp", json!(64)), 422, "invalid", Some("dscp")),
        (field("start", json!("soon")), 422, "invalid", Some("start")),
        (field("start", json!(end(200 * 86_400))), 422, "too_far_ahead", Some("start")),
        (field("end", json!("2020-01-01T00:00:00Z")), 422, "invalid", Some("end")),
        (field("end", json!(end(40 * 86_400))), 422, "too_long", Some("end")),
        (field("rate_mbps", json!(0)), 422, "invalid", Some("rate_mbps")),
        (field("note", json!("a\nb")), 422, "invalid", Some("note")),
        (field("sources", json!(many)), 422, "too_many_pairs", None),
    ];
    for (body, status, code, field) in &cases {
        let reply = ask(set.to, "POST", TICKETS, &alice(), Some(body));
        assert_eq!((reply.status, reply.code().as_str()), (*status, *code), "{body}: {reply:?}");
        assert_eq!(reply.json()["field"].as_str(), *field, "{body}");
        assert!(!reply.json()["detail"].as_str().unwrap().is_empty());
    }
    let refused = u64::try_from(cases.len()).unwrap();
    assert_eq!(set.counted("refused_requests"), refused);
    assert_eq!(set.shelf.book.lock().unwrap().tickets().len(), 0);
    // Not JSON by its own word.
    let text = format!(
        "POST {TICKETS} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer {}\r\n\
         Content-Type: text/plain\r\nContent-Length: 2\r\n\r\n{{}}",
        alice()
    );
    let reply = send(set.to, text.as_bytes());
    assert_eq!((reply.status, reply.code().as_str()), (415, "not_json"));
}

#[test]
fn a_holder_has_so_many_tickets_and_no_more() {
    let limits =
        Limits { tickets_per_holder: 2, pairs_per_holder: 2, tickets: 3, ..Limits::default() };
    let set = Set::with(Bounds::default(), limits);
    let create = |token: &str| ask(set.to, "POST", TICKETS, token, Some(&draft().to_string()));
    let said = |token: &str| {
        let reply = create(token);
        (reply.status, if reply.status == 201 { String::new() } else { reply.code() })
    };
    assert_eq!((said(&alice()).0, said(&alice()).0), (201, 201));
    assert_eq!(said(&alice()), (409, "too_many_tickets".to_owned()));
    let two = with(|draft| draft["sources"] = json!(["192.0.2.10", "192.0.2.11", "192.0.2.12"]));
    let reply = ask(set.to, "POST", TICKETS, &bob(), Some(&two));
    assert_eq!((reply.status, reply.code().as_str()), (409, "too_many_pairs_of_holder"));
    assert_eq!(said(&bob()).0, 201);
    assert_eq!(said(&bob()), (503, "full".to_owned()));
}

#[test]
fn paths_and_methods_that_are_not_there() {
    let set = Set::new();
    for path in ["/x", "/api", "/api/v1/tickets/", "/api/v2/tickets", "//", "/%2e%2e/etc/passwd"] {
        let reply = ask(set.to, "GET", path, &alice(), None);
        assert_eq!((reply.status, reply.code().as_str()), (404, "not_found"), "{path}");
    }
    for (method, path, allowed) in [
        ("PUT", TICKETS, "GET, POST, HEAD"),
        ("OPTIONS", TICKETS, "GET, POST, HEAD"),
        ("POST", "/", "GET, HEAD"),
        ("POST", "/api/v1/tickets/t1", "GET, DELETE, HEAD"),
        ("GET", "/api/v1/tickets/t1/extend", "POST"),
    ] {
        let reply = ask(set.to, method, path, &alice(), None);
        assert_eq!((reply.status, reply.code().as_str()), (405, "method"), "{method} {path}");
        assert_eq!(reply.header("allow"), Some(allowed), "{method} {path}");
    }
    for path in ["t0x", "17", "t1%20", "t99999999999999999999"] {
        let reply = ask(set.to, "GET", &format!("{TICKETS}/{path}"), &alice(), None);
        assert_eq!((reply.status, reply.code().as_str()), (404, "unknown_ticket"), "{path}");
    }
    let head = ask(set.to, "HEAD", "/metrics", "", None);
    assert_eq!((head.status, head.body.as_str()), (200, ""));
}
