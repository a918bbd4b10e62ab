// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What needs no token.

use crate::raw::ask;
use crate::shelf::Set;
use std::sync::Arc;

#[test]
fn the_view_says_its_age_and_what_fell_off_here() {
    let set = Set::new();
    ask(set.to, "GET", "/nowhere", "", None);
    let reply = ask(set.to, "GET", "/status.json", "", None);
    assert_eq!((reply.status, reply.header("cache-control")), (200, Some("no-store")));
    let view = reply.json();
    let lost = |name: &str| {
        let all = view["lost"].as_array().unwrap();
        all.iter().find(|one| one["name"] == name).map(|one| one["count"].as_u64().unwrap())
    };
    assert_eq!((lost("events"), lost("http_refused_requests")), (Some(3), Some(1)));
    let mut old = (**set.shelf.view.lock().unwrap()).clone();
    old.now_ms -= 3_600_000;
    *set.shelf.view.lock().unwrap() = Arc::new(old);
    let age = ask(set.to, "GET", "/status.json", "", None).json()["age_ms"].as_u64().unwrap();
    assert!(age >= 3_600_000, "{age}");
}

#[test]
fn metrics_are_of_the_loop_and_of_the_server() {
    let set = Set::new();
    let reply = ask(set.to, "GET", "/metrics", "", None);
    assert_eq!(reply.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let values = reply.body.lines().filter(|line| !line.starts_with('#'));
    for line in values {
        let (name, value) = line.split_once(' ').unwrap();
        assert!(name.starts_with("hntes_") && value.parse::<u64>().is_ok(), "{line}");
        assert!(reply.body.contains(&format!("# TYPE {name} ")), "{line}");
    }
    assert!(
        reply.body.contains("\nhntes_up 1\n")
            && reply.body.contains("\nhntes_http_requests_total 1\n")
    );
}

#[test]
fn the_audit_log_is_read_on() {
    let set = Set::new();
    let get = |query: &str| ask(set.to, "GET", &format!("/audit{query}"), "", None);
    let first = get("?limit=5").json();
    assert_eq!((first["lines"].as_array().unwrap().len(), &first["last"]), (5, &5.into()));
    let rest = get("?after=5").json();
    assert_eq!((rest["lines"][0]["seq"].as_u64(), rest["last"].as_u64()), (Some(6), Some(7)));
    assert_eq!(get("?after=-1").code(), "bad_query");
}

#[test]
fn the_page_may_do_nothing_but_ask_here() {
    let set = Set::new();
    let page = ask(set.to, "GET", "/", "", None);
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    let policy = page.header("content-security-policy").unwrap();
    for word in [
        "default-src 'none'",
        "connect-src 'self'",
        "script-src 'sha256-",
        "frame-ancestors 'none'",
    ] {
        assert!(policy.contains(word), "{policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    for path in ["/", "/status.json", "/nowhere"] {
        let reply = ask(set.to, "GET", path, "", None);
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(reply.header("referrer-policy"), Some("no-referrer"), "{path}");
    }
}
