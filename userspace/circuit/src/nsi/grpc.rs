// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Requests to the provider and its answers by gRPC, without TLS: one call a connection.

use crate::circuits::Notice;
use crate::error::Why;
use crate::http::{Bounds, Endpoint, accept};
use crate::nsi::desk::Desk;
use crate::nsi::message::{self, End, Reserve};
use crate::nsi::names::{TO_PROVIDER, TO_REQUESTER};
use crate::nsi::proto as p;
use crate::nsi::reply::{Body, Message, Notified, Odd, Summary, end, progress};
use crate::nsi::wire::{Ask, Sent};
use crate::time::At;
use bytes::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt, Full, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue, TE};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message as _;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

const KIND: &str = "application/grpc";
const PROVIDER: &str = "/connection.provider.ConnectionProvider/";
const REQUESTER: &str = "/connection.requester.ConnectionRequester/";
/// `INVALID_ARGUMENT` and `UNIMPLEMENTED`.
const INVALID: (u8, u8) = (3, 12);

/// The provider's end.
#[derive(Debug)]
pub(crate) struct Grpc {
    pub(crate) authority: String,
    pub(crate) most: usize,
}

/// A message with its flag (not compressed) and its length.
fn framed(message: &impl prost::Message) -> Bytes {
    let text = message.encode_to_vec();
    let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
    let mut frame = vec![0];
    frame.extend(length.to_be_bytes());
    frame.extend(text);
    frame.into()
}

fn unframed(frame: &[u8]) -> Result<&[u8], String> {
    let (head, text) = frame.split_at_checked(5).ok_or("shorter than its head")?;
    let length = [head[1], head[2], head[3], head[4]];
    match head[0] {
        0 if u32::from_be_bytes(length) as usize == text.len() => Ok(text),
        0 => Err("not of its length".to_owned()),
        _ => Err("compressed".to_owned()),
    }
}

/// `reserveCommit` as `ReserveCommit`.
fn capital(name: &str) -> String {
    let mut letters = name.chars();
    letters
        .next()
        .map_or(String::new(), |first| first.to_ascii_uppercase().to_string() + letters.as_str())
}

impl Grpc {
    pub(crate) async fn send(
        &self,
        name: &str,
        header: &message::Header<'_>,
        ask: &Ask<'_>,
        wait_ms: u64,
    ) -> Sent {
        let header = Some(p::Header {
            protocol_version: TO_PROVIDER.to_owned(),
            correlation_id: header.correlation.to_owned(),
            requester_nsa: header.requester.to_owned(),
            provider_nsa: header.provider.to_owned(),
            reply_to: header.reply_to.unwrap_or_default().to_owned(),
        });
        let frame = match ask {
            Ask::Reserve(reserve) => framed(&reserve_request(header, reserve)),
            Ask::Of(connection) => {
                framed(&p::OfConnection { header, connection_id: (*connection).to_owned() })
            }
            Ask::Query(connection) => {
                let connection_id = connection.iter().map(|one| (*one).to_owned()).collect();
                framed(&p::QueryRequest { header, connection_id })
            }
        };
        let path = format!("{PROVIDER}{}", capital(name));
        let wait = Duration::from_millis(wait_ms);
        match timeout(wait, self.unary(&path, frame)).await {
            Ok(Ok(text)) => match said(ask, &text) {
                Ok(body) => Sent::Said(body),
                Err(why) => Sent::Not(why),
            },
            Ok(Err(sent)) => sent,
            Err(_) => Sent::Unsure(Why::Silent(wait_ms)),
        }
    }

