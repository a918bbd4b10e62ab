// SPDX-License-Identifier: Apache-2.0 OR MIT
//! NSI as a provider of circuits.
//!
//! A request is acknowledged at once and answered later, at our endpoint. An answer may be lost, and
//! so may we between two of them. So whatever is refused or gets no answer is looked up: if the
//! provider is where the request would have brought it, the request has done its work.

use crate::circuits::{Answer, Circuits, Held, Id, Notice, Remote, Seen};
use crate::clock::now;
use crate::counters::{Counters, count};
use crate::error::{Error, Why};
use crate::http::{Bounds, Endpoint, serve};
use crate::nsi::desk::Desk;
use crate::nsi::mailbox::{Mailbox, WAITING};
use crate::nsi::message::{Criteria, End, Header, Reserve, Service};
use crate::nsi::names::{CONTENT, SERVICE};
use crate::nsi::reply::{Body, Summary};
use crate::nsi::soap::Soap;
use crate::nsi::wire::{Ask, Sent, Wire};
use crate::request::Request;
use crate::time::At;
use crate::xml::element::Limits;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::time::timeout;
use uuid::{Builder, Uuid, Variant, Version};

/// A start no further away than this is now.
const NOW_MS: u64 = 5_000;

/// A provider and we.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Settings {
    /// `http://host:port/path` of the provider; `grpc://host:port` with the feature `grpc`.
    pub provider_url: String,
    /// Its NSA identifier.
    pub provider_nsa: String,
    /// Ours.
    pub requester_nsa: String,
    /// Where our endpoint listens; port 0: any.
    pub listen: SocketAddr,
    /// What the provider is told of our endpoint; left out: `http://` and where it listens.
    #[serde(default)]
    pub reply_to: Option<String>,
    /// Service type.
    #[serde(default = "service")]
    pub service_type: String,
    /// Whether both directions must take one path; left out: not said.
    #[serde(default)]
    pub symmetric: Option<bool>,
    /// Service termination points of routers: `urn:ogf:network:NETWORK:PORT?vlan=VLANS`.
    pub stp: BTreeMap<String, String>,
    /// Bound of a wait for an acknowledgement.
    #[serde(default = "ten")]
    pub ack_ms: u64,
    /// Bound of a wait for an answer, from the acknowledgement.
    #[serde(default = "forty")]
    pub answer_ms: u64,
}

fn service() -> String {
    SERVICE.to_owned()
}

fn ten() -> u64 {
    10_000
}

fn forty() -> u64 {
    40_000
}

/// The provider.
#[derive(Debug)]
pub struct Nsi {
    settings: Settings,
    reply_to: String,
    mailbox: Arc<Mailbox>,
    counters: Arc<Counters>,
    wire: Wire,
    _endpoint: Endpoint,
}

/// What came of a request.
struct Outcome {
    /// The connection, if it was said with the acknowledgement.
    connection: Option<String>,
    answer: Result<Body, Why>,
}

impl From<Why> for Outcome {
    fn from(why: Why) -> Self {
        Self { connection: None, answer: Err(why) }
    }
}

impl Nsi {
    /// Opens the endpoint.
    pub async fn start(settings: Settings, counters: Arc<Counters>) -> Result<Self, Error> {
        let bad = |error: std::io::Error| {
            let why = Why::Unreachable(error.to_string());
            Error::new(&settings.provider_url, "listening at", settings.listen, why)
        };
        let listener = TcpListener::bind(settings.listen).await.map_err(bad)?;
        let here = listener.local_addr().map_err(bad)?;
        let mailbox = Arc::new(Mailbox::new(counters.clone()));
        let limits = Limits::default();
        let desk = Desk {
            mailbox: mailbox.clone(),
            counters: counters.clone(),
            limits,
            provider: settings.provider_nsa.clone(),
            requester: settings.requester_nsa.clone(),
        };
        let crowded = counters.clone();
        let refused = move || count(&crowded.refused_connections);
        let bounds = Bounds { body: limits.bytes, ..Bounds::default() };
        let (scheme, wire, endpoint) = match settings.provider_url.strip_prefix("grpc://") {
            None => {
                let soap = Soap { url: settings.provider_url.clone(), limits };
                let answer = move |came| desk.answer(came);
                ("http", Wire::Soap(soap), serve(listener, bounds, CONTENT, answer, refused))
            }
            #[cfg(feature = "grpc")]
            Some(authority) => {
                let grpc =
                    crate::nsi::grpc::Grpc { authority: authority.to_owned(), most: limits.bytes };
                let endpoint = crate::nsi::grpc::serve(listener, bounds, desk, refused);
                ("grpc", Wire::Grpc(grpc), endpoint)
            }
            #[cfg(not(feature = "grpc"))]
            Some(_) => {
                let why = Why::Refused("built without the feature `grpc`".into());
                return Err(Error::new(&settings.provider_url, "starting", "provider-url", why));
            }
        };
        let reply_to = settings.reply_to.clone().unwrap_or_else(|| format!("{scheme}://{here}/"));
        Ok(Self { settings, reply_to, mailbox, counters, wire, _endpoint: endpoint })
    }

