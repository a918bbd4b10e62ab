// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What is served where.

use hyper::Method;

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// The status page.
    Page,
    /// The description of the interface.
    OpenApi,
    /// The view behind the page.
    Status,
    /// Metrics.
    Metrics,
    /// The audit log.
    Audit,
    /// Tickets of the holder.
    List,
    /// A new ticket.
    Create,
    /// A ticket.
    Show,
    /// A later end.
    Extend,
    /// An end now.
    Cancel,
}

/// A place, and what is there.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    /// As in HTTP.
    pub method: &'static str,
    /// With `{id}` where a ticket is named.
    pub path: &'static str,
    /// What is there.
    pub call: Call,
}

const fn route(method: &'static str, path: &'static str, call: Call) -> Route {
    Route { method, path, call }
}

/// All of them; where GET is served, HEAD is.
pub const ROUTES: [Route; 10] = [
    route("GET", "/", Call::Page),
    route("GET", "/openapi.json", Call::OpenApi),
    route("GET", "/status.json", Call::Status),
    route("GET", "/metrics", Call::Metrics),
    route("GET", "/audit", Call::Audit),
    route("GET", "/api/v1/tickets", Call::List),
    route("POST", "/api/v1/tickets", Call::Create),
    route("GET", "/api/v1/tickets/{id}", Call::Show),
    route("DELETE", "/api/v1/tickets/{id}", Call::Cancel),
    route("POST", "/api/v1/tickets/{id}/extend", Call::Extend),
];

/// Nothing is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Nothing {
    /// No such path.
    Path,
    /// Not by this method; by these.
    Method(Vec<&'static str>),
}

impl Call {
    /// Whether a token is needed.
    pub fn is_of_holder(self) -> bool {
        matches!(self, Self::List | Self::Create | Self::Show | Self::Extend | Self::Cancel)
    }
}

/// Finds what a request is for, and the text in place of `{id}`.
///
/// # Errors
///
/// If nothing is there.
pub fn find<'p>(method: &Method, path: &'p str) -> Result<(Call, &'p str), Nothing> {
    let method = if method == Method::HEAD { &Method::GET } else { method };
    let mut methods = Vec::new();
    for route in ROUTES {
        let Some(id) = fits(route.path, path) else { continue };
        if route.method == method.as_str() {
            return Ok((route.call, id));
        }
        methods.push(route.method);
    }
    if methods.contains(&"GET") {
        methods.push("HEAD");
    }
    Err(if methods.is_empty() { Nothing::Path } else { Nothing::Method(methods) })
}

/// The text in place of `{id}`, empty if the pattern has none; `None` if the path is another.
fn fits<'p>(pattern: &str, path: &'p str) -> Option<&'p str> {
    let Some((before, after)) = pattern.split_once("{id}") else {
        return (pattern == path).then_some("");
    };
    let id = path.strip_prefix(before)?.strip_suffix(after)?;
    (!id.is_empty() && !id.contains('/')).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_methods() {
        assert_eq!(find(&Method::GET, "/"), Ok((Call::Page, "")));
        assert_eq!(find(&Method::HEAD, "/metrics"), Ok((Call::Metrics, "")));
        assert_eq!(find(&Method::DELETE, "/api/v1/tickets/t17"), Ok((Call::Cancel, "t17")));
        assert_eq!(find(&Method::POST, "/api/v1/tickets/t1/extend"), Ok((Call::Extend, "t1")));
        for path in ["", "/x", "/api/v1/tickets/", "/api/v1/tickets/t1/", "/api/v1/tickets//extend"]
        {
            assert_eq!(find(&Method::GET, path), Err(Nothing::Path), "{path}");
        }
        let allowed = Nothing::Method(vec!["GET", "POST", "HEAD"]);
        assert_eq!(find(&Method::PUT, "/api/v1/tickets"), Err(allowed));
    }
}