    async fn unary(&self, path: &str, frame: Bytes) -> Result<Vec<u8>, Sent> {
        let unreachable = |error: std::io::Error| Sent::Not(Why::Unreachable(error.to_string()));
        let broken = |error: hyper::Error| Sent::Unsure(Why::Garbled(error.to_string()));
        let odd = |said: String| Sent::Not(Why::Garbled(said));
        let stream = TcpStream::connect(&self.authority).await.map_err(unreachable)?;
        let io = TokioIo::new(stream);
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), io)
                .await
                .map_err(broken)?;
        let driver = tokio::spawn(async move { drop(connection.await) });
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("http://{}{path}", self.authority))
            .header(CONTENT_TYPE, KIND)
            .header(TE, "trailers")
            .body(Full::new(frame))
            .map_err(|error| odd(error.to_string()))?;
        let response = sender.send_request(request).await.map_err(broken)?;
        let status = response.status();
        let at_once = response.headers().clone();
        let collected = Limited::new(response.into_body(), self.most).collect().await;
        driver.abort();
        let collected = collected.map_err(|error| Sent::Unsure(Why::Garbled(error.to_string())))?;
        let trailers = collected.trailers().cloned().unwrap_or(at_once);
        let field = |name: &str| trailers.get(name).and_then(|value| value.to_str().ok());
        match (status, field("grpc-status")) {
            (StatusCode::OK, Some("0")) => {}
            (_, Some(code)) => {
                let text = field("grpc-message").unwrap_or_default();
                return Err(Sent::Not(Why::Refused(format!("gRPC status {code}: {text}"))));
            }
            (status, None) => return Err(odd(format!("HTTP {status} without a gRPC status"))),
        }
        let body = collected.to_bytes();
        unframed(&body).map(<[u8]>::to_vec).map_err(|why| odd(format!("a frame {why}")))
    }
}

/// What the provider said at once.
fn said(ask: &Ask<'_>, text: &[u8]) -> Result<Body, Why> {
    let garbled = |error: prost::DecodeError| Why::Garbled(error.to_string());
    let refused = |exception: &Option<p::Exception>| {
        // An empty one is none: not every language can leave it out.
        exception
            .as_ref()
            .filter(|one| **one != p::Exception::default())
            .map(|one| Why::Refused(words(one)))
    };
    match ask {
        Ask::Reserve(_) => {
            let said = p::ReserveResponse::decode(text).map_err(garbled)?;
            refused(&said.service_exception).map_or(Ok(Body::Response(said.connection_id)), Err)
        }
        Ask::Of(_) => {
            let said = p::Response::decode(text).map_err(garbled)?;
            refused(&said.service_exception).map_or(Ok(Body::Acknowledged), Err)
        }
        Ask::Query(_) => {
            let said = p::QueryConfirmed::decode(text).map_err(garbled)?;
            Ok(Body::Summary(said.reservation.iter().map(summary).collect()))
        }
    }
}

fn stamp(at: At) -> p::Timestamp {
    let seconds = i64::try_from(at.0 / 1000).unwrap_or(i64::MAX);
    let nanos = i32::try_from(at.0 % 1000 * 1_000_000).unwrap_or(0);
    p::Timestamp { seconds, nanos }
}

fn reserve_request(header: Option<p::Header>, reserve: &Reserve<'_>) -> p::ReserveRequest {
    let criteria = &reserve.criteria;
    // There is no nil here: no end and an end as it was look alike.
    let end_time = match criteria.end {
        End::Unsaid | End::Never => None,
        End::At(end) => Some(stamp(end)),
    };
    let mbps = |capacity| i64::try_from(capacity).unwrap_or(i64::MAX);
    let (service_type, ptps) = match &criteria.service {
        // A change must say the capacity, or it is 0 afterwards, and nothing else of the service.
        None => {
            let kept =
                |capacity| p::PointToPoint { capacity: mbps(capacity), ..Default::default() };
            (String::new(), criteria.kept.map(kept))
        }
        Some((kind, service)) => {
            let ptps = p::PointToPoint {
                capacity: mbps(service.capacity),
                directionality: i32::from(service.one_way),
                symmetric_path: service.symmetric.unwrap_or(false),
                source_stp: service.source.to_owned(),
                dest_stp: service.dest.to_owned(),
                eros: service.ero.to_vec(),
            };
            ((*kind).to_owned(), Some(ptps))
        }
    };
    p::ReserveRequest {
        header,
        connection_id: reserve.connection.unwrap_or_default().to_owned(),
        global_reservation_id: reserve.global.unwrap_or_default().to_owned(),
        description: reserve.description.unwrap_or_default().to_owned(),
        criteria: Some(p::Criteria {
            version: i32::try_from(criteria.version).unwrap_or(i32::MAX),
            schedule: Some(p::Schedule { start_time: criteria.start.map(stamp), end_time }),
            service_type,
            ptps,
        }),
    }
}