    /// Where the provider sends answers.
    pub fn reply_to(&self) -> &str {
        &self.reply_to
    }

    fn error(&self, request: &'static str, key: impl ToString, why: Why) -> Error {
        match why {
            Why::Refused(_) => count(&self.counters.refused),
            Why::Silent(_) => count(&self.counters.silent),
            _ => {}
        }
        Error::new(&self.settings.provider_url, request, key, why)
    }

    fn header<'a>(&'a self, correlation: &'a str) -> Header<'a> {
        let (requester, provider) = (&self.settings.requester_nsa, &self.settings.provider_nsa);
        Header { correlation, requester, provider, reply_to: Some(&self.reply_to) }
    }

    /// Sends a request and waits for its answer.
    async fn exchange(&self, name: &str, ask: Ask<'_>) -> Outcome {
        let correlation = Uuid::new_v4().urn().to_string();
        let Some(mut waiting) = self.mailbox.wait(&correlation) else {
            return Why::Full(WAITING).into();
        };
        count(&self.counters.requests);
        let header = self.header(&correlation);
        let connection = match self.wire.send(name, &header, &ask, self.settings.ack_ms).await {
            Sent::Said(Body::Response(connection)) => Some(connection),
            Sent::Said(Body::Acknowledged) => None,
            Sent::Said(Body::Error(said)) => return Why::Refused(said).into(),
            Sent::Said(other) => return Why::Garbled(format!("{other:?} at once")).into(),
            Sent::Not(why) => return why.into(),
            // It may have been taken all the same, and the answer may come before the acknowledgement.
            Sent::Unsure(_) => None,
        };
        let wait_ms = self.settings.answer_ms;
        let answer = match timeout(Duration::from_millis(wait_ms), &mut waiting.answer).await {
            Ok(Ok(body)) => Ok(body),
            _ => Err(Why::Silent(wait_ms)),
        };
        Outcome { connection, answer }
    }

    /// Reservations at the provider: one, or all of ours.
    async fn query(&self, id: Option<&str>) -> Result<Vec<Summary>, Error> {
        const NAME: &str = "querySummarySync";
        let key = id.unwrap_or("all").to_owned();
        let correlation = Uuid::new_v4().urn().to_string();
        count(&self.counters.requests);
        let header = self.header(&correlation);
        let why =
            match self.wire.send(NAME, &header, &Ask::Query(id), self.settings.answer_ms).await {
                Sent::Said(Body::Summary(all)) => return Ok(all),
                Sent::Said(Body::Error(said)) => Why::Refused(said),
                Sent::Said(other) => Why::Garbled(format!("{other:?}")),
                Sent::Not(why) | Sent::Unsure(why) => why,
            };
        Err(self.error(NAME, key, why))
    }

    async fn one(&self, id: &Id) -> Result<Option<Summary>, Error> {
        let all = self.query(Some(&id.0)).await?;
        Ok(all.into_iter().find(|summary| summary.connection == id.0))
    }

    async fn reserve(&self, request: &Request) -> Result<Held, Error> {
        const NAME: &str = "reserve";
        let pair = request.name.pair();
        let stp = |router: &str| {
            self.settings.stp.get(router).ok_or_else(|| {
                self.error(NAME, &request.name, Why::Refused(format!("stp: none for `{router}`")))
            })
        };
        let (source, dest) = (stp(&pair.ingress)?, stp(&pair.egress)?);
        let (label, global) = (request.label(), global(request));
        let now = now();
        let reserve = Reserve {
            connection: None,
            global: Some(&global),
            description: Some(&label),
            criteria: Criteria {
                version: 1,
                start: (request.span.from > now.plus(NOW_MS)).then_some(request.span.from),
                end: request.span.until.map_or(End::Unsaid, End::At),
                service: Some((
                    self.settings.service_type.as_str(),
                    Service {
                        capacity: request.rate.mbps(),
                        symmetric: self.settings.symmetric.filter(|_| request.both),
                        one_way: !request.both,
                        source,
                        dest,
                        ero: &[],
                    },
                )),
                kept: None,
            },
        };
        let outcome = self.exchange(NAME, Ask::Reserve(&reserve)).await;
        let why = match outcome.answer {
            Ok(Body::Confirmed(name, id)) if name == "reserveConfirmed" => {
                return Ok(Held { id: Id(id), until: None });
            }
            Ok(Body::Failed(_, said) | Body::Error(said)) => Why::Refused(said),
            Ok(other) => Why::Garbled(format!("{other:?}")),
            Err(why) => why,
        };
        if let Why::Silent(_) = why {
            // By the name, for a reservation sent twice has two connections.
            let all = self.query(outcome.connection.as_deref()).await?;
            let mine = all
                .iter()
                .map(Summary::remote)
                .find(|one| one.name.as_ref() == Some(&request.name));
            if let Some(Remote { id, seen: Seen::Held, .. }) = mine {
                count(&self.counters.recovered);
                return Ok(Held { id, until: None });
            }
        }
        Err(self.error(NAME, &request.name, why))
    }

