// SPDX-License-Identifier: Apache-2.0 OR MIT
//! OSCARS as a provider of circuits.
//!
//! `new` holds, commits and, with build mode `AUTOMATIC`, has it deployed at its beginning: there is
//! no call for each. So `reserve` makes it; `commit` and `provision` see how far it came; `release`
//! does nothing, for a circuit that is not deployed any more is a released one, which `terminate` asks
//! for. What happens to circuits is found by asking.

use crate::circuits::{Answer, Circuits, Held, Id, Notice, Remote, Seen};
use crate::clock::now;
use crate::counters::{Counters, count};
use crate::error::{Error, Why};
use crate::http::{Ask, Failed, ask};
use crate::oscars::l2vpn::{
    Availability, Interval, L2vpn, Meta, Page, Qos, bundles, ending, name, never, seconds,
};
pub use crate::oscars::settings::{Port, Settings};
use crate::request::{Rate, Request};
use crate::time::At;
use hyper::{Method, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Circuits on a page of a list, and most pages.
const PAGE: usize = 100;
const PAGES: usize = 100;
/// Names tried for one circuit.
const NAMES: u8 = 8;
/// Bound of an answer.
const BYTES: usize = 8 << 20;
const JSON: &str = "application/json";
const TEXT: &str = "text/plain";

/// The provider.
#[derive(Debug)]
pub struct Oscars {
    settings: Settings,
    counters: Arc<Counters>,
    polled: Mutex<(At, BTreeMap<Id, Seen>)>,
}

impl Oscars {
    /// Of a server.
    pub fn new(settings: Settings, counters: Arc<Counters>) -> Self {
        Self { settings, counters, polled: Mutex::default() }
    }

    async fn send(
        &self,
        request: &'static str,
        key: &str,
        method: Method,
        path: &str,
        body: Option<(&'static str, Vec<u8>)>,
    ) -> Result<(StatusCode, Vec<u8>), Error> {
        let (kind, body) = body.map_or((None, Vec::new()), |(kind, body)| (Some(kind), body));
        count(&self.counters.requests);
        let url = format!("{}{path}", self.settings.url.trim_end_matches('/'));
        let token = self.settings.authorization.clone();
        let answer = ask(Ask {
            method,
            url: &url,
            headers: token.map(|token| ("authorization", token)).into_iter().collect(),
            kind,
            body,
            wait: Duration::from_millis(self.settings.wait_ms),
            most: BYTES,
        });
        match answer.await {
            Ok((status, body)) => Ok((status, body.to_vec())),
            Err(Failed::Address(said) | Failed::Connect(said)) => {
                Err(self.error(request, key, Why::Unreachable(said)))
            }
            Err(Failed::Broken(said)) => Err(self.error(request, key, Why::Garbled(said))),
            Err(Failed::Late(ms)) => Err(self.error(request, key, Why::Silent(ms))),
        }
    }

    /// Makes a circuit or changes it. Not every release has that where users must say who they are.
    async fn change(
        &self,
        request: &'static str,
        key: &str,
        method: Method,
        what: &str,
        l2vpn: &L2vpn,
    ) -> Result<(StatusCode, Vec<u8>), Error> {
        let body = self.body(request, key, l2vpn)?;
        let path = format!("/protected/l2vpn/{what}");
        let answer = self.send(request, key, method.clone(), &path, Some(body.clone())).await?;
        if !absent(answer.0) {
            return Ok(answer);
        }
        self.send(request, key, method, &format!("/api/l2vpn/{what}"), Some(body)).await
    }

    fn error(&self, request: &'static str, key: impl ToString, why: Why) -> Error {
        match why {
            Why::Refused(_) => count(&self.counters.refused),
            Why::Silent(_) => count(&self.counters.silent),
            _ => {}
        }
        Error::new(&self.settings.url, request, key, why)
    }

    fn take<T: DeserializeOwned>(
        &self,
        request: &'static str,
        key: &str,
        (status, body): (StatusCode, Vec<u8>),
    ) -> Result<T, Error> {
        if !status.is_success() {
            return Err(self.error(request, key, Why::Refused(said(status, &body))));
        }
        serde_json::from_slice(&body).map_err(|error| {
            self.error(request, key, Why::Garbled(format!("HTTP {status}: {error}")))
        })
    }

    fn body(
        &self,
        request: &'static str,
        key: &str,
        value: &impl Serialize,
    ) -> Result<(&'static str, Vec<u8>), Error> {
        serde_json::to_vec(value)
            .map(|body| (JSON, body))
            .map_err(|error| self.error(request, key, Why::Refused(error.to_string())))
    }

    /// `None`: there is none of that name.
    async fn get(&self, name: &str) -> Result<Option<L2vpn>, Error> {
        const REQUEST: &str = "GET /api/l2vpn/get";
        let answer =
            self.send(REQUEST, name, Method::GET, &format!("/api/l2vpn/get/{name}"), None).await?;
        // The server answers an unknown name with whatever its framework makes of the exception, which
        // is what it answers when it is in trouble too: then its list tells.
        if answer.0 == StatusCode::INTERNAL_SERVER_ERROR {
            let listed = self.list().await?.into_iter().any(|one| one.id.0 == name);
            return match listed {
                true => Err(self.error(REQUEST, name, Why::Refused(said(answer.0, &answer.1)))),
                false => Ok(None),
            };
        }
        if answer.0 == StatusCode::NOT_FOUND || answer.1.is_empty() {
            return Ok(None);
        }
        self.take(REQUEST, name, answer).map(Some)
    }

    async fn must_get(&self, id: &Id) -> Result<L2vpn, Error> {
        let none = || self.error("GET /api/l2vpn/get", id, Why::Refused("there is none".into()));
        self.get(&id.0).await?.ok_or_else(none)
    }

    async fn reserve(&self, request: &Request) -> Result<Held, Error> {
        const REQUEST: &str = "POST /protected/l2vpn/new";
        let mut wanted = self.l2vpn(request)?;
        let key = request.name.as_str();
        let mut free = false;
        for salt in 0..NAMES {
            wanted.name = name(request.name.as_str(), salt);
            match self.get(&wanted.name).await? {
                None => {
                    free = true;
                    break;
                }
                // Made in another life of the program.
                Some(there)
                    if there.meta.description == wanted.meta.description
                        && there.seen() != Seen::Gone =>
                {
                    return Ok(Held { id: Id(there.name), until: None });
                }
                Some(_) => {}
            }
        }
        if !free {
            return Err(self.error(REQUEST, key, Why::Full(NAMES.into())));
        }
        if let Rate::Specified { mbps, .. } = request.rate {
            const ASKED: &str = "POST /api/l2vpn/availability";
            let body = self.body(ASKED, key, &wanted)?;
            let answer =
                self.send(ASKED, key, Method::POST, "/api/l2vpn/availability", Some(body)).await?;
            let free: Availability = self.take(ASKED, key, answer)?;
            if u64::try_from(free.available).unwrap_or(0) < mbps {
                let said = format!("{mbps} Mb/s asked for, {} free", free.available);
                return Err(self.error(ASKED, key, Why::Refused(said)));
            }
        }
        let answer = self.change(REQUEST, key, Method::POST, "new", &wanted).await?;
        let made: L2vpn = self.take(REQUEST, key, answer)?;
        Ok(Held { id: Id(made.name), until: None })
    }

    fn l2vpn(&self, request: &Request) -> Result<L2vpn, Error> {
        const REQUEST: &str = "POST /protected/l2vpn/new";
        let refuse = |said: String| self.error(REQUEST, &request.name, Why::Refused(said));
        let pair = request.name.pair();
        let port = |router: &String| {
            self.settings
                .ports
                .get(router)
                .ok_or_else(|| refuse(format!("ports: none for `{router}`")))
        };
        let (from, to) = (port(&pair.ingress)?, port(&pair.egress)?);
        let label = request.label();
        if label.len() > 80 {
            return Err(refuse(format!("description: `{label}` is longer than 80 characters")));
        }
        let mut rest = Map::new();
        let tech = json!({ "mode": "AUTOMATIC", "flavor": "VPLS", "mtu": self.settings.mtu, "macsec": false });
        rest.insert("tech".into(), tech);
        rest.insert("bundles".into(), bundles(from, to));
        rest.insert("endpoints".into(), json!([from, to]));
        // One that was asked for long ago begins now: a server refuses what began before.
        let begin = request.span.from.max(now());
        let ending = seconds(ending(request.span.until, begin, self.settings.shortest_ms));
        let mut meta = Meta { description: Some(label), ..Meta::default() };
        if !self.settings.projects.is_empty() {
            meta.rest.insert("projectIds".into(), json!(self.settings.projects));
        }
        Ok(L2vpn {
            name: String::new(),
            meta,
            schedule: Interval { beginning: seconds(begin), ending },
            status: None,
            qos: Qos::of(request.rate),
            rest,
        })
    }

    async fn at_least(&self, request: &'static str, id: &Id, wanted: &[Seen]) -> Result<(), Error> {
        let seen = self.must_get(id).await?.seen();
        if wanted.contains(&seen) {
            return Ok(());
        }
        Err(self.error(request, id, Why::Refused(format!("it is {seen:?}"))))
    }

    async fn extend(&self, id: &Id, until: Option<At>) -> Result<(), Error> {
        const REQUEST: &str = "PUT /protected/l2vpn/replace";
        let mut there = self.must_get(id).await?;
        there.schedule.ending = seconds(ending(until, now(), self.settings.shortest_ms));
        let answer = self.change(REQUEST, &id.0, Method::PUT, "replace", &there).await?;
        self.take::<Value>(REQUEST, &id.0, answer).map(drop)
    }

    async fn terminate(&self, id: &Id) -> Result<(), Error> {
        const REQUEST: &str = "DELETE /protected/l2vpn/release";
        let path = format!("/protected/l2vpn/release/{}", id.0);
        let (mut status, mut body) = self.send(REQUEST, &id.0, Method::DELETE, &path, None).await?;
        if absent(status) {
            // Not every release has it. All have the one of the user interface, which takes a bare name.
            let name = (TEXT, id.0.clone().into_bytes());
            let path = "/protected/conn/release";
            (status, body) = self.send(REQUEST, &id.0, Method::POST, path, Some(name)).await?;
        }
        if status.is_success() {
            return Ok(());
        }
        match self.get(&id.0).await? {
            Some(there) if there.seen() != Seen::Gone => {
                Err(self.error(REQUEST, id, Why::Refused(said(status, &body))))
            }
            _ => Ok(()),
        }
    }

    async fn list(&self) -> Result<Vec<Remote>, Error> {
        const REQUEST: &str = "POST /api/l2vpn/list";
        let never = never(now());
        let mut all: Vec<Remote> = Vec::new();
        for page in 1..=PAGES {
            // Those given back are kept there for ever.
            let filter = json!({ "phase": "RESERVED", "page": page, "sizePerPage": PAGE });
            let body = self.body(REQUEST, "all", &filter)?;
            let answer =
                self.send(REQUEST, "all", Method::POST, "/api/l2vpn/list", Some(body)).await?;
            let page: Page = self.take(REQUEST, "all", answer)?;
            let full = page.l2vpns.len() >= PAGE;
            all.extend(
                page.l2vpns
                    .iter()
                    .map(|one| one.remote(never))
                    .filter(|one| one.seen != Seen::Gone),
            );
            if !full {
                return Ok(all);
            }
        }
        Err(self.error(REQUEST, "all", Why::Full(PAGES * PAGE)))
    }

    async fn notices(&self) -> Result<Vec<(Id, Notice)>, Error> {
        let due = {
            let mut polled = self.polled.lock().unwrap_or_else(PoisonError::into_inner);
            let due = now() >= polled.0;
            if due {
                polled.0 = now().plus(self.settings.poll_ms);
            }
            due
        };
        if !due {
            return Ok(Vec::new());
        }
        let found: BTreeMap<Id, Seen> = self
            .list()
            .await?
            .into_iter()
            .filter(|remote| remote.name.is_some())
            .map(|remote| (remote.id, remote.seen))
            .collect();
        let mut polled = self.polled.lock().unwrap_or_else(PoisonError::into_inner);
        let mut notices = Vec::new();
        for (id, seen) in &found {
            let before = polled.1.get(id);
            let notice = match seen {
                _ if before == Some(seen) => continue,
                Seen::Up => Notice::Active,
                Seen::Failed => Notice::Ended("the server says it failed".into()),
                _ if before == Some(&Seen::Up) => Notice::Inactive,
                _ => continue,
            };
            notices.push((id.clone(), notice));
        }
        for id in polled.1.keys().filter(|id| !found.contains_key(id)) {
            notices.push((id.clone(), Notice::Ended("the server has it no more".into())));
        }
        polled.1 = found;
        Ok(notices)
    }
}

impl Circuits for Oscars {
    fn server(&self) -> &str {
        &self.settings.url
    }

    fn reserve<'a>(&'a self, request: &'a Request) -> Answer<'a, Held> {
        Box::pin(self.reserve(request))
    }

    fn commit<'a>(&'a self, id: &'a Id) -> Answer<'a, ()> {
        Box::pin(self.at_least("commit", id, &[Seen::Committed, Seen::Provisioned, Seen::Up]))
    }

    fn provision<'a>(&'a self, id: &'a Id) -> Answer<'a, ()> {
        // It is deployed by itself when its time comes; that it is, comes as a notice.
        Box::pin(self.at_least("provision", id, &[Seen::Committed, Seen::Provisioned, Seen::Up]))
    }

    fn extend<'a>(&'a self, id: &'a Id, until: Option<At>) -> Answer<'a, ()> {
        Box::pin(self.extend(id, until))
    }

    fn release<'a>(&'a self, _: &'a Id) -> Answer<'a, ()> {
        Box::pin(async { Ok(()) })
    }

    fn terminate<'a>(&'a self, id: &'a Id) -> Answer<'a, ()> {
        Box::pin(self.terminate(id))
    }

    fn list(&self) -> Answer<'_, Vec<Remote>> {
        Box::pin(self.list())
    }

    fn notices(&self) -> Answer<'_, Vec<(Id, Notice)>> {
        Box::pin(self.notices())
    }
}

/// Whether it says that there is no such path, or none for this method.
fn absent(status: StatusCode) -> bool {
    status == StatusCode::NOT_FOUND || status == StatusCode::METHOD_NOT_ALLOWED
}

fn said(status: StatusCode, body: &[u8]) -> String {
    let text: String = String::from_utf8_lossy(body).chars().take(300).collect();
    format!("HTTP {status}: {text}")
}
