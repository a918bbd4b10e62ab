// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The description, the router and what is really served say the same.

use crate::raw::{Reply, ask, send};
use crate::schema::{faults, resolve};
use crate::shelf::{Set, alice, view};
use crate::tickets::{draft, end};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::Duration;
use telesteer_control::http::route::ROUTES;
use telesteer_control::http::{Bounds, OPENAPI};
use telesteer_control::ticket::{Limits, Refused};

fn document() -> Value {
    serde_json::from_str(OPENAPI).unwrap()
}

#[test]
fn the_description_and_the_router_have_the_same_places() {
    let document = document();
    let mut described = BTreeSet::new();
    let mut names = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            described.insert((method.to_uppercase(), path.clone()));
            assert!(names.insert(operation["operationId"].as_str().unwrap()), "{path} {method}");
        }
    }
    let routed: BTreeSet<_> =
        ROUTES.iter().map(|route| (route.method.to_owned(), route.path.to_owned())).collect();
    assert_eq!(described, routed);
    for route in ROUTES {
        let operation = &document["paths"][route.path][route.method.to_lowercase()];
        assert_eq!(
            operation.get("security").is_some(),
            route.call.is_of_holder(),
            "{}",
            route.path
        );
    }
}

#[test]
fn what_is_served_is_what_is_kept() {
    let set = Set::new();
    let reply = ask(set.to, "GET", "/openapi.json", "", None);
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/json")));
    assert_eq!(reply.json(), document());
    assert_eq!(document()["openapi"], "3.1.0");
}

#[test]
fn every_reference_leads_somewhere_and_everything_is_used() {
    let document = document();
    let mut named = BTreeSet::new();
    let mut all = vec![&document];
    while let Some(value) = all.pop() {
        if let Some(place) = value.get("$ref").and_then(Value::as_str) {
            resolve(&document, value);
            named.insert(place.to_owned());
        }
        all.extend(value.as_array().into_iter().flatten());
        all.extend(value.as_object().into_iter().flat_map(|own| own.values()));
    }
    for kind in ["responses", "schemas"] {
        for name in document["components"][kind].as_object().unwrap().keys() {
            assert!(named.contains(&format!("#/components/{kind}/{name}")), "{name} is not used");
        }
    }
}

/// What programs read and write has the fields that are described.
#[test]
fn fields_are_those_of_the_program() {
    let document = document();
    let fields = |schema: &str| -> BTreeSet<String> {
        let own = document["components"]["schemas"][schema]["properties"].as_object().unwrap();
        own.keys().cloned().collect()
    };
    let text = "x".to_owned();
    let full = telesteer_control::ticket::Draft {
        protocol: Some(text.clone()),
        source_ports: Some(text.clone()),
        destination_ports: Some(text.clone()),
        dscp: Some(1),
        start: Some(text.clone()),
        rate_mbps: Some(1),
        note: Some(text),
        ..telesteer_control::ticket::Draft::default()
    };
    let of = |value: Value| value.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(of(serde_json::to_value(full).unwrap()), fields("Draft"));
    let mut served = of(serde_json::to_value(view()).unwrap());
    served.insert("age_ms".to_owned());
    assert_eq!(served, fields("View"));
    let codes = &document["components"]["schemas"]["Problem"]["properties"]["code"]["enum"];
    for code in Refused::CODES {
        assert!(codes.as_array().unwrap().contains(&json!(code)), "{code}");
    }
}

/// Judges an answer by the description of what was asked; returns which answer it was.
fn judge(document: &Value, (method, path): (&str, &str), reply: &Reply) -> String {
    let operation = &document["paths"][path][method.to_lowercase()];
    let status = reply.status.to_string();
    let what = format!("{method} {path} {status}");
    let response =
        operation["responses"].get(&status).unwrap_or_else(|| panic!("{what}: {reply:?}"));
    let response = resolve(document, response);
    let kind = reply.header("content-type").unwrap().split(';').next().unwrap();
    let content = response["content"].get(kind).unwrap_or_else(|| panic!("{what}: {kind}"));
    if kind.ends_with("json") {
        let found = faults(document, &content["schema"], &reply.json());
        assert!(found.is_empty(), "{what}: {found:#?}");
    }
    for (name, header) in response["headers"].as_object().into_iter().flatten() {
        // Only where waiting helps.
        let needed = name != "Retry-After" || status == "429";
        assert!(reply.header(name).is_some() || !needed, "{what}: no {name}: {header}");
    }
    what
}

