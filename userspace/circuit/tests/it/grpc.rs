// SPDX-License-Identifier: Apache-2.0 OR MIT
//! NSI over gRPC against a provider whose messages are written and read by hand, with the field
//! numbers of the public definitions.

use crate::nsi_mock::{PROVIDER, REQUESTER};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{HeaderMap, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use telesteer_circuit::circuits::{Circuits, Held, Id, Notice, Seen};
use telesteer_circuit::clock::now;
use telesteer_circuit::nsi::client::{Nsi, Settings};
use telesteer_circuit::request::{Best, Excess, Name, Pair, Rate, Request as Asked};
use telesteer_circuit::time::{At, Span};
use tokio::net::{TcpListener, TcpStream};

/// A field: its number, and a number or bytes.
#[derive(Clone, Debug, PartialEq)]
enum Value {
    Number(u64),
    Bytes(Vec<u8>),
}

fn varint(mut n: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while n >= 0x80 {
        bytes.push((n & 0x7f) as u8 | 0x80);
        n >>= 7;
    }
    bytes.push(n as u8);
    bytes
}

fn text(field: u64, text: impl AsRef<[u8]>) -> Vec<u8> {
    let text = text.as_ref();
    [varint(field << 3 | 2), varint(text.len() as u64), text.to_vec()].concat()
}

fn number(field: u64, n: u64) -> Vec<u8> {
    [varint(field << 3), varint(n)].concat()
}

fn fields(mut bytes: &[u8]) -> BTreeMap<u64, Value> {
    let mut found = BTreeMap::new();
    let read = |bytes: &mut &[u8]| {
        let (mut n, mut shift) = (0, 0);
        loop {
            let byte = bytes[0];
            *bytes = &bytes[1..];
            n |= u64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 {
                return n;
            }
        }
    };
    while !bytes.is_empty() {
        let key = read(&mut bytes);
        let value = read(&mut bytes);
        if key & 7 == 0 {
            found.insert(key >> 3, Value::Number(value));
        } else {
            assert_eq!(key & 7, 2);
            let (head, tail) = bytes.split_at(value as usize);
            found.insert(key >> 3, Value::Bytes(head.to_vec()));
            bytes = tail;
        }
    }
    found
}

fn string(fields: &BTreeMap<u64, Value>, field: u64) -> String {
    match fields.get(&field) {
        Some(Value::Bytes(bytes)) => String::from_utf8(bytes.clone()).unwrap(),
        None => String::new(),
        other => panic!("{other:?}"),
    }
}

fn inner(fields_: &BTreeMap<u64, Value>, field: u64) -> BTreeMap<u64, Value> {
    match fields_.get(&field) {
        Some(Value::Bytes(bytes)) => fields(bytes),
        other => panic!("{other:?}"),
    }
}

fn frame(message: &[u8]) -> Bytes {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[0][..], &length, message].concat().into()
}

#[derive(Default)]
struct State {
    requests: Vec<(String, BTreeMap<u64, Value>)>,
    description: String,
    states: (u64, u64, u64, bool),
    /// Version and end.
    newest: (u64, u64),
    refuse: bool,
    acknowledged: u32,
}

#[derive(Clone)]
struct Mock {
    state: Arc<Mutex<State>>,
}

type Body =
    StreamBody<futures_util::stream::Iter<std::vec::IntoIter<Result<Frame<Bytes>, Infallible>>>>;

