// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Which names the server answers to. A web page of somebody else can have its own name lead to this
//! server (DNS rebinding): the browser of whoever looks at it then takes the server for a part of that
//! page, and lets it read what is served. The name is in the request all the same, so requests by names
//! nobody has told us of are refused. An address cannot be made to lead elsewhere.

use hyper::header::{HOST, HeaderMap};
use hyper::http::uri::{Authority, Uri};
use std::net::IpAddr;

/// The name that always leads here.
const LOCAL: &str = "localhost";

/// The names of a server beside its addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hosts(Vec<String>);

impl Hosts {
    /// These, and `localhost`.
    pub fn new(names: &[String]) -> Self {
        let plain = |name: &String| name.trim_end_matches('.').to_ascii_lowercase();
        Self(names.iter().map(plain).collect())
    }

    /// Whether a request to all that it names is for us; if it names nothing, it is not.
    pub(crate) fn are_meant(&self, uri: &Uri, headers: &HeaderMap) -> bool {
        let told = headers.get_all(HOST).iter().map(|value| value.to_str().unwrap_or_default());
        let mut all = told.chain(uri.authority().map(Authority::as_str)).peekable();
        all.peek().is_some() && all.all(|one| self.has(one))
    }

    fn has(&self, authority: &str) -> bool {
        let Ok(authority) = authority.parse::<Authority>() else { return false };
        if authority.as_str().contains('@') {
            return false;
        }
        let host = authority.host().trim_end_matches('.');
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        bare.parse::<IpAddr>().is_ok()
            || host.eq_ignore_ascii_case(LOCAL)
            || self.0.iter().any(|name| host.eq_ignore_ascii_case(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    #[test]
    fn addresses_and_own_names_are_meant_and_no_other() {
        let hosts = Hosts::new(&["Loop.Example.".to_owned()]);
        for good in [
            "127.0.0.1:8642",
            "127.0.0.1",
            "[::1]:8642",
            "192.0.2.7",
            "localhost",
            "LocalHost:80",
            "loop.example",
            "LOOP.example.:8642",
        ] {
            assert!(hosts.has(good), "{good}");
        }
        for bad in [
            "",
            "evil.example",
            "evil.example:8642",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "evil.example@127.0.0.1",
            "x loop.example",
            "example",
        ] {
            assert!(!hosts.has(bad), "{bad}");
        }
    }

    #[test]
    fn each_place_that_names_a_host_counts() {
        let hosts = Hosts::default();
        let meant = |uri: &'static str, told: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for one in told {
                headers.append(HOST, HeaderValue::from_static(one));
            }
            hosts.are_meant(&Uri::from_static(uri), &headers)
        };
        assert!(meant("/", &["localhost"]));
        assert!(meant("http://127.0.0.1/", &["localhost"]));
        assert!(!meant("/", &[]));
        assert!(!meant("/", &["localhost", "evil.example"]));
        assert!(!meant("http://evil.example/", &["localhost"]));
    }
}
