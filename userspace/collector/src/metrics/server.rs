// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A server for three resources, `/metrics`, `/status` and `/ready`, and nothing else of HTTP.

use std::{io, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::timeout,
};

use super::render::View;

/// Connections served at a time; more are closed at once.
const CONNECTIONS: usize = 16;
/// Longest request head.
const HEAD: usize = 8 << 10;
/// Time for one request and its answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Serves `view` until the task is aborted.
pub async fn serve(listener: TcpListener, view: Arc<View>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Descriptors are out; the accept queue waits.
            view.metrics.metrics_requests_refused.inc();
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            view.metrics.metrics_requests_refused.inc();
            continue;
        };
        let view = Arc::clone(&view);
        tokio::spawn(async move {
            if !matches!(timeout(PATIENCE, answer(stream, &view)).await, Ok(Ok(()))) {
                view.metrics.metrics_requests_refused.inc();
            }
            drop(place);
        });
    }
}

async fn answer(mut stream: TcpStream, view: &View) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.windows(4).any(|w| w == b"\r\n\r\n") {
        if head.len() >= HEAD || stream.read_buf(&mut head).await? == 0 {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
    let (status, kind, body) = match resource(&head) {
        Some("/metrics") => {
            ("200 OK", "text/plain; version=0.0.4; charset=utf-8", view.prometheus())
        }
        Some("/status") => ("200 OK", "application/json", format!("{}\n", view.status())),
        // For those who route to this host: a drain is to be seen before its sockets close.
        Some("/ready") if view.metrics.draining.get() == 0 => {
            ("200 OK", "text/plain", "ready\n".to_owned())
        }
        Some("/ready") => ("503 Service Unavailable", "text/plain", "draining\n".to_owned()),
        Some(_) => ("404 Not Found", "text/plain", "try /metrics, /status or /ready\n".to_owned()),
        None => ("405 Method Not Allowed", "text/plain", "only GET\n".to_owned()),
    };
    let length = body.len();
    let reply = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n{body}"
    );
    stream.write_all(reply.as_bytes()).await?;
    stream.shutdown().await
}

/// The path of a GET request, without its query.
fn resource(head: &[u8]) -> Option<&str> {
    let line = head.split(|b| *b == b'\r').next()?;
    let mut words = std::str::from_utf8(line).ok()?.split(' ');
    if words.next() != Some("GET") {
        return None;
    }
    words.next()?.split('?').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_get_has_a_resource() {
        assert_eq!(resource(b"GET /metrics?x=1 HTTP/1.1\r\n\r\n"), Some("/metrics"));
        assert_eq!(resource(b"POST /metrics HTTP/1.1\r\n\r\n"), None);
        assert_eq!(resource(b"\xff\xff\r\n\r\n"), None);
    }
}