impl Mock {
    async fn start() -> (Self, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let here = listener.local_addr().unwrap();
        let mock = Self { state: Arc::default() };
        let desk = mock.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let desk = desk.clone();
                tokio::spawn(async move {
                    let one = service_fn(move |request| desk.clone().answer(request));
                    let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                        .serve_connection(TokioIo::new(stream), one)
                        .await;
                });
            }
        });
        (mock, here)
    }

    async fn answer(self, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
        assert_eq!(request.headers()["content-type"], "application/grpc");
        assert_eq!(request.headers()["te"], "trailers");
        let path = request.uri().path().to_owned();
        let name =
            path.strip_prefix("/connection.provider.ConnectionProvider/").unwrap().to_owned();
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let asked = fields(&body[5..]);
        let header = inner(&asked, 1);
        self.state.lock().unwrap().requests.push((name.clone(), asked.clone()));
        let (answer, status) = self.reply(&name, &asked);
        let mock = self.clone();
        if status == "0" && name != "QuerySummarySync" {
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(5)).await;
                mock.later(&name, &string(&header, 5), &string(&header, 2)).await;
            });
        }
        let trailers = HeaderMap::from_iter([
            (
                hyper::header::HeaderName::from_static("grpc-status"),
                HeaderValue::from_static(status),
            ),
            (
                hyper::header::HeaderName::from_static("grpc-message"),
                HeaderValue::from_static("as said"),
            ),
        ]);
        let frames = vec![Ok(Frame::data(frame(&answer))), Ok(Frame::trailers(trailers))];
        let mut response = Response::new(StreamBody::new(futures_util::stream::iter(frames)));
        response.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
        Ok(response)
    }

    fn reply(&self, name: &str, asked: &BTreeMap<u64, Value>) -> (Vec<u8>, &'static str) {
        let mut state = self.state.lock().unwrap();
        match name {
            "Reserve" if state.refuse => {
                let exception =
                    [text(1, PROVIDER), text(4, "00101"), text(5, "PAYLOAD_ERROR")].concat();
                (text(3, exception), "0")
            }
            "Reserve" if !string(asked, 2).is_empty() => {
                let criteria = inner(asked, 5);
                let end = inner(&inner(&criteria, 2), 2).get(&1).cloned();
                let (Some(Value::Number(version)), Some(Value::Number(end))) =
                    (criteria.get(&1).cloned(), end)
                else {
                    return (Vec::new(), "3");
                };
                state.newest = (version, end);
                (text(2, "c-1"), "0")
            }
            "Reserve" => {
                state.newest = (1, 1_900_000_000);
                state.description = string(asked, 4);
                state.states = (4, 0, 0, false);
                (text(2, "c-1"), "0")
            }
            "QuerySummarySync" if state.description.is_empty() => (Vec::new(), "0"),
            "QuerySummarySync" => {
                let (version, end) = state.newest;
                let end = text(2, number(1, end));
                let criteria = [number(1, version), text(2, end), text(5, number(1, 100))].concat();
                let (reservation, provision, lifecycle, active) = state.states;
                let status = number(1, u64::from(active));
                let states = [
                    number(1, reservation),
                    number(2, provision),
                    number(3, lifecycle),
                    text(4, status),
                ]
                .concat();
                let one = [
                    text(1, "c-1"),
                    text(3, &state.description),
                    text(4, criteria),
                    text(5, REQUESTER),
                    text(6, states),
                ];
                (text(2, one.concat()), "0")
            }
            "Release" => (Vec::new(), "13"),
            _ => {
                state.states = match name {
                    "ReserveCommit" if state.states.1 == 2 => state.states,
                    "ReserveCommit" => (0, 0, 0, false),
                    "Provision" => (0, 2, 0, true),
                    _ => (0, 0, 4, false),
                };
                (Vec::new(), "0")
            }
        }
    }

    async fn later(&self, name: &str, reply_to: &str, correlation: &str) {
        if self.state.lock().unwrap().refuse {
            return;
        }
        let header = text(1, text(2, correlation));
        self.tell(
            reply_to,
            &format!("{name}Confirmed"),
            &[header.clone(), text(2, "c-1")].concat(),
        )
        .await;
        if name == "Provision" {
            let notification = [text(1, "c-1"), number(2, 1)].concat();
            let change = [header, text(2, notification), text(3, number(1, 1))].concat();
            self.tell(reply_to, "DataPlaneStateChange", &change).await;
        }
    }

    async fn tell(&self, reply_to: &str, name: &str, message: &[u8]) {
        let authority = reply_to.strip_prefix("grpc://").unwrap().trim_end_matches('/');
        let stream = TcpStream::connect(authority).await.unwrap();
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
                .await
                .unwrap();
        tokio::spawn(connection);
        let request = Request::post(format!(
            "http://{authority}/connection.requester.ConnectionRequester/{name}"
        ))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Full::new(frame(message)))
        .unwrap();
        let answer =
            sender.send_request(request).await.unwrap().into_body().collect().await.unwrap();
        assert_eq!(answer.trailers().unwrap()["grpc-status"], "0");
        assert_eq!(answer.to_bytes()[0], 0);
        self.state.lock().unwrap().acknowledged += 1;
    }
}