/// Answers of every operation, good and bad, are as described.
#[test]
fn answers_are_as_described() {
    let document = document();
    let limits = Limits { tickets_per_holder: 3, ..Limits::default() };
    let bounds = Bounds {
        body_bytes: 2000,
        body_wait: Duration::from_millis(300),
        pace: 1_000_000,
        burst: 1_000_000,
        ..Bounds::default()
    };
    let set = Set::with(bounds, limits);
    let (token, body, later) =
        (alice(), draft().to_string(), json!({"end": end(9000)}).to_string());
    let marked = {
        let mut d = draft();
        d["dscp"] = json!(8);
        d["rate_mbps"] = json!(5);
        d["note"] = json!("n");
        d.to_string()
    };
    let long = " ".repeat(3000);
    let (list, one, extend) =
        ("/api/v1/tickets", "/api/v1/tickets/{id}", "/api/v1/tickets/{id}/extend");
    let mut seen = BTreeSet::new();
    let mut go = |method: &'static str,
                  path: &'static str,
                  id: &str,
                  query: &str,
                  token: &str,
                  body: Option<&str>| {
        let real = format!("{}{query}", path.replace("{id}", id));
        seen.insert(judge(&document, (method, path), &ask(set.to, method, &real, token, body)));
    };
    for path in ["/", "/openapi.json", "/status.json", "/metrics", "/audit"] {
        go("GET", path, "", "", "", None);
    }
    go("GET", "/audit", "", "?after=x", "", None);
    for body in [&body, &marked] {
        go("POST", list, "", "", &token, Some(body));
    }
    for bad in ["{", "{\"sources\":[],\"destinations\":[],\"end\":\"\"}", long.as_str()] {
        go("POST", list, "", "", &token, Some(bad));
    }
    go("POST", list, "", "", "", Some(&body));
    go("POST", list, "", "", &token, Some(&body));
    go("POST", list, "", "", &token, Some(&body));
    for query in ["", "?limit=1", "?limit=0", "?finished=true&after=t1", "?x"] {
        go("GET", list, "", query, &token, None);
    }
    go("GET", list, "", "", "", None);
    for (id, token) in [("t1", token.as_str()), ("t99", &token), ("x", &token), ("t1", "")] {
        go("GET", one, id, "", token, None);
        go("POST", extend, id, "", token, Some(&later));
    }
    go("GET", one, "t1", "?x", &token, None);
    for bad in [later.as_str(), "{\"end\":\"soon\"}", "{", long.as_str()] {
        go("POST", extend, "t1", "", &token, Some(bad));
    }
    for (id, token) in [("t1", token.as_str()), ("t1", &token), ("t99", &token), ("t1", "")] {
        go("DELETE", one, id, "", token, None);
    }
    go("GET", list, "", "?finished=true", &token, None);
    set.shelf.breaks.store(true, Ordering::Relaxed);
    go("GET", list, "", "", &token, None);
    for (head, path) in [
        ("Content-Type: text/plain\r\nContent-Length: 2", list),
        ("Content-Type: application/json\r\nContent-Length: 9", list),
    ] {
        let text = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n{head}\r\n\r\n{{}}"
        );
        seen.insert(judge(&document, ("POST", path), &send(set.to, text.as_bytes())));
    }
    let wanted = [
        "POST /api/v1/tickets 201",
        "POST /api/v1/tickets 400",
        "POST /api/v1/tickets 401",
        "POST /api/v1/tickets 408",
        "POST /api/v1/tickets 409",
        "POST /api/v1/tickets 413",
        "POST /api/v1/tickets 415",
        "POST /api/v1/tickets 422",
        "GET /api/v1/tickets 200",
        "GET /api/v1/tickets 400",
        "GET /api/v1/tickets 401",
        "GET /api/v1/tickets 500",
        "GET /api/v1/tickets/{id} 200",
        "GET /api/v1/tickets/{id} 400",
        "GET /api/v1/tickets/{id} 401",
        "GET /api/v1/tickets/{id} 404",
        "DELETE /api/v1/tickets/{id} 200",
        "DELETE /api/v1/tickets/{id} 401",
        "DELETE /api/v1/tickets/{id} 404",
        "POST /api/v1/tickets/{id}/extend 200",
        "POST /api/v1/tickets/{id}/extend 400",
        "POST /api/v1/tickets/{id}/extend 401",
        "POST /api/v1/tickets/{id}/extend 404",
        "POST /api/v1/tickets/{id}/extend 409",
        "POST /api/v1/tickets/{id}/extend 413",
        "POST /api/v1/tickets/{id}/extend 422",
        "GET / 200",
        "GET /openapi.json 200",
        "GET /status.json 200",
        "GET /metrics 200",
        "GET /audit 200",
        "GET /audit 400",
    ];
    for what in wanted {
        assert!(seen.contains(what), "{what} was not seen: {seen:#?}");
    }
}
