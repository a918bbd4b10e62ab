// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Bodies of requests: JSON, in time, and not too long.

use crate::http::bounds::Bounds;
use crate::http::problem::Problem;
use http_body_util::BodyExt;
use hyper::StatusCode;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderMap};
use hyper::http::request::Parts;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

/// How much of a body that is too long is read and dropped, so that its sender gets to read the answer
/// instead of a reset.
const DROPPED: usize = 1 << 20;

/// Reads a body of `application/json`.
///
/// # Errors
///
/// If it is of another kind, slow, too long, broken off, or not what is asked for.
pub(crate) async fn read_json<T: DeserializeOwned>(
    parts: &Parts,
    body: Incoming,
    bounds: &Bounds,
) -> Result<T, Problem> {
    if !is_json(&parts.headers) {
        let detail = "a body is application/json";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not_json", detail));
    }
    let bytes = match timeout(bounds.body_wait, read(body, bounds.body_bytes)).await {
        Ok(result) => result?,
        Err(_) => {
            let detail = format!("the body did not come within {:?}", bounds.body_wait);
            return Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "slow_body", detail));
        }
    };
    serde_json::from_slice(&bytes).map_err(|error| {
        let detail = format!("the body is not what is asked for: {error}");
        Problem::new(StatusCode::BAD_REQUEST, "bad_body", detail)
    })
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default();
    kind.trim().eq_ignore_ascii_case("application/json")
}

async fn read(mut body: Incoming, most: usize) -> Result<Vec<u8>, Problem> {
    let (mut kept, mut seen) = (Vec::new(), 0usize);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            let detail = format!("the body broke off: {error}");
            Problem::new(StatusCode::BAD_REQUEST, "bad_body", detail)
        })?;
        let Ok(data) = frame.into_data() else { continue };
        seen = seen.saturating_add(data.len());
        if seen <= most {
            kept.extend_from_slice(&data);
        } else if seen > most.saturating_add(DROPPED) {
            break;
        }
    }
    if seen > most {
        let detail = format!("a body has at most {most} bytes");
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "large_body", detail));
    }
    Ok(kept)
}