fn summary(one: &p::QueryResult) -> Summary {
    const RESERVATION: [&str; 7] = [
        "ReserveStart",
        "ReserveChecking",
        "ReserveFailed",
        "ReserveAborting",
        "ReserveHeld",
        "ReserveCommitting",
        "ReserveTimeout",
    ];
    const PROVISION: [&str; 4] = ["Released", "Provisioning", "Provisioned", "Releasing"];
    const LIFECYCLE: [&str; 5] =
        ["Created", "Failed", "PassedEndTime", "Terminating", "Terminated"];
    // A number not known says nothing, as a word not known in SOAP.
    let name = |names: &[&'static str], number: i32| {
        usize::try_from(number).ok().and_then(|at| names.get(at)).copied().unwrap_or_default()
    };
    let states = one.connection_states.clone().unwrap_or_default();
    let provision = name(&PROVISION, states.provision_state);
    let criteria = one.criteria.iter().max_by_key(|criteria| criteria.version);
    let capacity =
        criteria.and_then(|criteria| criteria.ptps.as_ref()).map_or(0, |ptps| ptps.capacity);
    let schedule = criteria.and_then(|criteria| criteria.schedule.as_ref());
    let until = schedule.and_then(|schedule| schedule.end_time.as_ref());
    Summary {
        connection: one.connection_id.clone(),
        description: one.description.clone(),
        version: criteria.map_or(0, |criteria| criteria.version.into()),
        capacity: u64::try_from(capacity).unwrap_or(0),
        until: until.and_then(|until| end(until.seconds, until.nanos)),
        seen: progress(
            name(&RESERVATION, states.reservation_state),
            provision,
            name(&LIFECYCLE, states.lifecycle_state),
            states.data_plane_status.is_some_and(|status| status.active),
            criteria.is_some(),
        ),
        provisioned: provision.starts_with("Provision"),
    }
}

fn words(exception: &p::Exception) -> String {
    let mut said = format!("{}: {} {}", exception.nsa_id, exception.error_id, exception.text);
    for child in &exception.child_exception {
        said.push_str(&format!(" [{}]", words(child)));
    }
    said
}

/// Serves the provider's calls until it is dropped.
pub(crate) fn serve(
    listener: TcpListener,
    bounds: Bounds,
    desk: Desk,
    refused: impl Fn() + Send + 'static,
) -> Endpoint {
    let desk = Arc::new(desk);
    // A provider may keep one connection for all its calls.
    let bounds = Bounds { life: Duration::from_secs(86_400), ..bounds };
    accept(listener, bounds, refused, move |stream| {
        let desk = desk.clone();
        let one = service_fn(move |request| one(request, bounds.body, desk.clone()));
        let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
            .max_concurrent_streams(64)
            .serve_connection(TokioIo::new(stream), one);
        async move { drop(connection.await) }
    })
}

type Answer = StreamBody<stream::Iter<std::vec::IntoIter<Result<Frame<Bytes>, Infallible>>>>;