    /// Asks something of a connection; `reached` says of what the provider tells afterwards (`None`:
    /// it knows no such connection) whether that has come true.
    async fn call(
        &self,
        name: &'static str,
        id: &Id,
        reached: impl Fn(Option<&Summary>) -> bool,
    ) -> Result<(), Error> {
        let outcome = self.exchange(name, Ask::Of(&id.0)).await;
        let why = match outcome.answer {
            Ok(Body::Confirmed(answer, _)) if answer.strip_suffix("Confirmed") == Some(name) => {
                return Ok(());
            }
            Ok(Body::Failed(_, said) | Body::Error(said)) => Why::Refused(said),
            Ok(other) => Why::Garbled(format!("{other:?}")),
            Err(Why::Unreachable(said)) => {
                return Err(self.error(name, id, Why::Unreachable(said)));
            }
            Err(why) => why,
        };
        match self.one(id).await {
            Ok(summary) if reached(summary.as_ref()) => {
                count(&self.counters.recovered);
                Ok(())
            }
            _ => Err(self.error(name, id, why)),
        }
    }

    /// A change refused or lost may be held there, and keeps the next out. Nothing to abort is as good.
    async fn give_up_change(&self, id: &Id) {
        let _ = self.call("reserveAbort", id, |_| false).await;
    }

    async fn extend(&self, id: &Id, until: Option<At>) -> Result<(), Error> {
        const NAME: &str = "reserve";
        let Some(now) = self.one(id).await? else {
            return Err(self.error(NAME, id, Why::Refused("there is none".into())));
        };
        let reserve = Reserve {
            connection: Some(&id.0),
            global: None,
            description: None,
            criteria: Criteria {
                version: now.version.saturating_add(1),
                start: None,
                end: until.map_or(End::Never, End::At),
                service: None,
                kept: Some(now.capacity),
            },
        };
        let outcome = self.exchange(NAME, Ask::Reserve(&reserve)).await;
        let why = match outcome.answer {
            Ok(Body::Confirmed(name, _)) if name == "reserveConfirmed" => {
                let changed = |found: Option<&Summary>| {
                    found.is_some_and(|one| one.version > now.version && one.until == until)
                };
                let done = self.call("reserveCommit", id, changed).await;
                if done.is_err() {
                    self.give_up_change(id).await;
                }
                return done;
            }
            Ok(Body::Failed(_, said) | Body::Error(said)) => Why::Refused(said),
            Ok(other) => Why::Garbled(format!("{other:?}")),
            Err(why @ Why::Unreachable(_)) => return Err(self.error(NAME, id, why)),
            Err(why) => why,
        };
        self.give_up_change(id).await;
        Err(self.error(NAME, id, why))
    }
}

impl Circuits for Nsi {
    fn server(&self) -> &str {
        &self.settings.provider_url
    }

    fn reserve<'a>(&'a self, request: &'a Request) -> Answer<'a, Held> {
        Box::pin(self.reserve(request))
    }

    fn commit<'a>(&'a self, id: &'a Id) -> Answer<'a, ()> {
        let kept = |seen| matches!(seen, Seen::Committed | Seen::Provisioned | Seen::Up);
        Box::pin(
            self.call("reserveCommit", id, move |found| found.is_some_and(|one| kept(one.seen))),
        )
    }

    fn provision<'a>(&'a self, id: &'a Id) -> Answer<'a, ()> {
        Box::pin(self.call("provision", id, |found| found.is_some_and(|one| one.provisioned)))
    }

    fn extend<'a>(&'a self, id: &'a Id, until: Option<At>) -> Answer<'a, ()> {
        Box::pin(self.extend(id, until))
    }

    fn release<'a>(&'a self, id: &'a Id) -> Answer<'a, ()> {
        Box::pin(self.call("release", id, |found| found.is_none_or(|one| !one.provisioned)))
    }

    fn terminate<'a>(&'a self, id: &'a Id) -> Answer<'a, ()> {
        Box::pin(async move {
            self.call("terminate", id, |found| found.is_none_or(|one| one.seen == Seen::Gone))
                .await?;
            self.mailbox.forget(id);
            Ok(())
        })
    }

    fn list(&self) -> Answer<'_, Vec<Remote>> {
        Box::pin(async move {
            let all = self.query(None).await?;
            Ok(all.iter().map(Summary::remote).filter(|remote| remote.seen != Seen::Gone).collect())
        })
    }

    fn notices(&self) -> Answer<'_, Vec<(Id, Notice)>> {
        Box::pin(async move { Ok(self.mailbox.notices()) })
    }
}

/// The same for the same circuit, whenever it is asked for.
fn global(request: &Request) -> String {
    let digest = Sha256::digest(request.name.as_str());
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
    let uuid =
        Builder::from_bytes(bytes).with_variant(Variant::RFC4122).with_version(Version::Custom);
    uuid.into_uuid().urn().to_string()
}
