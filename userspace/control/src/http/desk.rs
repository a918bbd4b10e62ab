// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Answers requests: who asks, whether that is too often, what is asked, what the loop says.

use crate::http::board::{AUDIT, Board, Denied};
use crate::http::bounds::Bounds;
use crate::http::counters::{Counters, count};
use crate::http::host::Hosts;
use crate::http::keys::{Keys, Known};
use crate::http::pace::Pace;
use crate::http::page::Page;
use crate::http::problem::{KIND, Problem};
use crate::http::query::Query;
use crate::http::route::{Call, Nothing, find};
use crate::http::{OPENAPI, body};
use crate::ticket::operation::PAGE;
use crate::ticket::token::TOKENS;
use crate::ticket::{Answer, Holder, Operation, TicketId, stamp};
use crate::view::View;
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Request, Response, StatusCode};
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::Semaphore;

const JSON: &str = "application/json";
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// An answer.
pub(crate) type Answered = Response<Full<Bytes>>;

/// A problem, and headers that go with it.
pub(crate) struct No {
    problem: Problem,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl From<Problem> for No {
    fn from(problem: Problem) -> Self {
        Self { problem, headers: Vec::new() }
    }
}

impl No {
    fn with(mut self, name: HeaderName, value: impl TryInto<HeaderValue>) -> Self {
        self.headers.extend(value.try_into().ok().map(|value| (name, value)));
        self
    }
}

/// What `/status.json` is: the view, and how old it is by our own clock.
#[derive(Serialize)]
struct Served<'v> {
    age_ms: u64,
    #[serde(flatten)]
    view: &'v View,
}

/// The body of an extension.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Extension {
    end: String,
}

/// Answers requests.
pub(crate) struct Desk {
    board: Arc<dyn Board>,
    keys: Keys,
    bounds: Bounds,
    hosts: Hosts,
    pub(crate) counters: Arc<Counters>,
    pace: Mutex<Pace>,
    calls: Arc<Semaphore>,
    page: Page,
    begun: Instant,
}

impl Desk {
    pub(crate) fn new(
        board: Arc<dyn Board>,
        keys: Keys,
        bounds: Bounds,
        hosts: Hosts,
        counters: Arc<Counters>,
    ) -> Self {
        let pace = Mutex::new(Pace::new(bounds.pace, bounds.burst));
        let calls = Arc::new(Semaphore::new(bounds.calls));
        let (page, begun) = (Page::new(), Instant::now());
        Self { board, keys, bounds, hosts, counters, pace, calls, page, begun }
    }

    pub(crate) async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Answered {
        count(&self.counters.requests);
        let mut answered = match self.serve(request).await {
            Ok(answered) => answered,
            Err(no) => self.refuse(no),
        };
        let headers = answered.headers_mut();
        for (name, value) in [
            (header::CACHE_CONTROL, "no-store"),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::REFERRER_POLICY, "no-referrer"),
            (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        answered
    }

    fn refuse(&self, no: No) -> Answered {
        let counter = match &*no.problem.code {
            "slow_body" => &self.counters.slow_bodies,
            "large_body" => &self.counters.large_bodies,
            "unauthorised" => &self.counters.unauthorised,
            "too_many_requests" => &self.counters.paced,
            "busy" => &self.counters.busy,
            "misdirected" => &self.counters.misdirected,
            _ => &self.counters.refused_requests,
        };
        count(counter);
        let status = StatusCode::from_u16(no.problem.status);
        let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut answered = json(status, &no.problem);
        answered.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(KIND));
        answered.headers_mut().extend(no.headers);
        answered
    }

    async fn serve(self: &Arc<Self>, request: Request<Incoming>) -> Result<Answered, No> {
        let (parts, body) = request.into_parts();
        if !self.hosts.are_meant(&parts.uri, &parts.headers) {
            let detail = "this server has no such name: ask by its address, or have the operator \
                          add the name to http.hosts";
            let status = StatusCode::MISDIRECTED_REQUEST;
            return Err(Problem::new(status, "misdirected", detail).into());
        }
        let (call, id) = find(&parts.method, parts.uri.path()).map_err(nothing)?;
        let query = parts.uri.query();
        match call {
            Call::Page => Ok(self.page.answer()),
            Call::OpenApi => Ok(whole(StatusCode::OK, JSON, OPENAPI)),
            Call::Status => self.ask_loop(|desk| desk.status()).await,
            Call::Metrics => {
                let text = |desk: &Self| desk.board.metrics() + &desk.counters.metrics();
                let text = self.ask_loop(text).await?;
                Ok(whole(StatusCode::OK, METRICS, text))
            }
            Call::Audit => {
                let query = Query::parse(query, &["after", "limit"])?;
                let after = query.get("after")?.unwrap_or(0);
                let most = query.get("limit")?.unwrap_or(100).clamp(1, AUDIT);
                let page = self.ask_loop(move |desk| desk.board.audit(after, most)).await?;
                Ok(json(StatusCode::OK, &page))
            }
            _ => {
                let holder = self.holder(&parts.headers)?;
                self.may_ask(&holder)?;
                let operation = self.operation(call, id, &parts, body).await?;
                self.ticket(holder, operation).await
            }
        }
    }

    fn status(&self) -> Answered {
        let mut view = View::clone(&self.board.view());
        view.lost.extend(self.counters.lost());
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_millis();
        let now = u64::try_from(now).unwrap_or(u64::MAX);
        json(StatusCode::OK, &Served { age_ms: now.saturating_sub(view.now_ms), view: &view })
    }