async fn one(
    request: Request<Incoming>,
    most: usize,
    desk: Arc<Desk>,
) -> Result<Response<Answer>, Infallible> {
    let path = request.uri().path().to_owned();
    let body = Limited::new(request.into_body(), most).collect().await;
    let body = body.map(|body| body.to_bytes()).map_err(|error| error.to_string());
    let taken = body.and_then(|body| {
        let text = unframed(&body)?;
        let name = path.strip_prefix(REQUESTER).ok_or("no method of a requester")?;
        message_of(name, text).map_err(|odd| odd.to_string())
    });
    let (frame, status) = match taken {
        Ok((header, message)) => {
            desk.mailbox.take(message);
            let header = p::Header {
                protocol_version: TO_REQUESTER.to_owned(),
                reply_to: String::new(),
                ..header
            };
            let answer = p::Response { header: Some(header), service_exception: None };
            (Some(Frame::data(framed(&answer))), HeaderValue::from_static("0"))
        }
        Err(said) => {
            crate::counters::count(&desk.counters.bad_messages);
            let code = if path.starts_with(REQUESTER) { INVALID.0 } else { INVALID.1 };
            drop(said);
            (None, HeaderValue::from(u16::from(code)))
        }
    };
    let trailers = Frame::trailers(HeaderMap::from_iter([(
        hyper::header::HeaderName::from_static("grpc-status"),
        status,
    )]));
    let frames: Vec<Result<Frame<Bytes>, Infallible>> =
        frame.into_iter().chain([trailers]).map(Ok).collect();
    let mut response = Response::new(StreamBody::new(stream::iter(frames)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(KIND));
    Ok(response)
}

/// A call of the provider as a message.
fn message_of(name: &str, text: &[u8]) -> Result<(p::Header, Message), Odd> {
    let odd =
        |error: prost::DecodeError| Odd::Value { element: "message", said: error.to_string() };
    let exception =
        |one: Option<p::Exception>| one.map_or("no reason given".to_owned(), |one| words(&one));
    let notified = |one: Option<p::Notification>, notice| {
        let one =
            one.filter(|one| !one.connection_id.is_empty()).ok_or(Odd::Missing("notification"))?;
        let (connection, number) = (one.connection_id, one.notification_id);
        let stamp =
            one.time_stamp.and_then(|stamp| jiff::Timestamp::new(stamp.seconds, stamp.nanos).ok());
        Ok::<_, Odd>(Body::Notified(Notified { connection, number, stamp, notice }))
    };
    let (header, body) = match name {
        "ReserveConfirmed"
        | "ReserveCommitConfirmed"
        | "ReserveAbortConfirmed"
        | "ProvisionConfirmed"
        | "ReleaseConfirmed"
        | "TerminateConfirmed" => {
            let one = p::OfConnection::decode(text).map_err(odd)?;
            let small = name.get(..1).unwrap_or_default().to_ascii_lowercase()
                + name.get(1..).unwrap_or_default();
            (one.header, Body::Confirmed(small, one.connection_id))
        }
        "ReserveFailed" | "ReserveCommitFailed" => {
            let one = p::Failed::decode(text).map_err(odd)?;
            (one.header, Body::Failed(one.connection_id, exception(one.service_exception)))
        }
        "Error" => {
            let one = p::Response::decode(text).map_err(odd)?;
            (one.header, Body::Error(exception(one.service_exception)))
        }
        "ErrorEvent" => {
            let one = p::ErrorEvent::decode(text).map_err(odd)?;
            let said = Notice::Error(exception(one.service_exception));
            (one.header, notified(one.notification, said)?)
        }
        "ReserveTimeout" => {
            let one = p::Notified::decode(text).map_err(odd)?;
            (one.header, notified(one.notification, Notice::HoldExpired)?)
        }
        "DataPlaneStateChange" => {
            let one = p::DataPlane::decode(text).map_err(odd)?;
            let active = one.data_plane_status.is_some_and(|status| status.active);
            let notice = if active { Notice::Active } else { Notice::Inactive };
            (one.header, notified(one.notification, notice)?)
        }
        "MessageDeliveryTimeout" => {
            let one = p::Undelivered::decode(text).map_err(odd)?;
            (None, Body::Undelivered(one.correlation_id))
        }
        other => return Err(Odd::Unknown(other.to_owned())),
    };
    let header = header.unwrap_or_default();
    let correlation = Some(header.correlation_id.clone()).filter(|text| !text.is_empty());
    Ok((header, Message { correlation, body }))
}
