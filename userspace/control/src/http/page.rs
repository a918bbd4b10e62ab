// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The status page: one document that asks this server for `/status.json` each second, and nobody else
//! for anything.

use crate::http::desk::{Answered, whole};
use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::{CONTENT_SECURITY_POLICY, HeaderValue};
use sha2::{Digest, Sha256};

const HTML: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/page.css");
const SCRIPTS: [&str; 4] = [
    include_str!("page/element.js"),
    include_str!("page/network.js"),
    include_str!("page/delays.js"),
    include_str!("page/page.js"),
];

/// Where the document has its style and its script.
const PLACES: [&str; 2] = ["/*style*/", "/*script*/"];

/// The document, and what a browser may do with it.
#[derive(Debug)]
pub(crate) struct Page {
    html: Bytes,
    policy: String,
}

impl Page {
    pub(crate) fn new() -> Self {
        let script = SCRIPTS.concat();
        let html = HTML.replace(PLACES[0], STYLE).replace(PLACES[1], &script);
        // Only this style and this script: nothing that comes from flow records or tickets can be one.
        let policy = format!(
            "default-src 'none'; style-src '{}'; script-src '{}'; connect-src 'self'; \
             img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
            source(STYLE),
            source(&script)
        );
        Self { html: html.into(), policy }
    }

    pub(crate) fn answer(&self) -> Answered {
        let mut answered = whole(StatusCode::OK, "text/html; charset=utf-8", self.html.clone());
        if let Ok(policy) = HeaderValue::try_from(&self.policy) {
            answered.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
        }
        answered
    }
}

/// Names a text by its hash, as CSP level 2 does.
fn source(text: &str) -> String {
    let hash: [u8; 32] = Sha256::digest(text.as_bytes()).into();
    format!("sha256-{}", base64(&hash))
}

/// RFC 4648, section 4.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let bits = three.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte));
        let bits = bits << (8 * (3 - three.len()));
        for place in 0..4 {
            let digit = (bits >> (18 - 6 * place)) as usize & 63;
            let there = place <= three.len();
            text.push(if there { char::from(DIGITS[digit]) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_rfc() {
        // RFC 4648, section 10.
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
        assert_eq!(base64(&[0xfb, 0xff]), "+/8=");
    }

    #[test]
    fn the_document_is_whole_and_asks_nobody_else() {
        let page = Page::new();
        let html = std::str::from_utf8(&page.html).unwrap();
        for place in PLACES {
            assert_eq!(HTML.matches(place).count(), 1, "{place}");
            assert!(!html.contains(place), "{place}");
        }
        // Names come from networks and holders: they go in as text, by no call that reads markup.
        let markup =
            ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "DOMParser"];
        let others = ["http://", "https://", " style=", " onclick=", "eval("];
        for odd in markup.into_iter().chain(others) {
            let found = html.replace("http://www.w3.org/2000/svg", "").contains(odd);
            assert!(!found, "{odd}");
        }
        assert!(page.policy.contains("default-src 'none'"), "{}", page.policy);
        assert!(HeaderValue::try_from(&page.policy).is_ok());
    }
}
