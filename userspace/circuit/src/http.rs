// SPDX-License-Identifier: Apache-2.0 OR MIT
//! HTTP/1.1 without TLS: one request, and an endpoint for replies. Bodies and waits are bounded.

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HOST, HeaderName, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failed {
    /// The address of the server is none we can use.
    #[error("{0}")]
    Address(String),
    /// It was not reached: nothing was sent.
    #[error("{0}")]
    Connect(String),
    /// It was sent, but no whole answer came.
    #[error("{0}")]
    Broken(String),
    /// No answer in that many milliseconds.
    #[error("no answer in {0} ms")]
    Late(u64),
}

/// A request.
#[derive(Clone, Debug)]
pub struct Ask<'a> {
    /// GET, POST and so on.
    pub method: Method,
    /// `http://host:port/path`.
    pub url: &'a str,
    /// Headers beyond Host and Content-Type.
    pub headers: Vec<(&'static str, String)>,
    /// Type of the body; none: no body.
    pub kind: Option<&'static str>,
    /// Its body.
    pub body: Vec<u8>,
    /// Bound of the whole exchange.
    pub wait: Duration,
    /// Bound of the answer's body.
    pub most: usize,
}

/// Makes a request and returns the status and the body of its answer.
pub async fn ask(ask: Ask<'_>) -> Result<(StatusCode, Bytes), Failed> {
    let wait = ask.wait;
    let late = Failed::Late(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
    timeout(wait, exchange(ask)).await.unwrap_or(Err(late))
}

async fn exchange(ask: Ask<'_>) -> Result<(StatusCode, Bytes), Failed> {
    let address = |why: &str| Failed::Address(format!("`{}`: {why}", ask.url));
    let uri: Uri = ask.url.parse().map_err(|_| address("no URL"))?;
    if uri.scheme_str() != Some("http") {
        return Err(address("only http is spoken"));
    }
    let host = uri.host().ok_or_else(|| address("no host"))?;
    let port = uri.port_u16().unwrap_or(80);
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let connect = |error: std::io::Error| Failed::Connect(error.to_string());
    let stream = TcpStream::connect((bare, port)).await.map_err(connect)?;
    let broken = |error: hyper::Error| Failed::Broken(error.to_string());
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let driver = Driver(tokio::spawn(async move { drop(connection.await) }));
    let target = uri.path_and_query().map_or("/", |path| path.as_str());
    let mut request = Request::builder()
        .method(ask.method.clone())
        .uri(target)
        .header(HOST, format!("{host}:{port}"));
    if let Some(kind) = ask.kind {
        request = request.header(CONTENT_TYPE, kind);
    }
    for (name, value) in &ask.headers {
        let value =
            HeaderValue::from_str(value).map_err(|_| address("a header of odd characters"))?;
        request = request.header(HeaderName::from_static(name), value);
    }
    let request = request
        .body(Full::new(Bytes::from(ask.body.clone())))
        .map_err(|error| address(&error.to_string()))?;
    let response = sender.send_request(request).await.map_err(broken)?;
    let status = response.status();
    let body = collect(response.into_body(), ask.most).await.map_err(Failed::Broken)?;
    drop(driver);
    Ok((status, body))
}

/// The task of a connection; ends with what it serves.
struct Driver(JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn collect(body: Incoming, most: usize) -> Result<Bytes, String> {
    match Limited::new(body, most).collect().await {
        Ok(all) => Ok(all.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(format!("more than {most} bytes")),
        Err(error) => Err(error.to_string()),
    }
}

/// Bounds of an endpoint.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Connections at a time; more are closed.
    pub connections: usize,
    /// Bytes of a body.
    pub body: usize,
    /// The life of a connection.
    pub life: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { connections: 64, body: 4 << 20, life: Duration::from_secs(60) }
    }
}

/// An endpoint: ends when it is dropped.
#[derive(Debug)]
pub struct Endpoint {
    task: JoinHandle<()>,
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What came to the endpoint: a path and a body, or why it was not taken.
pub type Came = Result<(String, Bytes), String>;

/// Serves POST requests until it is dropped: `answer` says the status and the body of the answer.
/// `refused` is called for each connection beyond the bound.
pub fn serve<F, R>(
    listener: TcpListener,
    bounds: Bounds,
    kind: &'static str,
    answer: F,
    refused: R,
) -> Endpoint
where
    F: Fn(Came) -> (u16, String) + Send + Sync + 'static,
    R: Fn() + Send + 'static,
{
    let answer = Arc::new(answer);
    accept(listener, bounds, refused, move |stream| {
        let answer = answer.clone();
        let one = service_fn(move |request| one(request, bounds, kind, answer.clone()));
        let connection =
            hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), one);
        async move { drop(connection.await) }
    })
}

/// Takes connections and has `each` serve them, until the endpoint is dropped.
pub(crate) fn accept<C, S, R>(
    listener: TcpListener,
    bounds: Bounds,
    refused: R,
    each: C,
) -> Endpoint
where
    C: Fn(TcpStream) -> S + Send + 'static,
    S: Future<Output = ()> + Send + 'static,
    R: Fn() + Send + 'static,
{
    let places = Arc::new(Semaphore::new(bounds.connections));
    let task = tokio::spawn(async move {
        // Connections end with the endpoint.
        let mut open = tokio::task::JoinSet::new();
        loop {
            while open.try_join_next().is_some() {}
            let Ok((stream, _)) = listener.accept().await else {
                // Out of descriptors, most likely: others may close some.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            let Ok(place) = places.clone().try_acquire_owned() else {
                refused();
                continue;
            };
            let connection = each(stream);
            open.spawn(async move {
                let _ = timeout(bounds.life, connection).await;
                drop(place);
            });
        }
    });
    Endpoint { task }
}

async fn one<F: Fn(Came) -> (u16, String)>(
    request: Request<Incoming>,
    bounds: Bounds,
    kind: &'static str,
    answer: Arc<F>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    let came = if request.method() == Method::POST {
        collect(request.into_body(), bounds.body).await.map(|body| (path, body))
    } else {
        Err(format!("{} {path}", request.method()))
    };
    let (status, body) = answer(came);
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    Ok(response)
}