#[tokio::test]
async fn a_whole_life_over_grpc() {
    let (mock, here) = Mock::start().await;
    let text = format!(
        "provider-url = 'grpc://{here}'\nprovider-nsa = '{PROVIDER}'\nrequester-nsa = '{REQUESTER}'\nlisten = '127.0.0.1:0'\n\
         answer-ms = 2000\n[stp]\nr0 = 'urn:ogf:network:a:x?vlan=1'\nr1 = 'urn:ogf:network:a:y?vlan=2'\n"
    );
    let settings: Settings = toml::from_str(&text).unwrap();
    let nsi = Nsi::start(settings, Arc::default()).await.unwrap();
    let at = now();
    let name = Name::of(&Pair::new("r0", "r1"), at).unwrap();
    let rate = Rate::Specified { mbps: 100, excess: Excess::BestEffort };
    let span = Span { from: at, until: Some(at.plus(3_600_000)) };
    let request =
        Asked { name: name.clone(), rate, span, best: Best::Hops, off_ip_path: false, both: true };

    mock.state.lock().unwrap().refuse = true;
    let refused = nsi.reserve(&request).await.unwrap_err().to_string();
    assert!(refused.ends_with(&format!("refused: {PROVIDER}: 00101 PAYLOAD_ERROR")), "{refused}");
    mock.state.lock().unwrap().refuse = false;

    let Held { id, .. } = nsi.reserve(&request).await.unwrap();
    assert_eq!(id, Id("c-1".into()));
    assert_eq!(nsi.list().await.unwrap()[0].seen, Seen::Held);
    nsi.commit(&id).await.unwrap();
    nsi.provision(&id).await.unwrap();
    let end = std::time::Instant::now() + Duration::from_secs(20);
    while nsi.notices().await.unwrap() != [(id.clone(), Notice::Active)] {
        assert!(std::time::Instant::now() < end);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let one = nsi.list().await.unwrap().remove(0);
    assert_eq!((one.seen, one.rate, one.name), (Seen::Up, rate, Some(name.clone())));
    let until = At(at.0 / 1000 * 1000).plus(7_200_000);
    nsi.extend(&id, Some(until)).await.unwrap();
    let one = nsi.list().await.unwrap().remove(0);
    assert_eq!((one.seen, one.rate, one.until), (Seen::Up, rate, Some(until)));
    let refused = nsi.release(&id).await.unwrap_err().to_string();
    assert!(refused.ends_with("refused: gRPC status 13: as said"), "{refused}");
    nsi.terminate(&id).await.unwrap();
    assert_eq!(nsi.list().await.unwrap(), []);

    let state = mock.state.lock().unwrap();
    assert!(state.acknowledged >= 4);
    let mut reserves = state.requests.iter().rev().filter(|(name, _)| name == "Reserve");
    // A change must say the capacity, or it is 0 afterwards, and must not say what cannot change.
    let (_, change) = reserves.next().unwrap();
    assert_eq!((string(change, 2), string(change, 4)), ("c-1".into(), String::new()));
    let criteria = inner(change, 5);
    assert_eq!((&criteria[&1], criteria.get(&3)), (&Value::Number(2), None));
    assert_eq!(inner(&criteria, 4), BTreeMap::from([(1, Value::Number(100))]));
    let (_, reserve) = reserves.next().unwrap();
    let header = inner(reserve, 1);
    assert_eq!(string(&header, 1), "application/vnd.ogf.nsi.cs.v2.provider+soap");
    assert_eq!((string(&header, 3), string(&header, 4)), (REQUESTER.into(), PROVIDER.into()));
    assert_eq!((string(reserve, 2), string(reserve, 4)), (String::new(), name.to_string()));
    let criteria = inner(reserve, 5);
    assert_eq!(criteria[&1], Value::Number(1));
    let schedule = inner(&criteria, 2);
    assert!(!schedule.contains_key(&1), "it begins now");
    assert_eq!(inner(&schedule, 2)[&1], Value::Number(at.plus(3_600_000).0 / 1000));
    let ptps = inner(&criteria, 4);
    assert_eq!(ptps[&1], Value::Number(100));
    assert_eq!(string(&ptps, 4), "urn:ogf:network:a:x?vlan=1");
    assert_eq!(string(&ptps, 5), "urn:ogf:network:a:y?vlan=2");
    let (_, commit) = state.requests.iter().find(|(name, _)| name == "ReserveCommit").unwrap();
    assert_eq!(string(commit, 2), "c-1");
}