    /// Runs what may wait for the loop on a thread that may wait.
    async fn ask_loop<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> Result<T, No> {
        let Ok(place) = self.calls.clone().try_acquire_owned() else {
            return Err(No::from(Problem::from(Denied::Busy)).with(header::RETRY_AFTER, "1"));
        };
        let desk = self.clone();
        let task = tokio::task::spawn_blocking(move || {
            let done = work(&desk);
            drop(place);
            done
        });
        let broke = |_| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "it broke off");
        Ok(task.await.map_err(broke)?)
    }

    fn holder(&self, headers: &HeaderMap) -> Result<Holder, No> {
        let unauthorised = |detail: &str, challenge: &'static str| {
            No::from(Problem::new(StatusCode::UNAUTHORIZED, "unauthorised", detail))
                .with(header::WWW_AUTHENTICATE, challenge)
        };
        let Some(token) = bearer(headers) else {
            let detail = "a token is needed: Authorization: Bearer TOKEN";
            return Err(unauthorised(detail, "Bearer realm=\"hntes\""));
        };
        match self.keys.known(token, &self.counters) {
            Known::Holder(holder) => Ok(holder),
            Known::Nobody => Err(unauthorised(
                "nobody has this token",
                "Bearer realm=\"hntes\", error=\"invalid_token\"",
            )),
            // Why is for the operator, not for whoever asks.
            Known::Faulty(_) => {
                let detail = "tokens cannot be checked: the operator has to mend their file";
                Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "tokens", detail).into())
            }
        }
    }

    fn may_ask(&self, holder: &Holder) -> Result<(), No> {
        let mut pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
        if pace.len() > TOKENS {
            pace.keep(|holder| self.keys.names(holder));
        }
        pace.take(holder, self.begun.elapsed()).map_err(|wait: Duration| {
            let detail = format!("more than {} requests a second", self.bounds.pace);
            let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", detail);
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            No::from(problem).with(header::RETRY_AFTER, seconds)
        })
    }

    async fn operation(
        &self,
        call: Call,
        id: &str,
        parts: &Parts,
        incoming: Incoming,
    ) -> Result<Operation, No> {
        let query = parts.uri.query();
        if call == Call::List {
            let query = Query::parse(query, &["after", "limit", "finished"])?;
            return Ok(Operation::List {
                after: query.get("after")?,
                most: query.get("limit")?.unwrap_or(PAGE).clamp(1, PAGE),
                finished: query.get("finished")?.unwrap_or(false),
            });
        }
        Query::parse(query, &[])?;
        if call == Call::Create {
            let draft = body::read_json(parts, incoming, &self.bounds).await?;
            return Ok(Operation::Create(Box::new(draft)));
        }
        let id: TicketId = id.parse().map_err(|bad: crate::ticket::record::BadTicketId| {
            Problem::new(StatusCode::NOT_FOUND, "unknown_ticket", bad.to_string())
        })?;
        Ok(match call {
            Call::Extend => {
                let Extension { end } = body::read_json(parts, incoming, &self.bounds).await?;
                let end = stamp::parse(&end).map_err(|bad| {
                    let detail = format!("end: {bad}");
                    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", detail)
                        .of_field("end")
                })?;
                Operation::Extend(id, end)
            }
            Call::Cancel => Operation::Cancel(id),
            _ => Operation::Show(id),
        })
    }

    async fn ticket(self: &Arc<Self>, holder: Holder, what: Operation) -> Result<Answered, No> {
        let is_new = matches!(what, Operation::Create(_));
        let answer = self.ask_loop(move |desk| desk.board.ticket(&holder, what)).await?;
        match answer.map_err(Problem::from)? {
            Answer::Page(page) => Ok(json(StatusCode::OK, &page)),
            Answer::Ticket(ticket) if is_new => {
                let mut answered = json(StatusCode::CREATED, &ticket);
                let place = format!("/api/v1/tickets/{}", ticket.id);
                if let Ok(place) = HeaderValue::try_from(place) {
                    answered.headers_mut().insert(header::LOCATION, place);
                }
                Ok(answered)
            }
            Answer::Ticket(ticket) => Ok(json(StatusCode::OK, &ticket)),
        }
    }
}

fn nothing(nothing: Nothing) -> No {
    match nothing {
        Nothing::Path => Problem::new(StatusCode::NOT_FOUND, "not_found", "nothing is here").into(),
        Nothing::Method(methods) => {
            let methods = methods.join(", ");
            let detail = format!("here are: {methods}");
            No::from(Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method", detail))
                .with(header::ALLOW, methods)
        }
    }
}

/// The token of RFC 6750, section 2.1.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// An answer of bytes that are at hand.
pub(crate) fn whole(status: StatusCode, kind: &'static str, bytes: impl Into<Bytes>) -> Answered {
    let mut answered = Response::new(Full::new(bytes.into()));
    *answered.status_mut() = status;
    answered.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    answered
}

fn json<T: Serialize>(status: StatusCode, value: &T) -> Answered {
    match serde_json::to_vec(value) {
        Ok(bytes) => whole(status, JSON, bytes),
        // Only maps with odd keys cannot be written, and there are none.
        Err(_) => whole(StatusCode::INTERNAL_SERVER_ERROR, JSON, "{}"),
    }
}
